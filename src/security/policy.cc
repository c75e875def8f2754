#include "security/policy.h"

#include <algorithm>

#include "base/text.h"

namespace hf::security {
namespace {

// arn:partition:service:region:ACCOUNT:resource
std::string_view account_of(std::string_view arn) {
  if (!arn.starts_with("arn:")) return {};
  for (int i = 0; i < 4; ++i) {
    size_t colon = arn.find(':');
    if (colon == arn.npos) return {};
    arn.remove_prefix(colon + 1);
  }
  return arn.substr(0, arn.find(':'));
}

bool has(const std::vector<std::string>& list, std::string_view one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

// How nearly an Allow of a resource's policy names the caller.
enum class Named {
  no,
  account,  // through its account: the account decides who, by its own policies
  general,  // the role of the session, or everyone: no policy of its own is needed, but boundary and session limit it
  exactly,  // the user, the session, the service or the provider: nothing else is needed in its own account
};

Named named(const Principals& p, const Identity& who) {
  if (who.kind == PrincipalKind::service) return has(p.services, who.arn) ? Named::exactly : Named::no;
  if (who.kind == PrincipalKind::federated) return has(p.federated, who.arn) ? Named::exactly : Named::no;
  if (has(p.arns, who.arn)) return Named::exactly;
  if (p.everyone || (!who.role_arn.empty() && has(p.arns, who.role_arn))) return Named::general;
  return has(p.accounts, who.account) ? Named::account : Named::no;
}

// A Deny of all but these spares a caller whose every face is listed: its account, its role, and itself.
bool spared(const Principals& p, const Identity& who) {
  if (who.kind != PrincipalKind::aws) return named(p, who) != Named::no;
  if (p.everyone) return true;
  return has(p.accounts, who.account) && has(p.arns, who.arn) && (who.role_arn.empty() || has(p.arns, who.role_arn));
}

class Evaluation {
 public:
  Evaluation(const Identity& who, const Question& question, Trace* trace)
      : who_(who), question_(question), trace_(trace), context_(who.facts) {
    context_.insert(question.context.begin(), question.context.end());
  }
  Decision run();

 private:
  struct Found {
    std::string allow, deny;  // the first of each: "<policy>/<sid or index>"
    Named named = Named::no;  // of a resource's policy: by the nearest Allow
  };
  using Part = Trace::Part;
  bool applies(const Statement& s) const;
  bool speaks_of_action(const Statement& s) const;
  bool speaks_of_resource(const Statement& s) const;
  bool pattern_fits(const Statement& s, const std::string& text, bool whole, bool& unknown) const;
  void note_missing(const Statement& s) const;
  void miss(const std::string& key) const;
  void miss_variables(const Statement& s, const std::string& text) const;
  void scan(const Policy& policy, Part part, Found& found) const;
  Found scan(const std::vector<Policy>& policies, Part part) const;
  Decision decide(const Found& identity, const Found& boundary, const Found& session, const Found& resource) const;

  const Identity& who_;
  const Question& question_;
  Trace* trace_;  // null: nobody asks how
  Context context_;
};

bool Evaluation::speaks_of_action(const Statement& s) const {
  bool listed = std::any_of(s.actions.begin(), s.actions.end(),
                            [&](const auto& pattern) { return wildcard_match(pattern, question_.action, true); });
  return listed != s.not_action;
}

// `whole`: the pattern covers what the question is about, all of it; else it touches something of it.
bool Evaluation::pattern_fits(const Statement& s, const std::string& text, bool whole, bool& unknown) const {
  auto pattern = expand(text, true, s.variables, context_);
  if (!pattern) return unknown = true, false;
  if (!question_.all_that_begin_so) return pattern_match(*pattern, question_.resource, false, true);
  if (!whole) return pattern_match(*pattern, question_.resource, false, false);
  // It ends in '*' and matches the beginning: so it matches all that goes on from there.
  return !pattern->empty() && pattern->back() == kAnyText && pattern_match(*pattern, question_.resource, false, true);
}

// An Allow must cover all that is asked for, a Deny need only touch it; a Not turns that round. A variable without a
// value matches nothing, and an Allow of all but that is no Allow.
bool Evaluation::speaks_of_resource(const Statement& s) const {
  if (s.resources.empty()) return true;  // a trust policy: its role
  bool unknown = false, listed = false;
  for (const auto& text : s.resources)
    if (pattern_fits(s, text, s.allow != s.not_resource, unknown)) listed = true;
  if (s.not_resource && s.allow && unknown) return false;
  return listed != s.not_resource;
}

bool Evaluation::applies(const Statement& s) const {
  return speaks_of_action(s) && speaks_of_resource(s) &&
         std::all_of(s.conditions.begin(), s.conditions.end(),
                     [&](const Condition& c) { return holds(c, s.allow, s.variables, context_); });
}

void Evaluation::miss(const std::string& key) const {
  const auto told = context_.find(lower(key));
  if (told != context_.end() && !told->second.empty()) return;
  auto& missing = trace_->missing;
  if (std::none_of(missing.begin(), missing.end(), [&](const auto& k) { return iequal(k, key); }))
    missing.push_back(key);
}

void Evaluation::miss_variables(const Statement& s, const std::string& text) const {
  if (!s.variables) return;
  for (const Variable& v : variables_in(text))
    if (!v.otherwise) miss(v.name);
}

// What a statement about the action, and as far as that is known about the resource, asks for.
void Evaluation::note_missing(const Statement& s) const {
  if (!speaks_of_action(s)) return;
  for (const auto& r : s.resources) miss_variables(s, r);
  if (!speaks_of_resource(s)) return;
  for (const Condition& c : s.conditions) {
    miss(c.name);
    for (const auto& value : c.values) miss_variables(s, value);
  }
}

void Evaluation::scan(const Policy& policy, Part part, Found& found) const {
  for (size_t i = 0; i < policy.statements.size(); ++i) {
    const Statement& s = policy.statements[i];
    Named how = Named::no;
    if (s.principals) {
      if (s.not_principal ? spared(*s.principals, who_) : (how = named(*s.principals, who_)) == Named::no) continue;
    }
    if (trace_) note_missing(s);
    if (!applies(s)) continue;
    if (trace_) trace_->matches.push_back({part, &policy, i, s.allow});
    std::string name = policy.id + "/" + (s.sid.empty() ? std::to_string(i) : s.sid);
    if (!s.allow) {
      if (found.deny.empty()) found.deny = name;
    } else {
      if (found.allow.empty() || how > found.named) found.allow = name;
      found.named = std::max(found.named, how);
    }
  }
}

Evaluation::Found Evaluation::scan(const std::vector<Policy>& policies, Part part) const {
  Found found;
  for (const auto& policy : policies) scan(policy, part, found);
  return found;
}

Decision denied(const char* why) { return {false, *why ? std::string("implicit deny: ") + why : "implicit deny"}; }

Decision Evaluation::decide(const Found& identity, const Found& boundary, const Found& session,
                            const Found& resource) const {
  for (const Found* f : {&identity, &boundary, &session, &resource})
    if (!f->deny.empty()) return {false, "deny:" + f->deny, true};
  const bool within_boundary = !who_.boundary || !boundary.allow.empty();
  const bool within_session = !who_.session || !session.allow.empty();
  const std::string_view owner = question_.owner.empty() ? account_of(question_.resource) : question_.owner;
  const bool ours = owner.empty() || owner == who_.account;
  if (who_.kind != PrincipalKind::aws)  // it has no account and no policies: the resource's says all
    return resource.named == Named::exactly ? Decision{true, "allow:" + resource.allow} : denied("");
  if (!ours && resource.named == Named::no) return denied("the resource is another account's");
  if (ours && resource.named == Named::exactly) return {true, "allow:" + resource.allow};
  if (question_.resource_policy_rules && resource.named == Named::no) return denied("the resource's own policy");
  const bool needs_own = !ours || resource.named != Named::general;
  if (needs_own && identity.allow.empty()) return denied("");
  if (!within_boundary) return denied("the permissions boundary");
  if (!within_session) return denied("the session's policies");
  return {true, "allow:" + (needs_own ? identity.allow : resource.allow)};
}

Decision Evaluation::run() {
  // Who may call at all may ask who they are: AWS needs no right for it, and no Deny takes it away.
  if (iequal(question_.action, "sts:GetCallerIdentity"))
    return {true, who_.administrator ? "administrator" : "everyone"};
  Found boundary, session, resource;
  if (who_.session) session = scan(*who_.session, Part::session);
  if (who_.administrator) {
    if (!session.deny.empty()) return {false, "deny:" + session.deny, true};
    return who_.session && session.allow.empty() ? denied("the session's policies") : Decision{true, "administrator"};
  }
  if (who_.boundary) scan(*who_.boundary, Part::boundary, boundary);
  if (question_.resource_policy) scan(*question_.resource_policy, Part::resource, resource);
  Decision decision = decide(scan(who_.policies, Part::identity), boundary, session, resource);
  // A key may have a session of its own without a right to it; a Deny takes that away.
  if (!decision.allowed && !decision.explicit_deny && iequal(question_.action, "sts:GetSessionToken"))
    return {true, "everyone"};
  return decision;
}

}  // namespace

Decision evaluate(const Identity& who, const Question& question, Trace* trace) {
  return Evaluation(who, question, trace).run();
}

Decision evaluate(const Identity& who, std::string_view action, std::string_view resource) {
  return evaluate(who, Question{.action = action, .resource = resource});
}

Decision evaluate_all(const Identity& who, std::string_view action, std::string_view prefix) {
  return evaluate(who, Question{.action = action, .resource = prefix, .all_that_begin_so = true});
}

bool wildcard_match(std::string_view pattern, std::string_view text, bool ignore_case) {
  return pattern_match(compile(pattern), text, ignore_case, true);
}

bool wildcard_can_match(std::string_view pattern, std::string_view prefix) {
  return pattern_match(compile(pattern), prefix, false, false);
}

}  // namespace hf::security
