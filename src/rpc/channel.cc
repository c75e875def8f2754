#include "rpc/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "os/clock.h"

namespace hf::rpc {
namespace {

// u32le length | u8 type | u64le id | u8 descriptors. The length counts what comes after itself.
constexpr size_t kHeader = 14;
constexpr size_t kAfterLength = kHeader - 4;
constexpr size_t kReadStep = size_t{1} << 20;  // a body grows by what has arrived, not by what was announced

void put_le(char* out, uint64_t v, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(v >> (8 * i));
}
uint64_t get_le(const char* p, size_t bytes) {
  uint64_t v = 0;
  for (size_t i = 0; i < bytes; ++i) v |= uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
  return v;
}

Error socket_error(const char* what) {
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return fail(Code::unavailable, std::string(what) + ": peer does not read");
  return fail(Code::unavailable, std::string(what) + ": " + std::strerror(errno));
}

// Takes over what a recvmsg brought. A descriptor beyond the limit cannot come: the buffer has no room, and the kernel
// then sets MSG_CTRUNC and closes it.
void take_descriptors(msghdr& message, std::vector<os::Fd>& out) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      out.emplace_back(fd);
    }
  }
}

// Until bytes or the end are there; until_us: by the monotonic clock, 0: no limit.
Status wait_readable(int socket, int64_t until_us) {
  int wait_ms = -1;
  if (until_us > 0) {
    const int64_t left_us = until_us - os::real_clock().monotonic_us();
    if (left_us <= 0) return fail(Code::unavailable, "rpc receive: the peer stalled within a frame");
    wait_ms = static_cast<int>(std::min<int64_t>(left_us / 1000 + 1, 1 << 30));
  }
  pollfd p{socket, POLLIN, 0};
  if (::poll(&p, 1, wait_ms) < 0 && errno != EINTR) return socket_error("rpc receive");
  return {};
}

struct Control {
  alignas(cmsghdr) char bytes[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
};

}  // namespace

Channel::Channel(os::Fd socket, int timeout_ms) : socket_(std::move(socket)), timeout_ms_(timeout_ms) {
  const timeval limit{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
  // Where the option cannot be set there is no limit on a send, which is no reason not to work.
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

Status Channel::send(Type type, uint64_t id, std::string_view body, const std::vector<int>& descriptors) {
  if (body.size() > kMaxFrame - kAfterLength)
    return fail(Code::too_large, "rpc " + std::string(type_name(type)) + " of " + std::to_string(body.size()) +
                                     " bytes; at most " + std::to_string(kMaxFrame - kAfterLength));
  if (descriptors.size() > kMaxDescriptors)
    return fail(Code::too_large, "rpc frame with " + std::to_string(descriptors.size()) + " descriptors; at most " +
                                     std::to_string(kMaxDescriptors));
  char header[kHeader];
  put_le(header, kAfterLength + body.size(), 4);
  header[4] = static_cast<char>(type);
  put_le(header + 5, id, 8);
  header[13] = static_cast<char>(descriptors.size());

  iovec parts[2] = {{header, kHeader}, {const_cast<char*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  Control control;
  if (!descriptors.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size() * sizeof(int));
  }

  std::lock_guard lock(sending_);
  if (broken_) return fail(Code::unavailable, "rpc send: the channel is closed");
  size_t left = kHeader + body.size();
  // The socket's own limit starts again with every byte that is taken: a peer that takes a few at a time meets this
  // one.
  const int64_t until_us = deadline();
  while (left > 0) {
    ssize_t n = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n >= 0 && static_cast<size_t>(n) < left && until_us > 0 && os::real_clock().monotonic_us() > until_us) {
      errno = EAGAIN;
      n = -1;
    }
    if (n < 0) {
      const Error error = socket_error("rpc send");
      broken_ = true;
      ::shutdown(socket_.get(), SHUT_RDWR);
      return error;
    }
    left -= static_cast<size_t>(n);
    message.msg_control = nullptr;  // they went with the first byte
    message.msg_controllen = 0;
    size_t gone = static_cast<size_t>(n);
    for (iovec& part : parts) {
      const size_t step = std::min(gone, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + step;
      part.iov_len -= step;
      gone -= step;
    }
  }
  return {};
}

int64_t Channel::deadline() const {
  return timeout_ms_ > 0 ? os::real_clock().monotonic_us() + int64_t{timeout_ms_} * 1000 : 0;
}

Status Channel::read_exact(char* out, size_t n, int64_t until_us) {
  while (n > 0) {
    // Without room for control data: descriptors that come where none belong are closed by the kernel.
    const ssize_t got = recv(socket_.get(), out, n, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      TRY(wait_readable(socket_.get(), until_us));
      continue;
    }
    if (got < 0) return socket_error("rpc receive");
    if (got == 0) return fail(Code::unavailable, "rpc receive: the peer ended within a frame");
    out += got;
    n -= static_cast<size_t>(got);
  }
  return {};
}

Result<std::optional<Frame>> Channel::receive_frame() {
  char header[kHeader];
  iovec part{header, kHeader};
  Control control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t got;
  do {
    got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return socket_error("rpc receive");
  if (got == 0) return std::optional<Frame>();
  Frame frame;
  take_descriptors(message, frame.descriptors);
  const int64_t until_us = deadline();
  TRY(read_exact(header + got, kHeader - static_cast<size_t>(got), until_us));

  const size_t length = get_le(header, 4);
  if (length < kAfterLength || length > kMaxFrame)
    return fail(Code::invalid, "rpc frame of " + std::to_string(length) + " bytes; expected " +
                                   std::to_string(kAfterLength) + " to " + std::to_string(kMaxFrame));
  const auto type = static_cast<uint8_t>(header[4]);
  if (!known_type(type)) return fail(Code::invalid, "rpc frame of unknown type " + std::to_string(type));
  const size_t announced = static_cast<uint8_t>(header[13]);
  if ((message.msg_flags & MSG_CTRUNC) || announced != frame.descriptors.size())
    return fail(Code::invalid, "rpc frame announces " + std::to_string(announced) + " descriptors, came with " +
                                   std::to_string(frame.descriptors.size()));
  frame.type = static_cast<Type>(type);
  frame.id = get_le(header + 5, 8);
  for (size_t left = length - kAfterLength; left > 0;) {
    const size_t step = std::min(left, kReadStep);
    const size_t at = frame.body.size();
    frame.body.resize(at + step);
    TRY(read_exact(frame.body.data() + at, step, until_us));
    left -= step;
  }
  return std::optional<Frame>(std::move(frame));
}

Result<std::optional<Frame>> Channel::receive() {
  auto frame = receive_frame();
  if (!frame.ok()) close();
  return frame;
}

// shutdown, not close: another thread may be within recvmsg on this number.
void Channel::close() { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace hf::rpc
