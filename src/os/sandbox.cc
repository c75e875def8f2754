#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "os/sandbox_filter.h"
#include "os/sandbox_layers.h"

namespace hf::os {
namespace {

constexpr unsigned kLandlockVersion = 1;  // flag: ask for the version
uint64_t landlock_fs(long version) {
  uint64_t bits = (1 << 13) - 1;      // execute, write, read, read and change folders, make every kind
  if (version >= 2) bits |= 1 << 13;  // refer
  if (version >= 3) bits |= 1 << 14;  // truncate
  if (version >= 5) bits |= 1 << 15;  // ioctl on devices
  return bits;
}

bool write_text(const char* path, const std::string& text) {
  const Fd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

SandboxLayer set_limits(const SandboxOptions& options) {
  const auto set = [](__rlimit_resource which, uint64_t value) {
    rlimit old{};
    if (getrlimit(which, &old) != 0) return false;
    const rlim_t v = std::min<rlim_t>(value, old.rlim_max);
    const rlimit now{v, v};
    return setrlimit(which, &now) == 0;
  };
  bool ok = set(RLIMIT_CORE, 0) && set(RLIMIT_NOFILE, options.descriptors) && set(RLIMIT_FSIZE, options.file_bytes) &&
            set(RLIMIT_MEMLOCK, 0) && set(RLIMIT_MSGQUEUE, 0);
  const bool bounded = options.memory_bytes > 0 && !kSanitized;
  if (bounded) ok &= set(RLIMIT_DATA, options.memory_bytes);
  const std::string memory = bounded ? ", " + human_bytes(options.memory_bytes) + " of data" : "";
  return {"limits", ok,
          ok ? "no core dumps, at most " + std::to_string(options.descriptors) + " descriptors" + memory
             : reason("setrlimit")};
}

// New namespaces for this process, on top of those that os::spawn made. Each is asked for alone after the first, so
// that one that is closed does not cost the others.
void enter_namespaces(std::vector<SandboxLayer>& layers, bool& own_mounts) {
  const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
  const bool user = unshare(CLONE_NEWUSER) == 0;
  const std::string why = user ? "" : reason("unshare");
  if (user) {
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", uid + " " + uid + " 1");
    write_text("/proc/self/gid_map", gid + " " + gid + " 1");
  }
  layers.push_back({"user namespace", user, user ? "rights of its own user namespace only" : why});
  const struct {
    int flag;
    const char *name, *holds;
  } rows[] = {{CLONE_NEWNET, "network namespace", "a network of its own, with no interface up"},
              {CLONE_NEWNS, "mount namespace", "mounts of its own"},
              {CLONE_NEWIPC, "ipc namespace", "System V and POSIX queues of its own"},
              {CLONE_NEWUTS, "uts namespace", "a host name of its own"}};
  for (const auto& row : rows) {
    const bool ok = unshare(row.flag) == 0;
    layers.push_back({row.name, ok, ok ? row.holds : reason("unshare")});
    if (row.flag == CLONE_NEWNS) own_mounts = ok;
  }
  const bool pid = getpid() == 1;
  layers.push_back({"pid namespace", pid, pid ? "sees no process but its own" : "was not made when it was started"});
}

// A tmpfs of nothing becomes the root, and the old one goes. Only within mounts of our own.
SandboxLayer empty_root(bool own_mounts) {
  const SandboxLayer holds{"empty root", true, "paths name an empty, read-only file system"};
  const auto no = [](const char* call) { return SandboxLayer{"empty root", false, reason(call)}; };
  if (!own_mounts) return {"empty root", false, "needs a mount namespace"};
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return no("mount private");
  if (mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=0555") != 0)
    return no("mount tmpfs");
  if (chdir("/proc") != 0) return no("chdir");
  // With both paths the same the old root ends up on top of the new one, from where it is taken off (pivot_root(2)).
  if (syscall(SYS_pivot_root, ".", ".") != 0) return no("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return no("umount");
  if (chdir("/") != 0) return no("chdir");
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return no("mount read-only");
  return holds;
}

SandboxLayer not_dumpable() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return {"not dumpable", false, reason("prctl")};
  return {"not dumpable", true, "its memory is closed to other processes of the same user"};
}

SandboxLayer landlock() {
  const auto no = [](const std::string& why) { return SandboxLayer{"landlock", false, why}; };
  const long version = landlock_version();
  if (version < 1) return no(reason("landlock"));
  const LandlockRules rules = landlock_rules(version);
  const Fd fd(static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0)));
  if (!fd) return no(reason("landlock_create_ruleset"));
  if (syscall(SYS_landlock_restrict_self, fd.get(), 0) != 0) return no(reason("landlock_restrict_self"));
  return {"landlock", true,
          "Landlock (version " + std::to_string(version) + ") lets it open no file" +
              (version >= 4 ? " and connect to no port" : "")};
}

}  // namespace

std::string reason(const char* call) { return std::string(call) + ": " + std::strerror(errno); }

long landlock_version() { return syscall(SYS_landlock_create_ruleset, nullptr, 0, kLandlockVersion); }

LandlockRules landlock_rules(long version) {
  LandlockRules rules{landlock_fs(version), 0, 0};
  if (version >= 4) rules.handled_access_net = 3;  // bind and connect, TCP
  if (version >= 6) rules.scoped = 3;              // abstract sockets and signals stay within
  return rules;
}

SandboxLayer close_descriptors(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned from = 3;
  bool ok = true;
  for (const int fd : keep) {
    if (fd < 3) continue;
    if (static_cast<unsigned>(fd) > from) ok &= syscall(SYS_close_range, from, static_cast<unsigned>(fd) - 1, 0) == 0;
    from = static_cast<unsigned>(fd) + 1;
  }
  ok &= syscall(SYS_close_range, from, ~0U, 0) == 0;
  return {"descriptors", ok,
          ok ? "all but " + std::to_string(3 + keep.size()) + " descriptors are closed" : reason("close_range")};
}

SandboxLayer drop_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return {"no new privileges", false, reason("prctl")};
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return {"no new privileges", false, reason("capset")};
  return {"no new privileges", true, "no capability is left, and no program can give one back"};
}

