// Files: the only way to the disk. Real: os::real_fs(). Fake (os/fake.h): in memory, fails at call N, and on crash()
// loses, reorders or tears what was not synced (every legal subset), names that were not sync_dir()ed included.
// Paths are absolute or relative to the working directory, '/' separated. All calls are thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::os {

enum class Open {
  read,        // must exist
  write,       // must exist; reads too
  create,      // make if absent; reads and writes
  create_new,  // conflict if it exists; reads and writes
};

class Fd;  // os/process.h

class File {
 public:
  virtual ~File() = default;                                                 // closes; never syncs
  virtual Result<size_t> read_at(uint64_t offset, std::span<char> out) = 0;  // short only at the end of the file
  virtual Status write_at(uint64_t offset, std::string_view data) = 0;       // whole or an error
  virtual Status
  sync() = 0;  // data and size on stable storage. After a failure the file must not be trusted or retried
  virtual Result<uint64_t> size() = 0;
  virtual Status truncate(uint64_t size) = 0;
  virtual int fd()
      const = 0;  // the descriptor, still owned by this object, for handing to a child or mmap; -1 in fakes
};

struct Stat {
  enum class Kind { file, directory, other } kind;
  uint64_t size;
  int64_t modified_us;
};

class Fs {
 public:
  virtual ~Fs() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, Open how, int mode = 0600) = 0;
  virtual Status make_dirs(const std::string& path, int mode = 0700) = 0;  // as mkdir -p
  virtual Status remove(const std::string& path) = 0;                      // a file or an empty directory
  virtual Status rename(const std::string& from,
                        const std::string& to) = 0;  // replaces; durable after sync_dir of both
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;  // names only, sorted
  virtual Result<Stat> stat(const std::string& path) = 0;                      // does not follow links
  virtual Status sync_dir(const std::string& path) = 0;
  virtual Result<uint64_t> free_bytes(const std::string& path) = 0;
  // An exclusive lock held until destroyed or the process ends; conflict if another process (or object) holds it.
  virtual Result<std::unique_ptr<File>> lock(const std::string& path) = 0;

  // Built on the above.
  Result<std::string> read_file(const std::string& path, uint64_t limit);
  // Temporary file, sync, rename, sync_dir: after a crash the old or the new content, whole.
  Status write_file_atomic(const std::string& path, std::string_view data, int mode = 0600);
  // make_dirs, and the names are on stable storage: the parent of each folder that was missing is synced, and that of
  // `path` always (whoever made it may have been cut off before).
  Status make_dirs_synced(const std::string& path, int mode = 0700);
  bool exists(const std::string& path);
  Status remove_tree(const std::string& path);
};

Fs& real_fs();
// A file by its descriptor, which was opened elsewhere (by the site, for a worker). `name` is for errors.
std::unique_ptr<File> file_of(Fd descriptor, std::string name);

}  // namespace hf::os
