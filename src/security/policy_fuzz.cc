// A document that parses is evaluated, and each of its statements has a place in it; with a Deny of everything added it
// allows nothing; and what it allows with all that begins with a text it allows with each.
#include <cstdlib>

#include "security/policy.h"
#include "security/policy_places.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::security;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto policy = parse_policy(text, "p");
  const auto places = statement_places(text);
  if (!policy.ok()) return 0;
  if (places.size() != policy->statements.size()) std::abort();
  Identity who{"000000000001", "arn:aws:iam::000000000001:user/a", "AIDA", "AKIA", false, {*policy}};
  who.policies.push_back({"none", {{"", false, {"*"}, {"*"}}}});
  if (evaluate(who, "s3:GetObject", "arn:aws:s3:::b/k").allowed) std::abort();
  if (evaluate_all(who, "s3:GetObject", "arn:aws:s3:::b/").allowed) std::abort();
  who.policies.pop_back();  // what is allowed with all that begins so is allowed
  if (evaluate_all(who, "s3:GetObject", "arn:aws:s3:::b/").allowed &&
      !evaluate(who, "s3:GetObject", "arn:aws:s3:::b/k/l").allowed)
    std::abort();
  for (const auto& statement : policy->statements)
    for (const auto& pattern : statement.resources)
      wildcard_match(pattern, "arn:aws:s3:::bucket/aaaaaaaaaaaaaaaaaaaa", false);
  return 0;
}
