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
    "aws:tokenissuetime",
    // of requests for a session
    "aws:tagkeys", "sts:externalid", "sts:rolesessionname", "sts:sourceidentity", "sts:transitivetagkeys"};
// With a tag's key behind it.
constexpr std::string_view kTagKeys[] = {"aws:principaltag/", "aws:requesttag/"};

std::string address_of(std::string_view peer) {
  if (peer.starts_with('[')) return std::string(peer.substr(1, peer.find(']') - 1));
  return std::string(peer.substr(0, peer.rfind(':')));
}

Status check_key(std::string_view key, const std::string& where, bool trust) {
  const std::string k = lower(key);
  if (std::find(std::begin(kKeys), std::end(kKeys), k) != std::end(kKeys)) return {};
  for (std::string_view prefix : kTagKeys)
    if (k.size() > prefix.size() && k.starts_with(prefix)) return {};
  const bool of_token =
      !k.starts_with("aws:") && !k.starts_with("sts:") && (k.ends_with(":aud") || k.ends_with(":sub"));
  if (trust && of_token) return {};
  std::string known;
  for (auto one : kKeys) known.append(known.empty() ? "" : ", ").append(one);
  for (auto one : kTagKeys) known.append(", ").append(one).append("KEY");
  return fail(Code::invalid, "MalformedPolicyDocument",
              where + ": the key '" + std::string(key) + "' is never told here; expected one of " + known);
}

// ${key} and ${key, 'default'}; ${*}, ${?} and ${$} are no keys.
Status check_variables_in(std::string_view text, const std::string& where, bool trust) {
  for (size_t at = text.find("${"); at != text.npos; at = text.find("${", at + 2)) {
    const size_t end = text.find('}', at);
    if (end == text.npos) return {};
    std::string_view key = text.substr(at + 2, end - at - 2);
    if (key == "*" || key == "?" || key == "$") continue;
    key = key.substr(0, key.find(','));
    while (key.ends_with(' ')) key.remove_suffix(1);
    TRY(check_key(key, where, trust));
  }
  return {};
}

Status check_keys(const Policy& policy, bool trust) {
  for (size_t i = 0; i < policy.statements.size(); ++i) {
    const Statement& s = policy.statements[i];
    const std::string where = "Statement[" + std::to_string(i) + "]";
    for (const auto& c : s.conditions) {
      TRY(check_key(c.key, where + ".Condition", trust));
      for (const auto& value : c.values)
        if (s.variables) TRY(check_variables_in(value, where + ".Condition", trust));
    }
    for (const auto& r : s.resources)
      if (s.variables) TRY(check_variables_in(r, where + ".Resource", trust));
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
