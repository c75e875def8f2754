// For tests of the gate and of services: a site whose parts are in memory, an exchange that holds a request and keeps
// its answer, and signed requests. Nothing here is in the program.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/gate.h"
#include "fleet/trails.h"
#include "os/fake.h"
#include "security/keys.h"
#include "security/kms_ring.h"
#include "security/people.h"
#include "security/sessions.h"
#include "security/sigv4.h"

namespace hf::api::testing {

// What happened, in order, over the ledger and the exchange: "entry allow s3:GetObject", "respond 200", "start 200",
// ...
struct Journal {
  std::vector<std::string> lines;
  std::mutex mutex;  // jobs write entries while the test's own requests are answered
  void add(std::string line) {
    std::lock_guard lock(mutex);
    lines.push_back(std::move(line));
  }
  bool before(std::string_view first, std::string_view second) const {
    auto at = [&](std::string_view text) {
      return std::find_if(lines.begin(), lines.end(), [&](const auto& l) { return l.starts_with(text); });
    };
    return at(first) != lines.end() && at(second) != lines.end() && at(first) < at(second);
  }
};

inline Error no_ledger() { return fail(Code::exhausted, kDiskFull, "the ledger cannot be written: a test"); }

// A real ledger that can be told to take nothing, while all else of the database can be written.
class BreakableLedger : public security::Ledger {
 public:
  explicit BreakableLedger(std::unique_ptr<security::Ledger> real) : real_(std::move(real)) {}
  std::atomic<bool> broken = false;
  Result<uint64_t> append(store::Txn& txn, const security::Entry& entry) override {
    if (broken) return no_ledger();
    return real_->append(txn, entry);
  }
  Status append(const security::Entry& entry) override { return broken ? no_ledger() : real_->append(entry); }
  Result<security::Head> head() override { return real_->head(); }
  Result<std::string> entry_json(uint64_t i) override { return real_->entry_json(i); }
  Result<std::vector<std::string>> entries(uint64_t f, uint64_t n) override { return real_->entries(f, n); }
  Result<std::vector<security::Head>> heads(uint64_t a, uint64_t n) override { return real_->heads(a, n); }
  Result<std::vector<std::string>> inclusion_proof(uint64_t i, uint64_t n) override {
    return real_->inclusion_proof(i, n);
  }
  Result<std::vector<std::string>> consistency_proof(uint64_t a, uint64_t b) override {
    return real_->consistency_proof(a, b);
  }
  Result<Report> verify(const security::Head* kept) override { return real_->verify(kept); }

 private:
  std::unique_ptr<security::Ledger> real_;
};

class MemoryLedger : public security::Ledger {
 public:
  MemoryLedger(Journal& journal, store::Db& db) : journal_(journal), db_(db) {}
  std::vector<security::Entry> all;
  std::atomic<bool> broken = false;  // takes nothing, while all else of the database can be written
  Result<uint64_t> append(store::Txn& txn, const security::Entry& entry) override {
    if (broken) return no_ledger();
    store::Record row;  // on the disk too, so that a full disk is felt
    row.kind = "test-entry";
    row.name = std::to_string(all.size());
    row.body = "{}";
    TRY(store::put_record(txn, row));
    all.push_back(entry);
    journal_.add("entry " + entry.decision + " " + entry.action);
    return all.size() - 1;
  }
  Status append(const security::Entry& entry) override {
    return db_.write([&](store::Txn& txn) -> Status {
      auto index = append(txn, entry);
      return index.ok() ? Status() : Status(index.error());
    });
  }
  Result<security::Head> head() override { return security::Head{}; }
  Result<std::string> entry_json(uint64_t) override { return std::string(); }
  Result<std::vector<std::string>> entries(uint64_t, uint64_t) override { return std::vector<std::string>(); }
  Result<std::vector<security::Head>> heads(uint64_t, uint64_t) override { return std::vector<security::Head>(); }
  Result<std::vector<std::string>> inclusion_proof(uint64_t, uint64_t) override { return std::vector<std::string>(); }
  Result<std::vector<std::string>> consistency_proof(uint64_t, uint64_t) override { return std::vector<std::string>(); }
  Result<Report> verify(const security::Head*) override { return Report{}; }

