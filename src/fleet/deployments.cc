#include "fleet/deployments.h"

#include <boost/json.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

#include "base/text.h"
#include "fleet/json_fields.h"
#include "os/thread.h"

namespace hf::fleet {
namespace json = boost::json;
namespace {

constexpr const char* kNames = "deployment-name";
constexpr int64_t kListLimit = 100'000;
constexpr std::chrono::milliseconds kAgain{500};

store::Record record(std::string_view kind, const std::string& account, const std::string& name, const Deployment& d,
                     std::string body) {
  store::Record r;
  r.kind = kind;
  r.account = account;
  r.name = name;
  r.created = d.created;
  r.updated = d.updated;
  r.body = std::move(body);
  return r;
}

std::string_view state_name(Deployment::State state) {
  switch (state) {
    case Deployment::State::creating:
      return "creating";
    case Deployment::State::active:
      return "active";
    case Deployment::State::failed:
      return "failed";
  }
  return "failed";
}

class DeploymentsImpl final : public Deployments {
 public:
  DeploymentsImpl(os::Clock& clock, store::Db& db, security::Ledger& ledger, Fleet& fleet)
      : clock_(clock), db_(db), ledger_(ledger), fleet_(fleet) {
    thread_ = os::Thread("hf-deploy", [this] { run(); });
  }
  ~DeploymentsImpl() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void wake() override {
    {
      std::lock_guard lock(mutex_);
      look_ = true;
    }
    changed_.notify_all();
  }
  void gone(const std::string& digest) override {
    {
      std::lock_guard lock(mutex_);
      gone_.insert(digest);
    }
    changed_.notify_all();
  }

 private:
  void run() {
    for (bool again = false;;) {
      bool look;
      std::set<std::string> gone;
      {
        std::unique_lock lock(mutex_);
        const auto due = [this] { return stopping_ || look_ || !gone_.empty(); };
        if (again)
          changed_.wait_for(lock, kAgain, due);
        else
          changed_.wait(lock, due);
        if (stopping_) return;
        look = std::exchange(look_, false) || again;
        gone.swap(gone_);
      }
      for (const std::string& digest : gone) unload_if_unused(digest);
      again = look && !deploy_all();
    }
  }

  bool stopping() {
    std::lock_guard lock(mutex_);
    return stopping_;
  }

  void unload_if_unused(const std::string& digest) {
    bool used = true;
    const Status read = db_.read([&](store::Txn& txn) -> Status {
      used = TRY(deployed(txn, digest));
      return {};
    });
    if (read.ok() && !used) (void)fleet_.unload(digest);  // a worker that is gone holds nothing
  }

  // False: the end of one could not be written because the disk is full. It would seem to be made for ever.
  bool deploy_all() {
    std::vector<Deployment> waiting;
    bool written = true;
    // A store that cannot be read now: the next wake() or start looks again.
    (void)db_.read([&](store::Txn& txn) -> Status {
      waiting.clear();
      for (const char* kind : {kEndpoint, kCustomDeployment})
        for (Deployment& d : TRY(deployments_of(txn, kind, "")))
          if (d.state == Deployment::State::creating) waiting.push_back(std::move(d));
      return {};
    });
    for (const Deployment& d : waiting) {
      if (stopping()) return true;
      auto card = fleet_.load(d.digest);
      if (!card.ok() && stopping()) return true;  // the next start tries again
      const Status end = finish(d, card.ok() ? std::string() : card.error().message);
      written = written && (end.ok() || end.error().code != Code::exhausted);
    }
    return written;
  }

  Status finish(const Deployment& waiting, const std::string& failure) {
    return db_.write([&](store::Txn& txn) -> Status {
      auto d = TRY(find_deployment(txn, waiting.kind, waiting.account, waiting.id));
      if (!d || d->created != waiting.created) return {};  // deleted meanwhile
      d->state = failure.empty() ? Deployment::State::active : Deployment::State::failed;
      d->failure = clip_utf8(failure, 1024);
      d->updated = clock_.now();
      TRY(store::put_record(txn, record(d->kind, d->account, d->id, *d, to_json(*d))));
      security::Entry entry;
      entry.time = d->updated;
      entry.account = d->account;
      entry.principal = d->principal;
      entry.action =
          d->kind == kEndpoint ? "sagemaker:EndpointStateChange" : "bedrock:CustomModelDeploymentStateChange";
      entry.resource = d->arn;
      entry.decision = "allow";
      entry.reason = "deployment of the principal";
      entry.detail = "{\"model_digest\":\"" + d->digest + "\",\"state\":\"" + std::string(state_name(d->state)) + "\"}";
      (void)TRY(ledger_.append(txn, entry));
      return {};
    });
  }

