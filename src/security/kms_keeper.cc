#include "security/kms_keeper.h"

#include <boost/json.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "os/thread.h"
#include "security/json.h"

namespace hf::security::kms {
namespace {

constexpr Micros kDay = 24LL * 3600 * 1'000'000;
constexpr int64_t kAtOnce = 100;

class KeeperImpl final : public Keeper {
 public:
  KeeperImpl(const Parts& parts, Options options) : parts_(parts), options_(std::move(options)) {}
  ~KeeperImpl() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.reset();  // joins
  }
  void run() {
    if (options_.thread) thread_.emplace("hf-kms", [this] { loop(); });
  }

  Status step() override {
    for (;;) {
      std::vector<Key> keys;
      const Micros now = parts_.clock.now();
      TRY(parts_.db.read([&](store::Txn& txn) -> Status {
        keys = TRY(due(txn, now, kAtOnce));
        return {};
      }));
      Status first;
      for (const Key& key : keys)
        if (Status done = act(key, now); !done.ok() && first.ok()) first = std::move(done);
      if (!first.ok() || keys.size() < static_cast<size_t>(kAtOnce)) return first;
    }
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      const Status done = step();  // what could not be done is tried again
      if (!done.ok() && options_.log) options_.log("keys whose time has come: " + done.error().message);
      lock.lock();
      wake_.wait_for(lock, std::chrono::minutes(1), [this] { return stopping_; });
    }
  }

  Entry entry(const char* action, const Key& key, Micros now) const {
    Entry e;
    e.time = now;
    e.account = key.account;
    e.principal = options_.principal;
    e.action = action;
    e.resource = arn_of(options_.region, key);
    e.decision = "allow";
    e.reason = "site";
    return e;
  }

  // The key is read again in the transaction that changes it: it may have been changed meanwhile.
  Status act(const Key& seen, Micros now) {
    return parts_.db.write([&](store::Txn& txn) -> Status {
      auto key = TRY(stored(txn, seen.account, seen.id));
      return key ? act(txn, *key, now) : Status();
    });
  }

  Status act(store::Txn& txn, Key& key, Micros now) {
    if (key.deletion) {
      if (key.deletion > now) return {};
      TRY(parts_.ledger.append(txn, entry("kms:DeleteKey", key, now)));
      return erase(txn, key);
    }
    if (expire(key, now)) TRY(parts_.ledger.append(txn, entry("kms:DeleteExpiredKeyMaterial", key, now)));
    if (key.rotation_days && key.enabled && key.next_rotation <= now) {
      Material fresh = TRY(parts_.ring.generate(key, now));
      fresh.how = "AUTOMATIC";
      Entry e = entry("kms:RotateKey", key, now);
      e.detail = canonical_json(boost::json::object{{"keyMaterialId", fresh.id}});
      key.materials.push_back(std::move(fresh));
      while (key.next_rotation <= now) key.next_rotation += key.rotation_days * kDay;
      TRY(parts_.ledger.append(txn, e));
    }
    return put(txn, key);
  }

  const Parts parts_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::optional<os::Thread> thread_;
};

}  // namespace

std::unique_ptr<Keeper> Keeper::start(const Parts& parts, Options options) {
  auto keeper = std::make_unique<KeeperImpl>(parts, std::move(options));
  keeper->run();
  return keeper;
}

}  // namespace hf::security::kms
