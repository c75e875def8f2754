#include "security/keys.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "base/bytes.h"
#include "security/policy_context.h"

namespace hf::security {
namespace {

constexpr size_t kMaxCached = 10'000, kMaxRemoved = 100'000, kMaxPolicy = 64 << 10;

constexpr const char* kSchema[] = {
    "CREATE TABLE IF NOT EXISTS security_accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS security_keys (id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, "
    "kind TEXT NOT NULL, administrator INTEGER NOT NULL, active INTEGER NOT NULL, created INTEGER NOT NULL, "
    "expires INTEGER NOT NULL, policy TEXT NOT NULL, sealed BLOB, token_hash BLOB UNIQUE) WITHOUT ROWID",
};
constexpr const char* kColumns = "id, account, name, kind, administrator, active, created, expires, policy";

constexpr char kBase32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

// One character for each byte, of 32: no bias.
std::string base32_of(std::string_view bytes) {
  std::string out;
  for (char b : bytes) out += kBase32[static_cast<unsigned char>(b) & 31];
  return out;
}

bool valid_account(const std::string& id) {
  return id.size() == 12 && std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("+=,.@_-").find(c) != std::string_view::npos;
  });
}

// What is sealed belongs to this key of this account: moved to another row it does not open.
std::string seal_context(const KeyInfo& info) {
  return "holdfast-access-key-v1\n" + info.id + "\n" + info.account + "\n";
}

KeyInfo info_of(const store::Statement& q) {
  KeyInfo info;
  info.id = q.text(0);
  info.account = q.text(1);
  info.name = q.text(2);
  info.kind = q.text(3);
  info.administrator = q.integer(4) != 0;
  info.active = q.integer(5) != 0;
  info.created = q.integer(6);
  info.expires = q.integer(7);
  info.policy = q.text(8);
  return info;
}

class KeysImpl final : public Keys {
 public:
  KeysImpl(store::Db& db, os::Clock& clock, os::Random& random, crypto::Secret root)
      : db_(db), clock_(clock), random_(random), root_(std::move(root)) {}

  Status start() {
    if (root_.reveal().size() != 32) return fail(Code::corrupt, "the root key: expected 32 bytes");
    return db_.write([](store::Txn& txn) -> Status {
      for (const char* sql : kSchema) TRY(txn.run(sql));
      return {};
    });
  }

  Result<std::pair<KeyInfo, crypto::Secret>> create(store::Txn& txn, KeyInfo spec) override;
  Status remove(store::Txn& txn, const std::string& account, const std::string& id) override;
  Result<std::vector<KeyInfo>> list(const std::string& account) override;
  Result<std::optional<Found>> by_access_key(const std::string& id) override;
  Result<std::optional<Identity>> by_bearer(std::string_view token) override;
  Status create_account(store::Txn& txn, const std::string& account, const std::string& name) override;
  Result<std::vector<Account>> accounts() override;

 private:
  struct Known {
    Found found;
    KeyInfo info;
  };
  Result<std::optional<Known>> known(const std::string& cache_key, const char* column, std::string_view value);
  Result<std::optional<Known>> load(const char* column, std::string_view value);
  Result<Known> open_row(const KeyInfo& info, const std::string& sealed);

  store::Db& db_;
  os::Clock& clock_;
  os::Random& random_;
  crypto::Secret root_;
  std::mutex mutex_;
  std::map<std::string, Known> cache_;  // by access key id, or by the hash of an API key
  // Keys that somebody removed: read from the Db each time, since the removal may not be committed when it is cached
  // again. Over its bound nothing is cached any more.
  std::set<std::string> removed_;
};

Status check_spec(const KeyInfo& spec, Micros now) {
  if (!valid_account(spec.account)) return fail(Code::invalid, "account: expected 12 digits");
  if (!valid_name(spec.name))
    return fail(Code::invalid,
                "name: expected 1 to 64 of A-Z, a-z, 0-9 and +=,.@_-, found '" + spec.name.substr(0, 64) + "'");
  if (spec.kind != "access" && spec.kind != "api") return fail(Code::invalid, "kind: expected 'access' or 'api'");
  if (spec.expires < 0 || (spec.expires && spec.expires <= now))
    return fail(Code::invalid, "expires: expected a time to come, or 0");
  if (spec.policy.size() > kMaxPolicy) return fail(Code::too_large, "policy: expected at most 65536 bytes");
  if (!spec.policy.empty()) TRY(check_known_keys(TRY(parse_policy(spec.policy, spec.name))));
  return {};
}

