#include "security/kms.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "security/json.h"

namespace hf::security::kms {
namespace json = boost::json;
namespace {

constexpr const char* kSchema[] = {
    // due: when the time next has something to do with the key; NULL: never
    "CREATE TABLE IF NOT EXISTS kms_keys(account TEXT NOT NULL, id TEXT NOT NULL, gone INTEGER NOT NULL, due INTEGER, "
    "body TEXT NOT NULL, PRIMARY KEY(account, id)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS kms_keys_due ON kms_keys(due) WHERE due IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS kms_aliases(account TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, "
    "created INTEGER NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY(account, name)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS kms_aliases_of ON kms_aliases(account, key, name)",
    "CREATE TABLE IF NOT EXISTS kms_grants(account TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, "
    "grantee TEXT NOT NULL, retiring TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(account, key, id)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS kms_grants_to ON kms_grants(account, key, grantee, id)",
    "CREATE INDEX IF NOT EXISTS kms_grants_back ON kms_grants(account, retiring, key, id)",
};

json::object pairs_json(const EncryptionContext& pairs) {
  json::object out;
  for (const auto& [name, value] : pairs) out[name] = value;
  return out;
}
EncryptionContext pairs_of(const json::value& v) {
  EncryptionContext out;
  for (const auto& [name, value] : v.as_object()) out[std::string(name)] = value.as_string().c_str();
  return out;
}
std::string text(const json::object& o, const char* name) { return std::string(o.at(name).as_string()); }

std::string body_of(const Key& k) {
  json::array materials, tags;
  for (const Material& m : k.materials)
    materials.push_back(json::object{{"id", m.id},
                                     {"sealed", m.sealed},
                                     {"created", m.created},
                                     {"valid_to", m.valid_to},
                                     {"how", m.how},
                                     {"description", m.description},
                                     {"pending", m.pending}});
  for (const auto& [name, value] : k.tags) tags.push_back(json::array{name, value});
  return json::serialize(json::object{{"spec", k.spec},
                                      {"usage", k.usage},
                                      {"origin", k.origin},
                                      {"description", k.description},
                                      {"policy", k.policy},
                                      {"tags", std::move(tags)},
                                      {"created", k.created},
                                      {"enabled", k.enabled},
                                      {"deletion", k.deletion},
                                      {"rotation_days", k.rotation_days},
                                      {"next_rotation", k.next_rotation},
                                      {"on_demand", k.on_demand},
                                      {"materials", std::move(materials)}});
}

Result<Key> key_of(std::string account, std::string id, const std::string& body) {
  Key k;
  k.account = std::move(account);
  k.id = std::move(id);
  try {
    const json::value whole = json::parse(body);
    const json::object& v = whole.as_object();
    k.spec = text(v, "spec");
    k.usage = text(v, "usage");
    k.origin = text(v, "origin");
    k.description = text(v, "description");
    k.policy = text(v, "policy");
    for (const json::value& tag : v.at("tags").as_array())
      k.tags.emplace_back(tag.as_array().at(0).as_string().c_str(), tag.as_array().at(1).as_string().c_str());
    k.created = v.at("created").as_int64();
    k.enabled = v.at("enabled").as_bool();
    k.deletion = v.at("deletion").as_int64();
    k.rotation_days = v.at("rotation_days").as_int64();
    k.next_rotation = v.at("next_rotation").as_int64();
    k.on_demand = v.at("on_demand").as_int64();
    for (const json::value& each : v.at("materials").as_array()) {
      const json::object& m = each.as_object();
      k.materials.push_back({text(m, "id"), text(m, "sealed"), m.at("created").as_int64(), m.at("valid_to").as_int64(),
                             text(m, "how"), text(m, "description"), m.at("pending").as_bool()});
    }
  } catch (const std::exception& e) {
    return fail(Code::corrupt, "the key " + k.id + ": " + e.what());
  }
  return k;
}

Result<Grant> grant_of(const store::Statement& q) {
  Grant g;
  g.account = q.text(0);
  g.key = q.text(1);
  g.id = q.text(2);
  g.grantee = q.text(3);
  g.retiring = q.text(4);
  try {
    const json::value whole = json::parse(q.text(5));
    const json::object& v = whole.as_object();
    g.name = text(v, "name");
    g.issuer = text(v, "issuer");
    g.created = v.at("created").as_int64();
    for (const json::value& o : v.at("operations").as_array()) g.operations.emplace_back(o.as_string().c_str());
    if (const json::value* pairs = v.if_contains("subset")) g.subset = pairs_of(*pairs);
    if (const json::value* pairs = v.if_contains("equals")) g.equals = pairs_of(*pairs);
  } catch (const std::exception& e) {
    return fail(Code::corrupt, "the grant " + g.id + ": " + e.what());
  }
  return g;
}

std::optional<Micros> due_of(const Key& k) {
  if (k.deletion) return k.deletion;
  std::optional<Micros> first;
  const auto at = [&first](Micros t) {
    if (t && (!first || t < *first)) first = t;
  };
  if (k.rotation_days && k.enabled) at(k.next_rotation);
  for (const Material& m : k.materials)
    if (!m.sealed.empty()) at(m.valid_to);
  return first;
}

Alias alias_of(const store::Statement& q) { return {q.text(0), q.text(1), q.text(2), q.integer(3), q.integer(4)}; }

}  // namespace

const char* name_of(State state) {
  switch (state) {
    case State::enabled:
      return "Enabled";
    case State::disabled:
      return "Disabled";
    case State::pending_deletion:
      return "PendingDeletion";
    case State::pending_import:
      return "PendingImport";
  }
  return "";
}

const Material* Key::current() const {
  for (auto it = materials.rbegin(); it != materials.rend(); ++it)
    if (!it->pending) return &*it;
  return nullptr;
}

State Key::state() const {
  if (deletion) return State::pending_deletion;
  // Each ciphertext wants the material that it was made with: a key that lacks one is not whole.
  const bool lacks =
      std::any_of(materials.begin(), materials.end(), [](const Material& m) { return !m.pending && m.sealed.empty(); });
  if (!current() || lacks) return State::pending_import;
  return enabled ? State::enabled : State::disabled;
}

std::string arn_of(const std::string& region, const Key& key) {
  return "arn:aws:kms:" + region + ":" + key.account + ":key/" + key.id;
}

Status prepare(store::Db& db) {
  return db.write([](store::Txn& txn) -> Status {
    for (const char* sql : kSchema) TRY(txn.run(sql));
    return {};
  });
}

Status put(store::Txn& txn, const Key& key) {
  auto q = TRY(txn.query("INSERT OR REPLACE INTO kms_keys(account, id, gone, due, body) VALUES(?,?,?,?,?)"));
  const std::string body = body_of(key);
  q.bind(std::string_view(key.account)).bind(std::string_view(key.id)).bind(key.deletion);
  if (const auto at = due_of(key)) {
    q.bind(*at);
  } else {
    q.null();
  }
  return q.bind(std::string_view(body)).run();
}

bool expire(Key& key, Micros now) {
  bool some = false;
  for (Material& m : key.materials) {
    if (m.valid_to == 0 || m.valid_to > now || m.sealed.empty()) continue;
    m.sealed.clear();
    some = true;
  }
  std::erase_if(key.materials, [](const Material& m) { return m.pending && m.sealed.empty(); });
  return some;
}

Result<std::optional<Key>> stored(store::Txn& txn, std::string_view account, std::string_view id) {
  auto q = TRY(txn.query("SELECT body FROM kms_keys WHERE account = ? AND id = ?"));
  q.bind(account).bind(id);
  if (!TRY(q.step())) return std::optional<Key>();
  return std::optional<Key>(TRY(key_of(std::string(account), std::string(id), q.text(0))));
}

Result<std::optional<Key>> find(store::Txn& txn, std::string_view account, std::string_view id, Micros now) {
  std::optional<Key> key = TRY(stored(txn, account, id));
  if (key && key->deletion && key->deletion <= now) return std::optional<Key>();
  if (key) expire(*key, now);
  return key;
}

Result<std::vector<std::string>> list(store::Txn& txn, std::string_view account, std::string_view after, int64_t limit,
                                      Micros now) {
  auto q = TRY(
      txn.query("SELECT id FROM kms_keys WHERE account = ? AND id > ? AND (gone = 0 OR gone > ?) ORDER BY id LIMIT ?"));
  q.bind(account).bind(after).bind(now).bind(limit);
  std::vector<std::string> out;
  while (TRY(q.step())) out.push_back(q.text(0));
  return out;
}

Status erase(store::Txn& txn, const Key& key) {
  for (const char* sql :
       {"DELETE FROM kms_grants WHERE account = ? AND key = ?", "DELETE FROM kms_aliases WHERE account = ? AND key = ?",
        "DELETE FROM kms_keys WHERE account = ? AND id = ?"}) {
    auto q = TRY(txn.query(sql));
    TRY(q.bind(std::string_view(key.account)).bind(std::string_view(key.id)).run());
  }
  return {};
}

Result<std::vector<Key>> due(store::Txn& txn, Micros now, int64_t limit) {
  auto q = TRY(txn.query("SELECT account, id, body FROM kms_keys WHERE due <= ? ORDER BY due LIMIT ?"));
  q.bind(now).bind(limit);
  std::vector<Key> out;
  while (TRY(q.step())) out.push_back(TRY(key_of(q.text(0), q.text(1), q.text(2))));
  return out;
}

// ---- aliases

Status put(store::Txn& txn, const Alias& a) {
  auto q = TRY(txn.query("INSERT OR REPLACE INTO kms_aliases(account, name, key, created, updated) VALUES(?,?,?,?,?)"));
  q.bind(std::string_view(a.account)).bind(std::string_view(a.name)).bind(std::string_view(a.key));
  return q.bind(a.created).bind(a.updated).run();
}

Result<std::optional<Alias>> find_alias(store::Txn& txn, std::string_view account, std::string_view name) {
  auto q =
      TRY(txn.query("SELECT account, name, key, created, updated FROM kms_aliases WHERE account = ? AND name = ?"));
  q.bind(account).bind(name);
  if (!TRY(q.step())) return std::optional<Alias>();
  return std::optional<Alias>(alias_of(q));
}

Result<std::vector<Alias>> list_aliases(store::Txn& txn, std::string_view account, std::string_view key,
                                        std::string_view after, int64_t limit) {
  auto q = TRY(txn.query(std::string("SELECT account, name, key, created, updated FROM kms_aliases WHERE account = ? "
                                     "AND name > ? ") +
                         (key.empty() ? "" : "AND key = ? ") + "ORDER BY name LIMIT ?"));
  q.bind(account).bind(after);
  if (!key.empty()) q.bind(key);
  q.bind(limit);
  std::vector<Alias> out;
  while (TRY(q.step())) out.push_back(alias_of(q));
  return out;
}

Status erase(store::Txn& txn, const Alias& a) {
  auto q = TRY(txn.query("DELETE FROM kms_aliases WHERE account = ? AND name = ?"));
  return q.bind(std::string_view(a.account)).bind(std::string_view(a.name)).run();
}

// ---- grants

namespace {

constexpr const char* kGrant = "SELECT account, key, id, grantee, retiring, body FROM kms_grants ";

Result<std::vector<Grant>> all_of(store::Statement& q) {
  std::vector<Grant> out;
  while (TRY(q.step())) out.push_back(TRY(grant_of(q)));
  return out;
}

Condition condition(const char* op, std::string key, std::vector<std::string> values) {
  auto parsed = parse_operator(op);
  check(parsed.ok(), "a grant's condition");
  Condition c = std::move(*parsed);
  c.name = key;
  c.key = std::move(key);
  c.values = std::move(values);
  return c;
}

// Names of context keys do not tell upper from lower case, an encryption context does: so each pair is compared whole.
constexpr const char* kPairs = "kms:encryptioncontextpairs";  // told to grants alone: no policy may ask for it
std::string pair_text(const std::string& name, const std::string& value) {
  return json::serialize(json::array{name, value});
}

void require(std::vector<Condition>& out, const EncryptionContext& pairs, bool all) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : pairs) {
    texts.push_back(pair_text(name, value));
    out.push_back(condition("ForAnyValue:StringEquals", kPairs, {texts.back()}));
  }
  if (all && texts.empty()) out.push_back(condition("Null", kPairs, {"true"}));
  if (all && !texts.empty()) out.push_back(condition("ForAllValues:StringEquals", kPairs, texts));
}

