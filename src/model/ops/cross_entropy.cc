// loss = -log(softmax(logits)[target]), row by row. Backward: softmax - one_hot, times the row's gradient.
#include <algorithm>
#include <cmath>

#include "model/ops/ops.h"
#include "tensor/buffer.h"

namespace hf::model {
namespace {

Result<Shape> shape(std::span<const Shape> in, const OpSettings& settings) {
  const bool within =
      in[0].size() == 2 && settings.indices.size() == static_cast<size_t>(in[0][0]) &&
      std::all_of(settings.indices.begin(), settings.indices.end(), [&](int32_t i) { return i >= 0 && i < in[0][1]; });
  if (!within) return shape_error(kCrossEntropy, "(r, v) and r targets in [0, v)");
  return Shape{in[0][0]};
}

void forward(const tensor::Kernels& k, const OpCall& call, float* out) {
  const int64_t rows = call.shapes[0][0], n = call.shapes[0][1];
  tensor::Floats logits(static_cast<size_t>(rows * n)), none(static_cast<size_t>(rows));
  std::copy_n(call.inputs[0], rows * n, logits.data());
  k.cross_entropy(rows, n, logits.data(), n, call.settings.indices.data(), none.data(), out);
}

void backward(const tensor::Kernels& k, const OpCall& call, const float* dout, std::span<float* const> din) {
  const int64_t rows = call.shapes[0][0], n = call.shapes[0][1];
  tensor::Floats loss(static_cast<size_t>(rows));
  std::copy_n(call.inputs[0], rows * n, din[0]);
  k.cross_entropy(rows, n, din[0], n, call.settings.indices.data(), dout, loss.data());
}

void reference(std::span<const Shape> s, std::span<const double* const> in, const OpSettings& settings, double* out) {
  const int64_t n = s[0][1];
  for (int64_t r = 0; r < s[0][0]; ++r) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += std::exp(in[0][r * n + i]);
    out[r] = std::log(sum) - in[0][r * n + settings.indices[static_cast<size_t>(r)]];
  }
}

}  // namespace

const Op kCrossEntropy{"cross_entropy", 1, shape, forward, backward, reference};

}  // namespace hf::model
