#include "os/doorkeeper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "os/sandbox_layers.h"
#include "os/seccomp_filter.h"

namespace hf::os {
namespace {

constexpr int kBacklog = 1024;
constexpr size_t kMaxAddressText = 64;
constexpr size_t kMaxDoors = 10'000;

struct Order {   // one message, with the descriptor that the answer goes to
  char act = 0;  // 'l'isten, 'e'nd of listening, 'a'llow, 'f'orget, 'c'onnect
  uint16_t port = 0;
  int32_t timeout_ms = 0;
  char address[kMaxAddressText] = {};
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family() const { return storage.ss_family; }
};

Result<Address> numeric(const std::string& text, uint16_t port) {
  Address out;
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::memcpy(&out.storage, &four, sizeof four);
    out.size = sizeof four;
  } else if (inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    std::memcpy(&out.storage, &six, sizeof six);
    out.size = sizeof six;
  } else {
    return fail(Code::invalid, "expected a numeric IPv4 or IPv6 address, found '" + text + "'");
  }
  return out;
}

std::string name_of(const std::string& address, uint16_t port) {
  const bool six = address.find(':') != address.npos;
  return (six ? "[" + address + "]:" : address + ":") + std::to_string(port);
}

// An answer: 'k', or the digit of a Code and the message.
void answer(int to, const Status& status, int descriptor = -1) {
  std::string text = "k";
  if (!status.ok()) text = static_cast<char>('0' + static_cast<int>(status.error().code)) + status.error().message;
  if (descriptor >= 0) {
    (void)send_all(to, text, {&descriptor, 1});
  } else {
    (void)send_all(to, text);
  }
}

Result<Fd> listen_on(const Order& order) {
  const std::string text = order.address;
  const Address address = TRY(numeric(text, order.port));
  const auto no = [&](int number) {
    return fail(number == EADDRINUSE ? Code::conflict : Code::unavailable,
                "cannot listen on " + name_of(text, order.port) + ": " + std::strerror(number));
  };
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      ::listen(fd.get(), kBacklog) != 0)
    return no(errno);
  return fd;
}

// The child of one connection gives the rest away before it connects.
void connect_only_to(uint16_t port) {
  const long version = landlock_version();
  if (version < 4) return;
  LandlockRules rules = landlock_rules(version);
  struct {
    uint64_t allowed_access, port;
  } __attribute__((packed)) rule{2, port};  // LANDLOCK_ACCESS_NET_CONNECT_TCP, as of Linux 6.7
  constexpr int kNetPort = 2;               // LANDLOCK_RULE_NET_PORT
  const auto fd = static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
  if (fd < 0) return;
  if (syscall(SYS_landlock_add_rule, fd, kNetPort, &rule, 0) == 0) syscall(SYS_landlock_restrict_self, fd, 0);
  close(fd);
}