// Who is told of the encryption context: the rest have none.
bool has_context(const std::string& operation) {
  return operation == "Encrypt" || operation == "Decrypt" || operation.starts_with("ReEncrypt") ||
         operation.starts_with("GenerateDataKey") || operation == "CreateGrant";
}

Principals principals_of(const std::string& arn) {
  Principals p;
  if (arn.ends_with(":root")) {
    p.accounts = {std::string(arn.substr(13, 12))};
  } else {
    p.arns = {arn};
  }
  return p;
}

void add_statements(std::vector<Statement>& out, const Grant& g) {
  std::vector<Condition> pairs;
  if (g.subset) require(pairs, *g.subset, false);
  if (g.equals) require(pairs, *g.equals, true);
  for (const std::string& operation : g.operations) {
    Statement s;
    s.sid = "grant-" + g.id;
    s.allow = true;
    s.variables = false;  // "${" is plain text
    s.actions = {"kms:" + operation};
    s.resources = {"*"};
    s.principals = principals_of(g.grantee);
    if (has_context(operation)) s.conditions = pairs;
    if (operation == "CreateGrant") {  // it hands on at most what it has
      s.conditions.push_back(condition("ForAllValues:StringEquals", "kms:grantoperations", g.operations));
      if (g.equals)
        s.conditions.push_back(condition("StringEquals", "kms:grantconstrainttype", {"EncryptionContextEquals"}));
    }
    if (operation == "RetireGrant") s.conditions.push_back(condition("StringEquals", "kms:grantid", {g.id}));
    out.push_back(std::move(s));
  }
}

}  // namespace

