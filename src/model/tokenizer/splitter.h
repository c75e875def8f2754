// Splits a text into the pieces that merges never cross.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "format/pattern.h"

namespace hf::model {

using Range = std::pair<size_t, size_t>;  // [begin, end) in the text

class Splitter {
 public:
  // invalid: a pattern does not compile. No patterns: the whole text is one piece.
  static Result<Splitter> make(const std::vector<std::string>& patterns);

  // In order, without gaps, none empty. exhausted: a pattern took too many steps.
  Result<std::vector<Range>> split(std::string_view text) const;

 private:
  std::vector<format::Pattern> patterns_;
  int own_digits_ = 0;  // > 0: the one pattern is default_pattern(own_digits_), known by heart for ASCII
};

// What default_pattern(digits) gives, for text that is all ASCII: ten times as fast as the regular expression.
void split_ascii(std::string_view text, int digits, std::vector<Range>& out);

}  // namespace hf::model
