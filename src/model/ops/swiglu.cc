// h = gate / (1 + exp(-gate)) * up. Source: Shazeer 2020.
#include <algorithm>
#include <cmath>

#include "model/ops/ops.h"
#include "tensor/buffer.h"

namespace hf::model {
namespace {

Result<Shape> shape(std::span<const Shape> in, const OpSettings&) {
  if (in[0].size() != 2 || in[0][1] % 2 != 0) return shape_error(kSwiglu, "(r, 2 f)");
  return Shape{in[0][0], in[0][1] / 2};
}

void forward(const tensor::Kernels& k, const OpCall& call, float* out) {
  const int64_t ffn = call.shapes[0][1] / 2;
  k.swiglu(call.shapes[0][0], ffn, call.inputs[0], 2 * ffn, out, ffn);
}

void backward(const tensor::Kernels& k, const OpCall& call, const float* dout, std::span<float* const> din) {
  const int64_t rows = call.shapes[0][0], ffn = call.shapes[0][1] / 2;
  tensor::Floats h(static_cast<size_t>(rows * ffn));
  std::copy_n(call.inputs[0], rows * 2 * ffn, din[0]);
  k.swiglu_backward(rows, ffn, din[0], dout, h.data());
}

void reference(std::span<const Shape> s, std::span<const double* const> in, const OpSettings&, double* out) {
  const int64_t ffn = s[0][1] / 2;
  for (int64_t r = 0; r < s[0][0]; ++r) {
    for (int64_t i = 0; i < ffn; ++i) {
      const double gate = in[0][r * 2 * ffn + i], up = in[0][r * 2 * ffn + ffn + i];
      out[r * ffn + i] = gate / (1 + std::exp(-gate)) * up;
    }
  }
}

}  // namespace

const Op kSwiglu{"swiglu", 1, shape, forward, backward, reference};

}  // namespace hf::model
