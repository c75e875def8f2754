// A document that parses is evaluated; with a Deny of everything added it allows nothing; and what it allows with all
// that begins with a text it allows with each.
#include <cstdlib>

#include "security/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::security;
  auto policy = parse_policy({reinterpret_cast<const char*>(data), size}, "p");
  if (!policy.ok()) return 0;
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
