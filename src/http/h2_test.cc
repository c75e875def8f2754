// HTTP/2's session in memory: nghttp2's client on the other side, and frames made by hand for what no client sends.
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <functional>
#include <map>

#include "base/bytes.h"
#include "http/h2_meter.h"
#include "http/h2_session.h"
#include "http/session_fake.h"

namespace hf::http {
namespace {

struct Answer {
  std::map<std::string, std::string> headers;
  std::vector<int> interim;
  std::string body;
  int status = 0;
  bool closed = false;
  uint32_t error = 0;
};

// A client in memory, with an answer a stream.
class Peer {
 public:
  explicit Peer(FakeHost& host) : host_(host), session_(make_h2_session(host, "127.0.0.1:4000", false)) {
    nghttp2_session_callbacks* callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* user) {
          auto& answer = static_cast<Peer*>(user)->answers[frame->hd.stream_id];
          std::string key(reinterpret_cast<const char*>(name), name_size);
          std::string text(reinterpret_cast<const char*>(value), value_size);
          if (key == ":status" && text[0] == '1') {
            answer.interim.push_back(std::stoi(text));
          } else if (key == ":status") {
            answer.status = std::stoi(text);
          } else {
            answer.headers[key] = text;
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
          static_cast<Peer*>(user)->answers[id].body.append(reinterpret_cast<const char*>(data), size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t id, uint32_t error, void* user) {
          auto& answer = static_cast<Peer*>(user)->answers[id];
          answer.closed = true;
          answer.error = error;
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          if (frame->hd.type == NGHTTP2_GOAWAY)
            static_cast<Peer*>(user)->goaway = static_cast<int>(frame->goaway.error_code);
          return 0;
        });
    nghttp2_option* option;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_http_messaging(option, 1);  // it may send nonsense
    nghttp2_session_client_new2(&client_, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~Peer() { nghttp2_session_del(client_); }

  using Pairs = std::vector<std::pair<std::string, std::string>>;
  static Pairs get(const std::string& path) {
    return {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}};
  }
  int32_t ask(const Pairs& headers, std::string body = "", bool has_body = false, bool end = true) {
    std::vector<nghttp2_nv> fields;
    for (auto& [name, value] : headers) {
      fields.push_back(
          {(uint8_t*)name.data(), (uint8_t*)value.data(), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    nghttp2_data_provider provider;
    bodies_.push_back(std::make_unique<Body>(Body{std::move(body), 0, end}));
    provider.source.ptr = bodies_.back().get();
    provider.read_callback = [](nghttp2_session*, int32_t, uint8_t* out, size_t size, uint32_t* flags,
                                nghttp2_data_source* source, void*) -> ssize_t {
      auto& b = *static_cast<Body*>(source->ptr);
      size_t n = std::min(size, b.bytes.size() - b.at);
      std::copy_n(b.bytes.data() + b.at, n, reinterpret_cast<char*>(out));
      b.at += n;
      if (b.at == b.bytes.size() && b.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (n == 0 && !b.end) return NGHTTP2_ERR_DEFERRED;
      return static_cast<ssize_t>(n);
    };
    has_body = has_body || !bodies_.back()->bytes.empty();
    return nghttp2_submit_request(client_, nullptr, fields.data(), fields.size(), has_body ? &provider : nullptr,
                                  nullptr);
  }
  // Everything either side has to say, until both are silent.
  void talk() {
    for (int round = 0; round < 1000; ++round) {
      std::string to_server = client_bytes();
      if (!to_server.empty()) session_->receive(to_server);
      std::string to_client = host_.settle(*session_);
      if (to_client.empty() && to_server.empty()) return;
      sent += to_client.size();
      ASSERT_GE(nghttp2_session_mem_recv(client_, reinterpret_cast<const uint8_t*>(to_client.data()), to_client.size()),
                0);
    }
  }
  std::string client_bytes() {
    std::string out;
    const uint8_t* data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(client_, &data)) > 0)
      out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(n));
    return out;
  }
  // A frame that no library would make.
  void raw(int type, int flags, uint32_t stream, std::string_view payload) {
    session_->receive(frame(type, flags, stream, payload));
  }
  static std::string frame(int type, int flags, uint32_t stream, std::string_view payload) {
    std::string out;
    out += static_cast<char>(payload.size() >> 16);
    put_u16be(out, static_cast<uint16_t>(payload.size()));
    out += static_cast<char>(type);
    out += static_cast<char>(flags);
    put_u32be(out, stream);
    return out.append(payload);
  }
  Session& session() { return *session_; }
  nghttp2_session* client() { return client_; }

  std::map<int32_t, Answer> answers;
  int goaway = -1;
  size_t sent = 0;

 private:
  struct Body {
    std::string bytes;
    size_t at;
    bool end;
  };
  FakeHost& host_;
  std::unique_ptr<Session> session_;
  nghttp2_session* client_ = nullptr;
  std::vector<std::unique_ptr<Body>> bodies_;
};

struct Driven {
  FakeHost host;
  Peer peer{host};
};

TEST(H2, ManyStreamsAtOnce) {
  Driven d;
  std::vector<int32_t> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(d.peer.ask(Peer::get(i % 2 ? "/health" : "/data")));
  d.peer.talk();
  ASSERT_EQ(d.host.exchanges.size(), 25u);
  EXPECT_EQ(d.host.active, 25);
  while (!d.host.exchanges.empty()) {  // in any order
    d.host.exchanges.back()->respond(200, {}, "slow\n");
    d.host.exchanges.pop_back();
  }
  d.peer.talk();
  for (int i = 0; i < 50; ++i) {
    auto& answer = d.peer.answers[ids[static_cast<size_t>(i)]];
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, i % 2 ? "ok\n" : "slow\n");
    EXPECT_TRUE(answer.closed);
    EXPECT_EQ(answer.error, 0u);
    EXPECT_EQ(answer.headers["date"], "Sun, 22 Nov 2026 07:49:25 GMT");
  }
  EXPECT_EQ(d.host.active, 0);
}

TEST(H2, HeadsThatAreRefused) {
  struct Case {
    const char* name;
    Peer::Pairs headers;
    int status;  // 0: the stream is reset
  };
  auto with = [](Peer::Pairs pairs, std::string name, std::string value) {
    pairs.emplace_back(std::move(name), std::move(value));
    return pairs;
  };
  auto base = Peer::get("/health");
  auto many = base;
  for (char c = 'a'; c <= 'z'; ++c) many = with(many, std::string("x-") + c, std::string(2'500, c));
  const Case cases[] = {
      {"fine", base, 200},
      {"Host as well, the same", with(base, "host", "a"), 200},
      {"Host instead", {{":method", "GET"}, {":scheme", "http"}, {":path", "/health"}, {"host", "a"}}, 200},
      {"another Host", with(base, "host", "b"), 400},
      {"path without a slash", Peer::get("health"), 0},
      {"path with a fragment", Peer::get("/health#a"), 400},
      {"asterisk", Peer::get("*"), 0},
      {"raw UTF-8", Peer::get("/\xc3\xa9"), 400},
      {"authority with a user",
       {{":method", "GET"}, {":scheme", "http"}, {":authority", "u@a"}, {":path", "/health"}},
       400},
      {"no authority", {{":method", "GET"}, {":scheme", "http"}, {":path", "/health"}}, 0},
      {"no path", {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}, 0},
      {"two paths", with(base, ":path", "/other"), 0},
      {"a pseudo header after the others", with(with(base, "x", "y"), ":path", "/a"), 0},
      {"unknown pseudo header", with(base, ":proto", "y"), 0},
      {"line break in a value", with(base, "x", "a\r\nb"), 400},
      {"NUL in a value", with(base, "x", std::string("a\0b", 3)), 400},
      {"blank in a name", with(base, "x y", "a"), 400},
      {"Connection", with(base, "connection", "close"), 0},
      {"Transfer-Encoding", with(base, "transfer-encoding", "chunked"), 0},
      {"bad length", with(base, "content-length", "1x"), 0},
      {"announced over the limit", with(base, "content-length", "1048577"), 413},
      {"unknown Expect", with(base, "expect", "a miracle"), 417},
      {"head over the limit", many, 431},
  };
  for (const Case& c : cases) {
    FakeHost host;
    host.options_.header_limit = 60'000;
    Peer peer(host);
    bool body = c.status == 413;
    auto id = peer.ask(c.headers, "", body, false);
    peer.talk();
    auto& answer = peer.answers[id];
    EXPECT_EQ(answer.status, c.status) << c.name << " " << answer.body;
    EXPECT_TRUE(answer.closed || body) << c.name;
    auto next = peer.ask(base);  // the connection goes on
    peer.talk();
    EXPECT_EQ(peer.answers[next].status, 200) << c.name;
    EXPECT_EQ(host.active, 0) << c.name;
  }
}

TEST(H2, WindowsOpenAsTheHandlerReads) {
  Driven d;
  d.host.body_limit = 1 << 30;
  auto headers = Peer::get("/data");
  headers[0].second = "PUT";
  std::string body(1'000'000, 'x');
  auto id = d.peer.ask(headers, body);
  d.peer.talk();
  ASSERT_EQ(d.host.exchanges.size(), 1u);
  EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(d.peer.client(), id), 0) << "held back";
  auto exchange = d.host.exchanges[0];
  size_t got = 0, most = 0;
  char piece[10'000];
  for (;;) {
    auto n = exchange->read(piece);
    if (!n) {
      d.peer.talk();
      ASSERT_EQ(n.error().code, Code::invalid) << "only because it would block";
      continue;
    }
    if (*n == 0) break;
    got += *n;
    most = std::max(most, got);
  }
  EXPECT_EQ(got, body.size());
  exchange->respond(200, {}, "ok");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].status, 200);
}

TEST(H2, OneHandlerThatDoesNotReadLeavesTheOthersAlone) {
  Driven d;
  d.host.body_limit = 1 << 30;
  auto headers = Peer::get("/data");
  headers[0].second = "PUT";
  for (int i = 0; i < 20; ++i) d.peer.ask(headers, std::string(1'000'000, 'x'));  // more than the connection's window
  d.peer.talk();
  auto id = d.peer.ask(headers, std::string(100'000, 'y'));
  d.peer.talk();
  ASSERT_EQ(d.host.exchanges.size(), 21u);
  auto body = d.host.exchanges[20]->read_all(1 << 20);
  ASSERT_TRUE(body.ok()) << body.error().message;
  EXPECT_EQ(body->size(), 100'000u);
  d.host.exchanges[20]->respond(200, {}, "ok");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].body, "ok");
}

TEST(H2, ContinueAtTheFirstRead) {
  Driven d;
  auto headers = Peer::get("/data");
  headers[0].second = "PUT";
  headers.emplace_back("expect", "100-continue");
  auto id = d.peer.ask(headers, "", true, false);
  d.peer.talk();
  EXPECT_TRUE(d.peer.answers[id].interim.empty());
  char piece[10];
  EXPECT_FALSE(d.host.exchanges[0]->read(piece).ok());
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].interim, std::vector<int>{100});
}

TEST(H2, AnAnswerBeforeTheBodyStopsTheClientWithoutAnError) {
  for (std::string how : {"by time", "by bytes", "by its end"}) {
    Driven d;
    d.host.body_limit = 1 << 30;
    auto headers = Peer::get("/data");
    headers[0].second = "PUT";
    auto id = d.peer.ask(headers, std::string(how == "by bytes" ? 3'000'000 : 3, 'x'), true, how == "by its end");
    d.peer.talk();
    ASSERT_EQ(d.host.exchanges.size(), 1u);
    d.host.exchanges[0]->respond(403, {}, "no");
    d.peer.talk();
    EXPECT_EQ(d.peer.answers[id].status, 403);
    EXPECT_EQ(d.peer.answers[id].body, "no");
    EXPECT_EQ(d.host.active, 0);
    EXPECT_EQ(d.peer.answers[id].closed, how != "by time");
    d.host.now += 31'000'000;
    d.peer.session().tick(d.host.now);
    d.peer.talk();
    EXPECT_TRUE(d.peer.answers[id].closed);
    EXPECT_EQ(d.peer.answers[id].error, static_cast<uint32_t>(NGHTTP2_NO_ERROR)) << how;
  }
}

TEST(H2, StreamsHeadsAndAborts) {
  Driven d;
  auto streamed = d.peer.ask(Peer::get("/data"));
  auto aborted = d.peer.ask(Peer::get("/data"));
  auto forgotten = d.peer.ask(Peer::get("/data"));
  auto head_request = Peer::get("/data");
  head_request[0].second = "HEAD";
  auto head = d.peer.ask(head_request);
  d.peer.talk();
  auto e = std::move(d.host.exchanges);
  d.host.exchanges.clear();
  e[0]->start(200, {});
  e[0]->push("one ");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[streamed].body, "one ");
  e[0]->push("two");
  e[0]->finish();
  e[1]->start(200, {});
  e[1]->push("half");
  e[1]->abort();
  e[2].reset();
  Headers headers;
  headers.add("content-length", "77");
  e[3]->respond(200, headers, "");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[streamed].body, "one two");
  EXPECT_EQ(d.peer.answers[streamed].error, 0u);
  EXPECT_EQ(d.peer.answers[aborted].error, static_cast<uint32_t>(NGHTTP2_INTERNAL_ERROR));
  EXPECT_EQ(d.peer.answers[forgotten].status, 500);
  EXPECT_EQ(d.peer.answers[head].headers["content-length"], "77");
  EXPECT_EQ(d.peer.answers[head].body, "");
  EXPECT_EQ(d.host.active, 0);
}

