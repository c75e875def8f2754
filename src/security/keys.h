// Accounts and keys. Access keys (SigV4) and API keys (Bearer) belong to an identity in an account; the administrator's
// is made at the first start. Secrets of access keys must be known in clear to verify HMACs, so they lie sealed
// (AES-256-GCM) under the site's root key; API keys are stored as SHA-256 of the key only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/crypto.h"
#include "security/policy.h"
#include "store/db.h"

namespace hf::security {

struct KeyInfo {
  std::string id;             // AKIA... (access key), or HFAK... (API key)
  std::string account, name;  // name of the user it belongs to
  std::string kind;           // "access" | "api"
  bool administrator = false;
  bool active = true;
  Micros created = 0, expires = 0;  // 0: never
  std::string policy;               // JSON document
  // The IAM user whose key it is (security/iam.h): what the user may, the key may, and `policy` is empty. "": the key
  // is the site's own.
  std::string user_id = {};
  std::string service = {};  // of a service-specific credential (kind "api"): "bedrock.amazonaws.com"
};

// Thread-safe. Names of users: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -; accounts: 12 digits.
class Keys {
 public:
  // root_key: 32 bytes. The Db must live longer. Makes its tables if they are absent.
  static Result<std::unique_ptr<Keys>> open(store::Db& db, os::Clock& clock, os::Random& random,
                                            crypto::Secret root_key);
  virtual ~Keys() = default;
  // In the caller's transaction. The secret is given once. Access key: (AKIA id, 40-character secret); API key: the
  // whole Bearer token "hf-..." as secret.
  // spec: account, name, kind, administrator, expires, policy, user_id, service; the rest is filled in. not_found: no
  // such account. conflict: the name is an IAM user's, and the key is not.
  virtual Result<std::pair<KeyInfo, crypto::Secret>> create(store::Txn&, KeyInfo spec) = 0;
  virtual Status remove(store::Txn&, const std::string& account, const std::string& id) = 0;
  // Of users' keys. not_found: no such one in the account.
  virtual Status set_active(store::Txn&, const std::string& account, const std::string& id, bool active) = 0;
  // conflict: what hangs on the key does not let it: API keys only. The new token; the old one is void.
  virtual Result<crypto::Secret> reset(store::Txn&, const std::string& account, const std::string& id) = 0;
  virtual Result<std::optional<KeyInfo>> find(store::Txn&, const std::string& id) = 0;
  // Said of an IAM user's key that has just proved itself. Written down when an hour has gone by since the last time
  // was: a time is told from memory until a restart. A failure to write is no failure of the request.
  virtual void used(const std::string& access_key_id, const std::string& service) = 0;
  struct LastUse {
    Micros time = 0;  // 0: never
    std::string service;
  };
  virtual Result<LastUse> last_use(const std::string& access_key_id) = 0;
  // By id; account "": of all accounts.
  virtual Result<std::vector<KeyInfo>> list(const std::string& account) = 0;
  struct Found {
    Identity identity;
    crypto::Secret secret;  // access keys only
    bool of_user = false;   // of an IAM user: used() is told of it
  };
  // nothing: unknown, inactive or expired. Cached; a removal is seen at once.
  virtual Result<std::optional<Found>> by_access_key(const std::string& access_key_id) = 0;
  virtual Result<std::optional<Identity>> by_bearer(std::string_view token) = 0;

  // conflict: there is one with this id. id "" is not allowed here: the caller picks one.
  virtual Status create_account(store::Txn&, const std::string& account, const std::string& name) = 0;
  struct Account {
    std::string id, name;
    Micros created;
  };
  virtual Result<std::vector<Account>> accounts() = 0;
};

}  // namespace hf::security
