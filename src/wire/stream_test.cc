// Event stream frames, server-sent events and path templates.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "wire/eventstream.h"
#include "wire/path_template.h"
#include "wire/sse.h"

namespace hf::wire {
namespace {

std::string shared_folder() {
  const char* set = std::getenv("HOLDFAST_SHARED");
  return set ? set : std::string(HF_SOURCE_DIR) + "/../shared";
}

std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

Result<std::optional<EventFrame>> decode_one(std::string_view bytes) {
  EventDecoder d;
  auto fed = d.feed(bytes);
  if (!fed.ok()) return fed.error();
  return d.next();
}

TEST(EventStream, OurOwnVectorByHand) {
  // total 31, headers 11: name 1 'a', string of 3; payload {}... computed with zlib's crc32 by hand.
  std::string frame = encode_event({{{"a", EventHeader::Type::string, "xyz", 0}}, "{}"});
  ASSERT_EQ(frame.size(), 16u + 8 + 2);
  EXPECT_EQ(hex(frame.substr(0, 8)), "0000001a00000008");
  EXPECT_EQ(hex(frame.substr(12, 10)), "016107000378797a7b7d");
  auto back = decode_one(frame);
  ASSERT_TRUE(back.ok() && *back);
  EXPECT_EQ((*back)->header("a"), "xyz");
  EXPECT_EQ((*back)->payload, "{}");
}

TEST(EventStream, EveryHeaderTypeRoundTripsInPiecesOfAnySize) {
  using T = EventHeader::Type;
  EventFrame frame{{{"y", T::yes, "", 1},
                    {"n", T::no, "", 0},
                    {"b", T::int8, "", -3},
                    {"s", T::int16, "", -300},
                    {"i", T::int32, "", -70000},
                    {"l", T::int64, "", -5'000'000'000},
                    {"x", T::bytes, std::string("\0\1", 2), 0},
                    {"t", T::string, "text", 0},
                    {"w", T::timestamp, "", 1700000000123},
                    {"u", T::uuid, "0123456789abcdef", 0}},
                   "payload"};
  std::string bytes = encode_event(frame) + encode_event({{}, ""});
  for (size_t step = 1; step <= bytes.size(); step += 7) {
    EventDecoder d;
    std::vector<EventFrame> got;
    for (size_t i = 0; i < bytes.size(); i += step) {
      ASSERT_TRUE(d.feed(std::string_view(bytes).substr(i, step)).ok());
      for (;;) {
        auto next = d.next();
        ASSERT_TRUE(next.ok());
        if (!*next) break;
        got.push_back(**next);
      }
    }
    ASSERT_EQ(got.size(), 2u);
    EXPECT_TRUE(d.empty());
    ASSERT_EQ(got[0].headers.size(), frame.headers.size());
    for (size_t i = 0; i < frame.headers.size(); ++i) {
      EXPECT_EQ(got[0].headers[i].name, frame.headers[i].name);
      EXPECT_EQ(got[0].headers[i].type, frame.headers[i].type);
      EXPECT_EQ(got[0].headers[i].bytes, frame.headers[i].bytes);
      EXPECT_EQ(got[0].headers[i].number, frame.headers[i].number);
    }
    EXPECT_EQ(got[0].payload, "payload");
  }
}

TEST(EventStream, AnyFlippedByteIsFound) {
  std::string good = event_message("chunk", "application/json", "{\"bytes\":\"aGk=\"}");
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    auto r = decode_one(bad);
    EXPECT_FALSE(r.ok() && r->has_value()) << i;
  }
}

TEST(EventStream, PublishedVectors) {
  auto folder = std::filesystem::path(shared_folder()) / "vectors/eventstream";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    auto r = decode_one(file_text(entry.path()));
    std::string name = entry.path().filename();
    if (name.starts_with("valid_")) {
      ASSERT_TRUE(r.ok() && r->has_value()) << name;
      EXPECT_EQ(encode_event(**r), file_text(entry.path())) << name;
    } else {
      EXPECT_FALSE(r.ok() && r->has_value()) << name;
    }
    ++seen;
  }
  EXPECT_GE(seen, 11);
}

TEST(EventStream, FramesOfRealServices) {
  auto path = std::filesystem::path(shared_folder()) / "aws/golden/eventstream-frames.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
  std::string text = file_text(path);
  int frames = 0;
  for (size_t at = text.find("\": \""); at != text.npos; at = text.find("\": \"", at + 1)) {
    size_t begin = at + 4, end = text.find('"', begin);
    auto bytes = unhex(std::string_view(text).substr(begin, end - begin));
    ASSERT_TRUE(bytes.ok());
    auto r = decode_one(*bytes);
    ASSERT_TRUE(r.ok() && r->has_value());
    EXPECT_EQ(encode_event(**r), *bytes);
    const EventFrame& f = **r;
    if (f.header(":message-type") == "event") {
      EXPECT_EQ(event_message(f.header(":event-type"), f.header(":content-type"), f.payload), *bytes);
    } else if (f.header(":message-type") == "exception") {
      EXPECT_EQ(exception_message(f.header(":exception-type"), f.payload), *bytes);
    } else {
      EXPECT_EQ(error_message(f.header(":error-code"), f.header(":error-message")), *bytes);
    }
    ++frames;
  }
  EXPECT_GE(frames, 6);
}

TEST(Sse, EventsInPiecesOfAnySize) {
  std::string text =
      sse_event("{\"a\":1}") + ": comment\n\n" + sse_event("x\ny", "delta") + "data:tight\r\n\r\n" + "data: [DONE]\n\n";
  for (size_t step = 1; step <= text.size(); ++step) {
    SseDecoder d;
    std::vector<SseEvent> got;
    for (size_t i = 0; i < text.size(); i += step) {
      ASSERT_TRUE(d.feed(std::string_view(text).substr(i, step)).ok());
      while (auto e = d.next()) got.push_back(*e);
    }
    ASSERT_EQ(got.size(), 4u) << step;
    EXPECT_EQ(got[0].data, "{\"a\":1}");
    EXPECT_EQ(got[1].type, "delta");
    EXPECT_EQ(got[1].data, "x\ny");
    EXPECT_EQ(got[2].data, "tight");
    EXPECT_EQ(got[3].data, "[DONE]");
  }
  SseDecoder d;
  EXPECT_FALSE(d.feed(std::string((4 << 20) + 1, 'x')).ok());
}

std::string matched(const char* text, std::string_view path, bool slash = false) {
  const PathTemplate path_template(text);
  auto labels = path_template.match(path, slash);
  if (!labels) return "no";
  std::string out;
  for (auto& [name, value] : *labels) out += std::string(name) + "=" + std::string(value) + ";";
  return out;
}

TEST(PathTemplate, Matches) {
  EXPECT_EQ(matched("/", "/"), "");
  EXPECT_EQ(matched("/", "/a"), "no");
  EXPECT_EQ(matched("/model/{modelId}/converse", "/model/arn%3Aaws%3A%2Fx/converse"), "modelId=arn%3Aaws%3A%2Fx;");
  EXPECT_EQ(matched("/model/{modelId}/invoke", "/model/a.b-v1:0/invoke"), "modelId=a.b-v1:0;");
  EXPECT_EQ(matched("/model/{modelId}/invoke", "/model//invoke"), "no");
  EXPECT_EQ(matched("/model/{modelId}/invoke", "/model/a/b/invoke"), "no");
  EXPECT_EQ(matched("/{Bucket}", "/b"), "Bucket=b;");
  EXPECT_EQ(matched("/{Bucket}", "/b/"), "no");
  EXPECT_EQ(matched("/{Bucket}", "/b/", true), "Bucket=b;");
  EXPECT_EQ(matched("/{Bucket}/{Key+}", "/b/"), "no");
  EXPECT_EQ(matched("/{Bucket}/{Key+}", "/b//k/../x/"), "Bucket=b;Key=/k/../x/;");
  EXPECT_EQ(matched("/agents/{id}/", "/agents/1/"), "id=1;");
  EXPECT_EQ(matched("/agents/{id}/", "/agents/1"), "no");
  EXPECT_EQ(matched("/agents/{id}/", "/agents/1", true), "id=1;");
  EXPECT_EQ(matched("/a/b", "/a/b/c", true), "no");
  EXPECT_EQ(matched("/a/b", "a/b", true), "no");
}

TEST(PathTemplate, LabelsAreDecodedOnceAndAfterTheSplit) {
  EXPECT_EQ(*decode_label("a%252Fb%2Fc", "x"), "a%2Fb/c");
  EXPECT_FALSE(decode_label("%ff", "x").ok());
  EXPECT_FALSE(decode_label("%", "x").ok());
  EXPECT_EQ((*decode_query("a=b+c&d&=e&&f==", false)), (Pairs{{"a", "b+c"}, {"d", ""}, {"", "e"}, {"f", "="}}));
}

}  // namespace
}  // namespace hf::wire
