// Learns a byte-level BPE vocabulary from text: counts the pieces, then merges the most frequent pair of neighbours
// again and again. Deterministic: the result depends on how often each piece occurs, never on threads or hash order;
// among pairs of the same count the one with the smaller left, then right id goes first. Source: Sennrich, Haddow,
// Birch 2016, with the counts kept up to date by each merge instead of counted anew.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/tokenizer.h"

namespace hf::model {

struct TrainerOptions {
  int32_t vocabulary = 2048;              // at most so many tokens, the 256 bytes and the special ones included
  std::vector<std::string> special = {};  // get the last ids, in this order; none twice, none empty
  int digits = 1;                         // default_pattern(digits)
  int64_t min_count = 2;                  // a pair must occur so often
};

class TokenizerTrainer {
 public:
  static Result<TokenizerTrainer> make(TrainerOptions options);  // invalid: says which option
  TokenizerTrainer(TokenizerTrainer&&) noexcept;
  TokenizerTrainer& operator=(TokenizerTrainer&&) noexcept;
  ~TokenizerTrainer();

  Status add(std::string_view text);  // invalid: over 2^31 different pieces
  // Ids 0 to 255 are the bytes, then one a merge, then the special tokens. Fewer than asked for if the text is small.
  Result<format::TokenizerFile> train();

 private:
  TokenizerTrainer();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hf::model
