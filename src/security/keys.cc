#include "security/keys.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "base/bytes.h"
#include "security/iam.h"
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
constexpr const char* kColumns =
    "k.id, k.account, k.name, k.kind, k.administrator, k.active, k.created, k.expires, k.policy, "
    "COALESCE(i.user_id, ''), COALESCE(i.service, '')";
constexpr const char* kTables = " FROM security_keys k LEFT JOIN iam_keys i ON i.id = k.id ";
constexpr Micros kWriteUseEvery = 3'600'000'000;

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
  info.user_id = q.text(9);
  info.service = q.text(10);
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
      return iam::make_tables(txn);
    });
  }

  Result<std::pair<KeyInfo, crypto::Secret>> create(store::Txn& txn, KeyInfo spec) override;
  Status remove(store::Txn& txn, const std::string& account, const std::string& id) override;
  Status set_active(store::Txn& txn, const std::string& account, const std::string& id, bool active) override;
  Result<crypto::Secret> reset(store::Txn& txn, const std::string& account, const std::string& id) override;
  Result<std::optional<KeyInfo>> find(store::Txn& txn, const std::string& id) override;
  void used(const std::string& access_key_id, const std::string& service) override;
  Result<LastUse> last_use(const std::string& access_key_id) override;
  Result<std::vector<KeyInfo>> list(const std::string& account) override;
  Result<std::optional<Found>> by_access_key(const std::string& id) override;
  Result<std::optional<Identity>> by_bearer(std::string_view token) override;
  Status create_account(store::Txn& txn, const std::string& account, const std::string& name) override;
  Result<std::vector<Account>> accounts() override;

 private:
  struct Known {
    Found found;
    KeyInfo info;
    int64_t generation = -1;  // of an IAM user's key: what was read is true while the account's is this
  };
  Result<std::optional<Known>> known(const std::string& cache_key, const char* column, std::string_view value);
  Result<std::optional<Known>> load(const char* column, std::string_view value);
  Result<std::optional<Known>> open_row(store::Txn& txn, const KeyInfo& info, const std::string& sealed);
  Status forget(store::Txn& txn, const KeyInfo& info, const std::string& token_hash);
  Status check_name(store::Txn& txn, const KeyInfo& spec);
  crypto::Secret new_secret(bool access) {
    // 30 random bytes are 40 characters of base64; API keys have 32 bytes behind their prefix.
    return crypto::Secret(access ? base64(random_.bytes(30)) : "hf-" + base64url(random_.bytes(32)));
  }

  store::Db& db_;
  os::Clock& clock_;
  os::Random& random_;
  crypto::Secret root_;
  std::mutex mutex_;
  std::map<std::string, Known> cache_;  // by access key id, or by the hash of an API key
  // Keys that somebody removed: read from the Db each time, since the removal may not be committed when it is cached
  // again. Over its bound nothing is cached any more.
  std::set<std::string> removed_;
  std::map<std::string, LastUse> used_;       // by access key id
  std::map<std::string, Micros> used_since_;  // when each was written down
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
  TRY(check_name(txn, spec));
  spec.created = clock_.now();
  spec.active = true;
  bool access = spec.kind == "access";
  spec.id = iam::identifier(access ? "AKIA" : spec.user_id.empty() ? "HFAK" : "ACCA", random_.bytes(16));
  crypto::Secret secret = new_secret(access);
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
  if (!spec.user_id.empty()) {
    TRY(iam::put_key(txn, {spec.id, spec.user_id, spec.service, 0, ""}));
    TRY(iam::changed(txn, spec.account));
  }
  return std::pair{spec, secret};
}

// A user's keys bear its name; the site's own keys have names that no user has.
Status KeysImpl::check_name(store::Txn& txn, const KeyInfo& spec) {
  if (!spec.user_id.empty()) {
    if (spec.administrator || !spec.policy.empty())
      return fail(Code::invalid, "a user's key: expected no policy of its own");
    return {};
  }
  auto user = iam::get(txn, iam::Kind::user, spec.account, spec.name);
  if (user.ok())
    return fail(Code::conflict, "AlreadyExistsException",
                "there is an IAM user with the name " + spec.name + "; make an access key of it, or pick another name");
  return user.error().code == Code::not_found ? Status() : Status(user.error());
}

