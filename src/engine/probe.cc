#include "engine/probe.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "engine/prober.h"

namespace hf::engine {
namespace {

constexpr size_t kMaxFiles = 64;
constexpr int kDescriptors = 4096;  // numbers that are walked; the sandbox allows 512

void try_files(Prober& prober, const std::vector<std::string>& files) {
  const auto open_file = [&](const std::string& name, const std::string& path, int flags) {
    prober.attempt(name, (flags & O_CREAT ? "create " : "open ") + path, [&]() -> std::string {
      const os::Fd fd(open(path.c_str(), flags | O_CLOEXEC, 0600));
      return fd ? "opened" : "";
    });
  };
  for (size_t i = 0; i < files.size() && i < kMaxFiles; ++i) open_file("site file", files[i], O_RDONLY);
  open_file("system file", "/etc/passwd", O_RDONLY);
  open_file("own program", "/proc/self/exe", O_RDONLY);
  open_file("new file", "/tmp/holdfast-probe", O_WRONLY | O_CREAT | O_EXCL);
}

void try_descriptors(Prober& prober, const std::vector<int>& allowed) {
  prober.attempt("inherited descriptor", "fcntl on every number below " + std::to_string(kDescriptors), [&] {
    std::string found;
    for (int fd = 0; fd < kDescriptors; ++fd) {
      if (std::find(allowed.begin(), allowed.end(), fd) != allowed.end()) continue;
      if (fcntl(fd, F_GETFD) >= 0) found += (found.empty() ? "descriptor " : ", ") + std::to_string(fd);
    }
    if (found.empty()) errno = EBADF;
    return found;
  });
  prober.attempt("send over any descriptor", "sendto 192.0.2.53 port 53 over descriptors 0 to 15", [] {
    std::string sent;
    for (int fd = 0; fd < 16; ++fd)
      if (send_datagram(fd, "192.0.2.53", 53)) sent += (sent.empty() ? "descriptor " : ", ") + std::to_string(fd);
    return sent;
  });
}

void try_processes(Prober& prober, bool own_processes) {
  const pid_t parent = getppid() > 0 ? getppid() : 1;  // 0: it is outside our process namespace
  const std::string who = std::to_string(parent);
  // Where children may be made, the child is the one that tries.
  prober.attempt("child process", "fork, and connect TCP 192.0.2.1 port 443 in the child", [&]() -> std::string {
    const pid_t child = fork();
    if (child == 0) _exit(connects_tcp("192.0.2.1", 443) ? 0 : errno);
    if (child < 0) return "";
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "the child reached it";
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
    return "";
  });
  if (!own_processes)
    prober.attempt("exec", "execve /bin/sh", []() -> std::string {
      // Only tried where it is refused: were it not, there would be no worker left to report it.
      const os::Fd fd(open("/bin/sh", O_RDONLY | O_CLOEXEC));
      if (fd) return "/bin/sh is there to run";
      char shell[] = "/bin/sh", option[] = "-c", command[] = "exit 0";
      char* const arguments[] = {shell, option, command, nullptr};
      char* const environment[] = {nullptr};
      execve(shell, arguments, environment);
      return "";
    });
  prober.attempt("ptrace", "ptrace the parent, process " + who, [&]() -> std::string {
    if (ptrace(PTRACE_ATTACH, parent, nullptr, nullptr) != 0) return "";
    ptrace(PTRACE_DETACH, parent, nullptr, nullptr);
    return "attached";
  });
  if (!own_processes)
    prober.attempt("parent's environment", "open /proc/" + who + "/environ", [&]() -> std::string {
      const os::Fd fd(open(("/proc/" + who + "/environ").c_str(), O_RDONLY | O_CLOEXEC));
      return fd ? "opened" : "";
    });
  prober.attempt("parent's memory", "process_vm_readv of process " + who, [&]() -> std::string {
    char byte = 0;
    iovec here{&byte, 1}, there{reinterpret_cast<void*>(uintptr_t{0x400000}), 1};
    return process_vm_readv(parent, &here, 1, &there, 1, 0) >= 0 ? "read" : "";
  });
  if (!own_processes)
    prober.attempt("signal", "kill(" + who + ", 0)",
                   [&]() -> std::string { return kill(parent, 0) == 0 ? "allowed" : ""; });
}

void try_kernel(Prober& prober, bool own_processes) {
  if (!own_processes)
    prober.attempt("executable memory", "mmap of memory to write and execute", []() -> std::string {
      void* p = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (p == MAP_FAILED) return "";
      munmap(p, 4096);
      return "mapped";
    });
  prober.attempt("namespaces", "unshare a user namespace",
                 []() -> std::string { return unshare(CLONE_NEWUSER) == 0 ? "a new user namespace" : ""; });
  prober.attempt("network namespace", "unshare a network namespace",
                 []() -> std::string { return unshare(CLONE_NEWNET) == 0 ? "a new network namespace" : ""; });
  // Interfaces that have often been the way around a filter or into the kernel.
  const struct {
    const char *name, *tried;
    long number, first, second;
  } rows[] = {{"io_uring", "io_uring_setup", SYS_io_uring_setup, 1, 0},
              {"bpf", "bpf", SYS_bpf, 0, 0},
              {"perf", "perf_event_open", SYS_perf_event_open, 0, 0},
              {"userfaultfd", "userfaultfd", SYS_userfaultfd, 0, 0},
              {"keys", "keyctl: join a session keyring", SYS_keyctl, 1, 0},
              {"another's descriptor", "pidfd_getfd", SYS_pidfd_getfd, 3, 0},
              {"another's namespace", "setns", SYS_setns, 0, CLONE_NEWNET},
              {"file by handle", "open_by_handle_at", SYS_open_by_handle_at, 0, 0},
              {"mount", "fsopen", SYS_fsopen, 0, 0},
              {"root", "chroot", SYS_chroot, 0, 0},
              {"kernel module", "init_module", SYS_init_module, 0, 0},
              {"kernel log", "syslog", SYS_syslog, 3, 0},
              {"clock", "clock_settime", SYS_clock_settime, 0, 0}};
  for (const auto& row : rows)
    prober.attempt(row.name, row.tried, [&]() -> std::string {
      const long got = syscall(row.number, row.first, row.second, 0, 0, 0);
      return got >= 0 ? "got " + std::to_string(got) : "";
    });
  if (!own_processes)
    prober.attempt("memory file", "memfd_create",
                   []() -> std::string { return memfd_create("probe", 0) >= 0 ? "made" : ""; });
}

std::string read_whole(int fd) {
  std::string out(16'384, '\0');
  const ssize_t n = fd >= 0 ? pread(fd, out.data(), out.size(), 0) : -1;
  out.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (const std::string_view word : split(line, ' '))
    if (!trim(word).empty()) out.push_back(trim(word));
  return out;
}

// /proc/net/dev: after two lines of titles, "name: bytes packets ...", the tenth number being packets sent.
void count_interfaces(const std::string& text, std::map<std::string, int64_t>& out) {
  if (text.empty()) return;
  int64_t interfaces = 0, sent = 0, received = 0;
  for (const std::string_view line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto words = words_of(line.substr(colon + 1));
    if (words.size() < 10) continue;
    ++interfaces;
    received += parse_int(words[1]).value_or(0);
    sent += parse_int(words[9]).value_or(0);
  }
  out["network interfaces"] = interfaces;
  out["packets sent"] = sent;
  out["packets received"] = received;
}

// /proc/net/snmp: a line of names, then a line of values, for each protocol.
void count_protocols(const std::string& text, std::map<std::string, int64_t>& out) {
  const auto lines = split(text, '\n');
  for (size_t i = 0; i + 1 < lines.size(); i += 2) {
    const auto names = words_of(lines[i]), values = words_of(lines[i + 1]);
    if (names.size() != values.size() || names.empty() || names[0] != values[0]) continue;
    for (size_t k = 1; k < names.size(); ++k) {
      const std::string name = std::string(names[0].substr(0, names[0].size() - 1)) + " " + std::string(names[k]);
      if (name == "Ip OutRequests" || name == "Udp OutDatagrams" || name == "Tcp ActiveOpens")
        out[name] = parse_int(values[k]).value_or(-1);
    }
  }
}

}  // namespace

rpc::ProbeReport probe(const rpc::ProbeTask& task, const os::Sandbox& sandbox, const std::vector<int>& allowed) {
  rpc::ProbeReport report;
  Prober prober(report);
  const int64_t refused_before = os::refused_system_calls();
  const bool port_given = task.tcp_port > 0 && task.tcp_port < 65536;
  try_network(prober, port_given ? static_cast<uint16_t>(task.tcp_port) : uint16_t{80});
  try_unix(prober, task.unix_socket);
  try_files(prober, task.files);
  try_descriptors(prober, allowed);
  try_processes(prober, false);
  try_kernel(prober, false);
  if (refused_before >= 0)
    report.counters["system calls refused"] = os::refused_system_calls() - refused_before - prober.marks();
  count_interfaces(read_whole(sandbox.net_dev.get()), report.counters);
  count_protocols(read_whole(sandbox.net_snmp.get()), report.counters);
  return report;
}

rpc::ProbeReport probe_job(const rpc::ProbeTask& task) {
  rpc::ProbeReport report;
  Prober prober(report);
  try_network(prober, task.tcp_port > 0 ? static_cast<uint16_t>(task.tcp_port) : uint16_t{80});
  try_unix(prober, task.unix_socket);
  try_descriptors(prober, {0, 1, 2});
  try_processes(prober, true);
  try_kernel(prober, true);
  const os::Fd dev(open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC)), snmp(open("/proc/self/net/snmp", O_RDONLY));
  count_interfaces(read_whole(dev.get()), report.counters);
  count_protocols(read_whole(snmp.get()), report.counters);
  return report;
}

}  // namespace hf::engine
