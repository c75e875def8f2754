#include "os/job_sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "os/errors.h"
#include "os/job_filter.h"
#include "os/sandbox_filter.h"
#include "os/sandbox_layers.h"

namespace hf::os {
namespace {

// What the container was asked for is looked at, not believed.
SandboxLayer network_namespace() {
  const Fd file(open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC));
  std::string text(16'384, '\0');
  const ssize_t n = file ? read(file.get(), text.data(), text.size()) : -1;
  if (n <= 0) return {"network namespace", false, "/proc/self/net/dev cannot be read"};
  text.resize(static_cast<size_t>(n));
  std::string others;
  for (const std::string_view line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == line.npos || trim(line.substr(0, colon)) == "lo") continue;
    others += (others.empty() ? "" : ", ") + std::string(trim(line.substr(0, colon)));
  }
  if (!others.empty()) return {"network namespace", false, "interfaces beside lo: " + others};
  return {"network namespace", true, "a network of its own, with no way out of it"};
}

SandboxLayer pid_namespace() {
  const bool own = getpid() == 1 && getppid() == 0;
  return {"pid namespace", own, own ? "sees no process but its own" : "process " + std::to_string(getpid())};
}

SandboxLayer own_root() {
  struct stat host {};
  for (const char* path : {"/root", "/home", "/var", "/boot"})
    if (stat(path, &host) == 0) return {"mount namespace", false, std::string(path) + " is there"};
  return {"mount namespace", true, "sees /usr to read, /tmp and /opt/ml of its own, and nothing else of the disk"};
}

SandboxLayer job_limits(const JobLimits& limits) {
  const auto set = [](__rlimit_resource which, uint64_t value) {
    rlimit old{};
    if (getrlimit(which, &old) != 0) return false;
    const rlim_t v = std::min<rlim_t>(value, old.rlim_max);
    const rlimit now{v, v};
    return setrlimit(which, &now) == 0;
  };
  bool ok = set(RLIMIT_CORE, 0) && set(RLIMIT_NOFILE, limits.descriptors) && set(RLIMIT_FSIZE, limits.file_bytes) &&
            set(RLIMIT_NPROC, limits.processes) && set(RLIMIT_MSGQUEUE, 0);
  const bool bounded = limits.memory_bytes > 0 && !kSanitized;
  if (bounded) ok &= set(RLIMIT_DATA, limits.memory_bytes);
  const std::string memory = bounded ? ", " + human_bytes(limits.memory_bytes) + " of data each" : "";
  return {
      "limits", ok,
      ok ? "no core dumps, at most " + std::to_string(limits.processes) + " processes" + memory : reason("setrlimit")};
}

bool let(int ruleset, const char* path, uint64_t rights) {
  const Fd parent(open(path, O_PATH | O_CLOEXEC));
  if (!parent) return errno == ENOENT;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = parent.get();
  return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

SandboxLayer job_landlock() {
  const auto no = [](const std::string& why) { return SandboxLayer{"landlock", false, why}; };
  const long version = landlock_version();
  if (version < 1) return no(reason("landlock"));
  const LandlockRules rules = landlock_rules(version);
  const Fd fd(static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0)));
  if (!fd) return no(reason("landlock_create_ruleset"));
  constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  // Nothing of /proc: to the kernel a job of a site that is root's is root's too, and may set what /proc/sys holds.
  bool ok = let(fd.get(), "/", kRead);
  for (const char* path : kJobWrites) ok = ok && let(fd.get(), path, rules.handled_access_fs);
  if (!ok) return no(reason("landlock_add_rule"));
  if (syscall(SYS_landlock_restrict_self, fd.get(), 0) != 0) return no(reason("landlock_restrict_self"));
  return {"landlock", true,
          "Landlock (version " + std::to_string(version) + ") lets it write below /opt/ml, /tmp and /dev only" +
              (version >= 4 ? ", and connect to no port" : "")};
}

// Where memory runs out, it is a job that goes, not the site.
void go_first() {
  const Fd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (file) (void)!write(file.get(), "1000", 4);
}

// All below an open folder: directories are moved up to it and emptied one by one, so that no depth is too deep, and
// are given back the rights that were taken from them.
Status empty_folder(int top) {
  uint64_t moved = 0;
  for (bool again = true; again;) {
    again = false;
    const int copy = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const list = copy < 0 ? nullptr : fdopendir(copy);
    if (!list) return errno_error(errno, "read", "a job's folder");
    for (dirent* entry = nullptr; (entry = readdir(list));) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == ".." || unlinkat(top, entry->d_name, 0) == 0) continue;
      if (errno != EISDIR || fchmodat(top, entry->d_name, 0700, 0) != 0) continue;  // chmod would follow a link
      if (unlinkat(top, entry->d_name, AT_REMOVEDIR) == 0) continue;
      const Fd inner(openat(top, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      DIR* const below = inner ? fdopendir(dup(inner.get())) : nullptr;
      if (!below) continue;
      for (dirent* e = nullptr; (e = readdir(below));) {
        const std::string_view n = e->d_name;
        if (n == "." || n == ".." || unlinkat(inner.get(), e->d_name, 0) == 0) continue;
        if (errno != EISDIR || fchmodat(inner.get(), e->d_name, 0700, 0) != 0) continue;
        again |= renameat(inner.get(), e->d_name, top, (".moved-" + std::to_string(moved++)).c_str()) == 0;
      }
      closedir(below);
      again |= unlinkat(top, entry->d_name, AT_REMOVEDIR) == 0;
    }
    closedir(list);
  }
  return {};
}

}  // namespace

Status remove_job_folder(const std::string& path) {
  const Fd top(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top) return errno == ENOENT ? Status() : Status(errno_error(errno, "open", path));
  TRY(empty_folder(top.get()));
  if (rmdir(path.c_str()) != 0) return errno_error(errno, "remove", path);
  return {};
}

uint64_t room_left(const std::string& path) {
  struct statvfs at {};
  if (statvfs(path.c_str(), &at) != 0) return 0;
  const uint64_t kept = std::min(uint64_t{512} << 20, uint64_t{at.f_blocks} * at.f_frsize / 20);
  const uint64_t free = uint64_t{at.f_bavail} * at.f_frsize;
  return free > kept ? free - kept : 0;
}

Result<Sandbox> enter_job_sandbox(const JobLimits& limits, const std::vector<int>& keep) {
  if (unshare(CLONE_THREAD) != 0) return fail(Code::invalid, "sandbox: has to be entered before threads are started");
  go_first();
  Sandbox out;
  out.layers.push_back(close_descriptors(keep));
  for (SandboxLayer layer : {network_namespace(), pid_namespace(), own_root(), job_limits(limits)})
    out.layers.push_back(std::move(layer));
  out.layers.push_back(drop_privileges());
  const size_t needed = out.layers.size();
  out.layers.push_back(job_landlock());
  out.layers.push_back(install_job_filter(out.refusals));
  for (size_t i = 0; i < out.layers.size(); ++i)
    if (!out.layers[i].holds && i != needed)
      return fail(Code::unavailable, "the sandbox does not hold: " + out.layers[i].name + ": " + out.layers[i].detail);
  return out;
}

}  // namespace hf::os
