#include "security/iam.h"

#include <algorithm>
#include <boost/json.hpp>

#include "security/json.h"
#include "security/policy_context.h"

namespace hf::security::iam {
namespace json = boost::json;
namespace {

constexpr const char* kSchema[] = {
    "CREATE TABLE IF NOT EXISTS iam_entities (id TEXT PRIMARY KEY, kind INTEGER NOT NULL, account TEXT NOT NULL, "
    "name TEXT NOT NULL COLLATE NOCASE, path TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, "
    "boundary TEXT NOT NULL, trust TEXT NOT NULL, description TEXT NOT NULL, max_session INTEGER NOT NULL, "
    "default_version INTEGER NOT NULL, versions INTEGER NOT NULL, tags TEXT NOT NULL, "
    "UNIQUE(account, kind, name)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS iam_entities_by_boundary ON iam_entities(boundary)",
    "CREATE TABLE IF NOT EXISTS iam_documents (owner TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, "
    "created INTEGER NOT NULL, PRIMARY KEY(owner, name)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS iam_links (origin TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY(origin, target)) "
    "WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS iam_links_by_target ON iam_links(target, origin)",
    "CREATE TABLE IF NOT EXISTS iam_keys (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, service TEXT NOT NULL, "
    "used INTEGER NOT NULL, used_for TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS iam_keys_by_user ON iam_keys(user_id, id)",
    "CREATE TABLE IF NOT EXISTS iam_passwords (user_id TEXT PRIMARY KEY, hash TEXT NOT NULL, must_change INTEGER NOT "
    "NULL, created INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS iam_devices (serial TEXT PRIMARY KEY, account TEXT NOT NULL, user_id TEXT NOT NULL, "
    "created INTEGER NOT NULL, enabled INTEGER NOT NULL, seed TEXT NOT NULL, last_step INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS iam_devices_by_user ON iam_devices(user_id)",
    "CREATE TABLE IF NOT EXISTS iam_providers (account TEXT NOT NULL, url TEXT NOT NULL, client_ids TEXT NOT NULL, "
    "thumbprints TEXT NOT NULL, tags TEXT NOT NULL, created INTEGER NOT NULL, keys TEXT NOT NULL, fetched INTEGER NOT "
    "NULL, asked INTEGER NOT NULL, door TEXT NOT NULL, keys_url TEXT NOT NULL, ca TEXT NOT NULL, PRIMARY KEY(account, "
    "url)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS iam_generations (account TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
};
constexpr const char* kColumns =
    "e.id, e.kind, e.account, e.name, e.path, e.created, e.updated, e.boundary, e.trust, e.description, e.max_session, "
    "e.default_version, e.versions, e.tags";
constexpr const char* kPrefixes[] = {"AIDA", "AGPA", "AROA", "ANPA"};

Error none(std::string message) { return fail(Code::not_found, "NoSuchEntity", std::move(message)); }
Error limit(std::string message) { return fail(Code::conflict, "LimitExceeded", std::move(message)); }

size_t weight(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return c != ' ' && c != '\t' && c != '\n' && c != '\r'; }));
}

std::string tags_text(const Tags& tags) {
  json::object o;
  for (const auto& [k, v] : tags) o[k] = v;
  return canonical_json(o);
}

Result<Entity> entity_of(const store::Statement& q) {
  Entity e;
  e.id = q.text(0);
  e.kind = static_cast<Kind>(q.integer(1));
  e.account = q.text(2);
  e.name = q.text(3);
  e.path = q.text(4);
  e.created = q.integer(5);
  e.updated = q.integer(6);
  e.boundary = q.text(7);
  e.trust = q.text(8);
  e.description = q.text(9);
  e.max_session = q.integer(10);
  e.default_version = q.integer(11);
  e.versions = q.integer(12);
  const json::value tags = TRY(parse_json(q.text(13), 64 << 10, "tags of " + e.id));
  if (!tags.is_object()) return fail(Code::corrupt, "the tags of " + e.id + ": expected an object");
  for (const auto& [k, v] : tags.get_object()) e.tags.emplace_back(k, v.is_string() ? v.get_string().c_str() : "");
  return e;
}

