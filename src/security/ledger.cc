#include "security/ledger.h"

#include <algorithm>
#include <boost/json.hpp>
#include <mutex>

#include "base/bytes.h"
#include "security/json.h"
#include "security/merkle.h"

namespace hf::security {
namespace {

constexpr size_t kMaxField = 4096, kMaxDetail = 64 << 10;
constexpr uint64_t kMaxPage = 10'000;

constexpr const char* kSchema[] = {
    "CREATE TABLE IF NOT EXISTS ledger_entries (idx INTEGER PRIMARY KEY, line TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS ledger_nodes (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, "
    "PRIMARY KEY (level, idx)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS ledger_heads (size INTEGER PRIMARY KEY, root BLOB NOT NULL, time INTEGER NOT NULL, "
    "signature BLOB NOT NULL)",
};

Error corrupt(std::string message) { return fail(Code::corrupt, "ledger: " + std::move(message)); }

int64_t signed_size(uint64_t v) { return static_cast<int64_t>(v); }

std::string clip(const std::string& s) { return s.size() <= kMaxField ? s : s.substr(0, kMaxField); }

Result<std::string> read_node(store::Txn& txn, int level, uint64_t index) {
  auto q = TRY(txn.query("SELECT hash FROM ledger_nodes WHERE level = ? AND idx = ?"));
  q.bind(int64_t{level}).bind(signed_size(index));
  std::string where = "node " + std::to_string(index) + " of level " + std::to_string(level);
  if (!TRY(q.step())) return corrupt(where + " is missing");
  std::string hash = q.text(0);
  if (hash.size() != 32) return corrupt(where + " has " + std::to_string(hash.size()) + " bytes, expected 32");
  return hash;
}

merkle::Lookup lookup_in(store::Txn& txn) {
  return [&txn](int level, uint64_t index) { return read_node(txn, level, index); };
}

Result<uint64_t> count_entries(store::Txn& txn) {  // indexes have no gaps: the last one tells
  auto q = TRY(txn.query("SELECT max(idx) FROM ledger_entries"));
  if (!TRY(q.step()) || q.is_null(0)) return uint64_t{0};
  return static_cast<uint64_t>(q.integer(0)) + 1;
}

Head head_of(const store::Statement& row) {
  return {static_cast<uint64_t>(row.integer(0)), row.text(1), row.integer(2), row.text(3)};
}

Result<Head> newest_head(store::Txn& txn) {  // no signature: there is none
  auto q = TRY(txn.query("SELECT size, root, time, signature FROM ledger_heads ORDER BY size DESC LIMIT 1"));
  if (!TRY(q.step())) return Head{0, crypto::sha256(""), 0, ""};
  return head_of(q);
}

class LedgerImpl final : public Ledger {
 public:
  LedgerImpl(store::Db& db, os::Clock& clock, const crypto::SigningKey& key, std::string site_id)
      : db_(db), clock_(clock), key_(key), site_id_(std::move(site_id)), alive_(std::make_shared<Alive>()) {
    alive_->ledger = this;
  }
  ~LedgerImpl() override {
    std::lock_guard lock(alive_->mutex);
    alive_->ledger = nullptr;
  }

  Status start();
  Result<uint64_t> append(store::Txn& txn, const Entry& entry) override;
  Status append(const Entry& entry) override;
  Result<Head> head() override;
  Result<std::string> entry_json(uint64_t index) override;
  Result<std::vector<std::string>> entries(uint64_t from, uint64_t limit) override;
  Result<std::vector<Head>> heads(uint64_t after, uint64_t limit) override;
  Result<std::vector<std::string>> inclusion_proof(uint64_t index, uint64_t size) override;
  Result<std::vector<std::string>> consistency_proof(uint64_t from, uint64_t to) override;
  Result<Report> verify(const Head* kept) override;

 private:
  struct Alive {  // what the Db's hook keeps; the hook outlives this object
    std::mutex mutex;
    LedgerImpl* ledger = nullptr;
  };

