// What RFC 9113 (and 7541) say of frames that a client must not send, one by one: bytes made by hand, as no library
// sends them. The section stands before each case. What may be a stream's error may be the connection's too (5.4).
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "http/h2_session.h"
#include "http/session_fake.h"

namespace hf::http {
namespace {

using namespace std::string_literals;  // for bytes with NULs in them

enum Type { kData, kHeaders, kPriority, kReset, kSettings, kPush, kPing, kGoaway, kWindow, kContinuation };
enum Code : uint32_t { kProtocol = 1, kFlow = 3, kClosed = 5, kSize = 6, kRefused = 7, kCompression = 9, kCalm = 11 };
constexpr int kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8, kWithPriority = 32;

std::string frame(int type, int flags, uint32_t stream, std::string_view payload) {
  std::string out;
  out += static_cast<char>(payload.size() >> 16);
  put_u16be(out, static_cast<uint16_t>(payload.size()));
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  put_u32be(out, stream);
  return out.append(payload);
}
std::string u32(uint32_t v) {
  std::string out;
  put_u32be(out, v);
  return out;
}
std::string setting(uint16_t id, uint32_t value) {
  std::string out;
  put_u16be(out, id);
  put_u32be(out, value);
  return out;
}
std::string literal(std::string_view name, std::string_view value) {  // RFC 7541, 6.2.2, short strings
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  out += name;
  out += static_cast<char>(value.size());
  return out.append(value);
}
const std::string kGet = "\x82\x86\x84\x41\x01"s + "a";   // GET, http, /, authority a
const std::string kPost = "\x83\x86\x84\x41\x01"s + "a";  // POST
std::string get(uint32_t id, const std::string& more = "") {
  return frame(kHeaders, kEndHeaders | kEndStream, id, kGet + more);
}
std::string post(uint32_t id, const std::string& more = "") { return frame(kHeaders, kEndHeaders, id, kPost + more); }

// What the session said to bytes: "goaway CODE", "reset CODE", "status" (an answer), "pong", "".
struct Raw {
  explicit Raw(bool settings = true) {
    session->receive(std::string(kH2Preface));
    if (settings) session->receive(frame(kSettings, 0, 0, ""));
    take();
  }
  std::string say(const std::string& bytes) {
    session->receive(bytes);
    return take();
  }
  std::string take() {
    const std::string out = host.settle(*session);
    std::string said;
    for (size_t at = 0; at + 9 <= out.size();) {
      auto byte = [&](size_t i) { return static_cast<unsigned char>(out[at + i]); };
      const size_t length = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
      const int type = byte(3), flags = byte(4);
      auto code = [&](size_t offset) { return std::to_string(byte(9 + offset + 3) + 256 * byte(9 + offset + 2)); };
      if (type == kGoaway) said = "goaway " + code(4);
      if (type == kReset && !said.starts_with("goaway")) said = "reset " + code(0);
      if (type == kHeaders && said.empty()) said = "status";
      if (type == kPing && (flags & kAck) && said.empty()) said = "pong";
      at += 9 + length;
    }
    return said;
  }
  FakeHost host;
  std::unique_ptr<Session> session = make_h2_session(host, "p", false);
};

struct Case {
  const char* name;
  std::string bytes;
  std::vector<std::string> may;  // one of these
  size_t exchanges = 0;          // that a handler sees
};

std::string goaway(uint32_t code) { return "goaway " + std::to_string(code); }
std::string reset(uint32_t code) { return "reset " + std::to_string(code); }

void run(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    for (size_t step : {c.bytes.size(), size_t{1}}) {  // whole, and byte by byte
      if (step == 1 && c.bytes.size() > 20'000) continue;
      Raw raw;
      std::string said;
      for (size_t at = 0; at < c.bytes.size(); at += step) {
        std::string next = raw.say(c.bytes.substr(at, step));
        if (said.empty() || next.starts_with("goaway")) said = next;
      }
      EXPECT_NE(std::find(c.may.begin(), c.may.end(), said), c.may.end())
          << c.name << " in steps of " << step << ": expected " << c.may[0] << ", found '" << said << "'";
      EXPECT_EQ(raw.host.exchanges.size(), c.exchanges) << c.name;
      EXPECT_EQ(raw.session->done(), said.starts_with("goaway")) << c.name;
      raw.session->gone();
      EXPECT_EQ(raw.host.active, 0) << c.name;
      EXPECT_EQ(raw.host.held, 0) << c.name;
    }
  }
}

TEST(H2Conformance, WhatIsIgnored) {
  const std::string ping = frame(kPing, 0, 0, "12345678");
  run({
      {"4.1 an unknown type", frame(0x7f, 0xff, 0, "abc") + ping, {"pong"}},
      {"4.1 an unknown type on a stream", frame(0x7f, 0, 5, "abc") + ping, {"pong"}},
      {"4.1 unknown flags", frame(kPing, 0x16, 0, "12345678"), {"pong"}},
      {"4.1 the reserved bit", frame(kPing, 0, 0x80000000u, "12345678"), {"pong"}},
      {"5.1 PRIORITY of an idle stream", frame(kPriority, 0, 9, u32(0) + "\x10") + ping, {"pong"}},
      {"6.5.2 an unknown setting", frame(kSettings, 0, 0, setting(0x99, 7)) + ping, {"pong"}},
      {"6.7 an acknowledgement that nobody asked for", frame(kPing, kAck, 0, "12345678") + ping, {"pong"}},
  });
}

TEST(H2Conformance, FramesAndTheirSizes) {
  run({
      {"4.2 DATA over 16 KiB",
       post(1) + frame(kData, 0, 1, std::string(16'385, 'x')),
       {goaway(kSize), reset(kSize)},
       1},
      {"4.2 HEADERS over 16 KiB", frame(kHeaders, kEndHeaders, 1, std::string(16'385, '\x82')), {goaway(kSize)}},
      {"6.3 PRIORITY of 4 bytes", post(1) + frame(kPriority, 0, 1, u32(0)), {goaway(kSize), reset(kSize)}, 1},
      {"6.4 RST_STREAM of 3 bytes", post(1) + frame(kReset, 0, 1, "\0\0\0"s), {goaway(kSize)}, 1},
      {"6.5 SETTINGS of 5 bytes", frame(kSettings, 0, 0, "\0\3\0\0\0"s), {goaway(kSize)}},
      {"6.5 an acknowledgement with a payload", frame(kSettings, kAck, 0, setting(3, 1)), {goaway(kSize)}},
      {"6.7 PING of 7 bytes", frame(kPing, 0, 0, "1234567"), {goaway(kSize)}},
      {"6.9 WINDOW_UPDATE of 3 bytes", frame(kWindow, 0, 0, "\0\0\1"s), {goaway(kSize)}},
  });
}

TEST(H2Conformance, StreamsOfFrames) {
  run({
      {"6.1 DATA of stream 0", frame(kData, 0, 0, "abc"), {goaway(kProtocol)}},
      {"6.2 HEADERS of stream 0", frame(kHeaders, kEndHeaders, 0, kGet), {goaway(kProtocol)}},
      {"6.3 PRIORITY of stream 0", frame(kPriority, 0, 0, u32(0) + "\x10"), {goaway(kProtocol)}},
      {"6.4 RST_STREAM of stream 0", frame(kReset, 0, 0, u32(8)), {goaway(kProtocol)}},
      {"6.5 SETTINGS of a stream", frame(kSettings, 0, 1, ""), {goaway(kProtocol)}},
      {"6.7 PING of a stream", frame(kPing, 0, 1, "12345678"), {goaway(kProtocol)}},
      {"6.8 GOAWAY of a stream", frame(kGoaway, 0, 1, u32(0) + u32(0)), {goaway(kProtocol)}},
      {"6.10 CONTINUATION of stream 0", frame(kContinuation, kEndHeaders, 0, kGet), {goaway(kProtocol)}},
      {"5.1.1 an even stream", get(2), {goaway(kProtocol)}},
      // nghttp2 ignores it, since a stream that was closed long ago looks the same: no handler sees it.
      {"5.1.1 a stream below one that was there", get(5) + get(3), {"", goaway(kProtocol), goaway(kClosed)}, 1},
      {"8.4 PUSH_PROMISE of a client", post(1) + frame(kPush, kEndHeaders, 1, u32(2) + kGet), {goaway(kProtocol)}, 1},
      {"5.3.1 PRIORITY on itself", frame(kPriority, 0, 1, u32(1) + "\x10"), {goaway(kProtocol), reset(kProtocol)}},
      {"5.3.1 HEADERS that depend on themselves",
       frame(kHeaders, kEndHeaders | kEndStream | kWithPriority, 1, u32(1) + "\x10" + kGet),
       {goaway(kProtocol), reset(kProtocol)}},
  });
}

TEST(H2Conformance, StatesOfStreams) {
  run({
      {"5.1 DATA of an idle stream", frame(kData, 0, 1, "abc"), {goaway(kProtocol)}},
      {"5.1 RST_STREAM of an idle stream", frame(kReset, 0, 1, u32(8)), {goaway(kProtocol)}},
      {"5.1 WINDOW_UPDATE of an idle stream", frame(kWindow, 0, 1, u32(1)), {goaway(kProtocol)}},
      {"5.1 CONTINUATION of an idle stream", frame(kContinuation, kEndHeaders, 1, kGet), {goaway(kProtocol)}},
      {"5.1 DATA after END_STREAM", get(1) + frame(kData, kEndStream, 1, "abc"), {goaway(kClosed), reset(kClosed)}, 1},
      {"5.1 HEADERS after END_STREAM", get(1) + get(1), {goaway(kClosed), reset(kClosed)}, 1},
      {"6.10 CONTINUATION after END_HEADERS",
       post(1) + frame(kContinuation, kEndHeaders, 1, kGet),
       {goaway(kProtocol)},
       1},
      {"6.10 DATA within a header block",
       frame(kHeaders, 0, 1, kPost) + frame(kData, 0, 1, "abc"),
       {goaway(kProtocol)}},
      {"4.3 PING within a header block",
       frame(kHeaders, 0, 1, kPost) + frame(kPing, 0, 0, "12345678"),
       {goaway(kProtocol)}},
      {"4.3 HEADERS within a header block of another", frame(kHeaders, 0, 1, kPost) + get(3), {goaway(kProtocol)}},
      {"4.3 an unknown frame within a header block",
       frame(kHeaders, 0, 1, kPost) + frame(0x7f, 0, 0, ""),
       {goaway(kProtocol)}},
      {"8.1 HEADERS again without END_STREAM",
       post(1) + frame(kHeaders, kEndHeaders, 1, literal("x", "y")),
       {goaway(kProtocol), reset(kProtocol)},
       1},
  });
}

// A stream that its client reset is closed: what still comes of it is refused or thrown away, and reaches nobody.
TEST(H2Conformance, FramesOfAStreamThatWasReset) {
  for (const std::string& late : {frame(kData, kEndStream, 1, "abc"), post(1), frame(kWindow, 0, 1, u32(5))}) {
    Raw raw;
    raw.say(post(1));
    ASSERT_EQ(raw.host.exchanges.size(), 1u);
    raw.say(frame(kReset, 0, 1, u32(8)));
    EXPECT_TRUE(raw.host.exchanges[0]->closed());
    raw.say(late);
    EXPECT_EQ(raw.host.exchanges.size(), 1u);
    EXPECT_EQ(raw.host.exchanges[0]->read_all(100).ok(), false);
  }
}

TEST(H2Conformance, SettingsAndWindows) {
  std::string overflow = post(1);
  for (int i = 0; i < 2; ++i) overflow += frame(kWindow, 0, 1, u32(0x7fffffff));
  std::string flood = post(1);  // more than the window, and nobody reads
  for (int i = 0; i < 9; ++i) flood += frame(kData, 0, 1, std::string(16'384, 'x'));
  run({
      {"6.5.2 ENABLE_PUSH of 2", frame(kSettings, 0, 0, setting(2, 2)), {goaway(kProtocol)}},
      {"6.5.2 a window over 2^31-1", frame(kSettings, 0, 0, setting(4, 0x80000000u)), {goaway(kFlow)}},
      {"6.5.2 frames below 16 KiB", frame(kSettings, 0, 0, setting(5, 16'383)), {goaway(kProtocol)}},
      {"6.5.2 frames over 2^24-1", frame(kSettings, 0, 0, setting(5, 1 << 24)), {goaway(kProtocol)}},
      {"6.9 a step of 0, the connection's", frame(kWindow, 0, 0, u32(0)), {goaway(kProtocol)}},
      {"6.9 a step of 0, a stream's", post(1) + frame(kWindow, 0, 1, u32(0)), {reset(kProtocol), goaway(kProtocol)}, 1},
      {"6.9.1 the connection's over 2^31-1", frame(kWindow, 0, 0, u32(0x7fffffff)), {goaway(kFlow)}},
      {"6.9.1 a stream's over 2^31-1", overflow, {reset(kFlow), goaway(kFlow)}, 1},
      {"6.9.2 a setting that takes a stream's over it",
       post(1) + frame(kWindow, 0, 1, u32(0x7fff0000)) + frame(kSettings, 0, 0, setting(4, 0x7fffffff)),
       {goaway(kFlow), reset(kFlow)},
       1},
      {"6.9.1 DATA over the window", flood, {goaway(kFlow), reset(kFlow)}, 1},
  });
}

TEST(H2Conformance, Padding) {
  run({
      {"6.1 DATA that is all padding and more",
       post(1) + frame(kData, kPadded, 1,
                       "\x05"
                       "abcd"),
       {goaway(kProtocol)},
       1},
      {"6.1 padding without its length", post(1) + frame(kData, kPadded, 1, ""), {goaway(kProtocol), goaway(kSize)}, 1},
      {"6.2 HEADERS with more padding than payload",
       frame(kHeaders, kEndHeaders | kPadded, 1, "\x20" + kGet),
       {goaway(kProtocol)}},
  });
}

TEST(H2Conformance, HeadersOfRequests) {
  const std::vector<std::string> no = {reset(kProtocol), goaway(kProtocol), "status"};  // "status": a 400, no handler
  run({
      {"RFC 7541, 6.1 index 0", frame(kHeaders, kEndHeaders, 1, "\x80"), {goaway(kCompression)}},
      {"RFC 7541, 2.3.3 an index beyond the tables",
       frame(kHeaders, kEndHeaders, 1, "\xff\x80\x08"),
       {goaway(kCompression)}},
      {"RFC 7541, 5.1 an endless number",
       frame(kHeaders, kEndHeaders, 1, "\xff" + std::string(30, '\xff')),
       {goaway(kCompression)}},
      {"RFC 7541, 5.2 a string that is longer than the block",
       frame(kHeaders, kEndHeaders, 1,
             "\0\x7f"
             "ab"s),
       {goaway(kCompression)}},
      {"RFC 7541, 5.2 padding of Huffman over 7 bits",
       frame(kHeaders, kEndHeaders, 1,
             "\0\x82\x1f\xff\x01"  // 'a' is 5 bits; 3 of padding, and 8 more
             "a"s),
       {goaway(kCompression)}},
      {"RFC 7541, 6.3 a table over the setting",
       frame(kHeaders, kEndHeaders, 1, "\x3f\xff\xff\x03" + kGet),
       {goaway(kCompression)}},
      {"8.2.1 upper case", get(1, literal("X", "y")), no},
      {"8.2.1 a blank before the value", get(1, literal("x", " y")), no},
      {"8.2.2 Connection", get(1, literal("connection", "close")), no},
      {"8.2.2 TE", get(1, literal("te", "gzip")), no},
      {"8.3 an unknown pseudo header", get(1, literal(":x", "y")), no},
      {"8.3 one of answers", get(1, literal(":status", "200")), no},
      {"8.3 one after the others", get(1, literal("x", "y") + literal(":path", "/")), no},
      {"8.3.1 :path twice", get(1, literal(":path", "/")), no},
      {"8.3.1 no :method", frame(kHeaders, kEndHeaders | kEndStream, 1, "\x86\x84"), no},
      {"8.3.1 no :scheme",
       frame(kHeaders, kEndHeaders | kEndStream, 1,
             "\x82\x84\x41\x01"
             "a"s),
       no},
      {"8.3.1 an empty :path",
       frame(kHeaders, kEndHeaders | kEndStream, 1, "\x82\x86" + literal(":path", "") + literal(":authority", "a")),
       no},
      {"8.1.1 a body longer than its length",
       post(1, literal("content-length", "2")) + frame(kData, kEndStream, 1, "abc"),
       {reset(kProtocol), goaway(kProtocol)},
       1},
      {"8.1.1 a body shorter than its length",
       post(1, literal("content-length", "4")) + frame(kData, kEndStream, 1, "abc"),
       {reset(kProtocol), goaway(kProtocol)},
       1},
      {"8.1.1 a length and no body", get(1, literal("content-length", "4")), {reset(kProtocol), goaway(kProtocol)}},
      {"8.1 a pseudo header among the trailers",
       post(1) + frame(kHeaders, kEndHeaders | kEndStream, 1, literal(":method", "GET")),
       {reset(kProtocol), goaway(kProtocol)},
       1},
  });
}

// 5.1.2: until the client acknowledged the limit, more are refused one by one; then one more ends the connection.
TEST(H2Conformance, MoreStreamsThanAllowed) {
  for (bool acknowledged : {false, true}) {
    Raw raw;
    if (acknowledged) raw.say(frame(kSettings, kAck, 0, ""));
    std::string said;
    for (uint32_t id = 1; id < 2 * 130 && said.empty(); id += 2) said = raw.say(get(id));
    EXPECT_EQ(said, acknowledged ? goaway(kProtocol) : reset(kRefused));
    EXPECT_EQ(raw.host.exchanges.size(), 128u);
  }
}

TEST(H2Conformance, APrefaceWithoutSettings) {
  Raw raw(false);
  EXPECT_EQ(raw.say(frame(kPing, 0, 0, "12345678")), goaway(kProtocol));
}

}  // namespace
}  // namespace hf::http
