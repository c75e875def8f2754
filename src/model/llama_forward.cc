// forward_tokens: the decoder for a batch of rows over paged keys and values. Work is cut by rows, columns and heads,
// never along a sum, so the cut does not show in the bits.
#include <algorithm>
#include <cstring>

#include "model/llama.h"
#include "model/llama_device.h"

namespace hf::model {
namespace {

using tensor::Gemm;
using tensor::Kernels;
using tensor::kPanel;
using tensor::Pool;

// A piece of a loop should last some 10 us or more: below that, handing it to another thread costs more than it saves.
constexpr int64_t kPieceFlops = 2'000'000;

// Weights of one thread's turn: some 50 us of a decode step, so that the last turns end together.
constexpr int64_t kPieceBytes = 512 << 10;

void multiply_quantised(const Kernels& k, Pool& pool, int64_t m, const float* x, const Matrix& w, tensor::QuantRows& q,
                        float* y, bool accumulate) {
  q.need(m, w.k);
  const int64_t rows_each = std::max<int64_t>(1, (64 << 10) / w.k);
  pool.run((m + rows_each - 1) / rows_each, [&](int64_t piece, int) {
    const int64_t first = piece * rows_each;
    k.quant->quantise(x, w.k, first, std::min(rows_each, m - first), &q);
  });
  struct Piece {
    const Matrix::Quantised* part;
    int64_t panel, panels;
  };
  std::vector<Piece> pieces;
  for (const Matrix::Quantised& part : w.quantised) {
    const int64_t all = tensor::panels(part.m.n);
    const int64_t panel_bytes = tensor::quant_layout(part.m.type, w.k).panel;
    const int64_t by_size = std::max<int64_t>(1, kPieceBytes / (panel_bytes * std::max<int64_t>(1, m / 4)));
    const int64_t by_lanes = std::max<int64_t>(1, all / (pool.lanes() * int64_t{4}));
    const int64_t each = pool.lanes() == 1 ? all : std::min(by_size, by_lanes);
    for (int64_t p = 0; p < all; p += each) pieces.push_back({&part, p, std::min(each, all - p)});
  }
  pool.run(static_cast<int64_t>(pieces.size()), [&](int64_t index, int) {
    const Piece& piece = pieces[static_cast<size_t>(index)];
    k.quant->gemm({.w = &piece.part->m,
                   .x = &q,
                   .row = 0,
                   .rows = m,
                   .panel = piece.panel,
                   .panels = piece.panels,
                   .y = y + piece.part->column,
                   .y_row = w.n,
                   .accumulate = accumulate});
  });
}

// y (m, w.n) = x (m, w.k) . w, added to y if `accumulate`.
void multiply(const Kernels& k, Pool& pool, int64_t m, const float* x, const Matrix& w, tensor::QuantRows& q, float* y,
              bool accumulate) {
  if (!w.quantised.empty()) return multiply_quantised(k, pool, m, x, w, q, y, accumulate);
  const int64_t most = 2 * m * w.n * w.k / kPieceFlops;
  const int64_t pieces = std::clamp<int64_t>(most, 1, pool.lanes() * int64_t{3});
  const bool by_rows = m >= 48 * pieces;  // else by columns: each weight is read by one thread
  const int64_t unit = by_rows ? 12 : 2 * kPanel;
  const int64_t units = ((by_rows ? m : w.n) + unit - 1) / unit;
  const int64_t each = (units + pieces - 1) / pieces * unit;
  const int64_t count = ((by_rows ? m : w.n) + each - 1) / each;
  pool.run(count, [&](int64_t piece, int) {
    const int64_t r0 = by_rows ? piece * each : 0;
    const int64_t c0 = by_rows ? 0 : piece * each;
    Gemm g;
    g.m = by_rows ? std::min(each, m - r0) : m;
    g.n = by_rows ? w.n : std::min(each, w.n - c0);
    g.k = w.k;
    g.a = x + r0 * w.k;
    g.a_row = w.k;
    const int64_t panel = c0 / kPanel * w.k * kPanel;
    if (w.bf16 != nullptr) {
      g.b16 = w.bf16 + panel;
    } else {
      g.b = w.f32 + panel;
    }
    g.b_panel = w.k * kPanel;
    g.c = y + r0 * w.n + c0;
    g.c_row = w.n;
    g.accumulate = accumulate;
    k.gemm(g);
  });
}

// Row-wise work: `flops` a row, body(first row, count).
template <class Body>
void by_rows(Pool& pool, int64_t rows, int64_t flops, const Body& body) {
  const int64_t pieces = std::clamp<int64_t>(rows * flops * 8 / kPieceFlops, 1, pool.lanes() * int64_t{2});
  const int64_t each = (rows + pieces - 1) / pieces;
  pool.run((rows + each - 1) / each, [&](int64_t piece, int) {
    const int64_t first = piece * each;
    body(first, std::min(each, rows - first));
  });
}

struct Pages {
  const LlamaConfig& config;
  int64_t layer;
  float* keys(float* page, int64_t kv_head) const {  // (D, 16)
    return page + (layer * config.kv_heads + kv_head) * 2 * config.head_dim * kPagePositions;
  }
  float* values(float* page, int64_t kv_head) const {  // (16, D)
    return keys(page, kv_head) + config.head_dim * kPagePositions;
  }
};

void write_pages(const Pages& at, std::span<const TokenRow> rows, std::span<const Sequence> sequences,
                 const float* qkv) {
  const LlamaConfig& c = at.config;
  for (size_t r = 0; r < rows.size(); ++r) {
    const int64_t slot = rows[r].position % kPagePositions;
    float* page =
        sequences[static_cast<size_t>(rows[r].sequence)].pages[static_cast<size_t>(rows[r].position / kPagePositions)];
    const float* key = qkv + static_cast<int64_t>(r) * c.qkv_width() + c.q_width();
    const float* value = key + c.kv_width();
    for (int64_t h = 0; h < c.kv_heads; ++h) {
      float* keys = at.keys(page, h);
      float* values = at.values(page, h);
      if (slot == 0) {
        std::memset(keys, 0, static_cast<size_t>(2 * c.head_dim * kPagePositions) * sizeof(float));
      }
      for (int64_t d = 0; d < c.head_dim; ++d) keys[d * kPagePositions + slot] = key[h * c.head_dim + d];
      std::memcpy(values + slot * c.head_dim, value + h * c.head_dim, static_cast<size_t>(c.head_dim) * 4);
    }
  }
}

// Rows of one sequence whose positions share a page: all of them see the same pages.
struct Chunk {
  int64_t row, count;
};

std::vector<Chunk> chunks_of(std::span<const TokenRow> rows) {
  std::vector<Chunk> out;
  for (size_t r = 0; r < rows.size(); ++r) {
    const bool joins = r > 0 && rows[r].sequence == rows[r - 1].sequence && rows[r].position % kPagePositions != 0;
    if (joins) {
      check(rows[r].position == rows[r - 1].position + 1, "rows of a sequence have consecutive positions");
      ++out.back().count;
    } else {
      out.push_back({static_cast<int64_t>(r), 1});
    }
  }
  return out;
}

// `m` queries at a (stride a_row) against all positions up to and with `last`; query i sees `valid` + i of them, or all
// of them the same if `same`.
struct Queries {
  const float* a;
  int64_t a_row, m, valid;
  bool same;
  float* out;
  int64_t out_row;
};

void attend(const Kernels& k, const Pages& at, int64_t kv_head, std::span<float* const> pages, int64_t count,
            const Queries& q, float scale, float* scores) {
  const int64_t dim = at.config.head_dim;
  const int64_t width = count * kPagePositions;
  for (int64_t p = 0; p < count; ++p) {
    k.gemm({.m = q.m,
            .n = kPagePositions,
            .k = dim,
            .a = q.a,
            .a_row = q.a_row,
            .b = at.keys(pages[static_cast<size_t>(p)], kv_head),
            .c = scores + p * kPagePositions,
            .c_row = width});
  }
  if (q.same) {
    for (int64_t i = 0; i < q.m; ++i) k.softmax(1, q.valid, width, scale, scores + i * width, width, nullptr);
  } else {
    k.softmax(q.m, q.valid, width, scale, scores, width, nullptr);
  }
  for (int64_t p = 0; p < count; ++p) {
    k.gemm({.m = q.m,
            .n = dim,
            .k = kPagePositions,
            .a = scores + p * kPagePositions,
            .a_row = width,
            .b = at.values(pages[static_cast<size_t>(p)], kv_head),
            .b_k = dim,
            .b_panel = kPanel,
            .c = q.out,
            .c_row = q.out_row,
            .accumulate = p > 0});
  }
}

void attention(const LlamaModel& model, Pool& pool, const Pages& at, std::span<const TokenRow> rows,
               std::span<const Sequence> sequences, const std::vector<Chunk>& chunks, Workspace& w) {
  const LlamaConfig& c = model.config;
  const int64_t group = c.heads / c.kv_heads;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(c.head_dim));
  // One row: the heads that share keys are computed together. More rows: one head at a time.
  const auto task = [&](int64_t index, int lane) {
    const Chunk& chunk = chunks[static_cast<size_t>(index / c.kv_heads)];
    const int64_t kv_head = index % c.kv_heads;
    const TokenRow& first = rows[static_cast<size_t>(chunk.row)];
    const auto& pages = sequences[static_cast<size_t>(first.sequence)].pages;
    const int64_t count = first.position / kPagePositions + 1;
    float* scores = w.lane_scores[static_cast<size_t>(lane)].data();
    const float* q = w.qkv.data() + chunk.row * c.qkv_width() + kv_head * group * c.head_dim;
    float* out = w.attention.data() + chunk.row * c.q_width() + kv_head * group * c.head_dim;
    const int64_t valid = first.position + 1;
    if (chunk.count == 1) {
      attend(*model.kernels, at, kv_head, pages, count, {q, c.head_dim, group, valid, true, out, c.head_dim}, scale,
             scores);
      return;
    }
    for (int64_t h = 0; h < group; ++h) {
      attend(*model.kernels, at, kv_head, pages, count,
             {q + h * c.head_dim, c.qkv_width(), chunk.count, valid, false, out + h * c.head_dim, c.q_width()}, scale,
             scores);
    }
  };
  const auto tasks = static_cast<int64_t>(chunks.size()) * c.kv_heads;
  int64_t work = 0;
  for (const TokenRow& row : rows) work += 4 * c.q_width() * (row.position + 1);
  if (work < kPieceFlops) {
    for (int64_t i = 0; i < tasks; ++i) task(i, 0);
  } else {
    pool.run(tasks, task);
  }
}

void check_rows(const LlamaModel& model, std::span<const TokenRow> rows, std::span<const Sequence> sequences,
                std::span<float> logits) {
  int64_t wanted = 0;
  for (const TokenRow& row : rows) {
    check(row.position >= 0 && row.position < model.config.context, "position within the context");
    check(row.sequence >= 0 && static_cast<size_t>(row.sequence) < sequences.size(), "sequence of the call");
    check(
        static_cast<size_t>(row.position / kPagePositions) < sequences[static_cast<size_t>(row.sequence)].pages.size(),
        "enough pages");
    wanted += row.logits ? 1 : 0;
  }
  check(logits.size() >= static_cast<size_t>(wanted * model.config.vocabulary), "room for the logits");
}

void prepare(const LlamaConfig& c, Pool& pool, std::span<const TokenRow> rows, Workspace& w) {
  const size_t n = rows.size();
  w.x.need(n * static_cast<size_t>(c.width));
  w.normed.need(n * static_cast<size_t>(c.width));
  w.qkv.need(n * static_cast<size_t>(c.qkv_width()));
  w.attention.need(n * static_cast<size_t>(c.q_width()));
  w.gate_up.need(n * static_cast<size_t>(2 * c.ffn));
  w.hidden.need(n * static_cast<size_t>(c.ffn));
  w.wanted.need(n * static_cast<size_t>(c.width));
  w.lane_scores.resize(std::max(w.lane_scores.size(), static_cast<size_t>(pool.lanes())));
  int64_t last = 0;
  for (const TokenRow& row : rows) last = std::max<int64_t>(last, row.position);
  const int64_t most_queries = std::max(kPagePositions, c.heads / c.kv_heads);
  const int64_t scores = (last / kPagePositions + 1) * kPagePositions * most_queries;
  for (auto& lane : w.lane_scores) lane.need(static_cast<size_t>(scores));
}

void layer_forward(const LlamaModel& model, Pool& pool, int64_t index, std::span<const TokenRow> rows,
                   std::span<const Sequence> sequences, const std::vector<Chunk>& chunks,
                   const std::vector<int32_t>& positions, Workspace& w) {
  const LlamaConfig& c = model.config;
  const Kernels& k = *model.kernels;
  const LlamaLayer& layer = model.layers[static_cast<size_t>(index)];
  const auto n = static_cast<int64_t>(rows.size());
  const auto normed = [&](const tensor::Floats& gain) {
    by_rows(pool, n, 4 * c.width, [&](int64_t r, int64_t count) {
      k.norm(count, c.width, w.x.data() + r * c.width, c.width, gain.data(), c.norm_epsilon,
             w.normed.data() + r * c.width, c.width, nullptr);
    });
  };
  normed(layer.attention_gain);
  multiply(k, pool, n, w.normed.data(), layer.qkv, w.quantised, w.qkv.data(), false);
  by_rows(pool, n, 4 * c.qkv_width(), [&](int64_t r, int64_t count) {
    if (c.qk_norm) {
      for (int64_t i = r; i < r + count; ++i) {
        float* q = w.qkv.data() + i * c.qkv_width();
        k.norm(c.heads, c.head_dim, q, c.head_dim, layer.q_gain.data(), c.norm_epsilon, q, c.head_dim, nullptr);
        q += c.q_width();
        k.norm(c.kv_heads, c.head_dim, q, c.head_dim, layer.k_gain.data(), c.norm_epsilon, q, c.head_dim, nullptr);
      }
    }
    k.rope(count, c.heads + c.kv_heads, c.head_dim, w.qkv.data() + r * c.qkv_width(), c.qkv_width(), model.cosine,
           model.sine, positions.data() + r, false);
  });
  const Pages at{c, index};
  write_pages(at, rows, sequences, w.qkv.data());
  attention(model, pool, at, rows, sequences, chunks, w);
  multiply(k, pool, n, w.attention.data(), layer.out, w.quantised, w.x.data(), true);
  normed(layer.ffn_gain);
  multiply(k, pool, n, w.normed.data(), layer.gate_up, w.quantised, w.gate_up.data(), false);
  by_rows(pool, n, 20 * c.ffn, [&](int64_t r, int64_t count) {
    k.swiglu(count, c.ffn, w.gate_up.data() + r * 2 * c.ffn, 2 * c.ffn, w.hidden.data() + r * c.ffn, c.ffn);
  });
  multiply(k, pool, n, w.hidden.data(), layer.down, w.quantised, w.x.data(), true);
}

}  // namespace