Result<std::optional<KeyInfo>> KeysImpl::find(store::Txn& txn, const std::string& id) {
  auto q = TRY(txn.query(std::string("SELECT ") + kColumns + kTables + "WHERE k.id = ?"));
  q.bind(std::string_view(id));
  std::optional<KeyInfo> out;
  if (TRY(q.step())) out = info_of(q);
  return out;
}

Status KeysImpl::set_active(store::Txn& txn, const std::string& account, const std::string& id, bool active) {
  auto info = TRY(find(txn, id));
  if (!info || info->account != account || info->user_id.empty())
    return fail(Code::not_found, "there is no key " + id.substr(0, 128) + " of a user in account " + account);
  auto q = TRY(txn.query("UPDATE security_keys SET active = ? WHERE id = ?"));
  q.bind(int64_t{active}).bind(std::string_view(id));
  TRY(q.run());
  return iam::changed(txn, account);
}

Result<crypto::Secret> KeysImpl::reset(store::Txn& txn, const std::string& account, const std::string& id) {
  auto info = TRY(find(txn, id));
  if (!info || info->account != account || info->user_id.empty())
    return fail(Code::not_found, "there is no key " + id.substr(0, 128) + " of a user in account " + account);
  if (info->kind != "api") return fail(Code::conflict, "only an API key can be reset");
  crypto::Secret secret = new_secret(false);
  auto q = TRY(txn.query("UPDATE security_keys SET token_hash = ? WHERE id = ?"));
  q.blob(crypto::sha256(secret.reveal())).bind(std::string_view(id));
  TRY(q.run());
  TRY(iam::changed(txn, account));
  return secret;
}

// What is cached of the key is void, whether the transaction commits or not. Of users' keys the generation says it.
Status KeysImpl::forget(store::Txn& txn, const KeyInfo& info, const std::string& token_hash) {
  TRY(iam::changed(txn, info.account));
  if (!info.user_id.empty()) return {};
  std::lock_guard lock(mutex_);
  const std::string& cache_key = token_hash.empty() ? info.id : token_hash;
  cache_.erase(cache_key);
  if (removed_.size() >= kMaxRemoved)
    cache_.clear();
  else
    removed_.insert(cache_key);
  return {};
}

void KeysImpl::used(const std::string& id, const std::string& service) {
  const Micros now = clock_.now();
  {
    std::lock_guard lock(mutex_);
    if (used_.size() >= kMaxCached && !used_.count(id)) used_.clear();
    used_[id] = {now, service};
    if (used_since_.size() >= kMaxCached && !used_since_.count(id)) used_since_.clear();
    Micros& since = used_since_[id];
    if (since != 0 && now - since < kWriteUseEvery) return;
    since = now;
  }
  (void)db_.write([&](store::Txn& txn) -> Status {
    auto q = TRY(txn.query("UPDATE iam_keys SET used = ?, used_for = ? WHERE id = ?"));
    q.bind(now).bind(std::string_view(service)).bind(std::string_view(id));
    return q.run();
  });
}

Result<Keys::LastUse> KeysImpl::last_use(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    if (auto it = used_.find(id); it != used_.end()) return it->second;
  }
  LastUse out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    auto key = TRY(iam::key_by_id(txn, id));
    if (key) out = {key->used, key->used_for};
    return {};
  }));
  return out;
}

