#include "app/site.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <memory>

#include "api/gate.h"
#include "app/state.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "engine/train_settings.h"
#include "fleet/doors.h"
#include "fleet/fleet.h"
#include "fleet/jobs.h"
#include "fleet/trails.h"
#include "http/http.h"
#include "os/doorkeeper.h"
#include "os/thread.h"
#include "security/keys.h"
#include "security/kms_keeper.h"
#include "security/ledger.h"
#include "security/people.h"
#include "security/refusal_record.h"
#include "security/sessions.h"
#include "store/db.h"
#include "store/objects.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr uint16_t kFirstPort = 8480, kLastPort = 8579;
constexpr uint64_t kProgramLimit = 1ull << 30;

// Digest of the program that runs: the engine's build in receipts, the code's version in lineages.
Result<std::string> program_digest(os::Fs& fs) {
  auto file = TRY(fs.open("/proc/self/exe", os::Open::read));
  uint64_t size = TRY(file->size());
  if (size > kProgramLimit) return fail(Code::too_large, "/proc/self/exe: over 1 GiB");
  crypto::Hasher hasher(crypto::Hash::sha256);
  std::string block(1 << 20, '\0');
  for (uint64_t at = 0; at < size;) {
    size_t n = TRY(file->read_at(at, {block.data(), block.size()}));
    if (n == 0) break;
    hasher.update({block.data(), n});
    at += n;
  }
  return hex(hasher.finish());
}

class RunningSiteImpl : public RunningSite {
 public:
  RunningSiteImpl(os::Fs& fs, os::Clock& clock, os::Random& random, std::string state, const Settings& settings,
                  os::Doorkeeper* keeper)
      : fs_(fs), clock_(clock), random_(random), state_(std::move(state)), settings_(settings), keeper_(keeper) {}

  ~RunningSiteImpl() override { stop(0); }

  // Each step needs those before it; what was opened is closed in the reverse order.
  Status open() {
    lock_ = TRY(take_lock());
    keys_of_state_ = std::make_unique<StateKeys>(TRY(prepare_state(fs_, random_, state_)));
    version_ = TRY(program_digest(fs_));
    db_ = TRY(store::Db::open(fs_, random_, state_ + "/db/site.db"));
    keys_ = TRY(security::Keys::open(*db_, clock_, random_, keys_of_state_->root_key));
    sessions_ = std::make_unique<security::Sessions>(*db_, clock_, random_, *keys_, keys_of_state_->root_key);
    people_ = std::make_unique<security::People>(*db_, clock_, random_, keys_of_state_->root_key);
    denial_texts_ = std::make_unique<security::Sealer>(keys_of_state_->root_key, "denial", random_);
    TRY(security::kms::prepare(*db_));
    kms_ = std::make_unique<security::kms::KeyRing>(keys_of_state_->root_key, random_);
    ledger_ = TRY(security::Ledger::open(*db_, clock_, keys_of_state_->signing_key, keys_of_state_->site_id));
    objects_ = TRY(store::Objects::open(fs_, clock_, random_, *db_, state_ + "/objects"));
    models_ = TRY(fleet::Models::open(fs_, random_, state_ + "/models"));
    TRY(prepare_administrator());
    doors_ = TRY(fleet::Doors::open(clock_, *db_, *ledger_, keeper_, settings_.text("region")));
    TRY(start_fleet());
    trails_ = TRY(fleet::Trails::open({clock_, random_, *db_, *objects_, *ledger_},
                                      {.region = settings_.text("region"), .principal = entry("").principal}));
    kms_keeper_ = security::kms::Keeper::start(
        {clock_, *db_, *ledger_, *kms_},
        {.region = settings_.text("region"), .principal = entry("").principal, .log = [](const std::string& line) {
           std::fprintf(stderr, "%s\n", line.c_str());
         }});
    TRY(start_gate());
    TRY(start_servers());
    if (keeper_) TRY(keeper_->end_listening());
    TRY(write_site_file());
    return {};
  }

  std::string endpoint() const override { return "https://127.0.0.1:" + std::to_string(local_->port()); }

