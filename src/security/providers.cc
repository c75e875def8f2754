#include "security/providers.h"

#include <algorithm>
#include <boost/json.hpp>

#include "security/json.h"

namespace hf::security {
namespace json = boost::json;
namespace {

constexpr size_t kMaxProviders = 100, kMaxClients = 100, kMaxThumbprints = 5;
constexpr const char* kColumns =
    "account, url, client_ids, thumbprints, tags, created, keys, fetched, asked, door, keys_url, ca";

Error none(const std::string& what) { return fail(Code::not_found, "NoSuchEntity", what); }
Error bad(const std::string& what) { return fail(Code::invalid, "InvalidInput", what); }

std::string text_of(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& s : list) out.emplace_back(s);
  return json::serialize(out);
}
Result<std::vector<std::string>> list_of(const std::string& text) {
  const json::value v = TRY(parse_json(text, 64 << 10, "a provider"));
  if (!v.is_array()) return fail(Code::corrupt, "a provider: expected an array");
  std::vector<std::string> out;
  for (const json::value& one : v.get_array()) out.emplace_back(one.is_string() ? one.get_string().c_str() : "");
  return out;
}

Result<Provider> provider_of(const store::Statement& q) {
  Provider p;
  p.account = q.text(0);
  p.url = q.text(1);
  p.client_ids = TRY(list_of(q.text(2)));
  p.thumbprints = TRY(list_of(q.text(3)));
  const std::vector<std::string> tags = TRY(list_of(q.text(4)));
  for (size_t i = 0; i + 1 < tags.size(); i += 2) p.tags.emplace_back(tags[i], tags[i + 1]);
  p.created = q.integer(5);
  p.keys = q.text(6);
  p.fetched = q.integer(7);
  p.asked = q.integer(8);
  p.door = q.text(9);
  p.keys_url = q.text(10);
  p.ca = q.text(11);
  return p;
}

Result<std::vector<Provider>> select(store::Txn& txn, const char* where, const std::string& a, const std::string& b) {
  auto q = TRY(txn.query(std::string("SELECT ") + kColumns + " FROM iam_providers WHERE " + where + " ORDER BY url"));
  q.bind(std::string_view(a));
  if (!b.empty()) q.bind(std::string_view(b));
  std::vector<Provider> out;
  while (TRY(q.step())) out.push_back(TRY(provider_of(q)));
  return out;
}

Status write(store::Txn& txn, const Provider& p) {
  auto q = TRY(txn.query(std::string("INSERT OR REPLACE INTO iam_providers (") + kColumns +
                         ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  std::vector<std::string> flat;
  for (const auto& [key, value] : p.tags) flat.insert(flat.end(), {key, value});
  const std::string clients = text_of(p.client_ids), thumbprints = text_of(p.thumbprints), tags = text_of(flat);
  q.bind(std::string_view(p.account)).bind(std::string_view(p.url)).bind(std::string_view(clients));
  q.bind(std::string_view(thumbprints)).bind(std::string_view(tags)).bind(p.created).bind(std::string_view(p.keys));
  q.bind(p.fetched)
      .bind(p.asked)
      .bind(std::string_view(p.door))
      .bind(std::string_view(p.keys_url))
      .bind(std::string_view(p.ca));
  TRY(q.run());
  return iam::changed(txn, p.account);
}

bool twice(std::vector<std::string> list) {
  std::sort(list.begin(), list.end());
  return std::adjacent_find(list.begin(), list.end()) != list.end();
}

}  // namespace

std::string arn_of(const Provider& p) { return "arn:aws:iam::" + p.account + ":oidc-provider/" + p.url; }

Result<std::string> provider_url(std::string_view url) {
  const Error none_such =
      bad("Url: expected https://HOST or https://HOST/PATH of at most 255 characters, found " + clip_utf8(url, 255));
  if (!url.starts_with("https://") || url.size() > 255) return none_such;
  url.remove_prefix(8);
  while (url.ends_with('/')) url.remove_suffix(1);
  const std::string_view host = url.substr(0, url.find('/'));
  const auto fits = [](std::string_view text, std::string_view more) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || more.find(c) != more.npos;
    });
  };
  if (host.empty() || !fits(host, ".-:") || !fits(url, ".-:/_~%+@")) return none_such;
  return std::string(url);
}

