#include "os/sandbox_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "os/seccomp_filter.h"

namespace hf::os {
namespace {

// A signal handler has no other way to its data: one of the few process-wide variables. -1: no filter.
std::atomic<int64_t> refused{-1};

// The kernel has not made the call (SECCOMP_RET_TRAP); it goes on as if the call had answered EPERM. But for one: the C
// library's fstat() is newfstatat() with an empty path, and no filter can see whether a path is empty (the flag for it
// does not keep a longer path from being looked up). So that one is made here, as the fstat that it means.
void on_refused(int, siginfo_t*, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (registers[REG_RAX] == SCMP_SYS(newfstatat) && registers[REG_R10] == AT_EMPTY_PATH &&
      *reinterpret_cast<const char*>(registers[REG_RSI]) == '\0') {
    const int before = errno;
    const long rc = syscall(SCMP_SYS(fstat), registers[REG_RDI], registers[REG_RDX]);
    registers[REG_RAX] = rc == 0 ? 0 : -errno;
    errno = before;
    return;
  }
  refused.fetch_add(1, std::memory_order_relaxed);
  registers[REG_RAX] = -EPERM;
}

// What computing, threads and talking over sockets that are open already need. Nothing here opens a path, makes a
// socket, starts a program or looks at another process.
constexpr int kAllowed[] = {
    // descriptors that it has
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
    SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(shutdown),
    // memory (mmap and mprotect: below)
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    // threads and time
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(exit), SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
    SCMP_SYS(restart_syscall), SCMP_SYS(membarrier), SCMP_SYS(getrandom),
    // signals of its own
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    // what it is
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(sysinfo),
    SCMP_SYS(uname)};

void add_rules(Filter& filter) {
  for (const int call : kAllowed) filter.add(SCMP_ACT_ALLOW, call);
  // Memory that can be written is never executable. The regex compiler asks and then interprets: no refusal to count.
  // And none is shared: shared memory of nobody's file is not in what the limit of data counts.
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(mmap),
             {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_TYPE, MAP_PRIVATE)});
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    filter.add(SCMP_ACT_ERRNO(EPERM), call, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)});
  }
  // Threads, not processes. clone3 hides its flags behind a pointer; without it the C library takes clone.
  constexpr uint64_t kThread = CLONE_VM | CLONE_THREAD;
  constexpr uint64_t kWatched = kThread | CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
                                CLONE_NEWUTS | CLONE_NEWCGROUP;
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(clone), {SCMP_A0(SCMP_CMP_MASKED_EQ, kWatched, kThread)});
  filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)});
  for (const uint64_t command : {F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC})
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {SCMP_A1(SCMP_CMP_EQ, command)});
  filter.add(SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), {SCMP_A1(SCMP_CMP_EQ, TCGETS)});  // isatty() of stdio
  // Over a connection that is there, as send(): an address of its own is a way out, refused and told.
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(sendto), {SCMP_A4(SCMP_CMP_EQ, 0)});
  // Reading limits, not setting them.
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), {SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)});
  if (kSanitized)
    for (const int call : {SCMP_SYS(pipe), SCMP_SYS(pipe2)}) filter.add(SCMP_ACT_ALLOW, call);
  // abort() and the like: signals to itself.
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), {SCMP_A0(SCMP_CMP_EQ, static_cast<uint64_t>(getpid()))});
}

}  // namespace

SandboxLayer install_filter(Fd* listener) {
  const auto no = [](int error) {
    return SandboxLayer{"seccomp", false, std::string("seccomp: ") + std::strerror(error)};
  };
  struct sigaction action {};
  action.sa_sigaction = on_refused;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, SIGSYS);
  if (sigaction(SIGSYS, &action, nullptr) != 0 || sigprocmask(SIG_UNBLOCK, &only, nullptr) != 0) return no(errno);
  const std::string lets = "seccomp lets it make " + std::to_string(std::size(kAllowed)) +
                           " kinds of system calls, and some others with fixed arguments";
  if (listener && !kSanitized) {
    Filter told(SCMP_ACT_NOTIFY);
    add_rules(told);
    // What on_refused() makes of it needs this process: see there.
    told.add(SCMP_ACT_TRAP, SCMP_SYS(newfstatat), {SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH)});
    if (told.load()) {
      *listener = told.listener();
      return {"seccomp", true, lets + "; the site records each other one"};
    }
  }
  Filter filter(SCMP_ACT_TRAP);
  add_rules(filter);
  if (!filter.load()) return no(filter.error());
  refused.store(0);
  return {"seccomp", true, lets};
}

int64_t refused_system_calls() { return refused.load(std::memory_order_relaxed); }

}  // namespace hf::os
