// One event loop: a thread, an io_context, and the connections that live on it. Internal to http/.
#pragma once

#include <atomic>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "http/pool.h"
#include "http/session.h"
#include "http/tls.h"
#include "os/thread.h"

namespace hf::http {

namespace asio = boost::asio;
// The plain executor, not the type-erased one: no allocation and no virtual call an operation.
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

class Connection;
class Loop;

// What loops share. Counters are only ever added up.
struct Shared {
  Shared(const ServerOptions& o, os::Clock& c) : options(o), clock(c) {}
  const ServerOptions options;
  os::Clock& clock;
  Server::Router router;
  Server::Handler handler;
  std::shared_ptr<TlsContext> tls;  // null: clear text only
  std::unique_ptr<WorkPool> control, data, generate;
  std::atomic<uint64_t> connections{0}, requests{0}, refused{0}, resets{0};
  std::atomic<int64_t> held{0};                           // bytes: SessionHost::hold
  std::atomic<int64_t> active{0}, open{0}, lingering{0};  // lingering: of the open ones, those with nothing left to say

  void run(std::shared_ptr<Exchange> exchange);  // the handler; what it throws becomes a 500
};

// Wakes the loop for streams. Outlives it: a handler may keep its exchange longer than the server lives.
class LoopPort final : public Waker {
 public:
  explicit LoopPort(Loop* loop) : loop_(loop) {}
  void wake(std::shared_ptr<Stream> stream) override;
  bool on_loop() const override { return std::this_thread::get_id() == thread_.load(std::memory_order_relaxed); }
  void bind_thread() { thread_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
  void close();
  std::vector<std::shared_ptr<Stream>> take();

 private:
  std::atomic<std::thread::id> thread_{};
  std::mutex mutex_;
  Loop* loop_;  // null once the loop stopped
  std::vector<std::shared_ptr<Stream>> woken_;
  bool posted_ = false;
};

class Loop {
 public:
  Loop(Shared& shared, int number);
  ~Loop();  // stops at once: every connection is cut
  void start();
  void stop();
  void drain();  // any thread

  void adopt(int fd, std::string peer);  // any thread; takes the accepted descriptor
  void remove(Connection& connection);
  void woken_here(std::shared_ptr<Stream> stream) { woken_.push_back(std::move(stream)); }
  void after_event();  // each event ends with it: streams that were woken from this thread
  void attend_woken(std::vector<std::shared_ptr<Stream>> streams);
  void touch();  // each event begins with it: the time
  int64_t now_us() const { return now_us_; }
  std::string_view date();

  asio::io_context context{1};
  Shared& shared;
  const std::shared_ptr<LoopPort> port;
  std::shared_ptr<Waker> waker;  // port, as sessions take it
  // Scratch for all connections of this loop, in use only within one event.
  std::vector<char> read_buffer;
  std::string out, cipher;
  bool draining = false;

 private:
  void tick();
  void arm_timer();

  const int number_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      timer_;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Stream>> woken_;
  bool attend_posted_ = false;
  int64_t now_us_ = 0, date_us_ = 0;
  std::string date_;
  os::Thread thread_;
};

}  // namespace hf::http
