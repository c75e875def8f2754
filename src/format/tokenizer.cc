#include "format/tokenizer.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "base/text.h"
#include "format/json.h"
#include "format/pattern.h"

namespace hf::format {

const std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

namespace json = boost::json;
const std::string kWhat = "tokenizer.json";

Error refused(const std::string& reason) { return fail(Code::corrupt, kWhat + ": " + reason); }

// A foreign text in a message: short and plain.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return "'" + out + "'";
}

// GPT-2's alphabet: a byte that prints as Latin-1 stands for itself, the others for U+0100 onwards, in order.
struct Alphabet {
  std::array<uint32_t, 256> to_char;
  std::array<int, 512> to_byte;  // by code point; -1: none
  Alphabet() {
    to_byte.fill(-1);
    uint32_t next = 256;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool prints = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || (b >= 0xae);
      to_char[b] = prints ? b : next++;
      to_byte[to_char[b]] = static_cast<int>(b);
    }
  }
};

// All characters of the alphabet are below U+0200: one or two bytes of UTF-8.
std::string to_alphabet(const Alphabet& alphabet, std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const uint32_t u = alphabet.to_char[static_cast<unsigned char>(c)];
    if (u < 0x80) {
      out.push_back(static_cast<char>(u));
    } else {
      out.push_back(static_cast<char>(0xc0 | (u >> 6)));
      out.push_back(static_cast<char>(0x80 | (u & 0x3f)));
    }
  }
  return out;
}

std::optional<std::string> from_alphabet(const Alphabet& alphabet, std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t u = static_cast<unsigned char>(text[i]);
    if (u >= 0x80) {
      if ((u & 0xe0) != 0xc0 || i + 1 == text.size()) return {};
      u = ((u & 0x1f) << 6) | (static_cast<unsigned char>(text[++i]) & 0x3f);
    }
    if (u >= alphabet.to_byte.size() || alphabet.to_byte[u] < 0) return {};
    out.push_back(static_cast<char>(alphabet.to_byte[u]));
  }
  return out;
}

class Parser {
 public:
  explicit Parser(const JsonObject& root) : root_(root) {}

  Result<TokenizerFile> run() {
    if (root_.has("normalizer")) return refused("normalizer: none is supported, found one");
    const JsonObject model = TRY(root_.object("model"));
    TRY(check_model(model));
    TRY(read_added());
    TRY(read_vocabulary(model));
    TRY(read_merges(model));
    TRY(read_pre_tokenizer());
    TRY(read_post_processor());
    return std::move(out_);
  }

 private:
  Status check_model(const JsonObject& model) {
    const std::string type = TRY(model.string("type", "BPE"));
    if (type != "BPE") return refused("model: type: expected BPE, found " + shown(type));
    if (TRY(model.boolean("byte_fallback", false))) return refused("model: byte_fallback is not supported");
    if (TRY(model.number("dropout", 0, 1, 0)) != 0) return refused("model: dropout is not supported");
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (!TRY(model.string(affix, "")).empty()) return refused(std::string("model: ") + affix + " is not supported");
    out_.ignore_merges = TRY(model.boolean("ignore_merges", false));
    const auto* decoder = root_.get("decoder");
    if (!decoder) return refused("decoder: expected ByteLevel, found nothing");
    const std::string name = TRY(TRY(JsonObject::of(*decoder, kWhat + ": decoder")).string("type"));
    if (name != "ByteLevel") return refused("decoder: expected ByteLevel, found " + shown(name));
    return {};
  }

