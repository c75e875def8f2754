#include <gtest/gtest.h>

#include "wire/codec.h"
#include "wire/codec_testing.h"

namespace hf::wire {
namespace {

using testing::Everything;

std::string again(std::string_view form) {
  auto pairs = decode_query(form, true);
  if (!pairs.ok()) return pairs.error().message;
  Everything e;
  Status s = decode_aws_query(shape_of<Everything>(), *pairs, &e);
  if (!s.ok()) return (s.error().name.empty() ? "" : s.error().name + " ") + s.error().message;
  std::string out;
  encode_json(shape_of<Everything>(), TimeFormat::iso8601, &e, out);
  return out;
}

TEST(QueryCodec, ListsMapsAndStructures) {
  EXPECT_EQ(again("Action=A&Version=1&Text=a+b&Small=3&Leaf.Name=x&Leaves.member.2.Name=b&Leaves.member.1.Name=a"
                  "&Colors.Color.1=red&Flat.1=p&Flat.10=z&Flat.2=q&Tags.entry.1.key=k&Tags.entry.1.value=v%20w"),
            R"({"Small":3,"Text":"a b","Leaf":{"Name":"x"},"Leaves":[{"Name":"a"},{"Name":"b"}],"Colors":["red"],)"
            R"("Flat":["p","q","z"],"Tags":{"k":"v w"},"Table":[]})");
  EXPECT_EQ(again("Leaves="), R"({"Leaves":[],"Tags":{},"Table":[]})");
}

TEST(QueryCodec, Errors) {
  EXPECT_EQ(again("Anything=x"), "Anything: expected no value, as the member has no text form, found one");
  EXPECT_EQ(again("Small=x"), "Small: expected an integer, found 'x'");
  EXPECT_EQ(again("Leaves.member.1.Name=A"), "Leaves[0].Name: expected text that matches [a-z]+, found 'A'");
  EXPECT_EQ(again("Leaves.member.0.Name=a"), "Leaves: expected items numbered from 1, found '0'");
  EXPECT_EQ(again("Leaves.1.Name=a"), "Leaves: expected .member.1 and so on, found '1'");
  EXPECT_EQ(again("Leaf=a"), "Leaf: expected members, found a single value");
  EXPECT_EQ(again("Text.member.1=a"), "Text: expected a string, found members");
  EXPECT_EQ(again("Text=a&Text=b"), "Malformed expected each parameter once, found 'Text' twice");
  EXPECT_EQ(again("Text=a&.=b"), "Malformed expected a name like Foo.member.1, found '.'");
  EXPECT_EQ(again("Text=%zz"), "expected percent-encoded UTF-8 in parameter 1, found something else");
  EXPECT_EQ(again("Magic=1"), "Refused Magic: expected nothing, found a value: magic is not offered");
  std::string deep = "a";
  for (int i = 0; i < 100; ++i) deep += ".a";
  EXPECT_EQ(again(deep + "=1"), "Malformed expected names of at most 64 parts, found 101");
  std::string many;
  for (int i = 0; i <= 10'000; ++i) many += "a=1&";
  EXPECT_EQ(again(many), "expected at most 10000 parameters");
}

TEST(QueryCodec, AnswersAreWrapped) {
  testing::Leaf leaf{"a<b", 2};
  EXPECT_EQ(encode_aws_query(&shape_of<testing::Leaf>(), "GetLeaf", "urn:x", "id-1", &leaf),
            "<GetLeafResponse xmlns=\"urn:x\"><GetLeafResult><Name>a&lt;b</Name><Count>2</Count></GetLeafResult>"
            "<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetLeafResponse>");
  EXPECT_EQ(encode_aws_query(nullptr, "DropLeaf", "urn:x", "id-1", nullptr),
            "<DropLeafResponse xmlns=\"urn:x\"><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>"
            "</DropLeafResponse>");
}

}  // namespace
}  // namespace hf::wire
