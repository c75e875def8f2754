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
  bool tls = false;
  Micros now = 0;
};
// What is known of every request; sessions and requests for one tell more (security/sessions.h, api/sts).
// aws:SourceIp, aws:SecureTransport, aws:CurrentTime, aws:EpochTime, aws:RequestedRegion, aws:UserAgent and aws:Referer
// (where sent), aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType, aws:userid, aws:username (of a user).
Context request_context(const RequestFacts& request, const Identity& who);

// MalformedPolicyDocument: a condition or a variable with a key that request_context() never fills.
Status check_known_keys(const Policy& policy);
// The same of a role's trust policy, which is also told, of a web identity, ISSUER:aud and ISSUER:sub.
Status check_trust_keys(const Policy& policy);

}  // namespace hf::security
