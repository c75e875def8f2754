// Who may do what: one function, called at one place (the gate and Call::may). Deny by default, an explicit Deny wins.
// The documents are AWS's (Version, Statement, Effect, Action, Resource); what is not evaluated yet (NotAction,
// Condition, ...) is refused when the document is parsed, never ignored.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace hf::security {

struct Statement {
  std::string sid;
  bool allow = false;
  std::vector<std::string> actions;    // "s3:Get*", case-insensitive; * and ?
  std::vector<std::string> resources;  // ARN patterns, case-sensitive; * and ?
};
struct Policy {
  std::string id;  // for the reason in the ledger
  std::vector<Statement> statements;
};
Result<Policy> parse_policy(std::string_view json, std::string id);

struct Identity {
  std::string account;         // 12 digits
  std::string arn;             // arn:aws:iam::ACCOUNT:user/NAME
  std::string user_id;         // AIDA...
  std::string access_key_id;   // the credential that was used ("" for Bearer: then its key's id)
  bool administrator = false;  // of the site: all actions in all accounts
  std::vector<Policy> policies;
};
struct Decision {
  bool allowed = false;
  std::string reason;  // "administrator", "everyone" (sts:GetCallerIdentity), "allow:<policy>/<sid or index>",
                       // "deny:...", "implicit deny"
};
Decision evaluate(const Identity& who, std::string_view action, std::string_view resource);
// For every resource whose ARN begins with `prefix`, those to come included: one statement allows them all, and no Deny
// speaks of any of them.
Decision evaluate_all(const Identity& who, std::string_view action, std::string_view prefix);
bool wildcard_match(std::string_view pattern, std::string_view text, bool ignore_case);  // linear time
// Is there a text that begins with `prefix` and matches?
bool wildcard_can_match(std::string_view pattern, std::string_view prefix);

}  // namespace hf::security