Status KeysImpl::remove(store::Txn& txn, const std::string& account, const std::string& id) {
  const auto info = TRY(find(txn, id));
  if (!info || info->account != account)
    return fail(Code::not_found, "there is no key " + id.substr(0, 128) + " in account " + account);
  std::string hash;
  {
    auto q = TRY(txn.query("SELECT token_hash FROM security_keys WHERE id = ?"));
    q.bind(std::string_view(id));
    if (TRY(q.step()) && !q.is_null(0)) hash = q.text(0);
  }
  for (const char* sql : {"DELETE FROM security_keys WHERE id = ?", "DELETE FROM iam_keys WHERE id = ?"}) {
    auto q = TRY(txn.query(sql));
    q.bind(std::string_view(id));
    TRY(q.run());
  }
  return forget(txn, *info, hash);
}

Result<std::vector<KeyInfo>> KeysImpl::list(const std::string& account) {
  std::vector<KeyInfo> out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    out.clear();
    auto q =
        TRY(txn.query(std::string("SELECT ") + kColumns + kTables + "WHERE k.account = ? OR ? = '' ORDER BY k.id"));
    q.bind(std::string_view(account)).bind(std::string_view(account));
    while (TRY(q.step())) out.push_back(info_of(q));
    return {};
  }));
  return out;
}

// The site's own keys: an identity by the key's name and policy.
Result<Identity> own_identity(const KeyInfo& info) {
  Identity who;
  who.account = info.account;
  who.arn = "arn:aws:iam::" + info.account + ":user/" + info.name;
  who.user_id = iam::identifier("AIDA", crypto::sha256(info.account + "/" + info.name).substr(0, 17));
  who.administrator = info.administrator;
  if (!info.policy.empty()) who.policies.push_back(TRY(parse_policy(info.policy, info.id)));
  return who;
}

// A service-specific credential opens its service and no other.
Result<Policy> only_service(const std::string& service) {
  const std::string prefix = service.substr(0, service.find('.'));
  return parse_policy(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":")" + prefix + R"(:*","Resource":"*"}]})",
      "credential-of/" + service);
}

// Nothing: its user is gone.
Result<std::optional<KeysImpl::Known>> KeysImpl::open_row(store::Txn& txn, const KeyInfo& info,
                                                          const std::string& sealed) {
  Known k;
  k.info = info;
  if (info.user_id.empty()) {
    k.found.identity = TRY(own_identity(info));
  } else {
    k.generation = TRY(iam::generation(txn, info.account));
    auto user = TRY(iam::by_id(txn, info.user_id));
    if (!user) return std::optional<Known>();
    k.found.identity = TRY(iam::identity_of(txn, *user));
    if (!info.service.empty()) k.found.identity.session = std::vector<Policy>{TRY(only_service(info.service))};
  }
  k.found.identity.access_key_id = info.id;
  k.found.of_user = !info.user_id.empty();
  if (info.kind == "access") {
    if (sealed.size() < 12) return fail(Code::corrupt, "key " + info.id + ": its sealed secret is cut off");
    auto secret = crypto::aead_open(root_.reveal(), sealed.substr(0, 12), sealed.substr(12), seal_context(info));
    if (!secret.ok())
      return fail(Code::corrupt, "key " + info.id + ": its secret does not open under the site's root key");
    k.found.secret = crypto::Secret(std::move(secret).value());
  }
  return std::optional<Known>(std::move(k));
}

Result<std::optional<KeysImpl::Known>> KeysImpl::load(const char* column, std::string_view value) {
  std::optional<Known> out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    out.reset();
    KeyInfo info;
    std::string sealed;
    {
      auto q =
          TRY(txn.query(std::string("SELECT ") + kColumns + ", k.sealed" + kTables + "WHERE k." + column + " = ?"));
      if (std::string_view(column) == "id")
        q.bind(value);
      else
        q.blob(value);
      if (!TRY(q.step())) return {};
      info = info_of(q);
      if (!q.is_null(11)) sealed = q.text(11);
    }
    out = TRY(open_row(txn, info, sealed));
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
  if (k && k->generation >= 0) {  // of an IAM user: what was cached may have changed
    int64_t now = -1;
    TRY(db_.read([&](store::Txn& txn) -> Status {
      now = TRY(iam::generation(txn, k->info.account));
      return {};
    }));
    if (now != k->generation) k.reset();
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
