#include "wire/json.h"

#include <gtest/gtest.h>

#include <boost/json/object.hpp>

#include "wire/codec.h"

namespace hf::wire {
namespace {

std::string again(std::string_view text) {
  auto v = parse_json(text);
  if (!v.ok()) return "error: " + v.error().message;
  std::string out;
  write_json(out, *v);
  return out;
}

TEST(Json, RoundTripsValues) {
  for (const char* text : {"{}", "[]", "null", "true", "[1,-1,18446744073709551615]",
                           R"({"a":{"b":[{}]},"c":"\"\\\n"})", "0.1", "1e+300", R"(["é😀"])"})
    EXPECT_EQ(again(text), text);
  EXPECT_EQ(again(" { \"b\" : 1 , \"a\" : 2.50 } \n"), R"({"b":1,"a":2.5})");
}

TEST(Json, RefusesWhatIsNotStrictJson) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "01", "NaN", "Infinity", "'a'", "{} {}", "{}x", "\"\xff\"",
                           "1e999", "\"\\ud800\"", "// c\n1", "\xef\xbb\xbf{}", "\"a\nb\"", "{\"a\" 1}", "+1", "tru"}) {
    auto v = parse_json(text);
    ASSERT_FALSE(v.ok()) << text;
    EXPECT_EQ(v.error().name, kMalformed);
    EXPECT_EQ(v.error().code, Code::invalid);
  }
}

TEST(Json, RefusesAMemberGivenTwiceAtAnyDepth) {
  auto v = parse_json(R"({"a":1,"b":{"c":1,"d":2,"c":3}})");
  ASSERT_FALSE(v.ok());
  EXPECT_NE(v.error().message.find("'c' is given twice"), std::string::npos) << v.error().message;
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":1},{"b":{"a":1}}])").ok());
  EXPECT_FALSE(parse_json(R"({"a":1,"\u0061":2})").ok());  // the same name by an escape
}

TEST(Json, DepthEndsAt64WithoutReadingTheRest) {
  auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse_json(nested(64)).ok());
  EXPECT_FALSE(parse_json(nested(65)).ok());
  auto v = parse_json(nested(100'000));
  ASSERT_FALSE(v.ok());
  EXPECT_NE(v.error().message.find("deeper than 64"), std::string::npos) << v.error().message;
  EXPECT_NE(v.error().message.find("byte 6"), std::string::npos) << v.error().message;  // it stopped there
}

TEST(Json, BytesThatAreNotUtf8AreReplacedOnTheWayOut) {
  std::string out;
  write_json_string(out, "a\xff\xc3\xa9\xe2\x82");
  EXPECT_EQ(out, "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
  out.clear();
  write_json_string(out, std::string_view("\0\x1f\x7f", 3));
  EXPECT_EQ(out, R"("\u0000\u001f\u007f")");
}

}  // namespace
}  // namespace hf::wire
