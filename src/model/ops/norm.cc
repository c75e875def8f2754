// y = x / sqrt(mean(x^2) + epsilon) * gain, row by row. Source: Zhang and Sennrich 2019.
#include <algorithm>
#include <cmath>

#include "model/ops/ops.h"
#include "tensor/buffer.h"

namespace hf::model {
namespace {

Result<Shape> shape(std::span<const Shape> in, const OpSettings&) {
  if (in[0].size() != 2 || in[1] != Shape{in[0][1]}) return shape_error(kNorm, "(r, c) and (c)");
  return in[0];
}

void forward(const tensor::Kernels& k, const OpCall& call, float* out) {
  const int64_t rows = call.shapes[0][0], width = call.shapes[0][1];
  k.norm(rows, width, call.inputs[0], width, call.inputs[1], call.settings.epsilon, out, width, nullptr);
}

void backward(const tensor::Kernels& k, const OpCall& call, const float* dout, std::span<float* const> din) {
  const int64_t rows = call.shapes[0][0], width = call.shapes[0][1];
  tensor::Floats y(static_cast<size_t>(rows * width)), scale(static_cast<size_t>(rows));
  k.norm(rows, width, call.inputs[0], width, call.inputs[1], call.settings.epsilon, y.data(), width, scale.data());
  std::fill_n(din[0], rows * width, 0.0f);
  std::fill_n(din[1], width, 0.0f);
  k.norm_backward(rows, width, call.inputs[0], call.inputs[1], scale.data(), dout, din[0], din[1]);
}

void reference(std::span<const Shape> s, std::span<const double* const> in, const OpSettings& settings, double* out) {
  const int64_t rows = s[0][0], width = s[0][1];
  for (int64_t r = 0; r < rows; ++r) {
    double square = 0;
    for (int64_t i = 0; i < width; ++i) square += in[0][r * width + i] * in[0][r * width + i];
    const double root = std::sqrt(square / static_cast<double>(width) + static_cast<double>(settings.epsilon));
    for (int64_t i = 0; i < width; ++i) out[r * width + i] = in[0][r * width + i] / root * in[1][i];
  }
}

}  // namespace

const Op kNorm{"norm", 2, shape, forward, backward, reference};

}  // namespace hf::model