Status check_provider(const Provider& p) {
  if (p.client_ids.size() > kMaxClients)
    return fail(Code::conflict, "LimitExceeded", "ClientIDList: expected at most 100");
  if (p.thumbprints.size() > kMaxThumbprints) return bad("ThumbprintList: expected at most 5");
  if (twice(p.client_ids)) return bad("ClientIDList: expected each once");
  for (const auto& id : p.client_ids)
    if (id.empty() || id.size() > 255) return bad("ClientIDList: expected 1 to 255 characters each");
  for (const auto& t : p.thumbprints)
    if (t.size() != 40 ||
        !std::all_of(t.begin(), t.end(), [](char c) { return std::isxdigit(static_cast<unsigned char>(c)); }))
      return bad("ThumbprintList: expected 40 hex digits each (SHA-1 of a certificate)");
  return {};
}

Status insert(store::Txn& txn, const Provider& p) {
  TRY(check_provider(p));
  if (!TRY(select(txn, "account = ? AND url = ?", p.account, p.url)).empty())
    return fail(Code::conflict, "EntityAlreadyExists", "there is a provider " + arn_of(p) + " already");
  if (TRY(providers(txn, p.account)).size() >= kMaxProviders)
    return fail(Code::conflict, "LimitExceeded", "expected at most 100 providers an account");
  return write(txn, p);
}

Status update(store::Txn& txn, const Provider& p) {
  TRY(check_provider(p));
  return write(txn, p);
}

Result<Provider> provider_by_url(store::Txn& txn, const std::string& account, const std::string& url) {
  auto found = TRY(select(txn, "account = ? AND url = ?", account, url));
  if (url.empty() || found.empty())
    return none("there is no provider " + clip_utf8(url, 255) + " in account " + account);
  return std::move(found[0]);
}

Result<Provider> provider_by_arn(store::Txn& txn, const std::string& account, const std::string& arn) {
  const std::string prefix = "arn:aws:iam::" + account + ":oidc-provider/";
  if (!arn.starts_with(prefix)) return none("there is no provider " + clip_utf8(arn, 300));
  return provider_by_url(txn, account, arn.substr(prefix.size()));
}

Result<std::vector<Provider>> providers(store::Txn& txn, const std::string& account) {
  return select(txn, "account = ?", account, "");
}

Status erase(store::Txn& txn, const Provider& p) {
  auto q = TRY(txn.query("DELETE FROM iam_providers WHERE account = ? AND url = ?"));
  q.bind(std::string_view(p.account)).bind(std::string_view(p.url));
  TRY(q.run());
  return iam::changed(txn, p.account);
}

Status verify(const Provider& p, const WebToken& token, Micros now) {
  const auto bad_token = [](const std::string& why) {
    return fail(Code::denied, "InvalidIdentityToken", "WebIdentityToken: " + why);
  };
  if (p.keys.empty())
    return fail(Code::denied, kUnknownSigner,
                "WebIdentityToken: the provider " + p.url + " has no key set yet (holdfast oidc keys)");
  TRY(token.verify(TRY(KeySet::parse(p.keys)), now));
  if (TRY(provider_url(token.issuer())) != p.url) return bad_token("expected the issuer https://" + p.url);
  // Of several audiences the token must say for whom it was made (OpenID Connect Core, 3.1.3.7).
  const auto known = [&](const std::string& id) {
    return std::find(p.client_ids.begin(), p.client_ids.end(), id) != p.client_ids.end();
  };
  const auto& azp = token.authorized_party();
  if (azp.empty() && token.audiences().size() > 1) return bad_token("expected azp, as it has several audiences");
  if (std::none_of(token.audiences().begin(), token.audiences().end(), known) || (!azp.empty() && !known(azp)))
    return bad_token("expected an audience among the provider's client ids");
  return {};
}

}  // namespace hf::security
