#include "engine/probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/text.h"

namespace hf::engine {
namespace {

constexpr size_t kMaxFiles = 64;
constexpr int kDescriptors = 4096;  // numbers that are walked; the sandbox allows 512

std::string errno_name() {
  const char* name = strerrorname_np(errno);
  return name ? name : "errno " + std::to_string(errno);
}

class Prober {
 public:
  explicit Prober(rpc::ProbeReport& report) : report_(report) {}

  // `attempt` gives "" when it failed (errno says how), else what it got.
  void attempt(std::string name, std::string tried, const std::function<std::string()>& attempt) {
    errno = 0;
    std::string got = attempt();
    rpc::ProbeAttempt row{std::move(name), std::move(tried), std::move(got), false};
    row.refused = row.outcome.empty();
    if (row.refused) row.outcome = errno_name();
    report_.attempts.push_back(std::move(row));
  }

  // A socket and one use of it. Making one is not a success yet; a packet that may have left is.
  void socket(std::string name, std::string tried, int family, int type, int protocol,
              const std::function<bool(int)>& use) {
    attempt(std::move(name), std::move(tried), [&]() -> std::string {
      const os::Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
      if (!fd || !use(fd.get())) return "";
      return "reached";
    });
  }

 private:
  rpc::ProbeReport& report_;
};

bool connects(int fd, const void* address, socklen_t size) {
  return connect(fd, static_cast<const sockaddr*>(address), size) == 0 || errno == EINPROGRESS;
}

sockaddr_in ipv4(const char* text, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  inet_pton(AF_INET, text, &out.sin_addr);
  return out;
}
sockaddr_in6 ipv6(const char* text, uint16_t port) {
  sockaddr_in6 out{};
  out.sin6_family = AF_INET6;
  out.sin6_port = htons(port);
  inet_pton(AF_INET6, text, &out.sin6_addr);
  return out;
}

bool connects_unix(int fd, std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.empty() || name.size() >= sizeof address.sun_path) return errno = EINVAL, false;
  std::memcpy(address.sun_path, name.data(), name.size());
  return connects(fd, &address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size()));
}

