#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "http/http.h"
#include "http/loop.h"

namespace hf::http {
namespace {

constexpr int kAcceptsInARow = 64;
constexpr int kBacklog = 1024;
// Bytes that the kernel holds unsent for a client: without it a slow reader's socket grows to megabytes (tcp_wmem).
constexpr int kUnsentBytes = 128 << 10;
using UnsentLimit = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;

using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

std::string peer_name(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
    return "[" + asio::ip::address_v6(bytes).to_string() + "]:" + std::to_string(ntohs(in6.sin6_port));
  }
  const auto& in = reinterpret_cast<const sockaddr_in&>(address);
  return asio::ip::address_v4(ntohl(in.sin_addr.s_addr)).to_string() + ":" + std::to_string(ntohs(in.sin_port));
}

class ServerImpl final : public Server {
 public:
  ServerImpl(const ServerOptions& options, os::Clock& clock, Router router, Handler handler) : shared_(options, clock) {
    shared_.router = std::move(router);
    shared_.handler = std::move(handler);
  }
  ~ServerImpl() override;
  Status open();
  uint16_t port() const override { return port_; }
  bool drain(int timeout_ms) override;
  Counters counters() const override {
    return {shared_.connections, shared_.requests, static_cast<uint64_t>(std::max<int64_t>(0, shared_.active)),
            shared_.refused, shared_.resets};
  }

 private:
  Status listen();
  void wait_for_clients();
  void accept_clients();

  Shared shared_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<Acceptor> acceptor_;  // used on loop 0 only, once that runs
  std::unique_ptr<Timer> pause_;        // when the process is out of descriptors
  size_t next_ = 0;
  uint16_t port_ = 0;
};

Status ServerImpl::open() {
  const ServerOptions& o = shared_.options;
  if (o.certificate_pem.empty() != o.key_pem.empty()) {
    return fail(Code::invalid, "TLS: expected a certificate and its key, found only one of them");
  }
  if (o.certificate_pem.empty() && !o.plain) {
    return fail(Code::invalid, "the server has neither clear text nor a certificate: nobody could connect");
  }
  if (o.loops < 1 || o.control_threads < 1 || o.data_threads < 1 || o.generate_threads < 1) {
    return fail(Code::invalid, "each kind of thread of the server needs at least one");
  }
  if (!o.certificate_pem.empty()) shared_.tls = TRY(TlsContext::make(o.certificate_pem, o.key_pem));
  for (int i = 0; i < o.loops; ++i) loops_.push_back(std::make_unique<Loop>(shared_, i));
  TRY(listen());
  auto work = [this](std::shared_ptr<Exchange> exchange) { shared_.run(std::move(exchange)); };
  shared_.control = std::make_unique<WorkPool>("hf-ctl", o.control_threads, o.queue_limit, work);
  shared_.data = std::make_unique<WorkPool>("hf-data", o.data_threads, o.queue_limit, work);
  shared_.generate = std::make_unique<WorkPool>("hf-gen", o.generate_threads, o.queue_limit, work);
  wait_for_clients();
  for (auto& loop : loops_) loop->start();
  return {};
}

// One listening socket, so that a second site on this port is refused by the kernel (SO_REUSEPORT would let it in and
// share the clients). Loop 0 accepts and deals out, which also spreads few connections evenly.
Status ServerImpl::listen() {
  const ServerOptions& o = shared_.options;
  boost::system::error_code error;
  auto address = asio::ip::make_address(o.address, error);
  if (error) return fail(Code::invalid, "expected an IP address to listen on, found '" + o.address + "'");
  asio::ip::tcp::endpoint endpoint(address, o.port);
  acceptor_ = std::make_unique<Acceptor>(loops_[0]->context);
  pause_ = std::make_unique<Timer>(loops_[0]->context);
  if (o.listen) {
    acceptor_->assign(endpoint.protocol(), TRY(o.listen(o.address, o.port)).release(), error);
  } else {
    acceptor_->open(endpoint.protocol(), error);
    if (!error) acceptor_->set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_->bind(endpoint, error);
    if (!error) acceptor_->listen(kBacklog, error);
  }
  if (!error) acceptor_->set_option(asio::ip::tcp::no_delay(true), error);  // accepted sockets inherit it
  if (!error) acceptor_->set_option(UnsentLimit(kUnsentBytes), error);
  if (!error) acceptor_->non_blocking(true, error);
  if (error) {
    Code code = error == asio::error::address_in_use ? Code::conflict : Code::unavailable;
    return fail(code, "cannot listen on " + o.address + ":" + std::to_string(o.port) + ": " + error.message());
  }
  port_ = acceptor_->local_endpoint().port();
  return {};
}

void ServerImpl::wait_for_clients() {
  acceptor_->async_wait(Acceptor::wait_read, [this](boost::system::error_code error) {
    if (!error) accept_clients();
  });
}

void ServerImpl::accept_clients() {
  for (int i = 0; i < kAcceptsInARow; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    int fd = ::accept4(acceptor_->native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                       SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
      // Nothing can be accepted until something closes: asking again at once would only burn the processor.
      pause_->expires_after(std::chrono::milliseconds(100));
      pause_->async_wait([this](boost::system::error_code error) {
        if (!error) wait_for_clients();
      });
      return;
    }
    if (fd < 0 && errno != EAGAIN) continue;  // that client left while it waited
    if (fd < 0) break;
    if (shared_.open.load(std::memory_order_relaxed) >= shared_.options.max_connections) {
      shared_.refused.fetch_add(1, std::memory_order_relaxed);
      ::close(fd);
      continue;
    }
    shared_.connections.fetch_add(1, std::memory_order_relaxed);
    shared_.open.fetch_add(1, std::memory_order_relaxed);
    loops_[next_++ % loops_.size()]->adopt(fd, peer_name(address));
  }
  wait_for_clients();
}

bool ServerImpl::drain(int timeout_ms) {
  asio::post(loops_[0]->context, [this] {
    boost::system::error_code ignored;
    acceptor_->close(ignored);
    pause_->cancel();
  });
  for (auto& loop : loops_) loop->drain();
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    if (shared_.active.load() <= 0 && shared_.open.load() <= shared_.lingering.load()) return true;
    if (std::chrono::steady_clock::now() >= until) return shared_.active.load() <= 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

ServerImpl::~ServerImpl() {
  // Loops first: handlers that wait for a client are woken by its end, so that the pools can be joined.
  for (auto& loop : loops_) loop->stop();
  acceptor_.reset();
  pause_.reset();
  shared_.control.reset();
  shared_.data.reset();
  shared_.generate.reset();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, os::Clock& clock, Router router,
                                              Handler handler) {
  auto server = std::make_unique<ServerImpl>(options, clock, std::move(router), std::move(handler));
  TRY(server->open());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace hf::http
