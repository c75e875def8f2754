#include "model/tokenizer/splitter.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/check.h"
#include "model/tokenizer/tokenizer.h"

namespace hf::model {
namespace {

constexpr int kMaxDigits = 9;

enum class Kind : uint8_t { blank, letter, digit, other };

constexpr std::array<Kind, 128> make_kinds() {
  std::array<Kind, 128> kinds{};
  for (int c = 0; c < 128; c++) {
    Kind kind = Kind::other;
    if (c == ' ' || (c >= 9 && c <= 13)) kind = Kind::blank;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) kind = Kind::letter;
    if (c >= '0' && c <= '9') kind = Kind::digit;
    kinds[static_cast<size_t>(c)] = kind;
  }
  return kinds;
}
constexpr std::array<Kind, 128> kKinds = make_kinds();

Kind kind_at(std::string_view text, size_t i) { return kKinds[static_cast<unsigned char>(text[i]) & 127]; }

size_t run(std::string_view text, size_t from, Kind kind) {
  while (from < text.size() && kind_at(text, from) == kind) from++;
  return from;
}

// Length of 's 'd 'm 't 'll 've 're at i, or 0.
size_t contraction(std::string_view text, size_t i) {
  if (text[i] != '\'' || i + 1 >= text.size()) return 0;
  std::string_view rest = text.substr(i + 1, 2);
  if (rest == "ll" || rest == "ve" || rest == "re") return 3;
  return rest[0] == 's' || rest[0] == 'd' || rest[0] == 'm' || rest[0] == 't' ? 2 : 0;
}

// Length of a JSON member's name with all that stands around it, such as ","name":" or {"name":, at i, or 0.
size_t member_name(std::string_view text, size_t i) {
  size_t at = i;
  auto take = [&](char c) { return at < text.size() && text[at] == c ? (at++, true) : false; };
  take('"');
  if (!take(',') && !take('{')) return 0;
  if (!take('"')) return 0;
  size_t end = at;
  while (end < text.size() && (kind_at(text, end) == Kind::letter || text[end] == '_')) end++;
  if (end == at) return 0;
  at = end;
  if (!take('"') || !take(':')) return 0;
  take('"');
  return at - i;
}

size_t piece_end(std::string_view text, size_t i, int digits) {
  if (size_t n = member_name(text, i)) return i + n;
  if (size_t n = contraction(text, i)) return i + n;
  size_t start = text[i] == ' ' && i + 1 < text.size() ? i + 1 : i;
  Kind kind = kind_at(text, start);
  if (kind == Kind::letter || kind == Kind::other) return run(text, start, kind);
  if (kind_at(text, i) == Kind::digit) {
    return std::min(run(text, i, Kind::digit), i + static_cast<size_t>(digits));
  }
  // Blanks: all of them at the end of the text, else all but the last, which may belong to what follows.
  size_t end = run(text, i, Kind::blank);
  return end == text.size() || end == i + 1 ? end : end - 1;
}

bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

}  // namespace

std::string default_pattern(int digits) {
  check(digits >= 1 && digits <= kMaxDigits, "digits of a piece in [1, 9]");
  std::string number = digits == 1 ? "\\p{N}" : "\\p{N}{1," + std::to_string(digits) + "}";
  return "\"?[,{]\"[A-Za-z_]+\":\"?|'(?:[sdmt]|ll|ve|re)| ?\\p{L}+|" + number +
         "| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
}

void split_ascii(std::string_view text, int digits, std::vector<Range>& out) {
  for (size_t i = 0; i < text.size();) {
    size_t end = piece_end(text, i, digits);
    out.emplace_back(i, end);
    i = end;
  }
}

Result<Splitter> Splitter::make(const std::vector<std::string>& patterns) {
  Splitter splitter;
  for (const auto& pattern : patterns) splitter.patterns_.push_back(TRY(format::Pattern::compile(pattern)));
  for (int digits = 1; patterns.size() == 1 && digits <= kMaxDigits; digits++) {
    if (patterns[0] == default_pattern(digits)) splitter.own_digits_ = digits;
  }
  return splitter;
}

Result<std::vector<Range>> Splitter::split(std::string_view text) const {
  std::vector<Range> pieces;
  if (text.empty()) return pieces;
  if (own_digits_ > 0 && ascii(text)) {
    split_ascii(text, own_digits_, pieces);
    return pieces;
  }
  pieces.emplace_back(0, text.size());
  for (const auto& pattern : patterns_) {
    std::vector<Range> finer;
    for (auto [begin, end] : pieces) {
      for (auto [from, to] : TRY(pattern.split(text.substr(begin, end - begin)))) {
        finer.emplace_back(begin + from, begin + to);
      }
    }
    pieces = std::move(finer);
  }
  return pieces;
}

}  // namespace hf::model
