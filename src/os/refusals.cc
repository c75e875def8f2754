#include "os/refusals.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hf::os {
namespace {

constexpr size_t kMaxAddress = 128;  // sockaddr_storage
constexpr int kQuietMs = 1000;

const struct {
  int family;
  const char* name;
} kFamilies[] = {{AF_UNSPEC, "AF_UNSPEC"},
                 {AF_UNIX, "AF_UNIX"},
                 {AF_INET, "AF_INET"},
                 {AF_AX25, "AF_AX25"},
                 {AF_IPX, "AF_IPX"},
                 {AF_APPLETALK, "AF_APPLETALK"},
                 {AF_X25, "AF_X25"},
                 {AF_INET6, "AF_INET6"},
                 {AF_KEY, "AF_KEY"},
                 {AF_NETLINK, "AF_NETLINK"},
                 {AF_PACKET, "AF_PACKET"},
                 {AF_RDS, "AF_RDS"},
                 {AF_PPPOX, "AF_PPPOX"},
                 {AF_LLC, "AF_LLC"},
                 {AF_CAN, "AF_CAN"},
                 {AF_TIPC, "AF_TIPC"},
                 {AF_BLUETOOTH, "AF_BLUETOOTH"},
                 {AF_PHONET, "AF_PHONET"},
                 {AF_IEEE802154, "AF_IEEE802154"},
                 {AF_CAIF, "AF_CAIF"},
                 {AF_ALG, "AF_ALG"},
                 {AF_NFC, "AF_NFC"},
                 {AF_VSOCK, "AF_VSOCK"},
                 {AF_KCM, "AF_KCM"},
                 {AF_QIPCRTR, "AF_QIPCRTR"},
                 {AF_SMC, "AF_SMC"},
                 {AF_XDP, "AF_XDP"},
                 {45, "AF_MCTP"}};

std::string type_name(int type) {
  switch (type & 0xf) {
    case SOCK_STREAM:
      return "SOCK_STREAM";
    case SOCK_DGRAM:
      return "SOCK_DGRAM";
    case SOCK_RAW:
      return "SOCK_RAW";
    case SOCK_SEQPACKET:
      return "SOCK_SEQPACKET";
    case SOCK_RDM:
      return "SOCK_RDM";
    case SOCK_DCCP:
      return "SOCK_DCCP";
    case SOCK_PACKET:
      return "SOCK_PACKET";
    default:
      return "type " + std::to_string(type & 0xf);
  }
}

std::string printable(const char* bytes, size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", c);
    out += c > 0x20 && c < 0x7f && c != '%' ? std::string(1, static_cast<char>(c)) : hex;
  }
  return out;
}

std::string call_name(int number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
  std::string out = name ? name : "call " + std::to_string(number);
  std::free(name);
  return out;
}

// The address that lies in the caller's memory; "" where it cannot be read.
std::string address_of(pid_t thread, uint64_t at, uint64_t size) {
  char bytes[kMaxAddress];
  iovec here{bytes, std::min<size_t>(size, sizeof bytes)}, there{reinterpret_cast<void*>(at), here.iov_len};
  if (at == 0 || size == 0) return "";
  const ssize_t n = process_vm_readv(thread, &here, 1, &there, 1, 0);
  return n > 0 ? address_text(bytes, static_cast<size_t>(n)) : "an address that cannot be read";
}

Refusal describe(const seccomp_notif& asked) {
  const auto thread = static_cast<pid_t>(asked.pid);
  Refusal out{thread, call_name(asked.data.nr), "", false};
  const auto& args = asked.data.args;
  switch (asked.data.nr) {
    case SYS_socket:
    case SYS_socketpair:
      out.network = true;
      out.what = family_name(static_cast<int>(args[0])) + " " + type_name(static_cast<int>(args[1])) + " protocol " +
                 std::to_string(static_cast<int>(args[2]));
      break;
    case SYS_connect:
    case SYS_bind:
      out.network = true;
      out.what = address_of(thread, args[1], static_cast<uint32_t>(args[2]));
      break;
    case SYS_sendto:
      out.network = true;
      out.what = address_of(thread, args[4], static_cast<uint32_t>(args[5]));
      break;
    case SYS_listen:
    case SYS_accept:
    case SYS_accept4:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_recvmmsg:
    case SYS_setsockopt:
      out.network = true;
      break;
    default:
      break;
  }
  return out;
}

