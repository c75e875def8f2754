// Row `token` of a table. Backward: the rows' gradients add up at their tokens, in the order of the rows.
#include <algorithm>

#include "model/ops/ops.h"

namespace hf::model {
namespace {

Result<Shape> shape(std::span<const Shape> in, const OpSettings& settings) {
  const bool within = in[0].size() == 2 && std::all_of(settings.indices.begin(), settings.indices.end(),
                                                       [&](int32_t i) { return i >= 0 && i < in[0][0]; });
  if (!within) return shape_error(kEmbedding, "(v, c) and tokens in [0, v)");
  return Shape{static_cast<int64_t>(settings.indices.size()), in[0][1]};
}

void forward(const tensor::Kernels&, const OpCall& call, float* out) {
  const int64_t width = call.shapes[0][1];
  for (int32_t token : call.settings.indices) out = std::copy_n(call.inputs[0] + token * width, width, out);
}

void backward(const tensor::Kernels& k, const OpCall& call, const float* dout, std::span<float* const> din) {
  const int64_t width = call.shapes[0][1];
  std::fill_n(din[0], elements(call.shapes[0]), 0.0f);
  for (int32_t token : call.settings.indices) {
    k.add(width, dout, din[0] + token * width);
    dout += width;
  }
}

void reference(std::span<const Shape> s, std::span<const double* const> in, const OpSettings& settings, double* out) {
  for (int32_t token : settings.indices) out = std::copy_n(in[0] + token * s[0][1], s[0][1], out);
}

}  // namespace

const Op kEmbedding{"embedding", 1, shape, forward, backward, reference};

}  // namespace hf::model
