#include "security/policy.h"

#include <boost/json.hpp>
#include <cstdint>

#include "base/text.h"
#include "security/json.h"

namespace hf::security {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDocument = 64 << 10, kMaxStatements = 256, kMaxPatterns = 1024, kMaxPattern = 2048;

Error malformed(std::string message) {
  return fail(Code::invalid, "MalformedPolicyDocument", "policy: " + std::move(message));
}

std::string_view view(const json::string& s) { return {s.data(), s.size()}; }
std::string_view view(json::string_view s) { return {s.data(), s.size()}; }

Status check_pattern(std::string_view text, bool action) {
  if (text.empty() || text.size() > kMaxPattern)
    return malformed("expected a pattern of 1 to " + std::to_string(kMaxPattern) + " bytes");
  if (text.find("${") != text.npos)
    return malformed("policy variables (${...}) are not evaluated here, so they are not accepted");
  size_t colon = text.find(':');
  if (action && text != "*" && (colon == text.npos || colon == 0 || colon + 1 == text.size()))
    return malformed("Action: expected '*' or 'service:Operation', found '" + std::string(text.substr(0, 100)) + "'");
  if (!action && text != "*" && text.rfind("arn:", 0) != 0)
    return malformed("Resource: expected '*' or an ARN, found '" + std::string(text.substr(0, 100)) + "'");
  return {};
}

// A string or a list of strings.
Result<std::vector<std::string>> patterns(const json::value& value, bool action) {
  const char* name = action ? "Action" : "Resource";
  std::vector<std::string> out;
  auto add = [&](const json::value& v) -> Status {
    if (!v.is_string()) return malformed(std::string(name) + ": expected a string or a list of strings");
    if (auto s = check_pattern(view(v.get_string()), action); !s.ok()) return s;
    out.emplace_back(view(v.get_string()));
    return {};
  };
  if (!value.is_array()) {
    TRY(add(value));
    return out;
  }
  for (const auto& v : value.get_array()) TRY(add(v));
  if (out.empty()) return malformed(std::string(name) + ": expected at least one pattern");
  return out;
}

Result<Statement> parse_statement(const json::value& value) {
  if (!value.is_object()) return malformed("expected each Statement to be an object");
  Statement statement;
  bool effect = false;
  for (const auto& [key, v] : value.get_object()) {
    if (key == "Sid") {
      if (!v.is_string() || v.get_string().size() > 128)
        return malformed("Sid: expected a string of at most 128 bytes");
      statement.sid = view(v.get_string());
    } else if (key == "Effect") {
      if (!v.is_string() || (v.get_string() != "Allow" && v.get_string() != "Deny"))
        return malformed("Effect: expected 'Allow' or 'Deny'");
      statement.allow = v.get_string() == "Allow";
      effect = true;
    } else if (key == "Action") {
      statement.actions = TRY(patterns(v, true));
    } else if (key == "Resource") {
      statement.resources = TRY(patterns(v, false));
    } else {
      return malformed("'" + std::string(view(key).substr(0, 100)) +
                       "' in a Statement is not evaluated here, so it is not accepted");
    }
  }
  if (!effect) return malformed("a Statement has no Effect");
  if (statement.actions.empty()) return malformed("a Statement has no Action");
  if (statement.resources.empty()) return malformed("a Statement has no Resource");
  return statement;
}

// arn:partition:service:region:ACCOUNT:resource
std::string_view account_of(std::string_view arn) {
  if (arn.rfind("arn:", 0) != 0) return {};
  for (int i = 0; i < 4; ++i) {
    size_t colon = arn.find(':');
    if (colon == arn.npos) return {};
    arn.remove_prefix(colon + 1);
  }
  return arn.substr(0, arn.find(':'));
}

template <class Fits>
bool any_of(const std::vector<std::string>& patterns, Fits fits) {
  for (const auto& pattern : patterns)
    if (fits(pattern)) return true;
  return false;
}

bool speaks_of_action(const Statement& statement, std::string_view action) {
  return any_of(statement.actions, [&](const auto& pattern) { return wildcard_match(pattern, action, true); });
}

bool matches(const Statement& statement, std::string_view resource) {
  return any_of(statement.resources, [&](const auto& pattern) { return wildcard_match(pattern, resource, false); });
}

// Allow: all that begins so. A pattern that ends in '*' and matches the prefix matches all that goes on from there.
bool covers(const Statement& statement, std::string_view prefix) {
  return any_of(statement.resources,
                [&](const auto& pattern) { return pattern.back() == '*' && wildcard_match(pattern, prefix, false); });
}

// Deny: anything that begins so.
bool touches(const Statement& statement, std::string_view prefix) {
  return any_of(statement.resources, [&](const auto& pattern) { return wildcard_can_match(pattern, prefix); });
}

// `applies`: does the statement speak of the resource, or of all of them?
template <class Applies>
Decision decide(const Identity& who, std::string_view action, std::string_view resource, Applies applies) {
  if (who.administrator) return {true, "administrator"};
  // Who may call at all may ask who they are: AWS needs no right for it, and no Deny takes it away.
  if (iequal(action, "sts:GetCallerIdentity")) return {true, "everyone"};
  std::string_view owner = account_of(resource);
  if (!owner.empty() && owner != who.account) return {false, "implicit deny: the resource is another account's"};
  std::string allowed_by;
  for (const auto& policy : who.policies) {
    for (size_t i = 0; i < policy.statements.size(); ++i) {
      const Statement& statement = policy.statements[i];
      if (!speaks_of_action(statement, action) || !applies(statement)) continue;
      std::string name = policy.id + "/" + (statement.sid.empty() ? std::to_string(i) : statement.sid);
      if (!statement.allow) return {false, "deny:" + name};
      if (allowed_by.empty()) allowed_by = "allow:" + name;
    }
  }
  if (allowed_by.empty()) return {false, "implicit deny"};
  return {true, allowed_by};
}

char fold(char c, bool ignore_case) { return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

Result<Policy> parse_policy(std::string_view text, std::string id) {
  auto parsed = parse_json(text, kMaxDocument, "policy");
  if (!parsed.ok()) return fail(Code::invalid, "MalformedPolicyDocument", parsed.error().message);
  if (!parsed->is_object()) return malformed("expected an object");
  Policy policy{std::move(id), {}};
  bool version = false, statements = false;
  size_t count = 0;
  for (const auto& [key, v] : parsed->get_object()) {
    if (key == "Version") {
      if (!v.is_string() || v.get_string() != "2012-10-17") return malformed("Version: expected '2012-10-17'");
      version = true;
    } else if (key == "Id") {
      if (!v.is_string()) return malformed("Id: expected a string");
    } else if (key == "Statement") {
      statements = true;
      if (!v.is_array()) {
        policy.statements.push_back(TRY(parse_statement(v)));
        continue;
      }
      if (v.get_array().size() > kMaxStatements)
        return malformed("expected at most " + std::to_string(kMaxStatements) + " statements");
      for (const auto& s : v.get_array()) policy.statements.push_back(TRY(parse_statement(s)));
    } else {
      return malformed("'" + std::string(view(key).substr(0, 100)) + "' is not evaluated here, so it is not accepted");
    }
  }
  if (!version) return malformed("Version is missing: expected '2012-10-17'");
  if (!statements) return malformed("Statement is missing");
  for (const auto& s : policy.statements) count += s.actions.size() + s.resources.size();
  if (count > kMaxPatterns) return malformed("expected at most " + std::to_string(kMaxPatterns) + " patterns");
  return policy;
}

Decision evaluate(const Identity& who, std::string_view action, std::string_view resource) {
  return decide(who, action, resource, [&](const Statement& s) { return matches(s, resource); });
}

Decision evaluate_all(const Identity& who, std::string_view action, std::string_view prefix) {
  return decide(who, action, prefix,
                [&](const Statement& s) { return s.allow ? covers(s, prefix) : touches(s, prefix); });
}

namespace {

// All ways to match at once: bit i of the set says that the first i characters of the pattern match the text so far.
// A step shifts the set by one for characters that fit and keeps the bits in front of a '*'. Words of 64 bits, so the
// cost is |text| * |pattern| / 64 whatever the pattern says (backtracking would be exponential, or quadratic at best).
// `whole`: the text must end where the pattern does; otherwise it is enough that something of the pattern is left over.
bool run(std::string_view given, std::string_view text, bool ignore_case, bool whole) {
  std::string pattern;  // without runs of '*': then what one of them passes on never meets another
  for (char c : given)
    if (c != '*' || pattern.empty() || pattern.back() != '*') pattern += fold(c, ignore_case);
  using Bits = std::vector<uint64_t>;
  const size_t m = pattern.size(), words = m / 64 + 1;
  auto set = [](Bits& bits, size_t i) { bits[i / 64] |= uint64_t{1} << (i % 64); };
  Bits now(words), star(words);
  std::vector<Bits> fits(256);  // by character, made when the text has it: bit i: pattern[i] takes it
  for (size_t i = 0; i < m; ++i)
    if (pattern[i] == '*') set(star, i);
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
    char c = fold(raw, ignore_case);
    Bits& mask = fits[static_cast<unsigned char>(c)];
    if (mask.empty()) {
      mask.resize(words);
      for (size_t i = 0; i < m; ++i)
        if (pattern[i] == '?' || (pattern[i] != '*' && pattern[i] == c)) set(mask, i);
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

}  // namespace

bool wildcard_match(std::string_view pattern, std::string_view text, bool ignore_case) {
  if (pattern == "*") return true;
  if (pattern.find_first_of("*?") == pattern.npos) return ignore_case ? iequal(pattern, text) : pattern == text;
  return run(pattern, text, ignore_case, true);
}

bool wildcard_can_match(std::string_view pattern, std::string_view prefix) {
  return run(pattern, prefix, false, false);
}

}  // namespace hf::security