  Status read_added() {
    if (!root_.has("added_tokens")) return {};
    const json::array& list = *TRY(root_.array("added_tokens"));
    if (list.size() > kMaxVocabulary) return refused("added_tokens: too many");
    for (const json::value& value : list) {
      const JsonObject object = TRY(JsonObject::of(value, kWhat + ": added_tokens"));
      AddedToken token;
      token.id = static_cast<int32_t>(TRY(object.integer("id", 0, kMaxVocabulary - 1)));
      token.text = TRY(object.string("content"));
      token.special = TRY(object.boolean("special", false));
      if (token.text.empty() || token.text.size() > kMaxTokenBytes || !valid_utf8(token.text))
        return refused("added_tokens: id " + std::to_string(token.id) + ": expected 1 to " +
                       std::to_string(kMaxTokenBytes) + " bytes of UTF-8");
      for (const char* flag : {"single_word", "lstrip", "rstrip"})
        if (TRY(object.boolean(flag, false)))
          return refused("added_tokens: " + shown(token.text) + ": " + flag + " is not supported");
      out_.added.push_back(std::move(token));
    }
    std::sort(out_.added.begin(), out_.added.end(), [](auto& a, auto& b) { return a.id < b.id; });
    std::vector<std::string_view> texts;
    for (size_t i = 0; i < out_.added.size(); ++i) {
      if (i > 0 && out_.added[i].id == out_.added[i - 1].id)
        return refused("added_tokens: id " + std::to_string(out_.added[i].id) + " twice");
      texts.push_back(out_.added[i].text);
    }
    std::sort(texts.begin(), texts.end());
    const auto twice = std::adjacent_find(texts.begin(), texts.end());
    if (twice != texts.end()) return refused("added_tokens: " + shown(*twice) + " twice");
    return {};
  }

  const AddedToken* added(int64_t id) const {
    const auto it =
        std::lower_bound(out_.added.begin(), out_.added.end(), id, [](auto& a, int64_t b) { return a.id < b; });
    return it != out_.added.end() && it->id == id ? &*it : nullptr;
  }

