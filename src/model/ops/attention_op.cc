// attention.h as an op, and its reference.
#include <cmath>

#include "model/ops/attention.h"
#include "model/ops/ops.h"

namespace hf::model {
namespace {

Result<Shape> shape(std::span<const Shape> in, const OpSettings& s) {
  if (in[0].size() != 2 || in[1].size() != 2 || in[0][0] > in[1][0] || s.heads % s.kv_heads != 0 ||
      in[0][1] % s.heads != 0 || in[1][1] != 2 * s.kv_heads * (in[0][1] / s.heads)) {
    return shape_error(kAttention, "(t, H d) and (T, 2 K d) with T >= t and H a multiple of K");
  }
  return in[0];
}

AttentionShape describe(std::span<const Shape> in, const OpSettings& s) {
  AttentionShape out{};
  out.positions = in[1][0];
  out.from = in[1][0] - in[0][0];
  out.heads = s.heads;
  out.kv_heads = s.kv_heads;
  out.head_dim = in[0][1] / s.heads;
  out.q_row = out.out_row = in[0][1];
  out.kv_row = in[1][1];
  return out;
}

void forward(const tensor::Kernels& k, const OpCall& call, float* out) {
  AttentionScratch scratch;
  tensor::Floats log_sum(static_cast<size_t>(call.shapes[0][0] * call.settings.heads));
  attention_forward(k, describe(call.shapes, call.settings), call.inputs[0], call.inputs[1], out, log_sum.data(),
                    scratch);
}

void backward(const tensor::Kernels& k, const OpCall& call, const float* dout, std::span<float* const> din) {
  AttentionScratch scratch;
  tensor::Floats log_sum(static_cast<size_t>(call.shapes[0][0] * call.settings.heads));
  tensor::Floats out(static_cast<size_t>(elements(call.shapes[0])));
  const AttentionShape shape = describe(call.shapes, call.settings);
  attention_forward(k, shape, call.inputs[0], call.inputs[1], out.data(), log_sum.data(), scratch);
  attention_backward(k, shape, call.inputs[0], call.inputs[1], out.data(), log_sum.data(), dout, din[0], din[1],
                     scratch);
}

void reference(std::span<const Shape> in, std::span<const double* const> x, const OpSettings& settings, double* out) {
  const AttentionShape s = describe(in, settings);
  std::vector<double> p(static_cast<size_t>(s.positions));
  for (int64_t t = s.from; t < s.positions; ++t) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t key = h / (s.heads / s.kv_heads) * s.head_dim, value = key + s.kv_heads * s.head_dim;
      const double* q = x[0] + (t - s.from) * s.q_row + h * s.head_dim;
      double sum = 0;
      for (int64_t u = 0; u <= t; ++u) {
        double score = 0;
        for (int64_t d = 0; d < s.head_dim; ++d) score += q[d] * x[1][u * s.kv_row + key + d];
        p[static_cast<size_t>(u)] = std::exp(score / std::sqrt(static_cast<double>(s.head_dim)));
        sum += p[static_cast<size_t>(u)];
      }
      for (int64_t d = 0; d < s.head_dim; ++d) {
        double total = 0;
        for (int64_t u = 0; u <= t; ++u) total += p[static_cast<size_t>(u)] / sum * x[1][u * s.kv_row + value + d];
        out[(t - s.from) * s.out_row + h * s.head_dim + d] = total;
      }
    }
  }
}

}  // namespace

const Op kAttention{"attention", 2, shape, forward, backward, reference};

}  // namespace hf::model