TEST(H2, TheClientsResetIsSeenByTheHandler) {
  Driven d;
  auto id = d.peer.ask(Peer::get("/data"));
  d.peer.talk();
  bool told = false;
  d.host.exchanges[0]->on_room([&] { told = true; });
  d.host.exchanges[0]->start(200, {});
  nghttp2_submit_rst_stream(d.peer.client(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  d.peer.talk();
  EXPECT_TRUE(d.host.exchanges[0]->closed());
  EXPECT_TRUE(told);
  EXPECT_EQ(d.host.exchanges[0]->push("x"), Exchange::Push::closed);
  EXPECT_EQ(d.host.resets, 1);
  EXPECT_EQ(d.host.active, 0);
}

TEST(H2, RapidResetsEndTheConnection) {
  FakeHost host;
  host.options_.max_resets_per_minute = 20;
  Peer peer(host);
  for (int i = 0; i < 100 && !peer.session().done(); ++i) {
    auto id = peer.ask(Peer::get("/data"));
    peer.session().receive(peer.client_bytes());  // two frames in a row, as the attack does
    nghttp2_submit_rst_stream(peer.client(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    peer.talk();
  }
  EXPECT_EQ(peer.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(peer.session().done());
  EXPECT_LE(host.requests, 21);
  peer.session().gone();
  EXPECT_EQ(host.active, 0);
}

TEST(H2, ResetsThatTheClientProvokesCountToo) {
  FakeHost host;
  host.options_.max_resets_per_minute = 20;
  Peer peer(host);
  for (int i = 0; i < 100 && !peer.session().done(); ++i) {
    auto id = peer.ask(Peer::get("/data"));
    peer.talk();
    peer.raw(8, 0, static_cast<uint32_t>(id), "\x7f\xff\xff\xff");  // WINDOW_UPDATE over 2^31: a stream error
    peer.talk();
  }
  EXPECT_EQ(peer.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_LE(host.requests, 21);
}

TEST(H2, FloodsOfControlFramesEndTheConnection) {
  struct Case {
    const char* name;
    int type;
    std::string payload;
    uint32_t stream;
  };
  const Case cases[] = {{"PING", 6, std::string(8, 'x'), 0},
                        {"SETTINGS", 4, "", 0},
                        {"PRIORITY", 2, std::string("\0\0\0\0\x10", 5), 1},
                        {"unknown", 0x40, "", 0}};
  for (const Case& c : cases) {
    Driven d;
    d.peer.talk();
    size_t frames = 0;
    for (; frames < 100'000 && !d.peer.session().done(); ++frames) {
      d.peer.raw(c.type, 0, c.stream, c.payload);
      if (frames % 100 == 99) d.host.settle(d.peer.session());
    }
    EXPECT_LT(frames, 3000u) << c.name;
  }
}

TEST(H2, EmptyDataFloodsEndTheConnection) {
  Driven d;
  auto headers = Peer::get("/data");
  headers[0].second = "PUT";
  auto id = d.peer.ask(headers, "", true, false);
  d.peer.talk();
  size_t frames = 0;
  for (; frames < 100'000 && !d.peer.session().done(); ++frames) {
    d.peer.raw(0, 0, static_cast<uint32_t>(id), "");
    if (frames % 100 == 99) d.host.settle(d.peer.session());
  }
  EXPECT_LT(frames, 3000u);
}

TEST(H2, EndlessHeaderBlocksEndTheConnection) {
  for (size_t size : {size_t{0}, size_t{16'000}}) {
    Driven d;
    d.peer.talk();
    d.peer.raw(1, 0, 1, "\x82");  // HEADERS without END_HEADERS
    size_t frames = 0;
    // A literal header without indexing, cut into CONTINUATIONs; with size 0 just empty ones.
    for (; frames < 10'000 && !d.peer.session().done(); ++frames) {
      d.peer.raw(9, 0, 1, std::string(size, '\x82'));
      d.host.settle(d.peer.session());
    }
    EXPECT_LT(frames, 20u) << size;
    EXPECT_TRUE(d.host.exchanges.empty());
  }
}

TEST(H2, BombsOfIndexedHeadersStayBounded) {
  Driven d;
  auto headers = Peer::get("/data");
  const std::string big(4000, 'a');
  for (int i = 0; i < 2000; ++i) headers.emplace_back("x", big);  // a byte each on the wire, 8 MB when expanded
  auto id = d.peer.ask(headers);
  d.peer.talk();
  EXPECT_TRUE(d.peer.answers[id].status == 431 || d.peer.answers[id].closed || d.peer.goaway > 0);
  EXPECT_TRUE(d.host.exchanges.empty());
}

// 64 KiB of head for some bytes each, kept open by a body that does not come: together they are bounded too.
TEST(H2, HeadsOfAllStreamsOfAConnectionAreBounded) {
  Driven d;
  auto headers = Peer::get("/data");
  headers[0].second = "PUT";
  for (int i = 0; i < 14; ++i) headers.emplace_back("x", std::string(3900, 'a'));
  std::vector<int32_t> ids;
  for (int i = 0; i < 40; ++i) ids.push_back(d.peer.ask(headers, "", true, false));
  d.peer.talk();
  EXPECT_LE(d.host.exchanges.size(), 9u);
  EXPECT_GE(d.host.exchanges.size(), 8u);
  EXPECT_EQ(d.peer.answers[ids.back()].status, 431);
  for (int32_t id : ids) nghttp2_submit_rst_stream(d.peer.client(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  d.peer.talk();
  auto next = d.peer.ask(Peer::get("/health"));
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[next].status, 200) << "those that are over count no more";
}

TEST(H2, BytesThatAreNotHttp2) {
  for (std::string bytes :
       {std::string(kH2Preface) + "GET / HTTP/1.1\r\n\r\n", std::string(kH2Preface) + std::string(100, '\xff'),
        std::string("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n") + std::string(100, '\0')}) {
    FakeHost host;
    auto session = make_h2_session(host, "p", false);
    session->receive(bytes);
    host.settle(*session);
    EXPECT_TRUE(session->done());
  }
}

TEST(H2, TimeoutsOfHeadsBodiesWindowsAndIdleness) {
  const int64_t second = 1'000'000;
  {  // nothing after the preface
    Driven d;
    d.peer.talk();
    d.host.now += 16 * second;
    d.peer.session().tick(d.host.now);
    d.peer.talk();
    EXPECT_TRUE(d.peer.session().done());
  }
  {  // half a header block
    Driven d;
    d.peer.ask(Peer::get("/health"));
    d.peer.talk();
    d.peer.raw(1, 0, 3, "\x82");
    d.host.now += 16 * second;
    d.peer.session().tick(d.host.now);
    d.host.settle(d.peer.session());
    EXPECT_TRUE(d.peer.session().done());
  }
  {  // a body that stops
    Driven d;
    auto headers = Peer::get("/data");
    headers[0].second = "PUT";
    d.peer.ask(headers, "abc", true, false);
    d.peer.talk();
    d.host.now += 31 * second;
    d.peer.session().tick(d.host.now);
    auto body = d.host.exchanges[0]->read_all(100);
    ASSERT_FALSE(body.ok());
    EXPECT_EQ(body.error().code, Code::unavailable);
  }
  {  // a window that stays closed
    Driven d;
    auto id = d.peer.ask(Peer::get("/data"));
    nghttp2_settings_entry closed{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    nghttp2_submit_settings(d.peer.client(), NGHTTP2_FLAG_NONE, &closed, 1);
    d.peer.talk();
    d.host.exchanges[0]->respond(200, {}, "never read");
    d.peer.talk();
    EXPECT_EQ(d.peer.answers[id].body, "");
    d.host.now += 31 * second;
    d.peer.session().tick(d.host.now);
    d.peer.talk();
    EXPECT_TRUE(d.peer.answers[id].closed);
    EXPECT_EQ(d.peer.answers[id].error, static_cast<uint32_t>(NGHTTP2_CANCEL));
    EXPECT_TRUE(d.host.exchanges[0]->closed());
    EXPECT_EQ(d.host.active, 0);
  }
  {  // idle after a request: longer
    Driven d;
    d.peer.ask(Peer::get("/health"));
    d.peer.talk();
    d.host.now += 74 * second;
    d.peer.session().tick(d.host.now);
    d.peer.talk();
    EXPECT_FALSE(d.peer.session().done());
    d.host.now += 2 * second;
    d.peer.session().tick(d.host.now);
    d.peer.talk();
    EXPECT_TRUE(d.peer.session().done());
    EXPECT_EQ(d.peer.goaway, NGHTTP2_NO_ERROR);
  }
}

void pass(Driven& d, int seconds, const std::function<void()>& each_second = {}) {
  for (int half = 1; half <= 2 * seconds; ++half) {
    d.host.now += 500'000;
    if (each_second && half % 2 == 0) each_second();
    d.peer.talk();
    d.peer.session().tick(d.host.now);
    d.peer.talk();
  }
}

Peer::Pairs put(const std::string& path) {
  auto headers = Peer::get(path);
  headers[0].second = "PUT";
  return headers;
}

TEST(H2, ABodyThatDribblesIsCutThoughItNeverStops) {
  Driven d;
  auto slow = d.peer.ask(put("/data"), "", true, false);
  auto quick = d.peer.ask(put("/data"), "", true, false);
  d.peer.talk();
  pass(d, 31, [&] {
    d.peer.raw(0, 0, static_cast<uint32_t>(slow), "12345678");
    d.peer.raw(0, 0, static_cast<uint32_t>(quick), std::string(600, 'x'));
  });
  auto body = d.host.exchanges[0]->read_all(1 << 20);
  ASSERT_FALSE(body.ok());
  EXPECT_EQ(body.error().code, Code::unavailable);
  d.host.exchanges[0]->respond(408, {}, "slow");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[slow].status, 408);
  d.peer.raw(0, 1, static_cast<uint32_t>(quick), "");
  EXPECT_EQ(d.host.exchanges[1]->read_all(1 << 20)->size(), 31u * 600);
}

// A window that opens by a byte now and then: the answer moves, and never ends. The client's library is left out: it
// would open the window by itself.
void dribble(Driven& d, uint32_t stream) {
  for (int half = 1; half <= 64 && !d.peer.session().done(); ++half) {
    d.host.now += 500'000;
    if (half % 2 == 0) d.peer.raw(8, 0, stream, std::string("\0\0\0\1", 4));
    d.host.settle(d.peer.session());
    d.peer.session().tick(d.host.now);
    d.host.settle(d.peer.session());
  }
}

TEST(H2, AReaderThatDribblesIsCutThoughItNeverStops) {
  Driven d;
  auto id = d.peer.ask(Peer::get("/data"));
  nghttp2_settings_entry closed{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
  nghttp2_submit_settings(d.peer.client(), NGHTTP2_FLAG_NONE, &closed, 1);
  d.peer.talk();
  d.host.exchanges[0]->respond(200, {}, std::string(100'000, 'x'));
  dribble(d, static_cast<uint32_t>(id));
  EXPECT_TRUE(d.host.exchanges[0]->closed());
  EXPECT_EQ(d.host.active, 0);
  EXPECT_FALSE(d.peer.session().done()) << "the other streams go on";
}

TEST(H2, AWindowOfTheConnectionThatDribblesCutsIt) {
  Driven d;
  auto first = d.peer.ask(Peer::get("/data"));
  d.peer.talk();
  nghttp2_session_set_local_window_size(d.peer.client(), NGHTTP2_FLAG_NONE, first, 1 << 20);  // the stream's is wide
  d.peer.talk();
  // The client's library opens the connection's window as it reads: here it is told of nothing.
  d.peer.session().tick(d.host.now);
  d.host.exchanges[0]->respond(200, {}, std::string(100'000, 'x'));
  EXPECT_LT(d.host.settle(d.peer.session()).size(), 70'000u);
  d.peer.session().tick(d.host.now);
  dribble(d, 0);
  EXPECT_TRUE(d.peer.session().done());
}

TEST(H2, AHandlerThatIsSlowIsNotTheClientsFault) {
  Driven d;
  auto id = d.peer.ask(put("/data"), std::string(300'000, 'x'));
  d.peer.talk();  // the stream's window is used up
  pass(d, 1000);
  char piece[100'000];
  ASSERT_TRUE(d.host.exchanges[0]->read(piece).ok());
  d.peer.talk();
  pass(d, 1000);
  size_t got = 100'000;
  for (;;) {
    auto n = d.host.exchanges[0]->read(piece);
    if (!n.ok() || *n == 0) break;
    got += *n;
    d.peer.talk();
  }
  EXPECT_EQ(got, 300'000u);
  d.host.exchanges[0]->start(200, {});  // nor is an answer that comes in drops of ours
  pass(d, 200, [&] { d.host.exchanges[0]->push("x"); });
  d.host.exchanges[0]->finish();
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].body.size(), 200u);
}

TEST(H2, AHandlerOfWholeBodiesStartsWhenTheBodyIsHere) {
  Driven d;
  auto id = d.peer.ask(put("/whole"), "", true, false);
  d.peer.talk();
  d.peer.raw(0, 0, static_cast<uint32_t>(id), "01234");
  EXPECT_TRUE(d.host.exchanges.empty()) << "a thread would wait for this client";
  EXPECT_GT(d.host.held, 5);
  d.peer.raw(0, 1, static_cast<uint32_t>(id), "56789");
  ASSERT_EQ(d.host.exchanges.size(), 1u);
  EXPECT_EQ(d.host.held, 0);
  EXPECT_EQ(*d.host.exchanges[0]->read_all(100), "0123456789");

  auto expecting = put("/whole");
  expecting.emplace_back("expect", "100-continue");
  id = d.peer.ask(expecting, "", true, false);
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].interim, std::vector<int>{100});
  EXPECT_EQ(d.host.exchanges.size(), 1u);
  pass(d, 31);  // it never sends
  ASSERT_EQ(d.host.exchanges.size(), 2u);
  EXPECT_FALSE(d.host.exchanges[1]->read_all(100).ok());

  id = d.peer.ask(put("/whole"), std::string(500'000, 'x'));  // over the window, which opens as it comes
  d.peer.talk();
  ASSERT_EQ(d.host.exchanges.size(), 3u);
  EXPECT_EQ(d.host.exchanges[2]->read_all(1 << 20)->size(), 500'000u);
  d.host.exchanges[2]->respond(200, {}, "done");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].body, "done");

  id = d.peer.ask(put("/whole"), "abc", true, false);
  d.peer.talk();
  EXPECT_GT(d.host.held, 0);
  nghttp2_submit_rst_stream(d.peer.client(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  d.peer.talk();
  EXPECT_EQ(d.host.held, 0);
  EXPECT_EQ(d.host.exchanges.size(), 3u);

  d.host.options_.held_limit = 100;
  id = d.peer.ask(put("/whole"), "abc", true, false);
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].status, 503);
  EXPECT_EQ(d.host.held, 0);
}

// Padding uses the window up and never reaches a handler: the body must not wait for bytes that cannot come.
TEST(H2, PaddingDoesNotLeaveABodyWithoutAWindow) {
  Driven d;
  auto id = d.peer.ask(put("/whole"), "", true, false);
  d.peer.talk();
  const std::string padded = std::string(1, '\xff') + "ab" + std::string(255, '\0');
  int64_t window = 0;
  for (int i = 0; i < 2000; ++i) {
    d.peer.raw(0, 8, static_cast<uint32_t>(id), padded);
    std::string out = d.host.settle(d.peer.session());
    ASSERT_GE(nghttp2_session_mem_recv(d.peer.client(), reinterpret_cast<const uint8_t*>(out.data()), out.size()), 0);
    window = nghttp2_session_get_stream_remote_window_size(d.peer.client(), id) - (i + 1) * 258;
    if (window < 300 || d.peer.goaway >= 0) break;
  }
  EXPECT_GE(window, 300) << "a client that keeps to the window would wait for ever";
  EXPECT_EQ(d.peer.goaway, -1);
  d.peer.raw(0, 1, static_cast<uint32_t>(id), "");
  ASSERT_EQ(d.host.exchanges.size(), 1u);
}

// Frames that are no request do not keep a connection open.
TEST(H2, PingsDoNotBuyTime) {
  for (bool asked : {false, true}) {
    Driven d;
    if (asked) d.peer.ask(Peer::get("/health"));
    d.peer.talk();
    const int limit = asked ? 75 : 15;
    for (int second = 0; second < limit + 2 && !d.peer.session().done(); ++second) {
      d.host.now += 1'000'000;
      if (second % 5 == 0) d.peer.raw(6, 0, 0, std::string(8, 'x'));
      d.peer.session().tick(d.host.now);
      d.host.settle(d.peer.session());
    }
    EXPECT_TRUE(d.peer.session().done()) << asked;
  }
}

// Streams over the limit are refused with a frame each: a client that reads none of them is not read on for ever.
TEST(H2, RefusalsThatNobodyReadsAreBounded) {
  Driven d;
  d.host.options_.max_streams = 4;
  std::string bytes(kH2Preface);
  bytes += Peer::frame(4, 0, 0, "");
  auto session = make_h2_session(d.host, "p", false);
  session->receive(bytes);
  int sent = 0;
  for (uint32_t id = 1; sent < 100'000 && session->wants_bytes(); ++sent, id += 2) {
    session->receive(Peer::frame(1, 5, id,
                                 std::string("\x82\x86\x84\x41\x01"
                                             "a",
                                             6)));
  }
  EXPECT_LT(sent, 2'000) << "each is an entry in the queue of the session";
}

TEST(H2, DrainFinishesWhatRuns) {
  Driven d;
  auto id = d.peer.ask(Peer::get("/data"));
  d.peer.talk();
  d.peer.session().drain();
  d.peer.talk();
  EXPECT_EQ(d.peer.goaway, NGHTTP2_NO_ERROR);
  EXPECT_FALSE(d.peer.session().done());
  d.host.exchanges[0]->respond(200, {}, "last");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].body, "last");
  EXPECT_TRUE(d.peer.session().done());
}

TEST(H2, AClientThatSaysGoawayAfterItsRequest) {  // as the JS SDK does for each
  Driven d;
  auto id = d.peer.ask(Peer::get("/data"));
  d.peer.talk();
  nghttp2_submit_goaway(d.peer.client(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  d.peer.talk();
  EXPECT_FALSE(d.peer.session().done());
  d.host.exchanges[0]->respond(200, {}, "still");
  d.peer.talk();
  EXPECT_EQ(d.peer.answers[id].body, "still");
  EXPECT_TRUE(d.peer.session().done());
}

TEST(H2Meter, CountsFramesHoweverTheyAreCut) {
  std::string bytes(kH2Preface);
  for (int i = 0; i < 30; ++i) bytes += Peer::frame(3, 0, 1, std::string(4, '\0')) + Peer::frame(0, 0, 1, "data");
  for (size_t step : {size_t{1}, size_t{5}, bytes.size()}) {
    H2Limits limits;
    limits.resets_per_minute = 29;
    H2Meter meter(limits);
    size_t at = 0;
    while (at < bytes.size() && meter.take(std::string_view(bytes).substr(at, step), 1) == H2Meter::Verdict::ok)
      at += step;
    EXPECT_LT(at, bytes.size());
    EXPECT_EQ(meter.take("", 1), H2Meter::Verdict::resets);
  }
  H2Limits limits;
  limits.resets_per_minute = 29;
  H2Meter slow(limits);
  EXPECT_EQ(slow.take(kH2Preface, 0), H2Meter::Verdict::ok);
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(slow.take(Peer::frame(3, 0, 1, std::string(4, '\0')), i * 3'000'000), H2Meter::Verdict::ok) << i;
  }
}

}  // namespace
}  // namespace hf::http
