// Service-specific credentials: of Bedrock, an API key that opens Bedrock's services as a Bearer token, and within them
// what its user may. Only its SHA-256 is kept. Without a UserName the caller's own are meant.
#include "api/iam/iam.h"

namespace hf::api::iam_api {
namespace {

constexpr const char* kBedrock = "bedrock.amazonaws.com";
constexpr size_t kMaxCredentials = 2;  // of a user
constexpr Micros kDay = 86'400'000'000;

template <class In>
std::string user_arn(const Call& call, const In& in) {
  return in.user ? arn_for(call, Kind::user, *in.user) : call.who().arn;
}
template <class In>
void user_field(wire::Fields<In>& f) {
  f("UserName", static_cast<std::optional<std::string> In::*>(&In::user)).length(1, 64).pattern(kName);
}

// The secret is shown when it is made, and never again.
struct CredentialView {
  std::string user, id, service, alias, status;
  wire::Timestamp created;
  std::optional<wire::Timestamp> expires;
  std::optional<std::string> secret;
  static void fields(wire::Fields<CredentialView>& f) {
    f("CreateDate", &CredentialView::created);
    f("ExpirationDate", &CredentialView::expires);
    f("ServiceName", &CredentialView::service);
    f("ServiceCredentialAlias", &CredentialView::alias);
    f("ServiceCredentialSecret", &CredentialView::secret).secret();
    f("ServiceSpecificCredentialId", &CredentialView::id);
    f("UserName", &CredentialView::user);
    f("Status", &CredentialView::status);
  }
};
struct OneCredential {
  CredentialView credential;
  static void fields(wire::Fields<OneCredential>& f) { f("ServiceSpecificCredential", &OneCredential::credential); }
};

CredentialView credential_view(const security::KeyInfo& info, Micros now) {
  CredentialView v;
  v.user = info.name;
  v.id = info.id;
  v.service = info.service;
  v.alias = info.name + "+" + info.id.substr(info.id.size() - 6) + "-at-" + info.account;
  v.created.us = info.created;
  if (info.expires) v.expires = wire::Timestamp{info.expires};
  v.status = info.expires && info.expires <= now ? "Expired" : info.active ? "Active" : "Inactive";
  return v;
}

Status check_service(const std::string& service) {
  if (service == kBedrock) return {};
  return fail(Code::not_found, "NotSupportedService",
              std::string("ServiceName: expected ") + kBedrock + ", found '" + clip_utf8(service, 100) + "'");
}

Result<std::vector<security::KeyInfo>> credentials_of(store::Txn& txn, const Call& call, const Entity& user) {
  std::vector<security::KeyInfo> out;
  for (const auto& k : TRY(store_of::keys_of(txn, user.id))) {
    if (k.service.empty()) continue;
    auto info = TRY(call.site().keys.find(txn, k.id));
    if (info) out.push_back(std::move(*info));
  }
  return out;
}

// The user's own.
Result<security::KeyInfo> own_credential(store::Txn& txn, const Call& call, const Entity& user, const std::string& id) {
  for (auto& info : TRY(credentials_of(txn, call, user)))
    if (info.id == id) return std::move(info);
  return fail(Code::not_found, "NoSuchEntity",
              "the user " + user.name + " has no service-specific credential " + id.substr(0, 128));
}

struct CreateCredential {
  std::optional<std::string> user;
  std::string service;
  std::optional<int64_t> days;
  static void fields(wire::Fields<CreateCredential>& f) {
    f("UserName", &CreateCredential::user).required().length(1, 64).pattern(kName);
    f("ServiceName", &CreateCredential::service).required();
    f("CredentialAgeDays", &CreateCredential::days).range(1, 36600);
  }
};

Result<OneCredential> create_credential(Call& call, const CreateCredential& in) {
  TRY(check_service(in.service));
  OneCredential out;
  TRY(change_making(call, in, "ServiceSpecificCredentialId", [&](store::Txn& txn) -> Result<std::string> {
    const Entity user = TRY(user_of(txn, call, in.user));
    if (TRY(credentials_of(txn, call, user)).size() >= kMaxCredentials)
      return fail(Code::conflict, "LimitExceeded", "expected at most 2 credentials of a service a user");
    security::KeyInfo spec;
    spec.account = user.account;
    spec.name = user.name;
    spec.kind = "api";
    spec.user_id = user.id;
    spec.service = in.service;
    if (in.days) spec.expires = call.now() + *in.days * kDay;
    auto [info, secret] = TRY(call.site().keys.create(txn, spec));
    out.credential = credential_view(info, call.now());
    out.credential.secret = std::string(secret.reveal());
    return info.id;
  }));
  return out;
}

struct ListCredentials : Paged {
  std::optional<std::string> user, service;
  std::optional<bool> all;
  static void fields(wire::Fields<ListCredentials>& f) {
    user_field(f);
    f("ServiceName", &ListCredentials::service);
    f("AllUsers", &ListCredentials::all);
    page_fields(f);
  }
};
struct ListCredentialsResponse : Page {
  std::vector<CredentialView> credentials;
  static void fields(wire::Fields<ListCredentialsResponse>& f) {
    f("ServiceSpecificCredentials", &ListCredentialsResponse::credentials);
    paged_fields(f);
  }
};

std::string listed_arn(const Call& call, const ListCredentials& in) {
  return in.all.value_or(false) ? "arn:aws:iam::" + call.account() + ":user/*" : user_arn(call, in);
}

Result<ListCredentialsResponse> list_credentials(Call& call, const ListCredentials& in) {
  if (in.service) TRY(check_service(*in.service));
  if (in.all.value_or(false) && in.user)
    return fail(Code::invalid, "InvalidInput", "expected one of UserName and AllUsers, found both");
  ListCredentialsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.credentials.clear();
    std::vector<Entity> users;
    if (in.all.value_or(false))
      users = TRY(store_of::list(txn, Kind::user, call.account(), "/"));
    else
      users.push_back(TRY(user_of(txn, call, in.user)));
    for (const Entity& user : users)
      for (const auto& info : TRY(credentials_of(txn, call, user)))
        out.credentials.push_back(credential_view(info, call.now()));
    return take(out.credentials, in, out, [](const CredentialView& v) { return v.id; });
  }));
  return out;
}