Status put(store::Txn& txn, const Grant& g) {
  json::array operations;
  for (const auto& o : g.operations) operations.emplace_back(o);
  json::object body{
      {"name", g.name}, {"issuer", g.issuer}, {"created", g.created}, {"operations", std::move(operations)}};
  if (g.subset) body["subset"] = pairs_json(*g.subset);
  if (g.equals) body["equals"] = pairs_json(*g.equals);
  const std::string text_ = json::serialize(body);
  auto q = TRY(txn.query("INSERT INTO kms_grants(account, key, id, grantee, retiring, body) VALUES(?,?,?,?,?,?)"));
  q.bind(std::string_view(g.account)).bind(std::string_view(g.key)).bind(std::string_view(g.id));
  q.bind(std::string_view(g.grantee)).bind(std::string_view(g.retiring)).bind(std::string_view(text_));
  return q.run();
}

Result<std::optional<Grant>> find_grant(store::Txn& txn, std::string_view account, std::string_view key,
                                        std::string_view id) {
  auto q = TRY(txn.query(std::string(kGrant) + "WHERE account = ? AND key = ? AND id = ?"));
  q.bind(account).bind(key).bind(id);
  if (!TRY(q.step())) return std::optional<Grant>();
  return std::optional<Grant>(TRY(grant_of(q)));
}

