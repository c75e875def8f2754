// Keys and accounts. The administrator makes them; a key carries a policy, or a list of actions and resources.
#include "security/keys.h"

#include <boost/json.hpp>

#include "api/holdfast/operations.h"
#include "base/bytes.h"
#include "security/json.h"

namespace hf::api::holdfast_api {
namespace {

namespace json = boost::json;

struct KeyView {
  std::string id, account, name, kind;
  bool administrator = false, active = true;
  wire::Timestamp created;
  std::optional<wire::Timestamp> expires;
  std::optional<wire::Document> policy;
  static void fields(wire::Fields<KeyView>& f) {
    f("id", &KeyView::id);
    f("account", &KeyView::account);
    f("name", &KeyView::name);
    f("kind", &KeyView::kind);
    f("administrator", &KeyView::administrator);
    f("active", &KeyView::active);
    f("created", &KeyView::created);
    f("expires", &KeyView::expires);
    f("policy", &KeyView::policy);
  }
};

Result<KeyView> view_of(const security::KeyInfo& info) {
  KeyView v;
  v.id = info.id;
  v.account = info.account;
  v.name = info.name;
  v.kind = info.kind;
  v.administrator = info.administrator;
  v.active = info.active;
  v.created.us = info.created;
  if (info.expires) v.expires = wire::Timestamp{info.expires};
  if (!info.policy.empty()) v.policy = TRY(security::parse_json(info.policy, 64 << 10, "policy"));
  return v;
}

struct CreateKeyRequest {
  std::optional<std::string> account;
  std::string name, kind = "access";
  std::optional<bool> administrator;
  std::optional<wire::Timestamp> expires;
  std::optional<wire::Document> policy;
  std::vector<std::string> actions, resources;
  static void fields(wire::Fields<CreateKeyRequest>& f) {
    f("account", &CreateKeyRequest::account).pattern("[0-9]{12}");
    f("name", &CreateKeyRequest::name).required().pattern("[A-Za-z0-9+=,.@_-]{1,64}");
    f("kind", &CreateKeyRequest::kind).one_of({"access", "api"});
    f("administrator", &CreateKeyRequest::administrator);
    f("expires", &CreateKeyRequest::expires);
    f("policy", &CreateKeyRequest::policy);
    f("actions", &CreateKeyRequest::actions).length(1, 256);
    f("resources", &CreateKeyRequest::resources).length(1, 256);
  }
};

struct CreateKeyResponse {
  KeyView key;
  std::string secret;
  static void fields(wire::Fields<CreateKeyResponse>& f) {
    f("key", &CreateKeyResponse::key);
    f("secret", &CreateKeyResponse::secret).secret();
  }
};

// The policy as it is stored: what was given, or one Allow of the listed actions on the listed resources.
Result<std::string> policy_of(const CreateKeyRequest& in) {
  bool listed = !in.actions.empty() || !in.resources.empty(), administrator = in.administrator.value_or(false);
  if (int{in.policy.has_value()} + int{listed} + int{administrator} > 1)
    return invalid("expected one of policy, actions (with resources) and administrator, found more");
  if (administrator) return std::string();
  if (in.policy) return security::canonical_json(*in.policy);
  if (in.actions.empty())
    return invalid("expected a policy, or actions (and resources), or administrator: a key without rights is no use");
  json::array actions(in.actions.begin(), in.actions.end()), resources(in.resources.begin(), in.resources.end());
  if (resources.empty()) resources.emplace_back("*");
  return security::canonical_json(
      json::object{{"Version", "2012-10-17"},
                   {"Statement", {json::object{{"Effect", "Allow"}, {"Action", actions}, {"Resource", resources}}}}});
}

Result<CreateKeyResponse> create_key(Call& call, const CreateKeyRequest& in) {
  security::KeyInfo spec;
  spec.account = account_or_own(call, in.account);
  spec.name = in.name;
  spec.kind = in.kind;
  spec.administrator = in.administrator.value_or(false);
  spec.expires = in.expires ? in.expires->us : 0;
  spec.policy = TRY(policy_of(in));
  std::optional<std::pair<security::KeyInfo, crypto::Secret>> made;
  // The key's id is only known inside of the transaction, so the entry names the user.
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        made = TRY(call.site().keys.create(txn, spec));
        return {};
      },
      security::canonical_json(json::object{{"account", spec.account},
                                            {"administrator", spec.administrator},
                                            {"kind", spec.kind},
                                            {"name", spec.name},
                                            {"policy_sha256", crypto::sha256_hex(spec.policy)}})));
  return CreateKeyResponse{TRY(view_of(made->first)), std::string(made->second.reveal())};
}

struct AccountQuery {
  std::optional<std::string> account;
  static void fields(wire::Fields<AccountQuery>& f) {
    f("account", &AccountQuery::account).query("account").pattern("[0-9]{12}");
  }
};

struct ListKeysResponse {
  std::vector<KeyView> keys;
  static void fields(wire::Fields<ListKeysResponse>& f) { f("keys", &ListKeysResponse::keys); }
};

