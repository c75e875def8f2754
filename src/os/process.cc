#include "os/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>

#include "os/clock.h"
#include "os/errors.h"
#include "os/thread.h"

namespace hf::os {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

namespace {

constexpr unsigned long kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS;

// All that the child needs between clone and exec, made before: after the clone of a process with threads only
// async-signal-safe calls are allowed, so no allocation.
struct Plan {
  const char* program;
  std::vector<char*> argv, envp;
  std::vector<std::pair<int, int>> descriptors;  // sorted by the child's number
  std::vector<int> moved;                        // room for the copies above every target
  int first_free = 3;                            // above every target
  bool die_with_parent = true;
  bool user_namespace = false;
  bool new_session = false, append_outputs = false;
  char uid_map[64], gid_map[64];
};

// What the child tells through the status pipe: where it failed, and errno. Nothing: exec worked.
enum Step : int { at_parent = 1, at_map, at_session, at_descriptors, at_close, at_exec };
const char* const kSteps[] = {
    "", "parent is gone", "map the user", "new session", "place descriptors", "close descriptors", "execute"};
struct Report {
  int step, number;
};

// Between clone and exec the kernel is called directly where the C library's function may be wrapped (sanitizers): the
// wrapper's locks may be held by a thread that does not exist in the child.
namespace raw {
int open(const char* path, int flags) { return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, 0)); }
int close(int fd) { return static_cast<int>(syscall(SYS_close, fd)); }
ssize_t write(int fd, const void* data, size_t n) { return syscall(SYS_write, fd, data, n); }
int dup(int from, int to) { return static_cast<int>(syscall(SYS_dup3, from, to, 0)); }  // from is never to
int control(int fd, int command, long argument) { return static_cast<int>(syscall(SYS_fcntl, fd, command, argument)); }
}  // namespace raw

[[noreturn]] void child_fail(int status, int step) {
  Report report{step, errno};
  ssize_t ignored = raw::write(status, &report, sizeof report);
  (void)ignored;
  _exit(127);
}

bool child_write(const char* path, const char* text) {
  int fd = raw::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const auto n = static_cast<ssize_t>(strlen(text));
  const bool ok = raw::write(fd, text, strlen(text)) == n;
  raw::close(fd);
  return ok;
}

void child_signals() {
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int s = 1; s < NSIG; ++s) sigaction(s, &plain, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(Plan& plan, int status) {
  child_signals();
  const int moved = raw::control(status, F_DUPFD_CLOEXEC, plan.first_free);
  if (moved < 0) child_fail(status, at_descriptors);
  status = moved;
  if (plan.die_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) child_fail(status, at_parent);
    // The parent may have ended before the line above. It alone holds the other end of the pipe: then this write
    // brings SIGPIPE.
    Report alive{0, 0};
    if (raw::write(status, &alive, sizeof alive) != sizeof alive) _exit(127);
  }
  if (plan.user_namespace) {
    // One user, the same inside and outside. The kernel wants setgroups off before an unprivileged gid_map.
    if (!child_write("/proc/self/setgroups", "deny") || !child_write("/proc/self/uid_map", plan.uid_map) ||
        !child_write("/proc/self/gid_map", plan.gid_map)) {
      child_fail(status, at_map);
    }
  }
  if (plan.new_session && setsid() < 0) child_fail(status, at_session);
  // First all to numbers above every target, then down: no copy can overwrite one that is still to be copied.
  for (size_t i = 0; i < plan.descriptors.size(); ++i) {
    plan.moved[i] = raw::control(plan.descriptors[i].first, F_DUPFD_CLOEXEC, plan.first_free);
    if (plan.moved[i] < 0) child_fail(status, at_descriptors);
  }
  if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) child_fail(status, at_close);
  bool taken[3] = {false, false, false};
  for (size_t i = 0; i < plan.descriptors.size(); ++i) {
    const int target = plan.descriptors[i].second;
    if (raw::dup(plan.moved[i], target) < 0) child_fail(status, at_descriptors);
    if (target < 3) taken[target] = true;
  }
  int null = raw::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) child_fail(status, at_descriptors);
  for (int n = 0; n < 3; ++n) {
    if (!taken[n] && null != n && raw::dup(null, n) < 0) child_fail(status, at_descriptors);
    if (!taken[n] && null == n && raw::control(n, F_SETFD, 0) != 0) child_fail(status, at_descriptors);
  }
  for (int n = 1; n < 3 && plan.append_outputs; ++n) {
    const int flags = raw::control(n, F_GETFL, 0);
    if (flags < 0 || raw::control(n, F_SETFL, flags | O_APPEND) != 0) child_fail(status, at_descriptors);
  }
  execve(plan.program, plan.argv.data(), plan.envp.data());
  child_fail(status, at_exec);
}

