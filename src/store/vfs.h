// SQLite's file layer over os::Fs, for one process: the -shm index of WAL mode and the file locks live in memory (the
// state folder's own lock keeps other processes out). Internal to store/.
//
// Two things that SQLite's own layer does not do:
//  - each page of the main file ends with 8 bytes, CRC32C of its bytes and its place: a flipped bit or a page in the
//    wrong place is an error, never a wrong row. Pages in the WAL are held against sums in memory, and the WAL that a
//    start finds against SQLite's own (wal_check.h).
//  - after one failed sync nothing is written any more (`failed`): the kernel may have dropped the pages and call the
//    next sync a success, so going on, even only to checkpoint at the end, could lose what was acknowledged.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "os/clock.h"
#include "os/fs.h"

struct sqlite3_vfs;

namespace hf::store {

class Vfs {
 public:
  Vfs(os::Fs& fs, os::Random& random);
  ~Vfs();  // all connections must be closed
  Vfs(const Vfs&) = delete;
  Vfs& operator=(const Vfs&) = delete;
  const std::string& name() const { return name_; }  // for sqlite3_open_v2
  bool failed() const { return failed_; }
  // The last error of the disk, for messages: SQLite itself only hands on "disk I/O error".
  Error last_error();

  // What is shared by the connections of one file.
  struct Shared {
    int shared_locks = 0;  // connections in SHARED or above
    const void *reserved = nullptr, *pending = nullptr, *exclusive = nullptr;
    std::vector<std::unique_ptr<char[]>> regions;  // of the -shm index
    int shm_shared[8] = {};
    const void* shm_exclusive[8] = {};
    int shm_users = 0;
    // Of the log: CRC32C of each frame's page that this process wrote, for SQLite looks at its own sums only when it
    // opens the file. No value: not known.
    std::vector<std::optional<uint32_t>> frame_sums;
  };

  // Used by the callbacks.
  os::Fs& fs() { return fs_; }
  os::Random& random() { return random_; }
  std::mutex& mutex() { return mutex_; }
  std::shared_ptr<Shared> shared(const std::string& path);
  int remember(const Error& error, int code);  // code, or SQLITE_FULL where the disk is
  void sync_failed(const Error& error);

 private:
  os::Fs& fs_;
  os::Random& random_;
  std::string name_;
  std::unique_ptr<sqlite3_vfs> base_;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Shared>> shared_;
  Error last_error_;
};

constexpr int kPageBytes = 4096;
constexpr int kPageSumBytes = 8;                          // reserved at the end of each page
constexpr int kWalHeaderBytes = 32, kWalFrameBytes = 24;  // before all frames, and before each frame's page

}  // namespace hf::store
