// Forward and backward of one chunk of sequences: one thread, from the tokens to the gradients of all activations.
#include <algorithm>
#include <cstring>

#include "model/trainer_parts.h"

namespace hf::model::training {
namespace {

using tensor::Gemm;
using tensor::Kernels;
using tensor::kPanel;

void copy(float* to, const float* from, int64_t floats) {
  if (floats > 0) std::memcpy(to, from, static_cast<size_t>(floats) * sizeof(float));
}

class Pass {
 public:
  Pass(const PassInput& in, const Chunk& chunk, Store& store, Scratch& scratch)
      : in_(in), c_(in.config), k_(in.kernels), w_(in.weights), chunk_(chunk), store_(store), scratch_(scratch) {}

  double forward() {
    describe_rows();
    embed();
    for (int64_t l = 0; l < c_.layers; ++l) forward_layer(l);
    return forward_head();
  }

  void backward(float* gains) {
    std::memset(gains, 0, static_cast<size_t>((2 * c_.layers + 1) * c_.width) * sizeof(float));
    backward_head(gains + 2 * c_.layers * c_.width);
    for (int64_t l = c_.layers - 1; l >= 0; --l) backward_layer(l, gains + 2 * l * c_.width);
    copy(store_.d_embedded.data() + chunk_.r0 * c_.width, scratch_.dx.data(), chunk_.r * c_.width);
  }

 private:
  bool last(int64_t l) const { return l == c_.layers - 1; }
  int64_t outputs(int64_t l) const { return last(l) ? chunk_.s : chunk_.r; }
  int64_t first_output(int64_t l) const { return last(l) ? chunk_.s0 : chunk_.r0; }
  static float* need(tensor::Floats& buffer, int64_t floats) {
    buffer.need(static_cast<size_t>(floats));
    return buffer.data();
  }

  bool in_pairs() const { return w_.compute == Compute::bf16; }

  // y (m, n) = x (m, k) . w, its packed form in pairs along k
  void multiply_pairs(int64_t m, int64_t k, int64_t n, const float* x, const uint32_t* w, float* y, bool accumulate) {
    const int64_t row = tensor::pairs(k);
    scratch_.operand.need(static_cast<size_t>(m * row));
    k_.pairs->along(m, k, x, k, scratch_.operand.data(), row);
    k_.pairs->gemm({.m = m,
                    .n = n,
                    .k = row,
                    .a = scratch_.operand.data(),
                    .a_row = row,
                    .b = w,
                    .b_panel = row * kPanel,
                    .c = y,
                    .c_row = n,
                    .accumulate = accumulate});
  }
  // The same in floats, w in panels of k rows.
  void multiply_floats(int64_t m, int64_t k, int64_t n, const float* x, const float* w, float* y, bool accumulate) {
    k_.gemm({.m = m,
             .n = n,
             .k = k,
             .a = x,
             .a_row = k,
             .b = w,
             .b_panel = k * kPanel,
             .c = y,
             .c_row = n,
             .accumulate = accumulate});
  }
  // y (m, n) = x (m, k) . w
  void multiply(int64_t m, const float* x, size_t param, float* y, bool accumulate = false) {
    const Param& p = w_.params[param];
    if (in_pairs()) {
      multiply_pairs(m, p.k, p.n, x, w_.forward_of(param), y, accumulate);
    } else {
      multiply_floats(m, p.k, p.n, x, w_.of(param), y, accumulate);
    }
  }
  // dx (m, k) = dy (m, n) . w^T
  void multiply_back(int64_t m, const float* dy, size_t param, float* dx, bool accumulate = false) {
    const Param& p = w_.params[param];
    if (in_pairs()) {
      multiply_pairs(m, p.n, p.k, dy, w_.backward_of(param), dx, accumulate);
    } else {
      multiply_floats(m, p.n, p.k, dy, w_.packed_of(param), dx, accumulate);
    }
  }
  // Rows for the gradient of a matrix; x may be null where another matrix keeps it.
  void keep(PairRows& to, int64_t rows, int64_t pair, int64_t all_pairs, const float* x, int64_t x_columns,
            const float* dy, int64_t dy_columns) const {
    if (x != nullptr) {
      const int64_t row = whole_panels(x_columns);
      k_.pairs->across(rows, x_columns, x, x_columns, to.x.data() + pair * row, row, kPanel);
    }
    k_.pairs->across(rows, dy_columns, dy, dy_columns, to.dy.data() + pair * kPanel, kPanel, all_pairs * kPanel);
  }

