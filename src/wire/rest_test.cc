#include <gtest/gtest.h>

#include "wire/codec.h"
#include "wire/codec_testing.h"

namespace hf::wire {
namespace {

struct Put {
  std::string bucket, key;
  std::optional<int32_t> part;
  std::vector<std::string> attributes;
  std::optional<std::string> mode;
  std::optional<Timestamp> since;
  std::map<std::string, std::string> metadata;
  std::optional<testing::Leaf> leaf;
  static void fields(Fields<Put>& f) {
    f("Bucket", &Put::bucket).path().required().length(3, 63);
    f("Key", &Put::key).path().required();
    f("PartNumber", &Put::part).query("partNumber").range(1, 10'000);
    f("Attributes", &Put::attributes).header("x-amz-object-attributes");
    f("Mode", &Put::mode).header("x-amz-mode").one_of({"ON"});
    f("Since", &Put::since).header("If-Modified-Since");
    f("Metadata", &Put::metadata).prefix_headers("x-amz-meta-");
    f("Leaf", &Put::leaf).payload();
    f.refused("ACL", "ACLs are not offered").header("x-amz-acl");
    f.refused("Tier", "tiers are not offered").query("tier");
  }
};

struct Get {
  int32_t status = 200;
  std::optional<std::string> etag, type;
  std::optional<Timestamp> modified;
  std::map<std::string, std::string> metadata;
  Blob data;
  static void fields(Fields<Get>& f) {
    f("Status", &Get::status).status();
    f("ETag", &Get::etag).header("ETag");
    f("ContentType", &Get::type).header("Content-Type");
    f("LastModified", &Get::modified).header("Last-Modified");
    f("Metadata", &Get::metadata).prefix_headers("x-amz-meta-");
    f("Data", &Get::data).payload();
  }
};

struct Listing {
  std::optional<std::string> name;
  std::vector<testing::Leaf> leaves;
  static void fields(Fields<Listing>& f) {
    f.root("ListLeaves");
    f("Name", &Listing::name);
    f("Leaves", &Listing::leaves).flattened().xml("Leaf");
  }
};

TEST(Rest, BindsPathQueryHeadersAndPayload) {
  http::Headers h;
  h.add("X-Amz-Object-Attributes", "ETag, Size");
  h.add("x-amz-object-attributes", "Parts");
  h.add("If-Modified-Since", "Sun, 22 Nov 2026 07:49:25 GMT");
  h.add("x-amz-meta-Color", "red");
  h.add("x-amz-acl", "");
  RestRequest r{{{"Bucket", "abc"}, {"Key", "a/b c"}},
                {{"partNumber", "7"}, {"x-id", "Put"}},
                &h,
                "<Leaf><Name>n</Name></Leaf>",
                {}};
  Put put;
  Status s = decode_rest(shape_of<Put>(), Format::xml, r, &put);
  ASSERT_TRUE(s.ok()) << s.error().message;
  EXPECT_EQ(put.key, "a/b c");
  EXPECT_EQ(put.part, 7);
  EXPECT_EQ(put.attributes, (std::vector<std::string>{"ETag", "Size", "Parts"}));
  EXPECT_EQ(put.since->us, 1795333765000000);
  EXPECT_EQ(put.metadata.at("color"), "red");
  EXPECT_EQ(put.leaf->name, "n");
}

TEST(Rest, Errors) {
  auto message = [](Pairs labels, Pairs query, std::vector<std::pair<std::string, std::string>> headers,
                    std::string_view body = "") {
    http::Headers h;
    for (auto& [n, v] : headers) h.add(n, v);
    Put put;
    Status s = decode_rest(shape_of<Put>(), Format::json, RestRequest{labels, query, &h, body, {}}, &put);
    return s.ok() ? "ok" : (s.error().name.empty() ? "" : s.error().name + " ") + s.error().message;
  };
  Pairs labels{{"Bucket", "abc"}, {"Key", "k"}};
  EXPECT_EQ(message(labels, {}, {}), "ok");
  EXPECT_EQ(message({{"Bucket", "ab"}, {"Key", "k"}}, {}, {}), "Bucket: expected 3 to 63 characters, found 2");
  EXPECT_EQ(message({{"Bucket", "abc"}}, {}, {}), "Key: expected a string (the member is required), found nothing");
  EXPECT_EQ(message(labels, {{"partNumber", "0"}}, {}), "PartNumber: expected a number from 1 to 10000, found 0");
  EXPECT_EQ(message(labels, {{"partNumber", "1"}, {"partNumber", "2"}}, {}),
            "PartNumber: expected it once, found it 2 times");
  EXPECT_EQ(message(labels, {{"tier", "x"}}, {}),
            "Refused Tier: expected nothing, found a value: tiers are not offered");
  EXPECT_EQ(message(labels, {}, {{"x-amz-acl", "private"}}),
            "Refused ACL: expected nothing, found a value: ACLs are not offered");
  EXPECT_EQ(message(labels, {}, {{"x-amz-mode", "OFF"}}), "Mode: expected ON, found 'OFF'");
  EXPECT_EQ(message(labels, {}, {}, "{\"Name\":1}"), "Name: expected a string, found the number 1");
}

TEST(Rest, ABodyThatNoMemberTakesIsRefused) {
  http::Headers h;
  Listing l;
  EXPECT_FALSE(decode_rest(shape_of<Listing>(), Format::json, RestRequest{{}, {}, &h, "{\"x\":1}", {}}, &l).ok());
  EXPECT_TRUE(decode_rest(shape_of<Listing>(), Format::json, RestRequest{{}, {}, &h, "{}", {}}, &l).ok());
}

TEST(Rest, EncodesHeadersStatusAndPayload) {
  Get get{206, "\"e\"", "text/x", Timestamp{1795333765000000}, {{"color", "red"}}, {"bytes"}};
  RestResponse out;
  ASSERT_TRUE(encode_rest(shape_of<Get>(), {Format::xml, TimeFormat::iso8601, "", ""}, &get, out).ok());
  EXPECT_EQ(out.status, 206);
  EXPECT_EQ(out.body, "bytes");
  EXPECT_EQ(out.headers.get("content-type"), "text/x");
  EXPECT_EQ(out.headers.get("last-modified"), "Sun, 22 Nov 2026 07:49:25 GMT");
  EXPECT_EQ(out.headers.get("x-amz-meta-color"), "red");
}

TEST(Rest, AHeaderCannotBeSplit) {
  Get get;
  get.type = "text/x\r\nset-cookie: a=b";
  RestResponse out;
  EXPECT_FALSE(encode_rest(shape_of<Get>(), {}, &get, out).ok());
}

TEST(Rest, XmlRootAndFlattenedLists) {
  Listing l{"n", {{"a", {}}, {"b", 1}}};
  RestResponse out;
  ASSERT_TRUE(encode_rest(shape_of<Listing>(), {Format::xml, TimeFormat::iso8601, "urn:s3", "Other"}, &l, out).ok());
  EXPECT_EQ(
      out.body,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListLeaves xmlns=\"urn:s3\"><Name>n</Name><Leaf><Name>a</Name>"
      "</Leaf><Leaf><Name>b</Name><Count>1</Count></Leaf></ListLeaves>");
}

TEST(Rest, HeaderMembersAreListed) {
  EXPECT_EQ(header_members(shape_of<Put>()),
            (std::vector<std::string>{"x-amz-object-attributes", "x-amz-mode", "if-modified-since", "x-amz-meta-*",
                                      "x-amz-acl"}));
}

}  // namespace
}  // namespace hf::wire
