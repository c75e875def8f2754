// AssumeRoleWithWebIdentity: a provider's token in place of a signature.
#include "security/web_identity.h"

#include "api/errors.h"
#include "api/sts/oidc.h"
#include "api/sts/sts.h"
#include "security/policy_context.h"

namespace hf::api::sts_api {
namespace {

struct WithToken {
  std::string arn, name, token;
  std::vector<PolicyArn> policy_arns;
  std::optional<std::string> policy;
  std::optional<int64_t> seconds;
  static void fields(wire::Fields<WithToken>& f) {
    f("RoleArn", &WithToken::arn).required().length(20, 2048);
    f("RoleSessionName", &WithToken::name).required().length(2, 64).pattern(kWords);
    f("WebIdentityToken", &WithToken::token).required().length(4, 20000).secret();
    f("PolicyArns", &WithToken::policy_arns);
    f("Policy", &WithToken::policy).length(1, 2048).pattern(kDocument);
    f("DurationSeconds", &WithToken::seconds).range(900, 43200);
    f.refused("ProviderId", "it is for OAuth 2.0 tokens of other companies; this site takes OpenID Connect tokens");
  }
};
struct WithTokenResponse {
  CredentialsView credentials;
  std::string subject, provider, audience;
  AssumedView user;
  int64_t packed = 0;
  std::optional<std::string> source_identity;
  static void fields(wire::Fields<WithTokenResponse>& f) {
    f("Credentials", &WithTokenResponse::credentials);
    f("SubjectFromWebIdentityToken", &WithTokenResponse::subject);
    f("AssumedRoleUser", &WithTokenResponse::user);
    f("PackedPolicySize", &WithTokenResponse::packed);
    f("Provider", &WithTokenResponse::provider);
    f("Audience", &WithTokenResponse::audience);
    f("SourceIdentity", &WithTokenResponse::source_identity);
  }
};

std::string audience_of(const security::WebToken& token) {
  return token.authorized_party().empty() ? token.audiences().front() : token.authorized_party();
}

// The provider of the role's account that the token is of. Its facts are the token's.
Result<security::Identity> prove(Site& site, const http::RequestHead&, const void* input) {
  const WithToken& in = *static_cast<const WithToken*>(input);
  const std::string account = TRY(account_of_role(in.arn));
  const auto token = TRY(security::WebToken::parse(in.token));
  const auto provider = TRY(verified_provider(site, account, token));
  security::Identity who;
  who.kind = security::PrincipalKind::federated;
  who.account = account;
  who.arn = security::arn_of(provider);
  who.user_id = token.subject();
  const std::string prefix = lower(provider.url);
  who.facts[prefix + ":sub"] = {token.subject()};
  who.facts[prefix + ":aud"] = {audience_of(token)};
  if (!token.methods().empty()) who.facts[prefix + ":amr"] = token.methods();
  who.facts["aws:federatedprovider"] = {who.arn};
  return who;
}

security::Context context_of(const WithToken& in, const security::WebToken& token) {
  security::Context out;
  out["sts:rolesessionname"] = {in.name};
  if (!token.source_identity().empty()) out["sts:sourceidentity"] = {token.source_identity()};
  for (const auto& [key, value] : token.tags()) security::tell_tag(out, key, value);
  for (const auto& key : token.transitive()) out["sts:transitivetagkeys"].push_back(key);
  return out;
}

Status may_assume(Call& call, const WithToken& in, const Wanted& wanted, const security::WebToken& token) {
  std::vector<const char*> actions = {"sts:AssumeRoleWithWebIdentity"};
  if (!token.tags().empty()) actions.push_back("sts:TagSession");
  if (!token.source_identity().empty()) actions.push_back("sts:SetSourceIdentity");
  for (const char* action : actions) {
    security::Question question{.action = action, .resource = wanted.arn};
    question.resource_policy = &wanted.trust;
    question.resource_policy_rules = true;
    question.context = context_of(in, token);
    TRY(call.may(std::move(question)));
  }
  return {};
}

Result<WithTokenResponse> assume(Call& call, const WithToken& in) {
  const auto token = TRY(security::WebToken::parse(in.token));  // verified: the gate has let it through
  const Wanted wanted = TRY(wanted_role(call, in.arn));
  TRY(may_assume(call, in, wanted, token));
  check(wanted.role.has_value(), "a trust policy allows, so there is a role");
  const Entity& role = *wanted.role;
  TRY(check_session_policies(call, role.account, in.policy, in.policy_arns));
  security::Session session;
  session.account = role.account;
  session.principal = role.id;
  session.name = in.name;
  session.policy = in.policy.value_or("");
  for (const PolicyArn& p : in.policy_arns) session.policy_arns.push_back(p.arn);
  session.provider = call.who().arn;
  session.source_identity = token.source_identity();
  session.tags = token.tags();
  session.transitive = token.transitive();
  const int64_t seconds = TRY(session_seconds(call, role, in.seconds));
  WithToken told = in;
  told.policy.reset();
  told.token = crypto::sha256_hex(in.token);  // which one it was, and not the token
  const auto issued = TRY(give(call, std::move(session), seconds, iam_api::detail(told), {}));
  WithTokenResponse out{view_of(issued),
                        token.subject(),
                        call.who().arn,
                        audience_of(token),
                        assumed_view(role, in.name),
                        issued.packed_percent,
                        {}};
  if (!token.source_identity().empty()) out.source_identity = token.source_identity();
  return out;
}

std::string role_arn(const Call&, const WithToken& in) { return in.arn; }

}  // namespace

void add_web_identity(Service& s) {
  Operation& o = s.add<WithToken, WithTokenResponse>("AssumeRoleWithWebIdentity", {}, Effect::write, assume, role_arn);
  o.asks_for_each = true;
  o.proof = prove;
}

}  // namespace hf::api::sts_api