Result<Fd> connect_to(const Order& order) {
  const std::string text = order.address, name = name_of(text, order.port);
  const Address address = TRY(numeric(text, order.port));
  connect_only_to(order.port);
  const auto no = [&](int number) { return fail(Code::unavailable, name + ": " + std::strerror(number)); };
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return no(errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    if (errno != EINPROGRESS) return no(errno);
    pollfd p{fd.get(), POLLOUT, 0};
    int n = 0;
    do {
      n = poll(&p, 1, order.timeout_ms);
    } while (n < 0 && errno == EINTR);
    if (n == 0) return fail(Code::unavailable, name + ": no answer within " + std::to_string(order.timeout_ms) + " ms");
    int error = 0;
    socklen_t size = sizeof error;
    if (n < 0 || getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return no(errno);
    if (error != 0) return no(error);
  }
  if (fcntl(fd.get(), F_SETFL, 0) != 0) return no(errno);
  return fd;
}

class Keeper {
 public:
  explicit Keeper(int orders) : orders_(orders) {}

  int run() {
    for (;;) {
      Order order;
      std::vector<Fd> to;
      auto n = receive(orders_, {reinterpret_cast<char*>(&order), sizeof order}, to);
      if (!n.ok()) return 1;
      if (*n == 0) return 0;  // the site is gone
      while (waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      if (*n != sizeof order || to.size() != 1 || order.address[kMaxAddressText - 1] != '\0') return 1;
      carry_out(order, to[0].get());
    }
  }

 private:
  void carry_out(const Order& order, int to) {
    if (order.act == 'l') {
      if (!listening_) return answer(to, fail(Code::invalid, "the listening sockets are made: there will be no more"));
      auto fd = listen_on(order);
      if (fd.ok()) return answer(to, {}, fd->get());
      return answer(to, std::move(fd).error());
    }
    if (order.act == 'e') return answer(to, shut());
    if (order.act == 'c') return connect_in_child(order, to);
    answer(to, change(order));
  }

  Status change(const Order& order) {
    const std::string address = order.address;
    TRY(numeric(address, order.port));
    if (order.port == 0) return fail(Code::invalid, "expected a port from 1 to 65535");
    const std::string name = name_of(address, order.port);
    auto at = std::find(doors_.begin(), doors_.end(), name);
    if (order.act == 'a' && doors_.size() == kMaxDoors) return fail(Code::exhausted, "too many doors");
    if (order.act == 'a') {
      doors_.push_back(name);
    } else if (at != doors_.end()) {
      doors_.erase(at);
    }
    return {};
  }

  void connect_in_child(const Order& order, int to) {
    if (std::find(doors_.begin(), doors_.end(), name_of(order.address, order.port)) == doors_.end())
      return answer(to, fail(Code::denied, "there is no door to " + name_of(order.address, order.port)));
    const pid_t child = fork();
    if (child < 0) return answer(to, fail(Code::unavailable, std::string("fork: ") + std::strerror(errno)));
    if (child > 0) return;
    close(orders_);
    auto fd = connect_to(order);
    if (fd.ok()) {
      answer(to, {}, fd->get());
    } else {
      answer(to, std::move(fd).error());
    }
    _exit(0);
  }

  // From now on: doors only.
  Status shut() {
    if (!listening_) return {};
    listening_ = false;
    if (const auto layer = drop_privileges(); !layer.holds) return fail(Code::unavailable, layer.detail);
    const rlimit none{0, 0};
    (void)setrlimit(RLIMIT_FSIZE, &none);
    Filter filter(SCMP_ACT_ERRNO(EPERM));
    for (const int call : {SCMP_SYS(read),
                           SCMP_SYS(write),
                           SCMP_SYS(close),
                           SCMP_SYS(recvmsg),
                           SCMP_SYS(sendmsg),
                           SCMP_SYS(poll),
                           SCMP_SYS(connect),
                           SCMP_SYS(getsockopt),
                           SCMP_SYS(fcntl),
                           SCMP_SYS(fork),
                           SCMP_SYS(clone),
                           SCMP_SYS(wait4),
                           SCMP_SYS(exit),
                           SCMP_SYS(exit_group),
                           SCMP_SYS(brk),
                           SCMP_SYS(mmap),
                           SCMP_SYS(munmap),
                           SCMP_SYS(mremap),
                           SCMP_SYS(madvise),
                           SCMP_SYS(futex),
                           SCMP_SYS(set_robust_list),
                           SCMP_SYS(rseq),
                           SCMP_SYS(getpid),
                           SCMP_SYS(gettid),
                           SCMP_SYS(rt_sigprocmask),
                           SCMP_SYS(rt_sigreturn),
                           SCMP_SYS(restart_syscall),
                           SCMP_SYS(clock_gettime),
                           SCMP_SYS(landlock_create_ruleset),
                           SCMP_SYS(landlock_add_rule),
                           SCMP_SYS(landlock_restrict_self),
                           SCMP_SYS(getrandom),
                           SCMP_SYS(tgkill)})
      filter.add(SCMP_ACT_ALLOW, call);
    for (const uint64_t family : {AF_INET, AF_INET6})
      filter.add(SCMP_ACT_ALLOW, SCMP_SYS(socket),
                 {SCMP_A0(SCMP_CMP_EQ, family), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM)});
    if (kFiltered && !filter.load())
      return fail(Code::unavailable,
                  std::string("the doorkeeper's list of system calls: ") + std::strerror(filter.error()));
    return {};
  }

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr bool kFiltered = false;  // sanitizers make calls of their own
#else
  static constexpr bool kFiltered = true;
#endif
  const int orders_;
  bool listening_ = true;
  std::vector<std::string> doors_;
};

[[noreturn]] void run_keeper(Fd orders) {
  (void)prctl(PR_SET_NAME, "hf-doorkeeper");
  (void)prctl(PR_SET_DUMPABLE, 0);
  sigset_t all;
  sigfillset(&all);  // ends with its socket, not with the signals that stop a site
  (void)sigprocmask(SIG_SETMASK, &all, nullptr);
  (void)close_descriptors({orders.get()});
  _exit(Keeper(orders.get()).run());
}

std::string write_maps(uid_t uid, gid_t gid) {
  const auto put = [](const char* path, const std::string& text) {
    const Fd fd(open(path, O_WRONLY | O_CLOEXEC));
    return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  const std::string u = std::to_string(uid), g = std::to_string(gid);
  if (put("/proc/self/setgroups", "deny") && put("/proc/self/uid_map", u + " " + u + " 1") &&
      put("/proc/self/gid_map", g + " " + g + " 1"))
    return "";
  return reason("a user namespace's maps");
}

// "" : this process is in an empty network now; else why not.
std::string leave_network() {
  if (geteuid() == 0) return unshare(CLONE_NEWNET) == 0 ? "" : reason("unshare");
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return reason("unshare");
  if (std::string why = write_maps(uid, gid); !why.empty()) return why;
  const SandboxLayer dropped = drop_privileges();  // what the new user namespace gave
  return dropped.holds ? "" : dropped.detail;
}

// In a child first: where it fails half way (some systems give a user namespace and then no right in it), this process
// must not be left in between.
std::string leave_network_if_it_works() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return reason("pipe");
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const pid_t child = fork();
  if (child < 0) return reason("fork");
  if (child == 0) {
    const std::string why = leave_network();
    (void)!write(writing.get(), why.data(), why.size());
    _exit(why.empty() ? 0 : 1);
  }
  writing = Fd();
  char text[256];
  const ssize_t n = read(reading.get(), text, sizeof text);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (n > 0) return std::string(text, static_cast<size_t>(n));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return "a namespace was tried, and ended what tried it";
  return leave_network();
}

}  // namespace

