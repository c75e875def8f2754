// STS: who am I, and temporary credentials (security/sessions.h).
#include "api/sts/sts.h"

#include <boost/json.hpp>

#include "api/errors.h"
#include "security/denials.h"
#include "security/json.h"
#include "security/people.h"

namespace hf::api {
namespace json = boost::json;

namespace sts_api {

CredentialsView view_of(const security::Sessions::Issued& issued) {
  return {issued.access_key_id, std::string(issued.secret.reveal()), issued.token, {issued.expires}};
}

AssumedView assumed_view(const Entity& role, const std::string& session) {
  return {role.id + ":" + session, "arn:aws:sts::" + role.account + ":assumed-role/" + role.name + "/" + session};
}

Result<std::string> account_of_role(const std::string& arn) {
  const auto parts = split(arn, ':');
  if (parts.size() != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[2] != "iam" || !parts[3].empty() ||
      parts[4].size() != 12 || !parts[5].starts_with("role/"))
    return fail(Code::invalid, "ValidationError",
                "RoleArn: expected arn:aws:iam::ACCOUNT:role/NAME, found " + clip_utf8(arn, 200));
  return std::string(parts[4]);
}

Result<Wanted> wanted_role(Call& call, const std::string& arn) {
  Wanted out;
  out.arn = arn;
  out.trust.id = "trust-policy";
  const std::string account = TRY(account_of_role(arn)), name(arn.substr(arn.rfind('/') + 1));
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.role.reset();
    auto found = security::iam::get(txn, security::iam::Kind::role, account, name);
    if (!found.ok()) return found.error().code == Code::not_found ? Status() : Status(found.error());
    if (security::iam::arn_of(*found) != arn) return {};
    out.trust = TRY(security::parse_policy(found->trust, "trust-policy", security::PolicyKind::trust));
    out.role = std::move(*found);
    return {};
  }));
  return out;
}

Status check_session_policies(Call& call, const std::string& account, const std::optional<std::string>& document,
                              const std::vector<PolicyArn>& arns) {
  if (document) {
    if (auto s = security::iam::check_document(*document, 2048); !s.ok())
      return s.error().name == "LimitExceeded"
                 ? fail(Code::invalid, "PackedPolicyTooLarge", "Policy: " + s.error().message)
                 : s.error();
  }
  if (arns.size() > 10)
    return fail(Code::invalid, "ValidationError",
                "PolicyArns: expected at most 10, found " + std::to_string(arns.size()));
  return call.read([&](store::Txn& txn) -> Status {
    for (const PolicyArn& p : arns) {
      auto found = security::iam::policy_by_arn(txn, p.arn);
      if (!found.ok() && found.error().code != Code::not_found) return found.error();
      if (!found.ok() || found->account != account)
        return fail(Code::invalid, "ValidationError",
                    "PolicyArns: expected managed policies of the account " + account + ", found " + p.arn);
    }
    return {};
  });
}

Result<int64_t> session_seconds(const Call& call, const Entity& role, const std::optional<int64_t>& asked) {
  const bool chained = !call.who().role_arn.empty();
  const int64_t seconds = asked.value_or(3600);
  if (chained && seconds > 3600)
    return fail(Code::invalid, "ValidationError",
                "DurationSeconds: expected at most 3600, as a role's session asks (role chaining), found " +
                    std::to_string(seconds));
  if (seconds > role.max_session)
    return fail(Code::invalid, "ValidationError",
                "DurationSeconds: expected at most " + std::to_string(role.max_session) +
                    " (the role's MaxSessionDuration), found " + std::to_string(seconds));
  return seconds;
}

Status Factor::check() const {
  if (serial.has_value() == code.has_value()) return {};
  return fail(Code::invalid, "ValidationError", "SerialNumber, TokenCode: expected both or none");
}

Result<security::Sessions::Issued> give(Call& call, security::Session session, int64_t seconds,
                                        const std::string& detail, const Factor& factor) {
  if (factor.code) session.second_factor = call.now();
  auto issued = TRY(call.site().sessions.issue(std::move(session), seconds));
  json::object told = detail.empty() ? json::object() : json::parse(detail).as_object();
  told["AccessKeyId"] = issued.access_key_id;
  told["Expiration"] = iso8601(issued.expires);
  auto done = call.commit(
      [&](store::Txn& txn) -> Status {
        if (!factor.code) return {};
        return call.site().people.use_code(txn, call.who().user_id, *factor.serial, *factor.code,
                                           security::host_of(call.head().peer));
      },
      security::canonical_json(told));
  if (!done.ok() && done.error().name == "InvalidAuthenticationCode")
    return fail(Code::denied, kAccessDenied, "SerialNumber, TokenCode: " + done.error().message);
  TRY(done);
  return issued;
}

}  // namespace sts_api

Service sts() {
  Service s;
  s.name = "sts";
  s.signing_name = "sts";
  s.protocol = Protocol::aws_query;
  s.version = "2011-06-15";
  s.xml_namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
  sts_api::add_roles(s);
  sts_api::add_web_identity(s);
  sts_api::add_tokens(s);
  for (const char* name :
       {"AssumeRoleWithSAML", "AssumeRoot", "GetDelegatedAccessToken", "GetFederationToken", "GetWebIdentityToken"})
    s.missing(name);
  return s;
}

}  // namespace hf::api