Result<std::pair<KeyInfo, crypto::Secret>> KeysImpl::create(store::Txn& txn, KeyInfo spec) {
  TRY(check_spec(spec, clock_.now()));
  {
    auto q = TRY(txn.query("SELECT 1 FROM security_accounts WHERE id = ?"));
    q.bind(std::string_view(spec.account));
    if (!TRY(q.step())) return fail(Code::not_found, "there is no account " + spec.account);
  }
  spec.created = clock_.now();
  spec.active = true;
  bool access = spec.kind == "access";
  spec.id = (access ? "AKIA" : "HFAK") + base32_of(random_.bytes(16));
  // 30 random bytes are 40 characters of base64; API keys have 32 bytes behind their prefix.
  crypto::Secret secret(access ? base64(random_.bytes(30)) : "hf-" + base64url(random_.bytes(32)));
  auto q = TRY(
      txn.query("INSERT INTO security_keys (id, account, name, kind, administrator, active, created, expires, policy, "
                "sealed, token_hash) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)"));
  q.bind(std::string_view(spec.id)).bind(std::string_view(spec.account)).bind(std::string_view(spec.name));
  q.bind(std::string_view(spec.kind)).bind(int64_t{spec.administrator}).bind(spec.created).bind(spec.expires);
  q.bind(std::string_view(spec.policy));
  if (access) {
    std::string nonce = random_.bytes(12);
    q.blob(nonce + crypto::aead_seal(root_.reveal(), nonce, secret.reveal(), seal_context(spec))).null();
  } else {
    q.null().blob(crypto::sha256(secret.reveal()));
  }
  TRY(q.run());
  return std::pair{spec, secret};
}

Status KeysImpl::remove(store::Txn& txn, const std::string& account, const std::string& id) {
  std::string hash;
  {
    auto q = TRY(txn.query("SELECT token_hash FROM security_keys WHERE id = ? AND account = ?"));
    q.bind(std::string_view(id)).bind(std::string_view(account));
    if (!TRY(q.step())) return fail(Code::not_found, "there is no key " + id.substr(0, 128) + " in account " + account);
    if (!q.is_null(0)) hash = q.text(0);
  }
  auto q = TRY(txn.query("DELETE FROM security_keys WHERE id = ? AND account = ?"));
  q.bind(std::string_view(id)).bind(std::string_view(account));
  TRY(q.run());
  std::lock_guard lock(mutex_);
  const std::string& cache_key = hash.empty() ? id : hash;
  cache_.erase(cache_key);
  if (removed_.size() >= kMaxRemoved)
    cache_.clear();
  else
    removed_.insert(cache_key);
  return {};
}

Result<std::vector<KeyInfo>> KeysImpl::list(const std::string& account) {
  std::vector<KeyInfo> out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    out.clear();
    auto q = TRY(
        txn.query(std::string("SELECT ") + kColumns + " FROM security_keys WHERE account = ? OR ? = '' ORDER BY id"));
    q.bind(std::string_view(account)).bind(std::string_view(account));
    while (TRY(q.step())) out.push_back(info_of(q));
    return {};
  }));
  return out;
}

Result<KeysImpl::Known> KeysImpl::open_row(const KeyInfo& info, const std::string& sealed) {
  Known k;
  k.info = info;
  k.found.identity.account = info.account;
  k.found.identity.arn = "arn:aws:iam::" + info.account + ":user/" + info.name;
  k.found.identity.user_id = "AIDA" + base32_of(crypto::sha256(info.account + "/" + info.name).substr(0, 17));
  k.found.identity.access_key_id = info.id;
  k.found.identity.administrator = info.administrator;
  if (!info.policy.empty()) k.found.identity.policies.push_back(TRY(parse_policy(info.policy, info.id)));
  if (info.kind == "access") {
    if (sealed.size() < 12) return fail(Code::corrupt, "key " + info.id + ": its sealed secret is cut off");
    auto secret = crypto::aead_open(root_.reveal(), sealed.substr(0, 12), sealed.substr(12), seal_context(info));
    if (!secret.ok())
      return fail(Code::corrupt, "key " + info.id + ": its secret does not open under the site's root key");
    k.found.secret = crypto::Secret(std::move(secret).value());
  }
  return k;
}

