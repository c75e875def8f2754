// Metadata: SQLite in WAL mode on our own VFS (over os::Fs), synchronous=FULL. Writers are grouped: many write() calls
// that arrive together become one SQLite transaction and one fsync, each in a savepoint of its own, so that one that
// fails takes back only itself. A write() that returned ok is on stable storage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/fs.h"

namespace hf::store {

// A prepared statement, cached by its text in the connection. Parameters and columns count from 1 and from 0, as
// SQLite.
class Statement {
 public:
  Statement& bind(int64_t v);           // binds the next parameter
  Statement& bind(std::string_view v);  // as text
  Statement& blob(std::string_view v);
  Statement& null();
  Result<bool> step();  // true: a row is there
  Status run();         // step to the end
  int64_t integer(int column) const;
  std::string text(int column) const;  // text or blob, as bytes
  bool is_null(int column) const;
  ~Statement();
  Statement(Statement&&) noexcept;

 private:
  friend class Txn;
  explicit Statement(void* statement);
  void* statement_;
  int next_ = 1;
  Status failed_;
};

class Txn {
 public:
  Result<Statement> query(std::string_view sql);
  Status run(std::string_view sql);  // no parameters
  int64_t changes() const;
  void* impl;  // the connection; set by Db
};

class Db {
 public:
  // Opens or makes the file (its folder must exist, and be synced by whoever made it); takes no lock of its own (the
  // state folder's lock is the site's). Runs the schema's migrations (PRAGMA user_version); a newer format than ours is
  // refused by name.
  static Result<std::unique_ptr<Db>> open(os::Fs& fs, os::Random& random, const std::string& path);
  virtual ~Db() = default;
  // Runs on the writer's thread, blocks until durable. fn may run again after a rolled-back group: no side effects.
  // `before_commit` hooks (the ledger's signed head) run once a group.
  virtual Status write(const std::function<Status(Txn&)>& fn) = 0;
  // A consistent snapshot; any thread. Writing in it is refused. Not from inside another read() or write() of the same
  // thread: pass the Txn on.
  virtual Status read(const std::function<Status(Txn&)>& fn) = 0;
  virtual void before_commit(std::function<Status(Txn&)> hook) = 0;
  // After an fsync error nothing more is written until a restart: every write() is Code::unavailable, with the reason.
  virtual bool failed() const = 0;
  virtual uint64_t commits() const = 0;  // groups so far: how well writers share an fsync
  // Reads every page and checks every index; corrupt says what is wrong. Long: for `doctor` and the scrub.
  virtual Status verify() = 0;
};

// ---- Records: every named thing of the services (jobs, models, endpoints, deployments, keys, ...) is one JSON
// document under (kind, account, name). Kinds and their JSON members are listed in docs/formats.md.
struct Record {
  std::string kind, account, name;
  Micros created = 0, updated = 0;
  std::string body;  // JSON
};
Status put_record(Txn& txn, const Record& record);     // insert or replace (created is kept)
Status insert_record(Txn& txn, const Record& record);  // conflict if it exists
Result<std::optional<Record>> get_record(Txn& txn, std::string_view kind, std::string_view account,
                                         std::string_view name);
Result<bool> delete_record(Txn& txn, std::string_view kind, std::string_view account, std::string_view name);
// By name, ascending, after `after` (exclusive). account "" : all accounts (then by name and account; a name that
// several accounts have is given whole, so that `after` loses none: there may be more than `limit`).
Result<std::vector<Record>> list_records(Txn& txn, std::string_view kind, std::string_view account,
                                         std::string_view after, int64_t limit);

}  // namespace hf::store
