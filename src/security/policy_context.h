// What the site tells policies of a request: the condition keys that it fills, and no others. A policy that asks for
// one that is never there would not mean what it says (a Deny with it never denies), so it is refused by name when it
// is made.
#pragma once

#include "base/text.h"
#include "security/policy.h"

namespace hf::security {

struct RequestFacts {
  std::string peer;                 // "127.0.0.1:40000", "[::1]:40000"
  std::string user_agent, referer;  // "": the request has none
  std::string region;               // the site's
  std::string residency = {};       // the site's
  bool tls = false;
  Micros now = 0;
};
// What is known of every request; sessions and requests for one tell more (security/sessions.h, api/sts).
// aws:SourceIp, aws:SecureTransport, aws:CurrentTime, aws:EpochTime, aws:UserAgent and aws:Referer (where sent), and
// those of the next two functions.
Context request_context(const RequestFacts& request, const Identity& who);
// aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType, aws:userid, aws:username (of a user).
Context principal_context(const Identity& who);
// aws:RequestedRegion, holdfast:Residency.
Context site_context(const std::string& region, const std::string& residency);

// aws:RequestTag/KEY and aws:TagKeys, of a tag that a request gives.
void tell_tag(Context& context, const std::string& key, const std::string& value);

// What the policy's conditions and variables ask for, as it spells them, each once.
std::vector<std::string> context_keys(const Policy& policy);

// MalformedPolicyDocument: a condition or a variable with a key that is never told of the statement's actions.
Status check_known_keys(const Policy& policy);
// The same of a role's trust policy, which is also told, of a web identity, ISSUER:aud and ISSUER:sub.
Status check_trust_keys(const Policy& policy);

}  // namespace hf::security