struct ByCredential {
  std::optional<std::string> user;
  std::string id;
  template <class T>
  static void id_fields(wire::Fields<T>& f) {
    user_field(f);
    f("ServiceSpecificCredentialId", static_cast<std::string T::*>(&T::id))
        .required()
        .length(20, 128)
        .pattern("[A-Za-z0-9_]+");
  }
  static void fields(wire::Fields<ByCredential>& f) { id_fields(f); }
};
struct UpdateCredential : ByCredential {
  std::string status;
  static void fields(wire::Fields<UpdateCredential>& f) {
    id_fields(f);
    f("Status", &UpdateCredential::status).required().one_of({"Active", "Inactive"});
  }
};

Result<Nothing> update_credential(Call& call, const UpdateCredential& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity user = TRY(user_of(txn, call, in.user));
    TRY(own_credential(txn, call, user, in.id));
    return call.site().keys.set_active(txn, user.account, in.id, in.status == "Active");
  }));
  return Nothing{};
}

Result<OneCredential> reset_credential(Call& call, const ByCredential& in) {
  OneCredential out;
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity user = TRY(user_of(txn, call, in.user));
    out.credential = credential_view(TRY(own_credential(txn, call, user, in.id)), call.now());
    out.credential.secret = std::string(TRY(call.site().keys.reset(txn, user.account, in.id)).reveal());
    return {};
  }));
  return out;
}

Result<Nothing> delete_credential(Call& call, const ByCredential& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity user = TRY(user_of(txn, call, in.user));
    TRY(own_credential(txn, call, user, in.id));
    return call.site().keys.remove(txn, user.account, in.id);
  }));
  return Nothing{};
}

}  // namespace

void add_credentials(Service& s) {
  s.add<CreateCredential, OneCredential>("CreateServiceSpecificCredential", {}, Effect::write, create_credential,
                                         user_arn<CreateCredential>);
  s.add<ListCredentials, ListCredentialsResponse>("ListServiceSpecificCredentials", {}, Effect::read, list_credentials,
                                                  listed_arn);
  s.add<UpdateCredential, Nothing>("UpdateServiceSpecificCredential", {}, Effect::write, update_credential,
                                   user_arn<UpdateCredential>);
  s.add<ByCredential, OneCredential>("ResetServiceSpecificCredential", {}, Effect::write, reset_credential,
                                     user_arn<ByCredential>);
  s.add<ByCredential, Nothing>("DeleteServiceSpecificCredential", {}, Effect::write, delete_credential,
                               user_arn<ByCredential>);
}

}  // namespace hf::api::iam_api
