// tokenizer.json of Hugging Face's tokenizers, as far as byte-level BPE goes: read into a checked structure and
// written back. The algorithm is in model/tokenizer/. Accepted: model "BPE" without dropout, byte fallback, subword
// prefix or suffix; no normalizer; pre-tokenizer ByteLevel, Split by a regex (behaviour "Isolated"), Digits, or a
// Sequence of these; decoder ByteLevel; post-processor ByteLevel, or a TemplateProcessing that puts one special token
// before a text (Llama 3). All else is refused by name, because it would give other tokens than its author meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hf::format {

inline constexpr size_t kMaxTokenizerBytes = 64 << 20;  // Llama 3's file is 9 MiB
inline constexpr size_t kMaxVocabulary = 1 << 20;
inline constexpr size_t kMaxTokenBytes = 4096;  // of one token
inline constexpr size_t kMaxPatternBytes = 4096;

// GPT-2's: what ByteLevel splits by when use_regex is true.
extern const std::string_view kGpt2Pattern;

struct AddedToken {
  int32_t id = 0;
  std::string text;  // UTF-8, as it stands in a text (not in the byte alphabet)
  bool special = true;
  bool operator==(const AddedToken&) const = default;
};

struct TokenizerFile {
  // By id, as bytes: the file's byte alphabet (GPT-2's printable stand-ins) is translated on reading and writing. Ids
  // are 0 .. size - 1 without gaps; where an id is an added token's, its text stands here as it is. No two others are
  // equal, and every byte that UTF-8 can hold is a token of its own.
  std::vector<std::string> vocabulary;
  // In order of rank: the pieces' ids and that of the merged token (whose bytes are theirs one after the other).
  struct Merge {
    int32_t left = 0, right = 0, merged = 0;
    bool operator==(const Merge&) const = default;
  };
  std::vector<Merge> merges;
  std::vector<AddedToken> added;  // ascending ids
  // Applied one after the other: each splits every piece by its matches, the matches and what is between them.
  std::vector<std::string> patterns;  // PCRE2 syntax with UTF and UCP; they compile
  bool add_prefix_space = false;
  bool ignore_merges = false;          // a piece that is a token as a whole is that token (Llama 3)
  std::optional<int32_t> begin_token;  // put before a text by the post-processor
};

Result<TokenizerFile> parse_tokenizer(std::string_view json);
std::string write_tokenizer(const TokenizerFile& file);  // the same tokens in other tools
// Each token as files spell it, by id: in the byte alphabet, added tokens as they are.
std::vector<std::string> token_spellings(const TokenizerFile& file);

}  // namespace hf::format
