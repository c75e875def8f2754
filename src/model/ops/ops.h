// The ops of a decoder, each in a file of its own: shape rule, forward, backward, and a slow reference in double
// precision that is the specification. ops_test.cc compares forward with the reference on every kernel set, and
// backward with finite differences of the reference, for all of them. The trainer and the serving path call the same
// kernels (and attention.h) with their own layouts; the forms here are dense and row-major.
//
// A new op is a file here and a line in ops.cc.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/kernels.h"

namespace hf::model {

using Shape = std::vector<int64_t>;  // outermost first

struct OpSettings {
  int64_t heads = 1, kv_heads = 1;  // rope, attention
  float epsilon = 1e-5f;            // norm
  std::vector<int32_t> indices;     // tokens of embedding, targets of cross_entropy, positions of rope
};

struct OpCall {
  std::span<const Shape> shapes;  // of the inputs
  std::span<const float* const> inputs;
  const OpSettings& settings;
};

struct Op {
  const char* name;
  size_t inputs;
  // The output's shape. invalid: which rule the inputs break.
  Result<Shape> (*shape)(std::span<const Shape> inputs, const OpSettings& settings);
  void (*forward)(const tensor::Kernels& k, const OpCall& call, float* out);
  // Gradients of the inputs for dout, overwritten.
  void (*backward)(const tensor::Kernels& k, const OpCall& call, const float* dout, std::span<float* const> dinputs);
  void (*reference)(std::span<const Shape> shapes, std::span<const double* const> inputs, const OpSettings& settings,
                    double* out);
};

extern const Op kMatmul;        // x (m, k), w (k, n) -> (m, n)
extern const Op kNorm;          // x (r, c), gain (c) -> (r, c)
extern const Op kRope;          // x (r, heads * d) with indices (r): positions -> the same
extern const Op kAttention;     // q (t, H d), kv (T, 2 K d), T >= t: queries of the last t positions -> (t, H d)
extern const Op kSwiglu;        // gate_up (r, 2 f) -> (r, f)
extern const Op kEmbedding;     // table (v, c) with indices (r): tokens -> (r, c)
extern const Op kCrossEntropy;  // logits (r, v) with indices (r): targets -> (r): losses

std::span<const Op* const> ops();

inline int64_t elements(const Shape& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}
Error shape_error(const Op& op, const char* rule);

}  // namespace hf::model