  Status read_vocabulary(const JsonObject& model) {
    const JsonObject object = TRY(model.object("vocab"));
    const json::object& vocab = object.raw();
    const size_t limit = vocab.size() + out_.added.size();
    if (limit == 0 || limit > kMaxVocabulary)
      return refused(std::to_string(limit) + " tokens; expected 1 to " + std::to_string(kMaxVocabulary));
    std::vector<const json::key_value_pair*> by_id(limit, nullptr);
    ids_.reserve(vocab.size());
    for (const auto& entry : vocab) {
      const json::value& id = entry.value();
      if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= static_cast<int64_t>(limit))
        return refused("vocab: " + shown(entry.key()) + ": expected an id below " + std::to_string(limit));
      const auto index = static_cast<size_t>(id.get_int64());
      if (by_id[index]) return refused("vocab: id " + std::to_string(index) + " twice");
      by_id[index] = &entry;
      ids_.emplace(entry.key(), static_cast<int32_t>(index));
    }
    size_t size = limit;
    while (size > 0 && !by_id[size - 1] && !added(static_cast<int64_t>(size - 1))) --size;
    if (!out_.added.empty() && static_cast<size_t>(out_.added.back().id) >= size)
      return refused("added_tokens: id " + std::to_string(out_.added.back().id) + " leaves a gap before it");
    for (size_t id = 0; id < size; ++id) {
      const std::string_view key = by_id[id] ? std::string_view(by_id[id]->key()) : std::string_view();
      if (!by_id[id] && !added(static_cast<int64_t>(id)))
        return refused("vocab: no token has id " + std::to_string(id));
      out_.vocabulary.push_back(TRY(token_bytes(static_cast<int64_t>(id), key)));
    }
    return check_bytes();
  }

  Result<std::string> token_bytes(int64_t id, std::string_view key) const {
    if (const AddedToken* token = added(id)) {
      if (!key.empty() && key != token->text)
        return refused("id " + std::to_string(id) + " is " + shown(key) + " in vocab and " + shown(token->text) +
                       " in added_tokens");
      return token->text;
    }
    auto bytes = from_alphabet(alphabet_, key);
    if (!bytes || bytes->empty() || bytes->size() > kMaxTokenBytes)
      return refused("vocab: id " + std::to_string(id) + ": " + shown(key) + " is not written in the byte alphabet");
    return std::move(*bytes);
  }

  // All bytes of UTF-8 (0xc0, 0xc1 and 0xf5 to 0xff never occur) are tokens, so every text can be written.
  Status check_bytes() const {
    std::array<bool, 256> have{};
    for (size_t id = 0; id < out_.vocabulary.size(); ++id)
      if (out_.vocabulary[id].size() == 1 && !added(static_cast<int64_t>(id)))
        have[static_cast<unsigned char>(out_.vocabulary[id][0])] = true;
    for (int b = 0; b < 0xf5; ++b)
      if (!have[static_cast<size_t>(b)] && b != 0xc0 && b != 0xc1)
        return refused("vocab: byte " + std::to_string(b) + " is no token of its own");
    return {};
  }

  Status read_merges(const JsonObject& model) {
    const json::array& list = *TRY(model.array("merges"));
    if (list.size() > kMaxVocabulary) return refused("merges: too many");
    out_.merges.reserve(list.size());
    for (const json::value& value : list) {
      std::string_view left, right;
      if (value.is_string()) {
        const std::string_view both = value.get_string();
        const size_t blank = both.find(' ');
        if (blank != std::string_view::npos) left = both.substr(0, blank), right = both.substr(blank + 1);
      } else if (value.is_array() && value.get_array().size() == 2 && value.get_array()[0].is_string() &&
                 value.get_array()[1].is_string()) {
        left = value.get_array()[0].get_string();
        right = value.get_array()[1].get_string();
      }
      const auto l = ids_.find(left), r = ids_.find(right);
      const auto m = ids_.find(std::string(left) + std::string(right));
      if (left.empty() || right.empty() || l == ids_.end() || r == ids_.end() || m == ids_.end())
        return refused("merges: entry " + std::to_string(out_.merges.size()) +
                       ": expected two tokens whose sum is one");
      if (added(l->second) || added(r->second))
        return refused("merges: entry " + std::to_string(out_.merges.size()) + " merges an added token");
      out_.merges.push_back({l->second, r->second, m->second});
    }
    return {};
  }

  Status add_pattern(std::string pattern) {
    auto compiled = Pattern::compile(pattern);
    if (!compiled.ok()) return refused("pre_tokenizer: " + compiled.error().message);
    if (out_.patterns.size() == 16) return refused("pre_tokenizer: over 16 patterns");
    out_.patterns.push_back(std::move(pattern));
    return {};
  }

  Status read_split(const JsonObject& step) {
    const std::string behavior = TRY(step.string("behavior"));
    if (behavior != "Isolated")
      return refused("pre_tokenizer: Split: behavior: expected Isolated, found " + shown(behavior));
    const JsonObject pattern = TRY(step.object("pattern"));
    if (!pattern.has("Regex")) return refused("pre_tokenizer: Split: pattern: expected a Regex");
    return add_pattern(TRY(pattern.string("Regex")));
  }

  Status read_step(const JsonObject& step, bool& byte_level) {
    const std::string type = TRY(step.string("type"));
    if (byte_level) return refused("pre_tokenizer: " + shown(type) + " after ByteLevel is not supported");
    if (type == "Split") return read_split(step);
    if (type == "Digits") return add_pattern(TRY(step.boolean("individual_digits", false)) ? "\\p{N}" : "\\p{N}+");
    if (type != "ByteLevel")
      return refused("pre_tokenizer: expected ByteLevel, Split, Digits or a Sequence of them, found " + shown(type));
    byte_level = true;
    out_.add_prefix_space = TRY(step.boolean("add_prefix_space", true));
    if (TRY(step.boolean("use_regex", true))) return add_pattern(std::string(kGpt2Pattern));
    return {};
  }

  Status read_pre_tokenizer() {
    const JsonObject step = TRY(root_.object("pre_tokenizer"));
    bool byte_level = false;
    if (TRY(step.string("type")) == "Sequence") {
      for (const json::value& value : *TRY(step.array("pretokenizers")))
        TRY(read_step(TRY(JsonObject::of(value, kWhat + ": pre_tokenizer")), byte_level));
    } else {
      TRY(read_step(step, byte_level));
    }
    if (!byte_level) return refused("pre_tokenizer: expected a ByteLevel step");
    if (out_.add_prefix_space && out_.patterns.size() > 1)
      return refused("pre_tokenizer: add_prefix_space after a Split is not supported");
    return {};
  }

  Status read_processor(const JsonObject& step) {
    const std::string type = TRY(step.string("type"));
    if (type == "ByteLevel") return {};  // changes offsets only
    if (type != "TemplateProcessing")
      return refused("post_processor: expected ByteLevel or TemplateProcessing, found " + shown(type));
    const json::array& single = *TRY(step.array("single"));
    const auto is = [](const json::value& value, const char* kind) {
      return value.is_object() && value.get_object().contains(kind);
    };
    if (single.empty() || single.size() > 2 || !is(single.back(), "Sequence") ||
        (single.size() == 2 && !is(single.front(), "SpecialToken")))
      return refused("post_processor: single: expected a text, with one special token before it at most");
    if (single.size() == 1) return {};
    const JsonObject first = TRY(JsonObject::of(single.front(), kWhat + ": post_processor: single"));
    const std::string text = TRY(TRY(first.object("SpecialToken")).string("id"));
    const auto it = std::find_if(out_.added.begin(), out_.added.end(), [&](auto& a) { return a.text == text; });
    if (it == out_.added.end()) return refused("post_processor: " + shown(text) + " is not in added_tokens");
    out_.begin_token = it->id;
    return {};
  }

  Status read_post_processor() {
    if (!root_.has("post_processor")) return {};
    const JsonObject step = TRY(root_.object("post_processor"));
    if (TRY(step.string("type")) != "Sequence") return read_processor(step);
    for (const json::value& value : *TRY(step.array("processors")))
      TRY(read_processor(TRY(JsonObject::of(value, kWhat + ": post_processor"))));
    return {};
  }

  const JsonObject& root_;
  const Alphabet alphabet_;
  TokenizerFile out_;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  // Keys as in the file; they live in the parsed JSON.
  std::unordered_map<std::string_view, int32_t, Hash, std::equal_to<>> ids_;
};

