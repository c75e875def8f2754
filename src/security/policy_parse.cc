#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "security/json.h"
#include "security/policy.h"

namespace hf::security {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDocument = 64 << 10, kMaxStatements = 256, kMaxPatterns = 1024, kMaxPattern = 2048;
constexpr size_t kMaxConditions = 256, kMaxKey = 512;

Error malformed(const std::string& where, const std::string& message) {
  return fail(Code::invalid, "MalformedPolicyDocument", "policy: " + (where.empty() ? "" : where + ": ") + message);
}

std::string_view view(const json::string& s) { return {s.data(), s.size()}; }
std::string name_of(json::string_view s) { return clip_utf8({s.data(), s.size()}, 100); }

Status check_action(const std::string& where, std::string_view text) {
  size_t colon = text.find(':');
  if (text != "*" && (colon == text.npos || colon == 0 || colon + 1 == text.size()))
    return malformed(where, "expected '*' or 'service:Operation', found '" + clip_utf8(text, 100) + "'");
  if (text.find("${") != text.npos) return malformed(where, "a policy variable has no place in an action");
  return {};
}

Status check_resource(const std::string& where, std::string_view text, bool variables) {
  if (text != "*" && !text.starts_with("arn:"))
    return malformed(where, "expected '*' or an ARN, found '" + clip_utf8(text, 100) + "'");
  if (auto s = variables ? check_variables(text) : Status(); !s.ok()) return malformed(where, s.error().message);
  return {};
}

// A string or a list of at least one; numbers and true/false, as conditions may have them, become their text.
Result<std::vector<std::string>> strings(const std::string& where, const json::value& value, bool scalars) {
  std::vector<std::string> out;
  auto add = [&](const std::string& at, const json::value& v) -> Status {
    if (v.is_string())
      out.emplace_back(view(v.get_string()));
    else if (scalars && v.is_bool())
      out.emplace_back(v.get_bool() ? "true" : "false");
    else if (scalars && v.is_int64())
      out.push_back(std::to_string(v.get_int64()));
    else if (scalars && v.is_uint64())
      out.push_back(std::to_string(v.get_uint64()));
    else if (scalars)
      return malformed(at, "expected a string, a whole number, true or false (write other numbers as strings)");
    else
      return malformed(at, "expected a string or a list of strings");
    if (out.back().size() > kMaxPattern || (!scalars && out.back().empty()))
      return malformed(
          at, "expected 1 to " + std::to_string(kMaxPattern) + " bytes, found " + std::to_string(out.back().size()));
    return {};
  };
  if (!value.is_array()) {
    TRY(add(where, value));
    return out;
  }
  for (const auto& v : value.get_array()) TRY(add(where + "[" + std::to_string(out.size()) + "]", v));
  if (out.empty()) return malformed(where, "expected at least one string, found an empty list");
  return out;
}

bool is_account(std::string_view text) {
  return text.size() == 12 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Status add_aws_principal(const std::string& where, const std::string& text, Principals& out) {
  if (text == "*") {
    out.everyone = true;
    return {};
  }
  if (is_account(text)) {
    out.accounts.push_back(text);
    return {};
  }
  auto parts = split(text, ':');
  const bool arn = parts.size() >= 6 && parts[0] == "arn" && parts[1] == "aws" &&
                   (parts[2] == "iam" || parts[2] == "sts") && parts[3].empty() && is_account(parts[4]) &&
                   text.find_first_of("*?") == text.npos && !parts[5].empty();
  if (!arn)
    return malformed(where, "expected '*', an account, or the ARN of an account, user, role or session without " +
                                std::string("wildcards, found '") + clip_utf8(text, 100) + "'");
  if (parts.size() == 6 && parts[5] == "root")
    out.accounts.emplace_back(parts[4]);
  else
    out.arns.push_back(text);
  return {};
}

Result<Principals> parse_principals(const std::string& where, const json::value& value) {
  Principals out;
  if (value.is_string()) {
    if (value.get_string() != "*") return malformed(where, "expected '*' or an object, found another string");
    out.everyone = true;
    return out;
  }
  if (!value.is_object() || value.get_object().empty())
    return malformed(where, "expected '*' or an object of AWS, Service or Federated");
  for (const auto& [key, v] : value.get_object()) {
    const std::string at = where + "." + name_of(key);
    if (key != "AWS" && key != "Service" && key != "Federated")
      return malformed(at, "expected AWS, Service or Federated (this site has no other principals)");
    for (const auto& text : TRY(strings(at, v, false))) {
      if (key == "AWS") {
        TRY(add_aws_principal(at, text, out));
        continue;
      }
      if (text.find_first_of("*?") != text.npos) return malformed(at, "expected a name without wildcards");
      (key == "Service" ? out.services : out.federated).push_back(text);
    }
  }
  return out;
}

bool valid_key(std::string_view key) {
  size_t colon = key.find(':');
  return colon != key.npos && colon > 0 && colon + 1 < key.size() && key.size() <= kMaxKey;
}

Result<std::vector<Condition>> parse_conditions(const std::string& where, const json::value& value, bool variables) {
  if (!value.is_object()) return malformed(where, "expected an object of operators");
  std::vector<Condition> out;
  for (const auto& [name, keys] : value.get_object()) {
    const std::string at = where + "." + name_of(name);
    auto op = parse_operator({name.data(), name.size()});
    if (!op.ok()) return malformed(where, op.error().message);
    if (!keys.is_object()) return malformed(at, "expected an object of condition keys");
    for (const auto& [key, values] : keys.get_object()) {
      const std::string place = at + ".'" + name_of(key) + "'";
      if (!valid_key({key.data(), key.size()})) return malformed(place, "expected a condition key 'prefix:name'");
      Condition c = *op;
      c.key = lower({key.data(), key.size()});
      c.name = key;
      c.values = TRY(strings(place, values, true));
      for (const auto& v : c.values)
        if (auto s = check_value(c.op, v, variables); !s.ok()) return malformed(place, s.error().message);
      out.push_back(std::move(c));
      if (out.size() > kMaxConditions)
        return malformed(where, "expected at most " + std::to_string(kMaxConditions) + " conditions");
    }
  }
  return out;
}

struct Parser {
  PolicyKind kind;
  bool variables;
  std::string where;
  Statement statement = {};
  bool effect = false;

  Status once(bool taken, const char* one, const char* other) const {
    if (taken) return malformed(where, std::string("expected one of ") + one + " and " + other + ", found both");
    return {};
  }
  Status actions(json::string_view name, const json::value& v) {
    TRY(once(!statement.actions.empty(), "Action", "NotAction"));
    statement.actions = TRY(strings(where + "." + name_of(name), v, false));
    statement.not_action = name == "NotAction";
    for (const auto& text : statement.actions) TRY(check_action(where + "." + name_of(name), text));
    return {};
  }
  Status resources(json::string_view name, const json::value& v) {
    if (kind == PolicyKind::trust) return malformed(where, name_of(name) + " has no place in a trust policy");
    TRY(once(!statement.resources.empty(), "Resource", "NotResource"));
    statement.resources = TRY(strings(where + "." + name_of(name), v, false));
    statement.not_resource = name == "NotResource";
    for (const auto& text : statement.resources) TRY(check_resource(where + "." + name_of(name), text, variables));
    return {};
  }
  Status principals(json::string_view name, const json::value& v) {
    if (kind == PolicyKind::identity) return malformed(where, name_of(name) + " has no place in an identity's policy");
    TRY(once(statement.principals.has_value(), "Principal", "NotPrincipal"));
    statement.principals = TRY(parse_principals(where + "." + name_of(name), v));
    statement.not_principal = name == "NotPrincipal";
    return {};
  }
  Status member(json::string_view name, const json::value& v) {
    if (name == "Action" || name == "NotAction") return actions(name, v);
    if (name == "Resource" || name == "NotResource") return resources(name, v);
    if (name == "Principal" || name == "NotPrincipal") return principals(name, v);
    if (name == "Sid") {
      if (!v.is_string() || v.get_string().size() > 128)
        return malformed(where + ".Sid", "expected a string of at most 128 bytes");
      statement.sid = view(v.get_string());
    } else if (name == "Effect") {
      if (!v.is_string() || (v.get_string() != "Allow" && v.get_string() != "Deny"))
        return malformed(where + ".Effect", "expected 'Allow' or 'Deny'");
      statement.allow = v.get_string() == "Allow";
      effect = true;
    } else if (name == "Condition") {
      statement.conditions = TRY(parse_conditions(where + ".Condition", v, variables));
    } else {
      return malformed(where, "'" + name_of(name) + "' is no element of a statement");
    }
    return {};
  }
  Result<Statement> run(const json::value& value) {
    if (!value.is_object()) return malformed(where, "expected an object");
    statement.variables = variables;
    for (const auto& [name, v] : value.get_object()) TRY(member(name, v));
    if (!effect) return malformed(where, "Effect is missing");
    if (statement.actions.empty()) return malformed(where, "Action or NotAction is missing");
    if (statement.resources.empty() && kind != PolicyKind::trust)
      return malformed(where, "Resource or NotResource is missing");
    if (!statement.principals && kind != PolicyKind::identity)
      return malformed(where, "Principal or NotPrincipal is missing");
    if (statement.not_principal && statement.allow)
      return malformed(where, "NotPrincipal goes with Deny only: with Allow it would let in all the world");
    return std::move(statement);
  }
};

Result<bool> has_variables(const json::object& document) {  // by Version
  auto* version = document.if_contains("Version");
  if (!version) return false;
  if (version->is_string() && version->get_string() == "2012-10-17") return true;
  if (version->is_string() && version->get_string() == "2008-10-17") return false;
  return malformed("Version", "expected '2012-10-17' or '2008-10-17'");
}

}  // namespace

Result<Policy> parse_policy(std::string_view text, std::string id, PolicyKind kind) {
  auto parsed = parse_json(text, kMaxDocument, "policy");
  if (!parsed.ok()) return fail(Code::invalid, "MalformedPolicyDocument", parsed.error().message);
  if (!parsed->is_object()) return malformed("", "expected an object");
  const bool variables = TRY(has_variables(parsed->get_object()));
  Policy policy{std::move(id), {}};
  bool statements = false;
  for (const auto& [key, v] : parsed->get_object()) {
    if (key == "Version") continue;
    if (key == "Id") {
      if (!v.is_string()) return malformed("Id", "expected a string");
    } else if (key == "Statement") {
      statements = true;
      if (!v.is_array()) {
        policy.statements.push_back(TRY((Parser{kind, variables, "Statement"}.run(v))));
        continue;
      }
      if (v.get_array().size() > kMaxStatements)
        return malformed("Statement", "expected at most " + std::to_string(kMaxStatements) + " statements");
      for (const auto& s : v.get_array()) {
        const std::string where = "Statement[" + std::to_string(policy.statements.size()) + "]";
        policy.statements.push_back(TRY((Parser{kind, variables, where}.run(s))));
      }
    } else {
      return malformed("", "'" + name_of(key) + "' is no element of a policy");
    }
  }
  if (!statements) return malformed("", "Statement is missing");
  size_t count = 0;
  for (const auto& s : policy.statements) count += s.actions.size() + s.resources.size();
  if (count > kMaxPatterns) return malformed("", "expected at most " + std::to_string(kMaxPatterns) + " patterns");
  return policy;
}

}  // namespace hf::security
