#include "security/policy_context.h"

#include <algorithm>

#include "base/text.h"

namespace hf::security {
namespace {

constexpr std::string_view kKeys[] = {
    // of every request
    "aws:currenttime", "aws:epochtime", "aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:referer",
    "aws:requestedregion", "aws:securetransport", "aws:sourceip", "aws:useragent", "aws:userid", "aws:username",
    // of sessions
    "aws:federatedprovider", "aws:multifactorauthage", "aws:multifactorauthpresent", "aws:sourceidentity",
    "aws:tokenissuetime"};
// Of requests for a session, and of no others: a statement that asks for one must speak of actions of sts alone, or a
// Deny would hold for the others never.
constexpr std::string_view kStsKeys[] = {"aws:tagkeys", "sts:externalid", "sts:rolesessionname", "sts:sourceidentity",
                                         "sts:transitivetagkeys"};
// Of requests to keys (api/kms), likewise of no others.
constexpr std::string_view kKmsKeys[] = {"aws:tagkeys",
                                         "kms:bypasspolicylockoutsafetycheck",
                                         "kms:calleraccount",
                                         "kms:datakeypairspec",
                                         "kms:encryptionalgorithm",
                                         "kms:encryptioncontextkeys",
                                         "kms:expirationmodel",
                                         "kms:grantconstrainttype",
                                         "kms:grantisforawsresource",
                                         "kms:grantoperations",
                                         "kms:granteeprincipal",
                                         "kms:keyagreementalgorithm",
                                         "kms:keyorigin",
                                         "kms:keyspec",
                                         "kms:keyusage",
                                         "kms:macalgorithm",
                                         "kms:messagetype",
                                         "kms:multiregion",
                                         "kms:reencryptonsamekey",
                                         "kms:requestalias",
                                         "kms:resourcealiases",
                                         "kms:retiringprincipal",
                                         "kms:rotationperiodindays",
                                         "kms:schedulekeydeletionpendingwindowindays",
                                         "kms:signingalgorithm",
                                         "kms:validto",
                                         "kms:wrappingalgorithm",
                                         "kms:wrappingkeyspec"};
constexpr std::string_view kKmsPrefixes[] = {"aws:requesttag/", "aws:resourcetag/", "kms:encryptioncontext:"};
constexpr std::string_view kPrincipalTag = "aws:principaltag/", kRequestTag = "aws:requesttag/";

// What is told where the statement applies.
enum class Told { anywhere, sts, kms, trust };

std::string address_of(std::string_view peer) {
  if (peer.starts_with('[')) return std::string(peer.substr(1, peer.find(']') - 1));
  return std::string(peer.substr(0, peer.rfind(':')));
}

Status check_key(std::string_view key, const std::string& where, Told told) {
  const std::string k = lower(key);
  const auto among = [&](const auto& list) { return std::find(std::begin(list), std::end(list), k) != std::end(list); };
  if (among(kKeys) || (k.size() > kPrincipalTag.size() && k.starts_with(kPrincipalTag))) return {};
  const bool of_keys =
      among(kKmsKeys) || std::any_of(std::begin(kKmsPrefixes), std::end(kKmsPrefixes),
                                     [&](auto prefix) { return k.size() > prefix.size() && k.starts_with(prefix); });
  if (told == Told::kms && of_keys) return {};
  if (of_keys && told != Told::sts && told != Told::trust)
    return fail(Code::invalid, "MalformedPolicyDocument",
                where + ": the key '" + std::string(key) +
                    "' is told of requests to sts or to kms alone; expected a statement whose actions are all of "
                    "one of them, and that tells it");
  if (among(kStsKeys) || (k.size() > kRequestTag.size() && k.starts_with(kRequestTag))) {
    if (told == Told::sts || told == Told::trust) return {};
    return fail(Code::invalid, "MalformedPolicyDocument",
                where + ": the key '" + std::string(key) +
                    "' is told of requests to sts alone; expected a statement whose actions are all of sts");
  }
  const bool of_token =
      !k.starts_with("aws:") && !k.starts_with("sts:") && (k.ends_with(":aud") || k.ends_with(":sub"));
  if (told == Told::trust && of_token) return {};
  std::string known;
  for (auto one : kKeys) known.append(known.empty() ? "" : ", ").append(one);
  return fail(Code::invalid, "MalformedPolicyDocument",
              where + ": the key '" + std::string(key) + "' is never told here; expected one of " + known + ", " +
                  std::string(kPrincipalTag) + "KEY");
}

// ${key} and ${key, 'default'}; ${*}, ${?} and ${$} are no keys.
Status check_variables_in(std::string_view text, const std::string& where, Told told) {
  for (size_t at = text.find("${"); at != text.npos; at = text.find("${", at + 2)) {
    const size_t end = text.find('}', at);
    if (end == text.npos) return {};
    std::string_view key = text.substr(at + 2, end - at - 2);
    if (key == "*" || key == "?" || key == "$") continue;
    key = key.substr(0, key.find(','));
    while (key.ends_with(' ')) key.remove_suffix(1);
    TRY(check_key(key, where, told));
  }
  return {};
}

Status check_keys(const Policy& policy, bool trust) {
  for (size_t i = 0; i < policy.statements.size(); ++i) {
    const Statement& s = policy.statements[i];
    const std::string where = "Statement[" + std::to_string(i) + "]";
    const auto all_of = [&s](std::string_view service) {
      return !s.not_action && std::all_of(s.actions.begin(), s.actions.end(),
                                          [&](const auto& a) { return iequal(a.substr(0, 4), service); });
    };
    const Told told = trust ? Told::trust : all_of("sts:") ? Told::sts : all_of("kms:") ? Told::kms : Told::anywhere;
    for (const auto& c : s.conditions) {
      TRY(check_key(c.key, where + ".Condition", told));
      for (const auto& value : c.values)
        if (s.variables) TRY(check_variables_in(value, where + ".Condition", told));
    }
    for (const auto& r : s.resources)
      if (s.variables) TRY(check_variables_in(r, where + ".Resource", told));
  }
  return {};
}

}  // namespace

Context request_context(const RequestFacts& request, const Identity& who) {
  Context out;
  auto tell = [&out](const char* key, std::string value) {
    if (!value.empty()) out[key] = {std::move(value)};
  };
  tell("aws:sourceip", address_of(request.peer));
  tell("aws:securetransport", request.tls ? "true" : "false");
  tell("aws:currenttime", iso8601(request.now));
  tell("aws:epochtime", std::to_string(request.now / 1'000'000));
  tell("aws:requestedregion", request.region);
  tell("aws:useragent", request.user_agent);
  tell("aws:referer", request.referer);
  tell("aws:principalarn", who.role_arn.empty() ? who.arn : who.role_arn);
  tell("aws:principalaccount", who.account);
  tell("aws:userid", who.user_id);
  const size_t user = who.arn.find(":user/");
  tell("aws:principaltype", user == who.arn.npos ? "AssumedRole" : "User");
  if (user != who.arn.npos) tell("aws:username", who.arn.substr(who.arn.rfind('/') + 1));
  return out;
}

Status check_known_keys(const Policy& policy) { return check_keys(policy, false); }
Status check_trust_keys(const Policy& policy) { return check_keys(policy, true); }

}  // namespace hf::security
