#include <algorithm>

#include "model/trainer_parts.h"

namespace hf::model::training {

using tensor::kPanel;
using tensor::panels;

namespace {

// Pairs in the packed forms: along the inputs of a matrix and the width of a table; along the outputs and the tokens.
int64_t forward_pairs(const Param& p) {
  if (p.kind == Param::Kind::vector) return 0;
  return kPanel * (p.kind == Param::Kind::matrix ? panels(p.n) * tensor::pairs(p.k) : panels(p.k) * tensor::pairs(p.n));
}
int64_t backward_pairs(const Param& p) {
  if (p.kind == Param::Kind::vector) return 0;
  return kPanel * (p.kind == Param::Kind::matrix ? panels(p.k) * tensor::pairs(p.n) : panels(p.n) * tensor::pairs(p.k));
}

}  // namespace

size_t Weights::add(Param::Kind kind, int64_t k, int64_t n, bool decays) {
  Param p;
  p.kind = kind;
  p.k = k;
  p.n = n;
  p.decays = decays;
  p.size = kind == Param::Kind::matrix ? tensor::panel_floats(k, n) : k * n;
  if (!params.empty()) {
    const Param& last = params.back();
    p.at = last.at + (last.size + kPanel - 1) / kPanel * kPanel;
    p.packed_at = last.packed_at + (last.kind == Param::Kind::vector ? 0 : tensor::panel_floats(last.n, last.k));
    p.forward_at = last.backward_at + backward_pairs(last);
  }
  p.backward_at = p.forward_at + forward_pairs(p);
  params.push_back(p);
  return params.size() - 1;
}

Weights::Weights(const LlamaConfig& c, Compute how) : compute(how) {
  using Kind = Param::Kind;
  embedding = add(Kind::table, c.vocabulary, c.width, false);
  head = c.tied ? embedding : add(Kind::table, c.vocabulary, c.width, true);
  for (int64_t l = 0; l < c.layers; ++l) {
    LayerParams p{};
    p.attention_gain = add(Kind::vector, 1, c.width, false);
    p.q = add(Kind::matrix, c.width, c.q_width(), true);
    p.kv = add(Kind::matrix, c.width, 2 * c.kv_width(), true);
    p.out = add(Kind::matrix, c.q_width(), c.width, true);
    p.ffn_gain = add(Kind::vector, 1, c.width, false);
    p.gate_up = add(Kind::matrix, c.width, 2 * c.ffn, true);
    p.down = add(Kind::matrix, c.ffn, c.width, true);
    layers.push_back(p);
  }
  final_gain = add(Kind::vector, 1, c.width, false);
  const Param& last = params.back();
  const auto floats = static_cast<size_t>(last.at + last.size);
  for (tensor::Floats* array : {&value, &gradient, &first, &second}) array->reset(floats);
  if (compute == Compute::f32) {
    packed.reset(static_cast<size_t>(last.packed_at));
  } else {
    pairs.reset(static_cast<size_t>(last.forward_at));
  }
  for (size_t i = 0; i < params.size(); ++i) {
    const Param& p = params[i];
    const int64_t units = p.kind == Kind::matrix ? panels(p.n) : p.kind == Kind::table ? p.k : 1;
    const int64_t each = p.kind == Kind::matrix ? 4 : kPanel;
    for (int64_t u = 0; u < units; u += each) blocks.push_back({i, u, std::min(each, units - u)});
  }
}

std::pair<int64_t, int64_t> Weights::range(const Block& block) const {
  const Param& p = params[block.param];
  const int64_t unit = p.kind == Param::Kind::matrix ? p.k * kPanel : p.n;
  return {p.at + block.first * unit, block.count * unit};
}

void Weights::pack(const tensor::Kernels& k, const Block& block) {
  if (compute == Compute::f32) {
    pack_floats(k, block);
  } else {
    pack_pairs(k, block);
  }
}

void Weights::pack_pairs(const tensor::Kernels& k, const Block& block) {
  const Param& p = params[block.param];
  uint32_t* forward = pairs.data() + p.forward_at;
  uint32_t* backward = pairs.data() + p.backward_at;
  const int64_t pairs_k = tensor::pairs(p.k), pairs_n = tensor::pairs(p.n);
  const auto across = k.pairs->across;
  alignas(64) float square[2 * kPanel * kPanel];
  if (p.kind == Param::Kind::matrix) {
    for (int64_t j = block.first; j < block.first + block.count; ++j) {
      const float* panel = of(block.param) + j * p.k * kPanel;
      const int64_t outputs = std::min(kPanel, p.n - j * kPanel);
      across(p.k, kPanel, panel, kPanel, forward + j * pairs_k * kPanel, kPanel, 0);
      for (int64_t i = 0; i < panels(p.k); ++i) {
        const int64_t inputs = std::min(kPanel, p.k - i * kPanel);
        k.pack_transposed(inputs, outputs, panel + i * kPanel * kPanel, kPanel, square, 0);
        across(outputs, kPanel, square, kPanel, backward + (i * pairs_n + j * kPanel / 2) * kPanel, kPanel, 0);
      }
    }
  } else if (p.kind == Param::Kind::table) {
    const float* rows = of(block.param) + block.first * p.n;
    across(block.count, p.n, rows, p.n, backward + block.first / 2 * kPanel, kPanel, pairs_k * kPanel);
    forward += block.first / kPanel * pairs_n * kPanel;
    for (int64_t c = 0; c < p.n; c += 2 * kPanel) {
      const int64_t columns = std::min(2 * kPanel, p.n - c);
      k.pack_transposed(block.count, columns, rows + c, p.n, square, 0);
      across(columns, kPanel, square, kPanel, forward + c / 2 * kPanel, kPanel, 0);
    }
  }
}

void Weights::pack_floats(const tensor::Kernels& k, const Block& block) {
  const Param& p = params[block.param];
  float* to = packed.data() + p.packed_at;
  if (p.kind == Param::Kind::matrix) {
    // The transpose's panel i holds inputs 16 i ..: input rows of our panel j become its lanes, at outputs 16 j ..
    for (int64_t j = block.first; j < block.first + block.count; ++j) {
      const int64_t outputs = std::min(kPanel, p.n - j * kPanel);
      k.pack_transposed(p.k, outputs, of(block.param) + j * p.k * kPanel, kPanel, to + j * kPanel * kPanel,
                        p.n * kPanel);
    }
  } else if (p.kind == Param::Kind::table) {
    k.pack_transposed(block.count, p.n, of(block.param) + block.first * p.n, p.n,
                      to + block.first / kPanel * p.n * kPanel, p.n * kPanel);
  }
}

std::vector<size_t> gain_params(const Weights& weights) {
  std::vector<size_t> out;
  for (const LayerParams& l : weights.layers) {
    out.push_back(l.attention_gain);
    out.push_back(l.ffn_gain);
  }
  out.push_back(weights.final_gain);
  return out;
}

}  // namespace hf::model::training
