#include "security/policy_condition.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.h"
#include "base/text.h"

namespace hf::security {
namespace {

using T = Operator::Type;
using C = Operator::Compare;

constexpr Operator kOperators[] = {
    {"StringEquals", T::string, C::equal, false},
    {"StringNotEquals", T::string, C::equal, true},
    {"StringEqualsIgnoreCase", T::string_ignore_case, C::equal, false},
    {"StringNotEqualsIgnoreCase", T::string_ignore_case, C::equal, true},
    {"StringLike", T::like, C::equal, false},
    {"StringNotLike", T::like, C::equal, true},
    {"NumericEquals", T::numeric, C::equal, false},
    {"NumericNotEquals", T::numeric, C::equal, true},
    {"NumericLessThan", T::numeric, C::less, false},
    {"NumericLessThanEquals", T::numeric, C::less_equal, false},
    {"NumericGreaterThan", T::numeric, C::greater, false},
    {"NumericGreaterThanEquals", T::numeric, C::greater_equal, false},
    {"DateEquals", T::date, C::equal, false},
    {"DateNotEquals", T::date, C::equal, true},
    {"DateLessThan", T::date, C::less, false},
    {"DateLessThanEquals", T::date, C::less_equal, false},
    {"DateGreaterThan", T::date, C::greater, false},
    {"DateGreaterThanEquals", T::date, C::greater_equal, false},
    {"Bool", T::boolean, C::equal, false},
    {"BinaryEquals", T::binary, C::equal, false},
    {"IpAddress", T::ip, C::equal, false},
    {"NotIpAddress", T::ip, C::equal, true},
    {"ArnEquals", T::arn, C::equal, false},
    {"ArnLike", T::arn, C::equal, false},
    {"ArnNotEquals", T::arn, C::equal, true},
    {"ArnNotLike", T::arn, C::equal, true},
    {"Null", T::null, C::equal, false},
};

enum class Match { no, unknown, yes };  // unknown: it cannot be compared
Match match_if(bool yes) { return yes ? Match::yes : Match::no; }

bool takes_variables(T type) {
  return type == T::string || type == T::string_ignore_case || type == T::like || type == T::arn;
}

bool ordered(C compare, int order) {
  switch (compare) {
    case C::equal:
      return order == 0;
    case C::less:
      return order < 0;
    case C::less_equal:
      return order <= 0;
    case C::greater:
      return order > 0;
    case C::greater_equal:
      return order >= 0;
  }
  return false;
}

bool digits(std::string_view text, size_t most) {
  return !text.empty() && text.size() <= most &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A decimal number without leading and trailing zeros, so that texts compare: no rounding.
struct Decimal {
  bool negative = false;
  std::string whole, fraction;
};
std::optional<Decimal> decimal_of(std::string_view text) {
  Decimal d;
  if (text.starts_with('-')) d.negative = true, text.remove_prefix(1);
  size_t dot = text.find('.');
  std::string_view whole = text.substr(0, dot), fraction = dot == text.npos ? "0" : text.substr(dot + 1);
  if (!digits(whole, 30) || !digits(fraction, 30)) return std::nullopt;
  while (!whole.empty() && whole[0] == '0') whole.remove_prefix(1);
  while (!fraction.empty() && fraction.back() == '0') fraction.remove_suffix(1);
  d.whole = whole, d.fraction = fraction;
  if (whole.empty() && fraction.empty()) d.negative = false;
  return d;
}
int order(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int magnitude = a.whole.size() != b.whole.size() ? (a.whole.size() < b.whole.size() ? -1 : 1)
                  : a.whole != b.whole             ? a.whole.compare(b.whole)
                                                   : a.fraction.compare(b.fraction);
  return a.negative ? -magnitude : magnitude;
}

// Seconds since 1970, a day, or a time with its zone.
std::optional<Micros> date_of(std::string_view text) {
  if (digits(text.substr(text.starts_with('-') ? 1 : 0), 11)) return *parse_int(text) * 1'000'000;
  auto t = parse_iso8601(text.size() == 10 ? std::string(text) + "T00:00:00Z" : std::string(text));
  if (!t.ok()) return std::nullopt;
  return *t;
}

struct Network {
  std::array<unsigned char, 16> bytes{};
  int family = 0, bits = 0;
};
// `mask`: "/n" may follow.
std::optional<Network> network_of(std::string_view text, bool mask) {
  Network n;
  size_t slash = text.find('/');
  if (slash != text.npos && !mask) return std::nullopt;
  const std::string address(text.substr(0, slash));
  n.family = address.find(':') == address.npos ? AF_INET : AF_INET6;
  if (address.find('\0') != address.npos || inet_pton(n.family, address.c_str(), n.bytes.data()) != 1)
    return std::nullopt;
  n.bits = n.family == AF_INET ? 32 : 128;
  if (slash == text.npos) return n;
  std::string_view length = text.substr(slash + 1);
  if (!digits(length, 3) || (length.size() > 1 && length[0] == '0') || *parse_int(length) > n.bits) return std::nullopt;
  n.bits = static_cast<int>(*parse_int(length));
  return n;
}
bool holds_address(const Network& network, const Network& address) {
  if (network.family != address.family) return false;
  for (int bit = 0; bit < network.bits; ++bit) {
    const size_t byte = static_cast<size_t>(bit) / 8;
    if ((network.bytes[byte] ^ address.bytes[byte]) >> (7 - bit % 8) & 1) return false;
  }
  return true;
}

// The six parts one by one: a wildcard does not reach over a ':' of the first five.
bool arn_match(const Pattern& pattern, std::string_view arn) {
  if (pattern == Pattern{kAnyText}) return true;
  size_t p = 0, a = 0;
  for (int part = 0; part < 6; ++part) {
    size_t p_end = part == 5 ? pattern.size() : pattern.find(u':', p);
    size_t a_end = part == 5 ? arn.size() : arn.find(':', a);
    if (p_end == pattern.npos || a_end == arn.npos) return false;
    if (!pattern_match(pattern.substr(p, p_end - p), arn.substr(a, a_end - a), false, true)) return false;
    p = p_end + 1, a = a_end + 1;
  }
  return true;
}

Match match_text(const Operator& op, const std::string& wanted, const std::string& have, bool variables,
                 const Context& context) {
  const bool wildcards = op.type == T::like || op.type == T::arn;
  auto pattern = expand(wanted, wildcards, variables, context);
  if (!pattern) return Match::unknown;
  if (op.type == T::arn) return match_if(arn_match(*pattern, have));
  return match_if(pattern_match(*pattern, have, op.type == T::string_ignore_case, true));
}

Match match_one(const Operator& op, const std::string& wanted, const std::string& have, bool variables,
                const Context& context) {
  switch (op.type) {
    case T::string:
    case T::string_ignore_case:
    case T::like:
    case T::arn:
      return match_text(op, wanted, have, variables, context);
    case T::numeric: {
      auto a = decimal_of(have), b = decimal_of(wanted);
      return a && b ? match_if(ordered(op.compare, order(*a, *b))) : Match::unknown;
    }
    case T::date: {
      auto a = date_of(have), b = date_of(wanted);
      return a && b ? match_if(ordered(op.compare, *a < *b ? -1 : *a > *b)) : Match::unknown;
    }
    case T::boolean:
      if (!iequal(have, "true") && !iequal(have, "false")) return Match::unknown;
      return match_if(iequal(have, wanted));
    case T::binary: {
      auto a = unbase64(have), b = unbase64(wanted);
      return a.ok() && b.ok() ? match_if(*a == *b) : Match::unknown;
    }
    case T::ip: {
      auto a = network_of(have, false), b = network_of(wanted, true);
      return a && b ? match_if(holds_address(*b, *a)) : Match::unknown;
    }
    case T::null:
      break;
  }
  return Match::unknown;
}

}  // namespace

Result<Condition> parse_operator(std::string_view name) {
  Condition c;
  std::string_view rest = name;
  for (auto [prefix, quantifier] : {std::pair{std::string_view("ForAllValues:"), Condition::Quantifier::all},
                                    std::pair{std::string_view("ForAnyValue:"), Condition::Quantifier::any}})
    if (rest.starts_with(prefix)) {
      c.quantifier = quantifier;
      rest.remove_prefix(prefix.size());
      break;
    }
  if (rest.ends_with("IfExists")) c.if_exists = true, rest.remove_suffix(8);
  for (const Operator& op : kOperators)
    if (op.name == rest) c.op = op;
  if (c.op.name.empty() || (c.op.type == T::null && (c.if_exists || c.quantifier != Condition::Quantifier::none)))
    return fail(Code::invalid, "expected a condition operator, found '" + clip_utf8(name, 100) + "'");
  return c;
}

Status check_value(const Operator& op, std::string_view value, bool variables) {
  auto expected = [&](bool good, const char* what) -> Status {
    if (good) return {};
    return fail(Code::invalid, std::string("expected ") + what + ", found '" + clip_utf8(value, 100) + "'");
  };
  switch (op.type) {
    case T::string:
    case T::string_ignore_case:
    case T::like:
      return variables ? check_variables(value) : Status();
    case T::arn:
      if (variables) TRY(check_variables(value));
      return expected(value == "*" || value.starts_with("arn:") || value.starts_with("${"), "an ARN");
    case T::numeric:
      return expected(decimal_of(value).has_value(), "a decimal number");
    case T::date:
      return expected(date_of(value).has_value(), "an ISO 8601 time or seconds since 1970");
    case T::boolean:
    case T::null:
      return expected(iequal(value, "true") || iequal(value, "false"), "'true' or 'false'");
    case T::binary:
      return expected(unbase64(value).ok(), "base64");
    case T::ip:
      return expected(network_of(value, true).has_value(), "an IP address or CIDR block");
  }
  return {};
}

bool holds(const Condition& c, bool allow, bool variables, const Context& context) {
  static const std::vector<std::string> kNone;
  auto found = context.find(c.key);
  const auto& have = found == context.end() ? kNone : found->second;
  if (c.op.type == T::null)
    return std::any_of(c.values.begin(), c.values.end(),
                       [&](const std::string& v) { return iequal(v, "true") == have.empty(); });
  if (have.empty()) {
    if (c.if_exists || c.quantifier == Condition::Quantifier::all) return true;
    return c.quantifier == Condition::Quantifier::none && c.op.negated;
  }
  auto fits = [&](const std::string& value) {
    Match best = Match::no;
    for (const auto& wanted : c.values)
      best = std::max(best, match_one(c.op, wanted, value, variables && takes_variables(c.op.type), context));
    if (best == Match::unknown) return c.op.negated && !allow;
    return (best == Match::yes) != c.op.negated;
  };
  // Several values without a quantifier: one that is equal is enough for "equal", none may be for "not equal".
  const bool all =
      c.quantifier == Condition::Quantifier::all || (c.quantifier == Condition::Quantifier::none && c.op.negated);
  return all ? std::all_of(have.begin(), have.end(), fits) : std::any_of(have.begin(), have.end(), fits);
}

}  // namespace hf::security
