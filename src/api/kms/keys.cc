// Keys: made, described, listed; their states, descriptions and tags.
#include "api/kms/key_policy.h"
#include "api/kms/kms.h"
#include "base/uuid.h"

namespace hf::api::kms_api {
namespace {

constexpr Micros kDay = 24LL * 3600 * 1'000'000;
constexpr int64_t kMostKeys = 100'000;

struct Create {
  std::optional<std::string> policy, description, usage, spec, old_spec, origin;
  std::optional<bool> bypass;
  std::vector<TagView> tags;
  static void fields(wire::Fields<Create>& f) {
    f("Policy", &Create::policy).length(1, 131072);
    f("Description", &Create::description).length(0, 8192);
    f("KeyUsage", &Create::usage).one_of({"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"});
    f("CustomerMasterKeySpec", &Create::old_spec);  // KeySpec's old name
    f("KeySpec", &Create::spec);
    f("Origin", &Create::origin).one_of({"AWS_KMS", "EXTERNAL"});
    f("BypassPolicyLockoutSafetyCheck", &Create::bypass);
    f("Tags", &Create::tags);
    f.refused("MultiRegion", "a site is one region");
    f.refused("CustomKeyStoreId", "there are no custom key stores");
    f.refused("XksKeyId", "there are no external key stores");
  }
};
struct KeyMetadata {
  Metadata metadata;
  static void fields(wire::Fields<KeyMetadata>& f) { f("KeyMetadata", &KeyMetadata::metadata); }
};

bool usage_fits(const keys::Spec& spec, const std::string& usage) {
  using Kind = keys::Spec::Kind;
  switch (spec.kind) {
    case Kind::symmetric:
      return usage == "ENCRYPT_DECRYPT";
    case Kind::hmac:
      return usage == "GENERATE_VERIFY_MAC";
    case Kind::rsa:
      return usage == "ENCRYPT_DECRYPT" || usage == "SIGN_VERIFY";
    case Kind::ec:
      return usage == "SIGN_VERIFY" || (usage == "KEY_AGREEMENT" && spec.type != crypto::PrivateKey::Type::secp256k1);
    case Kind::ed25519:
      return usage == "SIGN_VERIFY";
  }
  return false;
}

Status take_spec(const Create& in, Key& key) {
  if (in.spec && in.old_spec && *in.spec != *in.old_spec)
    return invalid("KeySpec: expected the same as CustomerMasterKeySpec, or only one of them");
  key.spec = in.spec ? *in.spec : in.old_spec.value_or("SYMMETRIC_DEFAULT");
  const keys::Spec* spec = keys::spec_of(key.spec);
  if (!spec)
    return fail(Code::invalid, "UnsupportedOperationException",
                "KeySpec: this site does not offer " + clip_utf8(key.spec, 100) +
                    " (SM2 is not built, ML-DSA needs OpenSSL 3.5)");
  if (!in.usage && spec->kind != keys::Spec::Kind::symmetric)
    return invalid("KeyUsage: expected one for a key of spec " + key.spec);
  key.usage = in.usage.value_or("ENCRYPT_DECRYPT");
  if (!usage_fits(*spec, key.usage))
    return invalid("KeyUsage: " + key.usage + " is not compatible with KeySpec " + key.spec);
  key.origin = in.origin.value_or("AWS_KMS");
  return {};
}

Result<KeyMetadata> create(Call& call, const Create& in) {
  Key key;
  key.account = call.account();
  security::Context context;
  context["kms:keyspec"] = {in.spec ? *in.spec : in.old_spec.value_or("SYMMETRIC_DEFAULT")};
  context["kms:keyusage"] = {in.usage.value_or("ENCRYPT_DECRYPT")};
  context["kms:keyorigin"] = {in.origin.value_or("AWS_KMS")};
  context["kms:multiregion"] = {"false"};
  context["kms:bypasspolicylockoutsafetycheck"] = {in.bypass.value_or(false) ? "true" : "false"};
  tell_tags(context, in.tags);
  TRY(ask_any(call, context));
  if (!in.tags.empty())
    TRY(call.may(security::Question{.action = "kms:TagResource", .resource = "*", .context = context}));
  TRY(take_spec(in, key));
  TRY(add_tags(in.tags, key.tags));
  key.id = random_uuid(call.site().random.bytes(16));
  key.created = call.now();
  key.description = in.description.value_or("");
  key.policy = in.policy.value_or(default_policy(key.account));
  TRY(check_key_policy(call, key, key.policy, in.bypass.value_or(false)));
  if (!key.external()) key.materials.push_back(TRY(ring(call).generate(key, key.created)));
  const std::string detail = told({{"keyId", key_arn(call, key)},
                                   {"keySpec", key.spec},
                                   {"keyUsage", key.usage},
                                   {"origin", key.origin},
                                   {"policySha256", crypto::sha256_hex(key.policy)}});
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        auto q = TRY(txn.query("SELECT count(*) FROM kms_keys WHERE account = ?"));
        q.bind(std::string_view(key.account));
        if (TRY(q.step()) && q.integer(0) >= kMostKeys)
          return fail(Code::conflict, "LimitExceededException", "expected at most 100000 keys an account");
        return keys::put(txn, key);
      },
      detail));
  return KeyMetadata{metadata(call, key)};
}

