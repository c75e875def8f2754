// Architectures we know, by the names that Hugging Face's config.json uses. One row each in arch.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/llama.h"

namespace hf::model {

struct Architecture {
  const char* hf_name;     // config.json "architectures"[0]
  const char* model_type;  // config.json "model_type"
  bool qk_norm;            // LlamaConfig's
};
std::span<const Architecture> architectures();

struct ModelConfig {
  std::string architecture;  // hf_name
  LlamaConfig llama;
  std::vector<int64_t> eos_tokens;  // "eos_token_id": one or a list; may be empty
  int64_t bos_token = -1;           // -1: none
};

// invalid: not JSON, an unknown architecture, a setting that would change the result and that we do not compute (named:
// attention_bias, mlp_bias, hidden_act, sliding_window, rope_scaling of another type, ...), or a value out of range.
Result<ModelConfig> read_config(std::string_view json);
// config.json for what we train: LlamaForCausalLM, torch_dtype of `type`.
std::string write_config(const ModelConfig& config, tensor::DType type);

}  // namespace hf::model
