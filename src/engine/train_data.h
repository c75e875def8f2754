// A training job's data: JSON lines {"prompt": "...", "completion": "..."} to tokens, and tokens to batches.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/chat.h"
#include "model/tokenizer/tokenizer.h"
#include "model/trainer.h"
#include "os/fs.h"

namespace hf::engine {

constexpr size_t kMaxLineBytes = 1 << 20;
constexpr int64_t kMaxExamples = 20'000'000;
constexpr int64_t kMaxDataTokens = int64_t{1} << 31;

struct TextExample {
  std::string prompt, completion;
};

// One line. Both members must be strings of UTF-8, the completion not empty; no others. The error does not name a line.
Result<TextExample> parse_line(std::string_view line);

// Calls `use` for each line that is not blank, in order. Errors (also those of `use`) begin with `what` and the line's
// number, counted from 1: "train file 1, line 17: ...". `bytes` sees the raw bytes in order (may be null).
Status read_lines(os::File& file, const std::string& what, const std::function<Status(TextExample)>& use,
                  const std::function<void(std::string_view)>& bytes);

// splitmix64 (Steele, Lea, Flood 2014): the same everywhere, unlike the standard library's distributions.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t next();
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)

 private:
  uint64_t state_;
};

// Examples as tokens, end to end.
class TokenData {
 public:
  // invalid: longer than context + 1 tokens.
  Status add(const model::Tokenizer& tokenizer, const TextExample& example, int64_t context);

  int64_t examples() const { return static_cast<int64_t>(ends_.size()); }
  int64_t rows() const { return static_cast<int64_t>(ids_.size()) - examples(); }  // that a pass over all trains on
  int64_t rows_of(int64_t example) const { return end(example) - begin(example) - 1; }
  // With `drop` > 0, each token of the prompt is left out with that probability, but those that mark turns and those
  // that the completion has too (they may have to be copied).
  void append_to(model::Batch& batch, int64_t example, float prompt_weight, double drop, Dice& dice) const;

 private:
  int64_t begin(int64_t i) const { return i == 0 ? 0 : ends_[static_cast<size_t>(i - 1)]; }
  int64_t end(int64_t i) const { return ends_[static_cast<size_t>(i)]; }
  std::vector<int32_t> ids_;
  std::vector<bool> learn_, droppable_;
  std::vector<int64_t> ends_;
};

// Walks through the examples, each epoch in another order of its own (seeded), and cuts batches of about
// `batch_tokens` rows: whole examples, until the next would go over; at least one.
class Batcher {
 public:
  Batcher(const TokenData& data, int64_t batch_tokens, float prompt_weight, double drop, uint64_t seed);
  model::Batch next();
  int64_t steps_for(double epochs) const;  // about: by rows

 private:
  void shuffle();
  const TokenData& data_;
  int64_t batch_tokens_;
  float prompt_weight_;
  double drop_;
  Dice dice_;
  std::vector<int32_t> order_;
  size_t at_ = 0;
};

}  // namespace hf::engine
