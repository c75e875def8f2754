#include "model/ops/attention.h"

#include <algorithm>
#include <cstring>

namespace hf::model {
namespace {

using tensor::Gemm;
using tensor::Kernels;
using tensor::kPanel;

// Two tiles of 12 rows: smaller blocks compute fewer scores above the diagonal, larger ones reuse keys more.
constexpr int64_t kQueryBlock = 24;

int64_t padded(int64_t n) { return (n + kPanel - 1) / kPanel * kPanel; }

void prepare(const AttentionShape& s, AttentionScratch& scratch) {
  const auto width = static_cast<size_t>(padded(s.positions));
  scratch.keys.need(width * static_cast<size_t>(s.head_dim));
  scratch.values.need(width * static_cast<size_t>(s.head_dim));
  scratch.scores.need(width * kQueryBlock);
  scratch.gradients.need(width * kQueryBlock);
  scratch.delta.need(kQueryBlock);
}

float scale_of(const AttentionShape& s) { return 1.0f / __builtin_sqrtf(static_cast<float>(s.head_dim)); }

// scores (rows, width) = a . columns of `packed`
void products(const Kernels& k, const AttentionShape& s, int64_t rows, int64_t width, const float* a, int64_t a_row,
              const float* packed, float* scores) {
  k.gemm({.m = rows,
          .n = width,
          .k = s.head_dim,
          .a = a,
          .a_row = a_row,
          .b = packed,
          .b_panel = s.head_dim * kPanel,
          .c = scores,
          .c_row = width});
}

}  // namespace

void attention_forward(const Kernels& k, const AttentionShape& s, const float* q, const float* kv, float* out,
                       float* log_sum, AttentionScratch& scratch) {
  prepare(s, scratch);
  const int64_t group = s.heads / s.kv_heads;
  const int64_t outputs = s.positions - s.from;
  for (int64_t h = 0; h < s.heads; ++h) {
    const float* key = kv + h / group * s.head_dim;
    const float* value = key + s.kv_heads * s.head_dim;
    if (h % group == 0) {
      k.pack_transposed(s.positions, s.head_dim, key, s.kv_row, scratch.keys.data(), s.head_dim * kPanel);
    }
    for (int64_t row = 0; row < outputs; row += kQueryBlock) {
      const int64_t rows = std::min(kQueryBlock, outputs - row);
      const int64_t seen = s.from + row + rows;  // keys that the last row sees
      const int64_t width = padded(seen);
      float* scores = scratch.scores.data();
      products(k, s, rows, width, q + row * s.q_row + h * s.head_dim, s.q_row, scratch.keys.data(), scores);
      k.softmax(rows, s.from + row + 1, width, scale_of(s), scores, width, log_sum + h * outputs + row);
      k.gemm({.m = rows,
              .n = s.head_dim,
              .k = seen,
              .a = scores,
              .a_row = width,
              .b = value,
              .b_k = s.kv_row,
              .b_panel = kPanel,
              .c = out + row * s.out_row + h * s.head_dim,
              .c_row = s.out_row});
    }
  }
}

void attention_backward(const Kernels& k, const AttentionShape& s, const float* q, const float* kv, const float* out,
                        const float* log_sum, const float* dout, float* dq, float* dkv, AttentionScratch& scratch) {
  prepare(s, scratch);
  const int64_t group = s.heads / s.kv_heads;
  const int64_t outputs = s.positions - s.from;
  for (int64_t t = 0; t < s.positions; ++t) {
    std::memset(dkv + t * s.kv_row, 0, static_cast<size_t>(2 * s.kv_heads * s.head_dim) * sizeof(float));
  }
  for (int64_t h = 0; h < s.heads; ++h) {
    const int64_t key_at = h / group * s.head_dim;
    const int64_t value_at = key_at + s.kv_heads * s.head_dim;
    if (h % group == 0) {
      k.pack_transposed(s.positions, s.head_dim, kv + key_at, s.kv_row, scratch.keys.data(), s.head_dim * kPanel);
      k.pack_transposed(s.positions, s.head_dim, kv + value_at, s.kv_row, scratch.values.data(), s.head_dim * kPanel);
    }
    for (int64_t row = 0; row < outputs; row += kQueryBlock) {
      const int64_t rows = std::min(kQueryBlock, outputs - row);
      const int64_t seen = s.from + row + rows;
      const int64_t width = padded(seen);
      const int64_t at = row * s.out_row + h * s.head_dim;
      const float* query = q + row * s.q_row + h * s.head_dim;
      float* p = scratch.scores.data();
      float* ds = scratch.gradients.data();
      products(k, s, rows, width, query, s.q_row, scratch.keys.data(), p);
      k.softmax_again(rows, s.from + row + 1, width, scale_of(s), p, width, log_sum + h * outputs + row);
      products(k, s, rows, width, dout + at, s.out_row, scratch.values.data(), ds);
      for (int64_t r = 0; r < rows; ++r) {
        scratch.delta[static_cast<size_t>(r)] = k.dot(s.head_dim, dout + at + r * s.out_row, out + at + r * s.out_row);
      }
      k.softmax_backward(rows, width, scale_of(s), p, ds, width, scratch.delta.data());
      // dQ = dS K;  dK += dS^T Q;  dV += P^T dO
      k.gemm({.m = rows,
              .n = s.head_dim,
              .k = seen,
              .a = ds,
              .a_row = width,
              .b = kv + key_at,
              .b_k = s.kv_row,
              .b_panel = kPanel,
              .c = dq + row * s.q_row + h * s.head_dim,
              .c_row = s.q_row});
      Gemm over_rows{.m = seen, .n = s.head_dim, .k = rows, .a = ds, .a_row = 1, .a_k = width};
      over_rows.b = query;
      over_rows.b_k = s.q_row;
      over_rows.b_panel = kPanel;
      over_rows.c = dkv + key_at;
      over_rows.c_row = s.kv_row;
      over_rows.accumulate = true;
      k.gemm(over_rows);
      over_rows.a = p;
      over_rows.b = dout + at;
      over_rows.b_k = s.out_row;
      over_rows.c = dkv + value_at;
      k.gemm(over_rows);
    }
  }
}

}  // namespace hf::model