  Status check_newest(store::Txn& txn);
  Status sign_head(store::Txn& txn);
  Status store_head(store::Txn& txn, uint64_t size);
  bool signature_good(const Head& head) const {
    return crypto::verify_ed25519(key_.public_raw(), head_message(site_id_, head), head.signature);
  }
  Status verify_log(store::Txn& txn, const std::vector<Head>& known, Report& report);
  Status verify_nodes(store::Txn& txn, uint64_t entries);
  void remember(const Head& head) {
    std::lock_guard lock(seen_mutex_);
    if (head.size > seen_.size) seen_ = head;
  }

  store::Db& db_;
  os::Clock& clock_;
  const crypto::SigningKey& key_;
  const std::string site_id_;
  std::shared_ptr<Alive> alive_;
  std::mutex seen_mutex_;
  Head seen_;  // the newest head that this process read after its commit
};

Status LedgerImpl::start() {
  TRY(db_.write([this](store::Txn& txn) -> Status {
    for (const char* sql : kSchema) TRY(txn.run(sql));
    // A new log has a head too: the empty tree's.
    bool none = TRY(newest_head(txn)).signature.empty() && TRY(count_entries(txn)) == 0;
    return none ? store_head(txn, 0) : Status();
  }));
  TRY(db_.read([this](store::Txn& txn) { return check_newest(txn); }));
  db_.before_commit([alive = alive_](store::Txn& txn) -> Status {
    std::lock_guard lock(alive->mutex);
    return alive->ledger ? alive->ledger->sign_head(txn) : Status();
  });
  return {};
}

Status LedgerImpl::check_newest(store::Txn& txn) {
  uint64_t size = TRY(count_entries(txn));
  Head newest = TRY(newest_head(txn));
  if (newest.size != size)
    return corrupt("there are " + std::to_string(size) + " entries, and the newest head is over " +
                   std::to_string(newest.size));
  if (!signature_good(newest))
    return corrupt("the signature of the newest head (size " + std::to_string(size) + ") does not verify");
  if (TRY(merkle::root(lookup_in(txn), size)) != newest.root)
    return corrupt("the tree over " + std::to_string(size) + " entries does not have the newest head's root");
  if (size == 0) return {};
  // The last entry is what a lost write would have torn.
  auto q = TRY(txn.query("SELECT line FROM ledger_entries WHERE idx = ?"));
  q.bind(signed_size(size - 1));
  if (!TRY(q.step()) || leaf_hash(q.text(0)) != TRY(read_node(txn, 0, size - 1)))
    return corrupt("entry " + std::to_string(size - 1) + " does not have its leaf's hash");
  remember(newest);
  return {};
}

Status LedgerImpl::sign_head(store::Txn& txn) {
  uint64_t size = TRY(count_entries(txn));
  return size == TRY(newest_head(txn)).size ? Status() : store_head(txn, size);
}

Status LedgerImpl::store_head(store::Txn& txn, uint64_t size) {
  Head head{size, TRY(merkle::root(lookup_in(txn), size)), clock_.now(), ""};
  head.signature = key_.sign(head_message(site_id_, head));
  auto q = TRY(txn.query("INSERT INTO ledger_heads (size, root, time, signature) VALUES (?, ?, ?, ?)"));
  q.bind(signed_size(size)).blob(head.root).bind(head.time).blob(head.signature);
  return q.run();
}

Result<uint64_t> LedgerImpl::append(store::Txn& txn, const Entry& entry) {
  uint64_t index = TRY(count_entries(txn));
  Entry timed = entry;
  if (timed.time == 0) timed.time = clock_.now();
  std::string line = TRY(entry_line(timed, index));
  {
    auto q = TRY(txn.query("INSERT INTO ledger_entries (idx, line) VALUES (?, ?)"));
    q.bind(signed_size(index)).bind(line);
    TRY(q.run());
  }
  // The leaf, and each node that it completes: one for each 1 at the end of the index.
  std::string hash = leaf_hash(line);
  uint64_t at = index;
  for (int level = 0;; ++level, at >>= 1) {
    auto q = TRY(txn.query("INSERT INTO ledger_nodes (level, idx, hash) VALUES (?, ?, ?)"));
    q.bind(int64_t{level}).bind(signed_size(at)).blob(hash);
    TRY(q.run());
    if (!(at & 1)) break;
    hash = node_hash(TRY(read_node(txn, level, at - 1)), hash);
  }
  return index;
}

Status LedgerImpl::append(const Entry& entry) {
  return db_.write([&](store::Txn& txn) -> Status {
    TRY(append(txn, entry));
    return {};
  });
}

Result<Head> LedgerImpl::head() {
  Head head;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    head = TRY(newest_head(txn));
    return {};
  }));
  remember(head);
  return head;
}