Result<std::optional<KeysImpl::Known>> KeysImpl::load(const char* column, std::string_view value) {
  std::optional<Known> out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    out.reset();
    auto q = TRY(txn.query(std::string("SELECT ") + kColumns + ", sealed FROM security_keys WHERE " + column + " = ?"));
    if (std::string_view(column) == "id")
      q.bind(value);
    else
      q.blob(value);
    if (!TRY(q.step())) return {};
    out = TRY(open_row(info_of(q), q.is_null(9) ? std::string() : q.text(9)));
    return {};
  }));
  return out;
}

Result<std::optional<KeysImpl::Known>> KeysImpl::known(const std::string& cache_key, const char* column,
                                                       std::string_view value) {
  std::optional<Known> k;
  bool cacheable;
  {
    std::lock_guard lock(mutex_);
    cacheable = !removed_.count(cache_key) && removed_.size() < kMaxRemoved;
    auto found = cacheable ? cache_.find(cache_key) : cache_.end();
    if (found != cache_.end()) k = found->second;
  }
  if (!k) {
    k = TRY(load(column, value));
    std::lock_guard lock(mutex_);
    if (k && !removed_.count(cache_key) && removed_.size() < kMaxRemoved) {
      if (cache_.size() >= kMaxCached) cache_.clear();
      cache_.insert_or_assign(cache_key, *k);
    }
  }
  if (k && (!k->info.active || (k->info.expires && k->info.expires <= clock_.now()))) k.reset();
  return k;
}

Result<std::optional<Keys::Found>> KeysImpl::by_access_key(const std::string& id) {
  std::optional<Found> out;
  if (id.size() > 128) return out;
  auto k = TRY(known(id, "id", id));
  if (k && k->info.kind == "access") out = std::move(k->found);
  return out;
}

Result<std::optional<Identity>> KeysImpl::by_bearer(std::string_view token) {
  std::optional<Identity> out;
  if (token.substr(0, 3) != "hf-" || token.size() > 128) return out;
  std::string hash = crypto::sha256(token);
  auto k = TRY(known(hash, "token_hash", hash));
  if (k && k->info.kind == "api") out = std::move(k->found.identity);
  return out;
}

Status KeysImpl::create_account(store::Txn& txn, const std::string& account, const std::string& name) {
  if (!valid_account(account)) return fail(Code::invalid, "account: expected 12 digits");
  if (!valid_name(name)) return fail(Code::invalid, "name: expected 1 to 64 of A-Z, a-z, 0-9 and +=,.@_-");
  {
    auto q = TRY(txn.query("SELECT 1 FROM security_accounts WHERE id = ?"));
    q.bind(std::string_view(account));
    if (TRY(q.step()))
      return fail(Code::conflict, "AlreadyExistsException", "there is an account " + account + " already");
  }
  auto q = TRY(txn.query("INSERT INTO security_accounts (id, name, created) VALUES (?, ?, ?)"));
  q.bind(std::string_view(account)).bind(std::string_view(name)).bind(clock_.now());
  return q.run();
}

Result<std::vector<Keys::Account>> KeysImpl::accounts() {
  std::vector<Account> out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    out.clear();
    auto q = TRY(txn.query("SELECT id, name, created FROM security_accounts ORDER BY id"));
    while (TRY(q.step())) out.push_back({q.text(0), q.text(1), q.integer(2)});
    return {};
  }));
  return out;
}

}  // namespace

Result<std::unique_ptr<Keys>> Keys::open(store::Db& db, os::Clock& clock, os::Random& random, crypto::Secret root_key) {
  auto keys = std::make_unique<KeysImpl>(db, clock, random, std::move(root_key));
  TRY(keys->start());
  return keys;
}

}  // namespace hf::security