struct Describe {
  std::string key_id;
  std::vector<std::string> tokens;
  static void fields(wire::Fields<Describe>& f) {
    f("KeyId", &Describe::key_id).required().length(1, 2048);
    f("GrantTokens", &Describe::tokens).length(0, 10);
  }
};
Result<KeyMetadata> describe(Call& call, const Describe& in) {
  const Key key = TRY(ask(call, {.key_id = in.key_id, .named = Named::alias, .grant_tokens = in.tokens}));
  return KeyMetadata{metadata(call, key)};
}

struct ListKeys : Paged {
  static void fields(wire::Fields<ListKeys>& f) { page_fields(f); }
};
struct KeyEntry {
  std::string id, arn;
  static void fields(wire::Fields<KeyEntry>& f) {
    f("KeyId", &KeyEntry::id);
    f("KeyArn", &KeyEntry::arn);
  }
};
struct ListKeysResponse : Page {
  std::vector<KeyEntry> list;
  static void fields(wire::Fields<ListKeysResponse>& f) {
    f("Keys", &ListKeysResponse::list);
    paged_fields(f);
  }
};
Result<ListKeysResponse> list_keys(Call& call, const ListKeys& in) {
  TRY(ask_any(call));
  const std::string from = TRY(after(in));
  const int64_t limit = in.limit.value_or(100);
  std::vector<std::string> ids;
  TRY(call.read([&](store::Txn& txn) -> Status {
    ids = TRY(keys::list(txn, call.account(), from, limit + 1, call.now()));
    return {};
  }));
  ListKeysResponse out;
  cut(ids, limit, out, [](const std::string& id) { return id; });
  for (const std::string& id : ids) out.list.push_back({id, call.arn("kms", "key/" + id)});
  return out;
}

// ---- states

struct ByKey {
  std::string key_id;
  static void fields(wire::Fields<ByKey>& f) { f("KeyId", &ByKey::key_id).required().length(1, 2048); }
};

Result<Nothing> set_enabled(Call& call, const ByKey& in, bool on) {
  const Key seen = TRY(ask(call, {.key_id = in.key_id}));
  TRY(edit(call, seen, "", [&](store::Txn&, Key& key) -> Status {
    TRY(not_pending_deletion(call, key));
    if (key.state() == keys::State::pending_import)
      return fail(Code::conflict, "KMSInvalidStateException", key_arn(call, key) + " is pending import.");
    key.enabled = on;
    return {};
  }));
  return Nothing{};
}
Result<Nothing> enable(Call& call, const ByKey& in) { return set_enabled(call, in, true); }
Result<Nothing> disable(Call& call, const ByKey& in) { return set_enabled(call, in, false); }

struct Schedule {
  std::string key_id;
  std::optional<int64_t> days;
  static void fields(wire::Fields<Schedule>& f) {
    f("KeyId", &Schedule::key_id).required().length(1, 2048);
    f("PendingWindowInDays", &Schedule::days).range(7, 30);
  }
};
struct Scheduled {
  std::string arn, state;
  wire::Timestamp deletion;
  int64_t days = 0;
  static void fields(wire::Fields<Scheduled>& f) {
    f("KeyId", &Scheduled::arn);
    f("DeletionDate", &Scheduled::deletion);
    f("KeyState", &Scheduled::state);
    f("PendingWindowInDays", &Scheduled::days);
  }
};
Result<Scheduled> schedule(Call& call, const Schedule& in) {
  const int64_t days = in.days.value_or(30);
  security::Context context;
  context["kms:schedulekeydeletionpendingwindowindays"] = {std::to_string(days)};
  const Key seen = TRY(ask(call, {.key_id = in.key_id, .context = std::move(context)}));
  const Key key = TRY(edit(call, seen, told({{"pendingWindowInDays", days}}), [&](store::Txn&, Key& k) -> Status {
    TRY(not_pending_deletion(call, k));
    k.deletion = call.now() + days * kDay;
    return {};
  }));
  return Scheduled{key_arn(call, key), keys::name_of(key.state()), {key.deletion}, days};
}

struct KeyArn {
  std::string arn;
  static void fields(wire::Fields<KeyArn>& f) { f("KeyId", &KeyArn::arn); }
};
Result<KeyArn> cancel(Call& call, const ByKey& in) {
  const Key seen = TRY(ask(call, {.key_id = in.key_id}));
  const Key key = TRY(edit(call, seen, "", [&](store::Txn&, Key& k) -> Status {
    if (!k.deletion)
      return fail(Code::conflict, "KMSInvalidStateException", key_arn(call, k) + " is not pending deletion.");
    k.deletion = 0;
    k.enabled = false;
    return {};
  }));
  return KeyArn{key_arn(call, key)};
}