Result<std::string> LedgerImpl::entry_json(uint64_t index) {
  auto one = TRY(entries(index, 1));
  // A gap is no entry of another index.
  if (one.empty()) return fail(Code::not_found, "the ledger has no entry " + std::to_string(index));
  return one[0];
}

Result<std::vector<std::string>> LedgerImpl::entries(uint64_t from, uint64_t limit) {
  std::vector<std::string> out;
  if (from > INT64_MAX) return out;
  limit = std::min(limit, kMaxPage);
  TRY(db_.read([&](store::Txn& txn) -> Status {
    out.clear();
    auto q = TRY(txn.query("SELECT idx, line FROM ledger_entries WHERE idx >= ? ORDER BY idx LIMIT ?"));
    q.bind(signed_size(from)).bind(signed_size(limit));
    while (TRY(q.step())) {
      if (q.integer(0) != signed_size(from + out.size()))
        return corrupt("entry " + std::to_string(from + out.size()) + " is missing");
      out.push_back(q.text(1));
    }
    return {};
  }));
  return out;
}

Result<std::vector<Head>> LedgerImpl::heads(uint64_t after, uint64_t limit) {
  std::vector<Head> out;
  if (after > INT64_MAX) return out;
  limit = std::min(limit, kMaxPage);
  TRY(db_.read([&](store::Txn& txn) -> Status {
    out.clear();
    auto q =
        TRY(txn.query("SELECT size, root, time, signature FROM ledger_heads WHERE size > ? ORDER BY size LIMIT ?"));
    q.bind(signed_size(after)).bind(signed_size(limit));
    while (TRY(q.step())) out.push_back(head_of(q));
    return {};
  }));
  return out;
}

Result<std::vector<std::string>> LedgerImpl::inclusion_proof(uint64_t index, uint64_t size) {
  std::vector<std::string> out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    uint64_t have = TRY(count_entries(txn));
    if (size > have) return fail(Code::invalid, "expected a size of at most " + std::to_string(have));
    out = TRY(merkle::inclusion(lookup_in(txn), index, size));
    return {};
  }));
  return out;
}

Result<std::vector<std::string>> LedgerImpl::consistency_proof(uint64_t from, uint64_t to) {
  std::vector<std::string> out;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    uint64_t have = TRY(count_entries(txn));
    if (to > have) return fail(Code::invalid, "expected a size of at most " + std::to_string(have));
    out = TRY(merkle::consistency(lookup_in(txn), from, to));
    return {};
  }));
  return out;
}

// Counts the stored nodes: verify_log has compared each that the entries give, so more of them are too many.
Status LedgerImpl::verify_nodes(store::Txn& txn, uint64_t entries) {
  uint64_t expected = 0;
  for (uint64_t n = entries; n; n >>= 1) expected += n;
  auto q = TRY(txn.query("SELECT count(*) FROM ledger_nodes"));
  TRY(q.step());
  if (static_cast<uint64_t>(q.integer(0)) != expected)
    return corrupt("there are " + std::to_string(q.integer(0)) + " nodes, expected " + std::to_string(expected));
  return {};
}

