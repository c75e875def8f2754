// The server with real clients and real sockets.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "crypto/crypto.h"
#include "http/testing.h"
#include "os/fs.h"
#include "os/thread.h"

namespace hf::http {
namespace {

using testing::RawClient;
using testing::run;
using testing::serve;

const std::string kCurl = "curl -sS --max-time 30 ";
const std::string kGet = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

std::string address(const Server& server) { return "127.0.0.1:" + std::to_string(server.port()); }
std::string url(const Server& server, const std::string& path) { return " http://" + address(server) + path; }

// Waits for what other threads bring about; fails the test after 20 s instead of hanging.
template <class Condition>
::testing::AssertionResult eventually(Condition&& condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return ::testing::AssertionSuccess();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return ::testing::AssertionFailure() << "not within 20 s";
}

// A handler that keeps its exchanges for the test to answer.
struct Kept {
  std::mutex mutex;
  std::vector<std::shared_ptr<Exchange>> all;
  Server::Handler handler() {
    return [this](std::shared_ptr<Exchange> exchange) {
      std::lock_guard lock(mutex);
      all.push_back(std::move(exchange));
    };
  }
  size_t size() {
    std::lock_guard lock(mutex);
    return all.size();
  }
  std::shared_ptr<Exchange> at(size_t i) {
    std::lock_guard lock(mutex);
    return all.at(i);
  }
};

std::unique_ptr<Server> serve_with(ServerOptions options, Server::Router router, Server::Handler handler) {
  auto server = Server::start(options, os::real_clock(), std::move(router), std::move(handler));
  EXPECT_TRUE(server.ok()) << (server.ok() ? "" : server.error().message);
  return server.ok() ? std::move(*server) : nullptr;
}

Server::Router all_on(Pool pool) {
  return [pool](const RequestHead&) { return Route{pool, 1 << 30}; };
}

TEST(Server, AnswersCurlOnBothVersionsOfOnePort) {
  auto server = serve();
  EXPECT_EQ(run(kCurl + url(*server, "/health")).out, "ok\n");
  EXPECT_EQ(run(kCurl + "--http2-prior-knowledge" + url(*server, "/health")).out, "ok\n");
  std::string at = address(*server);
  EXPECT_EQ(run(kCurl + url(*server, "/head?a=%20b")).out, "GET /head?a=%20b " + at + " h1 plain\n");
  EXPECT_EQ(run(kCurl + "--http2-prior-knowledge" + url(*server, "/head?a=1")).out,
            "GET /head?a=1 " + at + " h2 plain\n");
}

TEST(Server, BodiesGoThroughWhole) {
  auto server = serve();
  std::string file = ::testing::TempDir() + "/http_body_" + std::to_string(::getpid());
  ASSERT_EQ(run("head -c 9000000 /dev/urandom > " + file).status, 0);
  for (std::string version : {"--http1.1", "--http2-prior-knowledge"}) {
    for (std::string how : {"", " -H 'Transfer-Encoding: chunked'", " -H Expect:"}) {
      if (version != "--http1.1" && how.find("Transfer") != std::string::npos) continue;
      auto ran = run(kCurl + version + how + " --data-binary @" + file + url(*server, "/echo") + " | cmp - " + file +
                     " && echo same");
      EXPECT_EQ(ran.out, "same\n") << version << how;
    }
    EXPECT_EQ(run(kCurl + version + url(*server, "/stream?5000") + " | wc -c").out, "5000000\n");
  }
  ::unlink(file.c_str());
}

TEST(Server, HandlersThatFailLeaveTheServerStanding) {
  auto server = serve();
  for (std::string version : {"--http1.1 ", "--http2-prior-knowledge "}) {
    std::string code = kCurl + version + "-o /dev/null -w '%{http_code}'";
    EXPECT_EQ(run(code + url(*server, "/throw")).out, "500") << version;
    EXPECT_EQ(run(code + url(*server, "/silent")).out, "500") << version;
    EXPECT_EQ(run(code + url(*server, "/headers")).out, "500") << version;
    EXPECT_EQ(run(kCurl + version + "-i" + url(*server, "/headers")).out.find("stolen"), std::string::npos) << version;
    EXPECT_NE(run(kCurl + version + url(*server, "/half")).status, 0) << version;
    EXPECT_EQ(run(code + " -d " + std::string(2000, 'x') + url(*server, "/small")).out, "413") << version;
    EXPECT_EQ(run(code + " -d x" + url(*server, "/unread")).out, "403") << version;
    EXPECT_EQ(run(kCurl + version + url(*server, "/health")).out, "ok\n") << version;
  }
}

TEST(Server, ManyPipelinedRequestsOverOneSocket) {
  auto server = serve();
  RawClient client(server->port());
  std::string many;
  for (int i = 0; i < 500; ++i)
    many += i % 10 == 9 ? "GET /head?" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n" : kGet;
  ASSERT_TRUE(client.send(many));
  for (int i = 0; i < 500; ++i) {
    std::string head = client.receive("\r\n\r\n");
    ASSERT_TRUE(head.starts_with("HTTP/1.1 200")) << i << head;
    std::string body = client.receive("\n");
    EXPECT_EQ(body, i % 10 == 9 ? "GET /head?" + std::to_string(i) + " a h1 plain\n" : "ok\n");
  }
}

TEST(Server, RefusesJunkAndGoesOn) {
  auto server = serve();
  for (std::string bytes :
       {std::string("\r\n\r\n"), std::string("GET / HTTP/1.1\nHost: a\n\n"), std::string(100'000, 'A'),
        std::string("\x16\x03\x01\x02\x00\x01\x00", 7) + "\n", std::string("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")}) {
    RawClient client(server->port());
    client.send(bytes);
    std::string answer = client.receive_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 505")) << answer;
  }
  RawClient client(server->port());
  client.send(kGet);
  EXPECT_TRUE(client.receive("ok\n").ends_with("ok\n"));
  EXPECT_GE(server->counters().refused, 5u);
}

TEST(Server, ARefusedBodyStillDeliversTheAnswer) {  // the client goes on sending: the answer must not drown in a reset
  auto server = serve();
  for (int i = 0; i < 10; ++i) {
    RawClient client(server->port());
    client.send("PUT /small HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
    client.send(std::string(900'000, 'x'));
    EXPECT_TRUE(client.receive_all().starts_with("HTTP/1.1 413"));
  }
}

TEST(Server, SlowClientsAreCut) {
  ServerOptions options;
  options.head_timeout_ms = options.body_timeout_ms = options.idle_timeout_ms = 100;
  auto server = serve(options);
  RawClient silent(server->port()), half_head(server->port()), half_preface(server->port()), half_body(server->port()),
      idle(server->port());
  half_head.send("GET /health HTTP/1.1\r\nHost");
  half_preface.send("PRI * HTTP/2.0\r\n");
  half_body.send("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  idle.send(kGet);
  EXPECT_TRUE(idle.receive("ok\n").ends_with("ok\n"));
  EXPECT_EQ(silent.receive_all(), "");
  EXPECT_TRUE(half_head.receive_all().starts_with("HTTP/1.1 408"));
  EXPECT_EQ(half_preface.receive_all(), "");
  EXPECT_TRUE(half_body.receive_all().starts_with("HTTP/1.1 408"));
  EXPECT_EQ(idle.receive_all(), "");
}

TEST(Server, AReaderThatStopsBoundsWhatTheServerHolds) {
  std::atomic<size_t> taken{0};
  std::atomic<bool> over{false};
  ServerOptions options;
  options.body_timeout_ms = 300;
  auto server = serve_with(options, all_on(Pool::generate), [&](std::shared_ptr<Exchange> exchange) {
    exchange->start(200, {});
    while (exchange->write(std::string(10'000, 'x')).ok()) taken += 10'000;
    EXPECT_TRUE(exchange->closed());
    over = true;
  });
  RawClient client(server->port(), 4096);
  client.send(kGet);
  // The kernel's buffers (a few MB at most), the socket's step and the outbox: then it stops, and in the end it is cut.
  ASSERT_TRUE(eventually([&] { return over.load(); }));
  EXPECT_LT(taken.load(), 16u << 20);
  EXPECT_EQ(server->counters().active, 0u);
}

// Answers that fit into the kernel's buffers whole, and a client that takes none of them: held for nobody.
TEST(Server, AReaderThatStopsIsCutThoughAllWasWritten) {
  ServerOptions options;
  options.body_timeout_ms = 300;
  auto server = serve_with(options, all_on(Pool::control), [](std::shared_ptr<Exchange> exchange) {
    exchange->respond(200, {}, std::string(60'000, 'x'));
  });
  RawClient client(server->port(), 1024);
  client.send(kGet);
  ASSERT_TRUE(eventually([&] { return server->counters().requests == 1 && server->counters().active == 0; }));
  // The connection is kept alive for 75 s: it is cut long before, so the end comes without a request.
  EXPECT_TRUE(eventually([&] {
    pollfd end{client.fd(), 0, 0};
    return ::poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLERR)) != 0;
  }));
}

TEST(Server, AClientThatIsCutIsSeenByTheHandler) {
  Kept kept;
  auto server = serve_with({}, all_on(Pool::control), kept.handler());
  std::atomic<int> told{0};
  for (int way = 0; way < 2; ++way) {
    RawClient client(server->port());
    client.send(kGet);
    ASSERT_TRUE(eventually([&] { return kept.size() == static_cast<size_t>(way) + 1; }));
    auto exchange = kept.at(static_cast<size_t>(way));
    exchange->on_room([&] { ++told; });
    exchange->start(200, {});
    exchange->push("first");
    EXPECT_NE(client.receive("first").find("200"), std::string::npos);
    if (way == 0) client.reset();
    if (way == 1) client.half_close();
    ASSERT_TRUE(eventually([&] { return exchange->closed(); }));
    EXPECT_EQ(exchange->push("second"), Exchange::Push::closed);
  }
  ASSERT_TRUE(eventually([&] { return told == 2; }));
}

TEST(Server, PushesOfOtherThreadsAreWrittenByTheLoop) {
  Kept kept;
  auto server = serve_with({}, all_on(Pool::loop), kept.handler());
  constexpr size_t kStreams = 8;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->send(kGet);
  }
  ASSERT_TRUE(eventually([&] { return kept.size() == kStreams; }));
  for (size_t i = 0; i < kStreams; ++i) kept.at(i)->start(200, {});
  os::Thread writer("test-writer", [&] {  // one thread for all streams, as the engine's
    for (int step = 0; step < 500; ++step) {
      for (size_t i = 0; i < kStreams; ++i) EXPECT_NE(kept.at(i)->push("z"), Exchange::Push::closed);
    }
    for (size_t i = 0; i < kStreams; ++i) {
      kept.at(i)->push("END");
      kept.at(i)->finish();
    }
  });
  for (auto& client : clients) {
    std::string answer = client->receive("\r\n0\r\n\r\n");
    std::string body = answer.substr(answer.find("\r\n\r\n"));
    EXPECT_EQ(std::count(body.begin(), body.end(), 'z'), 500);
    EXPECT_NE(answer.find("END"), std::string::npos);
  }
}

TEST(Server, OnRoomCanDriveALongAnswer) {  // a producer that never blocks and never waits
  auto server = serve_with({}, all_on(Pool::loop), [](std::shared_ptr<Exchange> exchange) {
    struct Producer {
      std::shared_ptr<Exchange> exchange;
      int left = 3000;
      void go() {
        while (left > 0) {
          --left;
          if (exchange->push(std::string(1000, 'x')) != Exchange::Push::ok) break;
        }
        if (left == 0) exchange->finish();
      }
    };
    auto producer = std::make_shared<Producer>();
    producer->exchange = exchange;
    exchange->on_room([producer] { producer->go(); });
    exchange->start(200, {});
    producer->go();
  });
  for (std::string version : {"--http1.1", "--http2-prior-knowledge"}) {
    EXPECT_EQ(run(kCurl + version + url(*server, "/") + " | wc -c").out, "3000000\n") << version;
  }
  EXPECT_TRUE(eventually([&] { return server->counters().active == 0; }));
}

// One thread for all answers, and a client that reads nothing of a large one.
TEST(Server, AnAnswerMadeOnRoomHoldsNoThreadWhileItsClientReadsSlowly) {
  ServerOptions options;
  options.data_threads = 1;
  struct Producer : std::enable_shared_from_this<Producer> {
    std::shared_ptr<Exchange> exchange;
    int left = 8000;
    void go() {
      while (left > 0) {
        --left;
        if (exchange->push(std::string(10'000, 'x')) != Exchange::Push::ok) break;
      }
      if (left == 0) exchange->finish();
    }
  };
  auto server = serve_with(options, all_on(Pool::data), [&](std::shared_ptr<Exchange> exchange) {
    if (exchange->head().path() == "/small") return exchange->respond(200, {}, "small\n");
    auto producer = std::make_shared<Producer>();
    producer->exchange = exchange;
    exchange->on_room([producer] {
      if (!producer->exchange->closed()) producer->exchange->on_pool([producer] { producer->go(); });
    });
    exchange->start(200, {});
    producer->go();
  });
  RawClient stuck(server->port(), 4096);
  stuck.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(stuck.receive("\r\n\r\n").find("200"), std::string::npos);  // it has begun
  for (std::string version : {"--http1.1", "--http2-prior-knowledge"}) {
    EXPECT_EQ(run(kCurl + version + url(*server, "/small")).out, "small\n") << version;
    EXPECT_EQ(run(kCurl + version + url(*server, "/large") + " | wc -c").out, "80000000\n") << version;
  }
  stuck.reset();
  EXPECT_TRUE(eventually([&] { return server->counters().active == 0; }));
}

TEST(Server, FullPoolsAnswer503) {
  ServerOptions options;
  options.control_threads = 1;
  options.queue_limit = 2;
  std::mutex gate;
  std::atomic<int> running{0};
  gate.lock();
  auto server = serve_with(options, all_on(Pool::control), [&](std::shared_ptr<Exchange> exchange) {
    ++running;
    std::lock_guard lock(gate);
    exchange->respond(200, {}, "done");
  });
  std::vector<std::unique_ptr<RawClient>> clients;
  auto ask = [&] {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->send(kGet);
  };
  ask();
  ASSERT_TRUE(eventually([&] { return running == 1; }));
  ask();
  ask();
  ASSERT_TRUE(eventually([&] { return server->counters().requests == 3; }));
  for (int i = 0; i < 3; ++i) {
    RawClient refused(server->port());
    refused.send(kGet);
    std::string answer = refused.receive("waiting\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
    EXPECT_NE(answer.find("retry-after: 1\r\n"), std::string::npos);
  }
  EXPECT_EQ(run(kCurl + "--http2-prior-knowledge -o /dev/null -w '%{http_code}'" + url(*server, "/")).out, "503");
  gate.unlock();
  for (auto& client : clients) EXPECT_NE(client->receive("done").find("HTTP/1.1 200"), std::string::npos);
  EXPECT_EQ(server->counters().refused, 4u);
}

TEST(Server, ConnectionsOverTheLimitAreClosedAndOthersGoOn) {
  ServerOptions options;
  options.max_connections = 3;
  auto server = serve(options);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->send(kGet);
    EXPECT_TRUE(clients.back()->receive("ok\n").ends_with("ok\n"));
  }
  RawClient over(server->port());
  EXPECT_EQ(over.receive_all(), "");
  EXPECT_EQ(server->counters().refused, 1u);
  clients[0].reset();
  ASSERT_TRUE(eventually([&] {
    RawClient again(server->port());
    again.send(kGet);
    return again.receive("ok\n").ends_with("ok\n");
  }));
}

TEST(Server, DrainWaitsForWhatRunsAndSaysWhatWasCut) {
  for (bool answered : {true, false}) {
    Kept kept;
    auto server = serve_with({}, all_on(Pool::control), kept.handler());
    uint16_t port = server->port();
    RawClient idle(port), busy(port);
    busy.send(kGet);
    ASSERT_TRUE(eventually([&] { return kept.size() == 1; }));
    std::string got;
    os::Thread later("test-later", [&] {
      EXPECT_EQ(idle.receive_all(), "");  // idle ones are closed at once
      if (answered) kept.at(0)->respond(200, {}, "last");
    });
    EXPECT_EQ(server->drain(answered ? 20'000 : 200), answered);
    later.join();
    if (answered) {
      got = busy.receive_all();
      EXPECT_TRUE(got.ends_with("last"));
    }
    EXPECT_NE(run(kCurl + " http://127.0.0.1:" + std::to_string(port) + "/health").status, 0) << "still accepts";
  }
}

TEST(Server, EndsWhileHandlersWaitAndExchangesOutliveIt) {
  std::shared_ptr<Exchange> survivor;
  std::atomic<int> waiting{0};
  {
    ServerOptions options;
    auto server = serve_with(options, all_on(Pool::data), [&](std::shared_ptr<Exchange> exchange) {
      if (exchange->head().path() == "/keep") {
        survivor = exchange;
        ++waiting;
        return;
      }
      ++waiting;
      auto body = exchange->read_all(1000);  // never comes
      EXPECT_FALSE(body.ok());
    });
    RawClient reader(server->port()), keeper(server->port());
    reader.send("PUT /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    keeper.send("GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return waiting == 2; }));
  }
  EXPECT_TRUE(survivor->closed());
  survivor->respond(200, {}, "too late");
  EXPECT_EQ(survivor->push("x"), Exchange::Push::closed);
  survivor.reset();
}

TEST(Server, SaysWhyItCannotStart) {
  auto server = serve();
  ServerOptions options;
  options.port = server->port();
  auto second = Server::start(options, os::real_clock(), testing::route, testing::handle);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::conflict);
  EXPECT_NE(second.error().message.find(std::to_string(options.port)), std::string::npos);
  auto refused = [](ServerOptions o) {
    return !Server::start(o, os::real_clock(), testing::route, testing::handle).ok();
  };
  ServerOptions bad;
  bad.address = "localhost.example";
  EXPECT_TRUE(refused(bad));
  bad = {};
  bad.plain = false;
  EXPECT_TRUE(refused(bad));
  bad = {};
  bad.certificate_pem = "junk";
  EXPECT_TRUE(refused(bad));
  bad.key_pem = "junk";
  EXPECT_TRUE(refused(bad));
  bad = {};
  bad.loops = 0;
  EXPECT_TRUE(refused(bad));
}

// ---- TLS

class TlsServer : public ::testing::Test {
 protected:
  void SetUp() override {
    Micros now = os::real_clock().now();
    auto authority = crypto::make_authority("test authority", now, 10);
    ASSERT_TRUE(authority.ok());
    auto made = crypto::make_server_certificate(*authority, {"127.0.0.1", "localhost"}, now, 10);
    ASSERT_TRUE(made.ok());
    options_.certificate_pem = made->certificate_pem;
    options_.key_pem = made->key_pem;
    ca_ = ::testing::TempDir() + "/http_ca_" + std::to_string(::getpid()) + ".pem";
    ASSERT_TRUE(os::real_fs().write_file_atomic(ca_, authority->certificate_pem).ok());
  }
  void TearDown() override { ::unlink(ca_.c_str()); }
  std::string curl(const Server& server, const std::string& arguments, const std::string& path) {
    return run(kCurl + "--cacert " + ca_ + " " + arguments + " https://" + address(server) + path).out;
  }
  std::string s_client(const Server& server, const std::string& arguments, const std::string& input = "") {
    return run("printf '" + input + "' | timeout 20 openssl s_client -connect " + address(server) + " -CAfile " + ca_ +
               " " + arguments)
        .out;
  }

  ServerOptions options_;
  std::string ca_;
};

TEST_F(TlsServer, AlpnChoosesAndThePortTakesBoth) {
  auto server = serve(options_);
  std::string at = address(*server);
  EXPECT_EQ(curl(*server, "--http1.1", "/head"), "GET /head " + at + " h1 tls\n");
  EXPECT_EQ(curl(*server, "--http2", "/head"), "GET /head " + at + " h2 tls\n");
  EXPECT_EQ(curl(*server, "--no-alpn", "/head"), "GET /head " + at + " h1 tls\n");
  EXPECT_EQ(curl(*server, "--tlsv1.2 --tls-max 1.2 --http2", "/head"), "GET /head " + at + " h2 tls\n");
  EXPECT_EQ(run(kCurl + url(*server, "/head")).out, "GET /head " + at + " h1 plain\n");
  EXPECT_NE(s_client(*server, "-alpn h2").find("ALPN protocol: h2"), std::string::npos);
  EXPECT_NE(s_client(*server, "-alpn http/1.1").find("ALPN protocol: http/1.1"), std::string::npos);
  EXPECT_NE(s_client(*server, "-alpn spdy/3").find("no application protocol"), std::string::npos);
  EXPECT_NE(s_client(*server, "-tls1_1").find("alert protocol version"), std::string::npos);
}

TEST_F(TlsServer, LargeBodiesBothWays) {
  auto server = serve(options_);
  std::string file = ::testing::TempDir() + "/http_tls_body_" + std::to_string(::getpid());
  ASSERT_EQ(run("head -c 5000000 /dev/urandom > " + file).status, 0);
  for (std::string version : {"--http1.1", "--http2"}) {
    EXPECT_EQ(run(kCurl + "--cacert " + ca_ + " " + version + " --data-binary @" + file + " https://" +
                  address(*server) + "/echo | cmp - " + file + " && echo same")
                  .out,
              "same\n")
        << version;
  }
  ::unlink(file.c_str());
}

TEST_F(TlsServer, SessionsResume) {
  auto server = serve(options_);
  std::string session = ::testing::TempDir() + "/http_session_" + std::to_string(::getpid());
  for (std::string version : {"-tls1_2", "-tls1_3"}) {
    std::string request = "GET /health HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n";
    // -ign_eof: until the server closes, so that the ticket has come.
    s_client(*server, version + " -ign_eof -sess_out " + session, request);
    for (int i = 0; i < 4; ++i) {  // on either loop
      EXPECT_NE(s_client(*server, version + " -ign_eof -sess_in " + session, request).find("Reused, TLS"),
                std::string::npos)
          << version;
    }
  }
  ::unlink(session.c_str());
}

TEST_F(TlsServer, ClearTextIsRefusedWhereItIsNotAllowed) {
  options_.plain = false;
  auto server = serve(options_);
  EXPECT_EQ(curl(*server, "", "/health"), "ok\n");
  RawClient client(server->port());
  client.send(kGet);
  std::string answer = client.receive_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << answer;
  EXPECT_TRUE(answer.ends_with("this port speaks TLS only: https")) << answer;
}

TEST_F(TlsServer, JunkAfterTheFirstByteIsCutAndTheRestGoesOn) {
  auto server = serve(options_);
  for (int i = 0; i < 20; ++i) {
    RawClient client(server->port());
    client.send("\x16" + std::string(static_cast<size_t>(i) * 300, static_cast<char>(i)) + std::string(600, '\xff'));
    client.receive_all();
  }
  RawClient half(server->port());  // a handshake that never ends must not hold anything up
  half.send(std::string("\x16\x03\x01\x02\x00", 5));
  EXPECT_EQ(curl(*server, "--http2", "/health"), "ok\n");
}

}  // namespace
}  // namespace hf::http
