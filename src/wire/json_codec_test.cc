#include <gtest/gtest.h>

#include <boost/json/object.hpp>

#include "wire/codec.h"
#include "wire/codec_testing.h"

namespace hf::wire {
namespace {

using testing::Everything;

// Decodes and encodes again; or the error's message.
std::string again(std::string_view text, TimeFormat time = TimeFormat::iso8601) {
  Everything e;
  Status s = decode_json(shape_of<Everything>(), text, &e);
  if (!s.ok()) return (s.error().name.empty() ? "" : s.error().name + " ") + s.error().message;
  std::string out;
  encode_json(shape_of<Everything>(), time, &e, out);
  return out;
}

TEST(JsonCodec, EveryKindRoundTrips) {
  const char* text =
      R"({"Flag":true,"Small":-7,"Big":9007199254740993,"Real":1.5,"Text":"añb","Color":"red","Secret":"abc",)"
      R"("When":"2026-11-22T07:49:25.250Z","Stamp":1700000000.123,"Data":"AAEC/w==","Anything":{"x":[1,null,{"y":2.5}]},)"
      R"("Leaf":{"Name":"a","Count":5},"Choice":{"Leaf":{"Name":"b"}},"Leaves":[{"Name":"c"},{"Name":"d","Count":-5}],)"
      R"("Colors":["red","green"],"Flat":["x"],"Tags":{"k":"v"},"ByName":{"z":{"Name":"z"}},"Table":[[1,2],[],[3]]})";
  EXPECT_EQ(again(text), text);
}

TEST(JsonCodec, TimesInBothForms) {
  EXPECT_EQ(again(R"({"When":1700000000})"), R"({"When":"2023-11-14T22:13:20.000Z","Tags":{},"Table":[]})");
  EXPECT_EQ(again(R"({"When":"2023-11-14T22:13:20Z"})", TimeFormat::epoch),
            R"({"When":1700000000,"Tags":{},"Table":[]})");
  EXPECT_EQ(again(R"({"When":-0.5})", TimeFormat::epoch), R"({"When":-0.5,"Tags":{},"Table":[]})");
  EXPECT_EQ(again(R"({"When":1e300})"), "When: expected seconds since 1970 within the years 1 to 9999, found 1e+300");
  EXPECT_EQ(again(R"({"When":"soon"})"), "When: expected a time like 2026-11-22T07:49:25Z, found 'soon'");
}

TEST(JsonCodec, EmptyAndNullAreAbsent) {
  EXPECT_EQ(again(""), R"({"Tags":{},"Table":[]})");
  EXPECT_EQ(again(" \n"), again("{}"));
  EXPECT_EQ(again(R"({"Text":null,"Leaf":null,"Magic":null})"), again("{}"));
}

TEST(JsonCodec, ErrorsNameThePathTheRuleAndWhatWasFound) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([])", "Malformed the body: expected a JSON object, found another value"},
      {R"({"Small":2147483648})", "Small: expected an integer from -2147483648 to 2147483647, found 2147483648"},
      {R"({"Small":1e308})", "Small: expected an integer within 64 bits, found the number 1e+308"},
      {R"({"Small":1.5})", "Small: expected an integer within 64 bits, found the number 1.5"},
      {R"({"Small":"1"})", "Small: expected an integer, found the string '1'"},
      {R"({"Big":9223372036854775808})",
       "Big: expected an integer within 64 bits, found the number 9223372036854775808"},
      {R"({"Real":-0.1})", "Real: expected a number from 0 to 2, found -0.1"},
      {R"({"Real":1e308})", "Real: expected a number from 0 to 2, found 1e+308"},
      {R"({"Flag":1})", "Flag: expected true or false, found the number 1"},
      {R"({"Text":"abcde"})", "Text: expected 0 to 4 characters, found 5"},
      {R"({"Text":{}})", "Text: expected a string, found an object"},
      {R"({"Color":"blue"})", "Color: expected one of red, green, found 'blue'"},
      {R"({"Colors":["red","blue"]})", "Colors[1]: expected one of red, green, found 'blue'"},
      {R"({"Secret":"hunter2"})", "Secret: expected 0 to 3 characters, found 7"},
      {R"({"Secret":12345})", "Secret: expected a string, found another value"},
      {R"({"Data":"a"})", "Data: expected base64, found 'a'"},
      {R"({"Data":"AAAAAAAA"})", "Data: expected 0 to 4 bytes, found 6"},
      {R"({"Leaf":{}})", "Leaf.Name: expected a string (the member is required), found nothing"},
      {R"({"Leaf":{"Name":"A"}})", "Leaf.Name: expected text that matches [a-z]+, found 'A'"},
      {R"({"Leaf":{"Name":"a","Nam":1}})", "Leaf.Nam: expected only known members (Name, Count), found an unknown one"},
      {R"({"Leaf":{"Name":"a","Shadow":1}})",
       "Refused Leaf.Shadow: expected nothing, found a value: shadows are not offered"},
      {R"({"Leaves":[{"Name":"a"},{"Name":"b","Count":6}]})",
       "Leaves[1].Count: expected a number from -5 to 5, found 6"},
      {R"({"Leaves":[{"Name":"a"},{"Name":"b"},{"Name":"c"}]})", "Leaves: expected 0 to 2 elements, found 3"},
      {R"({"Leaves":[null]})", "Leaves[0]: expected an object, found null"},
      {R"({"ByName":{"q":{"Name":""}}})", "ByName.q.Name: expected 1 to 8 characters, found 0"},
      {R"({"Table":[[1],[true]]})", "Table[1][0]: expected an integer, found true"},
      {R"({"Choice":{}})", "Choice: expected exactly one of Text, Leaf, found none"},
      {R"({"Choice":{"Text":"","Leaf":{"Name":"a"}}})",
       "Choice: expected exactly one of Text, Leaf, found more than one"},
      {R"({"Magic":"x"})", "Refused Magic: expected nothing, found a value: magic is not offered"},
      {R"({"Never":""})", "Refused Never: expected nothing, found a value: never, not even empty"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(again(text), message);
  for (const char* text : {R"({"Magic":""})", R"({"Magic":{}})", R"({"Magic":[]})", R"({"Magic":false})"})
    EXPECT_EQ(again(text), again("{}"));
}

TEST(JsonCodec, ASecretIsNeverInAnErrorOrALog) {
  Everything e;
  ASSERT_TRUE(decode_json(shape_of<Everything>(), R"({"Secret":"xyz","Text":"t","Data":"AAEC"})", &e).ok());
  std::string log = redact(shape_of<Everything>(), &e);
  EXPECT_EQ(log, R"x({"Text":"t","Secret":"***","Data":"(4 bytes)","Tags":{},"Table":[]})x");
  EXPECT_EQ(again(R"({"Secret":"hunter2!"})").find("hunter"), std::string::npos);
}

TEST(JsonCodec, TheErrorsOfALongValueStayShort) {
  std::string text = R"({"Color":")" + std::string(100'000, 'x') + R"("})";
  EXPECT_LT(again(text).size(), 200u);
  text = R"({")" + std::string(100'000, 'x') + R"(":1})";
  EXPECT_LT(again(text).size(), 600u);
}

TEST(JsonCodec, ADocumentOfAStructure) {
  testing::Leaf leaf{"a", 2};
  EXPECT_EQ(to_document(shape_of<testing::Leaf>(), TimeFormat::epoch, &leaf).at("Count").as_int64(), 2);
}

}  // namespace
}  // namespace hf::wire
