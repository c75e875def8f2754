// HTTP/1.1's session in memory: what it accepts, what it refuses, its limits, and time.
#include <gtest/gtest.h>

#include <functional>

#include "http/h1_head.h"
#include "http/h1_session.h"
#include "http/session_fake.h"

namespace hf::http {
namespace {

using namespace std::string_literals;  // for bytes with NULs in them

struct Driven {
  FakeHost host;
  std::unique_ptr<Session> session = make_h1_session(host, "127.0.0.1:4000", false);
  std::string say(std::string_view bytes) {
    session->receive(bytes);
    return host.settle(*session);
  }
};

int status_of(std::string_view answer) {
  return answer.starts_with("HTTP/1.1 ") && answer.size() > 12 ? std::stoi(std::string(answer.substr(9, 3))) : 0;
}

std::string body_of(const std::string& answer) {
  size_t at = answer.find("\r\n\r\n");
  return at == std::string::npos ? "" : answer.substr(at + 4);
}

TEST(H1, TableOfRequestsAndWhatEachGets) {
  struct Case {
    const char* name;
    std::string bytes;
    int status;
  };
  const std::string host = "Host: a\r\n";
  const Case cases[] = {
      {"plain", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"version 1.0", "GET /health HTTP/1.0\r\n\r\n", 200},
      {"absolute form of the Host", "GET http://a/health HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"a long header value with high bytes",
       "GET /health HTTP/1.1\r\nHost: a\r\nx: \xc3\xa9" + std::string(9000, 'b') + "\r\n\r\n", 200},
      {"no Host", "GET /health HTTP/1.1\r\n\r\n", 400},
      {"empty Host", "GET /health HTTP/1.1\r\nHost:\r\n\r\n", 400},
      {"two Hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"Host with user information", "GET /health HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"Host with a path", "GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"absolute form of another host", "GET http://b/health HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"absolute form with user information", "GET http://a@b/health HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"another scheme", "GET ftp://a/health HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no leading slash", "GET health HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"fragment", "GET /health#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"blank in the target", "GET /hea lth HTTP/1.1\r\nHost: a\r\n\r\n", 505},
      {"control character in the target", "GET /hea\x01lth HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"raw UTF-8 in the target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"s, 400},
      {"version 2.0", "GET /health HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"version 1.2", "GET /health HTTP/1.2\r\nHost: a\r\n\r\n", 505},
      {"no version", "GET /health\r\nHost: a\r\n\r\n", 400},
      {"two blanks before the version", "GET /health  HTTP/1.1\r\nHost: a\r\n\r\n", 505},
      {"bad method", "G@T /health HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"bare LF in the request line", "GET /health HTTP/1.1\nHost: a\r\n\r\n", 400},
      {"bare LF in a header", "GET /health HTTP/1.1\r\nHost: a\nx: y\r\n\r\n", 400},
      {"bare CR in a header", "GET /health HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
      {"folded header", "GET /health HTTP/1.1\r\nHost: a\r\nx: a\r\n b\r\n\r\n", 400},
      {"folded first header", "GET /health HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"blank before the colon", "GET /health HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"empty name", "GET /health HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
      {"name with a blank", "GET /health HTTP/1.1\r\nHost: a\r\nx y: b\r\n\r\n", 400},
      {"no colon", "GET /health HTTP/1.1\r\nHost: a\r\nxyz\r\n\r\n", 400},
      {"NUL in a value", "GET /health HTTP/1.1\r\nHost: a\r\nx: \0\r\n\r\n"s, 400},
      {"control character in a value", "GET /health HTTP/1.1\r\nHost: a\r\nx: \x07\r\n\r\n", 400},
      {"DEL in a value", "GET /health HTTP/1.1\r\nHost: a\r\nx: \x7f\r\n\r\n", 400},
      {"length and encoding",
       "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"encoding and length",
       "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
      {"two lengths", "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {"a list of lengths", "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
      {"negative length", "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", 400},
      {"signed length", "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400},
      {"hexadecimal length", "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n", 400},
      {"length over 64 bits", "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n", 400},
      {"empty length", "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
      {"gzip encoding", "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"chunked twice",
       "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"chunked, chunked", "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501},
      {"identity", "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501},
      {"chunked with a tail", "POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
      {"chunked in 1.0", "POST /health HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"unknown Expect", "POST /health HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\nContent-Length: 3\r\n\r\n", 417},
      {"announced over the limit", "POST /data HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413},
      {"head over the limit", "GET /health HTTP/1.1\r\nHost: a\r\nx: " + std::string(70'000, 'a'), 431},
      {"request line over the limit", "GET /" + std::string(70'000, 'a'), 431},
      {"TLS to a clear port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"s, 400},
      {"junk", "\xff\xfe\xfd\r\n\r\n", 400},
  };
  for (const Case& c : cases) {
    for (size_t step : {c.bytes.size(), size_t{1}, size_t{7}}) {
      if (step == 1 && c.bytes.size() > 20'000) continue;  // a line is searched again with each piece
      Driven d;
      std::string out;
      for (size_t at = 0; at < c.bytes.size() && !d.session->done(); at += step)
        out += d.say(std::string_view(c.bytes).substr(at, step));
      EXPECT_EQ(status_of(out), c.status) << c.name << " in steps of " << step << ": " << out;
      if (c.status != 200) {
        EXPECT_TRUE(d.session->done()) << c.name;
        EXPECT_NE(out.find("connection: close"), std::string::npos) << c.name;
        EXPECT_EQ(d.say("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"), "") << c.name << ": smuggled";
      }
      EXPECT_EQ(d.host.active, 0) << c.name;
    }
  }
}

TEST(H1, TooManyHeaders) {
  Driven d;
  std::string head = "GET /health HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 300; ++i) head += "x: y\r\n";
  EXPECT_EQ(status_of(d.say(head + "\r\n")), 431);
}

TEST(H1, ChunkedBodiesAndTheirFaults) {
  struct Case {
    const char* name;
    std::string body, read;
    bool valid;
  };
  const Case cases[] = {
      {"two chunks", "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", "abcdefg", true},
      {"extension", "3;a=b\r\nabc\r\n0\r\n\r\n", "abc", true},
      {"trailer without a blank", "c\r\nhello world\n\r\n0\r\nx-amz-checksum-crc32:rwg7LQ==\r\n\r\n", "hello world\n",
       true},
      {"empty", "0\r\n\r\n", "", true},
      {"upper case hexadecimal", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", true},
      {"no size", "\r\nabc\r\n0\r\n\r\n", "", false},
      {"bad size", "xyz\r\nabc\r\n0\r\n\r\n", "", false},
      {"prefixed size", "0x3\r\nabc\r\n0\r\n\r\n", "", false},
      {"negative size", "-3\r\nabc\r\n0\r\n\r\n", "", false},
      {"size over 64 bits", "1ffffffffffffffff\r\nabc\r\n0\r\n\r\n", "", false},
      {"data longer than its size", "3\r\nabcd\r\n0\r\n\r\n", "abc", false},
      {"bare LF after the size", "3\nabc\r\n0\r\n\r\n", "", false},
      {"bare LF after the data", "3\r\nabc\n0\r\n\r\n", "abc", false},
      {"a length among the trailers", "0\r\nContent-Length: 5\r\n\r\n", "", false},
      {"folded trailer", "0\r\nx: a\r\n\x01: b\r\n\r\n", "", false},
      {"endless size line", "3;" + std::string(20'000, 'a'), "", false},
      {"endless trailers", "0\r\n" + std::string(20'000, 'a'), "", false},
  };
  for (const Case& c : cases) {
    for (size_t step : {c.body.size(), size_t{1}, size_t{5}}) {
      Driven d;
      d.say("PUT /data HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      ASSERT_EQ(d.host.exchanges.size(), 1u);
      for (size_t at = 0; at < c.body.size(); at += step) d.say(std::string_view(c.body).substr(at, step));
      auto& exchange = *d.host.exchanges[0];
      std::string got;
      char piece[64];
      Result<size_t> n = size_t{0};
      while ((n = exchange.read(piece)).ok() && *n > 0) got.append(piece, *n);
      EXPECT_EQ(got, c.read) << c.name << step;
      EXPECT_EQ(n.ok(), c.valid) << c.name << step << (n.ok() ? "" : n.error().message);
      exchange.respond(c.valid ? 200 : 400, {}, "done");
      std::string out = d.host.settle(*d.session);
      EXPECT_EQ(body_of(out), "done") << c.name;
      EXPECT_EQ(d.session->done(), !c.valid) << c.name << step;
      if (c.valid) {
        EXPECT_EQ(status_of(d.say("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")), 200) << c.name;
      }
    }
  }
}

TEST(H1, PipelinedRequestsAreAnsweredInOrder) {
  Driven d;
  std::string many;
  for (int i = 0; i < 3; ++i) {
    many += "GET /data HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  EXPECT_EQ(d.say(many), "");
  ASSERT_EQ(d.host.exchanges.size(), 1u) << "one at a time";
  std::string all;
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(d.host.exchanges.size(), i + 1);
    d.host.exchanges[i]->respond(200, {}, "slow" + std::to_string(i) + "\n");
    all += d.host.settle(*d.session);
  }
  std::string bodies;
  for (size_t at = 0; (at = all.find("\r\n\r\n", at)) != std::string::npos;) {
    at += 4;
    bodies += all.substr(at, all.find('\n', at) + 1 - at);
  }
  EXPECT_EQ(bodies, "slow0\nok\nslow1\nok\nslow2\nok\n");
  EXPECT_EQ(d.host.requests, 6);
  EXPECT_EQ(d.host.active, 0);
}

TEST(H1, PipelinedBytesAreBounded) {
  Driven d;
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(d.session->wants_bytes());
  size_t sent = 0;
  while (d.session->wants_bytes()) {
    d.say(std::string(8192, 'x'));
    sent += 8192;
    ASSERT_LT(sent, 1u << 20);
  }
  EXPECT_LE(sent, (64u << 10) + 8192);
}

TEST(H1, ABodyNobodyReadsHoldsTheClientBack) {
  Driven d;
  d.host.body_limit = 1 << 30;
  d.say("PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
  size_t sent = 0;
  while (d.session->wants_bytes()) {
    d.say(std::string(16384, 'x'));
    sent += 16384;
    ASSERT_LT(sent, 10u << 20);
  }
  EXPECT_LE(sent, Stream::kInBound + 16384);
  std::string some(Stream::kInBound, '\0');
  ASSERT_TRUE(d.host.exchanges[0]->read(some).ok());
  d.host.settle(*d.session);
  EXPECT_TRUE(d.session->wants_bytes());
}

TEST(H1, ContinueIsSentAtTheFirstReadOnly) {
  Driven d;
  const std::string head = "PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  EXPECT_EQ(d.say(head), "");
  char piece[8];
  EXPECT_FALSE(d.host.exchanges[0]->read(piece).ok());  // would block
  EXPECT_EQ(d.host.settle(*d.session), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(d.say("abc"), "");
  EXPECT_EQ(d.host.exchanges[0]->read(piece).value_or(99), 3u);
  d.host.exchanges[0]->respond(200, {}, "");
  EXPECT_EQ(status_of(d.host.settle(*d.session)), 200);
  EXPECT_FALSE(d.session->done());

  d.say(head);  // refused without a read: no 100, and the connection must close, for the body may or may not come
  d.host.exchanges[1]->respond(403, {}, "");
  std::string out = d.host.settle(*d.session);
  EXPECT_EQ(status_of(out), 403);
  EXPECT_EQ(out.find("100 Continue"), std::string::npos);
  EXPECT_NE(out.find("connection: close"), std::string::npos);
  EXPECT_TRUE(d.session->done());
}

TEST(H1, ASmallUnreadBodyIsReadAwayALargeOneCloses) {
  Driven d;
  d.say("PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + std::string(10, 'x'));
  d.host.exchanges[0]->respond(403, {}, "no");
  EXPECT_EQ(status_of(d.host.settle(*d.session)), 403);
  EXPECT_FALSE(d.session->done());
  EXPECT_EQ(status_of(d.say(std::string(990, 'x') + "GET /health HTTP/1.1\r\nHost: a\r\n\r\n")), 200);

  d.say("PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  d.host.exchanges[1]->respond(403, {}, "no");
  EXPECT_NE(d.host.settle(*d.session).find("connection: close"), std::string::npos);
  EXPECT_TRUE(d.session->done());
}

TEST(H1, HeadAndBodilessAnswersHaveNoBody) {
  Driven d;
  d.say("HEAD /data HTTP/1.1\r\nHost: a\r\n\r\n");
  Headers headers;
  headers.add("Content-Length", "12345");
  d.host.exchanges[0]->respond(200, headers, "");
  std::string out = d.host.settle(*d.session);
  EXPECT_NE(out.find("content-length: 12345\r\n"), std::string::npos);
  EXPECT_EQ(body_of(out), "");
  d.say("HEAD /data HTTP/1.1\r\nHost: a\r\n\r\n");
  d.host.exchanges[1]->respond(200, {}, "the body of a GET");
  out = d.host.settle(*d.session);
  EXPECT_NE(out.find("content-length: 17\r\n"), std::string::npos);
  EXPECT_EQ(body_of(out), "");
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  d.host.exchanges[2]->respond(204, {}, "");
  out = d.host.settle(*d.session);
  EXPECT_EQ(out.find("content-length"), std::string::npos);
  EXPECT_EQ(body_of(out), "");
  EXPECT_FALSE(d.session->done());
}

TEST(H1, StreamsAreChunkedOrEndWithTheConnection) {
  Driven d;
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  auto exchange = d.host.exchanges[0];
  exchange->start(200, {});
  EXPECT_EQ(exchange->push("abc"), Exchange::Push::ok);
  std::string out = d.host.settle(*d.session);
  EXPECT_NE(out.find("transfer-encoding: chunked"), std::string::npos);
  EXPECT_EQ(body_of(out), "3\r\nabc\r\n");
  exchange->push("defg");
  exchange->finish();
  EXPECT_EQ(d.host.settle(*d.session), "4\r\ndefg\r\n0\r\n\r\n");
  EXPECT_FALSE(d.session->done());

  Driven old;
  old.say("GET /data HTTP/1.0\r\n\r\n");
  old.host.exchanges[0]->start(200, {});
  old.host.exchanges[0]->push("abc");
  old.host.exchanges[0]->finish();
  out = old.host.settle(*old.session);
  EXPECT_EQ(body_of(out), "abc");
  EXPECT_TRUE(old.session->done());
}

TEST(H1, HalfAnAnswerNeverLooksWhole) {
  for (int way = 0; way < 4; ++way) {
    Driven d;
    d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
    Headers headers;
    if (way >= 2) headers.add("content-length", "10");
    auto exchange = d.host.exchanges[0];
    exchange->start(200, headers);
    exchange->push("abc");
    std::string out = d.host.settle(*d.session);
    if (way == 0) exchange->abort();
    if (way == 1) {
      d.host.exchanges.clear();  // the handler forgot it
      exchange.reset();
    }
    if (way == 2) exchange->finish();  // too short
    if (way == 3) {
      EXPECT_EQ(exchange->push("12345678"), Exchange::Push::closed);  // too long
    }
    out += d.host.settle(*d.session);
    EXPECT_EQ(out.find("\r\n0\r\n\r\n"), std::string::npos) << way;
    EXPECT_TRUE(d.session->done()) << way;
    EXPECT_TRUE(d.session->hard()) << way;
    EXPECT_EQ(d.host.active, 0) << way;
  }
}

TEST(H1, AWholeAnswerIsNeverCutHard) {  // a reset would take what the client has not read yet
  Driven d;
  d.say("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(d.session->done());
  d.session->gone();
  EXPECT_FALSE(d.session->hard());
  Driven busy;
  busy.say("GET /data HTTP/1.0\r\n\r\n");
  busy.host.exchanges[0]->start(200, {});
  busy.host.settle(*busy.session);
  busy.session->gone();
  EXPECT_TRUE(busy.session->hard());
}

TEST(H1, AForgottenRequestGets500AndTheConnectionGoesOn) {
  Driven d;
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  d.host.exchanges.clear();
  EXPECT_EQ(status_of(d.host.settle(*d.session)), 500);
  EXPECT_EQ(status_of(d.say("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")), 200);
}

TEST(H1, AnswersCannotSmuggleHeaders) {
  const std::pair<const char*, const char*> bad[] = {
      {"x", "a\r\nset-cookie: b"}, {"x", "a\nb"}, {"x\r\ny", "a"}, {"x y", "a"}, {"", "a"}, {"x", "a\x01"}};
  for (auto& [name, value] : bad) {
    Driven d;
    d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
    Headers headers;
    headers.add(name, value);
    d.host.exchanges[0]->respond(200, headers, "body");
    std::string out = d.host.settle(*d.session);
    EXPECT_EQ(status_of(out), 500);
    EXPECT_EQ(out.find("set-cookie"), std::string::npos);
  }
  Driven d;  // and what belongs to the connection is ours
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  Headers headers;
  headers.add("Transfer-Encoding", "chunked");
  headers.add("Connection", "upgrade");
  headers.add("Content-Length", "999");
  headers.add("Date", "never");
  d.host.exchanges[0]->respond(200, headers, "body");
  std::string out = d.host.settle(*d.session);
  EXPECT_EQ(out.find("chunked"), std::string::npos);
  EXPECT_EQ(out.find("upgrade"), std::string::npos);
  EXPECT_EQ(out.find("999"), std::string::npos);
  EXPECT_NE(out.find("date: Sun, 22 Nov 2026 07:49:25 GMT\r\n"), std::string::npos);
}

TEST(H1, TheOutboxIsBoundedAndRoomIsAnnounced) {
  Driven d;
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  auto exchange = d.host.exchanges[0];
  int rooms = 0;
  exchange->on_room([&] { ++rooms; });
  exchange->start(200, {});
  size_t pushed = 0;
  Exchange::Push said;
  while ((said = exchange->push(std::string(10'000, 'x'))) == Exchange::Push::ok) pushed += 10'000;
  EXPECT_EQ(said, Exchange::Push::full);
  EXPECT_LE(pushed, Stream::kOutBound);
  std::string out;
  d.session->produce(out, 64 << 10);  // the socket takes a little
  EXPECT_EQ(rooms, 0);
  EXPECT_LE(out.size(), (64u << 10) + 400);
  d.host.settle(*d.session);
  EXPECT_EQ(rooms, 1);
  d.session->gone();
  EXPECT_EQ(rooms, 2);
  EXPECT_TRUE(exchange->closed());
  EXPECT_EQ(exchange->push("more"), Exchange::Push::closed);
  EXPECT_FALSE(exchange->write("more").ok());
}

TEST(H1, TheClientsEndIsSeen) {
  Driven d;  // in the middle of a streamed answer
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  d.host.exchanges[0]->start(200, {});
  d.session->receive_end();
  EXPECT_TRUE(d.host.exchanges[0]->closed());
  d.host.settle(*d.session);
  EXPECT_TRUE(d.session->done());

  Driven whole;  // while a whole answer is being made: it is still delivered to a client that closed its side only
  whole.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
  whole.session->receive_end();
  EXPECT_TRUE(whole.host.exchanges[0]->closed());
  whole.host.exchanges[0]->respond(200, {}, "late");
  EXPECT_EQ(body_of(whole.host.settle(*whole.session)), "late");
  EXPECT_TRUE(whole.session->done());

  Driven body;  // in the middle of its body
  body.say("PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  body.session->receive_end();
  auto read = body.host.exchanges[0]->read_all(100);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::unavailable);
}

TEST(H1, TooLargeABodyWithoutAnnouncementIsSeenByTheReader) {
  Driven d;
  d.host.body_limit = 10;
  d.say(
      "PUT /data HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n");
  auto read = d.host.exchanges[0]->read_all(100);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::too_large);
}

TEST(H1, Timeouts) {
  const int64_t second = 1'000'000;
  {  // no byte at all
    Driven d;
    d.host.now += 14 * second;
    d.session->tick(d.host.now);
    EXPECT_FALSE(d.session->done());
    d.host.now += 2 * second;
    d.session->tick(d.host.now);
    EXPECT_TRUE(d.session->done());
  }
  {  // slow loris: a byte now and then does not buy time
    Driven d;
    std::string head = "GET /health HTTP/1.1\r\nHost: a\r\nx: " + std::string(100, 'a');
    for (int i = 0; i < 16 && !d.session->done(); ++i) {
      d.session->receive(head.substr(static_cast<size_t>(i), 1));
      d.host.now += second;
      d.session->tick(d.host.now);
    }
    EXPECT_TRUE(d.session->done() || status_of(d.host.settle(*d.session)) == 408);
    EXPECT_EQ(status_of(d.host.settle(*d.session)) == 408 || d.session->done(), true);
  }
  {  // idle between requests: longer
    Driven d;
    d.say("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    d.host.now += 74 * second;
    d.session->tick(d.host.now);
    EXPECT_FALSE(d.session->done());
    d.host.now += 2 * second;
    d.session->tick(d.host.now);
    EXPECT_TRUE(d.session->done());
  }
  {  // a body that stops; a handler that is slow is not the client's fault
    Driven d;
    d.say("PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    d.host.now += 31 * second;
    d.session->tick(d.host.now);
    auto read = d.host.exchanges[0]->read_all(100);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, Code::unavailable);
    d.host.exchanges[0]->respond(408, {}, "slow");
    EXPECT_EQ(body_of(d.host.settle(*d.session)), "slow");
    EXPECT_TRUE(d.session->done());
    Driven slow;
    slow.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
    slow.host.now += 1000 * second;
    slow.session->tick(slow.host.now);
    EXPECT_FALSE(slow.session->done());
    slow.host.exchanges[0]->respond(200, {}, "at last");
    EXPECT_EQ(body_of(slow.host.settle(*slow.session)), "at last");
  }
}

// Time passes in the steps of the server's timer, so that half seconds count as they do there.
void pass(Driven& d, int seconds, const std::function<void(int)>& each_second = {}) {
  for (int half = 1; half <= 2 * seconds; ++half) {
    d.host.now += 500'000;
    if (each_second && half % 2 == 0) each_second(half / 2);
    d.session->tick(d.host.now);
  }
}

TEST(H1, ABodyThatDribblesIsCutThoughItNeverStops) {
  for (bool chunked : {false, true}) {
    Driven d;
    d.say(chunked ? "PUT /data HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  : "PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    pass(d, 31, [&](int) { d.say(chunked ? "8\r\n12345678\r\n" : "12345678"); });
    auto read = d.host.exchanges[0]->read_all(1 << 20);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, Code::unavailable) << read.error().message;
    d.host.exchanges[0]->respond(408, {}, "slow");
    std::string out = d.host.settle(*d.session);
    EXPECT_EQ(status_of(out), 408);
    EXPECT_TRUE(d.session->done());
    EXPECT_FALSE(d.session->hard());
  }
}

TEST(H1, ABodyAtTheLeastPaceAndOneThatWeHoldBackGoOn) {
  Driven d;
  d.say("PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  pass(d, 120, [&](int) { d.say(std::string(500, 'x')); });
  d.say(std::string(40'000, 'x'));
  auto read = d.host.exchanges[0]->read_all(1 << 20);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->size(), 100'000u);
  Driven held;  // a handler that takes its time is not the client's fault
  held.say("PUT /data HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + std::string(150'000, 'x'));
  EXPECT_FALSE(held.session->wants_bytes());
  pass(held, 1000);
  char piece[100'000];
  ASSERT_TRUE(held.host.exchanges[0]->read(piece).ok());
  held.host.settle(*held.session);
  held.say(std::string(50'000, 'x'));
  EXPECT_EQ(held.host.exchanges[0]->read_all(1 << 20)->size(), 100'000u);
}

TEST(H1, AHandlerOfWholeBodiesStartsWhenTheBodyIsHere) {
  const std::string head = "PUT /whole HTTP/1.1\r\nHost: a\r\nContent-Length: ";
  {  // in pieces; a body in one piece with its head never waits
    Driven d;
    EXPECT_EQ(d.say(head + "10\r\n\r\n01234"), "");
    EXPECT_TRUE(d.host.exchanges.empty()) << "a thread would wait for this client";
    EXPECT_GT(d.host.held, 5);
    d.say("56789");
    ASSERT_EQ(d.host.exchanges.size(), 1u);
    EXPECT_EQ(d.host.held, 0);
    EXPECT_EQ(*d.host.exchanges[0]->read_all(100), "0123456789");
  }
  {  // one that waits for 100 Continue is told to go on
    Driven d;
    EXPECT_EQ(d.say("PUT /whole HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
              "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_TRUE(d.host.exchanges.empty());
    d.say("abc");
    ASSERT_EQ(d.host.exchanges.size(), 1u);
    d.host.exchanges[0]->respond(200, {}, "done");
    EXPECT_EQ(body_of(d.host.settle(*d.session)), "done");
  }
  {  // a large one too, however much
    Driven d;
    d.say(head + "500000\r\n\r\n" + std::string(499'999, 'x'));
    EXPECT_TRUE(d.host.exchanges.empty());
    EXPECT_TRUE(d.session->wants_bytes());
    EXPECT_GT(d.host.held, 499'999);
    d.say("x");
    ASSERT_EQ(d.host.exchanges.size(), 1u);
    EXPECT_EQ(d.host.exchanges[0]->read_all(1 << 20)->size(), 500'000u);
  }
  {  // too slow, broken, over the limit, or given up: the handler hears of it at once and says it in its protocol
    const std::string chunked = "PUT /whole HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int way = 0; way < 4; ++way) {
      Driven d;
      d.host.body_limit = 1000;
      d.say(way == 0 ? head + "10\r\n\r\n01234" : chunked);
      ASSERT_TRUE(d.host.exchanges.empty()) << way;
      if (way == 0) pass(d, 31);
      if (way == 1) d.say("zzz\r\n");
      if (way == 2) d.say("7d0\r\n" + std::string(1500, 'x'));
      if (way == 3) d.session->receive_end();
      ASSERT_EQ(d.host.exchanges.size(), 1u) << way;
      EXPECT_FALSE(d.host.exchanges[0]->read_all(10'000).ok()) << way;
      EXPECT_EQ(d.host.held, 0);
    }
  }
  {  // gone meanwhile: nobody ever hears of it
    Driven d;
    d.say(head + "10\r\n\r\n01234");
    d.session->gone();
    EXPECT_TRUE(d.host.exchanges.empty());
    EXPECT_EQ(d.host.held, 0);
    EXPECT_EQ(d.host.active, 0);
  }
  {  // too much is held already
    Driven d;
    d.host.options_.held_limit = 10'000;
    EXPECT_EQ(status_of(d.say(head + "90000\r\n\r\n" + std::string(20'000, 'x'))), 503);
    EXPECT_EQ(d.host.held, 0);
    Driven whole;
    whole.host.options_.held_limit = 0;
    whole.say(head + "3\r\n\r\nabc");
    EXPECT_EQ(whole.host.exchanges.size(), 1u) << "one that need not wait is not refused";
  }
}

TEST(H1, LinesOfAHeadAreLookedAtOnce) {
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\nx: y";
  Refusal refusal;
  size_t seen = 0;
  EXPECT_EQ(find_head(head, 1000, refusal, seen), 0u);
  EXPECT_EQ(seen, head.size() - 4);
  head[3] = '\n';  // would be refused now, if it were read again
  head += "\r\n\r\n";
  EXPECT_EQ(find_head(head, 1000, refusal, seen), head.size());
  EXPECT_EQ(refusal.status, 0);
}

TEST(H1, DrainFinishesWhatRunsAndTakesNothingNew) {
  Driven idle;
  idle.session->drain();
  EXPECT_TRUE(idle.session->done());
  Driven d;
  d.say("GET /data HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  d.session->drain();
  EXPECT_FALSE(d.session->done());
  d.host.exchanges[0]->respond(200, {}, "last");
  std::string out = d.host.settle(*d.session);
  EXPECT_EQ(body_of(out), "last");
  EXPECT_NE(out.find("connection: close"), std::string::npos);
  EXPECT_TRUE(d.session->done());
}

}  // namespace
}  // namespace hf::http
