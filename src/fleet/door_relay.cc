#include "fleet/door_relay.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>
#include <vector>

namespace hf::fleet {
namespace {

constexpr size_t kBuffer = 64 << 10;
constexpr size_t kMaxPairs = 64;  // of one relay; more wait in the backlog

// Reads what there is into an empty buffer. False: the other side has ended, or the connection is broken.
bool fill(int fd, std::string& buffer, int64_t& count) {
  buffer.resize(kBuffer);
  const ssize_t n = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  const int number = errno;
  buffer.resize(n > 0 ? static_cast<size_t>(n) : 0);
  if (n > 0) count += n;
  return n > 0 || (n < 0 && (number == EAGAIN || number == EINTR));
}

bool drain(int fd, std::string& buffer) {
  const ssize_t n = send(fd, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0) buffer.erase(0, static_cast<size_t>(n));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

DoorRelay::DoorRelay(os::Fd listener, Hooks hooks) : listener_(std::move(listener)), hooks_(std::move(hooks)) {
  int ends[2];
  check(pipe2(ends, O_CLOEXEC) == 0, "a pipe for a door");
  wake_reading_ = os::Fd(ends[0]);
  wake_writing_ = os::Fd(ends[1]);
  thread_ = os::Thread("hf-door", [this] { run(); });
}

DoorRelay::~DoorRelay() {
  wake_writing_ = os::Fd();  // its end is what the thread waits for
  thread_.join();
}

void DoorRelay::cut() {
  const char byte = 'c';
  (void)!write(wake_writing_.get(), &byte, 1);
}

void DoorRelay::end_all() {
  for (Pair& p : pairs_) finish(p);
  pairs_.clear();
}

void DoorRelay::run() {
  for (;;) {
    std::vector<pollfd> waits = {{wake_reading_.get(), POLLIN, 0},
                                 {pairs_.size() < kMaxPairs ? listener_.get() : -1, POLLIN, 0}};
    for (const Pair& p : pairs_) {
      const auto wants = [](bool read, bool write) {
        return static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0));
      };
      waits.push_back({p.inner.get(), wants(!p.inner_ended && p.to_outer.empty(), !p.to_inner.empty()), 0});
      waits.push_back({p.outer.get(), wants(!p.outer_ended && p.to_inner.empty(), !p.to_outer.empty()), 0});
    }
    if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) break;
    if (waits[0].revents) {
      char byte = 0;
      if (read(wake_reading_.get(), &byte, 1) != 1) break;
      listener_ = os::Fd();
      end_all();
      continue;
    }
    size_t at = 2;
    for (auto p = pairs_.begin(); p != pairs_.end(); at += 2) {
      const bool lives = attend(*p, waits[at].revents, waits[at + 1].revents);
      if (!lives) finish(*p);
      p = lives ? std::next(p) : pairs_.erase(p);
    }
    if (waits[1].revents) accept_one();
  }
  end_all();
}

void DoorRelay::accept_one() {
  os::Fd inner(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!inner) return;
  auto outer = hooks_.connect();
  if (!outer.ok()) return;  // it has been told; the inner end closes
  Pair pair;
  pair.inner = std::move(inner);
  pair.outer = std::move(outer).value();
  pairs_.push_back(std::move(pair));
  hooks_.moved(1, 0, 0);
}

bool DoorRelay::attend(Pair& p, short inner, short outer) {
  const Carried before = p.carried;
  bool broken = false;
  if ((inner & (POLLIN | POLLHUP | POLLERR)) && !p.inner_ended && p.to_outer.empty())
    p.inner_ended = !fill(p.inner.get(), p.to_outer, p.carried.bytes_out);
  if ((outer & (POLLIN | POLLHUP | POLLERR)) && !p.outer_ended && p.to_inner.empty())
    p.outer_ended = !fill(p.outer.get(), p.to_inner, p.carried.bytes_in);
  if (!p.to_outer.empty()) broken |= !drain(p.outer.get(), p.to_outer);
  if (!p.to_inner.empty()) broken |= !drain(p.inner.get(), p.to_inner);
  if (p.inner_ended && p.to_outer.empty() && !std::exchange(p.outer_shut, true)) (void)shutdown(p.outer.get(), SHUT_WR);
  if (p.outer_ended && p.to_inner.empty() && !std::exchange(p.inner_shut, true)) (void)shutdown(p.inner.get(), SHUT_WR);
  if (p.carried.bytes_out != before.bytes_out || p.carried.bytes_in != before.bytes_in)
    hooks_.moved(0, p.carried.bytes_out - before.bytes_out, p.carried.bytes_in - before.bytes_in);
  // A side that hangs up has nothing to hear any more either.
  broken |= ((inner & POLLHUP) && p.to_outer.empty() && p.inner_ended) || (outer & POLLERR);
  return !broken && !(p.outer_shut && p.inner_shut);
}

void DoorRelay::finish(Pair& p) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(p.outer.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
      size >= offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received) {
    p.carried.kernel_out = static_cast<int64_t>(info.tcpi_bytes_acked);
    p.carried.kernel_in = static_cast<int64_t>(info.tcpi_bytes_received);
  }
  hooks_.moved(-1, -p.carried.bytes_out, -p.carried.bytes_in);
  hooks_.ended(p.carried);
}

}  // namespace hf::fleet
