#include "model/arch/gguf.h"

#include <array>
#include <boost/json.hpp>
#include <string_view>
#include <utility>

namespace hf::model {
namespace {

namespace json = boost::json;

struct Row {
  const char* gguf;
  const char* hf_name;
  bool qk_norm;
  bool paired;  // q and k are stored for rotations of neighbours (2i, 2i + 1)
};
constexpr std::array<Row, 2> kRows{{
    {"llama", "LlamaForCausalLM", false, true},
    {"qwen3", "Qwen3ForCausalLM", true, false},
}};

Result<const Row*> row_of(const format::Gguf& file) {
  const std::string_view name = TRY(file.text("general.architecture"));
  std::string known;
  for (const Row& row : kRows) {
    if (name == row.gguf) return &row;
    known += (known.empty() ? "" : ", ") + std::string(row.gguf);
  }
  return fail(Code::invalid,
              "GGUF: architecture must be one of " + known + "; found '" + std::string(name.substr(0, 64)) + "'");
}

Error not_computed(const std::string& key, const std::string& why) {
  return fail(Code::invalid, "GGUF: '" + key + "' " + why);
}

Status refuse_what_we_do_not_compute(const format::Gguf& file, const std::string& p) {
  if (TRY(file.integer(p + "expert_count", 0)) != 0) return not_computed(p + "expert_count", "must be 0");
  for (const char* key : {"attention.sliding_window", "logit_scale", "residual_scale", "attention.scale"})
    if (file.find(p + key) != nullptr) return not_computed(p + key, "is not supported");
  if (file.find(p + "rope.scaling.type") != nullptr) {
    const auto type = TRY(file.text(p + "rope.scaling.type"));
    if (type != "none") return not_computed(p + "rope.scaling.type", "must be \"none\"");
  }
  return {};
}

// Llama 3.1's scaling comes as a tensor of divisors, one for each pair of a head.
Status read_divisors(const format::Gguf& file, LlamaConfig* c) {
  const auto it = file.tensors().find("rope_freqs.weight");
  if (it == file.tensors().end()) return {};
  const tensor::View view = file.view(it->second);
  if (view.type != tensor::DType::f32 || view.shape != std::vector<int64_t>{c->head_dim / 2})
    return fail(Code::invalid, "GGUF: tensor 'rope_freqs.weight' must be " + std::to_string(c->head_dim / 2) + " F32");
  c->rope_scaling.divisors.resize(static_cast<size_t>(c->head_dim / 2));
  to_floats(view, 0, c->head_dim / 2, c->rope_scaling.divisors.data());
  for (float d : c->rope_scaling.divisors)
    if (!(d >= 1e-3f && d <= 1e6f)) return fail(Code::invalid, "GGUF: 'rope_freqs.weight' must be within [0.001, 1e6]");
  return {};
}

// The regular expressions that llama.cpp's names for them stand for.
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Splitting {
  const char* name;
  const char* pattern;  // null: GPT-2's
  bool whole_words;     // ignore_merges
  bool begins;          // a text begins with the begin token, unless the file says otherwise
};
constexpr std::array<Splitting, 5> kSplittings{{{"llama-bpe", kLlama3Pattern, true, true},
                                                {"llama3", kLlama3Pattern, true, true},
                                                {"llama-v3", kLlama3Pattern, true, true},
                                                {"qwen2", kQwen2Pattern, false, false},
                                                {"gpt-2", nullptr, false, false}}};

Result<const Splitting*> splitting_of(const format::Gguf& file) {
  const std::string_view name = TRY(file.text("tokenizer.ggml.pre"));
  for (const Splitting& s : kSplittings)
    if (name == s.name) return &s;
  return fail(Code::invalid, "GGUF: 'tokenizer.ggml.pre' must be llama-bpe, qwen2 or gpt-2; found '" +
                                 std::string(name.substr(0, 64)) + "'");
}

enum TokenKind : int64_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

// The tokenizer as Hugging Face's file, so that one reader checks all.
std::string as_json(const format::GgufArray& tokens, const format::GgufArray& kinds, const format::GgufArray& merges,
                    const Splitting& splitting, int64_t begin) {
  json::object vocab;
  json::array added, pairs;
  vocab.reserve(tokens.texts.size());
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    vocab[tokens.texts[id]] = id;
    const int64_t kind = kinds.integers.empty() ? static_cast<int64_t>(normal) : kinds.integers[id];
    if (kind == control || kind == user_defined || kind == unused)
      added.push_back({{"id", id}, {"content", tokens.texts[id]}, {"special", kind != user_defined}});
  }
  pairs.reserve(merges.texts.size());
  for (const std::string_view merge : merges.texts) pairs.push_back(json::value(merge));
  json::value split = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", splitting.pattern == nullptr}};
  if (splitting.pattern != nullptr) {
    json::array steps{
        json::value{{"type", "Split"}, {"pattern", {{"Regex", splitting.pattern}}}, {"behavior", "Isolated"}},
        std::move(split)};
    split = json::value{{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
  }
  json::object out{{"added_tokens", std::move(added)},
                   {"pre_tokenizer", std::move(split)},
                   {"decoder", {{"type", "ByteLevel"}}},
                   {"model",
                    {{"type", "BPE"},
                     {"ignore_merges", splitting.whole_words},
                     {"vocab", std::move(vocab)},
                     {"merges", std::move(pairs)}}}};
  if (begin >= 0) {
    json::array single{
        json::value{{"SpecialToken", {{"id", tokens.texts[static_cast<size_t>(begin)]}, {"type_id", 0}}}},
        json::value{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}};
    out["post_processor"] = {{"type", "TemplateProcessing"}, {"single", std::move(single)}};
  }
  return json::serialize(out);
}

constexpr std::array<std::pair<const char*, const char*>, 3> kGlobalNames{{
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
}};
constexpr std::array<std::pair<const char*, const char*>, 11> kLayerNames{{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.o_proj", "attn_output"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
}};

}  // namespace

Result<ModelConfig> read_gguf_config(const format::Gguf& file) {
  const Row* row = TRY(row_of(file));
  const std::string p = std::string(row->gguf) + ".";
  TRY(refuse_what_we_do_not_compute(file, p));
  ModelConfig out;
  out.architecture = row->hf_name;
  LlamaConfig& c = out.llama;
  c.layers = TRY(file.integer(p + "block_count"));
  c.width = TRY(file.integer(p + "embedding_length"));
  c.heads = TRY(file.integer(p + "attention.head_count"));
  if (c.heads < 1 || c.width < 1)
    return not_computed(p + "attention.head_count", "must be at least 1, and so 'embedding_length'");
  c.kv_heads = TRY(file.integer(p + "attention.head_count_kv", c.heads));
  c.head_dim = TRY(file.integer(p + "attention.key_length", c.width / c.heads));
  if (TRY(file.integer(p + "attention.value_length", c.head_dim)) != c.head_dim)
    return not_computed(p + "attention.value_length", "must be the same as 'key_length'");
  if (TRY(file.integer(p + "rope.dimension_count", c.head_dim)) != c.head_dim)
    return not_computed(p + "rope.dimension_count", "must be the same as 'key_length'");
  c.ffn = TRY(file.integer(p + "feed_forward_length"));
  c.context = TRY(file.integer(p + "context_length"));
  c.norm_epsilon = static_cast<float>(TRY(file.number(p + "attention.layer_norm_rms_epsilon", 1e-5)));
  c.rope_theta = TRY(file.number(p + "rope.freq_base", 10000));
  c.qk_norm = row->qk_norm;
  c.tied = !file.tensors().contains("output.weight");
  const auto embedding = file.tensors().find("token_embd.weight");
  if (embedding == file.tensors().end() || embedding->second.shape.size() != 2)
    return fail(Code::invalid, "GGUF: there is no tensor 'token_embd.weight' of two dimensions");
  c.vocabulary = embedding->second.shape[0];
  TRY(check_config(c));
  TRY(read_divisors(file, &c));
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"})
    if (file.find(key) != nullptr) out.eos_tokens.push_back(TRY(file.integer(key)));
  out.bos_token = TRY(file.integer("tokenizer.ggml.bos_token_id", -1));
  return out;
}

Result<format::TokenizerFile> read_gguf_tokenizer(const format::Gguf& file) {
  const std::string_view kind = TRY(file.text("tokenizer.ggml.model"));
  if (kind != "gpt2")
    return fail(Code::invalid, "GGUF: 'tokenizer.ggml.model' must be gpt2 (byte-level BPE); found '" +
                                   std::string(kind.substr(0, 64)) + "'");
  const Splitting* splitting = TRY(splitting_of(file));
  const format::GgufArray& tokens = *TRY(file.array("tokenizer.ggml.tokens"));
  const format::GgufArray& merges = *TRY(file.array("tokenizer.ggml.merges"));
  const format::GgufArray none;
  const bool typed = file.find("tokenizer.ggml.token_type") != nullptr;
  const format::GgufArray& kinds = typed ? *TRY(file.array("tokenizer.ggml.token_type")) : none;
  if (typed && kinds.integers.size() != tokens.texts.size())
    return fail(Code::invalid, "GGUF: 'tokenizer.ggml.token_type' must have an integer for each token");
  int64_t begin = -1;
  if (TRY(file.boolean("tokenizer.ggml.add_bos_token", splitting->begins))) {
    begin = TRY(file.integer("tokenizer.ggml.bos_token_id"));
    if (begin < 0 || static_cast<size_t>(begin) >= tokens.texts.size())
      return fail(Code::invalid, "GGUF: 'tokenizer.ggml.bos_token_id' must be a token's id");
  }
  return format::parse_tokenizer(as_json(tokens, kinds, merges, *splitting, begin));
}

std::string gguf_tensor_name(const std::string& hf_name) {
  for (const auto& [hf, gguf] : kGlobalNames)
    if (hf_name == hf) return gguf;
  constexpr std::string_view kPrefix = "model.layers.", kSuffix = ".weight";
  if (!hf_name.starts_with(kPrefix) || !hf_name.ends_with(kSuffix)) return "";
  const size_t dot = hf_name.find('.', kPrefix.size());
  if (dot == hf_name.npos || dot + 1 + kSuffix.size() > hf_name.size()) return "";
  const std::string middle = hf_name.substr(dot + 1, hf_name.size() - kSuffix.size() - dot - 1);
  for (const auto& [hf, gguf] : kLayerNames)
    if (middle == hf)
      return "blk." + hf_name.substr(kPrefix.size(), dot - kPrefix.size()) + "." + gguf + std::string(kSuffix);
  return "";
}

Result<tensor::View> gguf_view(const format::Gguf& file, const ModelConfig& config, const std::string& hf_name) {
  const std::string name = gguf_tensor_name(hf_name);
  const auto it = file.tensors().find(name);
  if (name.empty() || it == file.tensors().end())
    return fail(Code::not_found, "the GGUF file has no tensor " + (name.empty() ? hf_name : name));
  tensor::View view = file.view(it->second);
  const bool rotated = name.ends_with(".attn_q.weight") || name.ends_with(".attn_k.weight");
  if (rotated && TRY(row_of(file))->paired && view.shape.size() == 2 && view.shape[0] % config.llama.head_dim == 0)
    view.paired = config.llama.head_dim;
  return view;
}

}  // namespace hf::model
