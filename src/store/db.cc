#include "store/db.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "os/thread.h"
#include "store/connection.h"
#include "store/schema.h"
#include "store/vfs.h"
#include "store/wal_check.h"

namespace hf::store {
namespace {

// How many writers share a transaction at most: bounds how long the first one waits for the others' work.
constexpr size_t kMaxGroup = 256;
// Connections for reading; a reader beyond them waits for one to be given back.
constexpr size_t kMaxReaders = 16;

// The log's room from the start: several times what the largest of our own transactions writes (pages of 4 KiB).
constexpr int64_t kWalRoomBytes = 1 << 20;

using Work = std::function<Status(Txn&)>;

// A caller's function may call libraries that throw: this is where that ends.
Status guarded(const Work& work, Txn& txn) {
  try {
    return work(txn);
  } catch (const std::exception& e) {
    return fail(Code::internal, std::string("metadata: an exception in a transaction: ") + e.what());
  }
}

// What one transaction of several writers does, without threads.
class Writer {
 public:
  Writer(Vfs& vfs, std::unique_ptr<Connection> connection) : vfs_(vfs), connection_(std::move(connection)) {}

  void add_hook(Work hook) {
    std::lock_guard hold(hooks_mutex_);
    hooks_.push_back(std::move(hook));
  }
  uint64_t commits() const { return commits_; }

  // Each result is final: ok means durable.
  std::vector<Status> run(const std::vector<const Work*>& group) {
    std::vector<Status> results(group.size());
    bool whole = true;
    if (auto ok = transaction(group, results); !ok.ok()) {
      whole = group.size() > 1 && !vfs_.failed();
      if (!whole) results.assign(group.size(), ok);
    } else {
      return results;
    }
    if (!whole) return results;
    // One of them may have filled the disk or broken the transaction: each alone, so that the others go through.
    for (size_t i = 0; i < group.size(); ++i) {
      std::vector<Status> one(1);
      auto ok = transaction({group[i]}, one);
      results[i] = ok.ok() ? one[0] : ok;
    }
    return results;
  }

 private:
  Status reason() {
    return fail(Code::unavailable,
                "metadata: nothing is written until a restart, because a sync failed: " + vfs_.last_error().message);
  }

  Status transaction(const std::vector<const Work*>& group, std::vector<Status>& results) {
    if (vfs_.failed()) return reason();
    Status ok = attempt(group, results);
    if (!ok.ok() && ok.error().code == Code::exhausted && !vfs_.failed()) {
      // A full disk: once the WAL's frames are in the main file, its own room can be used again.
      (void)connection_->run("PRAGMA wal_checkpoint(RESTART)");
      if (!vfs_.failed()) ok = attempt(group, results);
    }
    if (vfs_.failed() && !ok.ok()) return reason();
    return ok;
  }

  Status attempt(const std::vector<const Work*>& group, std::vector<Status>& results) {
    Status ok = steps(group, results);
    if (connection_->in_transaction()) (void)connection_->run("ROLLBACK");
    return ok;
  }

  Status steps(const std::vector<const Work*>& group, std::vector<Status>& results) {
    TRY(connection_->cached("BEGIN IMMEDIATE"));
    Txn txn;
    txn.impl = connection_.get();
    bool any = false;
    for (size_t i = 0; i < group.size(); ++i) {
      TRY(connection_->cached("SAVEPOINT one"));
      results[i] = guarded(*group[i], txn);
      if (!connection_->in_transaction()) {
        // SQLite took back the whole transaction (a full disk, an I/O error).
        if (!results[i].ok()) return results[i];
        return fail(Code::unavailable, "metadata: the transaction was rolled back");
      }
      if (!results[i].ok()) TRY(connection_->cached("ROLLBACK TO one"));
      TRY(connection_->cached("RELEASE one"));
      any = any || results[i].ok();
    }
    if (!any) return {};  // rolled back by the caller; each has its own error
    std::unique_lock hold(hooks_mutex_);
    const std::vector<Work> hooks = hooks_;
    hold.unlock();
    for (const auto& hook : hooks) TRY(guarded(hook, txn));
    TRY(connection_->reserve_main());
    TRY(connection_->cached("COMMIT"));
    ++commits_;
    return {};
  }

  Vfs& vfs_;
  std::unique_ptr<Connection> connection_;
  std::mutex hooks_mutex_;
  std::vector<Work> hooks_;
  std::atomic<uint64_t> commits_ = 0;
};

class SqliteDb final : public Db {
 public:
  SqliteDb(os::Fs& fs, os::Random& random, std::string path) : vfs_(fs, random), path_(std::move(path)) {}

  ~SqliteDb() override {
    {
      std::lock_guard hold(mutex_);
      stopping_ = true;
    }
    arrived_.notify_all();
    thread_.join();
    readers_.clear();
    writer_.reset();  // the last connection: it moves the WAL into the main file
  }

