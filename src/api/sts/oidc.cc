#include "api/sts/oidc.h"

#include <boost/json.hpp>

#include "base/bytes.h"
#include "fleet/doors.h"
#include "security/json.h"

namespace hf::api {
namespace json = boost::json;
namespace {

constexpr size_t kMaxAnswer = 256 << 10;
constexpr int kTimeoutMs = 5'000;
constexpr Micros kAgain = 60'000'000;
constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

struct Url {
  std::string origin, path;  // "https://id.example.net", "/realm/keys"
};
Result<Url> parse_url(std::string_view text, const char* what) {
  const size_t slash = text.starts_with("https://") ? text.find('/', 8) : 0;
  if (slash == 0 || slash == text.npos || slash == 8)
    return fail(Code::invalid, std::string(what) + ": expected https://HOST/PATH, found " + clip_utf8(text, 200));
  return Url{std::string(text.substr(0, slash)), std::string(text.substr(slash))};
}

Result<std::string> authorities(Site& site, const security::Provider& provider) {
  if (!provider.ca.empty()) return provider.ca;
  auto text = site.fs->read_file(kSystemAuthorities, 4 << 20);
  if (!text.ok())
    return fail(Code::invalid, std::string("ca: expected one, as this machine has no ") + kSystemAuthorities);
  return text;
}

// One GET over the door's socket file.
Result<std::string> get(const Url& url, const std::string& ca, const std::string& socket) {
  http::ClientOptions options;
  options.ca_pem = ca;
  options.timeout_ms = kTimeoutMs;
  options.unix_path = socket;
  const bool has_port = url.origin.find(':', 8) != std::string::npos;
  auto client = TRY(http::Client::make(url.origin + (has_port ? "" : ":443"), options));
  std::string body;
  http::Headers headers;
  headers.set("accept", "application/json");
  auto answer = client->stream("GET", url.path, headers, "", [&](std::string_view piece) {
    body += piece;
    return body.size() <= kMaxAnswer;
  });
  if (!answer.ok()) return fail(Code::unavailable, url.origin + url.path + ": " + answer.error().message);
  if (answer->status != 200)
    return fail(Code::unavailable,
                url.origin + url.path + ": expected status 200, found " + std::to_string(answer->status));
  if (body.size() > kMaxAnswer) return fail(Code::too_large, url.origin + url.path + ": expected at most 256 KiB");
  return body;
}

// OpenID Connect Discovery 1.0, 4.
Result<Url> discovered(const security::Provider& provider, const std::string& document) {
  const json::value v = TRY(security::parse_json(document, kMaxAnswer, "the provider's discovery document"));
  const auto text = [&](const char* name) {
    const json::value* member = v.is_object() ? v.get_object().if_contains(name) : nullptr;
    return member && member->is_string() ? std::string(member->get_string()) : std::string();
  };
  auto issuer = security::provider_url(text("issuer"));
  if (!issuer.ok() || *issuer != provider.url)
    return fail(Code::invalid, "the provider's discovery document: expected the issuer https://" + provider.url);
  const Url keys = TRY(parse_url(text("jwks_uri"), "jwks_uri"));
  if (keys.origin != TRY(parse_url("https://" + provider.url + "/", "Url")).origin)
    return fail(Code::invalid, "jwks_uri: its host is not the provider's: give keys_url " + keys.origin + keys.path +
                                   " and a door that leads there");
  return keys;
}

struct Socket {  // a file that goes with it
  os::Fs& fs;
  std::string path;
  ~Socket() { (void)fs.remove(path); }
};

}  // namespace

Result<std::string> fetch_keys(Site& site, const security::Provider& provider, security::Entry actor,
                               const std::function<Status()>& may) {
  const auto door = site.doors ? TRY(site.doors->find(provider.account, provider.door)) : std::nullopt;
  if (!door)
    return fail(Code::not_found, "there is no egress door '" + provider.door + "' for account " + provider.account);
  const std::string ca = TRY(authorities(site, provider)), folder = site.state + "/scratch";
  TRY(site.fs->make_dirs(folder, 0700));
  const Socket socket{*site.fs, folder + "/oidc-" + hex(site.random.bytes(8))};
  auto server = TRY(site.doors->serve(*door, socket.path, std::move(actor), may));
  Url url;
  if (provider.keys_url.empty()) {
    const Url discovery = TRY(parse_url("https://" + provider.url + "/.well-known/openid-configuration", "Url"));
    url = TRY(discovered(provider, TRY(get(discovery, ca, socket.path))));
  } else {
    url = TRY(parse_url(provider.keys_url, "keys_url"));
  }
  std::string keys = TRY(get(url, ca, socket.path));
  TRY(security::KeySet::parse(keys));
  return keys;
}

namespace {

security::Entry site_entry(const Site& site, const security::Provider& provider) {
  security::Entry e;
  e.time = site.clock.now();
  e.account = provider.account;
  e.principal = "arn:aws:holdfast:" + site.region + "::site/" + site.id;
  e.action = "holdfast:SetOidcKeys";
  e.resource = security::arn_of(provider);
  e.decision = "allow";
  e.reason = "a token of a key that is not known";
  return e;
}

// The provider with the key set that it has now, kept with its entry. Nothing: it is too soon, or it has no door.
Result<std::optional<security::Provider>> refreshed(Site& site, security::Provider provider) {
  const Micros now = site.clock.now();
  if (provider.door.empty() || now - provider.asked < kAgain) return std::optional<security::Provider>();
  const security::Entry entry = site_entry(site, provider);
  // The time is kept first: tokens with keys that nobody knows must not make the site ask again and again, nor two at
  // once.
  bool mine = false;
  TRY(site.db.write([&](store::Txn& txn) -> Status {
    provider = TRY(security::provider_by_url(txn, provider.account, provider.url));
    mine = now - provider.asked >= kAgain;
    provider.asked = now;
    return mine ? security::update(txn, provider) : Status();
  }));
  if (!mine) return std::optional<security::Provider>();
  std::string keys = TRY(fetch_keys(site, provider, entry, [] { return Status(); }));
  if (keys == provider.keys) return std::optional<security::Provider>();
  TRY(site.db.write([&](store::Txn& txn) -> Status {
    provider = TRY(security::provider_by_url(txn, provider.account, provider.url));
    provider.keys = keys;
    provider.fetched = site.clock.now();
    security::Entry told = entry;
    told.detail =
        security::canonical_json(json::object{{"door", provider.door}, {"keys_sha256", crypto::sha256_hex(keys)}});
    TRY(site.ledger.append(txn, told));
    return security::update(txn, provider);
  }));
  return std::optional(std::move(provider));
}

}  // namespace

Result<security::Provider> verified_provider(Site& site, const std::string& account, const security::WebToken& token) {
  const Error none = fail(Code::denied, "InvalidIdentityToken",
                          "WebIdentityToken: expected a token of a provider of account " + account +
                              ", found one of the issuer " + clip_utf8(token.issuer(), 255));
  auto url = security::provider_url(token.issuer());
  if (!url.ok()) return none;
  std::optional<security::Provider> provider;
  TRY(site.db.read([&](store::Txn& txn) -> Status {
    auto found = security::provider_by_url(txn, account, *url);
    if (!found.ok()) return found.error().code == Code::not_found ? Status() : Status(found.error());
    provider = std::move(*found);
    return {};
  }));
  if (!provider) return none;
  const Status verified = security::verify(*provider, token, site.clock.now());
  if (verified.ok()) return std::move(*provider);
  if (verified.error().name == security::kUnknownSigner) {
    auto newer = refreshed(site, *provider);
    if (!newer.ok()) {
      if (site.log) site.log("the key set of " + security::arn_of(*provider) + ": " + newer.error().message);
    } else if (*newer) {
      provider = std::move(**newer);
      const Status again = security::verify(*provider, token, site.clock.now());
      if (again.ok()) return std::move(*provider);
    }
  }
  Error error = verified.error();
  if (error.name == security::kUnknownSigner) error.name = "InvalidIdentityToken";
  return error;
}

}  // namespace hf::api