  os::Clock& clock_;
  store::Db& db_;
  security::Ledger& ledger_;
  Fleet& fleet_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false, look_ = true;  // at the start, what was left
  std::set<std::string> gone_;
  os::Thread thread_;
};

}  // namespace

std::string to_json(const Deployment& d) {
  return json::serialize(json::object{{"kind", d.kind},
                                      {"account", d.account},
                                      {"name", d.name},
                                      {"id", d.id},
                                      {"arn", d.arn},
                                      {"digest", d.digest},
                                      {"model_name", d.model_name},
                                      {"model_arn", d.model_arn},
                                      {"principal", d.principal},
                                      {"config", d.config},
                                      {"variant", d.variant},
                                      {"token", d.token},
                                      {"tags", json::value_from(d.tags)},
                                      {"state", state_name(d.state)},
                                      {"failure", d.failure},
                                      {"created", d.created},
                                      {"updated", d.updated}});
}

Result<Deployment> deployment_from_json(std::string_view text) {
  const JsonFields f = TRY(JsonFields::parse(text, "a deployment's record"));
  Deployment d;
  d.kind = f.text("kind");
  d.account = f.text("account");
  d.name = f.text("name");
  d.id = f.text("id");
  d.arn = f.text("arn");
  d.digest = f.text("digest");
  d.model_name = f.text("model_name");
  d.model_arn = f.text("model_arn");
  d.principal = f.text("principal");
  d.config = f.text("config");
  d.variant = f.text("variant");
  d.token = f.text("token");
  d.tags = f.text_map("tags");
  const std::string state = f.text("state");
  d.state = state == "active"     ? Deployment::State::active
            : state == "creating" ? Deployment::State::creating
                                  : Deployment::State::failed;
  d.failure = f.text("failure");
  d.created = f.integer("created");
  d.updated = f.integer("updated");
  return d;
}

Status insert_deployment(store::Txn& txn, const Deployment& d) {
  if (d.kind == kCustomDeployment)
    TRY(store::insert_record(txn, record(kNames, d.account, d.name, d, json::serialize(json::object{{"id", d.id}}))));
  return store::insert_record(txn, record(d.kind, d.account, d.id, d, to_json(d)));
}

Result<std::optional<Deployment>> find_deployment(store::Txn& txn, std::string_view kind, const std::string& account,
                                                  const std::string& id) {
  auto r = TRY(store::get_record(txn, kind, account, id));
  if (!r) return std::optional<Deployment>();
  return std::optional<Deployment>(TRY(deployment_from_json(r->body)));
}

Result<std::optional<Deployment>> find_deployment_by_name(store::Txn& txn, const std::string& account,
                                                          const std::string& name) {
  auto r = TRY(store::get_record(txn, kNames, account, name));
  if (!r) return std::optional<Deployment>();
  const JsonFields f = TRY(JsonFields::parse(r->body, "a deployment name's record"));
  return find_deployment(txn, kCustomDeployment, account, f.text("id"));
}

Result<std::vector<Deployment>> deployments_of(store::Txn& txn, std::string_view kind, const std::string& account) {
  std::vector<Deployment> out;
  for (const store::Record& r : TRY(store::list_records(txn, kind, account, "", kListLimit)))
    out.push_back(TRY(deployment_from_json(r.body)));
  return out;
}

Result<bool> delete_deployment(store::Txn& txn, const Deployment& d) {
  if (d.kind == kCustomDeployment) (void)TRY(store::delete_record(txn, kNames, d.account, d.name));
  return store::delete_record(txn, d.kind, d.account, d.id);
}

Result<bool> deployed(store::Txn& txn, const std::string& digest) {
  for (const char* kind : {kEndpoint, kCustomDeployment})
    for (const Deployment& d : TRY(deployments_of(txn, kind, "")))
      if (d.digest == digest) return true;
  return false;
}

Result<std::unique_ptr<Deployments>> Deployments::open(os::Clock& clock, store::Db& db, security::Ledger& ledger,
                                                       Fleet& fleet) {
  return std::make_unique<DeploymentsImpl>(clock, db, ledger, fleet);
}

}  // namespace hf::fleet
