#include "model/arch/arch.h"

#include <array>
#include <boost/json.hpp>
#include <optional>

namespace hf::model {
namespace {

namespace json = boost::json;

// One row an architecture. All of these compute what llama.h says when the settings that read_config refuses are off.
constexpr std::array<Architecture, 3> kArchitectures{{
    {"LlamaForCausalLM", "llama", false},
    {"MistralForCausalLM", "mistral", false},
    {"Qwen3ForCausalLM", "qwen3", true},
}};

Error wrong(std::string_view key, std::string_view expected) {
  return fail(Code::invalid, "config.json: '" + std::string(key) + "' must be " + std::string(expected));
}

class Reader {
 public:
  explicit Reader(const json::object& object) : object_(object) {}

  const json::value* find(std::string_view key) const {
    const json::value* v = object_.if_contains(key);
    return v == nullptr || v->is_null() ? nullptr : v;
  }
  Result<int64_t> integer(std::string_view key, std::optional<int64_t> other = {}) const {
    const json::value* v = find(key);
    if (v == nullptr) {
      if (other) return *other;
      return wrong(key, "present");
    }
    if (const int64_t* i = v->if_int64()) return *i;
    return wrong(key, "an integer");
  }
  Result<double> number(std::string_view key, double other) const {
    const json::value* v = find(key);
    if (v == nullptr) return other;
    if (const double* d = v->if_double()) return *d;
    if (const int64_t* i = v->if_int64()) return static_cast<double>(*i);
    return wrong(key, "a number");
  }
  Result<bool> boolean(std::string_view key, bool other) const {
    const json::value* v = find(key);
    if (v == nullptr) return other;
    if (const bool* b = v->if_bool()) return *b;
    return wrong(key, "true or false");
  }

 private:
  const json::object& object_;
};

Status refuse_what_we_do_not_compute(const Reader& r) {
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (TRY(r.boolean(key, false))) return wrong(key, "false: biases are not supported");
  }
  if (const json::value* act = r.find("hidden_act"); act != nullptr && *act != "silu") {
    return wrong("hidden_act", "\"silu\"");
  }
  for (const char* key : {"sliding_window", "quantization_config"}) {
    if (r.find(key) != nullptr) return wrong(key, "null: it is not supported");
  }
  if (const json::value* partial = r.find("partial_rotary_factor");
      partial != nullptr && *partial != 1 && *partial != 1.0) {
    return wrong("partial_rotary_factor", "1");
  }
  return {};
}

Result<RopeScaling> read_scaling(const Reader& r) {
  RopeScaling out;
  const json::value* v = r.find("rope_scaling");
  if (v == nullptr) return out;
  const json::object* object = v->if_object();
  if (object == nullptr) return wrong("rope_scaling", "an object or null");
  const Reader s(*object);
  const json::value* type = s.find("rope_type") != nullptr ? s.find("rope_type") : s.find("type");
  if (type != nullptr && *type == "default") return out;
  if (type == nullptr || *type != "llama3") return wrong("rope_scaling.rope_type", "\"llama3\" or \"default\"");
  out.factor = TRY(s.number("factor", 1));
  out.low_frequency = TRY(s.number("low_freq_factor", 1));
  out.high_frequency = TRY(s.number("high_freq_factor", 4));
  out.original_context = TRY(s.integer("original_max_position_embeddings", 8192));
  if (!(out.factor >= 1 && out.factor <= 1024) || !(out.low_frequency > 0 && out.low_frequency < out.high_frequency) ||
      out.original_context < 1) {
    return wrong("rope_scaling", "of a factor 1 to 1024 and 0 < low_freq_factor < high_freq_factor");
  }
  return out;
}

Status read_tokens(const Reader& r, ModelConfig* out) {
  if (const json::value* bos = r.find("bos_token_id")) {
    if (!bos->is_int64()) return wrong("bos_token_id", "an integer");
    out->bos_token = bos->as_int64();
  }
  const json::value* eos = r.find("eos_token_id");
  if (eos == nullptr) return {};
  if (eos->is_int64()) {
    out->eos_tokens.push_back(eos->as_int64());
    return {};
  }
  const json::array* list = eos->if_array();
  if (list == nullptr || list->size() > 64) return wrong("eos_token_id", "an integer or a list of at most 64");
  for (const json::value& v : *list) {
    if (!v.is_int64()) return wrong("eos_token_id", "an integer or a list of integers");
    out->eos_tokens.push_back(v.as_int64());
  }
  return {};
}

Result<const Architecture*> read_architecture(const Reader& r) {
  const json::value* names = r.find("architectures");
  const json::array* list = names != nullptr ? names->if_array() : nullptr;
  if (list == nullptr || list->size() != 1 || !(*list)[0].is_string()) {
    return wrong("architectures", "a list of one name");
  }
  const json::string& name = (*list)[0].as_string();
  std::string known;
  for (const Architecture& a : kArchitectures) {
    if (name == a.hf_name) return &a;
    known += (known.empty() ? "" : ", ") + std::string(a.hf_name);
  }
  return fail(Code::invalid, "config.json: architecture must be one of " + known + "; found '" +
                                 std::string(std::string_view(name).substr(0, 64)) + "'");
}

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

Result<ModelConfig> read_config(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  const json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) return fail(Code::invalid, "config.json is not a JSON object");
  const Reader r(value.as_object());
  ModelConfig out;
  const Architecture* architecture = TRY(read_architecture(r));
  out.architecture = architecture->hf_name;
  TRY(refuse_what_we_do_not_compute(r));
  LlamaConfig& c = out.llama;
  c.layers = TRY(r.integer("num_hidden_layers"));
  c.width = TRY(r.integer("hidden_size"));
  c.heads = TRY(r.integer("num_attention_heads"));
  if (c.heads < 1 || c.width < 1) return wrong("num_attention_heads", "at least 1, and so 'hidden_size'");
  c.kv_heads = TRY(r.integer("num_key_value_heads", c.heads));
  c.head_dim = TRY(r.integer("head_dim", c.width / c.heads));
  c.ffn = TRY(r.integer("intermediate_size"));
  c.vocabulary = TRY(r.integer("vocab_size"));
  c.context = TRY(r.integer("max_position_embeddings", 2048));
  c.norm_epsilon = static_cast<float>(TRY(r.number("rms_norm_eps", 1e-6)));
  c.rope_theta = TRY(r.number("rope_theta", 10000));
  c.rope_scaling = TRY(read_scaling(r));
  c.tied = TRY(r.boolean("tie_word_embeddings", false));
  c.qk_norm = architecture->qk_norm;
  TRY(check_config(c));
  TRY(read_tokens(r, &out));
  return out;
}

