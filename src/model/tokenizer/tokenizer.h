// Byte-level BPE: text to token ids and back. The file form is format/tokenizer.h, training is trainer.h.
//
// Encoding: added tokens are cut out first (special ones only where the caller says so, so that a user's text can never
// forge a turn's end), the rest is split into pieces by the patterns, and each piece is merged, lowest rank first,
// leftmost first among equals. The cost is n log n in a piece's length, so one endless word does no harm.
// decode(encode(x)) == x for any bytes, UTF-8 or not, where add_prefix_space is off.
//
// Read-only after make(): any number of threads may use it at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/tokenizer.h"

namespace hf::model {

// What our own tokenizers split by: a JSON member's name with the signs around it (one token instead of five: models
// that answer in JSON spend their time on values), contractions, a word with the blank before it, 1 to `digits` digits
// of a number (1: so that numbers can be copied digit by digit), other signs, blanks. digits in [1, 9].
std::string default_pattern(int digits = 1);

class Tokenizer {
 public:
  // invalid: a merge or an added token that does not fit the vocabulary, or a pattern that does not compile.
  static Result<Tokenizer> make(format::TokenizerFile file);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Ids of a text; nothing is put before or after it. exhausted: a pattern took too many steps on it.
  Result<std::vector<int32_t>> encode(std::string_view text) const;
  Result<std::vector<int32_t>> encode_with_special(std::string_view text) const;  // special tokens are recognised
  // Bytes of the ids; special tokens are left out. An id outside [0, size()): invalid.
  Result<std::string> decode(std::span<const int32_t> ids) const;

  int32_t size() const;
  std::string_view bytes(int32_t id) const;         // id in [0, size())
  bool special(int32_t id) const;                   // likewise
  int32_t special_id(std::string_view text) const;  // of an added token; -1: there is none
  const format::TokenizerFile& file() const;

 private:
  Tokenizer();
  struct State;
  std::unique_ptr<State> state_;
};

// Ids in, whole UTF-8 characters out: holds back at most 3 bytes of a character that is not complete yet. Bytes that
// can belong to no character come out as U+FFFD each. Special tokens give nothing.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}  // must outlive this
  std::string push(int32_t id);                                                   // id in [0, size())
  std::string finish();                                                           // what was held back

 private:
  const Tokenizer* tokenizer_;
  std::string held_;
};

// Replaces what is not UTF-8 by U+FFFD, one for each byte.
std::string to_utf8(std::string_view bytes);

}  // namespace hf::model
