#include <gtest/gtest.h>

#include "wire/codec.h"
#include "wire/codec_testing.h"

namespace hf::wire {
namespace {

using testing::Everything;

struct Grantee {
  std::string type;
  std::optional<std::string> id;
  static void fields(Fields<Grantee>& f) {
    f("Type", &Grantee::type).xml("xsi:type").attribute().required();
    f("ID", &Grantee::id);
  }
};

std::string again(std::string_view text) {
  Everything e;
  Status s = decode_xml(shape_of<Everything>(), "Root", text, &e);
  if (!s.ok()) return (s.error().name.empty() ? "" : s.error().name + " ") + s.error().message;
  std::string out;
  encode_xml(shape_of<Everything>(), "Root", "", &e, out);
  return out.substr(out.find('\n') + 1);
}

TEST(XmlCodec, EveryKindRoundTrips) {
  const char* text =
      "<Root><Flag>true</Flag><Small>-7</Small><Big>9007199254740993</Big><Real>1.5</Real><Text>a&amp;b</Text>"
      "<When>2026-11-22T07:49:25.250Z</When><Stamp>1700000000.123</Stamp><Data>AAEC/w==</Data>"
      "<Leaf><Name>a</Name><Count>5</Count></Leaf><Choice><Text>x</Text></Choice>"
      "<Leaves><member><Name>c</Name></member><member><Name>d</Name></member></Leaves>"
      "<Colors><Color>red</Color><Color>green</Color></Colors><Flat>x</Flat><Flat>y</Flat>"
      "<Tags><entry><key>k</key><value>v</value></entry></Tags><Table></Table></Root>";
  EXPECT_EQ(again(text), text);
}

TEST(XmlCodec, NamespacesPrefixesCommentsAndBlanksAreNoMatter) {
  EXPECT_EQ(again("<?xml version=\"1.0\"?>\n<a:Root xmlns:a=\"urn:x\">\n <!-- & --> "
                  "<a:Text><![CDATA[<&]]></a:Text>\n</a:Root>"),
            "<Root><Text>&lt;&amp;</Text><Tags></Tags><Table></Table></Root>");
}

TEST(XmlCodec, TextKeepsItsBlanksAndLineEnds) {
  EXPECT_EQ(again("<Root><Text> </Text></Root>"), "<Root><Text> </Text><Tags></Tags><Table></Table></Root>");
  EXPECT_EQ(again("<Root><Text>&#13;&#x41;</Text></Root>"),
            "<Root><Text>&#xd;A</Text><Tags></Tags><Table></Table></Root>");
}

TEST(XmlCodec, Errors) {
  const std::pair<std::string, const char*> cases[] = {
      {"<Root><Small>x</Small></Root>", "Small: expected an integer, found 'x'"},
      {"<Root><Small>1</Small><Small>1</Small></Root>", "Small: expected it once, found it twice"},
      {"<Root><Leaf/></Root>", "Leaf.Name: expected a string (the member is required), found nothing"},
      {"<Root><Leaves><item/></Leaves></Root>", "Leaves[0]: expected <member>, found <item>"},
      {"<Root>words</Root>", "the body: expected elements, found text between them"},
      {"<Root><Text><b/></Text></Root>", "Text: expected text, found the element <b>"},
      {"<Root><Magic>on</Magic></Root>", "Refused Magic: expected nothing, found a value: magic is not offered"},
      {"<Root a=\"1\"/>",
       "a: expected only known members (Flag, Small, Big, Real, Text, Color, Secret, When, Stamp, Data, Anything, "
       "Leaf, "
       "Choice, Leaves, Colors, Flat, Tags, ByName, Table), found an unknown one"},
      {"<Other/>", "Malformed expected XML, but its element is <Other>, not <Root>"},
      {"", "Malformed expected XML, but near byte 0: No document element found"},
      {"<Root/><Root/>", "Malformed expected XML, but it has more than one document element"},
      {"<Root>&bomb;</Root>", "Malformed expected XML, but the entity at byte 6 is not one of XML's own"},
      {"<Root>&#0;</Root>", "Malformed expected XML, but the entity at byte 6 is not one of XML's own"},
      {"<Root>&#xD800;</Root>", "Malformed expected XML, but the entity at byte 6 is not one of XML's own"},
      {"<!DOCTYPE Root [<!ENTITY a \"b\">]><Root/>", "Malformed expected XML, but it has a DTD, which is refused"},
      {std::string("<Root>\0</Root>", 14), "Malformed expected XML, but byte 6 is a control character"},
      {"<Root>\xff</Root>", "Malformed expected XML, but it is not UTF-8"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(again(text), message) << text;
  for (const char* text : {"<Root>", "<Root></Other>", "Root", "<Root", "<Root><![CDATA[</Root>", "<!-- <Root/>"}) {
    Everything e;
    EXPECT_FALSE(decode_xml(shape_of<Everything>(), "Root", text, &e).ok()) << text;
  }
  EXPECT_EQ(again("<Root><Magic></Magic></Root>"), again("<Root/>"));
}

TEST(XmlCodec, DepthEndsAt64) {
  std::string open, close;
  for (int i = 0; i < 100'000; ++i) open += "<a>", close += "</a>";
  Everything e;
  Status s = decode_xml(shape_of<Everything>(), "a", open + close, &e);
  ASSERT_FALSE(s.ok());
  EXPECT_NE(s.error().message.find("deeper than 64"), std::string::npos);
}

TEST(XmlCodec, Attributes) {
  Grantee g;
  const char* text =
      R"(<G xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>1</ID></G>)";
  ASSERT_TRUE(decode_xml(shape_of<Grantee>(), "G", text, &g).ok());
  EXPECT_EQ(g.type, "CanonicalUser");
  std::string out;
  encode_xml(shape_of<Grantee>(), "G", "", &g, out);
  EXPECT_NE(out.find(text), std::string::npos) << out;
}

TEST(XmlCodec, EveryByteIsEscapedOrItself) {
  EXPECT_EQ(xml_escape("<>&\"'\r\n\t\x01\x7f\xc3\xa9"), "&lt;&gt;&amp;&quot;&apos;&#xd;\n\t&#x1;&#x7f;\xc3\xa9");
}

}  // namespace
}  // namespace hf::wire