Result<std::vector<Entity>> all_of(store::Statement& q) {
  std::vector<Entity> out;
  while (TRY(q.step())) out.push_back(TRY(entity_of(q)));
  return out;
}

Result<int64_t> count(store::Txn& txn, std::string_view sql, std::string_view a, std::string_view b = {}) {
  auto q = TRY(txn.query(sql));
  q.bind(a);
  if (!b.empty()) q.bind(b);
  if (!TRY(q.step())) return fail(Code::internal, "a count gave no row");
  return q.integer(0);
}

void bind_values(store::Statement& q, const Entity& e) {
  q.bind(std::string_view(e.name)).bind(std::string_view(e.path)).bind(e.created).bind(e.updated);
  q.bind(std::string_view(e.boundary)).bind(std::string_view(e.trust)).bind(std::string_view(e.description));
  q.bind(e.max_session).bind(e.default_version).bind(e.versions);
  const std::string tags = tags_text(e.tags);
  q.bind(std::string_view(tags));
}

// Another entity, or a key of the site's own, has the name.
Status check_free(store::Txn& txn, const Entity& e) {
  {
    auto q = TRY(txn.query("SELECT id FROM iam_entities WHERE account = ? AND kind = ? AND name = ?"));
    q.bind(std::string_view(e.account)).bind(static_cast<int64_t>(e.kind)).bind(std::string_view(e.name));
    if (TRY(q.step()) && q.text(0) != e.id)
      return fail(Code::conflict, "EntityAlreadyExists",
                  std::string("there is a ") + word(e.kind) + " with the name " + e.name + " already");
  }
  if (e.kind != Kind::user) return {};
  if (TRY(count(txn,
                "SELECT COUNT(*) FROM security_keys k LEFT JOIN iam_keys i ON i.id = k.id "
                "WHERE k.account = ? AND k.name = ? COLLATE NOCASE AND i.id IS NULL",
                e.account, e.name)) > 0)
    return fail(Code::conflict, "EntityAlreadyExists", "a key of the site's own has the name " + e.name + " already");
  return {};
}

}  // namespace

const char* word(Kind kind) {
  static constexpr const char* kWords[] = {"user", "group", "role", "policy"};
  return kWords[static_cast<size_t>(kind)];
}

std::string arn_of(const Entity& e) { return "arn:aws:iam::" + e.account + ":" + word(e.kind) + e.path + e.name; }

std::string identifier(std::string_view prefix, std::string_view bytes) {
  std::string out(prefix);
  for (char b : bytes) out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[static_cast<unsigned char>(b) & 31];
  return out;
}

Status make_tables(store::Txn& txn) {
  for (const char* sql : kSchema) TRY(txn.run(sql));
  return {};
}

Result<int64_t> generation(store::Txn& txn, const std::string& account) {
  auto q = TRY(txn.query("SELECT n FROM iam_generations WHERE account = ?"));
  q.bind(std::string_view(account));
  return TRY(q.step()) ? q.integer(0) : int64_t{0};
}

Status changed(store::Txn& txn, const std::string& account) {
  auto q = TRY(
      txn.query("INSERT INTO iam_generations (account, n) VALUES (?, 1) ON CONFLICT(account) DO UPDATE SET n = n + 1"));
  q.bind(std::string_view(account));
  return q.run();
}

// ---- entities

