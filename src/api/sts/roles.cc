// AssumeRole.
#include <set>

#include "api/errors.h"
#include "api/sts/sts.h"
#include "security/policy_context.h"

namespace hf::api::sts_api {
namespace {

struct AssumeRole : Factor {
  std::string arn, name;
  std::vector<PolicyArn> policy_arns;
  std::optional<std::string> policy, external_id, source_identity;
  std::optional<int64_t> seconds;
  std::vector<TagView> tags;
  std::vector<std::string> transitive;
  static void fields(wire::Fields<AssumeRole>& f) {
    f("RoleArn", &AssumeRole::arn).required().length(20, 2048);
    f("RoleSessionName", &AssumeRole::name).required().length(2, 64).pattern(kWords);
    f("PolicyArns", &AssumeRole::policy_arns);
    f("Policy", &AssumeRole::policy).length(1, 131072).pattern(kDocument);
    f("DurationSeconds", &AssumeRole::seconds).range(900, 43200);
    f("Tags", &AssumeRole::tags);
    f("TransitiveTagKeys", &AssumeRole::transitive);
    f("ExternalId", &AssumeRole::external_id).length(2, 1224).pattern("[\\w+=,.@:/-]*");
    f("SourceIdentity", &AssumeRole::source_identity).length(2, 64).pattern(kWords);
    Factor::fields(f);
    f.refused("ProvidedContexts", "this site takes no contexts of other providers");
  }
};
struct AssumeRoleResponse {
  CredentialsView credentials;
  AssumedView user;
  int64_t packed = 0;
  std::optional<std::string> source_identity;
  static void fields(wire::Fields<AssumeRoleResponse>& f) {
    f("Credentials", &AssumeRoleResponse::credentials);
    f("AssumedRoleUser", &AssumeRoleResponse::user);
    f("PackedPolicySize", &AssumeRoleResponse::packed);
    f("SourceIdentity", &AssumeRoleResponse::source_identity);
  }
};

// The caller's own source identity goes with every role after it, and cannot be changed.
Result<std::string> source_identity(const Call& call, const AssumeRole& in) {
  const auto& facts = call.who().facts;
  const auto has = facts.find("aws:sourceidentity");
  if (has == facts.end()) return in.source_identity.value_or("");
  const std::string& own = has->second.front();
  if (in.source_identity && *in.source_identity != own)
    return fail(Code::denied, kAccessDenied, "SourceIdentity: expected '" + own + "', which the session has already");
  return own;
}

// The session's tags: those that go on from the caller's session, and the request's, which may not replace them.
Status take_tags(const Call& call, const AssumeRole& in, security::Session& session) {
  session.tags = TRY(iam_api::tags_of(in.tags));
  std::set<std::string> own;
  for (const auto& [key, value] : session.tags) own.insert(lower(key));
  for (const auto& key : in.transitive) {
    if (!own.contains(lower(key)))
      return fail(Code::invalid, "ValidationError", "TransitiveTagKeys: expected keys of Tags, found " + key);
    session.transitive.push_back(key);
  }
  for (const auto& [key, value] : call.who().transitive) {
    if (own.contains(lower(key)))
      return fail(Code::invalid, "InvalidParameterValue",
                  "Tags: expected none of the session's transitive tags, found " + key);
    session.tags.emplace_back(key, value);
    session.transitive.push_back(key);
  }
  return {};
}

security::Context context_of(const AssumeRole& in) {
  security::Context out;
  out["sts:rolesessionname"] = {in.name};
  if (in.external_id) out["sts:externalid"] = {*in.external_id};
  if (in.source_identity) out["sts:sourceidentity"] = {*in.source_identity};
  if (in.code) {  // which is checked before anything is given
    out["aws:multifactorauthpresent"] = {"true"};
    out["aws:multifactorauthage"] = {"0"};
  }
  for (const TagView& t : in.tags) security::tell_tag(out, t.key, t.value);
  for (const auto& key : in.transitive) out["sts:transitivetagkeys"].push_back(key);
  return out;
}

// By the role's trust and the caller's own policies; tags and a source identity are rights of their own.
Status may_assume(Call& call, const AssumeRole& in, const Wanted& wanted) {
  std::vector<const char*> actions = {"sts:AssumeRole"};
  if (!in.tags.empty() || !call.who().transitive.empty()) actions.push_back("sts:TagSession");
  if (in.source_identity) actions.push_back("sts:SetSourceIdentity");
  for (const char* action : actions) {
    security::Question question{.action = action, .resource = wanted.arn};
    question.resource_policy = &wanted.trust;
    question.resource_policy_rules = true;
    question.context = context_of(in);
    TRY(call.may(std::move(question)));
  }
  if (!wanted.role)  // told to the administrator alone: others are denied before
    return fail(Code::denied, kAccessDenied, "RoleArn: there is no role " + clip_utf8(wanted.arn, 200));
  return {};
}

Result<AssumeRoleResponse> assume_role(Call& call, const AssumeRole& in) {
  TRY(in.check());
  const Wanted wanted = TRY(wanted_role(call, in.arn));
  TRY(may_assume(call, in, wanted));
  const Entity& role = *wanted.role;
  TRY(check_session_policies(call, role.account, in.policy, in.policy_arns));
  security::Session session;
  session.kind = security::Session::Kind::role;
  session.account = role.account;
  session.principal = role.id;
  session.name = in.name;
  session.policy = in.policy.value_or("");
  for (const PolicyArn& p : in.policy_arns) session.policy_arns.push_back(p.arn);
  session.source_identity = TRY(source_identity(call, in));
  TRY(take_tags(call, in, session));
  const int64_t seconds = TRY(session_seconds(call, role, in.seconds));
  const std::string source = session.source_identity;
  AssumeRole told = in;
  told.policy.reset();
  told.code.reset();
  std::string detail = iam_api::detail(told);
  const auto issued = TRY(give(call, std::move(session), seconds, detail, in));
  AssumeRoleResponse out{view_of(issued), assumed_view(role, in.name), issued.packed_percent, {}};
  if (!source.empty()) out.source_identity = source;
  return out;
}

std::string role_arn(const Call&, const AssumeRole& in) { return in.arn; }

}  // namespace

void add_roles(Service& s) {
  s.add<AssumeRole, AssumeRoleResponse>("AssumeRole", {}, Effect::write, assume_role, role_arn).asks_for_each = true;
}

}  // namespace hf::api::sts_api
