#include "security/policy_pattern.h"

#include <cstdint>

#include "base/text.h"

namespace hf::security {
namespace {

constexpr size_t kMaxVariable = 512;

char16_t fold(char16_t c, bool ignore_case) {
  return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char16_t>(c + 32) : c;
}

char16_t wild(char c) { return c == '*' ? kAnyText : c == '?' ? kAnyOne : static_cast<unsigned char>(c); }

// All ways to match at once: bit i of the set says that the first i characters of the pattern match the text so far.
// A step shifts the set by one for characters that fit and keeps the bits in front of a '*'. Words of 64 bits, so the
// cost is |text| * |pattern| / 64 whatever the pattern says (backtracking would be exponential, or quadratic at best).
// `whole`: the text must end where the pattern does; otherwise it is enough that something of the pattern is left over.
bool run(const Pattern& given, std::string_view text, bool ignore_case, bool whole) {
  Pattern pattern;  // without runs of '*': then what one of them passes on never meets another
  for (char16_t c : given)
    if (c != kAnyText || pattern.empty() || pattern.back() != kAnyText) pattern += fold(c, ignore_case);
  using Bits = std::vector<uint64_t>;
  const size_t m = pattern.size(), words = m / 64 + 1;
  auto set = [](Bits& bits, size_t i) { bits[i / 64] |= uint64_t{1} << (i % 64); };
  Bits now(words), star(words);
  std::vector<Bits> fits(256);  // by character, made when the text has it: bit i: pattern[i] takes it
  for (size_t i = 0; i < m; ++i)
    if (pattern[i] == kAnyText) set(star, i);
  // Bits in `moving` go one place up. A '*' may also match nothing: a bit in front of one is behind it too.
  auto advance = [&](const Bits* moving, const Bits& through) {
    uint64_t carry = 0;
    for (size_t w = 0; w < words; ++w) {
      uint64_t go = (moving ? (*moving)[w] : now[w]) & through[w];
      uint64_t next = go >> 63;
      now[w] = (moving ? now[w] & star[w] : now[w]) | go << 1 | carry;
      carry = next;
    }
  };
  set(now, 0);
  advance(nullptr, star);
  for (char raw : text) {
    char16_t c = fold(static_cast<unsigned char>(raw), ignore_case);
    Bits& mask = fits[c];
    if (mask.empty()) {
      mask.resize(words);
      for (size_t i = 0; i < m; ++i)
        if (pattern[i] == kAnyOne || pattern[i] == c) set(mask, i);
    }
    Bits before = now;
    advance(&before, mask);
    advance(nullptr, star);
    uint64_t any = 0;
    for (uint64_t w : now) any |= w;
    if (!any) return false;
  }
  return !whole || (now[m / 64] >> (m % 64) & 1);
}

bool key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(":/._+=@-").find(c) != std::string_view::npos;
}

// What stands between "${" and "}", which may be in a default: `inside` begins behind "${"; `size` takes the '}' along.
Result<Variable> parse_variable(std::string_view inside, size_t& size) {
  Variable v;
  size_t at = 0;
  if (!inside.empty() && (inside[0] == '*' || inside[0] == '?' || inside[0] == '$'))
    v.name = inside[at++];
  else
    while (at < inside.size() && key_character(inside[at])) v.name += inside[at++];
  if (v.name.empty() || v.name.size() > kMaxVariable) return fail(Code::invalid, "expected a key's name after '${'");
  if (at < inside.size() && inside[at] == ',') {
    do ++at;
    while (at < inside.size() && inside[at] == ' ');
    if (at >= inside.size() || inside[at] != '\'') return fail(Code::invalid, "expected a default in '...' after ','");
    size_t end = inside.find('\'', ++at);
    if (end == inside.npos) return fail(Code::invalid, "expected a \"'\" behind the default of a variable");
    v.otherwise = std::string(inside.substr(at, end - at));
    at = end + 1;
  }
  if (at >= inside.size() || inside[at] != '}') return fail(Code::invalid, "expected '}' behind a policy variable");
  size = at + 1;
  return v;
}

bool plain_sign(const Variable& v) { return v.name == "*" || v.name == "?" || v.name == "$"; }

std::optional<std::string> value_of(const Variable& v, const Context& context) {
  if (plain_sign(v)) return v.name;
  auto found = context.find(lower(v.name));
  if (found == context.end() || found->second.empty()) return v.otherwise;
  if (found->second.size() > 1) return std::nullopt;
  return found->second[0];
}

}  // namespace

Pattern compile(std::string_view text) {
  Pattern out;
  for (char c : text) out += wild(c);
  return out;
}

Status check_variables(std::string_view text) {
  for (size_t at = text.find("${"); at != text.npos; at = text.find("${", at)) {
    size_t size = 0;
    TRY(parse_variable(text.substr(at + 2), size));
    at += 2 + size;
  }
  return {};
}

std::vector<Variable> variables_in(std::string_view text) {
  std::vector<Variable> out;
  for (size_t at = text.find("${"); at != text.npos; at = text.find("${", at)) {
    size_t size = 0;
    auto variable = parse_variable(text.substr(at + 2), size);
    if (!variable.ok()) return out;
    at += 2 + size;
    if (!plain_sign(*variable)) out.push_back(std::move(*variable));
  }
  return out;
}

std::optional<Pattern> expand(std::string_view text, bool wildcards, bool variables, const Context& context) {
  Pattern out;
  for (size_t at = 0; at < text.size();) {
    if (!variables || text.substr(at, 2) != "${") {
      out += wildcards ? wild(text[at]) : static_cast<unsigned char>(text[at]);
      ++at;
      continue;
    }
    size_t size = 0;
    auto variable = parse_variable(text.substr(at + 2), size);
    if (!variable.ok()) return std::nullopt;
    auto value = value_of(*variable, context);
    if (!value) return std::nullopt;
    for (char c : *value) out += static_cast<unsigned char>(c);
    at += 2 + size;
  }
  return out;
}

bool pattern_match(const Pattern& pattern, std::string_view text, bool ignore_case, bool whole) {
  // What stands before the first wildcard is compared at once: most patterns are told apart there.
  const size_t plain = std::min(pattern.find_first_of(std::u16string{kAnyText, kAnyOne}), pattern.size());
  for (size_t i = 0; i < plain && i < text.size(); ++i)
    if (fold(pattern[i], ignore_case) != fold(static_cast<unsigned char>(text[i]), ignore_case)) return false;
  if (plain == pattern.size()) return whole ? text.size() == plain : text.size() <= plain;
  if (text.size() < plain) return !whole;
  if (plain + 1 == pattern.size() && pattern[plain] == kAnyText) return true;
  return run(pattern.substr(plain), text.substr(plain), ignore_case, whole);
}

}  // namespace hf::security