  void describe_rows() {
    Scratch& s = scratch_;
    s.positions.clear();
    s.s_positions.clear();
    s.s_rows.clear();
    s.t_rows.clear();
    s.targets.clear();
    s.weights.clear();
    s.layers.resize(static_cast<size_t>(c_.layers));
    int64_t row = chunk_.row;
    for (int64_t q = chunk_.first; q < chunk_.end; ++q) {
      const int64_t begin = row;
      bool wanted = false;
      for (; row < in_.batch.ends[static_cast<size_t>(q)]; ++row) {
        const auto at = static_cast<size_t>(row);
        s.positions.push_back(static_cast<int32_t>(row - begin));
        wanted = wanted || in_.batch.targets[at] >= 0;
        if (!wanted) continue;
        if (in_.batch.targets[at] >= 0) {
          s.t_rows.push_back(static_cast<int64_t>(s.s_rows.size()));
          s.targets.push_back(in_.batch.targets[at]);
          s.weights.push_back(in_.batch.weights[at] * in_.weight_scale);
        }
        s.s_rows.push_back(row - chunk_.row);
        s.s_positions.push_back(s.positions.back());
      }
    }
    check(static_cast<int64_t>(s.s_rows.size()) == chunk_.s && static_cast<int64_t>(s.t_rows.size()) == chunk_.t,
          "chunk described as counted");
  }

  void embed() {
    float* x = need(scratch_.layers[0].x, chunk_.r * c_.width);
    const float* table = w_.of(w_.embedding);
    for (int64_t i = 0; i < chunk_.r; ++i) {
      copy(x + i * c_.width, table + in_.batch.tokens[static_cast<size_t>(chunk_.row + i)] * c_.width, c_.width);
    }
  }

  void gather(const float* from, const std::vector<int64_t>& rows, float* to) const {
    for (size_t i = 0; i < rows.size(); ++i) {
      copy(to + static_cast<int64_t>(i) * c_.width, from + rows[i] * c_.width, c_.width);
    }
  }

  // Calls body(shape, first row of kv, first row of q) for each sequence.
  template <class Body>
  void each_sequence(int64_t l, const Body& body) {
    int64_t r = 0, s = 0;
    for (int64_t q = chunk_.first; q < chunk_.end; ++q) {
      const int64_t end = in_.batch.ends[static_cast<size_t>(q)] - chunk_.row;
      AttentionShape shape{};
      shape.positions = end - r;
      shape.heads = c_.heads;
      shape.kv_heads = c_.kv_heads;
      shape.head_dim = c_.head_dim;
      shape.q_row = shape.out_row = c_.q_width();
      shape.kv_row = 2 * c_.kv_width();
      int64_t count = end - r;
      if (last(l)) {
        count = 0;
        while (s + count < chunk_.s && scratch_.s_rows[static_cast<size_t>(s + count)] < end) ++count;
      }
      shape.from = shape.positions - count;
      if (count > 0) body(shape, r, last(l) ? s : r);
      if (count == 0) no_queries(l, r, shape.positions);
      r = end;
      s += count;
    }
  }
  // A sequence without targets gives no gradient to its keys and values.
  void no_queries(int64_t l, int64_t r, int64_t rows) {
    std::memset(store_.layers[static_cast<size_t>(l)].d_kv.data() + (chunk_.r0 + r) * 2 * c_.kv_width(), 0,
                static_cast<size_t>(rows * 2 * c_.kv_width()) * sizeof(float));
  }