Result<ListKeysResponse> list_keys(Call& call, const AccountQuery& in) {
  ListKeysResponse out;
  for (const auto& info : TRY(call.site().keys.list(account_or_own(call, in.account))))
    out.keys.push_back(TRY(view_of(info)));
  return out;
}

struct DeleteKeyRequest {
  std::string id;
  std::optional<std::string> account;
  static void fields(wire::Fields<DeleteKeyRequest>& f) {
    f("id", &DeleteKeyRequest::id).path().required().length(1, 128);
    f("account", &DeleteKeyRequest::account).query("account").pattern("[0-9]{12}");
  }
};

Result<Nothing> delete_key(Call& call, const DeleteKeyRequest& in) {
  if (in.id == call.who().access_key_id)
    return fail(Code::conflict, "KeyInUseException", "this request is signed with the key " + in.id + " itself");
  TRY(call.commit(
      [&](store::Txn& txn) { return call.site().keys.remove(txn, account_or_own(call, in.account), in.id); }));
  return Nothing{};
}

struct AccountView {
  std::string id, name;
  wire::Timestamp created;
  static void fields(wire::Fields<AccountView>& f) {
    f("id", &AccountView::id);
    f("name", &AccountView::name);
    f("created", &AccountView::created);
  }
};

struct CreateAccountRequest {
  std::optional<std::string> id;
  std::string name;
  static void fields(wire::Fields<CreateAccountRequest>& f) {
    f("id", &CreateAccountRequest::id).pattern("[0-9]{12}");
    f("name", &CreateAccountRequest::name).required().pattern("[A-Za-z0-9+=,.@_-]{1,64}");
  }
};

struct CreateAccountResponse {
  AccountView account;
  static void fields(wire::Fields<CreateAccountResponse>& f) { f("account", &CreateAccountResponse::account); }
};

// Twelve digits, the first not 0, from the site's randomness.
std::string new_account_id(os::Random& random) {
  std::string id;
  while (id.size() < 12) {
    unsigned char b = static_cast<unsigned char>(random.bytes(1)[0]);
    if (b >= 250) continue;  // 250 is a multiple of ten: no digit is likelier
    char digit = static_cast<char>('0' + b % 10);
    if (id.empty() && digit == '0') continue;
    id += digit;
  }
  return id;
}

Result<CreateAccountResponse> create_account(Call& call, const CreateAccountRequest& in) {
  std::string id = in.id.value_or("");
  if (id.empty()) id = new_account_id(call.site().random);
  TRY(call.commit([&](store::Txn& txn) { return call.site().keys.create_account(txn, id, in.name); },
                  security::canonical_json(json::object{{"account", id}, {"name", in.name}})));
  return CreateAccountResponse{{id, in.name, {call.now()}}};
}

struct ListAccountsResponse {
  std::vector<AccountView> accounts;
  static void fields(wire::Fields<ListAccountsResponse>& f) { f("accounts", &ListAccountsResponse::accounts); }
};

Result<ListAccountsResponse> list_accounts(Call& call, const Nothing&) {
  ListAccountsResponse out;
  for (const auto& a : TRY(call.site().keys.accounts())) out.accounts.push_back({a.id, a.name, {a.created}});
  return out;
}

}  // namespace

void add_keys(Service& s) {
  s.add<CreateKeyRequest, CreateKeyResponse>("CreateKey", {"POST", "/holdfast/v1/keys"}, Effect::write, create_key,
                                             [](const Call& call, const CreateKeyRequest& in) {
                                               return site_arn(
                                                   call, "key/" + account_or_own(call, in.account) + "/" + in.name);
                                             });
  s.add<AccountQuery, ListKeysResponse>("ListKeys", {"GET", "/holdfast/v1/keys"}, Effect::read, list_keys,
                                        [](const Call& call, const AccountQuery& in) {
                                          return site_arn(call, "key/" + account_or_own(call, in.account) + "/*");
                                        });
  s.add<DeleteKeyRequest, Nothing>("DeleteKey", {"DELETE", "/holdfast/v1/keys/{id}"}, Effect::write, delete_key,
                                   [](const Call& call, const DeleteKeyRequest& in) {
                                     return site_arn(call, "key/" + account_or_own(call, in.account) + "/" + in.id);
                                   });
  s.add<CreateAccountRequest, CreateAccountResponse>("CreateAccount", {"POST", "/holdfast/v1/accounts"}, Effect::write,
                                                     create_account,
                                                     [](const Call& call, const CreateAccountRequest& in) {
                                                       return site_arn(call, "account/" + in.id.value_or("*"));
                                                     });
  s.add<Nothing, ListAccountsResponse>("ListAccounts", {"GET", "/holdfast/v1/accounts"}, Effect::read, list_accounts,
                                       [](const Call& call, const Nothing&) { return site_arn(call, "account/*"); });
}

}  // namespace hf::api::holdfast_api
