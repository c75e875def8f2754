// A document that parses is evaluated; with a Deny of everything added it allows nothing.
#include <cstdlib>

#include "security/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::security;
  auto policy = parse_policy({reinterpret_cast<const char*>(data), size}, "p");
  if (!policy.ok()) return 0;
  Identity who{"000000000001", "arn:aws:iam::000000000001:user/a", "AIDA", "AKIA", false, {*policy}};
  who.policies.push_back({"none", {{"", false, {"*"}, {"*"}}}});
  if (evaluate(who, "s3:GetObject", "arn:aws:s3:::b/k").allowed) std::abort();
  for (const auto& statement : policy->statements)
    for (const auto& pattern : statement.resources)
      wildcard_match(pattern, "arn:aws:s3:::bucket/aaaaaaaaaaaaaaaaaaaa", false);
  return 0;
}
