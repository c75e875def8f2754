#include "os/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <span>
#include <thread>

#include "os/sandbox_filter.h"

namespace hf::os {
namespace {

// Runs `body` in a child and gives what it returned (at most 100), or -1 for any other end.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  check(child >= 0, "fork");
  if (child == 0) _exit(body());
  int status = 0;
  check(waitpid(child, &status, 0) == child, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (kThreadSanitized) GTEST_SKIP() << "no sandbox beside the sanitizer's own thread";
  }
};

bool holds(const Sandbox& sandbox, const std::string& name) {
  for (const auto& layer : sandbox.layers)
    if (layer.name == name) return layer.holds;
  return false;
}

TEST_F(SandboxTest, EveryLayerSaysWhetherItHolds) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({{ends[1]}});
              if (!sandbox.ok()) return 1;
              const std::string words = sandbox->words();
              if (write(ends[1], words.data(), words.size()) != static_cast<ssize_t>(words.size())) return 2;
              for (const auto& layer : sandbox->layers)
                if (layer.detail.empty()) return 3;
              return sandbox->layers.size() == 13 ? 0 : 4;
            }),
            0);
  close(ends[1]);
  std::string words(10'000, '\0');
  const ssize_t n = read(ends[0], words.data(), words.size());
  close(ends[0]);
  ASSERT_GT(n, 0);
  words.resize(static_cast<size_t>(n));
  EXPECT_NE(words.find("seccomp lets it make"), std::string::npos) << words;
  EXPECT_NE(words.find("no core dumps"), std::string::npos) << words;
  RecordProperty("words", words);
}

// Whatever the kernel has, these are refused, by one layer or the other.
TEST_F(SandboxTest, NothingNewCanBeReached) {
  const int low = open("/etc/passwd", O_RDONLY);
  const int file = fcntl(low, F_DUPFD, 200);  // a number that the sandbox does not give away again
  EXPECT_EQ(
      in_child([&] {
        auto sandbox = enter_sandbox({});
        if (!sandbox.ok()) return 1;
        char byte = 0;
        if (read(file, &byte, 1) >= 0 || errno != EBADF) return 2;  // not in the list: closed
        if (open("/etc/passwd", O_RDONLY) >= 0) return 3;
        if (open("/proc/self/environ", O_RDONLY) >= 0) return 4;
        if (socket(AF_INET, SOCK_STREAM, 0) >= 0) return 5;
        if (socket(AF_INET6, SOCK_DGRAM, 0) >= 0) return 6;
        if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) return 7;
        if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0) return 8;
        if (fork() >= 0) return 9;
        if (execl("/bin/sh", "sh", "-c", "exit 0", nullptr) == 0) return 10;
        if (ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0) return 11;
        if (kill(getppid(), 0) == 0) return 12;
        if (mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
          return 13;
        rlimit limit{};
        if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) return 14;
        return 0;
      }),
      0);
  close(file);
  close(low);
}

// The calls that may be made, once more and on purpose: whoever allows another one says so here too. Of those that are
// allowed with some arguments only, the second list.
constexpr long kMayBeMade[] = {
    // descriptors that it has
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_close, SYS_fstat, SYS_lseek,
    SYS_ftruncate, SYS_fsync, SYS_fdatasync, SYS_poll, SYS_ppoll, SYS_recvmsg, SYS_recvfrom, SYS_sendmsg, SYS_shutdown,
    // memory
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
    // threads and time
    SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_sched_yield, SYS_sched_getaffinity, SYS_gettid, SYS_getpid,
    SYS_getppid, SYS_exit, SYS_exit_group, SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_restart_syscall, SYS_membarrier, SYS_getrandom,
    // signals of its own
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack,
    // what it is
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getrusage, SYS_sysinfo, SYS_uname};
constexpr long kOnlySoOrSo[] = {SYS_mmap,       SYS_mprotect, SYS_clone,     SYS_clone3, SYS_prctl,
                                SYS_newfstatat, SYS_fcntl,    SYS_prlimit64, SYS_tgkill, SYS_sendto};