  void forward_layer(int64_t l) {
    const LayerParams& p = w_.layers[static_cast<size_t>(l)];
    LayerSaved& saved = scratch_.layers[static_cast<size_t>(l)];
    LayerStore& kept = store_.layers[static_cast<size_t>(l)];
    const int64_t n = outputs(l), at = first_output(l), width = c_.width;

    float* normed = kept.normed.data() + chunk_.r0 * width;
    k_.norm(chunk_.r, width, saved.x.data(), width, w_.of(p.attention_gain), c_.norm_epsilon, normed, width,
            need(saved.scale, chunk_.r));
    float* middle = need(saved.middle, n * width);
    if (last(l)) {
      float* normed_q = kept.normed_q.data() + at * width;
      gather(normed, scratch_.s_rows, normed_q);
      gather(saved.x.data(), scratch_.s_rows, middle);
      normed = normed_q;
    } else {
      copy(middle, saved.x.data(), n * width);
    }
    float* q = need(saved.q, n * c_.q_width());
    float* kv = need(saved.kv, chunk_.r * 2 * c_.kv_width());
    multiply(n, normed, p.q, q);
    multiply(chunk_.r, kept.normed.data() + chunk_.r0 * width, p.kv, kv);
    rotate(l, q, kv, false);
    float* attention = kept.attention.data() + at * c_.q_width();
    float* log_sum = need(saved.log_sum, n * c_.heads);
    each_sequence(l, [&](const AttentionShape& shape, int64_t r, int64_t s) {
      attention_forward(k_, shape, q + s * c_.q_width(), kv + r * 2 * c_.kv_width(), attention + s * c_.q_width(),
                        log_sum + s * c_.heads, scratch_.attention);
    });
    multiply(n, attention, p.out, middle, true);
    float* normed_ffn = kept.normed_ffn.data() + at * width;
    k_.norm(n, width, middle, width, w_.of(p.ffn_gain), c_.norm_epsilon, normed_ffn, width, need(saved.scale_ffn, n));
    float* gate_up = kept.gate_up.data() + at * 2 * c_.ffn;
    float* hidden = kept.hidden.data() + at * c_.ffn;
    multiply(n, normed_ffn, p.gate_up, gate_up);
    k_.swiglu(n, c_.ffn, gate_up, 2 * c_.ffn, hidden, c_.ffn);
    tensor::Floats& next = last(l) ? scratch_.final_x : scratch_.layers[static_cast<size_t>(l + 1)].x;
    float* out = need(next, n * width);
    copy(out, middle, n * width);
    multiply(n, hidden, p.down, out, true);
  }

  void rotate(int64_t l, float* q, float* kv, bool inverse) {
    const int32_t* q_positions = last(l) ? scratch_.s_positions.data() : scratch_.positions.data();
    k_.rope(outputs(l), c_.heads, c_.head_dim, q, c_.q_width(), in_.cosine, in_.sine, q_positions, inverse);
    k_.rope(chunk_.r, c_.kv_heads, c_.head_dim, kv, 2 * c_.kv_width(), in_.cosine, in_.sine, scratch_.positions.data(),
            inverse);
  }

  double forward_head() {
    const int64_t t = chunk_.t, width = c_.width;
    float* x = need(scratch_.wanted_x, t * width);
    gather(scratch_.final_x.data(), scratch_.t_rows, x);
    float* normed = store_.final_normed.data() + chunk_.t0 * width;
    k_.norm(t, width, x, width, w_.of(w_.final_gain), c_.norm_epsilon, normed, width, need(scratch_.wanted_scale, t));
    float* logits = store_.d_logits.data() + chunk_.t0 * c_.vocabulary;
    if (in_pairs()) {
      multiply_pairs(t, width, c_.vocabulary, normed, w_.forward_of(w_.head), logits, false);
    } else {
      multiply_floats(t, width, c_.vocabulary, normed, w_.packed_of(w_.head), logits, false);
    }
    float* losses = need(scratch_.losses, t);
    k_.cross_entropy(t, c_.vocabulary, logits, c_.vocabulary, scratch_.targets.data(), scratch_.weights.data(), losses);
    double total = 0;
    for (int64_t i = 0; i < t; ++i) {
      total += static_cast<double>(losses[i]) * static_cast<double>(scratch_.weights[static_cast<size_t>(i)]);
    }
    return total;
  }

  void backward_head(float* gain) {
    const int64_t t = chunk_.t, width = c_.width;
    float* d_normed = need(scratch_.d_normed, std::max(t, chunk_.r) * width);
    const float* d_logits = store_.d_logits.data() + chunk_.t0 * c_.vocabulary;
    if (in_pairs()) {
      multiply_pairs(t, c_.vocabulary, width, d_logits, w_.backward_of(w_.head), d_normed, false);
      keep(store_.head_rows, t, chunk_.t_pair, store_.t_pairs, d_logits, c_.vocabulary,
           store_.final_normed.data() + chunk_.t0 * width, width);
    } else {
      k_.gemm({.m = t,
               .n = width,
               .k = c_.vocabulary,
               .a = d_logits,
               .a_row = c_.vocabulary,
               .b = w_.of(w_.head),
               .b_k = width,
               .b_panel = kPanel,
               .c = d_normed,
               .c_row = width});
    }
    float* d_wanted = need(scratch_.d_wanted, t * width);
    std::memset(d_wanted, 0, static_cast<size_t>(t * width) * sizeof(float));
    k_.norm_backward(t, width, scratch_.wanted_x.data(), w_.of(w_.final_gain), scratch_.wanted_scale.data(), d_normed,
                     d_wanted, gain);
    scratch_.dx.need(static_cast<size_t>(chunk_.r * width));
    scatter(d_wanted, scratch_.t_rows, scratch_.dx.data(), chunk_.s);
  }

