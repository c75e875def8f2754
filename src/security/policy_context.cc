#include "security/policy_context.h"

#include <algorithm>

#include "base/text.h"

namespace hf::security {
namespace {

constexpr std::string_view kKeys[] = {
    // of every request
    "aws:currenttime", "aws:epochtime", "aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:referer",
    "aws:requestedregion", "aws:securetransport", "aws:sourceip", "aws:useragent", "aws:userid", "aws:username",
    "holdfast:residency",
    // of sessions
    "aws:federatedprovider", "aws:multifactorauthage", "aws:multifactorauthpresent", "aws:sourceidentity",
    "aws:tokenissuetime"};
// Told of some requests only: a statement that asks for one must speak of the actions of those alone, or a Deny would
// hold for the others never.
constexpr std::string_view kStsKeys[] = {"sts:externalid", "sts:rolesessionname", "sts:sourceidentity",
                                         "sts:transitivetagkeys"};
// Of requests to keys (api/kms), likewise of no others.
constexpr std::string_view kKmsKeys[] = {"kms:bypasspolicylockoutsafetycheck",
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
constexpr std::string_view kEncryptionContext = "kms:encryptioncontext:";
constexpr std::string_view kTagKeys = "aws:tagkeys", kPassedTo = "iam:passedtoservice";
constexpr std::string_view kPrincipalTag = "aws:principaltag/";
constexpr std::string_view kTags[] = {"aws:requesttag/", "aws:resourcetag/", "iam:resourcetag/"};

// Of which actions a statement speaks, as far as keys hang on it.
struct Told {
  bool sts = false, kms = false, tags = false, pass_role = false, trust = false;
};

Told told_of(const Statement& s) {
  const auto all = [&](auto fits) { return !s.not_action && std::all_of(s.actions.begin(), s.actions.end(), fits); };
  const auto sts = [](const std::string& a) { return iequal(std::string_view(a).substr(0, 4), "sts:"); };
  const auto iam = [](const std::string& a) { return iequal(std::string_view(a).substr(0, 4), "iam:"); };
  const auto kms = [](const std::string& a) { return iequal(std::string_view(a).substr(0, 4), "kms:"); };
  return {.sts = all(sts),
          .kms = all(kms),
          .tags = all([&](const std::string& a) { return sts(a) || iam(a) || kms(a); }),
          .pass_role = all([](const std::string& a) { return iequal(a, "iam:PassRole"); })};
}

std::string address_of(std::string_view peer) {
  if (peer.starts_with('[')) return std::string(peer.substr(1, peer.find(']') - 1));
  return std::string(peer.substr(0, peer.rfind(':')));
}

Error untold(std::string_view key, const std::string& where, const std::string& what) {
  return fail(Code::invalid, "MalformedPolicyDocument", where + ": the key '" + std::string(key) + "' is " + what);
}

Status check_key(std::string_view key, const std::string& where, const Told& told) {
  const std::string k = lower(key);
  const auto among = [&](const auto& list) { return std::find(std::begin(list), std::end(list), k) != std::end(list); };
  const auto of = [&](std::string_view prefix) { return k.size() > prefix.size() && k.starts_with(prefix); };
  const auto only = [&](bool here, const std::string& actions) -> Status {
    if (here || told.trust) return {};
    return untold(
        key, where,
        "told of requests to " + actions + " alone; expected a statement whose actions are all of " + actions);
  };
  if (among(kKeys) || of(kPrincipalTag)) return {};
  if (among(kStsKeys)) return only(told.sts, "sts");
  if (among(kKmsKeys) || of(kEncryptionContext)) return only(told.kms, "kms");
  if (k == kTagKeys || std::any_of(std::begin(kTags), std::end(kTags), of)) return only(told.tags, "iam, kms and sts");
  if (k == kPassedTo && !told.trust) return only(told.pass_role, "iam:PassRole");
  const bool of_token =
      !k.starts_with("aws:") && !k.starts_with("sts:") && (k.ends_with(":aud") || k.ends_with(":sub"));
  if (told.trust && of_token) return {};
  std::string known;
  for (auto one : kKeys) known.append(known.empty() ? "" : ", ").append(one);
  return untold(key, where, "never told here; expected one of " + known + ", " + std::string(kPrincipalTag) + "KEY");
}

// Each key that the statement asks for, with where it does.
template <class Fn>
Status each_key(const Statement& s, Fn fn) {
  const auto variables = [&](const std::string& text, const char* place) -> Status {
    if (!s.variables) return {};
    for (const Variable& v : variables_in(text)) TRY(fn(v.name, place));
    return {};
  };
  for (const Condition& c : s.conditions) {
    TRY(fn(c.name, ".Condition"));
    for (const auto& value : c.values) TRY(variables(value, ".Condition"));
  }
  for (const auto& r : s.resources) TRY(variables(r, ".Resource"));
  return {};
}

Status check_keys(const Policy& policy, bool trust) {
  for (size_t i = 0; i < policy.statements.size(); ++i) {
    Told told = told_of(policy.statements[i]);
    told.trust = trust;
    TRY(each_key(policy.statements[i], [&](const std::string& key, const char* place) {
      return check_key(key, "Statement[" + std::to_string(i) + "]" + place, told);
    }));
  }
  return {};
}

void tell(Context& out, const char* key, std::string value) {
  if (!value.empty()) out[key] = {std::move(value)};
}
}  // namespace

void tell_tag(Context& context, const std::string& key, const std::string& value) {
  context["aws:requesttag/" + lower(key)] = {value};
  context["aws:tagkeys"].push_back(key);
}

Context principal_context(const Identity& who) {
  Context out;
  tell(out, "aws:principalaccount", who.account);
  if (who.arn.empty()) return out;  // a simulation of nobody in particular
  tell(out, "aws:principalarn", who.role_arn.empty() ? who.arn : who.role_arn);
  tell(out, "aws:userid", who.user_id);
  const size_t user = who.arn.find(":user/");
  tell(out, "aws:principaltype", user == who.arn.npos ? "AssumedRole" : "User");
  if (user != who.arn.npos) tell(out, "aws:username", who.arn.substr(who.arn.rfind('/') + 1));
  return out;
}

Context site_context(const std::string& region, const std::string& residency) {
  Context out;
  tell(out, "aws:requestedregion", region);
  tell(out, "holdfast:residency", residency);
  return out;
}

Context request_context(const RequestFacts& request, const Identity& who) {
  Context out = principal_context(who);
  out.merge(site_context(request.region, request.residency));
  tell(out, "aws:sourceip", address_of(request.peer));
  tell(out, "aws:securetransport", request.tls ? "true" : "false");
  tell(out, "aws:currenttime", iso8601(request.now));
  tell(out, "aws:epochtime", std::to_string(request.now / 1'000'000));
  tell(out, "aws:useragent", request.user_agent);
  tell(out, "aws:referer", request.referer);
  return out;
}

std::vector<std::string> context_keys(const Policy& policy) {
  std::vector<std::string> out;
  for (const Statement& s : policy.statements)
    (void)each_key(s, [&](const std::string& key, const char*) -> Status {
      if (std::none_of(out.begin(), out.end(), [&](const auto& k) { return iequal(k, key); })) out.push_back(key);
      return {};
    });
  return out;
}

Status check_known_keys(const Policy& policy) { return check_keys(policy, false); }
Status check_trust_keys(const Policy& policy) { return check_keys(policy, true); }

}  // namespace hf::security
