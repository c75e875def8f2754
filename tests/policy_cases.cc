// Evaluates policies for tests/policy_reference.py: a line of JSON in is a case, a line out is the decision.
//   {"who":{"account","arn","role_arn","kind"},"policies":[document],"boundary":document,"session":[document],
//    "resource_policy":document,"trust":bool,"rules":bool,"owner","action","resource","all":bool,"context":{key:[value]}}
// A document is a string. Out: "allowed", "explicitDeny", "implicitDeny", or "malformed".
#include <boost/json.hpp>
#include <iostream>

#include "base/text.h"
#include "security/policy.h"

namespace {

using namespace hf;
using namespace hf::security;
namespace json = boost::json;

std::string text(const json::object& o, const char* name) {
  auto* v = o.if_contains(name);
  return v && v->is_string() ? std::string(v->get_string().data(), v->get_string().size()) : std::string();
}

bool yes(const json::object& o, const char* name) {
  auto* v = o.if_contains(name);
  return v && v->is_bool() && v->get_bool();
}

Result<std::vector<Policy>> policies(const json::value& list) {
  std::vector<Policy> out;
  for (const auto& d : list.as_array())
    out.push_back(TRY(parse_policy({d.as_string().data(), d.as_string().size()}, std::to_string(out.size()))));
  return out;
}

Result<Decision> decide(const json::object& c) {
  const auto& w = c.at("who").as_object();
  Identity who;
  who.account = text(w, "account"), who.arn = text(w, "arn"), who.role_arn = text(w, "role_arn");
  who.kind = text(w, "kind") == "service"     ? PrincipalKind::service
             : text(w, "kind") == "federated" ? PrincipalKind::federated
                                              : PrincipalKind::aws;
  who.policies = TRY(policies(c.at("policies")));
  if (c.if_contains("boundary")) who.boundary = TRY(parse_policy(text(c, "boundary"), "boundary"));
  if (auto* s = c.if_contains("session")) who.session = TRY(policies(*s));
  const std::string action = text(c, "action"), resource = text(c, "resource");
  Question q{.action = action, .resource = resource, .all_that_begin_so = yes(c, "all"), .owner = text(c, "owner")};
  Policy resource_policy;
  if (c.if_contains("resource_policy")) {
    resource_policy = TRY(parse_policy(text(c, "resource_policy"), "resource",
                                       yes(c, "trust") ? PolicyKind::trust : PolicyKind::resource));
    q.resource_policy = &resource_policy;
  }
  q.resource_policy_rules = yes(c, "rules");
  for (const auto& [key, values] : c.at("context").as_object())
    for (const auto& v : values.as_array())
      q.context[lower({key.data(), key.size()})].emplace_back(v.as_string().data(), v.as_string().size());
  return evaluate(who, q);
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    auto decision = decide(json::parse(line).as_object());
    std::cout << (!decision.ok()            ? "malformed"
                  : decision->allowed       ? "allowed"
                  : decision->explicit_deny ? "explicitDeny"
                                            : "implicitDeny")
              << '\n';
  }
}
