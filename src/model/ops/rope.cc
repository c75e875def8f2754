// Rotary positions, base 10000: in each head of dim d, pair (i, i + d/2) turns by position * 10000^(-2i/d).
// A rotation's gradient is the rotation back. Source: Su et al. 2021, in the layout of Hugging Face's Llama.
#include <algorithm>
#include <cmath>

#include "model/llama.h"
#include "model/ops/ops.h"

namespace hf::model {
namespace {

int64_t dim_of(std::span<const Shape> in, const OpSettings& settings) { return in[0][1] / settings.heads; }

Result<Shape> shape(std::span<const Shape> in, const OpSettings& settings) {
  if (in[0].size() != 2 || in[0][1] % (2 * settings.heads) != 0 ||
      settings.indices.size() != static_cast<size_t>(in[0][0])) {
    return shape_error(kRope, "(r, heads * even) and r positions");
  }
  return in[0];
}

void rotate(const tensor::Kernels& k, const OpCall& call, const float* from, float* to, bool inverse) {
  LlamaConfig config;
  config.head_dim = dim_of(call.shapes, call.settings);
  config.context = 1 + *std::max_element(call.settings.indices.begin(), call.settings.indices.end());
  tensor::Floats cosine, sine;
  rope_tables(config, &cosine, &sine);
  std::copy_n(from, elements(call.shapes[0]), to);
  k.rope(call.shapes[0][0], call.settings.heads, config.head_dim, to, call.shapes[0][1], cosine.data(), sine.data(),
         call.settings.indices.data(), inverse);
}

void forward(const tensor::Kernels& k, const OpCall& call, float* out) { rotate(k, call, call.inputs[0], out, false); }

void backward(const tensor::Kernels& k, const OpCall& call, const float* dout, std::span<float* const> din) {
  rotate(k, call, dout, din[0], true);
}

void reference(std::span<const Shape> s, std::span<const double* const> in, const OpSettings& settings, double* out) {
  const int64_t dim = dim_of(s, settings), half = dim / 2;
  for (int64_t r = 0; r < s[0][0]; ++r) {
    for (int64_t h = 0; h < settings.heads; ++h) {
      const int64_t at = r * s[0][1] + h * dim;
      for (int64_t i = 0; i < half; ++i) {
        const double turn = settings.indices[static_cast<size_t>(r)] *
                            std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
        const double a = in[0][at + i], b = in[0][at + half + i];
        out[at + i] = a * std::cos(turn) - b * std::sin(turn);
        out[at + half + i] = b * std::cos(turn) + a * std::sin(turn);
      }
    }
  }
}

}  // namespace

const Op kRope{"rope", 1, shape, forward, backward, reference};

}  // namespace hf::model
