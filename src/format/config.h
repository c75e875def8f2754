// config.json of a Hugging Face folder with a model of Llama's shape (model_type "llama"), read and written.
// What we would compute wrongly is refused by name: other activations, biases, scalings of rotary positions other than
// Llama 3's, quantised weights. Members that change nothing at inference (dropout, cache flags) are passed over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::format {

// Llama 3.1's stretching of rotary wavelengths, "rope_scaling": {"rope_type": "llama3", ...}.
struct Llama3Rope {
  double factor = 8, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_context = 8192;
};

struct LlamaConfig {
  int64_t vocabulary = 0;  // vocab_size: rows of the embedding
  int64_t width = 0;       // hidden_size
  int64_t layers = 0;      // num_hidden_layers
  int64_t heads = 0;       // num_attention_heads: of queries
  int64_t kv_heads = 0;    // num_key_value_heads; divides heads
  int64_t head_width = 0;  // head_dim; even
  int64_t inner = 0;       // intermediate_size: of the feed-forward
  int64_t context = 0;     // max_position_embeddings
  double rope_theta = 10000;
  std::optional<Llama3Rope> rope_scaling;
  double norm_epsilon = 1e-5;          // rms_norm_eps
  bool tied = false;                   // tie_word_embeddings: the head is the embedding
  std::string dtype;                   // torch_dtype: "float32", "bfloat16", "float16"; what the file says, for show
  std::optional<int64_t> begin_token;  // bos_token_id
  std::vector<int64_t> end_tokens;     // eos_token_id: one or several

  int64_t parameters() const;  // by the shapes above
};

inline constexpr size_t kMaxConfigBytes = 1 << 20;

// corrupt: which member, what was expected. Ranges are such that no product of shapes overflows.
Result<LlamaConfig> parse_config(std::string_view json);
std::string write_config(const LlamaConfig& config);  // as transformers writes it: other tools open it

}  // namespace hf::format