Result<Entity> insert(store::Txn& txn, os::Random& random, Entity e) {
  const auto kind = static_cast<size_t>(e.kind);
  e.id = identifier(kPrefixes[kind], random.bytes(17));
  TRY(check_free(txn, e));
  {
    auto q = TRY(txn.query("SELECT COUNT(*) FROM iam_entities WHERE account = ? AND kind = ?"));
    q.bind(std::string_view(e.account)).bind(static_cast<int64_t>(e.kind));
    if (TRY(q.step()) && q.integer(0) >= kMaxOf[kind])
      return limit("expected at most " + std::to_string(kMaxOf[kind]) + " of kind " + word(e.kind) + " in an account");
  }
  auto q =
      TRY(txn.query("INSERT INTO iam_entities (id, kind, account, name, path, created, updated, boundary, trust, "
                    "description, max_session, default_version, versions, tags) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  q.bind(std::string_view(e.id)).bind(static_cast<int64_t>(e.kind)).bind(std::string_view(e.account));
  bind_values(q, e);
  TRY(q.run());
  TRY(changed(txn, e.account));
  return e;
}

Result<Entity> get(store::Txn& txn, Kind kind, const std::string& account, const std::string& name) {
  auto q =
      TRY(txn.query(std::string("SELECT ") + kColumns +
                    " FROM iam_entities e WHERE account = ? AND kind = ? AND name = ? AND name = ? COLLATE BINARY"));
  q.bind(std::string_view(account)).bind(static_cast<int64_t>(kind));
  q.bind(std::string_view(name)).bind(std::string_view(name));
  if (!TRY(q.step())) return none(std::string("there is no ") + word(kind) + " with the name " + name);
  return entity_of(q);
}

Result<std::optional<Entity>> by_id(store::Txn& txn, const std::string& id) {
  auto q = TRY(txn.query(std::string("SELECT ") + kColumns + " FROM iam_entities e WHERE id = ?"));
  q.bind(std::string_view(id));
  std::optional<Entity> out;
  if (TRY(q.step())) out = TRY(entity_of(q));
  return out;
}

Result<Entity> policy_by_arn(store::Txn& txn, const std::string& arn) {
  const auto parts = split(arn, ':');
  const size_t slash = arn.rfind('/');
  if (parts.size() != 6 || slash == arn.npos || !parts[5].starts_with("policy/"))
    return fail(Code::invalid, "InvalidInput",
                "PolicyArn: expected arn:aws:iam::ACCOUNT:policy/NAME, found " + arn.substr(0, 128));
  auto found = get(txn, Kind::policy, std::string(parts[4]), arn.substr(slash + 1));
  if (!found.ok() && found.error().code != Code::not_found) return found;
  if (!found.ok() || arn_of(*found) != arn) return none("there is no policy " + arn);
  return found;
}

Result<std::optional<Entity>> by_arn(store::Txn& txn, std::string_view arn) {
  std::optional<Entity> out;
  const auto parts = split(arn, ':');
  if (parts.size() != 6) return out;
  const std::string account(parts[4]), name(arn.substr(arn.rfind('/') + 1));
  for (Kind kind : {Kind::user, Kind::group, Kind::role, Kind::policy}) {
    if (!parts[5].starts_with(std::string(word(kind)) + "/")) continue;
    auto found = get(txn, kind, account, name);
    if (!found.ok() && found.error().code != Code::not_found) return std::move(found).error();
    if (found.ok() && arn_of(*found) == arn) out = std::move(*found);
  }
  return out;
}

Result<std::vector<Entity>> list(store::Txn& txn, Kind kind, const std::string& account,
                                 const std::string& path_prefix) {
  auto q =
      TRY(txn.query(std::string("SELECT ") + kColumns +
                    " FROM iam_entities e WHERE account = ? AND kind = ? AND substr(path, 1, ?) = ? ORDER BY name"));
  q.bind(std::string_view(account)).bind(static_cast<int64_t>(kind));
  q.bind(static_cast<int64_t>(path_prefix.size())).bind(std::string_view(path_prefix));
  return all_of(q);
}

Status update(store::Txn& txn, const Entity& e) {
  TRY(check_free(txn, e));
  auto q =
      TRY(txn.query("UPDATE iam_entities SET name = ?, path = ?, created = ?, updated = ?, boundary = ?, trust = ?, "
                    "description = ?, max_session = ?, default_version = ?, versions = ?, tags = ? WHERE id = ?"));
  bind_values(q, e);
  q.bind(std::string_view(e.id));
  TRY(q.run());
  if (txn.changes() != 1) return none(std::string("there is no ") + word(e.kind) + " " + e.id);
  if (e.kind == Kind::user) {
    auto keys =
        TRY(txn.query("UPDATE security_keys SET name = ? WHERE id IN (SELECT id FROM iam_keys WHERE user_id = ?)"));
    keys.bind(std::string_view(e.name)).bind(std::string_view(e.id));
    TRY(keys.run());
  }
  return changed(txn, e.account);
}

Status erase(store::Txn& txn, const Entity& e) {
  auto conflict = [&](const std::string& what) {
    return fail(Code::conflict, "DeleteConflict",
                std::string("the ") + word(e.kind) + " " + e.name + " still has " + what);
  };
  if (TRY(count(txn, "SELECT COUNT(*) FROM iam_links WHERE origin = ?", e.id)) > 0)
    return conflict("policies that are attached to it, or groups");
  if (TRY(count(txn, "SELECT COUNT(*) FROM iam_links WHERE target = ?", e.id)) > 0)
    return conflict(e.kind == Kind::group ? "members" : "entities that it is attached to");
  if (TRY(count(txn, "SELECT COUNT(*) FROM iam_entities WHERE boundary = ?", e.id)) > 0)
    return conflict("entities whose boundary it is");
  if (TRY(count(txn, "SELECT COUNT(*) FROM iam_keys WHERE user_id = ?", e.id)) > 0)
    return conflict("access keys or service-specific credentials");
  if (TRY(count(txn, "SELECT COUNT(*) FROM iam_passwords WHERE user_id = ?", e.id)) > 0)
    return conflict("a login profile");
  if (TRY(count(txn, "SELECT COUNT(*) FROM iam_devices WHERE user_id = ?", e.id)) > 0) return conflict("MFA devices");
  const int64_t own = TRY(count(txn, "SELECT COUNT(*) FROM iam_documents WHERE owner = ?", e.id));
  if (own > (e.kind == Kind::policy ? 1 : 0))
    return conflict(e.kind == Kind::policy ? "versions that are not its default" : "inline policies");
  for (const char* sql : {"DELETE FROM iam_documents WHERE owner = ?", "DELETE FROM iam_entities WHERE id = ?"}) {
    auto q = TRY(txn.query(sql));
    q.bind(std::string_view(e.id));
    TRY(q.run());
  }
  return changed(txn, e.account);
}

// ---- documents

Status put_document(store::Txn& txn, const Entity& owner, const Document& d) {
  const bool managed = owner.kind == Kind::policy;
  const size_t most = managed ? kMaxManaged : kMaxInline[static_cast<size_t>(owner.kind)];
  TRY(check_document(d.text, most));
  size_t others = 0, number = 0;
  for (const Document& other : TRY(documents(txn, owner))) {
    if (other.name == d.name) continue;
    others += weight(other.text);
    ++number;
  }
  if (managed && number >= kMaxVersions)
    return limit("expected at most 5 versions of a policy; delete one that is not the default first");
  if (!managed && others + weight(d.text) > most)
    return limit(std::string("expected inline policies of a ") + word(owner.kind) + " of at most " +
                 std::to_string(most) + " characters together, found " + std::to_string(others + weight(d.text)));
  auto q =
      TRY(txn.query("INSERT INTO iam_documents (owner, name, document, created) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT(owner, name) DO UPDATE SET document = excluded.document, created = excluded.created"));
  q.bind(std::string_view(owner.id)).bind(std::string_view(d.name)).bind(std::string_view(d.text)).bind(d.created);
  TRY(q.run());
  return changed(txn, owner.account);
}

Result<Document> get_document(store::Txn& txn, const Entity& owner, const std::string& name) {
  auto q = TRY(txn.query("SELECT document, created FROM iam_documents WHERE owner = ? AND name = ?"));
  q.bind(std::string_view(owner.id)).bind(std::string_view(name));
  if (!TRY(q.step()))
    return none(std::string("the ") + word(owner.kind) + " " + owner.name + " has no " +
                (owner.kind == Kind::policy ? "version " : "inline policy ") + name);
  return Document{name, q.text(0), q.integer(1)};
}

Result<std::vector<Document>> documents(store::Txn& txn, const Entity& owner) {
  std::vector<Document> out;
  auto q = TRY(txn.query("SELECT name, document, created FROM iam_documents WHERE owner = ? ORDER BY name"));
  q.bind(std::string_view(owner.id));
  while (TRY(q.step())) out.push_back({q.text(0), q.text(1), q.integer(2)});
  return out;
}

Status erase_document(store::Txn& txn, const Entity& owner, const std::string& name) {
  TRY(get_document(txn, owner, name));
  auto q = TRY(txn.query("DELETE FROM iam_documents WHERE owner = ? AND name = ?"));
  q.bind(std::string_view(owner.id)).bind(std::string_view(name));
  TRY(q.run());
  return changed(txn, owner.account);
}

// ---- links

Status link(store::Txn& txn, const Entity& from, const Entity& to) {
  const auto already = TRY(linked(txn, from, to.kind));
  if (std::any_of(already.begin(), already.end(), [&](const Entity& e) { return e.id == to.id; })) return {};
  if (static_cast<int64_t>(already.size()) >= kMaxLinks)
    return limit(to.kind == Kind::policy ? "expected at most 10 attached policies"
                                         : "expected at most 10 groups a user");
  auto q = TRY(txn.query("INSERT INTO iam_links (origin, target) VALUES (?, ?)"));
  q.bind(std::string_view(from.id)).bind(std::string_view(to.id));
  TRY(q.run());
  return changed(txn, from.account);
}

Status unlink(store::Txn& txn, const Entity& from, const Entity& to) {
  auto q = TRY(txn.query("DELETE FROM iam_links WHERE origin = ? AND target = ?"));
  q.bind(std::string_view(from.id)).bind(std::string_view(to.id));
  TRY(q.run());
  if (txn.changes() != 1)
    return none(std::string(word(to.kind)) + " " + to.name + " is not linked to the " + word(from.kind) + " " +
                from.name);
  return changed(txn, from.account);
}

Result<std::vector<Entity>> linked(store::Txn& txn, const Entity& from, Kind to) {
  auto q = TRY(txn.query(std::string("SELECT ") + kColumns +
                         " FROM iam_links l JOIN iam_entities e ON e.id = l.target WHERE l.origin = ? AND e.kind = ? "
                         "ORDER BY e.name"));
  q.bind(std::string_view(from.id)).bind(static_cast<int64_t>(to));
  return all_of(q);
}

Result<std::vector<Entity>> linking(store::Txn& txn, const Entity& to, Kind from) {
  auto q = TRY(txn.query(std::string("SELECT ") + kColumns +
                         " FROM iam_links l JOIN iam_entities e ON e.id = l.origin WHERE l.target = ? AND e.kind = ? "
                         "ORDER BY e.name"));
  q.bind(std::string_view(to.id)).bind(static_cast<int64_t>(from));
  return all_of(q);
}

Result<std::vector<Entity>> bounded_by(store::Txn& txn, const Entity& policy, Kind kind) {
  auto q = TRY(txn.query(std::string("SELECT ") + kColumns +
                         " FROM iam_entities e WHERE boundary = ? AND kind = ? ORDER BY name"));
  q.bind(std::string_view(policy.id)).bind(static_cast<int64_t>(kind));
  return all_of(q);
}

// ---- the alias

namespace {
constexpr const char* kAlias = "account-alias";

Result<std::vector<store::Record>> aliases(store::Txn& txn, const std::string& account) {
  std::vector<store::Record> all;
  for (;;) {
    const std::string after = all.empty() ? "" : all.back().name;
    auto some = TRY(store::list_records(txn, kAlias, account, after, 1000));
    if (some.empty()) return all;
    for (auto& r : some) all.push_back(std::move(r));
  }
}
}  // namespace

Result<std::string> alias_of(store::Txn& txn, const std::string& account) {
  const auto own = TRY(aliases(txn, account));
  return own.empty() ? std::string() : own[0].name;
}

Result<std::optional<std::string>> account_of_alias(store::Txn& txn, const std::string& alias) {
  std::optional<std::string> out;
  for (const auto& r : TRY(aliases(txn, "")))
    if (r.name == alias) out = r.account;
  return out;
}

Status set_alias(store::Txn& txn, const std::string& account, const std::string& alias, Micros now) {
  if (TRY(account_of_alias(txn, alias)))
    return fail(Code::conflict, "EntityAlreadyExists", "the alias " + alias + " is an account's already");
  const std::string before = TRY(alias_of(txn, account));
  if (!before.empty()) TRY(store::delete_record(txn, kAlias, account, before));
  store::Record row;
  row.kind = kAlias;
  row.account = account;
  row.name = alias;
  row.created = row.updated = now;
  row.body = "{}";
  return store::insert_record(txn, row);
}

Status erase_alias(store::Txn& txn, const std::string& account, const std::string& alias) {
  if (!TRY(store::delete_record(txn, kAlias, account, alias))) return none("the account has no alias " + alias);
  return {};
}

// ---- keys

Status put_key(store::Txn& txn, const UserKey& k) {
  auto q =
      TRY(txn.query("INSERT OR REPLACE INTO iam_keys (id, user_id, service, used, used_for) VALUES (?, ?, ?, ?, ?)"));
  q.bind(std::string_view(k.id)).bind(std::string_view(k.user_id)).bind(std::string_view(k.service));
  q.bind(k.used).bind(std::string_view(k.used_for));
  return q.run();
}

Result<std::optional<UserKey>> key_by_id(store::Txn& txn, const std::string& id) {
  auto q = TRY(txn.query("SELECT user_id, service, used, used_for FROM iam_keys WHERE id = ?"));
  q.bind(std::string_view(id));
  std::optional<UserKey> out;
  if (TRY(q.step())) out = UserKey{id, q.text(0), q.text(1), q.integer(2), q.text(3)};
  return out;
}

Result<std::vector<UserKey>> keys_of(store::Txn& txn, const std::string& user_id) {
  std::vector<UserKey> out;
  auto q = TRY(txn.query("SELECT id, service, used, used_for FROM iam_keys WHERE user_id = ? ORDER BY id"));
  q.bind(std::string_view(user_id));
  while (TRY(q.step())) out.push_back({q.text(0), user_id, q.text(1), q.integer(2), q.text(3)});
  return out;
}

// ---- what follows from it

Status check_document(const std::string& text, size_t most) {
  auto policy = parse_policy(text, "document");
  if (!policy.ok()) return fail(Code::invalid, "MalformedPolicyDocument", policy.error().message);
  TRY(check_known_keys(*policy));
  if (weight(text) > most)
    return limit("expected a policy of at most " + std::to_string(most) + " characters, found " +
                 std::to_string(weight(text)));
  return {};
}

namespace {
Result<Source> source_of(store::Txn& txn, const Entity& managed) {
  Document d = TRY(get_document(txn, managed, "v" + std::to_string(managed.default_version)));
  return Source{TRY(parse_policy(d.text, arn_of(managed))), "user-managed", std::move(d.text)};
}
}  // namespace

Result<Policy> policy_of(store::Txn& txn, const Entity& managed) { return TRY(source_of(txn, managed)).policy; }

Result<std::optional<Source>> boundary_of(store::Txn& txn, const Entity& entity) {
  std::optional<Source> out;
  if (entity.boundary.empty()) return out;
  auto boundary = TRY(by_id(txn, entity.boundary));
  if (!boundary) return fail(Code::corrupt, "the boundary of " + arn_of(entity) + " is gone");
  out = TRY(source_of(txn, *boundary));
  return out;
}

Result<std::vector<Source>> sources_of(store::Txn& txn, const Entity& entity) {
  std::vector<Source> out;
  auto add = [&](const Entity& e) -> Status {
    const std::string prefix = std::string(word(e.kind)) + "-policy/" + (e.kind == Kind::group ? e.name + "/" : "");
    for (const Document& d : TRY(documents(txn, e)))
      out.push_back({TRY(parse_policy(d.text, prefix + d.name)), word(e.kind), d.text});
    for (const Entity& managed : TRY(linked(txn, e, Kind::policy))) out.push_back(TRY(source_of(txn, managed)));
    return {};
  };
  TRY(add(entity));
  if (entity.kind == Kind::user)
    for (const Entity& group : TRY(linked(txn, entity, Kind::group))) TRY(add(group));
  return out;
}

Result<Identity> identity_of(store::Txn& txn, const Entity& entity) {
  Identity who;
  who.account = entity.account;
  who.arn = arn_of(entity);
  who.user_id = entity.id;
  for (const auto& [key, value] : entity.tags) who.facts["aws:principaltag/" + lower(key)] = {value};
  for (Source& s : TRY(sources_of(txn, entity))) who.policies.push_back(std::move(s.policy));
  if (auto boundary = TRY(boundary_of(txn, entity))) who.boundary = std::move(boundary->policy);
  return who;
}

}  // namespace hf::security::iam