void try_network(Prober& prober, uint16_t port) {
  // A question for the address of "holdfast.example", as a resolver would get it.
  static constexpr char kQuery[] =
      "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08holdfast\x07"
      "example\x00\x00\x01\x00\x01";
  prober.socket("dns", "sendto a DNS query, UDP 192.0.2.53 port 53", AF_INET, SOCK_DGRAM, 0, [](int fd) {
    const sockaddr_in to = ipv4("192.0.2.53", 53);
    return sendto(fd, kQuery, sizeof kQuery - 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0;
  });
  prober.socket("ipv4", "connect TCP 192.0.2.1 port 443", AF_INET, SOCK_STREAM, 0, [](int fd) {
    const sockaddr_in to = ipv4("192.0.2.1", 443);
    return connects(fd, &to, sizeof to);
  });
  prober.socket("ipv6", "connect TCP 2001:db8::1 port 443", AF_INET6, SOCK_STREAM, 0, [](int fd) {
    const sockaddr_in6 to = ipv6("2001:db8::1", 443);
    return connects(fd, &to, sizeof to);
  });
  prober.socket("site port", "connect TCP 127.0.0.1 port " + std::to_string(port), AF_INET, SOCK_STREAM, 0,
                [&](int fd) {
                  const sockaddr_in to = ipv4("127.0.0.1", port);
                  return connects(fd, &to, sizeof to);
                });
  prober.socket("listen", "listen on TCP port 0, all addresses", AF_INET, SOCK_STREAM, 0, [](int fd) {
    const sockaddr_in to = ipv4("0.0.0.0", 0);
    return bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 && listen(fd, 1) == 0;
  });
  prober.socket("raw socket", "socket SOCK_RAW ICMP, send an echo request to 192.0.2.1", AF_INET, SOCK_RAW,
                IPPROTO_ICMP, [](int fd) {
                  const sockaddr_in to = ipv4("192.0.2.1", 0);
                  const char echo[8] = {8};
                  return sendto(fd, echo, sizeof echo, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0;
                });
  prober.socket("packet socket", "socket AF_PACKET", AF_PACKET, SOCK_RAW, 0, [](int) { return true; });
  prober.socket("netlink", "socket AF_NETLINK", AF_NETLINK, SOCK_RAW, 0, [](int) { return true; });
  prober.socket("vsock", "connect AF_VSOCK to the host, port 1", AF_VSOCK, SOCK_STREAM, 0, [](int fd) {
    sockaddr_vm to{};
    to.svm_family = AF_VSOCK;
    to.svm_cid = VMADDR_CID_HOST;
    to.svm_port = 1;
    return connects(fd, &to, sizeof to);
  });
}

void try_unix(Prober& prober, const std::string& site_socket) {
  const std::string path = site_socket.empty() ? "/run/dbus/system_bus_socket" : site_socket;
  prober.socket("unix socket", "connect " + path, AF_UNIX, SOCK_STREAM, 0,
                [&](int fd) { return connects_unix(fd, path); });
  prober.socket("abstract socket", "connect @holdfast-probe", AF_UNIX, SOCK_STREAM, 0,
                [](int fd) { return connects_unix(fd, std::string_view("\0holdfast-probe", 15)); });
}

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
}

void try_processes(Prober& prober) {
  const pid_t parent = getppid() > 0 ? getppid() : 1;  // 0: it is outside our process namespace
  const std::string who = std::to_string(parent);
  prober.attempt("fork", "fork a child", []() -> std::string {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    if (child < 0) return "";
    waitpid(child, nullptr, 0);
    return "a process";
  });
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
  prober.attempt("parent's environment", "open /proc/" + who + "/environ", [&]() -> std::string {
    const os::Fd fd(open(("/proc/" + who + "/environ").c_str(), O_RDONLY | O_CLOEXEC));
    return fd ? "opened" : "";
  });
  prober.attempt("parent's memory", "process_vm_readv of process " + who, [&]() -> std::string {
    char byte = 0;
    iovec here{&byte, 1}, there{reinterpret_cast<void*>(uintptr_t{0x400000}), 1};
    return process_vm_readv(parent, &here, 1, &there, 1, 0) >= 0 ? "read" : "";
  });
  prober.attempt("signal", "kill(" + who + ", 0)",
                 [&]() -> std::string { return kill(parent, 0) == 0 ? "allowed" : ""; });
}

void try_kernel(Prober& prober) {
  prober.attempt("executable memory", "mmap of memory to write and execute", []() -> std::string {
    void* p = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return "";
    munmap(p, 4096);
    return "mapped";
  });
  prober.attempt("namespaces", "unshare a user namespace",
                 []() -> std::string { return unshare(CLONE_NEWUSER) == 0 ? "a new user namespace" : ""; });
  // Interfaces that have often been the way around a filter or into the kernel.
  const struct {
    const char *name, *tried;
    long number, first, second;
  } rows[] = {{"io_uring", "io_uring_setup", SYS_io_uring_setup, 1, 0},
              {"bpf", "bpf", SYS_bpf, 0, 0},
              {"perf", "perf_event_open", SYS_perf_event_open, 0, 0},
              {"userfaultfd", "userfaultfd", SYS_userfaultfd, 0, 0},
              {"keys", "keyctl: join a session keyring", SYS_keyctl, 1, 0},
              {"memory file", "memfd_create", SYS_memfd_create, 0, 0}};
  for (const auto& row : rows)
    prober.attempt(row.name, row.tried, [&]() -> std::string {
      const long got = syscall(row.number, row.first, row.second, 0, 0, 0);
      return got >= 0 ? "got " + std::to_string(got) : "";
    });
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
  try_processes(prober);
  try_kernel(prober);
  if (refused_before >= 0) report.counters["system calls refused"] = os::refused_system_calls() - refused_before;
  count_interfaces(read_whole(sandbox.net_dev.get()), report.counters);
  count_protocols(read_whole(sandbox.net_snmp.get()), report.counters);
  return report;
}

}  // namespace hf::engine
