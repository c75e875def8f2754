// Key sets of OpenID Connect providers, for which AWS has no API: it fetches them; a site without a network is given
// them, or a door to fetch them through.
#include "api/sts/oidc.h"

#include <boost/json.hpp>

#include "api/holdfast/operations.h"
#include "fleet/doors.h"
#include "security/json.h"

namespace hf::api::holdfast_api {
namespace json = boost::json;
namespace {

struct SetOidcKeys {
  std::string url;
  std::optional<wire::Document> keys;
  std::optional<std::string> door, keys_url, ca;
  static void fields(wire::Fields<SetOidcKeys>& f) {
    f("url", &SetOidcKeys::url).required().length(1, 255);
    f("keys", &SetOidcKeys::keys);
    f("door", &SetOidcKeys::door).length(1, 63);
    f("keys_url", &SetOidcKeys::keys_url).length(1, 2048);
    f("ca", &SetOidcKeys::ca).length(1, 65536);
  }
};
struct KeysView {
  std::string arn, keys_sha256, door;
  int64_t keys = 0;
  std::optional<wire::Timestamp> fetched;
  static void fields(wire::Fields<KeysView>& f) {
    f("arn", &KeysView::arn);
    f("keys", &KeysView::keys);
    f("keys_sha256", &KeysView::keys_sha256);
    f("door", &KeysView::door);
    f("fetched", &KeysView::fetched);
  }
};

Result<KeysView> view_of(const security::Provider& p) {
  KeysView v;
  v.arn = security::arn_of(p);
  v.door = p.door;
  if (p.fetched) v.fetched = wire::Timestamp{p.fetched};
  if (p.keys.empty()) return v;
  v.keys = static_cast<int64_t>(TRY(security::KeySet::parse(p.keys)).size());
  v.keys_sha256 = crypto::sha256_hex(p.keys);
  return v;
}

security::Entry actor_of(const Call& call, const security::Provider& p) {
  security::Entry e;
  e.time = call.now();
  e.account = call.account();
  e.principal = call.who().arn;
  e.resource = security::arn_of(p);
  e.request_id = call.request_id();
  e.source = call.head().peer;
  return e;
}

// The keys as they are to be kept.
Result<std::string> keys_of(Call& call, const SetOidcKeys& in, const security::Provider& p) {
  if (in.keys) {
    std::string text = json::serialize(*in.keys);
    TRY(security::KeySet::parse(text));
    return text;
  }
  const std::string door = fleet::door_arn(call.site().region, p.account, p.door);
  const auto may = [&call, door] { return call.may("holdfast:UseEgressDoor", door); };
  TRY(may());
  return fetch_keys(call.site(), p, actor_of(call, p), may);
}

Result<KeysView> set_keys(Call& call, const SetOidcKeys& in) {
  if (in.keys.has_value() == in.door.has_value()) return invalid("expected one of keys and door");
  if (in.keys && (in.keys_url || in.ca)) return invalid("keys_url, ca: expected them with a door only");
  const std::string url = TRY(security::provider_url(in.url.starts_with("https://") ? in.url : "https://" + in.url));
  security::Provider p;
  TRY(call.read([&](store::Txn& txn) -> Status {
    p = TRY(security::provider_by_url(txn, call.account(), url));
    return {};
  }));
  p.door = in.door.value_or("");
  p.keys_url = in.keys_url.value_or("");
  p.ca = in.ca.value_or("");
  const std::string keys = TRY(keys_of(call, in, p));
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        security::Provider now = TRY(security::provider_by_url(txn, call.account(), url));
        now.door = p.door;
        now.keys_url = p.keys_url;
        now.ca = p.ca;
        now.keys = keys;
        now.fetched = call.now();
        p = now;
        return security::update(txn, now);
      },
      security::canonical_json(json::object{{"door", p.door}, {"keys_sha256", crypto::sha256_hex(keys)}})));
  return view_of(p);
}

struct ListOidcKeys {
  static void fields(wire::Fields<ListOidcKeys>&) {}
};
struct ListOidcKeysResponse {
  std::vector<KeysView> providers;
  static void fields(wire::Fields<ListOidcKeysResponse>& f) { f("providers", &ListOidcKeysResponse::providers); }
};

Result<ListOidcKeysResponse> list_keys(Call& call, const ListOidcKeys&) {
  ListOidcKeysResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.providers.clear();
    const auto all = TRY(security::providers(txn, call.account()));
    for (const security::Provider& p : all) out.providers.push_back(TRY(view_of(p)));
    return {};
  }));
  return out;
}

std::string provider_arn(const Call& call, const SetOidcKeys& in) {
  auto url = security::provider_url(in.url.starts_with("https://") ? in.url : "https://" + in.url);
  return "arn:aws:iam::" + call.account() + ":oidc-provider/" + (url.ok() ? *url : "*");
}
std::string any_provider(const Call& call, const ListOidcKeys&) {
  return "arn:aws:iam::" + call.account() + ":oidc-provider/*";
}

}  // namespace

void add_oidc(Service& s) {
  s.add<SetOidcKeys, KeysView>("SetOidcKeys", {"PUT", "/holdfast/v1/oidc/keys"}, Effect::write, set_keys, provider_arn);
  s.add<ListOidcKeys, ListOidcKeysResponse>("ListOidcKeys", {"GET", "/holdfast/v1/oidc/keys"}, Effect::read, list_keys,
                                            any_provider);
}

}  // namespace hf::api::holdfast_api