// uretprobe and uprobe (Linux 6.11 and later): the kernel's own trampolines for tracing, which seccomp lets pass; from
// anywhere else they do nothing but end the process (SIGILL).
constexpr long kTrampolines[] = {335, 336};

bool in(std::span<const long> calls, long call) { return std::find(calls.begin(), calls.end(), call) != calls.end(); }

// Among the others: execve, execveat, ptrace, process_vm_readv, io_uring_setup, memfd_create, userfaultfd, bpf, keyctl,
// perf_event_open, open_by_handle_at, pidfd_getfd, unshare, setns, mount, shmget, socketpair, pipe, kill, ...
TEST_F(SandboxTest, EveryOtherSystemCallIsRefusedByNumber) {
  if (kSanitized) GTEST_SKIP() << "sanitizers are allowed pipes";
  constexpr long kPastTheLast = 600;  // beyond what any kernel knows today: those to come are refused too
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int code = in_child([&] {
    auto sandbox = enter_sandbox({{ends[1]}});
    if (!sandbox.ok()) return 1;
    if (!holds(*sandbox, "seccomp")) return 0;  // says so
    for (long call = 0; call < kPastTheLast; ++call) {
      if (in(kMayBeMade, call) || in(kOnlySoOrSo, call) || in(kTrampolines, call)) continue;
      const int64_t before = refused_system_calls();
      errno = 0;
      const long rc = syscall(call, -1L, -1L, -1L, -1L, -1L, -1L);
      if (rc == -1 && errno == EPERM && refused_system_calls() == before + 1) continue;
      if (write(ends[1], &call, sizeof call) != sizeof call) return 2;
      return 3;
    }
    return 0;
  });
  close(ends[1]);
  long call = -1;
  if (code == 3) {
    ASSERT_EQ(read(ends[0], &call, sizeof call), static_cast<ssize_t>(sizeof call));
  }
  close(ends[0]);
  EXPECT_EQ(code, 0) << "system call " << call;
}

TEST_F(SandboxTest, CallsWithArgumentsGoNoFurtherThanThose) {
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({});
              if (!sandbox.ok()) return 1;
              if (!holds(*sandbox, "seccomp")) return 0;
              struct stat s {};
              int step = 10;
              auto refused = [&](long rc) {
                ++step;
                return rc == -1 && errno == EPERM;
              };
              constexpr long kThread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES;
              // A path behind the flag that only allows an empty one.
              if (!refused(syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &s, AT_EMPTY_PATH))) return step;
              if (!refused(syscall(SYS_newfstatat, 0, "", &s, 0))) return step;
              if (!refused(syscall(SYS_clone, kThread | CLONE_NEWUSER, 0, 0, 0, 0))) return step;
              if (!refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))) return step;
              if (!refused(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0))) return step;
              if (!refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))) return step;
              if (!refused(prctl(PR_SET_SECCOMP, 0, 0, 0, 0))) return step;
              if (!refused(fcntl(0, F_SETFL, O_APPEND))) return step;
              if (!refused(fcntl(0, F_SETOWN, 1))) return step;
              if (!refused(fcntl(0, F_SETLK, nullptr))) return step;
              char byte = 'x';
              if (!refused(syscall(SYS_ioctl, 0, TIOCSTI, &byte))) return step;
              rlimit more{1 << 20, 1 << 20};
              if (!refused(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &more, nullptr))) return step;
              if (!refused(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, nullptr, &more))) return step;
              if (!refused(syscall(SYS_tgkill, getppid(), getppid(), 0))) return step;
              const sockaddr_in to{AF_INET, htons(53), {htonl(0xC0000235)}, {}};  // 192.0.2.53
              if (!refused(syscall(SYS_sendto, 0, &byte, 1, 0, &to, sizeof to))) return step;
              void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              if (page == MAP_FAILED) return 2;
              if (!refused(mprotect(page, 4096, PROT_READ | PROT_EXEC))) return step;
              // fstat works as ever, and is no refusal.
              const int64_t before = refused_system_calls();
              if (fstat(0, &s) != 0 || s.st_mode == 0) return 3;
              if (fstat(99, &s) == 0 || errno != EBADF) return 4;
              if (syscall(SYS_newfstatat, 0, "", &s, AT_EMPTY_PATH) != 0) return 5;
              return refused_system_calls() == before ? 0 : 6;
            }),
            0);
}

