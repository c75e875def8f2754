// The server with real clients and real sockets: HTTP/1.1, HTTP/2 in clear text.
#include <gtest/gtest.h>
#include <unistd.h>

#include "http/testing.h"

namespace hf::http {
namespace {

using testing::RawClient;
using testing::run;
using testing::serve;

std::string url(const Server& server, const std::string& path) {
  return " http://127.0.0.1:" + std::to_string(server.port()) + path;
}

constexpr const char* kCurl = "curl -sS --max-time 30 ";

TEST(Server, AnswersCurlOnBothVersionsOfOnePort) {
  auto server = serve();
  EXPECT_EQ(run(kCurl + url(*server, "/health")).out, "ok\n");
  EXPECT_EQ(run(std::string(kCurl) + "--http2-prior-knowledge" + url(*server, "/health")).out, "ok\n");
  std::string at = "127.0.0.1:" + std::to_string(server->port());
  EXPECT_EQ(run(kCurl + url(*server, "/head?a=%20b")).out, "GET /head?a=%20b " + at + " h1 plain\n");
  EXPECT_EQ(run(std::string(kCurl) + "--http2-prior-knowledge" + url(*server, "/head?a=1")).out,
            "GET /head?a=1 " + at + " h2 plain\n");
}

TEST(Server, BodiesGoThroughWhole) {
  auto server = serve();
  std::string file = ::testing::TempDir() + "/http_body_" + std::to_string(::getpid());
  ASSERT_EQ(run("head -c 9000000 /dev/urandom > " + file).status, 0);
  for (std::string version : {"--http1.1", "--http2-prior-knowledge"}) {
    for (std::string how : {"", " -H 'Transfer-Encoding: chunked'", " -H Expect:"}) {
      if (version != "--http1.1" && how.find("Transfer") != std::string::npos) continue;
      auto ran = run(std::string(kCurl) + version + how + " --data-binary @" + file + url(*server, "/echo") +
                     " | cmp - " + file + " && echo same");
      EXPECT_EQ(ran.out, "same\n") << version << how;
    }
    EXPECT_EQ(run(std::string(kCurl) + version + url(*server, "/stream?5000") + " | wc -c").out, "5000000\n");
  }
  ::unlink(file.c_str());
}

}  // namespace
}  // namespace hf::http