std::string write_config(const ModelConfig& config, tensor::DType type) {
  const LlamaConfig& c = config.llama;
  json::array eos(config.eos_tokens.begin(), config.eos_tokens.end());
  json::object out{
      {"architectures", json::array{config.architecture}},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"bos_token_id", config.bos_token < 0 ? json::value() : json::value(config.bos_token)},
      {"eos_token_id", eos.size() == 1 ? eos[0]
                       : eos.empty()   ? json::value()
                                       : json::value(eos)},
      {"head_dim", c.head_dim},
      {"hidden_act", "silu"},
      {"hidden_size", c.width},
      {"initializer_range", 0.02},
      {"intermediate_size", c.ffn},
      {"max_position_embeddings", c.context},
      {"mlp_bias", false},
      {"model_type", "llama"},
      {"num_attention_heads", c.heads},
      {"num_hidden_layers", c.layers},
      {"num_key_value_heads", c.kv_heads},
      {"rms_norm_eps", static_cast<double>(c.norm_epsilon)},
      {"rope_scaling", nullptr},
      {"rope_theta", c.rope_theta},
      {"tie_word_embeddings", c.tied},
      {"torch_dtype", type == tensor::DType::f32    ? "float32"
                      : type == tensor::DType::bf16 ? "bfloat16"
                                                    : "float16"},
      {"use_cache", true},
      {"vocab_size", c.vocabulary},
  };
  if (c.rope_scaling.factor != 1) {
    out["rope_scaling"] = {{"rope_type", "llama3"},
                           {"factor", c.rope_scaling.factor},
                           {"low_freq_factor", c.rope_scaling.low_frequency},
                           {"high_freq_factor", c.rope_scaling.high_frequency},
                           {"original_max_position_embeddings", c.rope_scaling.original_context}};
  }
  return json::serialize(out) + "\n";
}

}  // namespace hf::model
