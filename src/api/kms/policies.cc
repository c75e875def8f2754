// Policies of keys: who may do what with one. Without a statement that names the caller, or its account, nobody may.
#include "api/kms/key_policy.h"
#include "api/kms/kms.h"
#include "security/policy_context.h"

namespace hf::api::kms_api {
namespace {

constexpr size_t kMaxPolicy = 32 << 10;  // bytes, as AWS's

Error malformed(const std::string& why) {
  return fail(Code::invalid, "MalformedPolicyDocumentException", "Policy: " + why);
}

// Each statement speaks of this key alone.
Status check_statements(const std::string& arn, const security::Policy& policy) {
  for (size_t i = 0; i < policy.statements.size(); ++i) {
    const security::Statement& s = policy.statements[i];
    const std::string where = "Statement[" + std::to_string(i) + "]";
    for (const auto& resource : s.resources)
      if (resource != "*" && resource != arn)
        return malformed(where + ".Resource: expected \"*\" or " + arn + ", found " + clip_utf8(resource, 200));
    for (const auto& action : s.actions)
      if (action != "*" && !iequal(action.substr(0, 4), "kms:"))
        return malformed(where + ".Action: expected actions of kms, found " + clip_utf8(action, 100));
  }
  return {};
}

// As far as the key's policy goes, whatever the caller's own policies say now: they can be changed, by their account.
bool can_change_it(const Call& call, const std::string& arn, const security::Policy& policy) {
  security::Identity who = call.who();
  who.administrator = false;
  who.boundary.reset();
  who.session.reset();
  auto all = security::parse_policy(
      R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})", "all");
  check(all.ok(), "a policy that allows all");
  who.policies = {std::move(*all)};
  security::Question question{.action = "kms:PutKeyPolicy", .resource = arn};
  question.resource_policy = &policy;
  question.resource_policy_rules = true;
  return security::evaluate(who, question).allowed;
}

}  // namespace

std::string default_policy(const std::string& account) {
  return R"({"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions",)"
         R"("Effect":"Allow","Principal":{"AWS":"arn:aws:iam::)" +
         account + R"(:root"},"Action":"kms:*","Resource":"*"}]})";
}

Status check_key_policy(const Call& call, const Key& key, const std::string& text, bool bypass) {
  if (text.size() > kMaxPolicy) return malformed("expected at most 32768 bytes, found " + std::to_string(text.size()));
  auto policy = security::parse_policy(text, "key-policy", security::PolicyKind::resource);
  if (!policy.ok()) return malformed(policy.error().message);
  if (auto s = security::check_known_keys(*policy); !s.ok()) return malformed(s.error().message);
  const std::string arn = key_arn(call, key);
  TRY(check_statements(arn, *policy));
  if (!bypass && !can_change_it(call, arn, *policy))
    return malformed(
        "The new key policy will not allow you to update the key policy in the future. (BypassPolicyLockoutSafetyCheck "
        "lets it through.)");
  return {};
}

namespace {

constexpr const char* kOnly = "default";

struct Put {
  std::string key_id, policy;
  std::optional<std::string> name;
  std::optional<bool> bypass;
  static void fields(wire::Fields<Put>& f) {
    f("KeyId", &Put::key_id).required().length(1, 2048);
    f("PolicyName", &Put::name).one_of({kOnly});
    f("Policy", &Put::policy).required().length(1, 131072);
    f("BypassPolicyLockoutSafetyCheck", &Put::bypass);
  }
};
Result<Nothing> put(Call& call, const Put& in) {
  security::Context context;
  context["kms:bypasspolicylockoutsafetycheck"] = {in.bypass.value_or(false) ? "true" : "false"};
  const Key seen = TRY(ask(call, {.key_id = in.key_id, .context = std::move(context)}));
  TRY(check_key_policy(call, seen, in.policy, in.bypass.value_or(false)));
  TRY(edit(call, seen, told({{"policySha256", crypto::sha256_hex(in.policy)}}), [&](store::Txn&, Key& key) -> Status {
    key.policy = in.policy;
    return {};
  }));
  return Nothing{};
}

struct Get {
  std::string key_id;
  std::optional<std::string> name;
  static void fields(wire::Fields<Get>& f) {
    f("KeyId", &Get::key_id).required().length(1, 2048);
    f("PolicyName", &Get::name);
  }
};
struct GetResponse {
  std::string policy, name = kOnly;
  static void fields(wire::Fields<GetResponse>& f) {
    f("Policy", &GetResponse::policy);
    f("PolicyName", &GetResponse::name);
  }
};
Result<GetResponse> get(Call& call, const Get& in) {
  const Key key = TRY(ask(call, {.key_id = in.key_id}));
  if (in.name.value_or(kOnly) != kOnly)
    return fail(Code::not_found, "NotFoundException",
                "PolicyName: expected default, the only one, found " + clip_utf8(*in.name, 128));
  return GetResponse{key.policy, kOnly};
}

struct List : Paged {
  std::string key_id;
  static void fields(wire::Fields<List>& f) {
    f("KeyId", &List::key_id).required().length(1, 2048);
    page_fields(f);
  }
};
struct ListResponse : Page {
  std::vector<std::string> names;
  static void fields(wire::Fields<ListResponse>& f) {
    f("PolicyNames", &ListResponse::names);
    paged_fields(f);
  }
};
Result<ListResponse> list(Call& call, const List& in) {
  TRY(ask(call, {.key_id = in.key_id}));
  ListResponse out;
  if (TRY(after(in)) < kOnly) out.names = {kOnly};
  return out;
}

}  // namespace

void add_policies(Service& s) {
  add<Put, Nothing>(s, "PutKeyPolicy", Effect::write, put, of_key<Put>).body_limit = 256 << 10;
  add<Get, GetResponse>(s, "GetKeyPolicy", Effect::read, get, of_key<Get>);
  add<List, ListResponse>(s, "ListKeyPolicies", Effect::read, list, of_key<List>);
}

}  // namespace hf::api::kms_api
