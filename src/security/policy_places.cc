#include "security/policy_places.h"

#include <boost/json.hpp>

namespace hf::security {
namespace {

// Walks over JSON that is known to be well formed, and comes to an end over any other.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}

  const Place& place() {
    blanks();
    return here_;
  }
  const Place& end() const { return here_; }
  char peek() {
    blanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    step();
    return true;
  }
  std::string_view string() {  // with its quotes
    blanks();
    const size_t from = at_;
    step();
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') step();
      step();
    }
    step();
    return text_.substr(from, at_ - from);
  }
  // To right behind it.
  void value() {
    size_t depth = 0;
    do {
      const char c = peek();
      if (c == '"') {
        string();
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && depth > 0) --depth;
      if (plain(c) && depth == 0)
        while (at_ < text_.size() && plain(text_[at_])) step();
      else
        step();
    } while (depth > 0 && at_ < text_.size());
  }

 private:
  static bool plain(char c) { return std::string_view("{}[],:\" \t\r\n").find(c) == std::string_view::npos; }
  void blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) step();
  }
  void step() {
    if (at_ >= text_.size()) return;
    const auto c = static_cast<unsigned char>(text_[at_++]);
    const bool inside = at_ < text_.size() && (static_cast<unsigned char>(text_[at_]) & 0xc0) == 0x80;
    if (c == '\n')
      here_ = {here_.line + 1, 1};
    else if (!inside)  // the last byte of a character
      ++here_.column;
  }

  std::string_view text_;
  size_t at_ = 0;
  Place here_;
};

// A name may be written with escapes.
bool names_statements(std::string_view quoted) {
  boost::system::error_code error;
  const auto name = boost::json::parse(quoted, error);
  return !error && name.is_string() && name.get_string() == "Statement";
}

void one(Walk& walk, std::vector<StatementPlace>& out) {
  StatementPlace found;
  found.start = walk.place();
  walk.value();
  found.end = walk.end();
  out.push_back(found);
}

}  // namespace

std::vector<StatementPlace> statement_places(std::string_view document) {
  std::vector<StatementPlace> out;
  Walk walk(document);
  if (!walk.take('{')) return out;
  while (walk.peek() == '"') {
    const bool statements = names_statements(walk.string());
    if (!walk.take(':')) return out;
    if (!statements)
      walk.value();
    else if (!walk.take('['))
      one(walk, out);
    else if (!walk.take(']'))
      do one(walk, out);
      while (walk.take(','));
    if (statements) return out;
    if (!walk.take(',')) return out;
  }
  return out;
}

}  // namespace hf::security