 private:
  Journal& journal_;
  store::Db& db_;
};

class MemoryKeys : public security::Keys {
 public:
  std::map<std::string, Found, std::less<>> access;
  std::map<std::string, security::Identity, std::less<>> bearer;
  Result<std::pair<security::KeyInfo, crypto::Secret>> create(store::Txn&, security::KeyInfo) override {
    return fail(Code::internal, "not in this fake");
  }
  Status remove(store::Txn&, const std::string&, const std::string&) override { return {}; }
  Status set_active(store::Txn&, const std::string&, const std::string&, bool) override { return {}; }
  Result<crypto::Secret> reset(store::Txn&, const std::string&, const std::string&) override {
    return fail(Code::internal, "not in this fake");
  }
  Result<std::optional<security::KeyInfo>> find(store::Txn&, const std::string&) override {
    return std::optional<security::KeyInfo>();
  }
  void used(const std::string&, const std::string&) override {}
  Result<LastUse> last_use(const std::string&) override { return LastUse{}; }
  Result<std::vector<security::KeyInfo>> list(const std::string&) override { return std::vector<security::KeyInfo>(); }
  Result<std::optional<Found>> by_access_key(const std::string& id) override {
    auto it = access.find(id);
    return it == access.end() ? std::optional<Found>() : std::optional<Found>(it->second);
  }
  Result<std::optional<security::Identity>> by_bearer(std::string_view token) override {
    auto it = bearer.find(token);
    return it == bearer.end() ? std::optional<security::Identity>() : std::optional<security::Identity>(it->second);
  }
  Status create_account(store::Txn&, const std::string&, const std::string&) override { return {}; }
  Result<std::vector<Account>> accounts() override { return std::vector<Account>(); }
};

// All rows of all tables, as text: what an act that did not happen leaves as it was.
inline std::string everything(store::Db& db) {
  std::string out;
  auto read = db.read([&](store::Txn& txn) -> Status {
    out.clear();
    std::vector<std::string> tables;
    auto names = TRY(txn.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"));
    while (TRY(names.step())) tables.push_back(names.text(0));
    for (const std::string& table : tables) {
      std::string row;
      auto columns = TRY(txn.query("SELECT name FROM pragma_table_info('" + table + "')"));
      while (TRY(columns.step())) row += (row.empty() ? "quote(" : " || ',' || quote(") + columns.text(0) + ")";
      auto rows = TRY(txn.query("SELECT " + row + " FROM " + table + " ORDER BY 1"));
      while (TRY(rows.step())) out += table + ": " + rows.text(0) + "\n";
    }
    return {};
  });
  check(read.ok(), "the database can be read");
  return out;
}

// A request whole, and its answer whole.
class MemoryExchange : public http::Exchange {
 public:
  MemoryExchange(http::RequestHead head, std::string sent, Journal& journal)
      : head_(std::move(head)), body_(std::move(sent)), journal_(journal) {}
  const http::RequestHead& head() const override { return head_; }
  Result<size_t> read(std::span<char> out) override {
    size_t n = std::min({out.size(), body_.size() - read_, piece});
    std::memcpy(out.data(), body_.data() + read_, n);
    read_ += n;
    return n;
  }
  void respond(int s, http::Headers h, std::string b) override {
    check(status == 0, "answered twice");
    status = s;
    headers = std::move(h);
    body = std::move(b);
    finished = true;
    journal_.add("respond " + std::to_string(s));
  }
  void start(int s, http::Headers h) override {
    check(status == 0, "answered twice");
    status = s;
    headers = std::move(h);
    journal_.add("start " + std::to_string(s));
  }
  Push push(std::string data) override {
    check(status != 0 && !finished, "pushed before the start or after the end");
    body += data;
    pushes.push_back(std::move(data));
    return full ? Push::full : Push::ok;
  }
  Status write(std::string data) override {
    (void)push(std::move(data));
    return {};
  }
  void finish() override { finished = true; }
  void abort() override {
    aborted = true;
    finished = true;
  }
  bool closed() const override { return gone; }
  void on_room(std::function<void()> callback) override { room = std::move(callback); }
  void on_pool(std::function<void()> work) override { work(); }

  int status = 0;
  http::Headers headers;
  std::string body;
  std::vector<std::string> pushes;
  std::function<void()> room;
  std::atomic<bool> finished = false;  // last: whoever sees it may read the rest
  bool aborted = false, full = false, gone = false;
  size_t piece = 1000;  // bytes that one read() gives at most
  size_t unread() const { return body_.size() - read_; }

 private:
  http::RequestHead head_;
  std::string body_;
  Journal& journal_;
  size_t read_ = 0;
};

struct Request {
  std::string method = "GET", path = "/", query, body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string authority = "127.0.0.1:8480";
};

// Parts that a test needs and this does not have (fleet, objects, ...) are given in; they are not touched otherwise.
class MemorySite {
 public:
  MemorySite() {
    security::Identity admin{
        "111122223333", "arn:aws:iam::111122223333:user/admin", "AIDAADMIN", "AKIAADMIN", true, {}};
    keys.access["AKIAADMIN"] = {admin, crypto::Secret("secret-admin")};
    keys.bearer["hf-admin"] = admin;
    security::Identity poor{"444455556666", "arn:aws:iam::444455556666:user/poor", "AIDAPOOR", "AKIAPOOR", false, {}};
    keys.access["AKIAPOOR"] = {poor, crypto::Secret("secret-poor")};
    keys.bearer["hf-poor"] = poor;
    check(db->write([](store::Txn& txn) { return security::iam::make_tables(txn); }).ok(), "IAM's tables");
  }
  Journal journal;
  os::FakeClock clock;
  os::FakeRandom random;
  os::FakeFs fs;
  std::unique_ptr<store::Db> db = open_db();
  MemoryLedger ledger{journal, *db};
  MemoryKeys keys;
  std::unique_ptr<security::Keys> real_keys;    // in place of `keys`, where a test sets it before site()
  std::unique_ptr<BreakableLedger> own_ledger;  // a real one in place of `ledger`, where a test sets it before site()
  std::unique_ptr<fleet::Trails> trails;        // with own_ledger
  std::unique_ptr<security::Sessions> sessions;
  security::People people{*db, clock, random, crypto::Secret("root")};
  security::kms::KeyRing kms{crypto::Secret("root"), random};
  security::Sealer denial_texts{crypto::Secret("root"), "denial", random};
  security::Keys& all_keys() { return real_keys ? *real_keys : keys; }
  crypto::SigningKey key = std::move(crypto::SigningKey::generate()).value();
  std::vector<std::string> log;
  alignas(64) char nothing[64] = {};
  store::Objects* objects = reinterpret_cast<store::Objects*>(nothing);
  fleet::Fleet* fleet = reinterpret_cast<fleet::Fleet*>(nothing);
  fleet::Models* models = reinterpret_cast<fleet::Models*>(nothing);
  fleet::Jobs* jobs = reinterpret_cast<fleet::Jobs*>(nothing);

  Site& site() {
    if (!sessions)
      sessions = std::make_unique<security::Sessions>(*db, clock, random, all_keys(), crypto::Secret("root"));
    if (!trails && own_ledger)
      trails = std::move(
          *fleet::Trails::open({clock, random, *db, *objects, *own_ledger},
                               {.region = "site-1", .principal = "arn:aws:holdfast:site-1::site/x", .thread = false}));
    if (!site_)
      site_.reset(new Site{.id = "0123456789abcdef",
                           .region = "site-1",
                           .version = "test",
                           .clock = clock,
                           .random = random,
                           .db = *db,
                           .objects = *objects,
                           .keys = all_keys(),
                           .sessions = *sessions,
                           .people = people,
                           .denial_texts = denial_texts,
                           .ledger = own_ledger ? static_cast<security::Ledger&>(*own_ledger) : ledger,
                           .signing_key = key,
                           .fleet = *fleet,
                           .models = *models,
                           .jobs = *jobs,
                           .status_json = [] { return "{}"; },
                           .log = [this](const std::string& line) { log.push_back(line); },
                           .trails = trails.get(),
                           .kms = &kms});
    return *site_;
  }

  void sign(Request& r, const std::string& service, const std::string& id = "AKIAADMIN",
            const std::string& secret = "secret-admin") {
    security::HeaderList list = r.headers;
    list.emplace_back("host", r.authority);
    security::sign({id, crypto::Secret(secret), ""}, "site-1", service, clock.now(), r.method, r.path, r.query, list,
                   r.body);
    r.headers = std::move(list);
  }

  std::shared_ptr<MemoryExchange> exchange(const Request& r) {
    http::RequestHead head;
    head.method = r.method;
    head.target = r.path + (r.query.empty() ? "" : "?" + r.query);
    head.authority = r.authority;
    head.peer = "127.0.0.1:40000";
    head.content_length = static_cast<int64_t>(r.body.size());
    for (const auto& [name, value] : r.headers) head.headers.add(name, value);
    return std::make_shared<MemoryExchange>(std::move(head), r.body, journal);
  }
  std::shared_ptr<MemoryExchange> send(Gate& gate, const Request& r) {
    auto e = exchange(r);
    gate.handle(e);
    return e;
  }

 private:
  std::unique_ptr<store::Db> open_db() {
    check(fs.make_dirs("/state").ok() && fs.sync_dir("/").ok(), "a folder in memory");
    auto opened = std::move(store::Db::open(fs, random, "/state/meta.db")).value();
    check(security::kms::prepare(*opened).ok(), "tables in memory");
    return opened;
  }
  std::unique_ptr<Site> site_;
};

}  // namespace hf::api::testing
