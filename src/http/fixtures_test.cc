#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "http/testing.h"

namespace hf::http::testing {
namespace {

constexpr int kWaitMs = 20'000;

void answer_text(Exchange& exchange, int status, std::string body) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  exchange.respond(status, std::move(headers), std::move(body));
}

void echo(Exchange& exchange) {
  auto body = exchange.read_all(64 << 20);
  if (body) return answer_text(exchange, 200, std::move(*body));
  int status = body.error().code == Code::too_large ? 413 : body.error().code == Code::unavailable ? 408 : 400;
  answer_text(exchange, status, body.error().message);
}

void stream(Exchange& exchange) {
  int64_t pieces = parse_int(exchange.head().query()).value_or(3);
  exchange.start(200, {});
  for (int64_t i = 0; i < pieces; ++i) {
    if (!exchange.write(std::string(1000, static_cast<char>('a' + i % 26))).ok()) return exchange.abort();
  }
  exchange.finish();
}

}  // namespace

Route route(const RequestHead& head) {
  Route route;
  if (head.path() == "/health") route.pool = Pool::loop;
  if (head.path() == "/stream") route.pool = Pool::data;
  if (head.path() == "/echo") route.body_limit = 64 << 20;
  if (head.path() == "/small") route.body_limit = 1000;
  return route;
}

void handle(std::shared_ptr<Exchange> exchange) {
  const RequestHead& head = exchange->head();
  const std::string path(head.path());
  if (path == "/health") return answer_text(*exchange, 200, "ok\n");
  if (path == "/echo" || path == "/small") return echo(*exchange);
  if (path == "/stream") return stream(*exchange);
  if (path == "/head") {
    return answer_text(*exchange, 200,
                       head.method + " " + head.target + " " + head.authority + (head.http2 ? " h2" : " h1") +
                           (head.tls ? " tls" : " plain") + "\n");
  }
  if (path == "/throw") throw std::runtime_error("a handler's fault");
  if (path == "/silent") return;
  if (path == "/half") {
    exchange->start(200, {});
    (void)exchange->write("one");
    (void)exchange->write("two");
    return exchange->abort();
  }
  if (path == "/headers") {
    Headers headers;
    headers.add("x-value", "a\r\nset-cookie: stolen=1");
    return exchange->respond(200, std::move(headers), "body");
  }
  if (path == "/unread") return answer_text(*exchange, 403, "no\n");
  answer_text(*exchange, 404, "no such route\n");
}

std::unique_ptr<Server> serve(ServerOptions options) {
  auto server = Server::start(options, os::real_clock(), route, handle);
  EXPECT_TRUE(server.ok()) << (server.ok() ? "" : server.error().message);
  return server.ok() ? std::move(*server) : nullptr;
}

RawClient::RawClient(uint16_t port, int receive_buffer) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

std::string RawClient::receive_some(size_t most) {
  if (!buffer_.empty()) {
    std::string out = buffer_.substr(0, most);
    buffer_.erase(0, out.size());
    return out;
  }
  pollfd wait{fd_, POLLIN, 0};
  if (ended_ || ::poll(&wait, 1, kWaitMs) <= 0) return {};
  std::string out(most, '\0');
  ssize_t n = ::recv(fd_, out.data(), out.size(), 0);
  if (n <= 0) {
    ended_ = true;
    return {};
  }
  out.resize(static_cast<size_t>(n));
  return out;
}

std::string RawClient::receive(std::string_view until) {
  std::string seen = std::move(buffer_);
  buffer_.clear();
  for (;;) {
    size_t at = seen.find(until);
    if (at != std::string::npos) {
      buffer_ = seen.substr(at + until.size());
      return seen.substr(0, at + until.size());
    }
    std::string more = receive_some(64 << 10);
    if (more.empty()) return seen;
    seen += more;
  }
}

std::string RawClient::receive_all() {
  std::string seen;
  for (;;) {
    std::string more = receive_some(64 << 10);
    if (more.empty()) return seen;
    seen += more;
  }
}

void RawClient::half_close() { ::shutdown(fd_, SHUT_WR); }

void RawClient::reset() {
  linger hard{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(fd_);
  fd_ = -1;
}

Ran run(const std::string& shell_command) {
  FILE* pipe = ::popen((shell_command + " 2>&1").c_str(), "r");
  if (!pipe) return {-1, ""};
  std::string out;
  char piece[4096];
  while (size_t n = ::fread(piece, 1, sizeof piece, pipe)) out.append(piece, n);
  int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out};
}

}  // namespace hf::http::testing
