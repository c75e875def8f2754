// One SQLite connection and its cached statements. Used by one thread at a time. Internal to store/.
#pragma once

#include <sqlite3.h>

#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "store/db.h"
#include "store/vfs.h"

namespace hf::store {

class Connection;

struct Prepared {
  sqlite3_stmt* statement = nullptr;
  Connection* owner = nullptr;
  bool busy = false;
};

class Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(Vfs& vfs, const std::string& path, bool writer);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status run(const char* sql);               // any statements without parameters
  Result<int64_t> integer(const char* sql);  // the first column of the first row
  Result<Prepared*> prepare(std::string_view sql);
  void give_back(Prepared* prepared);
  // What SQLite's code means, with the disk's own words where the disk failed. Code::corrupt, exhausted, conflict, ...
  Error error(int code, std::string_view doing);
  Status cached(std::string_view sql);  // one statement without parameters, kept for the next time
  // The main file gets the room that this transaction's pages need, so that moving them there cannot fail for room.
  Status reserve_main();
  // The WAL gets `bytes` of room now, as far as the disk has it: on a full disk it is where a deletion goes.
  void reserve_wal(int64_t bytes);
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  int64_t changes() const { return sqlite3_changes64(db_); }

 private:
  explicit Connection(Vfs& vfs) : vfs_(vfs) {}
  Vfs& vfs_;
  sqlite3* db_ = nullptr;
  std::unordered_map<std::string, std::list<Prepared>> statements_;  // by text; several if used at once
  size_t cached_ = 0;
};

}  // namespace hf::store
