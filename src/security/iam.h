// Users, groups, roles and managed policies: how they are kept, and what a user or role may do by them. All functions
// work in the caller's transaction, so that an entry of the ledger commits with the change. Entities hang together by
// their ids, which are never used twice: a name that is given again brings nothing of the old bearer back.
// Errors carry IAM's names: NoSuchEntity, EntityAlreadyExists, LimitExceeded, DeleteConflict, MalformedPolicyDocument.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/clock.h"
#include "security/policy.h"
#include "store/db.h"

namespace hf::security::iam {

enum class Kind { user = 0, group = 1, role = 2, policy = 3 };
const char* word(Kind kind);  // "user", ...; as in ARNs

using Tags = std::vector<std::pair<std::string, std::string>>;
struct Entity {
  Kind kind = Kind::user;
  std::string account, name;  // names differ by more than case within account and kind
  std::string id;             // AIDA..., AGPA..., AROA..., ANPA...; insert() makes it
  std::string path = "/";
  Micros created = 0, updated = 0;
  std::string boundary = {};                  // id of a managed policy, or ""
  std::string trust = {}, description = {};   // of roles; description of policies too
  int64_t max_session = 3600;                 // seconds; of roles
  int64_t default_version = 0, versions = 0;  // of policies: versions were made so far
  Tags tags = {};                             // sorted by key
};
std::string arn_of(const Entity& entity);
struct Document {
  std::string name, text;  // of a managed policy's version the name is "v3"
  Micros created = 0;
};

// "AIDA" and one of 32 characters for each byte.
std::string identifier(std::string_view prefix, std::string_view bytes);

Status make_tables(store::Txn& txn);
// Counts every change of an account's entities, documents, links and keys; what was read of them is true while it
// stays the same.
Result<int64_t> generation(store::Txn& txn, const std::string& account);
Status changed(store::Txn& txn, const std::string& account);

// ---- how much there may be
inline constexpr int64_t kMaxOf[] = {5000, 300, 1000, 1500};  // users, groups, roles, policies of an account
inline constexpr int64_t kMaxLinks = 10;
inline constexpr size_t kMaxInline[] = {2048, 5120, 10240,
                                        0};  // characters without blanks, all of an entity's together
inline constexpr size_t kMaxManaged = 6144, kMaxVersions = 5;

// ---- entities
Result<Entity> insert(store::Txn& txn, os::Random& random, Entity entity);
Result<Entity> get(store::Txn& txn, Kind kind, const std::string& account, const std::string& name);
Result<std::optional<Entity>> by_id(store::Txn& txn, const std::string& id);
Result<Entity> policy_by_arn(store::Txn& txn, const std::string& arn);
// Nothing: the ARN is of no entity, now.
Result<std::optional<Entity>> by_arn(store::Txn& txn, std::string_view arn);
Result<std::vector<Entity>> list(store::Txn& txn, Kind kind, const std::string& account,
                                 const std::string& path_prefix);
Status update(store::Txn& txn, const Entity& entity);  // all but id, kind and account; by id
// DeleteConflict: something still hangs on it.
Status erase(store::Txn& txn, const Entity& entity);

// ---- documents: inline policies of users, groups and roles, versions of managed policies.
Status put_document(store::Txn& txn, const Entity& owner, const Document& document);
Result<Document> get_document(store::Txn& txn, const Entity& owner, const std::string& name);
Result<std::vector<Document>> documents(store::Txn& txn, const Entity& owner);
Status erase_document(store::Txn& txn, const Entity& owner, const std::string& name);

// ---- links: an attached policy (of a user, group or role), a group's member (from the user to the group). At most 10
// of a kind.
Status link(store::Txn& txn, const Entity& from, const Entity& to);                 // again: nothing changes
Status unlink(store::Txn& txn, const Entity& from, const Entity& to);               // NoSuchEntity: there is none
Result<std::vector<Entity>> linked(store::Txn& txn, const Entity& from, Kind to);   // by name
Result<std::vector<Entity>> linking(store::Txn& txn, const Entity& to, Kind from);  // by name
Result<std::vector<Entity>> bounded_by(store::Txn& txn, const Entity& policy, Kind kind);

// ---- the account's alias: one at most, and no other account of the site has it
Result<std::string> alias_of(store::Txn& txn, const std::string& account);  // "": none
Result<std::optional<std::string>> account_of_alias(store::Txn& txn, const std::string& alias);
// In place of the one before. EntityAlreadyExists: it is an account's already.
Status set_alias(store::Txn& txn, const std::string& account, const std::string& alias, Micros now);
Status erase_alias(store::Txn& txn, const std::string& account, const std::string& alias);  // NoSuchEntity

// ---- keys of users (security/keys.h makes them)
struct UserKey {
  std::string id, user_id, service;  // service: of a service-specific credential, else ""
  Micros used = 0;                   // 0: never, as far as it is written down
  std::string used_for;              // service of that request
};
Status put_key(store::Txn& txn, const UserKey& key);
Result<std::optional<UserKey>> key_by_id(store::Txn& txn, const std::string& id);
Result<std::vector<UserKey>> keys_of(store::Txn& txn, const std::string& user_id);

// ---- what follows from it
// A document that an identity policy or a boundary may be: at most `limit` characters that are no blanks.
// MalformedPolicyDocument, LimitExceeded.
Status check_document(const std::string& text, size_t limit);
// Account, ARN, id, policies (inline, attached, of its groups), boundary and tags (aws:PrincipalTag/KEY) of a user or
// role.
Result<Identity> identity_of(store::Txn& txn, const Entity& entity);
// The policies as they are named in the ledger, with where they come from, for simulation.
struct Source {
  Policy policy;     // its id: "user-policy/NAME", "group-policy/GROUP/NAME", or a managed policy's ARN
  std::string kind;  // "user", "group", "role" (inline) or "user-managed"
  std::string text;
};
Result<std::vector<Source>> sources_of(store::Txn& txn, const Entity& entity);
Result<std::optional<Source>> boundary_of(store::Txn& txn, const Entity& entity);
Result<Policy> policy_of(store::Txn& txn, const Entity& managed);  // the default version

}  // namespace hf::security::iam
