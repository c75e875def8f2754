#include "model/arch/gguf.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <cstring>
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
  std::string_view pattern;
  bool whole_words;  // ignore_merges
  bool begins;       // a text begins with the begin token, unless the file says otherwise
};
const std::array<Splitting, 5> kSplittings{{{"llama-bpe", kLlama3Pattern, true, true},
                                            {"llama3", kLlama3Pattern, true, true},
                                            {"llama-v3", kLlama3Pattern, true, true},
                                            {"qwen2", kQwen2Pattern, false, false},
                                            {"gpt-2", format::kGpt2Pattern, false, false}}};

Result<const Splitting*> splitting_of(const format::Gguf& file) {
  const std::string_view name = TRY(file.text("tokenizer.ggml.pre"));
  for (const Splitting& s : kSplittings)
    if (name == s.name) return &s;
  return fail(Code::invalid, "GGUF: 'tokenizer.ggml.pre' must be llama-bpe, qwen2 or gpt-2; found '" +
                                 std::string(name.substr(0, 64)) + "'");
}

// What we write beside: splittings that llama.cpp has no name for.
constexpr const char* kOwnPatterns = "holdfast.tokenizer.patterns";
constexpr const char* kOwnWholeWords = "holdfast.tokenizer.ignore_merges";

enum TokenKind : int32_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

