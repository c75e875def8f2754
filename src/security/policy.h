// Who may do what: one function, called at one place (the gate and Call::may). Deny by default, an explicit Deny wins.
// The documents are AWS's policy grammar in full: Action and NotAction, Resource and NotResource, Principal and
// NotPrincipal, Condition with every operator, policy variables. What a document says and this does not know is refused
// when it is parsed, never ignored. Where AWS leaves a case open, docs/decisions/0013-policy-evaluation.md says ours.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "security/policy_condition.h"

namespace hf::security {

// Of a Principal or NotPrincipal element. An AWS principal that is an account ("123456789012" or its :root ARN) speaks
// of everyone in it.
struct Principals {
  bool everyone = false;
  std::vector<std::string> accounts;             // 12 digits
  std::vector<std::string> arns;                 // users, roles, sessions; compared whole
  std::vector<std::string> services, federated;  // "bedrock.amazonaws.com"; an identity provider's ARN
};

struct Statement {
  std::string sid;
  bool allow = false;
  std::vector<std::string> actions;               // "s3:Get*", case-insensitive; * and ?
  std::vector<std::string> resources;             // ARN patterns, case-sensitive; * and ?; policy variables
  bool not_action = false, not_resource = false;  // all but these
  std::optional<Principals> principals = {};
  bool not_principal = false;
  std::vector<Condition> conditions = {};
  bool variables = true;  // Version 2012-10-17; in 2008-10-17 "${" is plain text
};
struct Policy {
  std::string id;  // for the reason in the ledger
  std::vector<Statement> statements;
};

enum class PolicyKind {
  identity,  // of a user, group, role, session, or a boundary: no Principal
  resource,  // of a bucket or key: Principal or NotPrincipal
  trust,     // of a role: Principal, and no Resource
};
// At most 64 KiB, 256 statements, 1,024 patterns and 256 conditions. MalformedPolicyDocument says what and where.
Result<Policy> parse_policy(std::string_view json, std::string id, PolicyKind kind = PolicyKind::identity);

// Who asks: an AWS principal (a user or a role's session), or, of a trust policy only, a provider or a service.
enum class PrincipalKind { aws, service, federated };
struct Identity {
  std::string account;         // 12 digits
  std::string arn;             // arn:aws:iam::ACCOUNT:user/NAME; arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
  std::string user_id;         // AIDA..., or AROA...:SESSION
  std::string access_key_id;   // the credential that was used ("" for Bearer: then its key's id)
  bool administrator = false;  // of the site: all actions in all accounts, but what `session` does not allow
  std::vector<Policy> policies;
  std::optional<Policy> boundary = {};              // allows at most this
  std::optional<std::vector<Policy>> session = {};  // of the credential: allows at most what one of these does
  std::string role_arn = {};                        // of a role's session
  PrincipalKind kind = PrincipalKind::aws;          // of the others `arn` is the service's or provider's name
  Context facts = {};                               // aws:username, aws:PrincipalTag/..., in lower case
  bool temporary = false;                           // the credential is a session's (security/sessions.h)
  std::vector<std::pair<std::string, std::string>> transitive = {};  // session tags that the next role is given too
};

struct Question {
  std::string_view action, resource;
  // `resource` is the beginning of ARNs, and all of those are meant, those to come included: one statement allows them
  // all, and no Deny speaks of any of them.
  bool all_that_begin_so = false;
  std::string owner = {};                   // the account whose the resource is; "": the ARN says it, or nobody's
  const Policy* resource_policy = nullptr;  // the bucket's, the key's, the role's trust; nullptr: it has none
  // Keys and roles: their own policy has to name the caller, or hand its account the decision.
  bool resource_policy_rules = false;
  Context context = {};  // of the request, keys in lower case; the identity's facts go before it
};
struct Decision {
  bool allowed = false;
  std::string reason;  // "administrator", "everyone" (sts:GetCallerIdentity, sts:GetSessionToken), "allow:<policy>/<sid
                       // or index>", "deny:...", "implicit deny", "implicit deny: <why>"
  bool explicit_deny = false;
};
// How a decision came about, for simulation: the statements that apply, and what they ask for that nobody has told.
struct Trace {
  enum class Part { identity, boundary, session, resource };
  struct Match {
    Part part = Part::identity;
    const Policy* policy = nullptr;
    size_t statement = 0;
    bool allow = false;
  };
  std::vector<Match> matches;
  std::vector<std::string> missing;  // condition keys as the policies spell them, each once
};
Decision evaluate(const Identity& who, const Question& question, Trace* trace = nullptr);
// Without a request: a resource, and all that begin so.
Decision evaluate(const Identity& who, std::string_view action, std::string_view resource);
Decision evaluate_all(const Identity& who, std::string_view action, std::string_view prefix);

bool wildcard_match(std::string_view pattern, std::string_view text, bool ignore_case);  // linear time
// Is there a text that begins with `prefix` and matches?
bool wildcard_can_match(std::string_view pattern, std::string_view prefix);

}  // namespace hf::security
