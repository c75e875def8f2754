// Keys of the key management service: what they are, where they are kept, and their states. A key is a row; its
// materials lie in it sealed under the site's root key (security/kms_ring.h), so the database alone opens nothing. What
// the time changes (a deletion that is due, imported material that expires) holds from that instant on, for whoever
// reads a key; the keeper (security/kms_keeper.h) makes it so on the disk soon after.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "security/policy.h"
#include "store/db.h"

namespace hf::security::kms {

struct Material {
  std::string id;      // 64 hex digits: a keyed digest of what it is and whose
  std::string sealed;  // "": imported, and deleted or expired
  Micros created = 0;
  Micros valid_to = 0;  // of imported material; 0: does not expire
  std::string how;      // "": the key's first; "AUTOMATIC" or "ON_DEMAND": what the rotation was
  std::string description;
  bool pending = false;  // imported, and no rotation has made it the current one
};

enum class State { enabled, disabled, pending_deletion, pending_import };
const char* name_of(State state);  // "Enabled", ...

using Tags = std::vector<std::pair<std::string, std::string>>;

struct Key {
  std::string account, id;  // id: a UUID
  std::string spec = "SYMMETRIC_DEFAULT", usage = "ENCRYPT_DECRYPT", origin = "AWS_KMS";
  std::string description, policy;  // policy: JSON, as it was given
  Tags tags;
  Micros created = 0;
  bool enabled = true;
  Micros deletion = 0;        // when it is destroyed; 0: it is not to be
  int64_t rotation_days = 0;  // 0: no rotation by itself
  Micros next_rotation = 0;
  int64_t on_demand = 0;            // rotations that were asked for
  std::vector<Material> materials;  // oldest first; the current one is the last that is not pending
  const Material* current() const;  // nullptr: there is none yet
  State state() const;
  bool external() const { return origin == "EXTERNAL"; }
  bool symmetric() const { return spec == "SYMMETRIC_DEFAULT"; }
};
std::string arn_of(const std::string& region, const Key& key);

Status prepare(store::Db& db);  // makes the tables

Status put(store::Txn& txn, const Key& key);
// As it is at `now`: nothing, if its deletion is due; without material that has expired.
Result<std::optional<Key>> find(store::Txn& txn, std::string_view account, std::string_view id, Micros now);
// As it lies on the disk.
Result<std::optional<Key>> stored(store::Txn& txn, std::string_view account, std::string_view id);
// By id, after `after` (exclusive).
Result<std::vector<std::string>> list(store::Txn& txn, std::string_view account, std::string_view after, int64_t limit,
                                      Micros now);
Status erase(store::Txn& txn, const Key& key);  // with its aliases and grants
// Of all accounts, those that the time has something to do with until `now`; as they lie on the disk.
Result<std::vector<Key>> due(store::Txn& txn, Micros now, int64_t limit);
// Takes away what has expired until `now`; false: nothing has.
bool expire(Key& key, Micros now);

// ---- aliases

struct Alias {
  std::string account, name, key;  // name: "alias/..."
  Micros created = 0, updated = 0;
};
Status put(store::Txn& txn, const Alias& alias);
Result<std::optional<Alias>> find_alias(store::Txn& txn, std::string_view account, std::string_view name);
// key "": of all keys.
Result<std::vector<Alias>> list_aliases(store::Txn& txn, std::string_view account, std::string_view key,
                                        std::string_view after, int64_t limit);
Status erase(store::Txn& txn, const Alias& alias);

// ---- grants

using EncryptionContext = std::map<std::string, std::string>;

struct Grant {
  std::string account, key, id;   // id: 64 hex digits; account: the key's
  std::string name;               // "": none
  std::string grantee, retiring;  // ARNs; retiring "": nobody's
  std::string issuer;             // account
  std::vector<std::string> operations;
  std::optional<EncryptionContext> subset, equals;
  Micros created = 0;
};
Status put(store::Txn& txn, const Grant& grant);
Result<std::optional<Grant>> find_grant(store::Txn& txn, std::string_view account, std::string_view key,
                                        std::string_view id);
// By id, after `after` (exclusive). grantee "": all.
Result<std::vector<Grant>> list_grants(store::Txn& txn, std::string_view account, std::string_view key,
                                       std::string_view grantee, std::string_view after, int64_t limit);
// By key and id ("KEY/ID"), of all the account's keys.
Result<std::vector<Grant>> list_retirable(store::Txn& txn, std::string_view account, std::string_view retiring,
                                          std::string_view after, int64_t limit);
Result<int64_t> count_grants(store::Txn& txn, std::string_view account, std::string_view key);
Status erase(store::Txn& txn, const Grant& grant);

// What the grants of a key allow the caller, as statements of the key's own policy: so a Deny, a boundary and a
// session limit them as they limit what that policy allows.
Result<std::vector<Statement>> granted(store::Txn& txn, const Key& key, const Identity& who);

// ---- what policies are told of a key, and of an encryption context

Context facts_of(const Key& key, const std::vector<Alias>& aliases);
void tell(Context& context, const EncryptionContext& pairs);

}  // namespace hf::security::kms
