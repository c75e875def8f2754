// The client against our own server, clear text and TLS, and against servers that misbehave.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "http/testing.h"
#include "os/thread.h"

namespace hf::http {
namespace {

using testing::serve;

struct Certificates {
  crypto::CertificateAndKey authority, server;
};

Certificates certificates(const std::vector<std::string>& names) {
  Micros now = os::real_clock().now();
  auto authority = crypto::make_authority("test authority", now, 10);
  EXPECT_TRUE(authority.ok());
  auto server = crypto::make_server_certificate(*authority, names, now, 10);
  EXPECT_TRUE(server.ok());
  return {*authority, *server};
}

ServerOptions with(const Certificates& made) {
  ServerOptions options;
  options.certificate_pem = made.server.certificate_pem;
  options.key_pem = made.server.key_pem;
  return options;
}

std::unique_ptr<Client> client(const Server& server, const std::string& scheme, const std::string& ca = "",
                               const std::string& host = "127.0.0.1") {
  auto made = Client::make(scheme + "://" + host + ":" + std::to_string(server.port()), {ca, 20'000});
  EXPECT_TRUE(made.ok());
  return made.ok() ? std::move(*made) : nullptr;
}

TEST(Client, KeepsOneConnectionForManyRequests) {
  auto server = serve();
  auto c = client(*server, "http");
  for (int i = 0; i < 20; ++i) {
    auto response = c->request("GET", "/health", {}, "");
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "ok\n");
    EXPECT_EQ(response->headers.get("content-type"), "text/plain");
  }
  EXPECT_EQ(server->counters().connections, 1u);
  EXPECT_EQ(server->counters().requests, 20u);
}

TEST(Client, ClearTextAndTlsAndEveryWayOfABody) {
  auto made = certificates({"127.0.0.1", "localhost"});
  auto server = serve(with(made));
  std::string body(3'000'000, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 2654435761u >> 13);
  for (std::string scheme : {"http", "https"}) {
    auto c = client(*server, scheme, made.authority.certificate_pem);
    auto echoed = c->request("POST", "/echo", {}, body);
    ASSERT_TRUE(echoed.ok()) << echoed.error().message;
    EXPECT_TRUE(echoed->body == body);
    size_t at = 0;
    echoed = c->upload("PUT", "/echo", {}, body.size(), [&](std::span<char> out) -> Result<size_t> {
      size_t n = std::min(out.size(), body.size() - at);
      std::copy_n(body.data() + at, n, out.data());
      at += n;
      return n;
    });
    ASSERT_TRUE(echoed.ok()) << echoed.error().message;
    EXPECT_TRUE(echoed->body == body);
    size_t streamed = 0;
    auto response = c->stream("GET", "/stream?2000", {}, "", [&](std::string_view piece) {
      streamed += piece.size();
      return true;
    });
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(streamed, 2'000'000u);
    auto head = c->request("GET", "/head", {}, "");
    ASSERT_TRUE(head.ok());
    EXPECT_NE(head->body.find(scheme == "https" ? " h1 tls" : " h1 plain"), std::string::npos);
  }
}

TEST(Client, StopsWhenThePieceSaysSo) {
  auto server = serve();
  auto c = client(*server, "http");
  size_t pieces = 0;
  auto response = c->stream("GET", "/stream?100000", {}, "", [&](std::string_view) { return ++pieces < 3; });
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(pieces, 3u);
  EXPECT_TRUE(c->request("GET", "/health", {}, "").ok());  // on a new connection
}

TEST(Client, TrustsOnlyItsAuthorityAndTheRightName) {
  auto made = certificates({"127.0.0.1"});
  auto other = certificates({"127.0.0.1"});
  auto server = serve(with(made));
  EXPECT_TRUE(client(*server, "https", made.authority.certificate_pem)->request("GET", "/health", {}, "").ok());
  auto wrong = client(*server, "https", other.authority.certificate_pem)->request("GET", "/health", {}, "");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::denied) << wrong.error().message;
  auto name = client(*server, "https", made.authority.certificate_pem, "localhost")->request("GET", "/health", {}, "");
  ASSERT_FALSE(name.ok());
  EXPECT_EQ(name.error().code, Code::denied) << name.error().message;
  EXPECT_FALSE(Client::make("https://127.0.0.1:1", {}).ok());
}

TEST(Client, RefusesWhatItCannotSend) {
  auto server = serve();
  auto c = client(*server, "http");
  EXPECT_EQ(c->request("GET", "health", {}, "").error().code, Code::invalid);
  EXPECT_EQ(c->request("GE T", "/health", {}, "").error().code, Code::invalid);
  Headers headers;
  headers.add("x-a", "1\r\nx-b: 2");
  EXPECT_EQ(c->request("GET", "/health", headers, "").error().code, Code::invalid);
  for (std::string bad :
       {"", "ftp://a:1", "http://", "http://a:0", "http://a:99999", "http://a b:1", "http://[::1:1"}) {
    EXPECT_FALSE(Client::make(bad, {}).ok()) << bad;
  }
}

// A server of one connection that says `answer` and closes.
class Misbehaving {
 public:
  explicit Misbehaving(std::string answer, bool close = true) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = os::Thread("test-server", [this, answer, close] {
      int fd = ::accept(listener_, nullptr, nullptr);
      char request[4096];
      (void)!::recv(fd, request, sizeof request, 0);
      (void)!::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      if (!close) (void)!::recv(fd, request, sizeof request, 0);
      ::close(fd);
    });
  }
  ~Misbehaving() {
    thread_.join();
    ::close(listener_);
  }
  Result<Response> ask(int timeout_ms = 20'000) {
    auto c = Client::make("http://127.0.0.1:" + std::to_string(port_), {"", timeout_ms});
    return (*c)->request("GET", "/", {}, "");
  }

 private:
  int listener_;
  uint16_t port_ = 0;
  os::Thread thread_;
};

TEST(Client, AnswersThatBreakTheRules) {
  struct Case {
    std::string answer;
    Code code;
  };
  const Case cases[] = {
      {"", Code::unavailable},
      {"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", Code::unavailable},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", Code::unavailable},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n", Code::invalid},
      {"SSH-2.0-OpenSSH\r\n\r\n", Code::invalid},
      {"HTTP/1.1 200 OK\r\nx: " + std::string(70'000, 'a'), Code::invalid},
      {"HTTP/1.1 200 OK\ncontent-length: 0\n\n", Code::invalid},
  };
  for (const auto& c : cases) {
    auto response = Misbehaving(c.answer).ask();
    ASSERT_FALSE(response.ok()) << c.answer.substr(0, 60);
    EXPECT_EQ(response.error().code, c.code) << c.answer.substr(0, 60) << ": " << response.error().message;
  }
  auto eof_body = Misbehaving("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end").ask();
  ASSERT_TRUE(eof_body.ok()) << eof_body.error().message;
  EXPECT_EQ(eof_body->body, "to the end");
}

TEST(Client, GivesUpOnAServerThatSaysNothing) {
  auto response = Misbehaving("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", false).ask(50);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, Code::unavailable);
  EXPECT_NE(response.error().message.find("50 ms"), std::string::npos) << response.error().message;
}

}  // namespace
}  // namespace hf::http
