// The Llama family's decoder: token + position -> logits.
//
//   x = embedding[token]
//   each layer:  x += wo . attention(rope(wq . n), rope(wk . n), wv . n)     n = rmsnorm(x) * gain
//                with qk_norm, each head's query and key are normed (with a gain of their own) before rope
//                x += down . (silu(gate . n) * (up . n))                     n = rmsnorm(x) * gain
//   logits = head . (rmsnorm(x) * gain)
//
// Shapes: C width, H heads, K kv_heads (H is a multiple of K), D head_dim, F ffn, V vocabulary, L layers.
// Weights are right operands: (inputs, outputs), in panels (tensor/kernels.h, tensor/quant.h). Files hold the
// transpose.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/kernels.h"
#include "tensor/pool.h"
#include "tensor/quant.h"

namespace hf::model {

// Long-context scaling of the rotary frequencies as Llama 3.1 does it; factor 1: none.
struct RopeScaling {
  double factor = 1, low_frequency = 1, high_frequency = 4;
  int64_t original_context = 8192;
  std::vector<float> divisors;  // of each pair's frequency, instead of the above; empty, or head_dim / 2 of them
};

struct LlamaConfig {
  int64_t layers = 0, width = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocabulary = 0;
  int64_t context = 0;  // positions are [0, context)
  float norm_epsilon = 1e-5f;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tied = false;     // the head is the embedding
  bool qk_norm = false;  // Qwen3's

  int64_t q_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  int64_t qkv_width() const { return q_width() + 2 * kv_width(); }
  int64_t parameters() const;
};

// invalid: which member, what was expected, what was found. Limits: 256 layers, width 32768, ffn 131072, head_dim 512
// (even), vocabulary 1 << 20, context 1 << 20.
Status check_config(const LlamaConfig& config);

// What rope_scaling divides each pair's frequency by: head_dim / 2 of them, or none.
std::vector<float> rope_divisors(const LlamaConfig& config);

// A tensor of a model folder: its Hugging Face name and shape ("model.layers.3.mlp.up_proj.weight", {F, C}).
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
};
std::vector<TensorSpec> tensor_specs(const LlamaConfig& config);  // in file order

// Where weights come from: the view of a name, or not_found. Its data must live until load() returns.
using TensorSource = std::function<Result<tensor::View>(const std::string& name)>;

// A right operand (k, n) in panels: as floats, as bfloat16, or quantised. One of the three is there.
struct Matrix {
  int64_t k = 0, n = 0;
  const float* f32 = nullptr;
  const uint16_t* bf16 = nullptr;
  struct Quantised {
    tensor::QuantMatrix m;
    int64_t column;  // its first, of the whole
  };
  std::vector<Quantised> quantised;  // side by side: the parts of qkv may be of different types
};

// Where the kernels' forms of the weights lie: one piece, 64-byte aligned, that the model keeps.
struct WeightMemory {
  uint8_t* data = nullptr;
  bool filled = false;           // by an earlier load of the same tensors, by the same layout: it is only read
  std::shared_ptr<void> keep;    // owns it
  std::function<Status()> seal;  // called once it is filled; may be empty
};
struct LoadOptions {
  bool bf16 = false;          // keep floating-point matrices as bfloat16 (exact if they are), else as floats
  bool source_stays = false;  // the source's data lives as long as the model: an untied embedding is read from there
  std::function<Result<WeightMemory>(size_t bytes)> memory;  // empty: plain memory
};
// Changes with what the kernels' forms mean; the memory of another is not `filled`.
inline constexpr uint32_t kWeightLayoutVersion = 1 + 1000 * tensor::kQuantLayoutVersion;

struct LlamaLayer {
  tensor::Floats attention_gain, ffn_gain;  // (C)
  tensor::Floats q_gain, k_gain;            // (D), qk_norm's
  Matrix qkv;                               // (C, (H + 2K) D): queries, keys, values
  Matrix out;                               // (H D, C)
  Matrix gate_up;                           // (C, 2F): gates, then ups
  Matrix down;                              // (F, C)
};