Result<std::unique_ptr<Doorkeeper>> Doorkeeper::start(bool seal) {
  if (unshare(CLONE_THREAD) != 0)  // as in enter_sandbox()
    return fail(Code::invalid, "the doorkeeper has to be started before threads are");
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(Code::unavailable, reason("socketpair"));
  Fd ours(ends[0]), theirs(ends[1]);
  std::unique_ptr<Doorkeeper> out(new Doorkeeper);
  out->helper_ = fork();
  if (out->helper_ < 0) return fail(Code::unavailable, reason("fork"));
  if (out->helper_ == 0) {
    ours = Fd();
    run_keeper(std::move(theirs));
  }
  out->socket_ = std::move(ours);
  const std::string why = seal ? leave_network_if_it_works() : "it was asked to keep it";
  out->sealed_ = why.empty();
  out->words_ =
      out->sealed_
          ? "the site and all that it starts have no network: connections are made by the doorkeeper, to named "
            "doors only"
          : "the site keeps its network (" + why + "): that it connects to nobody is its own good manners";
  return out;
}

Doorkeeper::~Doorkeeper() {
  socket_ = Fd();
  while (helper_ > 0 && waitpid(helper_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<Fd> Doorkeeper::ask(char act, const std::string& address, uint16_t port, int timeout_ms) {
  Order order;
  if (address.size() >= sizeof order.address || address.find('\0') != address.npos)
    return fail(Code::invalid, "expected a numeric IPv4 or IPv6 address, found '" + address.substr(0, 64) + "'");
  order.act = act;
  order.port = port;
  order.timeout_ms = timeout_ms;
  std::memcpy(order.address, address.data(), address.size());
  auto answer = TRY(socket_pair());
  const int theirs = answer.second.get();
  TRY(send_all(socket_.get(), {reinterpret_cast<const char*>(&order), sizeof order}, {&theirs, 1}));
  answer.second = Fd();
  std::string text;
  std::vector<Fd> got;
  for (char block[1024];;) {
    const size_t n = TRY(receive(answer.first.get(), block, got));
    if (n == 0) break;
    text.append(block, n);
  }
  if (text == "k") return got.empty() ? Fd() : std::move(got[0]);
  if (text.empty() || text[0] < '0' || text[0] > '8') return fail(Code::unavailable, "the doorkeeper is gone");
  return fail(static_cast<Code>(text[0] - '0'), text.substr(1));
}

Result<Fd> Doorkeeper::listen(const std::string& address, uint16_t port) { return ask('l', address, port, 0); }
Status Doorkeeper::end_listening() {
  TRY(ask('e', "", 0, 0));
  return {};
}
Status Doorkeeper::allow(const DoorAddress& door) {
  TRY(ask('a', door.address, door.port, 0));
  return {};
}
Status Doorkeeper::forget(const DoorAddress& door) {
  TRY(ask('f', door.address, door.port, 0));
  return {};
}
Result<Fd> Doorkeeper::connect(const DoorAddress& door, int timeout_ms) {
  return ask('c', door.address, door.port, timeout_ms);
}

}  // namespace hf::os