struct Started {
  pid_t pid = -1;
  Fd pidfd;
  bool namespaces = false;
};

// clone without a stack of its own and without CLONE_VM: as fork, with the pidfd and the namespaces in the same step.
pid_t clone_process(unsigned long flags, int* pidfd) {
  return static_cast<pid_t>(syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, nullptr, pidfd, nullptr, 0L));
}

void reap(const Started& started) {
  int status = 0;
  ::kill(started.pid, SIGKILL);
  while (waitpid(started.pid, &status, 0) < 0 && errno == EINTR) {
  }
}

// Reads the child's reports until exec closes the pipe. A report with step 0 says only that the child is there.
Status read_reports(int status_pipe, const char* program) {
  for (;;) {
    Report report{};
    ssize_t n = read(status_pipe, &report, sizeof report);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) return {};
    if (n != sizeof report) return errno_error(n < 0 ? errno : EIO, "start", program);
    if (report.step == 0) continue;
    const char* step = report.step > 0 && report.step <= at_exec ? kSteps[report.step] : "?";
    return errno_error(report.number, std::string("start ") + program + ":", step);
  }
}

Result<Started> start_once(Plan& plan, unsigned long flags) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "pipe", "");
  Fd reading(ends[0]), writing(ends[1]);
  plan.user_namespace = (flags & CLONE_NEWUSER) != 0;
  // No handler of ours may run in the child: all signals wait until it has put the plain ones back.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Started started;
  int pidfd = -1;
  started.pid = clone_process(flags, &pidfd);
  if (started.pid == 0) {
    raw::close(reading.get());
    run_child(plan, writing.get());
  }
  const int number = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started.pid < 0) return errno_error(number, "start", plan.program);
  started.pidfd = Fd(pidfd);
  started.namespaces = flags != 0;
  writing = Fd();
  if (auto ok = read_reports(reading.get(), plan.program); !ok.ok()) {
    reap(started);
    return std::move(ok).error();
  }
  return started;
}

// With namespaces: a user namespace and all others; where user namespaces are closed but we are privileged, the others
// alone; else none, and the Child says so.
Result<Started> start(Plan& plan, bool namespaces) {
  if (namespaces) {
    if (auto s = start_once(plan, kNamespaces); s.ok()) return s;
    if (auto s = start_once(plan, kNamespaces & ~static_cast<unsigned long>(CLONE_NEWUSER)); s.ok()) return s;
  }
  return start_once(plan, 0);
}

class RealChild final : public Child {
 public:
  ~RealChild() override {
    {
      std::lock_guard hold(mutex_);
      if (!status_ && !detached_) {
        signal_locked(SIGKILL);
        int status = 0;
        while (waitpid(started_.pid, &status, 0) < 0 && errno == EINTR) {
        }
        status_ = status;
      }
    }
    {
      std::lock_guard hold(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    keeper_.join();
  }

  // PR_SET_PDEATHSIG fires when the *thread* that made the child ends, not the process. So each child has a thread that
  // lives exactly as long as this object.
  Status launch(Plan& plan, bool namespaces) {
    dies_with_parent_ = plan.die_with_parent;
    std::optional<Result<Started>> result;
    keeper_ = Thread("child-keeper", [&, this] {
      auto r = start(plan, namespaces);
      std::unique_lock hold(mutex_);
      result.emplace(std::move(r));
      changed_.notify_all();
      changed_.wait(hold, [this] { return done_; });
    });
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return result.has_value(); });
    if (!result->ok()) {
      status_ = 0;  // nothing to reap
      return std::move(*result).error();
    }
    started_ = std::move(**result);
    return {};
  }

  pid_t pid() const override { return started_.pid; }

  void kill(int signal) override {
    std::lock_guard hold(mutex_);
    if (!status_) signal_locked(signal);
  }

  Result<int> wait(int timeout_ms) override {
    {
      std::lock_guard hold(mutex_);
      if (status_) return *status_;
    }
    pollfd p{started_.pidfd.get(), POLLIN, 0};
    const int64_t until_us = real_clock().monotonic_us() + int64_t{timeout_ms} * 1000;
    for (int left_ms = timeout_ms; poll(&p, 1, left_ms) < 0 && errno == EINTR;) {
      if (timeout_ms >= 0)
        left_ms = static_cast<int>(std::max<int64_t>(0, (until_us - real_clock().monotonic_us() + 999) / 1000));
    }
    std::lock_guard hold(mutex_);
    if (status_) return *status_;
    int status = 0;
    pid_t got = waitpid(started_.pid, &status, WNOHANG);
    if (got < 0) return errno_error(errno, "wait for process", std::to_string(started_.pid));
    if (got == 0) return fail(Code::unavailable, "process " + std::to_string(started_.pid) + " still runs");
    status_ = status;
    return status;
  }

