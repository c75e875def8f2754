#include "format/config.h"

#include <algorithm>

#include "format/json.h"

namespace hf::format {
namespace {

namespace json = boost::json;
const std::string kWhat = "config.json";

// Bounds far above any model, such that vocabulary * width and 4 * inner * width * layers stay below 2^62.
constexpr int64_t kMaxVocabulary = int64_t{1} << 20, kMaxWidth = 1 << 16, kMaxInner = 1 << 18, kMaxLayers = 1024,
                  kMaxHeads = 1024, kMaxContext = int64_t{1} << 24;

Error refused(const std::string& reason) { return fail(Code::corrupt, kWhat + ": " + reason); }

Status check_kind(const JsonObject& root) {
  const std::string type = TRY(root.string("model_type", "llama"));
  if (type != "llama") return refused("model_type: expected llama, found another one");
  if (root.has("architectures")) {
    const json::array& names = *TRY(root.array("architectures"));
    const bool known = names.size() == 1 && names[0].is_string() && names[0].get_string() == "LlamaForCausalLM";
    if (!known) return refused("architectures: expected [\"LlamaForCausalLM\"]");
  }
  const std::string activation = TRY(root.string("hidden_act", "silu"));
  if (activation != "silu") return refused("hidden_act: expected silu");
  for (const char* bias : {"attention_bias", "mlp_bias"})
    if (TRY(root.boolean(bias, false))) return refused(std::string(bias) + ": biases are not supported");
  if (root.has("quantization_config")) return refused("quantization_config: quantised weights are not supported");
  return {};
}

Result<std::optional<Llama3Rope>> parse_rope(const JsonObject& root) {
  if (!root.has("rope_scaling")) return std::optional<Llama3Rope>();
  const JsonObject rope = TRY(root.object("rope_scaling"));
  const std::string type = TRY(rope.string("rope_type", TRY(rope.string("type", "default"))));
  if (type == "default") return std::optional<Llama3Rope>();
  if (type != "llama3") return refused("rope_scaling: expected rope_type llama3, found another one");
  Llama3Rope out;
  out.factor = TRY(rope.number("factor", 1, 1e6));
  out.low_freq_factor = TRY(rope.number("low_freq_factor", 1e-3, 1e6));
  out.high_freq_factor = TRY(rope.number("high_freq_factor", 1e-3, 1e6));
  out.original_context = TRY(rope.integer("original_max_position_embeddings", 1, kMaxContext));
  if (out.high_freq_factor <= out.low_freq_factor)
    return refused("rope_scaling: expected high_freq_factor above low_freq_factor");
  return std::optional<Llama3Rope>(out);
}

Result<std::vector<int64_t>> parse_ends(const JsonObject& root) {
  const json::value* value = root.get("eos_token_id");
  if (!value) return std::vector<int64_t>();
  json::array one;
  if (!value->is_array()) one.push_back(*value);
  const json::array& list = value->is_array() ? value->get_array() : one;
  std::vector<int64_t> out;
  for (const json::value& id : list) {
    if (list.size() > 64 || !id.is_int64() || id.get_int64() < 0 || id.get_int64() >= kMaxVocabulary)
      return root.wrong("eos_token_id", "a token id, or at most 64 of them");
    out.push_back(id.get_int64());
  }
  return out;
}

}  // namespace

int64_t LlamaConfig::parameters() const {
  const int64_t attention = 2 * width * heads * head_width + 2 * width * kv_heads * head_width;
  const int64_t layer = attention + 3 * width * inner + 2 * width;
  return vocabulary * width * (tied ? 1 : 2) + layers * layer + width;
}

Result<LlamaConfig> parse_config(std::string_view text) {
  const json::value value = TRY(parse_json(text, kMaxConfigBytes, kWhat));
  const JsonObject root = TRY(JsonObject::of(value, kWhat));
  TRY(check_kind(root));
  LlamaConfig out;
  out.vocabulary = TRY(root.integer("vocab_size", 1, kMaxVocabulary));
  out.width = TRY(root.integer("hidden_size", 1, kMaxWidth));
  out.layers = TRY(root.integer("num_hidden_layers", 1, kMaxLayers));
  out.heads = TRY(root.integer("num_attention_heads", 1, kMaxHeads));
  out.kv_heads = TRY(root.integer("num_key_value_heads", 1, kMaxHeads, out.heads));
  if (out.heads % out.kv_heads != 0) return refused("num_attention_heads: expected a multiple of num_key_value_heads");
  if (!root.has("head_dim") && out.width % out.heads != 0)
    return refused("hidden_size: expected a multiple of num_attention_heads, or head_dim");
  out.head_width = TRY(root.integer("head_dim", 2, 1024, out.width / out.heads));
  if (out.head_width % 2 != 0 || out.head_width < 2) return refused("head_dim: expected an even number from 2");
  out.inner = TRY(root.integer("intermediate_size", 1, kMaxInner));
  out.context = TRY(root.integer("max_position_embeddings", 1, kMaxContext, 2048));
  out.rope_theta = TRY(root.number("rope_theta", 1, 1e12, 10000));
  out.rope_scaling = TRY(parse_rope(root));
  out.norm_epsilon = TRY(root.number("rms_norm_eps", 1e-12, 1, 1e-6));
  out.tied = TRY(root.boolean("tie_word_embeddings", false));
  out.dtype = TRY(root.string("torch_dtype", TRY(root.string("dtype", "float32"))));
  if (out.dtype != "float32" && out.dtype != "bfloat16" && out.dtype != "float16")
    return refused("torch_dtype: expected float32, bfloat16 or float16");
  if (root.has("bos_token_id")) out.begin_token = TRY(root.integer("bos_token_id", 0, kMaxVocabulary - 1));
  out.end_tokens = TRY(parse_ends(root));
  return out;
}

std::string write_config(const LlamaConfig& config) {
  json::object out = {{"architectures", json::array{"LlamaForCausalLM"}},
                      {"model_type", "llama"},
                      {"vocab_size", config.vocabulary},
                      {"hidden_size", config.width},
                      {"num_hidden_layers", config.layers},
                      {"num_attention_heads", config.heads},
                      {"num_key_value_heads", config.kv_heads},
                      {"head_dim", config.head_width},
                      {"intermediate_size", config.inner},
                      {"max_position_embeddings", config.context},
                      {"hidden_act", "silu"},
                      {"rms_norm_eps", config.norm_epsilon},
                      {"rope_theta", config.rope_theta},
                      {"attention_bias", false},
                      {"mlp_bias", false},
                      {"tie_word_embeddings", config.tied},
                      {"torch_dtype", config.dtype}};
  if (const auto& rope = config.rope_scaling)
    out["rope_scaling"] = {{"rope_type", "llama3"},
                           {"factor", rope->factor},
                           {"low_freq_factor", rope->low_freq_factor},
                           {"high_freq_factor", rope->high_freq_factor},
                           {"original_max_position_embeddings", rope->original_context}};
  if (config.begin_token) out["bos_token_id"] = *config.begin_token;
  if (config.end_tokens.size() == 1) out["eos_token_id"] = config.end_tokens[0];
  if (config.end_tokens.size() > 1) out["eos_token_id"] = json::value_from(config.end_tokens);
  return json::serialize(out) + "\n";
}

}  // namespace hf::format
