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
  std::memcpy(to, from, static_cast<size_t>(floats) * sizeof(float));
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

  // y (m, n) = x (m, k) . w
  void multiply(int64_t m, const float* x, size_t param, float* y, bool accumulate = false) {
    const Param& p = w_.params[param];
    k_.gemm({.m = m,
             .n = p.n,
             .k = p.k,
             .a = x,
             .a_row = p.k,
             .b = w_.of(param),
             .b_panel = p.k * kPanel,
             .c = y,
             .c_row = p.n,
             .accumulate = accumulate});
  }
  // dx (m, k) = dy (m, n) . w^T
  void multiply_back(int64_t m, const float* dy, size_t param, float* dx, bool accumulate = false) {
    const Param& p = w_.params[param];
    k_.gemm({.m = m,
             .n = p.k,
             .k = p.n,
             .a = dy,
             .a_row = p.n,
             .b = w_.packed_of(param),
             .b_panel = p.n * kPanel,
             .c = dx,
             .c_row = p.k,
             .accumulate = accumulate});
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
    k_.gemm({.m = t,
             .n = c_.vocabulary,
             .k = width,
             .a = normed,
             .a_row = width,
             .b = w_.packed_of(w_.head),
             .b_panel = width * kPanel,
             .c = logits,
             .c_row = c_.vocabulary});
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
    k_.gemm({.m = t,
             .n = width,
             .k = c_.vocabulary,
             .a = store_.d_logits.data() + chunk_.t0 * c_.vocabulary,
             .a_row = c_.vocabulary,
             .b = w_.of(w_.head),
             .b_k = width,
             .b_panel = kPanel,
             .c = d_normed,
             .c_row = width});
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

    copy(kept.d_down.data() + at * width, dx, n * width);
    float* d_hidden = need(scratch_.d_hidden, n * c_.ffn);
    multiply_back(n, dx, p.down, d_hidden);
    float* gate_up = kept.gate_up.data() + at * 2 * c_.ffn;
    k_.swiglu_backward(n, c_.ffn, gate_up, d_hidden, kept.hidden.data() + at * c_.ffn);
    multiply_back(n, gate_up, p.gate_up, d_normed);
    k_.norm_backward(n, width, saved.middle.data(), w_.of(p.ffn_gain), saved.scale_ffn.data(), d_normed, dx,
                     gains + width);

    copy(kept.d_out.data() + at * width, dx, n * width);
    float* d_attention = need(scratch_.d_attention, n * c_.q_width());
    multiply_back(n, dx, p.out, d_attention);
    float* dq = kept.d_q.data() + at * c_.q_width();
    float* dkv = kept.d_kv.data() + chunk_.r0 * 2 * c_.kv_width();
    each_sequence(l, [&](const AttentionShape& shape, int64_t r, int64_t s) {
      attention_backward(k_, shape, saved.q.data() + s * c_.q_width(), saved.kv.data() + r * 2 * c_.kv_width(),
                         kept.attention.data() + (at + s) * c_.q_width(), saved.log_sum.data() + s * c_.heads,
                         d_attention + s * c_.q_width(), dq + s * c_.q_width(), dkv + r * 2 * c_.kv_width(),
                         scratch_.attention);
    });
    rotate(l, dq, dkv, true);
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

void Store::need(const LlamaConfig& c, int64_t rows, int64_t s_rows, int64_t targets, bool backward) {
  r = rows;
  s = s_rows;
  t = targets;
  layers.resize(static_cast<size_t>(c.layers));
  for (int64_t l = 0; l < c.layers; ++l) {
    LayerStore& k = layers[static_cast<size_t>(l)];
    const bool last = l == c.layers - 1;
    const auto out = static_cast<size_t>(last ? s_rows : rows), all = static_cast<size_t>(rows);
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
  final_normed.need(static_cast<size_t>(targets * c.width));
  d_logits.need(static_cast<size_t>(targets * c.vocabulary));
  if (backward) d_embedded.need(static_cast<size_t>(rows * c.width));
}

uint64_t Store::bytes() const {
  uint64_t floats = final_normed.size() + d_logits.size() + d_embedded.size();
  for (const LayerStore& k : layers) {
    floats += k.normed.size() + k.normed_q.size() + k.attention.size() + k.normed_ffn.size() + k.hidden.size() +
              k.d_q.size() + k.d_kv.size() + k.d_out.size() + k.gate_up.size() + k.d_down.size();
  }
  return floats * sizeof(float);
}

}  // namespace hf::model::training
