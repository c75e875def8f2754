#include "os/fs.h"

#include <cerrno>
#include <cstring>

#include "os/errors.h"

namespace hf::os {
namespace {

// Deeper than any folder of ours; a loop in a broken file system ends here.
constexpr int kMaxTreeDepth = 64;

Code code_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return Code::not_found;
    case EEXIST:
    case ENOTEMPTY:
    case EBUSY:
    case EISDIR:
      return Code::conflict;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::denied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return Code::exhausted;
    case EFBIG:
      return Code::too_large;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
      return Code::invalid;
    default:
      return Code::unavailable;
  }
}

std::string parent_of(const std::string& path) {
  size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status remove_tree_at(Fs& fs, const std::string& path, int depth) {
  if (depth > kMaxTreeDepth) {
    return fail(Code::invalid, "remove " + path + ": folders nested deeper than " + std::to_string(kMaxTreeDepth));
  }
  auto stat = fs.stat(path);
  if (!stat.ok()) {
    if (stat.error().code == Code::not_found) return {};
    return std::move(stat).error();
  }
  if (stat->kind == Stat::Kind::directory) {
    for (const auto& name : TRY(fs.list(path))) TRY(remove_tree_at(fs, path + "/" + name, depth + 1));
  }
  return fs.remove(path);
}

}  // namespace

Error errno_error(int number, std::string_view doing, std::string_view what) {
  const char* words = strerrordesc_np(number);
  std::string message(doing);
  if (!what.empty()) message.append(" ").append(what);
  message.append(": ").append(words ? words : "unknown error").append(" (errno ").append(std::to_string(number));
  return fail(code_of(number), number == ENOSPC || number == EDQUOT ? kDiskFull : "", message + ")");
}

Result<std::string> Fs::read_file(const std::string& path, uint64_t limit) {
  auto file = TRY(open(path, Open::read));
  uint64_t size = TRY(file->size());
  if (size > limit) {
    return fail(Code::too_large,
                path + ": expected at most " + std::to_string(limit) + " bytes, found " + std::to_string(size));
  }
  std::string out(size, '\0');
  size_t got = TRY(file->read_at(0, {out.data(), out.size()}));
  out.resize(got);
  return out;
}

Status Fs::write_file_atomic(const std::string& path, std::string_view data, int mode) {
  // One writer a path at a time. What a crash left under this name is removed first, so that the mode is the asked one.
  const std::string temporary = path + ".tmp";
  if (auto old = remove(temporary); !old.ok() && old.error().code != Code::not_found) return old;
  Status written = [&]() -> Status {
    auto file = TRY(open(temporary, Open::create_new, mode));
    TRY(file->write_at(0, data));
    TRY(file->sync());
    return rename(temporary, path);
  }();
  if (!written.ok()) {
    (void)remove(temporary);  // best effort: the first error is the one to tell
    return written;
  }
  return sync_dir(parent_of(path));
}

Status Fs::make_dirs_synced(const std::string& path, int mode) {
  std::vector<std::string> parents{parent_of(path)};  // innermost first
  while (!exists(parents.back()) && parents.size() < kMaxTreeDepth) parents.push_back(parent_of(parents.back()));
  TRY(make_dirs(path, mode));
  for (auto parent = parents.rbegin(); parent != parents.rend(); ++parent) TRY(sync_dir(*parent));
  return {};
}

bool Fs::exists(const std::string& path) { return stat(path).ok(); }

Status Fs::remove_tree(const std::string& path) { return remove_tree_at(*this, path, 0); }

}  // namespace hf::os
