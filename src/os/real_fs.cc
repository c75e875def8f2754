#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "os/errors.h"
#include "os/fs.h"
#include "os/process.h"

namespace hf::os {
namespace {

class RealFile final : public File {
 public:
  RealFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<size_t> read_at(uint64_t offset, std::span<char> out) override {
    size_t done = 0;
    while (done < out.size()) {
      ssize_t n = pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (n == 0) break;
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error(errno, "read", path_);
      done += static_cast<size_t>(n);
    }
    return done;
  }

  Status write_at(uint64_t offset, std::string_view data) override {
    size_t done = 0;
    while (done < data.size()) {
      ssize_t n = pwrite(fd_.get(), data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error(errno, "write", path_);
      if (n == 0) return errno_error(ENOSPC, "write", path_);
      done += static_cast<size_t>(n);
    }
    return {};
  }

  Status sync() override {
    if (fdatasync(fd_.get()) != 0) return errno_error(errno, "sync", path_);
    return {};
  }

  Result<uint64_t> size() override {
    struct stat s {};
    if (fstat(fd_.get(), &s) != 0) return errno_error(errno, "stat", path_);
    return static_cast<uint64_t>(s.st_size);
  }

  Status truncate(uint64_t size) override {
    while (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      if (errno != EINTR) return errno_error(errno, "truncate", path_);
    }
    return {};
  }

  int fd() const override { return fd_.get(); }

 private:
  Fd fd_;
  std::string path_;
};

int open_retry(const char* path, int flags, mode_t mode) {
  for (;;) {
    int fd = ::open(path, flags | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

struct CloseDir {
  void operator()(DIR* d) const { closedir(d); }
};

class RealFs final : public Fs {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, Open how, int mode) override {
    int flags = O_RDONLY;
    if (how == Open::write) flags = O_RDWR;
    if (how == Open::create) flags = O_RDWR | O_CREAT;
    if (how == Open::create_new) flags = O_RDWR | O_CREAT | O_EXCL;
    Fd fd(open_retry(path.c_str(), flags, static_cast<mode_t>(mode)));
    if (!fd) return errno_error(errno, "open", path);
    return std::make_unique<RealFile>(std::move(fd), path);
  }

  Status make_dirs(const std::string& path, int mode) override {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      std::string part = path.substr(0, slash);
      if (!part.empty() && mkdir(part.c_str(), static_cast<mode_t>(mode)) != 0) {
        int number = errno;
        struct stat s {};
        // An existing parent on a read-only file system says EROFS, in a closed one EACCES: what counts is that it is
        // there.
        if (::stat(part.c_str(), &s) != 0) return errno_error(number, "make folder", part);
        if (!S_ISDIR(s.st_mode)) return errno_error(ENOTDIR, "make folder", part);
      }
      if (slash == std::string::npos) return {};
    }
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0) return {};
    int number = errno;
    if ((number == EISDIR || number == EPERM) && ::rmdir(path.c_str()) == 0) return {};
    if (number == EISDIR) number = errno;
    return errno_error(number, "remove", path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(errno, "rename", from + " to " + to);
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    std::unique_ptr<DIR, CloseDir> dir(opendir(path.c_str()));
    if (!dir) return errno_error(errno, "list", path);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(dir.get());
      if (!entry) break;
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    if (errno != 0) return errno_error(errno, "list", path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<Stat> stat(const std::string& path) override {
    struct stat s {};
    if (lstat(path.c_str(), &s) != 0) return errno_error(errno, "stat", path);
    Stat out{};
    out.kind = S_ISREG(s.st_mode) ? Stat::Kind::file : S_ISDIR(s.st_mode) ? Stat::Kind::directory : Stat::Kind::other;
    out.size = static_cast<uint64_t>(s.st_size);
    out.modified_us = int64_t{s.st_mtim.tv_sec} * 1'000'000 + s.st_mtim.tv_nsec / 1000;
    return out;
  }

  Status sync_dir(const std::string& path) override {
    Fd fd(open_retry(path.c_str(), O_RDONLY | O_DIRECTORY, 0));
    if (!fd) return errno_error(errno, "open folder", path);
    if (fsync(fd.get()) != 0) return errno_error(errno, "sync folder", path);
    return {};
  }

  Result<uint64_t> free_bytes(const std::string& path) override {
    struct statvfs s {};
    if (statvfs(path.c_str(), &s) != 0) return errno_error(errno, "statvfs", path);
    return static_cast<uint64_t>(s.f_bavail) * s.f_frsize;
  }

  Result<std::unique_ptr<File>> lock(const std::string& path) override {
    Fd fd(open_retry(path.c_str(), O_RDWR | O_CREAT, 0600));
    if (!fd) return errno_error(errno, "open", path);
    while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return fail(Code::conflict, path + " is locked by another process");
      return errno_error(errno, "lock", path);
    }
    return std::make_unique<RealFile>(std::move(fd), path);
  }
};

}  // namespace

std::unique_ptr<File> file_of(Fd descriptor, std::string name) {
  return std::make_unique<RealFile>(std::move(descriptor), std::move(name));
}

Fs& real_fs() {
  static RealFs fs;
  return fs;
}

}  // namespace hf::os