std::vector<std::string> Sandbox::holding() const {
  std::vector<std::string> out;
  for (const SandboxLayer& layer : layers)
    if (layer.holds) out.push_back(layer.name);
  return out;
}

std::string Sandbox::words() const {
  std::string holds, missing;
  for (const SandboxLayer& layer : layers) {
    std::string& text = layer.holds ? holds : missing;
    text += (text.empty() ? "" : "; ") + layer.name + ": " + layer.detail;
  }
  return "Holds: " + (holds.empty() ? "nothing" : holds) + "." +
         (missing.empty() ? "" : " Does not hold here: " + missing + ".");
}

Result<Sandbox> enter_sandbox(const SandboxOptions& options) {
  if (unshare(CLONE_THREAD) != 0)  // changes nothing, and the kernel refuses it to a process with several threads
    return fail(Code::invalid, "sandbox: has to be entered before threads are started");
  Sandbox out;
  out.layers.push_back(close_descriptors(options.keep));
  out.layers.push_back(set_limits(options));
  bool own_mounts = false;
  enter_namespaces(out.layers, own_mounts);
  out.net_dev = Fd(open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC));
  out.net_snmp = Fd(open("/proc/self/net/snmp", O_RDONLY | O_CLOEXEC));
  out.layers.push_back(empty_root(own_mounts));
  out.layers.push_back(drop_privileges());
  out.layers.push_back(not_dumpable());
  out.layers.push_back(landlock());
  out.layers.push_back(install_filter(options.tell_refusals ? &out.refusals : nullptr));
  return out;
}

}  // namespace hf::os
