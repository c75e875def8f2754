// Access keys of users. Without a UserName the caller's own are meant.
#include "api/iam/iam.h"

namespace hf::api::iam_api {
namespace {

template <class In>
std::string user_arn(const Call& call, const In& in) {
  return in.user ? arn_for(call, Kind::user, *in.user) : call.who().arn;
}
template <class In>
void user_field(wire::Fields<In>& f) {
  f("UserName", static_cast<std::optional<std::string> In::*>(&In::user)).length(1, 128).pattern(kName);
}
template <class In>
void key_field(wire::Fields<In>& f) {
  f("AccessKeyId", static_cast<std::string In::*>(&In::id)).required().length(16, 128).pattern("[A-Za-z0-9_]+");
}

struct KeyView {
  std::string user, id, status = "Active";
  std::optional<std::string> secret;
  wire::Timestamp created;
  static void fields(wire::Fields<KeyView>& f) {
    f("UserName", &KeyView::user);
    f("AccessKeyId", &KeyView::id);
    f("Status", &KeyView::status);
    f("SecretAccessKey", &KeyView::secret).secret();
    f("CreateDate", &KeyView::created);
  }
};

// Access keys only: service-specific credentials are theirs.
Result<std::vector<security::KeyInfo>> access_keys(store::Txn& txn, const Call& call, const Entity& user) {
  std::vector<security::KeyInfo> out;
  for (const auto& k : TRY(store_of::keys_of(txn, user.id))) {
    auto info = TRY(call.site().keys.find(txn, k.id));
    if (info && info->kind == "access") out.push_back(std::move(*info));
  }
  return out;
}

// The user's own key.
Status check_owner(store::Txn& txn, const Call& call, const Entity& user, const std::string& id) {
  for (const auto& k : TRY(access_keys(txn, call, user)))
    if (k.id == id) return {};
  return fail(Code::not_found, "NoSuchEntity", "the user " + user.name + " has no access key " + id.substr(0, 128));
}

struct CreateKey {
  std::optional<std::string> user;
  static void fields(wire::Fields<CreateKey>& f) { user_field(f); }
};
struct CreateKeyResponse {
  KeyView key;
  static void fields(wire::Fields<CreateKeyResponse>& f) { f("AccessKey", &CreateKeyResponse::key); }
};

Result<CreateKeyResponse> create_key(Call& call, const CreateKey& in) {
  CreateKeyResponse out;
  TRY(change_making(call, in, "AccessKeyId", [&](store::Txn& txn) -> Result<std::string> {
    const Entity user = TRY(user_of(txn, call, in.user));
    if (TRY(access_keys(txn, call, user)).size() >= kMaxAccessKeys)
      return fail(Code::conflict, "LimitExceeded", "expected at most 2 access keys a user");
    security::KeyInfo spec;
    spec.account = user.account;
    spec.name = user.name;
    spec.kind = "access";
    spec.user_id = user.id;
    auto [info, secret] = TRY(call.site().keys.create(txn, spec));
    out.key = {user.name, info.id, "Active", std::string(secret.reveal()), {info.created}};
    return info.id;
  }));
  return out;
}

struct ListKeys : Paged {
  std::optional<std::string> user;
  static void fields(wire::Fields<ListKeys>& f) {
    user_field(f);
    page_fields(f);
  }
};
struct ListKeysResponse : Page {
  std::vector<KeyView> keys;
  static void fields(wire::Fields<ListKeysResponse>& f) {
    f("AccessKeyMetadata", &ListKeysResponse::keys);
    paged_fields(f);
  }
};

Result<ListKeysResponse> list_keys(Call& call, const ListKeys& in) {
  ListKeysResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.keys.clear();
    const Entity user = TRY(user_of(txn, call, in.user));
    for (const auto& k : TRY(access_keys(txn, call, user)))
      out.keys.push_back({user.name, k.id, k.active ? "Active" : "Inactive", std::nullopt, {k.created}});
    return take(out.keys, in, out, [](const KeyView& k) { return k.id; });
  }));
  return out;
}

struct UpdateKey {
  std::optional<std::string> user;
  std::string id, status;
  static void fields(wire::Fields<UpdateKey>& f) {
    user_field(f);
    key_field(f);
    f("Status", &UpdateKey::status).required().one_of({"Active", "Inactive"});
  }
};

Result<Nothing> update_key(Call& call, const UpdateKey& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity user = TRY(user_of(txn, call, in.user));
    TRY(check_owner(txn, call, user, in.id));
    return call.site().keys.set_active(txn, user.account, in.id, in.status == "Active");
  }));
  return Nothing{};
}

struct DeleteKey {
  std::optional<std::string> user;
  std::string id;
  static void fields(wire::Fields<DeleteKey>& f) {
    user_field(f);
    key_field(f);
  }
};

Result<Nothing> delete_key(Call& call, const DeleteKey& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity user = TRY(user_of(txn, call, in.user));
    TRY(check_owner(txn, call, user, in.id));
    return call.site().keys.remove(txn, user.account, in.id);
  }));
  return Nothing{};
}

struct LastUsed {
  std::string id;
  static void fields(wire::Fields<LastUsed>& f) { key_field(f); }
};
struct LastUsedView {
  std::optional<wire::Timestamp> time;
  std::string service = "N/A", region = "N/A";
  static void fields(wire::Fields<LastUsedView>& f) {
    f("LastUsedDate", &LastUsedView::time);
    f("ServiceName", &LastUsedView::service);
    f("Region", &LastUsedView::region);
  }
};
struct LastUsedResponse {
  std::string user;
  LastUsedView last;
  static void fields(wire::Fields<LastUsedResponse>& f) {
    f("UserName", &LastUsedResponse::user);
    f("AccessKeyLastUsed", &LastUsedResponse::last);
  }
};

Result<LastUsedResponse> last_used(Call& call, const LastUsed& in) {
  LastUsedResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    auto info = TRY(call.site().keys.find(txn, in.id));
    if (!info || info->account != call.account() || info->user_id.empty() || info->kind != "access")
      return fail(Code::not_found, "NoSuchEntity", "there is no access key " + in.id);
    out.user = info->name;
    return {};
  }));
  const auto use = TRY(call.site().keys.last_use(in.id));
  if (use.time) out.last = {wire::Timestamp{use.time}, use.service, call.site().region};
  return out;
}

std::string any_user(const Call& call, const LastUsed&) { return "arn:aws:iam::" + call.account() + ":user/*"; }

}  // namespace

void add_keys(Service& s) {
  s.add<CreateKey, CreateKeyResponse>("CreateAccessKey", {}, Effect::write, create_key, user_arn<CreateKey>);
  s.add<ListKeys, ListKeysResponse>("ListAccessKeys", {}, Effect::read, list_keys, user_arn<ListKeys>);
  s.add<UpdateKey, Nothing>("UpdateAccessKey", {}, Effect::write, update_key, user_arn<UpdateKey>);
  s.add<DeleteKey, Nothing>("DeleteAccessKey", {}, Effect::write, delete_key, user_arn<DeleteKey>);
  s.add<LastUsed, LastUsedResponse>("GetAccessKeyLastUsed", {}, Effect::read, last_used, any_user);
}

}  // namespace hf::api::iam_api