  // to (rows, C): zeros, but the listed rows.
  void scatter(const float* from, const std::vector<int64_t>& rows, float* to, int64_t count) const {
    std::memset(to, 0, static_cast<size_t>(count * c_.width) * sizeof(float));
    for (size_t i = 0; i < rows.size(); ++i) {
      copy(to + rows[i] * c_.width, from + static_cast<int64_t>(i) * c_.width, c_.width);
    }
  }

  // scratch.dx: in, of the layer's output; out, of its input.
  void backward_layer(int64_t l, float* gains) {
    const LayerParams& p = w_.layers[static_cast<size_t>(l)];
    LayerSaved& saved = scratch_.layers[static_cast<size_t>(l)];
    LayerStore& kept = store_.layers[static_cast<size_t>(l)];
    const int64_t n = outputs(l), at = first_output(l), width = c_.width;
    float* dx = scratch_.dx.data();
    float* d_normed = scratch_.d_normed.data();

    if (!in_pairs()) copy(kept.d_down.data() + at * width, dx, n * width);
    const int64_t pair = last(l) ? chunk_.s_pair : chunk_.r_pair;
    const int64_t all_pairs = last(l) ? store_.s_pairs : store_.r_pairs;
    float* hidden = kept.hidden.data() + at * c_.ffn;
    float* d_hidden = need(scratch_.d_hidden, n * c_.ffn);
    multiply_back(n, dx, p.down, d_hidden);
    float* gate_up = kept.gate_up.data() + at * 2 * c_.ffn;
    k_.swiglu_backward(n, c_.ffn, gate_up, d_hidden, hidden);
    if (in_pairs()) {
      keep(kept.down_rows, n, pair, all_pairs, hidden, c_.ffn, dx, width);
      keep(kept.gate_up_rows, n, pair, all_pairs, kept.normed_ffn.data() + at * width, width, gate_up, 2 * c_.ffn);
    }
    multiply_back(n, gate_up, p.gate_up, d_normed);
    k_.norm_backward(n, width, saved.middle.data(), w_.of(p.ffn_gain), saved.scale_ffn.data(), d_normed, dx,
                     gains + width);

    const float* attention = kept.attention.data() + at * c_.q_width();
    if (in_pairs()) {
      keep(kept.out_rows, n, pair, all_pairs, attention, c_.q_width(), dx, width);
    } else {
      copy(kept.d_out.data() + at * width, dx, n * width);
    }
    float* d_attention = need(scratch_.d_attention, n * c_.q_width());
    multiply_back(n, dx, p.out, d_attention);
    float* dq = kept.d_q.data() + at * c_.q_width();
    float* dkv = kept.d_kv.data() + chunk_.r0 * 2 * c_.kv_width();
    each_sequence(l, [&](const AttentionShape& shape, int64_t r, int64_t s) {
      attention_backward(k_, shape, saved.q.data() + s * c_.q_width(), saved.kv.data() + r * 2 * c_.kv_width(),
                         attention + s * c_.q_width(), saved.log_sum.data() + s * c_.heads,
                         d_attention + s * c_.q_width(), dq + s * c_.q_width(), dkv + r * 2 * c_.kv_width(),
                         scratch_.attention);
    });
    rotate(l, dq, dkv, true);
    if (in_pairs()) {
      keep(kept.kv_rows, chunk_.r, chunk_.r_pair, store_.r_pairs, kept.normed.data() + chunk_.r0 * width, width, dkv,
           2 * c_.kv_width());
      keep(kept.q_rows, n, pair, all_pairs, last(l) ? kept.normed_q.data() + at * width : nullptr, width, dq,
           c_.q_width());
    }
    multiply_back(chunk_.r, dkv, p.kv, d_normed);
    if (last(l)) {
      float* d_q_normed = need(scratch_.d_q_normed, n * width);
      multiply_back(n, dq, p.q, d_q_normed);
      for (int64_t i = 0; i < n; ++i) {
        k_.add(width, d_q_normed + i * width, d_normed + scratch_.s_rows[static_cast<size_t>(i)] * width);
      }
      float* dx_all = need(scratch_.dx_all, chunk_.r * width);
      scatter(dx, scratch_.s_rows, dx_all, chunk_.r);
      copy(dx, dx_all, chunk_.r * width);
    } else {
      multiply_back(n, dq, p.q, d_normed, true);
    }
    k_.norm_backward(chunk_.r, width, saved.x.data(), w_.of(p.attention_gain), saved.scale.data(), d_normed, dx, gains);
  }