void forward_tokens(const LlamaModel& model, Pool& pool, std::span<const TokenRow> rows,
                    std::span<const Sequence> sequences, Workspace& w, std::span<float> logits) {
  if (rows.empty()) return;
  const LlamaConfig& c = model.config;
  check(model.device == nullptr, "a model in the processor's memory");
  check_rows(model, rows, sequences, logits);
  prepare(c, pool, rows, w);
  const std::vector<Chunk> chunks = chunks_of(rows);
  std::vector<int32_t> positions;
  for (size_t r = 0; r < rows.size(); ++r) {
    positions.push_back(rows[r].position);
    model.embed(rows[r].token, w.x.data() + static_cast<int64_t>(r) * c.width);
  }
  for (int64_t l = 0; l < c.layers; ++l) layer_forward(model, pool, l, rows, sequences, chunks, positions, w);

  int64_t wanted = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    if (!rows[r].logits) continue;
    model.kernels->norm(1, c.width, w.x.data() + static_cast<int64_t>(r) * c.width, c.width, model.final_gain.data(),
                        c.norm_epsilon, w.wanted.data() + wanted * c.width, c.width, nullptr);
    ++wanted;
  }
  if (wanted > 0)
    multiply(*model.kernels, pool, wanted, w.wanted.data(), model.head, w.quantised, logits.data(), false);
}

Status forward(const LlamaModel& model, Pool& pool, std::span<const TokenRow> rows, std::span<const Sequence> sequences,
               Workspace& w, std::span<float> logits) {
  if (model.device == nullptr) {
    forward_tokens(model, pool, rows, sequences, w, logits);
    return {};
  }
  if (rows.empty()) return {};
  check_rows(model, rows, sequences, logits);
  return model.device->forward(rows, sequences, logits);
}

}  // namespace hf::model