  Status start() {
    TRY(check_wal(vfs_.fs(), path_));
    auto connection = TRY(Connection::open(vfs_, path_, true));
    TRY(migrate(*connection));
    TRY(connection->run("PRAGMA wal_checkpoint(PASSIVE)"));
    connection->reserve_wal(kWalRoomBytes);
    writer_ = std::make_unique<Writer>(vfs_, std::move(connection));
    readers_.push_back(TRY(Connection::open(vfs_, path_, false)));
    made_readers_ = 1;
    thread_ = os::Thread("db-writer", [this] { loop(); });
    return {};
  }

  Status write(const Work& fn) override {
    check(std::this_thread::get_id() != writer_id_.load(), "write() inside of write()");
    Request request{&fn, {}, false};
    std::unique_lock hold(mutex_);
    queue_.push_back(&request);
    arrived_.notify_one();
    finished_.wait(hold, [&] { return request.done; });
    return std::move(request.result);
  }

  Status read(const Work& fn) override {
    auto connection = TRY(take_reader());
    Status result = read_with(*connection, fn);
    give_back(std::move(connection));
    return result;
  }

  void before_commit(Work hook) override { writer_->add_hook(std::move(hook)); }

  bool failed() const override { return vfs_.failed(); }
  uint64_t commits() const override { return writer_->commits(); }

  Status verify() override {
    return read([](Txn& txn) -> Status {
      auto q = TRY(txn.query("PRAGMA integrity_check(1)"));
      if (!TRY(q.step())) return fail(Code::internal, "metadata: integrity_check gave no row");
      if (q.text(0) != "ok") return fail(Code::corrupt, "metadata: " + q.text(0));
      return {};
    });
  }

 private:
  struct Request {
    const Work* fn;
    Status result;
    bool done;
  };

  Status migrate(Connection& c) {
    const int64_t found = TRY(c.integer("PRAGMA user_version"));
    if (found > kSchemaVersion) {
      return fail(Code::invalid, path_ + ": made by a newer version of this program (format " + std::to_string(found) +
                                     ", this one knows up to " + std::to_string(kSchemaVersion) + ")");
    }
    for (int64_t v = found; v < kSchemaVersion; ++v) {
      // A file that was cut while it was made is at version 0: the transaction makes the step whole or not at all.
      Status step = c.run("BEGIN IMMEDIATE");
      if (step.ok()) step = c.run(kMigrations[v]);
      if (step.ok()) step = c.run(("PRAGMA user_version=" + std::to_string(v + 1)).c_str());
      if (step.ok()) step = c.run("COMMIT");
      if (!step.ok()) {
        if (c.in_transaction()) (void)c.run("ROLLBACK");
        return step;
      }
    }
    return {};
  }

  void loop() {
    writer_id_ = std::this_thread::get_id();
    for (;;) {
      std::vector<Request*> group;
      {
        std::unique_lock hold(mutex_);
        arrived_.wait(hold, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        while (!queue_.empty() && group.size() < kMaxGroup) {
          group.push_back(queue_.front());
          queue_.pop_front();
        }
      }
      std::vector<const Work*> work;
      for (auto* r : group) work.push_back(r->fn);
      auto results = writer_->run(work);
      {
        std::lock_guard hold(mutex_);
        for (size_t i = 0; i < group.size(); ++i) {
          group[i]->result = std::move(results[i]);
          group[i]->done = true;
        }
      }
      finished_.notify_all();
    }
  }

  static Status read_with(Connection& connection, const Work& fn) {
    TRY(connection.cached("BEGIN"));
    Txn txn;
    txn.impl = &connection;
    Status result = guarded(fn, txn);
    if (connection.in_transaction()) {
      Status end = connection.cached("ROLLBACK");
      if (result.ok()) result = end;
    }
    return result;
  }

  Result<std::unique_ptr<Connection>> take_reader() {
    {
      std::unique_lock hold(readers_mutex_);
      if (readers_.empty() && made_readers_ >= kMaxReaders) {
        reader_back_.wait(hold, [this] { return !readers_.empty(); });
      }
      if (!readers_.empty()) {
        auto c = std::move(readers_.back());
        readers_.pop_back();
        return c;
      }
      ++made_readers_;
    }
    auto made = Connection::open(vfs_, path_, false);
    if (!made.ok()) {
      std::lock_guard hold(readers_mutex_);
      --made_readers_;
    }
    return made;
  }

  void give_back(std::unique_ptr<Connection> c) {
    {
      std::lock_guard hold(readers_mutex_);
      readers_.push_back(std::move(c));
    }
    reader_back_.notify_one();
  }

  Vfs vfs_;  // outlives every connection
  std::string path_;
  std::mutex readers_mutex_;
  std::condition_variable reader_back_;
  std::vector<std::unique_ptr<Connection>> readers_;
  size_t made_readers_ = 0;
  std::unique_ptr<Writer> writer_;
  std::mutex mutex_;
  std::condition_variable arrived_, finished_;
  std::deque<Request*> queue_;
  bool stopping_ = false;
  std::atomic<std::thread::id> writer_id_{};
  os::Thread thread_;
};

}  // namespace

Result<std::unique_ptr<Db>> Db::open(os::Fs& fs, os::Random& random, const std::string& path) {
  auto db = std::make_unique<SqliteDb>(fs, random, path);
  TRY(db->start());
  return db;
}

}  // namespace hf::store