// The other two doors into the kernel: x32's numbers, and the 32-bit interrupt, whose numbers mean other calls.
TEST_F(SandboxTest, OtherInstructionsForSystemCallsEndTheProcessOrAreRefused) {
  for (const bool x32 : {true, false}) {
    const int code = in_child([&] {
      auto sandbox = enter_sandbox({});
      if (!sandbox.ok()) return 1;
      if (!holds(*sandbox, "seccomp")) return 77;
      long rc = 0;
      if (x32) {
        rc = syscall(0x40000000L | SYS_getpid);
      } else {
        asm volatile("int $0x80" : "=a"(rc) : "0"(20L) : "memory");  // i386's getpid
      }
      return rc > 0 ? 2 : 77;
    });
    EXPECT_TRUE(code == -1 || code == 77) << (x32 ? "x32: " : "int 0x80: ") << code;
  }
}

TEST_F(SandboxTest, RefusalsAreCounted) {
  EXPECT_EQ(refused_system_calls(), -1);
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({});
              if (!sandbox.ok() || !holds(*sandbox, "seccomp")) return 1;
              const int64_t before = refused_system_calls();
              for (int i = 0; i < 5; ++i)
                if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 2;
              return refused_system_calls() - before == 5 && before == 0 ? 0 : 3;
            }),
            0);
}

TEST_F(SandboxTest, WorkGoesOn) {
  char name[] = "/tmp/hf-sandbox-XXXXXX";
  const int file = mkstemp(name);
  ASSERT_GE(file, 0);
  unlink(name);
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({{file}});
              if (!sandbox.ok()) return 1;
              if (pwrite(file, "hello", 5, 0) != 5 || ftruncate(file, 3) != 0 || fdatasync(file) != 0) return 2;
              struct stat s {};
              if (fstat(file, &s) != 0 || s.st_size != 3) return 3;
              if (mmap(nullptr, 3, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) return 4;
              std::string big(50'000'000, 'x');
              int sum = 0;
              std::thread other([&] { sum = big[1] == 'x' ? 7 : 0; });
              other.join();
              return sum == 7 && refused_system_calls() <= 0 ? 0 : 5;
            }),
            0);
  close(file);
}

TEST_F(SandboxTest, TheNetworkNamespaceIsEmpty) {
  EXPECT_EQ(in_child([&] {
              auto sandbox = enter_sandbox({});
              if (!sandbox.ok()) return 1;
              if (!holds(*sandbox, "network namespace")) return 0;  // says so
              std::string text(4096, '\0');
              const ssize_t n = read(sandbox->net_dev.get(), text.data(), text.size());
              if (n <= 0) return 2;
              text.resize(static_cast<size_t>(n));
              size_t interfaces = 0;
              for (size_t at = 0; (at = text.find(':', at)) != std::string::npos; ++at) ++interfaces;
              return interfaces == 1 && text.find("lo:") != std::string::npos ? 0 : 3;
            }),
            0);
}

TEST_F(SandboxTest, MemoryIsBounded) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need terabytes of addresses";
  EXPECT_EQ(
      in_child([&] {
        SandboxOptions options;
        options.memory_bytes = 512 << 20;
        auto sandbox = enter_sandbox(options);
        if (!sandbox.ok()) return 1;
        if (mmap(nullptr, size_t{1} << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
          return 2;
        // Shared memory is not in the kernel's count of data: it must not be had at all.
        if (!holds(*sandbox, "seccomp")) return 0;
        return mmap(nullptr, size_t{1} << 30, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                   ? 0
                   : 3;
      }),
      0);
}

TEST_F(SandboxTest, IsForOneThread) {
  EXPECT_EQ(in_child([&] {
              bool stop = false;
              std::atomic_ref<bool> flag(stop);
              std::thread other([&] {
                while (!flag.load()) std::this_thread::yield();
              });
              const bool refused = !enter_sandbox({}).ok();
              flag.store(true);
              other.join();
              return refused ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace hf::os