  bool stop(int timeout_ms) override {
    bool whole = true;
    for (auto* server : {&open_, &local_})
      if (*server) whole = (*server)->drain(timeout_ms) && whole;
    open_.reset();
    local_.reset();
    gate_.reset();
    kms_keeper_.reset();
    trails_.reset();
    jobs_.reset();
    fleet_.reset();
    doors_.reset();
    if (ledger_ && !stopped_) (void)ledger_->append(entry("holdfast:SiteStop"));
    stopped_ = true;
    return whole;
  }

 private:
  Result<std::unique_ptr<os::File>> take_lock() {
    TRY(fs_.make_dirs(state_, 0700));
    auto lock = lock_state(fs_, state_, "site");
    if (!lock.ok() && lock.error().code == Code::conflict)
      return fail(Code::conflict, "another site already runs on the state folder '" + state_ + "'");
    return lock;
  }

  security::Entry entry(const char* action) const {
    security::Entry e;
    e.time = clock_.now();
    e.account = keys_of_state_->account;
    e.principal = "arn:aws:holdfast:" + settings_.text("region") + "::site/" + keys_of_state_->site_id;
    e.action = action;
    e.decision = "allow";
    e.reason = "site";
    e.detail = json::serialize(json::object{{"build", version_}});
    return e;
  }

  security::Entry worker_of_site() const {
    security::Entry e;
    e.account = keys_of_state_->account;
    e.principal = entry("").principal + "/worker";
    return e;
  }

  // The first account and the administrator's keys. admin.json is written after they are in the database; if it is
  // missing (a start was cut, or someone took it away on purpose) new keys are made and the old ones removed.
  Status prepare_administrator() {
    const std::string path = state_ + "/admin.json", account = keys_of_state_->account;
    TRY(ledger_->append(entry("holdfast:SiteStart")));
    if (fs_.exists(path)) return {};
    std::string access_id, api_key;
    crypto::Secret secret;
    auto old = TRY(keys_->list(account));
    auto accounts = TRY(keys_->accounts());
    TRY(db_->write([&](store::Txn& txn) -> Status {
      bool known = false;
      for (const auto& a : accounts) known = known || a.id == account;
      if (!known) TRY(keys_->create_account(txn, account, "main"));
      for (const auto& key : old)
        if (key.administrator && key.name == "administrator") TRY(keys_->remove(txn, account, key.id));
      security::KeyInfo spec;
      spec.account = account;
      spec.name = "administrator";
      spec.administrator = true;
      spec.kind = "access";
      auto access = TRY(keys_->create(txn, spec));
      spec.kind = "api";
      auto api = TRY(keys_->create(txn, spec));
      access_id = access.first.id;
      secret = access.second;
      api_key = api.second.reveal();
      TRY(ledger_->append(txn, entry("holdfast:CreateAdministrator")));
      return {};
    }));
    json::object admin{{"account", account},
                       {"access_key_id", access_id},
                       {"secret_access_key", std::string(secret.reveal())},
                       {"api_key", api_key}};
    return fs_.write_file_atomic(path, json::serialize(admin) + "\n", 0600);
  }

