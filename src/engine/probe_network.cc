// The probe's ways through sockets.
#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <thread>

#include "engine/probe.h"
#include "engine/prober.h"
#include "os/clock.h"
#include "os/thread.h"

namespace hf::engine {
namespace {

// The record keeps so many refusals a second one by one (security/refusal_record.h); a probe stays well below.
constexpr int64_t kPaceUs = 15'000;

// A question for the address of "holdfast.example", as a resolver would get it.
constexpr char kQuery[] =
    "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08holdfast\x07"
    "example\x00\x00\x01\x00\x01";

std::string errno_name() {
  const char* name = strerrorname_np(errno);
  return name ? name : "errno " + std::to_string(errno);
}

bool connects(int fd, const void* address, socklen_t size) {
  return connect(fd, static_cast<const sockaddr*>(address), size) == 0 || errno == EINPROGRESS;
}
bool sends(int fd, const void* address, socklen_t size, int flags = 0) {
  return sendto(fd, kQuery, sizeof kQuery - 1, flags, static_cast<const sockaddr*>(address), size) >= 0;
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

constexpr int kMptcp = 262;

struct Way {
  const char *name, *address;
  uint16_t port;
  int type, protocol;
  bool sends;  // a datagram; else a connection
};
constexpr Way kIpv4[] = {{"dns", "192.0.2.53", 53, SOCK_DGRAM, 0, true},
                         {"dns over tcp", "192.0.2.53", 53, SOCK_STREAM, 0, false},
                         {"dns, local resolver", "127.0.0.53", 53, SOCK_DGRAM, 0, true},
                         {"dns over tls", "192.0.2.53", 853, SOCK_STREAM, 0, false},
                         {"ntp", "192.0.2.123", 123, SOCK_DGRAM, 0, true},
                         {"syslog over udp", "192.0.2.1", 514, SOCK_DGRAM, 0, true},
                         {"quic", "192.0.2.1", 443, SOCK_DGRAM, 0, true},
                         {"ipv4", "192.0.2.1", 443, SOCK_STREAM, 0, false},
                         {"ipv4, clear text", "198.51.100.1", 80, SOCK_STREAM, 0, false},
                         {"ssh", "203.0.113.1", 22, SOCK_STREAM, 0, false},
                         {"smtp", "203.0.113.1", 25, SOCK_STREAM, 0, false},
                         {"proxy", "192.0.2.1", 3128, SOCK_STREAM, 0, false},
                         {"multipath tcp", "192.0.2.1", 443, SOCK_STREAM, kMptcp, false},
                         {"sctp", "192.0.2.1", 443, SOCK_STREAM, IPPROTO_SCTP, false},
                         {"udp-lite", "192.0.2.1", 443, SOCK_DGRAM, IPPROTO_UDPLITE, true},
                         {"multicast", "224.0.0.251", 5353, SOCK_DGRAM, 0, true},
                         {"broadcast", "255.255.255.255", 67, SOCK_DGRAM, 0, true},
                         {"ping", "192.0.2.1", 0, SOCK_DGRAM, IPPROTO_ICMP, true},
                         {"raw icmp", "192.0.2.1", 0, SOCK_RAW, IPPROTO_ICMP, true},
                         {"raw ip", "192.0.2.1", 0, SOCK_RAW, IPPROTO_RAW, true},
                         {"raw udp", "192.0.2.53", 53, SOCK_RAW, IPPROTO_UDP, true}};
constexpr Way kIpv6[] = {{"ipv6", "2001:db8::1", 443, SOCK_STREAM, 0, false},
                         {"dns over ipv6", "2001:db8::53", 53, SOCK_DGRAM, 0, true},
                         {"ipv4 in ipv6", "::ffff:192.0.2.1", 443, SOCK_STREAM, 0, false},
                         {"ipv6 loopback", "::1", 443, SOCK_STREAM, 0, false},
                         {"ipv6 multicast", "ff02::fb", 5353, SOCK_DGRAM, 0, true},
                         {"raw icmp over ipv6", "2001:db8::1", 0, SOCK_RAW, IPPROTO_ICMPV6, true}};

// Families that need no address to be a way round: making one is taken for having it.
constexpr struct {
  const char* name;
  int family, type, protocol;
} kOthers[] = {{"packet socket", AF_PACKET, SOCK_RAW, 0},
               {"packet socket, datagrams", AF_PACKET, SOCK_DGRAM, 0},
               {"netlink, routes", AF_NETLINK, SOCK_RAW, 0},
               {"netlink, devices", AF_NETLINK, SOCK_RAW, 15},
               {"netlink, firewall", AF_NETLINK, SOCK_RAW, 12},
               {"kernel crypto", AF_ALG, SOCK_SEQPACKET, 0},
               {"express data path", AF_XDP, SOCK_RAW, 0},
               {"bluetooth", AF_BLUETOOTH, SOCK_STREAM, 3},
               {"can bus", AF_CAN, SOCK_RAW, 1},
               {"tipc", AF_TIPC, SOCK_SEQPACKET, 0},
               {"rds", AF_RDS, SOCK_SEQPACKET, 0},
               {"ipsec keys", AF_KEY, SOCK_RAW, 2},
               {"smc", AF_SMC, SOCK_STREAM, 0},
               {"qualcomm router", AF_QIPCRTR, SOCK_DGRAM, 0}};

}  // namespace

void Prober::attempt(std::string name, std::string tried, const std::function<std::string()>& attempt) {
  os::real_clock().sleep_us(kPaceUs);
  const os::Fd mark(::socket(AF_UNSPEC, SOCK_STREAM, kMark + static_cast<int>(report_.attempts.size())));
  errno = 0;
  std::string got = attempt();
  rpc::ProbeAttempt row{std::move(name), std::move(tried), std::move(got), false};
  row.refused = row.outcome.empty();
  if (row.refused) row.outcome = errno_name();
  report_.attempts.push_back(std::move(row));
}

void Prober::socket(std::string name, std::string tried, int family, int type, int protocol,
                    const std::function<bool(int)>& use) {
  attempt(std::move(name), std::move(tried), [&]() -> std::string {
    const os::Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd || !use(fd.get())) return "";
    return "reached";
  });
}

bool connects_tcp(const char* address, uint16_t port) {
  const os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_in to = ipv4(address, port);
  return fd && connects(fd.get(), &to, sizeof to);
}

bool send_datagram(int fd, const char* address, uint16_t port) {
  const sockaddr_in to = ipv4(address, port);
  return sends(fd, &to, sizeof to, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void try_network(Prober& prober, uint16_t site_port) {
  const auto words = [](const Way& way) {
    return std::string(way.sends ? "send to " : "connect ") + way.address + " port " + std::to_string(way.port);
  };
  for (const Way& way : kIpv4)
    prober.socket(way.name, words(way), AF_INET, way.type, way.protocol, [&](int fd) {
      const sockaddr_in to = ipv4(way.address, way.port);
      const int on = 1;
      if (std::string_view(way.name) == "broadcast") (void)setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
      return way.sends ? sends(fd, &to, sizeof to) : connects(fd, &to, sizeof to);
    });
  for (const Way& way : kIpv6)
    prober.socket(way.name, words(way), AF_INET6, way.type, way.protocol, [&](int fd) {
      const sockaddr_in6 to = ipv6(way.address, way.port);
      return way.sends ? sends(fd, &to, sizeof to) : connects(fd, &to, sizeof to);
    });
  prober.socket("tcp fast open", "send with the first packet to 192.0.2.1 port 443", AF_INET, SOCK_STREAM, 0,
                [](int fd) {
                  const sockaddr_in to = ipv4("192.0.2.1", 443);
                  return sends(fd, &to, sizeof to, MSG_FASTOPEN) || errno == EINPROGRESS;
                });
  prober.socket("site port", "connect TCP 127.0.0.1 port " + std::to_string(site_port), AF_INET, SOCK_STREAM, 0,
                [&](int fd) {
                  const sockaddr_in to = ipv4("127.0.0.1", site_port);
                  return connects(fd, &to, sizeof to);
                });
  prober.socket("listen", "listen on TCP port 0, all addresses", AF_INET, SOCK_STREAM, 0, [](int fd) {
    const sockaddr_in to = ipv4("0.0.0.0", 0);
    return bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 && listen(fd, 1) == 0;
  });
  prober.socket("vsock", "connect AF_VSOCK to the host, port 1", AF_VSOCK, SOCK_STREAM, 0, [](int fd) {
    sockaddr_vm to{};
    to.svm_family = AF_VSOCK;
    to.svm_cid = VMADDR_CID_HOST;
    to.svm_port = 1;
    return connects(fd, &to, sizeof to);
  });
  for (const auto& other : kOthers)
    prober.socket(other.name, "socket family " + std::to_string(other.family), other.family, other.type, other.protocol,
                  [](int) { return true; });
  prober.attempt("another thread", "connect TCP 192.0.2.1 port 443 in a thread of its own", []() -> std::string {
    bool reached = false;
    int number = 0;
    os::Thread other("probe", [&] {
      reached = connects_tcp("192.0.2.1", 443);
      number = errno;
    });
    other.join();
    errno = number;
    return reached ? "reached" : "";
  });
}

void try_unix(Prober& prober, const std::string& site_socket) {
  const std::string path = site_socket.empty() ? "/run/dbus/system_bus_socket" : site_socket;
  prober.socket("unix socket", "connect " + path, AF_UNIX, SOCK_STREAM, 0,
                [&](int fd) { return connects_unix(fd, path); });
  prober.socket("container engine", "connect /var/run/docker.sock", AF_UNIX, SOCK_STREAM, 0,
                [](int fd) { return connects_unix(fd, "/var/run/docker.sock"); });
  prober.socket("system log", "connect /dev/log", AF_UNIX, SOCK_DGRAM, 0,
                [](int fd) { return connects_unix(fd, "/dev/log"); });
  prober.socket("abstract socket", "connect @holdfast-probe", AF_UNIX, SOCK_STREAM, 0,
                [](int fd) { return connects_unix(fd, std::string_view("\0holdfast-probe", 15)); });
  prober.socket("abstract socket, datagrams", "connect @holdfast-probe", AF_UNIX, SOCK_DGRAM, 0,
                [](int fd) { return connects_unix(fd, std::string_view("\0holdfast-probe", 15)); });
  prober.socket("abstract socket, packets", "connect @holdfast-probe", AF_UNIX, SOCK_SEQPACKET, 0,
                [](int fd) { return connects_unix(fd, std::string_view("\0holdfast-probe", 15)); });
}

}  // namespace hf::engine