// The tokenizer as Hugging Face's file, so that one reader checks all.
std::string as_json(const format::GgufArray& tokens, const format::GgufArray& kinds, const format::GgufArray& merges,
                    const std::vector<std::string>& patterns, bool whole_words, int64_t begin) {
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
  json::array steps;
  for (const std::string& pattern : patterns)
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  json::object out{
      {"added_tokens", std::move(added)},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"}, {"ignore_merges", whole_words}, {"vocab", std::move(vocab)}, {"merges", std::move(pairs)}}}};
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
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (file.find(key) != nullptr) out.eos_tokens.push_back(TRY(file.integer(key)));
  out.bos_token = TRY(file.integer("tokenizer.ggml.bos_token_id", -1));
  return out;
}

Result<format::TokenizerFile> read_gguf_tokenizer(const format::Gguf& file) {
  const std::string_view kind = TRY(file.text("tokenizer.ggml.model"));
  if (kind != "gpt2")
    return fail(Code::invalid, "GGUF: 'tokenizer.ggml.model' must be gpt2 (byte-level BPE); found '" +
                                   std::string(kind.substr(0, 64)) + "'");
  std::vector<std::string> patterns;
  bool whole_words = false, begins = false;
  if (file.find(kOwnPatterns) != nullptr) {
    for (const std::string_view pattern : TRY(file.array(kOwnPatterns))->texts) patterns.emplace_back(pattern);
    whole_words = TRY(file.boolean(kOwnWholeWords, false));
  } else {
    const Splitting* splitting = TRY(splitting_of(file));
    patterns.emplace_back(splitting->pattern);
    whole_words = splitting->whole_words;
    begins = splitting->begins;
  }
  const format::GgufArray& tokens = *TRY(file.array("tokenizer.ggml.tokens"));
  const format::GgufArray& merges = *TRY(file.array("tokenizer.ggml.merges"));
  const format::GgufArray none;
  const bool typed = file.find("tokenizer.ggml.token_type") != nullptr;
  const format::GgufArray& kinds = typed ? *TRY(file.array("tokenizer.ggml.token_type")) : none;
  if (typed && kinds.integers.size() != tokens.texts.size())
    return fail(Code::invalid, "GGUF: 'tokenizer.ggml.token_type' must have an integer for each token");
  int64_t begin = -1;
  if (TRY(file.boolean("tokenizer.ggml.add_bos_token", begins))) {
    begin = TRY(file.integer("tokenizer.ggml.bos_token_id"));
    if (begin < 0 || static_cast<size_t>(begin) >= tokens.texts.size())
      return fail(Code::invalid, "GGUF: 'tokenizer.ggml.bos_token_id' must be a token's id");
  }
  return format::parse_tokenizer(as_json(tokens, kinds, merges, patterns, whole_words, begin));
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

// ---- writing
namespace {

using Metadata = std::vector<std::pair<std::string, format::GgufNew>>;

Result<const Row*> row_of(const ModelConfig& config) {
  // Mistral's is computed as Llama's, and llama.cpp's files of it say so.
  const std::string name = config.architecture == "MistralForCausalLM" ? "LlamaForCausalLM" : config.architecture;
  for (const Row& row : kRows)
    if (name == row.hf_name) return &row;
  return fail(Code::invalid, "GGUF: there is no form of architecture '" + config.architecture + "'");
}

void put_config(const ModelConfig& config, const Row& row, Metadata& out) {
  const LlamaConfig& c = config.llama;
  const std::string p = std::string(row.gguf) + ".";
  const auto put = [&](const char* key, int64_t n) { out.emplace_back(p + key, static_cast<uint32_t>(n)); };
  put("block_count", c.layers);
  put("context_length", c.context);
  put("embedding_length", c.width);
  put("feed_forward_length", c.ffn);
  put("attention.head_count", c.heads);
  put("attention.head_count_kv", c.kv_heads);
  put("attention.key_length", c.head_dim);
  put("attention.value_length", c.head_dim);
  put("rope.dimension_count", c.head_dim);
  put("vocab_size", c.vocabulary);
  out.emplace_back(p + "rope.freq_base", static_cast<float>(c.rope_theta));
  out.emplace_back(p + "attention.layer_norm_rms_epsilon", c.norm_epsilon);
}

// llama.cpp splits by names only. The nearest for other patterns is "smollm" (digits one by one, then as GPT-2): it
// gives the same tokens as our trainer's patterns but where a text holds JSON, or several blanks before a digit.
void put_splitting(const format::TokenizerFile& file, Metadata& out) {
  const Splitting* found = nullptr;
  for (const Splitting& s : kSplittings)
    if (!found && file.patterns.size() == 1 && file.patterns[0] == s.pattern && file.ignore_merges == s.whole_words)
      found = &s;
  out.emplace_back("tokenizer.ggml.pre", std::string(found ? found->name : "smollm"));
  if (found) return;
  out.emplace_back(kOwnPatterns, file.patterns);
  out.emplace_back(kOwnWholeWords, file.ignore_merges);
}

Status put_ids(const ModelConfig& config, const format::TokenizerFile& file, Metadata& out) {
  const int64_t begin = file.begin_token ? *file.begin_token : config.bos_token;
  out.emplace_back("tokenizer.ggml.add_bos_token", file.begin_token.has_value());
  if (begin >= 0) out.emplace_back("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(begin));
  constexpr std::array<const char*, 3> kEnds{"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                             "tokenizer.ggml.eom_token_id"};
  if (config.eos_tokens.size() > kEnds.size())
    return fail(Code::invalid,
                "GGUF: a file names up to 3 end tokens; the model has " + std::to_string(config.eos_tokens.size()));
  for (size_t i = 0; i < config.eos_tokens.size(); ++i)
    out.emplace_back(kEnds[i], static_cast<uint32_t>(config.eos_tokens[i]));
  return {};
}

Status put_tokenizer(const ModelConfig& config, const format::TokenizerFile& file, Metadata& out) {
  if (file.add_prefix_space)
    return fail(Code::invalid, "GGUF: a tokenizer that adds a blank before a text has no form");
  if (file.vocabulary.size() > static_cast<size_t>(config.llama.vocabulary))
    return fail(Code::invalid, "the tokenizer has " + std::to_string(file.vocabulary.size()) +
                                   " tokens, the model's vocab_size is " + std::to_string(config.llama.vocabulary));
  std::vector<std::string> tokens = token_spellings(file), merges;
  std::vector<int32_t> kinds(tokens.size(), normal);
  for (const format::AddedToken& token : file.added)
    kinds[static_cast<size_t>(token.id)] = token.special ? control : user_defined;
  merges.reserve(file.merges.size());
  for (const auto& merge : file.merges)
    merges.push_back(tokens.at(static_cast<size_t>(merge.left)) + " " + tokens.at(static_cast<size_t>(merge.right)));
  // The embedding may have more rows than there are tokens; files name them all.
  for (size_t id = tokens.size(); id < static_cast<size_t>(config.llama.vocabulary); ++id) {
    tokens.push_back("[PAD" + std::to_string(id) + "]");
    kinds.push_back(unused);
  }
  out.emplace_back("tokenizer.ggml.model", std::string("gpt2"));
  put_splitting(file, out);
  out.emplace_back("tokenizer.ggml.tokens", std::move(tokens));
  out.emplace_back("tokenizer.ggml.token_type", std::move(kinds));
  out.emplace_back("tokenizer.ggml.merges", std::move(merges));
  return put_ids(config, file, out);
}

// One row of floats as the file has it; a block of Q8_0 is an f16 scale = largest / 127 and 32 numbers, rounded.
void put_row(const std::vector<float>& row, tensor::DType type, char* out) {
  if (type == tensor::DType::f32) {
    std::memcpy(out, row.data(), row.size() * 4);
  } else if (type != tensor::DType::q8_0) {
    for (size_t i = 0; i < row.size(); ++i) {
      const uint16_t bits = type == tensor::DType::bf16 ? tensor::bf16_of(row[i]) : tensor::f16_of(row[i]);
      std::memcpy(out + 2 * i, &bits, 2);
    }
  } else {
    for (size_t i = 0; i < row.size(); i += 32, out += 34) {
      float largest = 0;
      for (size_t j = i; j < i + 32; ++j) largest = std::max(largest, std::fabs(row[j]));
      const float scale = largest / 127, inverse = scale > 0 ? 1 / scale : 0;
      const uint16_t bits = tensor::f16_of(scale);
      std::memcpy(out, &bits, 2);
      for (size_t j = 0; j < 32; ++j) out[2 + j] = static_cast<char>(std::lround(row[i + j] * inverse));
    }
  }
}

// A tensor's bytes in the file: rows in its order, numbers of its type.
Result<std::string> tensor_bytes(const tensor::View& view, tensor::DType type, int64_t paired) {
  const int64_t width = view.shape.back(), rows = view.elements() / width;
  const auto row_size = static_cast<size_t>(tensor::row_bytes(type, width));
  tensor::View order;
  order.paired = paired;
  std::string out(row_size * static_cast<size_t>(rows), '\0');
  std::vector<float> row(static_cast<size_t>(width));
  for (int64_t r = 0; r < rows; ++r) {
    to_floats(view, r * width, width, row.data());
    for (const float v : row)
      if (!std::isfinite(v)) return fail(Code::corrupt, "a weight in row " + std::to_string(r) + " is not finite");
    put_row(row, type, out.data() + static_cast<size_t>(tensor::stored_row(order, r)) * row_size);
  }
  return out;
}

struct Planned {
  std::string hf_name;
  int64_t paired = 0;
};

Result<format::GgufTensorToWrite> plan(const TensorSpec& spec, const TensorSource& source,
                                       std::optional<tensor::DType> matrices) {
  const tensor::View view = TRY(source(spec.name));
  if (view.shape != spec.shape)
    return fail(Code::invalid, "tensor " + spec.name + " has another shape than its config");
  tensor::DType type = spec.shape.size() == 1 ? tensor::DType::f32 : matrices.value_or(view.type);
  if (tensor::quantised(type) && !tensor::check_quant(type, spec.shape.back()).ok()) type = view.type;
  return format::GgufTensorToWrite{gguf_tensor_name(spec.name), type, spec.shape, {}};
}

}  // namespace

Status write_model_gguf(const std::string& name, const ModelConfig& config, const format::TokenizerFile& tokenizer,
                        const TensorSource& source, std::optional<tensor::DType> matrices, os::File& file) {
  check(!matrices || !tensor::quantised(*matrices) || *matrices == tensor::DType::q8_0, "a type that we quantise to");
  const Row* row = TRY(row_of(config));
  Metadata metadata{{"general.architecture", std::string(row->gguf)}, {"general.name", name}};
  put_config(config, *row, metadata);
  TRY(put_tokenizer(config, tokenizer, metadata));
  std::vector<format::GgufTensorToWrite> tensors;
  std::vector<Planned> plans;
  const std::vector<float> divisors = rope_divisors(config.llama);
  if (!divisors.empty()) {
    const auto n = static_cast<int64_t>(divisors.size());
    tensors.push_back({"rope_freqs.weight", tensor::DType::f32, {n}, {}});
    plans.push_back({});
  }
  for (const TensorSpec& spec : tensor_specs(config.llama)) {
    tensors.push_back(TRY(plan(spec, source, matrices)));
    const bool rotated = spec.name.ends_with(".q_proj.weight") || spec.name.ends_with(".k_proj.weight");
    plans.push_back({spec.name, row->paired && rotated ? config.llama.head_dim : 0});
  }
  const std::string start = gguf_start(metadata, tensors);
  TRY(file.write_at(0, start));
  uint64_t at = start.size();
  for (size_t i = 0; i < tensors.size(); ++i) {
    tensor::View view{tensor::DType::f32, tensors[i].shape, reinterpret_cast<const char*>(divisors.data())};
    if (!plans[i].hf_name.empty()) view = TRY(source(plans[i].hf_name));
    auto bytes = tensor_bytes(view, tensors[i].type, plans[i].paired);
    if (!bytes.ok()) return fail(bytes.error().code, tensors[i].name + ": " + bytes.error().message);
    bytes->resize((bytes->size() + 31) / 32 * 32);
    TRY(file.write_at(at, *bytes));
    at += bytes->size();
  }
  return {};
}

}  // namespace hf::model