json::value added_to_json(const AddedToken& token) {
  return {{"id", token.id},  {"content", token.text}, {"single_word", false},    {"lstrip", false},
          {"rstrip", false}, {"normalized", false},   {"special", token.special}};
}

json::value pre_tokenizer_to_json(const TokenizerFile& file) {
  // A single GPT-2 pattern is what ByteLevel does by itself, and the only place where a prefix space is applied first.
  const bool plain = file.patterns.size() == 1 && file.patterns[0] == kGpt2Pattern;
  const json::value byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", file.add_prefix_space}, {"trim_offsets", true}, {"use_regex", plain}};
  if (plain || file.patterns.empty()) return byte_level;
  json::array steps;
  for (const std::string& pattern : file.patterns)
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  steps.push_back(byte_level);
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

json::value post_processor_to_json(const TokenizerFile& file) {
  if (!file.begin_token)
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  const std::string& text = file.vocabulary[static_cast<size_t>(*file.begin_token)];
  const auto special = [&](int type) { return json::value{{"SpecialToken", {{"id", text}, {"type_id", type}}}}; };
  const auto sequence = [](const char* id, int type) {
    return json::value{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  json::object tokens;
  tokens[text] = {{"id", text}, {"ids", json::array{*file.begin_token}}, {"tokens", json::array{text}}};
  return {{"type", "TemplateProcessing"},
          {"single", json::array{special(0), sequence("A", 0)}},
          {"pair", json::array{special(0), sequence("A", 0), special(1), sequence("B", 1)}},
          {"special_tokens", std::move(tokens)}};
}

}  // namespace

Result<TokenizerFile> parse_tokenizer(std::string_view text) {
  const json::value value = TRY(parse_json(text, kMaxTokenizerBytes, kWhat));
  const JsonObject root = TRY(JsonObject::of(value, kWhat));
  return Parser(root).run();
}

std::vector<std::string> token_spellings(const TokenizerFile& file) {
  const Alphabet alphabet;
  std::vector<std::string> out;
  out.reserve(file.vocabulary.size());
  for (const std::string& bytes : file.vocabulary) out.push_back(to_alphabet(alphabet, bytes));
  for (const AddedToken& token : file.added) out.at(static_cast<size_t>(token.id)) = token.text;
  return out;
}

std::string write_tokenizer(const TokenizerFile& file) {
  const std::vector<std::string> keys = token_spellings(file);
  json::array added;
  for (const AddedToken& token : file.added) added.push_back(added_to_json(token));
  json::object vocab;
  for (size_t id = 0; id < keys.size(); ++id) vocab[keys[id]] = id;
  json::array merges;
  for (const auto& merge : file.merges)
    merges.push_back(
        json::value(keys.at(static_cast<size_t>(merge.left)) + " " + keys.at(static_cast<size_t>(merge.right))));
  const json::object root = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added)},
      {"normalizer", nullptr},
      {"pre_tokenizer", pre_tokenizer_to_json(file)},
      {"post_processor", post_processor_to_json(file)},
      {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", file.ignore_merges},
        {"vocab", std::move(vocab)},
        {"merges", std::move(merges)}}}};
  return json::serialize(root) + "\n";
}

}  // namespace hf::format
