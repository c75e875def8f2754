// The inside of LlamaTrainer: weights with their optimiser state, and the pass of one chunk. Not for others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/llama.h"
#include "model/ops/attention.h"
#include "model/trainer.h"
#include "tensor/buffer.h"
#include "tensor/kernels.h"
#include "tensor/pairs.h"

namespace hf::model::training {

using Pairs = tensor::Buffer<uint32_t>;

// A weight within the flat arrays.
struct Param {
  enum class Kind {
    matrix,  // (k, n) in panels; packed: (n, k) in panels, for gradients of inputs
    table,   // (k, n) row-major, k tokens; packed: (n, k) in panels, for logits
    vector,  // n gains; not packed
  };
  Kind kind = Kind::vector;
  int64_t k = 1, n = 0;
  int64_t at = 0, size = 0;  // floats in value, gradient, first, second
  int64_t packed_at = 0;     // floats in packed
  // Compute::bf16 instead of packed, both in panels: pairs along the inputs for x . w (a table: along n, for logits),
  // and along the outputs for dy . w^T (a table: along the tokens).
  int64_t forward_at = 0, backward_at = 0;  // in pairs
  bool decays = false;
};

struct LayerParams {
  size_t attention_gain, q, kv, out, ffn_gain, gate_up, down;  // kv: keys, then values
};

struct Weights {
  Weights(const LlamaConfig& config, Compute compute);

  std::vector<Param> params;
  std::vector<LayerParams> layers;
  size_t embedding, head, final_gain;  // head == embedding if tied
  Compute compute;
  tensor::Floats value, gradient, first, second;
  tensor::Floats packed;  // Compute::f32
  Pairs pairs;            // Compute::bf16

  // A block of a param: what one task of the optimiser takes. Fixed by the config.
  struct Block {
    size_t param;
    int64_t first, count;  // matrix: panels; table: rows (16, or fewer at the end); vector: everything
  };
  std::vector<Block> blocks;

  float* of(size_t param) { return value.data() + params[param].at; }
  const float* of(size_t param) const { return value.data() + params[param].at; }
  float* gradient_of(size_t param) { return gradient.data() + params[param].at; }
  const float* packed_of(size_t param) const { return packed.data() + params[param].packed_at; }
  std::pair<int64_t, int64_t> range(const Block& block) const;  // floats: at, count
  const uint32_t* forward_of(size_t param) const { return pairs.data() + params[param].forward_at; }
  const uint32_t* backward_of(size_t param) const { return pairs.data() + params[param].backward_at; }
  void pack(const tensor::Kernels& k, const Block& block);

 private:
  size_t add(Param::Kind kind, int64_t k, int64_t n, bool decays);
  void pack_floats(const tensor::Kernels& k, const Block& block);
  void pack_pairs(const tensor::Kernels& k, const Block& block);
};

// Whole sequences [first, end) of a batch. Rows are numbered within the batch (row) and within the micro-batch (the
// others): r all rows, s rows that the last layer computes (from each sequence's first target on), t rows with targets.
struct Chunk {
  int64_t first = 0, end = 0, row = 0;
  int64_t r0 = 0, r = 0, s0 = 0, s = 0, t0 = 0, t = 0;
  // Compute::bf16: where the chunk's rows begin in pairs of rows. Each chunk begins a pair, so that what is summed
  // together depends on the chunk alone.
  int64_t r_pair = 0, s_pair = 0, t_pair = 0;
  size_t index = 0;  // within the batch
};

// Compute::bf16: what a matrix's gradient x^T . dy is made of, rows in pairs.
struct PairRows {
  Pairs x;   // [row pair][columns, rounded up to 16]
  Pairs dy;  // [columns / 16][row pair][16]
  void need(int64_t row_pairs, int64_t x_columns, int64_t dy_columns);
};

// What a micro-batch keeps from the chunks' passes for the weights' gradients; rows as in Chunk. In the last layer the
// members marked s have s rows, else r rows.
struct LayerStore {
  tensor::Floats normed;      // (r, C): input of kv, and of q but in the last layer
  tensor::Floats normed_q;    // (s, C): last layer only
  tensor::Floats attention;   // (s, H D): input of out
  tensor::Floats normed_ffn;  // (s, C): input of gate_up
  tensor::Floats hidden;      // (s, F): input of down
  tensor::Floats d_q, d_kv;   // (s, H D), (r, 2 K D)
  tensor::Floats d_out;       // (s, C): of out's output
  tensor::Floats gate_up;     // (s, 2F): the values, then their gradient
  tensor::Floats d_down;      // (s, C): of down's output
  // Compute::bf16, instead of d_out and d_down: the same by matrix. q_rows.x is empty where kv's serves.
  PairRows q_rows, kv_rows, out_rows, gate_up_rows, down_rows;
};

struct Store {
  std::vector<LayerStore> layers;
  tensor::Floats final_normed;  // (t, C): input of head
  tensor::Floats d_logits;      // (t, V)
  tensor::Floats d_embedded;    // (r, C)
  PairRows head_rows;           // Compute::bf16: x is d_logits, dy final_normed
  int64_t r = 0, s = 0, t = 0;
  int64_t r_pairs = 0, s_pairs = 0, t_pairs = 0;
  void need(const LlamaConfig& config, bool backward);  // for r, s and t
  void need_pairs(const LlamaConfig& config);           // for their pairs
  uint64_t bytes() const;
};

// One thread's memory for a chunk.
struct LayerSaved {
  tensor::Floats x, q, kv, log_sum, middle, scale, scale_ffn;  // inputs of both norms; rotated q and k
};
struct Scratch {
  std::vector<LayerSaved> layers;
  tensor::Floats final_x, wanted_x, wanted_scale, losses;
  tensor::Floats dx, dx_all, d_normed, d_q_normed, d_attention, d_hidden, d_wanted;
  std::vector<int32_t> positions, s_positions, targets;
  std::vector<int64_t> s_rows, t_rows;  // of the chunk: r of each s; s of each t
  std::vector<float> weights;
  AttentionScratch attention;
  Pairs operand;  // Compute::bf16: the left operand of a product
};

constexpr int64_t whole_panels(int64_t columns) { return tensor::panels(columns) * tensor::kPanel; }

struct PassInput {
  const LlamaConfig& config;
  const tensor::Kernels& kernels;
  const Weights& weights;
  const Batch& batch;
  const float* cosine;
  const float* sine;
  float weight_scale;  // 1 / sum of the batch's weights
};

// Returns the sum of weight * loss over the chunk's targets.
double forward_chunk(const PassInput& in, const Chunk& chunk, Store& store, Scratch& scratch);
// After forward_chunk with the same scratch. gains: gradients of all gains for this chunk, in the order of
// gain_params(), overwritten.
void backward_chunk(const PassInput& in, const Chunk& chunk, Store& store, Scratch& scratch, float* gains);
std::vector<size_t> gain_params(const Weights& weights);  // attention and ffn gain of each layer, then the final one

}  // namespace hf::model::training
