// y = x . w. Backward: dx = dy . w^T, dw = x^T . dy.
#include "model/ops/ops.h"
#include "tensor/buffer.h"

namespace hf::model {
namespace {

using tensor::kPanel;

Result<Shape> shape(std::span<const Shape> in, const OpSettings&) {
  if (in[0].size() != 2 || in[1].size() != 2 || in[0][1] != in[1][0]) return shape_error(kMatmul, "(m, k) and (k, n)");
  return Shape{in[0][0], in[1][1]};
}

void forward(const tensor::Kernels& kernels, const OpCall& call, float* out) {
  const int64_t m = call.shapes[0][0], k = call.shapes[0][1], n = call.shapes[1][1];
  kernels.gemm({.m = m,
                .n = n,
                .k = k,
                .a = call.inputs[0],
                .a_row = k,
                .b = call.inputs[1],
                .b_k = n,
                .b_panel = kPanel,
                .c = out,
                .c_row = n});
}

void backward(const tensor::Kernels& kernels, const OpCall& call, const float* dout, std::span<float* const> din) {
  const int64_t m = call.shapes[0][0], k = call.shapes[0][1], n = call.shapes[1][1];
  tensor::Floats transposed(static_cast<size_t>(tensor::panel_floats(n, k)));  // w^T (n, k) in panels
  kernels.pack_transposed(k, n, call.inputs[1], n, transposed.data(), n * kPanel);
  kernels.gemm({.m = m,
                .n = k,
                .k = n,
                .a = dout,
                .a_row = n,
                .b = transposed.data(),
                .b_panel = n * kPanel,
                .c = din[0],
                .c_row = k});
  kernels.gemm({.m = k,
                .n = n,
                .k = m,
                .a = call.inputs[0],
                .a_row = 1,
                .a_k = k,
                .b = dout,
                .b_k = n,
                .b_panel = kPanel,
                .c = din[1],
                .c_row = n});
}

void reference(std::span<const Shape> s, std::span<const double* const> in, const OpSettings&, double* out) {
  const int64_t m = s[0][0], k = s[0][1], n = s[1][1];
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += in[0][i * k + p] * in[1][p * n + j];
      out[i * n + j] = sum;
    }
  }
}

}  // namespace

const Op kMatmul{"matmul", 2, shape, forward, backward, reference};

}  // namespace hf::model