struct Description {
  std::string key_id, description;
  static void fields(wire::Fields<Description>& f) {
    f("KeyId", &Description::key_id).required().length(1, 2048);
    f("Description", &Description::description).required().length(0, 8192);
  }
};
Result<Nothing> describe_anew(Call& call, const Description& in) {
  const Key seen = TRY(ask(call, {.key_id = in.key_id}));
  TRY(edit(call, seen, "", [&](store::Txn&, Key& key) -> Status {
    TRY(not_pending_deletion(call, key));
    key.description = in.description;
    return {};
  }));
  return Nothing{};
}

// ---- tags

struct TagRequest {
  std::string key_id;
  std::vector<TagView> tags;
  static void fields(wire::Fields<TagRequest>& f) {
    f("KeyId", &TagRequest::key_id).required().length(1, 2048);
    f("Tags", &TagRequest::tags).required();
  }
};
Result<Nothing> tag(Call& call, const TagRequest& in) {
  security::Context context;
  json::array names;
  tell_tags(context, in.tags);
  for (const TagView& t : in.tags) names.emplace_back(t.key);
  const Key seen = TRY(ask(call, {.key_id = in.key_id, .context = std::move(context)}));
  TRY(edit(call, seen, told({{"tagKeys", std::move(names)}}), [&](store::Txn&, Key& key) -> Status {
    TRY(not_pending_deletion(call, key));
    return add_tags(in.tags, key.tags);
  }));
  return Nothing{};
}

struct UntagRequest {
  std::string key_id;
  std::vector<std::string> names;
  static void fields(wire::Fields<UntagRequest>& f) {
    f("KeyId", &UntagRequest::key_id).required().length(1, 2048);
    f("TagKeys", &UntagRequest::names).required();
  }
};
Result<Nothing> untag(Call& call, const UntagRequest& in) {
  security::Context context;
  json::array names;
  for (const std::string& n : in.names) {
    context["aws:tagkeys"].push_back(n);
    names.emplace_back(n);
  }
  const Key seen = TRY(ask(call, {.key_id = in.key_id, .context = std::move(context)}));
  TRY(edit(call, seen, told({{"tagKeys", std::move(names)}}), [&](store::Txn&, Key& key) -> Status {
    TRY(not_pending_deletion(call, key));
    for (const std::string& n : in.names) std::erase_if(key.tags, [&](const auto& t) { return t.first == n; });
    return {};
  }));
  return Nothing{};
}

struct ListTags : Paged {
  std::string key_id;
  static void fields(wire::Fields<ListTags>& f) {
    f("KeyId", &ListTags::key_id).required().length(1, 2048);
    page_fields(f);
  }
};
struct ListTagsResponse : Page {
  std::vector<TagView> tags;
  static void fields(wire::Fields<ListTagsResponse>& f) {
    f("Tags", &ListTagsResponse::tags);
    paged_fields(f);
  }
};
Result<ListTagsResponse> list_tags(Call& call, const ListTags& in) {
  Key key = TRY(ask(call, {.key_id = in.key_id}));
  const std::string from = TRY(after(in));
  std::sort(key.tags.begin(), key.tags.end());
  ListTagsResponse out;
  for (const auto& [name, value] : key.tags)
    if (name > from) out.tags.push_back({name, value});
  cut(out.tags, in.limit.value_or(50), out, [](const TagView& t) { return t.key; });
  return out;
}

}  // namespace

void add_keys(Service& s) {
  add<Create, KeyMetadata>(s, "CreateKey", Effect::write, create, no_key<Create>);
  add<Describe, KeyMetadata>(s, "DescribeKey", Effect::read, describe, of_key<Describe>);
  add<ListKeys, ListKeysResponse>(s, "ListKeys", Effect::read, list_keys, no_key<ListKeys>);
}

void add_states(Service& s) {
  add<ByKey, Nothing>(s, "EnableKey", Effect::write, enable, of_key<ByKey>);
  add<ByKey, Nothing>(s, "DisableKey", Effect::write, disable, of_key<ByKey>);
  add<Schedule, Scheduled>(s, "ScheduleKeyDeletion", Effect::write, schedule, of_key<Schedule>);
  add<ByKey, KeyArn>(s, "CancelKeyDeletion", Effect::write, cancel, of_key<ByKey>);
  add<Description, Nothing>(s, "UpdateKeyDescription", Effect::write, describe_anew, of_key<Description>);
}

void add_tags_of_keys(Service& s) {
  add<TagRequest, Nothing>(s, "TagResource", Effect::write, tag, of_key<TagRequest>);
  add<UntagRequest, Nothing>(s, "UntagResource", Effect::write, untag, of_key<UntagRequest>);
  add<ListTags, ListTagsResponse>(s, "ListResourceTags", Effect::read, list_tags, of_key<ListTags>);
}

}  // namespace hf::api::kms_api