// One walk over entries, nodes and heads together.
Status LedgerImpl::verify_log(store::Txn& txn, const std::vector<Head>& known, Report& report) {
  merkle::Frontier tree;
  auto lines = TRY(txn.query("SELECT idx, line FROM ledger_entries ORDER BY idx"));
  auto heads = TRY(txn.query("SELECT size, root, time, signature FROM ledger_heads ORDER BY size"));
  bool more_heads = TRY(heads.step());
  Status node_status;
  auto compare = [&](int level, uint64_t index, const std::string& hash) {
    if (!node_status.ok()) return;
    auto stored = read_node(txn, level, index);
    if (!stored.ok())
      node_status = stored.error();
    else if (*stored != hash)
      node_status = corrupt(level == 0 ? "entry " + std::to_string(index) + " does not have its leaf's hash"
                                       : "node " + std::to_string(index) + " of level " + std::to_string(level) +
                                             " is not the hash of its two halves");
  };
  auto check_head = [&](const Head& head, const std::string& which) -> Status {
    std::string name = which + " (size " + std::to_string(head.size) + ")";
    if (!signature_good(head)) return corrupt("the signature of " + name + " does not verify");
    if (head.root != tree.root()) return corrupt("the entries do not give the root of " + name);
    return {};
  };
  for (;;) {
    for (const Head& head : known)
      if (head.size == tree.size() && head.size > 0) TRY(check_head(head, "a head that was seen before"));
    while (more_heads && static_cast<uint64_t>(heads.integer(0)) == tree.size()) {
      report.head = head_of(heads);
      TRY(check_head(report.head, "a stored head"));
      more_heads = TRY(heads.step());
    }
    if (!TRY(lines.step())) break;
    if (lines.integer(0) != signed_size(tree.size()))
      return corrupt("entry " + std::to_string(tree.size()) + " is missing");
    tree.add(leaf_hash(lines.text(1)), compare);
    TRY(node_status);
    report.entries = tree.size();
  }
  if (more_heads)
    return corrupt("a head is over " + std::to_string(heads.integer(0)) + " entries, and there are " +
                   std::to_string(tree.size()));
  if (report.head.size != tree.size())
    return corrupt("no head is over the last of the " + std::to_string(tree.size()) + " entries");
  for (const Head& head : known)
    if (head.size > tree.size())
      return corrupt("there are " + std::to_string(tree.size()) + " entries, and a head that was seen before is over " +
                     std::to_string(head.size));
  return verify_nodes(txn, tree.size());
}

Result<Ledger::Report> LedgerImpl::verify(const Head* kept) {
  std::vector<Head> known;
  {
    std::lock_guard lock(seen_mutex_);
    if (seen_.size) known.push_back(seen_);
  }
  if (kept) known.push_back(*kept);
  Report report;
  auto status = db_.read([&](store::Txn& txn) {
    report = {};
    return verify_log(txn, known, report);
  });
  report.ok = status.ok();
  if (!report.ok) {
    if (status.error().code != Code::corrupt) return status.error();
    report.problem = status.error().message;
  }
  return report;
}

}  // namespace

Result<std::string> entry_line(const Entry& entry, uint64_t index) {
  std::string detail = entry.detail;
  if (!detail.empty()) {
    auto parsed = TRY(parse_json(detail, kMaxDetail, "detail of a ledger entry"));
    if (!parsed.is_object()) return fail(Code::invalid, "detail of a ledger entry: expected an object");
    detail = canonical_json(parsed);
  }
  std::string out = "{";
  auto add = [&](const char* name, const std::string& value) {
    if (out.size() > 1) out += ',';
    out.append("\"").append(name).append("\":").append(value);
  };
  auto text = [&](const char* name, const std::string& value) { add(name, json_string(clip(value))); };
  text("account", entry.account);
  text("action", entry.action);
  if (!entry.credential.empty()) text("credential", entry.credential);
  text("decision", entry.decision);
  if (!detail.empty()) add("detail", detail);
  add("index", std::to_string(index));
  text("principal", entry.principal);
  text("reason", entry.reason);
  text("request_id", entry.request_id);
  text("resource", entry.resource);
  text("source", entry.source);
  add("time", std::to_string(entry.time));
  return out + "}";
}

std::string head_message(const std::string& site_id, const Head& head) {
  return "holdfast-ledger-head-v1\n" + site_id + "\n" + std::to_string(head.size) + "\n" + hex(head.root) + "\n" +
         std::to_string(head.time) + "\n";
}

Result<std::unique_ptr<Ledger>> Ledger::open(store::Db& db, os::Clock& clock, const crypto::SigningKey& key,
                                             const std::string& site_id) {
  auto ledger = std::make_unique<LedgerImpl>(db, clock, key, site_id);
  TRY(ledger->start());
  return ledger;
}

}  // namespace hf::security