class DeviceLlama;                    // llama_device.h
using Page = std::shared_ptr<float>;  // of keys and values (below); where the model computes

// Read-only after load: any number of threads may use it at once; one on a device (kernels.device) a single one.
class LlamaModel {
 public:
  LlamaModel();
  ~LlamaModel();

  // Quantised tensors stay so, exactly. invalid/not_found: which tensor is missing or has which other shape.
  static Result<std::unique_ptr<LlamaModel>> load(const LlamaConfig& config, const TensorSource& source,
                                                  const LoadOptions& options, const tensor::Kernels& kernels);
  static Result<std::unique_ptr<LlamaModel>> load(const LlamaConfig& config, const TensorSource& source, bool bf16,
                                                  const tensor::Kernels& kernels) {
    LoadOptions options;
    options.bf16 = bf16;
    return load(config, source, options, kernels);
  }

  LlamaConfig config;
  const tensor::Kernels* kernels = nullptr;
  Matrix head;                    // (C, V); holds the embedding too if tied: token t is column t
  tensor::Floats embedding;       // (V, C) row-major; empty if tied or in the source
  tensor::View source_embedding;  // the same where the source stays
  tensor::Floats final_gain;
  std::vector<LlamaLayer> layers;
  const float* cosine = nullptr;  // (context, D/2)
  const float* sine = nullptr;
  WeightMemory memory;                  // of the matrices and the angles
  std::unique_ptr<DeviceLlama> device;  // has the matrices and angles then, and `memory` is gone

  void embed(int32_t token, float* out) const;  // C floats
  Result<Page> new_page() const;                // exhausted: the device has no room
};

// Angles of all positions: (context, D/2) cosines and sines.
void rope_tables(const LlamaConfig& config, tensor::Floats* cosine, tensor::Floats* sine);

// ---- Paged keys and values
// A page holds kPagePositions positions of all layers: page_floats(config) floats, 64-byte aligned. Position p of a
// sequence is slot p % 16 of its page p / 16. Inside, for layer l and kv head h: keys [D][16], then values [16][D].
// forward_tokens clears a page's slots when it writes slot 0, so nothing of its former owner is ever read.
constexpr int64_t kPagePositions = 16;
int64_t page_floats(const LlamaConfig& config);

struct Sequence {
  std::span<float* const> pages;  // enough for the positions of its rows; may be shared for reading below them
};

struct TokenRow {
  int32_t token = 0;
  int32_t position = 0;  // < config.context
  int32_t sequence = 0;  // index into `sequences`
  bool logits = false;   // wanted for this row
};

// Scratch memory, kept between calls; one for each thread that calls forward_tokens.
struct Workspace {
  tensor::Floats x, normed, qkv, attention, gate_up, hidden, wanted;
  tensor::QuantRows quantised;
  std::vector<tensor::Floats> lane_scores;
};

// One step for a batch of rows. Rows of one sequence are consecutive, with consecutive positions; earlier positions
// must have been computed before (their keys and values are in the pages). Writes keys and values of the rows into the
// pages, and V logits for each row that wants them into `logits`, in row order.
// Each row's result is the same bits whatever other rows are in the call, however a prompt is cut into calls, and
// whatever the pool. Input is checked (check()): the caller validates tokens and positions.
void forward_tokens(const LlamaModel& model, tensor::Pool& pool, std::span<const TokenRow> rows,
                    std::span<const Sequence> sequences, Workspace& workspace, std::span<float> logits);
// The same where the model is: by forward_tokens(), or on its device. An error is a device's: unavailable where it
// failed, exhausted where it has no room.
Status forward(const LlamaModel& model, tensor::Pool& pool, std::span<const TokenRow> rows,
               std::span<const Sequence> sequences, Workspace& workspace, std::span<float> logits);

}  // namespace hf::model
