// A pre-tokenizer's regular expression, by PCRE2 (UTF, Unicode properties, JIT where the kernel lets it). Patterns
// are foreign: compiling and matching are bounded (no callouts, limits on steps, depth and memory).
// Reading a Pattern from several threads is fine.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hf::format {

class Pattern {
 public:
  // invalid: PCRE2's reason and place.
  static Result<Pattern> compile(std::string_view pattern);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  // The pieces of `text`: every match that is not empty, and every stretch between matches, in order, as [begin, end).
  // Bytes that are not UTF-8 belong to no match. exhausted: a match took more steps than are allowed.
  Result<std::vector<std::pair<size_t, size_t>>> split(std::string_view text) const;
  const std::string& text() const;

 private:
  Pattern();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hf::format
