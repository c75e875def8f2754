#include "http/loop.h"

#include <boost/asio/post.hpp>

#include "http/connection.h"
#include "os/process.h"

namespace hf::http {
namespace {
constexpr size_t kReadBuffer = 64 << 10;
constexpr int64_t kDateUs = 250'000;  // how old the cached date may get
}  // namespace

void Shared::run(std::shared_ptr<Exchange> exchange) {
  try {
    handler(std::move(exchange));
  } catch (...) {
    // The last handle died in the unwinding (or dies with whoever holds a copy): Stream::abandon answers 500.
  }
}

void LoopPort::wake(std::shared_ptr<Stream> stream) {
  if (on_loop()) {
    if (loop_) loop_->woken_here(std::move(stream));
    return;
  }
  std::lock_guard lock(mutex_);
  if (!loop_) return;
  woken_.push_back(std::move(stream));
  if (std::exchange(posted_, true)) return;
  asio::post(loop_->context, [loop = loop_] {
    loop->touch();
    loop->attend_woken(loop->port->take());
    loop->after_event();
  });
}

std::vector<std::shared_ptr<Stream>> LoopPort::take() {
  std::lock_guard lock(mutex_);
  posted_ = false;
  return std::exchange(woken_, {});
}

void LoopPort::close() {
  std::vector<std::shared_ptr<Stream>> dropped;
  std::lock_guard lock(mutex_);
  loop_ = nullptr;
  dropped.swap(woken_);
}

Loop::Loop(Shared& s, int number)
    : shared(s),
      port(std::make_shared<LoopPort>(this)),
      waker(port),
      read_buffer(kReadBuffer),
      number_(number),
      timer_(context) {}

Loop::~Loop() { stop(); }

void Loop::start() {
  touch();
  arm_timer();
  thread_ = os::Thread("hf-loop-" + std::to_string(number_), [this] {
    port->bind_thread();
    auto keep = asio::make_work_guard(context);
    context.run();
  });
}

void Loop::stop() {
  context.stop();
  thread_.join();
  // From here on this thread is alone with what the loop held.
  port->bind_thread();
  auto connections = std::move(connections_);
  connections_.clear();
  for (auto& [raw, connection] : connections) connection->die();
  port->close();
  woken_.clear();
}

void Loop::touch() { now_us_ = shared.clock.monotonic_us(); }

std::string_view Loop::date() {
  if (date_.empty() || now_us_ - date_us_ > kDateUs) {
    date_ = http_date(shared.clock.now());
    date_us_ = now_us_;
  }
  return date_;
}

void Loop::adopt(int fd, std::string peer) {
  asio::post(context, [this, socket = os::Fd(fd), peer = std::move(peer)]() mutable {
    touch();
    auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(peer));
    connections_.emplace(connection.get(), connection);
    connection->start();
  });
}

void Loop::remove(Connection& connection) { connections_.erase(&connection); }

void Loop::after_event() {
  if (woken_.empty() || attend_posted_) return;
  // A later event, so that a handler that refills its outbox in on_room cannot keep the loop for itself.
  attend_posted_ = true;
  asio::post(context, [this] {
    touch();
    attend_posted_ = false;
    attend_woken(std::exchange(woken_, {}));
    after_event();
  });
}

void Loop::attend_woken(std::vector<std::shared_ptr<Stream>> streams) {
  std::vector<std::shared_ptr<Connection>> touched;
  for (auto& stream : streams) {
    stream->set_woken(false);
    auto* connection = static_cast<Connection*>(stream->owner);
    if (!connection) continue;
    connection->service(*stream);
    if (!std::exchange(connection->settling, true)) touched.push_back(connection->shared_from_this());
  }
  // All frames of all streams of a connection leave in one write.
  for (auto& connection : touched) {
    connection->settling = false;
    connection->settle();
  }
}

void Loop::arm_timer() {
  const ServerOptions& o = shared.options;
  int shortest = std::min({o.head_timeout_ms, o.body_timeout_ms, o.idle_timeout_ms});
  timer_.expires_after(std::chrono::milliseconds(std::clamp(shortest / 8, 5, 500)));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    touch();
    tick();
    after_event();
    arm_timer();
  });
}

void Loop::tick() {
  std::vector<std::shared_ptr<Connection>> all;
  all.reserve(connections_.size());
  for (auto& [raw, connection] : connections_) all.push_back(connection);
  for (auto& connection : all) connection->tick();
}

void Loop::drain() {
  asio::post(context, [this] {
    touch();
    draining = true;
    std::vector<std::shared_ptr<Connection>> all;
    for (auto& [raw, connection] : connections_) all.push_back(connection);
    for (auto& connection : all) connection->drain();
    after_event();
  });
}

}  // namespace hf::http
