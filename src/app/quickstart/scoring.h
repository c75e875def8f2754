// Exact match against the expected completion. An answer that is not the JSON asked for is wrong in every field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/quickstart/dataset.h"

namespace hf::app {

struct Score {
  size_t total = 0, invalid = 0;  // answers, and those that were no JSON object of the expected members
  size_t decided = 0;             // all decided fields right together
  size_t whole = 0;               // every field right
  std::vector<size_t> by_field;   // in the order of Dataset::fields
  double decided_rate() const { return rate(decided); }
  double whole_rate() const { return rate(whole); }
  double rate(size_t n) const { return total ? static_cast<double>(n) / static_cast<double>(total) : 0; }
};

class Scorer {
 public:
  explicit Scorer(const Dataset& data) : fields_(data.fields), decided_(data.decided) {
    score_.by_field.resize(fields_.size());
  }
  void add(std::string_view answer, std::string_view expected);
  const Score& score() const { return score_; }

 private:
  std::vector<std::string> fields_;
  size_t decided_;
  Score score_;
};

}  // namespace hf::app