  void detach() override {
    check(!dies_with_parent_, "detach of a child that dies with its parent");
    std::lock_guard hold(mutex_);
    detached_ = true;
  }

  bool namespaces() const override { return started_.namespaces; }

 private:
  void signal_locked(int signal) {
    syscall(SYS_pidfd_send_signal, started_.pidfd.get(), signal, nullptr, 0U);  // fails only if it has ended
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int> status_;
  bool done_ = false, detached_ = false, dies_with_parent_ = false;
  Started started_;
  Thread keeper_;
};

Status check_spec(const Spawn& spec) {
  if (!spec.program.empty() && spec.program[0] != '/') {
    return fail(Code::invalid, "program to start: expected an absolute path, found " + spec.program);
  }
  std::vector<int> targets;
  for (auto [ours, theirs] : spec.descriptors) {
    if (ours < 0 || theirs < 0 || theirs > 1023) {
      return fail(Code::invalid, "descriptor " + std::to_string(ours) + " as " + std::to_string(theirs) +
                                     " in the child: expected numbers from 0 to 1023");
    }
    targets.push_back(theirs);
  }
  std::sort(targets.begin(), targets.end());
  if (std::adjacent_find(targets.begin(), targets.end()) != targets.end()) {
    return fail(Code::invalid, "two descriptors for one number in the child");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Child>> spawn(const Spawn& spec) {
  TRY(check_spec(spec));
  Plan plan;
  std::string program = spec.program.empty() ? "/proc/self/exe" : spec.program;
  std::string name = spec.program.empty() ? program_invocation_short_name : spec.program;
  std::vector<std::string> arguments = spec.arguments, environment = spec.environment;
  plan.program = program.c_str();
  plan.argv.push_back(name.data());
  for (auto& a : arguments) plan.argv.push_back(a.data());
  plan.argv.push_back(nullptr);
  for (auto& e : environment) plan.envp.push_back(e.data());
  plan.envp.push_back(nullptr);
  plan.descriptors = spec.descriptors;
  plan.moved.resize(plan.descriptors.size());
  for (auto [ours, theirs] : plan.descriptors) plan.first_free = std::max(plan.first_free, theirs + 1);
  plan.die_with_parent = spec.die_with_parent;
  plan.new_session = spec.new_session;
  plan.append_outputs = spec.append_outputs;
  std::snprintf(plan.uid_map, sizeof plan.uid_map, "%u %u 1", geteuid(), geteuid());
  std::snprintf(plan.gid_map, sizeof plan.gid_map, "%u %u 1", getegid(), getegid());
  auto child = std::make_unique<RealChild>();
  TRY(child->launch(plan, spec.new_namespaces));
  return child;
}

Status no_core_dumps() {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return errno_error(errno, "setrlimit", "RLIMIT_CORE");
  const char* const path = "/proc/self/coredump_filter";
  const Fd filter(::open(path, O_WRONLY | O_CLOEXEC));
  if (!filter) return errno == ENOENT ? Status() : Status(errno_error(errno, "open", path));  // a kernel without dumps
  if (::write(filter.get(), "0", 1) != 1) return errno_error(errno, "write", path);
  return {};
}

Result<std::pair<Fd, Fd>> socket_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "socketpair", "");
  return std::pair<Fd, Fd>(Fd(ends[0]), Fd(ends[1]));
}

Status send_all(int socket, std::string_view data, std::span<const int> descriptors) {
  if (descriptors.size() > kMaxSentDescriptors || (!descriptors.empty() && data.empty())) {
    return fail(Code::invalid, "send: expected at most " + std::to_string(kMaxSentDescriptors) +
                                   " descriptors and a byte to carry them, found " +
                                   std::to_string(descriptors.size()));
  }
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxSentDescriptors)] = {};
  while (!data.empty()) {
    iovec part{const_cast<char*>(data.data()), data.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(descriptors.size_bytes());
      std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "send", "to a process");
    data.remove_prefix(static_cast<size_t>(n));
    descriptors = {};
  }
  return {};
}

Result<size_t> receive(int socket, std::span<char> out, std::vector<Fd>& descriptors) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxSentDescriptors)];
  iovec part{out.data(), out.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = 0;
  do {
    n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno_error(errno, "receive", "from a process");
  std::vector<Fd> got;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
      got.emplace_back(fd);
    }
  }
  if (message.msg_flags & MSG_CTRUNC)
    return fail(Code::invalid, "receive: more descriptors than expected in one message");
  for (auto& fd : got) descriptors.push_back(std::move(fd));
  return static_cast<size_t>(n);
}

}  // namespace hf::os