  Status start_fleet() {
    fleet::FleetOptions options;
    options.isa = settings_.text("isa");
    options.threads = static_cast<int>(settings_.integer("threads"));
    options.kv_bytes = static_cast<uint64_t>(settings_.integer("kv-mib")) << 20;
    options.queue_limit = static_cast<size_t>(settings_.integer("queue"));
    for (const char* file : {"/admin.json", "/root.key", "/signing.key", "/db/site.db"})
      options.probe.files.push_back(TRY(absolute(state_ + file)));
    options.refusals = std::make_shared<security::RefusalRecord>(
        *ledger_, clock_, worker_of_site(),
        [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
    fleet_ = TRY(fleet::Fleet::start(clock_, *models_, options));
    fleet::JobsOptions jobs;
    jobs.scratch = state_ + "/scratch";
    jobs.region = settings_.text("region");
    jobs.code_version = version_;
    jobs.max_running = static_cast<int>(settings_.integer("jobs"));
    jobs.check_hyperparameters = [](const std::map<std::string, std::string>& given) -> Status {
      TRY(engine::parse_settings(given));
      return {};
    };
    jobs_ = TRY(fleet::Jobs::open({fs_, clock_, random_, *db_, *objects_, *ledger_, *fleet_, *models_}, jobs));
    return {};
  }

  Status start_gate() {
    site_.reset(new api::Site{keys_of_state_->site_id,
                              settings_.text("region"),
                              version_,
                              clock_,
                              random_,
                              *db_,
                              *objects_,
                              *keys_,
                              *sessions_,
                              *people_,
                              *denial_texts_,
                              *ledger_,
                              keys_of_state_->signing_key,
                              *fleet_,
                              *models_,
                              *jobs_,
                              [this] { return status_json(); },
                              [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); },
                              &fs_,
                              TRY(absolute(state_)),
                              doors_.get(),
                              trails_.get(),
                              kms_.get(),
                              settings_.text("residency")});
    gate_ = std::make_unique<api::Gate>(*site_, api::all_services());
    return {};
  }

  Result<std::unique_ptr<http::Server>> serve(const http::ServerOptions& options) {
    return http::Server::start(
        options, clock_, [this](const http::RequestHead& head) { return gate_->route(head); },
        [this](std::shared_ptr<http::Exchange> exchange) { gate_->handle(std::move(exchange)); });
  }

  // On loopback: clear text and TLS. To others, where asked for: TLS only.
  Status start_servers() {
    std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
    if (!settings_.text("host").empty()) names.push_back(settings_.text("host"));
    auto tls = TRY(prepare_tls(fs_, clock_, state_, names));
    http::ServerOptions options;
    options.address = "127.0.0.1";
    if (keeper_)
      options.listen = [this](const std::string& address, uint16_t port) { return keeper_->listen(address, port); };
    options.certificate_pem = tls.certificate_pem;
    options.key_pem = tls.key_pem;
    options.body_timeout_ms = static_cast<int>(settings_.integer("transfer-seconds") * 1000);
    options.min_rate = static_cast<int>(settings_.integer("transfer-rate"));
    local_ = TRY(first_free(options));
    if (settings_.text("listen").empty()) return {};
    Address address = TRY(parse_address(settings_.text("listen")));
    options.address = address.host;
    options.port = address.port;
    options.plain = false;
    if (!settings_.text("cert").empty()) {
      options.certificate_pem = TRY(fs_.read_file(settings_.text("cert"), 1 << 20));
      options.key_pem = TRY(fs_.read_file(settings_.text("key"), 1 << 20));
    }
    open_ = TRY(serve(options));
    return {};
  }

  // The port that was asked for, or the one of the last start, or the first free one, or any.
  Result<std::unique_ptr<http::Server>> first_free(http::ServerOptions options) {
    if (int64_t fixed = settings_.integer("port"); fixed != 0) {
      options.port = static_cast<uint16_t>(fixed);
      return serve(options);
    }
    std::vector<uint16_t> ports;
    if (uint16_t last = last_port()) ports.push_back(last);
    for (uint16_t p = kFirstPort; p <= kLastPort; ++p) ports.push_back(p);
    ports.push_back(0);
    for (uint16_t port : ports) {
      options.port = port;
      auto server = serve(options);
      if (server.ok() || server.error().code != Code::conflict) return server;
    }
    return fail(Code::conflict, "no free port on 127.0.0.1");
  }

  uint16_t last_port() {
    auto text = fs_.read_file(state_ + "/site.json", 1 << 20);
    if (!text.ok()) return 0;
    boost::system::error_code ec;
    json::value v = json::parse(*text, ec);
    if (ec || !v.is_object() || !v.as_object().contains("port") || !v.as_object()["port"].is_int64()) return 0;
    int64_t port = v.as_object()["port"].as_int64();
    return port > 0 && port < 65536 ? static_cast<uint16_t>(port) : 0;
  }

  Status write_site_file() {
    const std::string port = std::to_string(local_->port());
    json::object site{{"site", keys_of_state_->site_id},
                      {"account", keys_of_state_->account},
                      {"region", settings_.text("region")},
                      {"endpoint", endpoint()},
                      {"http_endpoint", "http://127.0.0.1:" + port},
                      {"port", local_->port()},
                      {"ca", TRY(absolute(state_ + "/tls/ca.pem"))},
                      {"version", version_},
                      {"started", iso8601(clock_.now())},
                      {"pid", getpid()}};
    if (open_) site["listen"] = "https://" + settings_.text("host") + ":" + std::to_string(open_->port());
    return fs_.write_file_atomic(state_ + "/site.json", json::serialize(site) + "\n", 0600);
  }

  static Result<std::string> absolute(const std::string& path) {
    if (path.starts_with('/')) return path;
    char folder[4096];
    if (!getcwd(folder, sizeof folder)) return fail(Code::internal, "the working directory has no path");
    return std::string(folder) + "/" + path;
  }

  std::string status_json() const {
    fleet::Fleet::Status_ status = fleet_->status();
    http::Server::Counters http = local_->counters();
    json::array loaded(status.loaded.begin(), status.loaded.end());
    const rpc::EngineCounters& c = status.counters;
    json::object object{{"site", keys_of_state_->site_id},
                        {"account", keys_of_state_->account},
                        {"region", settings_.text("region")},
                        {"residency", settings_.text("residency")},
                        {"version", version_},
                        {"pid", getpid()},
                        {"worker_pid", status.serving_pid},
                        {"worker_restarts", status.restarts},
                        {"isolation", status.isolation},
                        {"egress", doors_->words()},
                        {"egress_sealed", doors_->sealed()},
                        {"instruction_set", status.isa},
                        {"models", loaded},
                        {"http",
                         {{"connections", http.connections},
                          {"requests", http.requests},
                          {"active", http.active},
                          {"refused", http.refused},
                          {"resets", http.resets}}},
                        {"engine",
                         {{"requests", c.requests},
                          {"input_tokens", c.input_tokens},
                          {"output_tokens", c.output_tokens},
                          {"running", c.running},
                          {"queued", c.queued},
                          {"kv_pages", c.kv_pages},
                          {"kv_pages_used", c.kv_pages_used},
                          {"batches", c.batches},
                          {"preemptions", c.preemptions}}}};
    if (open_) object["listen"] = "https://" + settings_.text("host") + ":" + std::to_string(open_->port());
    return json::serialize(object);
  }

  os::Fs& fs_;
  os::Clock& clock_;
  os::Random& random_;
  const std::string state_;
  const Settings settings_;
  os::Doorkeeper* const keeper_;
  std::string version_;
  bool stopped_ = false;
  std::unique_ptr<os::File> lock_;
  std::unique_ptr<StateKeys> keys_of_state_;
  std::unique_ptr<store::Db> db_;
  std::unique_ptr<security::Keys> keys_;
  std::unique_ptr<fleet::Trails> trails_;
  std::unique_ptr<security::Sessions> sessions_;
  std::unique_ptr<security::People> people_;
  std::unique_ptr<security::Sealer> denial_texts_;
  std::unique_ptr<security::kms::KeyRing> kms_;
  std::unique_ptr<security::Ledger> ledger_;
  std::unique_ptr<security::kms::Keeper> kms_keeper_;
  std::unique_ptr<store::Objects> objects_;
  std::unique_ptr<fleet::Models> models_;
  std::unique_ptr<fleet::Doors> doors_;
  std::unique_ptr<fleet::Fleet> fleet_;
  std::unique_ptr<fleet::Jobs> jobs_;
  std::unique_ptr<api::Site> site_;
  std::unique_ptr<api::Gate> gate_;
  std::unique_ptr<http::Server> local_, open_;
};

}  // namespace

Result<std::unique_ptr<RunningSite>> RunningSite::start(os::Fs& fs, os::Clock& clock, os::Random& random,
                                                        const std::string& state, const Settings& settings,
                                                        os::Doorkeeper* keeper) {
  auto site = std::make_unique<RunningSiteImpl>(fs, clock, random, state, settings, keeper);
  TRY(site->open());
  return std::unique_ptr<RunningSite>(std::move(site));
}

}  // namespace hf::app
