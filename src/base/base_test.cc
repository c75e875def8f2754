#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/text.h"

namespace hf {
namespace {

TEST(Bytes, HexAndBase64RoundTripAndRefuseWhatIsNot) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (size_t n = 0; n < all.size(); ++n) {
    std::string part = all.substr(0, n);
    EXPECT_EQ(*unhex(hex(part)), part);
    EXPECT_EQ(*unbase64(base64(part)), part);
  }
  EXPECT_FALSE(unhex("0").ok());
  EXPECT_FALSE(unhex("0g").ok());
  for (const char* bad : {"A", "AA=A", "====", "AB==", "A===", "AAA!", "AA==AAAA"})
    EXPECT_FALSE(unbase64(bad).ok()) << bad;
  EXPECT_EQ(base64url(std::string("\xfb\xff", 2)), "-_8");
}

TEST(Text, TimesRoundTrip) {
  for (Micros t : {Micros{0}, Micros{951'782'400'000'000}, Micros{1'795'333'765'123'000}, Micros{-86'400'000'000}}) {
    EXPECT_EQ(*parse_iso8601(iso8601_millis(t)), t);
    EXPECT_EQ(*parse_amz_date(amz_date(t)), t / 1'000'000 * 1'000'000);
    EXPECT_EQ(*parse_http_date(http_date(t)), t / 1'000'000 * 1'000'000);
  }
  EXPECT_EQ(http_date(1'795'333'765'000'000), "Sun, 22 Nov 2026 07:49:25 GMT");
  EXPECT_EQ(*parse_iso8601("2026-11-22T09:49:25+02:00"), 1'795'333'765'000'000);
  for (const char* bad : {"2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01", ""})
    EXPECT_FALSE(parse_iso8601(bad).ok()) << bad;
}

TEST(Text, NumbersAreTheWholeText) {
  EXPECT_EQ(*parse_int("-12"), -12);
  for (const char* bad : {"", " 1", "1 ", "+1", "1.0", "9223372036854775808"}) EXPECT_FALSE(parse_int(bad).ok()) << bad;
  EXPECT_DOUBLE_EQ(*parse_double("1e-3"), 1e-3);
  for (const char* bad : {"", "nan", "inf", "1e999", "0x1", "1,5"}) EXPECT_FALSE(parse_double(bad).ok()) << bad;
}

TEST(Text, PercentEncoding) {
  EXPECT_EQ(percent_encode("a b/c~é"), "a%20b%2Fc~%C3%A9");
  EXPECT_EQ(percent_encode("a/b", true), "a/b");
  EXPECT_EQ(*percent_decode("a%20b+c"), "a b+c");
  EXPECT_EQ(*form_decode("a%20b+c"), "a b c");
  EXPECT_FALSE(percent_decode("%2").ok());
  EXPECT_FALSE(percent_decode("%zz").ok());
}

TEST(Text, Utf8) {
  EXPECT_TRUE(valid_utf8("aé€😀"));
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82", "\xf0\x80\x80\x80"})
    EXPECT_FALSE(valid_utf8(bad));
  EXPECT_EQ(incomplete_utf8_tail("a\xe2\x82"), 2u);
  EXPECT_EQ(incomplete_utf8_tail("a\xe2\x82\xac"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("a"), 0u);
  EXPECT_EQ(clip_utf8("aé€😀", 100), "aé€😀");
  EXPECT_EQ(clip_utf8("aé€😀", 9), "aé€");  // not within a code point
  EXPECT_EQ(clip_utf8("\xff"
                      "a\xe2\x82",
                      100),
            "?a??");
  EXPECT_EQ(clip_utf8("abc", 0), "");
}

}  // namespace
}  // namespace hf