Result<std::vector<Grant>> list_grants(store::Txn& txn, std::string_view account, std::string_view key,
                                       std::string_view grantee, std::string_view after, int64_t limit) {
  auto q = TRY(txn.query(std::string(kGrant) + "WHERE account = ? AND key = ? AND id > ? " +
                         (grantee.empty() ? "" : "AND grantee = ? ") + "ORDER BY id LIMIT ?"));
  q.bind(account).bind(key).bind(after);
  if (!grantee.empty()) q.bind(grantee);
  q.bind(limit);
  return all_of(q);
}

Result<std::vector<Grant>> list_retirable(store::Txn& txn, std::string_view account, std::string_view retiring,
                                          std::string_view after, int64_t limit) {
  auto q =
      TRY(txn.query(std::string(kGrant) + "WHERE account = ? AND retiring = ? AND (key > ? OR (key = ? AND id > ?)) "
                                          "ORDER BY key, id LIMIT ?"));
  const size_t slash = after.find('/');
  const std::string_view key = after.substr(0, slash);
  const std::string_view id = slash == after.npos ? std::string_view() : after.substr(slash + 1);
  q.bind(account).bind(retiring).bind(key).bind(key).bind(id).bind(limit);
  return all_of(q);
}

Result<int64_t> count_grants(store::Txn& txn, std::string_view account, std::string_view key) {
  auto q = TRY(txn.query("SELECT count(*) FROM kms_grants WHERE account = ? AND key = ?"));
  q.bind(account).bind(key);
  return TRY(q.step()) ? q.integer(0) : 0;
}

Status erase(store::Txn& txn, const Grant& g) {
  auto q = TRY(txn.query("DELETE FROM kms_grants WHERE account = ? AND key = ? AND id = ?"));
  return q.bind(std::string_view(g.account)).bind(std::string_view(g.key)).bind(std::string_view(g.id)).run();
}

Result<std::vector<Statement>> granted(store::Txn& txn, const Key& key, const Identity& who) {
  std::vector<Statement> out;
  for (const std::string& face : {who.arn, who.role_arn, "arn:aws:iam::" + who.account + ":root"}) {
    if (face.empty()) continue;
    const auto grants = TRY(list_grants(txn, key.account, key.id, face, "", INT64_MAX));
    for (const Grant& g : grants) add_statements(out, g);
    auto q = TRY(txn.query(std::string(kGrant) + "WHERE account = ? AND retiring = ? AND key = ?"));
    q.bind(std::string_view(key.account)).bind(std::string_view(face)).bind(std::string_view(key.id));
    const auto retirable = TRY(all_of(q));
    for (const Grant& g : retirable) {
      Grant only = g;
      only.grantee = g.retiring;
      only.operations = {"RetireGrant"};
      add_statements(out, only);
    }
  }
  return out;
}

// ---- what policies are told

Context facts_of(const Key& key, const std::vector<Alias>& aliases) {
  Context out;
  out["kms:keyspec"] = {key.spec};
  out["kms:keyusage"] = {key.usage};
  out["kms:keyorigin"] = {key.origin};
  out["kms:multiregion"] = {"false"};
  for (const Alias& a : aliases) out["kms:resourcealiases"].push_back(a.name);
  for (const auto& [name, value] : key.tags) out["aws:resourcetag/" + lower(name)] = {value};
  return out;
}

void tell(Context& context, const EncryptionContext& pairs) {
  for (const auto& [name, value] : pairs) {
    context["kms:encryptioncontext:" + lower(name)].push_back(value);
    context["kms:encryptioncontextkeys"].push_back(name);
    context[kPairs].push_back(pair_text(name, value));
  }
}

}  // namespace hf::security::kms