// Text of an address that is a socket file below one of the paths.
bool is_local(const std::string& what, const std::vector<std::string>& paths) {
  const std::string unix_path = "AF_UNIX ";
  if (what.compare(0, unix_path.size(), unix_path) != 0 || what.find("..") != what.npos) return false;
  const char first = what.size() > unix_path.size() ? what[unix_path.size()] : '@';
  if (first != '/' && first != '@' && !paths.empty()) return true;  // relative: its working folder is one of its own
  return std::any_of(paths.begin(), paths.end(),
                     [&](const std::string& path) { return what.compare(unix_path.size(), path.size(), path) == 0; });
}

}  // namespace

std::string family_name(int family) {
  for (const auto& row : kFamilies)
    if (row.family == family) return row.name;
  return "family " + std::to_string(family);
}

std::string address_text(const char* bytes, size_t size) {
  sa_family_t family = 0;
  size = std::min(size, kMaxAddress);
  if (size < sizeof family) return "no address";
  std::memcpy(&family, bytes, sizeof family);
  const std::string name = family_name(family);
  char text[INET6_ADDRSTRLEN] = "";
  if (family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in a{};
    std::memcpy(&a, bytes, sizeof a);
    inet_ntop(AF_INET, &a.sin_addr, text, sizeof text);
    return name + " " + text + " port " + std::to_string(ntohs(a.sin_port));
  }
  if (family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 a{};
    std::memcpy(&a, bytes, sizeof a);
    inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof text);
    return name + " " + text + " port " + std::to_string(ntohs(a.sin6_port));
  }
  if (family == AF_VSOCK && size >= sizeof(sockaddr_vm)) {
    sockaddr_vm a{};
    std::memcpy(&a, bytes, sizeof a);
    return name + " " + std::to_string(a.svm_cid) + " port " + std::to_string(a.svm_port);
  }
  if (family == AF_UNIX && size > offsetof(sockaddr_un, sun_path)) {
    const char* path = bytes + offsetof(sockaddr_un, sun_path);
    const size_t n = size - offsetof(sockaddr_un, sun_path);
    if (path[0] == '\0') return name + " @" + printable(path + 1, n - 1);
    return name + " " + printable(path, strnlen(path, n));
  }
  return name + ", " + std::to_string(size) + " bytes";
}

RefusalWatch::RefusalWatch(Fd listener, std::shared_ptr<RefusalSink> sink, std::vector<std::string> local)
    : listener_(std::move(listener)), sink_(std::move(sink)), local_(std::move(local)) {
  int ends[2];
  check(pipe2(ends, O_CLOEXEC) == 0, "a pipe for the watch of refusals");
  wake_reading_ = Fd(ends[0]);
  wake_writing_ = Fd(ends[1]);
  thread_ = Thread("hf-refusals", [this] { run(); });
}

RefusalWatch::~RefusalWatch() {
  wake_writing_ = Fd();  // its end is what the thread waits for
  thread_.join();
}

void RefusalWatch::run() {
  bool told = false;
  for (;;) {
    pollfd waits[] = {{listener_.get(), POLLIN, 0}, {wake_reading_.get(), POLLIN, 0}};
    const int n = poll(waits, 2, told ? kQuietMs : -1);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) {
      sink_->quiet();
      told = false;
      continue;
    }
    if (n < 0 || !(waits[0].revents & POLLIN)) break;  // nobody is left who could ask, or we are to end
    seccomp_notif asked{};
    if (ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
      if (errno == EINTR || errno == ENOENT) continue;  // the thread was killed meanwhile
      break;
    }
    seccomp_notif_resp answer{};
    answer.id = asked.id;
    const Refusal refusal = describe(asked);
    if (asked.data.nr == SYS_connect && is_local(refusal.what, local_)) {
      answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else {
      sink_->refused(refusal);
      told = true;
      answer.error = -EPERM;
    }
    (void)ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);  // fails only if the thread is gone
  }
  sink_->quiet();
}

}  // namespace hf::os