  const PassInput& in_;
  const LlamaConfig& c_;
  const Kernels& k_;
  const Weights& w_;
  const Chunk& chunk_;
  Store& store_;
  Scratch& scratch_;
};

}  // namespace

double forward_chunk(const PassInput& in, const Chunk& chunk, Store& store, Scratch& scratch) {
  return Pass(in, chunk, store, scratch).forward();
}

void backward_chunk(const PassInput& in, const Chunk& chunk, Store& store, Scratch& scratch, float* gains) {
  Pass(in, chunk, store, scratch).backward(gains);
}

void PairRows::need(int64_t row_pairs, int64_t x_columns, int64_t dy_columns) {
  x.need(static_cast<size_t>(row_pairs * whole_panels(x_columns)));
  dy.need(static_cast<size_t>(row_pairs * whole_panels(dy_columns)));
}

void Store::need_pairs(const LlamaConfig& c) {
  for (size_t l = 0; l < layers.size(); ++l) {
    LayerStore& k = layers[l];
    const bool last = l + 1 == layers.size();
    const int64_t out = last ? s_pairs : r_pairs;
    k.q_rows.need(out, last ? c.width : 0, c.q_width());
    k.kv_rows.need(r_pairs, c.width, 2 * c.kv_width());
    k.out_rows.need(out, c.q_width(), c.width);
    k.gate_up_rows.need(out, c.width, 2 * c.ffn);
    k.down_rows.need(out, c.ffn, c.width);
  }
  head_rows.need(t_pairs, c.vocabulary, c.width);
}

void Store::need(const LlamaConfig& c, bool backward) {
  layers.resize(static_cast<size_t>(c.layers));
  for (int64_t l = 0; l < c.layers; ++l) {
    LayerStore& k = layers[static_cast<size_t>(l)];
    const bool last = l == c.layers - 1;
    const auto out = static_cast<size_t>(last ? s : r), all = static_cast<size_t>(r);
    const auto width = static_cast<size_t>(c.width), ffn = static_cast<size_t>(c.ffn);
    k.normed.need(all * width);
    if (last) k.normed_q.need(out * width);
    k.attention.need(out * static_cast<size_t>(c.q_width()));
    k.normed_ffn.need(out * width);
    k.hidden.need(out * ffn);
    k.gate_up.need(out * 2 * ffn);
    k.d_kv.need(all * 2 * static_cast<size_t>(c.kv_width()));
    if (!backward) continue;
    k.d_q.need(out * static_cast<size_t>(c.q_width()));
    k.d_out.need(out * width);
    k.d_down.need(out * width);
  }
  final_normed.need(static_cast<size_t>(t * c.width));
  d_logits.need(static_cast<size_t>(t * c.vocabulary));
  if (backward) d_embedded.need(static_cast<size_t>(r * c.width));
}

uint64_t Store::bytes() const {
  const auto of = [](const PairRows& rows) { return rows.x.size() + rows.dy.size(); };
  uint64_t floats = final_normed.size() + d_logits.size() + d_embedded.size() + of(head_rows);
  for (const LayerStore& k : layers) {
    floats += k.normed.size() + k.normed_q.size() + k.attention.size() + k.normed_ffn.size() + k.hidden.size() +
              k.d_q.size() + k.d_kv.size() + k.d_out.size() + k.gate_up.size() + k.d_down.size() + of(k.q_rows) +
              of(k.kv_rows) + of(k.out_rows) + of(k.gate_up_rows) + of(k.down_rows);
  }
  return floats * sizeof(float);
}

}  // namespace hf::model::training
