#include "api/gate.h"

#include <gtest/gtest.h>

#include "api/errors.h"
#include "api/testing.h"
#include "base/bytes.h"
#include "security/denials.h"
#include "wire/eventstream.h"

namespace hf::api {
namespace {

using testing::MemorySite;
using testing::Request;

// ---- one service of each protocol, with operations that show what reached them

struct Echo {
  std::optional<std::string> text;
  std::optional<int32_t> number;
  static void fields(wire::Fields<Echo>& f) {
    f("Text", &Echo::text).length(1, 5);
    f("Number", &Echo::number);
    f.refused("Magic", "magic is not offered");
  }
};
struct Named {
  std::string id;
  static void fields(wire::Fields<Named>& f) { f("id", &Named::id).path().required(); }
};
struct Put {
  std::string bucket, key;
  wire::Body body;
  std::optional<std::string> type;
  static void fields(wire::Fields<Put>& f) {
    f("Bucket", &Put::bucket).path().required();
    f("Key", &Put::key).path().required();
    f("ContentType", &Put::type).header("content-type");
    f("Body", &Put::body).payload();
  }
};
struct PutAnswer {
  std::string seen;
  static void fields(wire::Fields<PutAnswer>& f) { f("Seen", &PutAnswer::seen).header("x-amz-seen"); }
};
struct Get {
  std::string bucket, key;
  static void fields(wire::Fields<Get>& f) {
    f("Bucket", &Get::bucket).path().required();
    f("Key", &Get::key).path().required();
    f.refused("Owner", "owners are not checked").header("x-amz-expected-bucket-owner");
  }
};
struct GetAnswer {
  wire::Body body;
  int64_t length = 0;
  static void fields(wire::Fields<GetAnswer>& f) {
    f("Body", &GetAnswer::body).payload();
    f("ContentLength", &GetAnswer::length).header("content-length");
  }
};
struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

class Text : public wire::BodySource {
 public:
  explicit Text(std::string text, bool breaks = false) : text_(std::move(text)), breaks_(breaks) {}
  Result<size_t> read(std::span<char> out) override {
    if (breaks_ && at_ == text_.size()) return fail(Code::corrupt, "block 1 is damaged");
    size_t n = std::min(out.size(), text_.size() - at_);
    std::memcpy(out.data(), text_.data() + at_, n);
    at_ += n;
    return n;
  }

 private:
  std::string text_;
  size_t at_ = 0;
  bool breaks_;
};

Result<Echo> echo(Call&, const Echo& in) { return in; }
std::string anything(const Call&, const Echo&) { return "*"; }
Result<Echo> change(Call& call, const Echo& in) {
  if (in.number == 7) return in;  // forgets to commit
  if (in.number == 8) return fail(Code::conflict, "it is there already");
  if (in.number == 9) return fail(Code::internal, "secret path /var/x broke");
  if (in.number == 10) return fail(Code::denied, kAccessDenied, "it is another account's");
  if (in.number == 11) return fail(Code::denied, "open /var/x: read-only file system");
  TRY(call.commit([](store::Txn&) { return Status(); }, "{\"n\":1}"));
  return in;
}
Result<PutAnswer> put(Call& call, const Put& in) {
  std::string seen;
  char piece[7];
  for (;;) {
    size_t n = TRY(in.body.source->read(piece));
    if (n == 0) break;
    seen.append(piece, n);
  }
  for (const auto& [n, v] : in.body.source->trailers()) seen += " " + n + "=" + v;
  TRY(call.commit([](store::Txn&) { return Status(); }));
  return PutAnswer{seen};
}
std::string object_arn(const std::string& bucket, const std::string& key) {
  return "arn:aws:s3:::" + bucket + "/" + key;
}
Result<GetAnswer> get(Call&, const Get& in) {
  if (in.key == "none") return fail(Code::not_found, "NoSuchKey", "no such key");
  if (in.key == "bad") return GetAnswer{{std::make_shared<Text>("", true), 5}, 5};
  if (in.key == "half") return GetAnswer{{std::make_shared<Text>("hel", true), 5}, 5};
  return GetAnswer{{std::make_shared<Text>("hello"), 5}, 5};
}
Status stream(Call&, const Named& in, std::shared_ptr<EventSink> sink) {
  sink->header("x-extra", "1");
  if (in.id == "early") return fail(Code::exhausted, "the queue is full");
  if (in.id == "full") return fail(Code::exhausted, kDiskFull, "write: no space");
  if (in.id == "denied") return fail(Code::denied, kAccessDenied, "it is another account's");
  (void)sink->event("chunk", "{\"a\":1}");
  if (in.id == "late") sink->error(fail(Code::exhausted, "the queue is full"));
  if (in.id == "lost") return {};
  sink->finish();
  return {};
}
std::string by_id(const Call& call, const Named& in) { return call.arn("bedrock", "thing/" + in.id); }

std::vector<Service> services() {
  Service rest{.name = "bedrock-runtime", .signing_name = "bedrock", .protocol = Protocol::rest_json, .bearer = true};
  rest.add<Echo, Echo>("Echo", {"POST", "/echo"}, Effect::read, echo, anything);
  rest.add<Echo, Echo>("Change", {"POST", "/change"}, Effect::write, change, anything);
  rest.add_stream<Named>("Stream", {"POST", "/stream/{id}"}, Effect::read, stream, by_id);
  rest.missing("Other", {"GET", "/other/{id}"});
  Service json{.name = "sagemaker",
               .signing_name = "sagemaker",
               .protocol = Protocol::aws_json_1_1,
               .target_prefix = "SageMaker"};
  json.add<Echo, Echo>("Echo", {}, Effect::read, echo, anything);
  json.missing("CreateApp");
  Service query{.name = "sts",
                .signing_name = "sts",
                .protocol = Protocol::aws_query,
                .version = "2011-06-15",
                .xml_namespace = "urn:sts"};
  query.add<Echo, Echo>("Echo", {}, Effect::read, echo, anything);
  query.missing("AssumeRole");
  Service xml{.name = "s3", .signing_name = "s3", .protocol = Protocol::rest_xml, .xml_namespace = "urn:s3"};
  auto& p = xml.add<Put, PutAnswer>("PutObject", {"PUT", "/{Bucket}/{Key+}"}, Effect::write, put,
                                    [](const Call&, const Put& in) { return object_arn(in.bucket, in.key); });
  p.streaming_input = true;
  p.body_limit = 64 << 20;
  p.pool = http::Pool::data;
  xml.add<Get, GetAnswer>("GetObject", {"GET", "/{Bucket}/{Key+}"}, Effect::read_data, get,
                          [](const Call&, const Get& in) { return object_arn(in.bucket, in.key); });
  xml.add<Get, GetAnswer>("HeadObject", {"HEAD", "/{Bucket}/{Key+}"}, Effect::read_data, get,
                          [](const Call&, const Get& in) { return object_arn(in.bucket, in.key); });
  xml.missing("GetObjectAcl", {"GET", "/{Bucket}/{Key+}", "acl"});
  Service ai{.name = "openai", .signing_name = "bedrock-mantle", .protocol = Protocol::openai, .bearer = true};
  ai.add<Echo, Echo>("Echo", {"POST", "/v1/echo"}, Effect::read, echo, anything);
  ai.add_stream<Named>("Stream", {"POST", "/v1/stream/{id}"}, Effect::read, stream, by_id);
  ai.missing("Embeddings", {"POST", "/v1/embeddings"});
  return {rest, json, query, xml, ai};
}

class GateTest : public ::testing::Test {
 protected:
  std::shared_ptr<testing::MemoryExchange> signed_(Request r, const std::string& service) {
    site.sign(r, service);
    return site.send(gate, r);
  }
  std::shared_ptr<testing::MemoryExchange> bearer(Request r, const std::string& key = "hf-admin") {
    r.headers.emplace_back("authorization", "Bearer " + key);
    return site.send(gate, r);
  }
  MemorySite site;
  Gate gate{site.site(), services()};
};

Request post(std::string path, std::string body) {
  return {"POST", std::move(path), "", std::move(body), {}, "127.0.0.1:8480"};
}
Request target(std::string name, std::string body) {
  Request r = post("/", std::move(body));
  r.headers = {{"x-amz-target", std::move(name)}, {"content-type", "application/x-amz-json-1.1"}};
  return r;
}
Request form(std::string body) {
  Request r = post("/", std::move(body));
  r.headers = {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}};
  return r;
}

TEST_F(GateTest, EachProtocolAnswersInItsOwnForm) {
  auto rest = signed_(post("/echo", R"({"Text":"a"})"), "bedrock");
  EXPECT_EQ(rest->status, 200);
  EXPECT_EQ(rest->body, R"({"Text":"a"})");
  EXPECT_EQ(rest->headers.get("content-type"), "application/json");
  EXPECT_EQ(rest->headers.get("x-amzn-requestid").size(), 36u);
  auto json = signed_(target("SageMaker.Echo", R"({"Number":3})"), "sagemaker");
  EXPECT_EQ(json->status, 200);
  EXPECT_EQ(json->body, R"({"Number":3})");
  EXPECT_EQ(json->headers.get("content-type"), "application/x-amz-json-1.1");
  auto query = signed_(form("Action=Echo&Version=2011-06-15&Text=a+b"), "sts");
  EXPECT_EQ(query->status, 200) << query->body;
  EXPECT_NE(query->body.find("<EchoResponse xmlns=\"urn:sts\"><EchoResult><Text>a b</Text></EchoResult>"),
            std::string::npos);
  auto s3 = signed_({"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"}, "s3");
  EXPECT_EQ(s3->status, 200);
  EXPECT_EQ(s3->body, "hello");
  EXPECT_EQ(s3->headers.get("content-length"), "5");
  EXPECT_EQ(s3->headers.get("x-amz-request-id").size(), 16u);
  auto ai = bearer(post("/v1/echo", R"({"Text":"a"})"));
  EXPECT_EQ(ai->status, 200);
  EXPECT_TRUE(ai->headers.has("x-request-id"));
  EXPECT_EQ(bearer(post("/echo", "{}"))->status, 200);  // Bearer on bedrock-runtime
  EXPECT_EQ(bearer(post("/openai/v1/echo", "{}"))->status, 200);
  EXPECT_EQ(signed_(post("/v1/echo", "{}"), "bedrock-mantle")->status, 200);
}

TEST_F(GateTest, ErrorsInEachProtocolsForm) {
  auto rest = signed_(post("/echo", R"({"Text":"abcdef"})"), "bedrock");
  EXPECT_EQ(rest->status, 400);
  EXPECT_EQ(rest->headers.get("x-amzn-errortype"), "ValidationException");
  EXPECT_EQ(rest->body, R"({"message":"Text: expected 1 to 5 characters, found 6"})");
  auto json = signed_(target("SageMaker.Echo", R"({"Magic":1})"), "sagemaker");
  EXPECT_EQ(json->status, 400);
  EXPECT_EQ(json->body.find(R"({"__type":"ValidationException","message":"Magic: expected nothing)"), 0u) << json->body;
  auto query = signed_(form("Action=Echo&Version=2011-06-15&Foo=1"), "sts");
  EXPECT_EQ(query->status, 400);
  EXPECT_NE(query->body.find("<Type>Sender</Type><Code>ValidationError</Code>"), std::string::npos) << query->body;
  auto s3 = signed_({"GET", "/bkt/none", "", "", {}, "127.0.0.1:8480"}, "s3");
  EXPECT_EQ(s3->status, 404);
  EXPECT_NE(s3->body.find("<Error><Code>NoSuchKey</Code><Message>no such key</Message><Resource>/bkt/none</Resource>"),
            std::string::npos);
  auto ai = bearer(post("/v1/echo", R"({"Text":7})"));
  EXPECT_EQ(ai->status, 400);
  EXPECT_EQ(ai->body,
            R"({"error":{"message":"Text: expected a string, found the number 7","type":"invalid_request_error",)"
            R"("param":"Text","code":"invalid_value"}})");
}

TEST_F(GateTest, NotImplementedAndUnknownInEachProtocolsForm) {
  auto rest = signed_({"GET", "/other/1", "", "", {}, "127.0.0.1:8480"}, "bedrock");
  EXPECT_EQ(rest->status, 501);
  EXPECT_EQ(rest->headers.get("x-amzn-errortype"), "NotImplementedException");
  EXPECT_EQ(signed_(post("/nothing", ""), "bedrock")->status, 404);
  auto json = signed_(target("SageMaker.CreateApp", "{}"), "sagemaker");
  EXPECT_EQ(json->status, 501);
  EXPECT_EQ(signed_(target("SageMaker.Nothing", "{}"), "sagemaker")->status, 400);
  EXPECT_NE(signed_(form("Action=AssumeRole&Version=2011-06-15"), "sts")->body.find("<Code>InvalidAction</Code>"),
            std::string::npos);
  EXPECT_EQ(signed_(form("Action=Nothing&Version=2011-06-15"), "sts")->status, 400);
  EXPECT_EQ(signed_(form("Action=Echo&Version=2000-01-01"), "sts")->status, 400);
  auto s3 = signed_({"GET", "/bkt/key", "acl", "", {}, "127.0.0.1:8480"}, "s3");
  EXPECT_EQ(s3->status, 501);
  EXPECT_NE(s3->body.find("<Code>NotImplemented</Code>"), std::string::npos);
  EXPECT_EQ(signed_({"PATCH", "/bkt/key", "", "", {}, "127.0.0.1:8480"}, "s3")->status, 405);
  EXPECT_EQ(bearer(post("/v1/embeddings", "{}"))->status, 501);
  EXPECT_EQ(bearer(post("/v1/nothing", "{}"))->status, 404);
  EXPECT_EQ(signed_(post("/", ""), "dynamodb")->status, 404);
}

TEST_F(GateTest, HealthIsOpenAndOnTheLoop) {
  auto r = site.send(gate, {"GET", "/health", "", "", {}, "127.0.0.1:8480"});
  EXPECT_EQ(r->status, 200);
  EXPECT_EQ(gate.route(r->head()).pool, http::Pool::loop);
  EXPECT_TRUE(site.ledger.all.empty());
  EXPECT_EQ(site.send(gate, {"POST", "/health", "", "", {}, "127.0.0.1:8480"})->status, 403);
  EXPECT_EQ(site.send(gate, {"GET", "/health/", "", "", {}, "127.0.0.1:8480"})->status, 403);
}

TEST_F(GateTest, RoutesKnowTheirLimits) {
  auto route = [&](std::vector<std::pair<std::string, std::string>> headers) {
    return gate.route(site.exchange({"PUT", "/bkt/k", "", "", std::move(headers), "h"})->head());
  };
  const std::pair<std::string, std::string> signed_header = {
      "authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=0"};
  const http::Route upload = route({signed_header, {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}});
  EXPECT_EQ(upload.body_limit, uint64_t{64} << 20);
  EXPECT_EQ(upload.pool, http::Pool::data);
  // Its body is read before anybody knows who sends it: held by the loop first, and not much of it.
  const http::Route unhashed = route({signed_header});
  EXPECT_EQ(unhashed.body_limit, uint64_t{4} << 20);
  EXPECT_EQ(unhashed.pool, http::Pool::control);
  EXPECT_EQ(route({}).body_limit, uint64_t{1} << 20);
}

TEST_F(GateTest, WithoutTheRightTheDenialIsAnsweredAndRecorded) {
  Request r{"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"};
  site.sign(r, "s3", "AKIAPOOR", "secret-poor");
  auto e = site.send(gate, r);
  EXPECT_EQ(e->status, 403);
  EXPECT_NE(e->body.find("<Code>AccessDenied</Code>"), std::string::npos);
  ASSERT_EQ(site.ledger.all.size(), 1u);
  const auto& entry = site.ledger.all[0];
  EXPECT_EQ(entry.decision, "deny");
  EXPECT_EQ(entry.action, "s3:GetObject");
  EXPECT_EQ(entry.resource, "arn:aws:s3:::bkt/key");
  EXPECT_EQ(entry.account, "444455556666");
  EXPECT_EQ(entry.principal, "arn:aws:iam::444455556666:user/poor");
  EXPECT_EQ(entry.source, "127.0.0.1:40000");
  auto ai = bearer(post("/v1/echo", "{}"), "hf-poor");
  EXPECT_EQ(ai->status, 403);
  EXPECT_NE(ai->body.find("insufficient_permissions"), std::string::npos);
}

TEST_F(GateTest, AKeyThatMayOneThingMayOnlyThat) {
  auto policy = security::parse_policy(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"}]})",
      "p");
  ASSERT_TRUE(policy.ok());
  site.keys.access["AKIAPOOR"].identity.policies = {*policy};
  auto status = [&](const char* method, const char* path) {
    Request r{method, path, "", "", {}, "127.0.0.1:8480"};
    site.sign(r, "s3", "AKIAPOOR", "secret-poor");
    return site.send(gate, r)->status;
  };
  EXPECT_EQ(status("GET", "/bkt/key"), 200);
  EXPECT_EQ(status("GET", "/bkt2/key"), 403);
  EXPECT_EQ(status("PUT", "/bkt/key"), 403);
}

// Whoever refuses, and wherever: an auditor finds it.
TEST_F(GateTest, ADenialOfAHandlersOwnIsRecordedToo) {
  EXPECT_EQ(signed_(post("/change", R"({"Number":10})"), "bedrock")->status, 403);
  ASSERT_EQ(site.ledger.all.size(), 1u);
  EXPECT_EQ(site.ledger.all[0].decision, "deny");
  EXPECT_EQ(site.ledger.all[0].reason, "AccessDenied");
  EXPECT_EQ(site.ledger.all[0].principal, "arn:aws:iam::111122223333:user/admin");
  EXPECT_EQ(site.ledger.all[0].action, "bedrock:Change");
  EXPECT_EQ(signed_(post("/stream/denied", ""), "bedrock")->status, 403);
  ASSERT_EQ(site.ledger.all.size(), 2u);
  EXPECT_EQ(site.ledger.all[1].resource, "arn:aws:bedrock:site-1:111122223333:thing/denied");
}

TEST_F(GateTest, AChunkWithAWrongSignatureIsRecorded) {
  Request r{"PUT",
            "/bkt/k",
            "",
            "5;chunk-signature=" + std::string(64, '0') + "\r\nhello\r\n",
            {{"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, {"x-amz-decoded-content-length", "5"}},
            "127.0.0.1:8480"};
  auto e = signed_(r, "s3");
  EXPECT_EQ(e->status, 403);
  EXPECT_NE(e->body.find("SignatureDoesNotMatch"), std::string::npos);
  ASSERT_EQ(site.ledger.all.size(), 1u);
  EXPECT_EQ(site.ledger.all[0].decision, "deny");
  EXPECT_EQ(site.ledger.all[0].reason, "SignatureDoesNotMatch");
  EXPECT_EQ(site.ledger.all[0].account, "111122223333");
}

TEST_F(GateTest, AStorageThatRefusesIsNoDenial) {
  auto e = signed_(post("/change", R"({"Number":11})"), "bedrock");
  EXPECT_EQ(e->status, 503);
  EXPECT_EQ(e->body.find("/var/x"), std::string::npos);
  EXPECT_TRUE(site.ledger.all.empty());
  ASSERT_EQ(site.log.size(), 1u);
  EXPECT_NE(site.log[0].find("/var/x"), std::string::npos);
}

TEST_F(GateTest, FailedAuthenticationIsRecordedWithoutAPrincipal) {
  auto e = site.send(gate, {"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"});
  EXPECT_EQ(e->status, 403);
  ASSERT_EQ(site.ledger.all.size(), 1u);
  EXPECT_EQ(site.ledger.all[0].principal, "");
  EXPECT_EQ(site.ledger.all[0].reason, "MissingAuthenticationToken");
  auto ai = site.send(gate, post("/v1/echo", "{}"));
  EXPECT_EQ(ai->status, 401);
  EXPECT_NE(ai->body.find("invalid_api_key"), std::string::npos);
  EXPECT_EQ(bearer(post("/v1/echo", "{}"), "hf-wrong")->status, 401);
}

TEST_F(GateTest, AFloodOfRefusalsIsCountedNotStored) {
  for (int i = 0; i < 1000; ++i) site.send(gate, {"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"});
  EXPECT_EQ(site.ledger.all.size(), 20u);
  site.clock.advance(1'000'000);
  signed_(post("/echo", "{}"), "bedrock");  // any request after that second
  ASSERT_EQ(site.ledger.all.size(), 21u);
  EXPECT_EQ(site.ledger.all.back().reason, "flood");
  EXPECT_NE(site.ledger.all.back().detail.find(R"("refusals":980)"), std::string::npos);
}

// Of one who is known, too: what is over his budget is counted as his.
TEST_F(GateTest, AFloodOfOnesOwnDenialsIsCountedAsHis) {
  for (int i = 0; i < 100; ++i) {
    Request r = post("/echo", "{}");
    site.sign(r, "bedrock", "AKIAPOOR", "secret-poor");
    EXPECT_EQ(site.send(gate, r)->status, 403);
  }
  EXPECT_EQ(site.ledger.all.size(), 50u);
  site.clock.advance(1'000'000);
  signed_(post("/echo", "{}"), "bedrock");
  ASSERT_GE(site.ledger.all.size(), 51u);
  const auto& told = site.ledger.all[50];
  EXPECT_EQ(told.reason, "flood");
  EXPECT_EQ(told.principal, "arn:aws:iam::444455556666:user/poor");
  EXPECT_NE(told.detail.find(R"("refusals":50)"), std::string::npos) << told.detail;
}

TEST_F(GateTest, AFullDiskDoesNotLetADenialThrough) {
  site.fs.fail_at(1, os::FakeFs::Fault::enospc, true);
  EXPECT_EQ(site.send(gate, {"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"})->status, 403);
  EXPECT_EQ(site.log.size(), 1u);
  EXPECT_EQ(signed_({"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"}, "s3")->status, 503);  // no entry, no data
}

TEST_F(GateTest, DataIsRecordedBeforeItsFirstByteGoes) {
  EXPECT_EQ(signed_({"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"}, "s3")->status, 200);
  EXPECT_TRUE(site.journal.before("entry allow s3:GetObject", "start 200"));
}

TEST_F(GateTest, AWriteMustHaveCommitted) {
  EXPECT_EQ(signed_(post("/change", R"({"Number":1})"), "bedrock")->status, 200);
  ASSERT_EQ(site.ledger.all.size(), 1u);
  EXPECT_EQ(site.ledger.all[0].reason, "administrator");
  EXPECT_EQ(site.ledger.all[0].detail, "{\"n\":1}");
  auto e = signed_(post("/change", R"({"Number":7})"), "bedrock");
  EXPECT_EQ(e->status, 500);
  EXPECT_EQ(site.log.size(), 1u);
  EXPECT_EQ(signed_(post("/change", R"({"Number":8})"), "bedrock")->headers.get("x-amzn-errortype"),
            "ConflictException");
}

TEST_F(GateTest, OurOwnFaultsTellTheirDetailsToTheLogOnly) {
  auto e = signed_(post("/change", R"({"Number":9})"), "bedrock");
  EXPECT_EQ(e->status, 500);
  EXPECT_EQ(e->body.find("/var/x"), std::string::npos);
  ASSERT_EQ(site.log.size(), 1u);
  EXPECT_NE(site.log[0].find("/var/x"), std::string::npos);
  EXPECT_NE(site.log[0].find(e->headers.get("x-amzn-requestid")), std::string::npos);
}

TEST_F(GateTest, BodiesAreWhatWasSigned) {
  auto put_with = [&](auto change) {
    Request r{"PUT", "/bkt/k", "", "hello world", {}, "127.0.0.1:8480"};
    site.sign(r, "s3");
    change(r);
    return site.send(gate, r);
  };
  EXPECT_EQ(put_with([](Request&) {})->headers.get("x-amz-seen"), "hello world");
  auto flipped = put_with([](Request& r) { r.body[3] = 'X'; });
  EXPECT_EQ(flipped->status, 400);
  EXPECT_NE(flipped->body.find("XAmzContentSHA256Mismatch"), std::string::npos);
  Request r = post("/echo", R"({"Text":"a"})");
  site.sign(r, "bedrock");
  r.body = R"({"Text":"b"})";
  EXPECT_EQ(site.send(gate, r)->status, 403);
  EXPECT_EQ(site.journal.lines.back(), "respond 403");
  EXPECT_EQ(site.ledger.all.back().decision, "deny");
  EXPECT_EQ(site.ledger.all.back().reason, "XAmzContentSHA256Mismatch");
}

TEST_F(GateTest, AwsChunkedBodiesAreDecodedWithTheirTrailers) {
  auto send = [&](std::string body, std::string length, std::string trailer) {
    Request r{"PUT",
              "/bkt/k",
              "",
              std::move(body),
              {{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
               {"x-amz-decoded-content-length", length},
               {"x-amz-trailer", trailer},
               {"content-encoding", "aws-chunked"}},
              "127.0.0.1:8480"};
    return signed_(r, "s3");
  };
  const std::string good = "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
  auto ok = send(good, "11", "x-amz-checksum-crc32");
  EXPECT_EQ(ok->status, 200) << ok->body;
  EXPECT_EQ(ok->headers.get("x-amz-seen"), "hello world x-amz-checksum-crc32=DUoRhQ==");
  EXPECT_EQ(send(good, "12", "x-amz-checksum-crc32")->status, 400);
  EXPECT_EQ(send(good, "10", "x-amz-checksum-crc32")->status, 400);
  EXPECT_EQ(send(good, "", "x-amz-checksum-crc32")->status, 411);
  EXPECT_EQ(send(good, "11", "x-amz-checksum-sha256")->status, 400);
  EXPECT_EQ(send(good, "11", "")->status, 400);  // a checksum that nobody announced is not left unread
  EXPECT_EQ(send(good.substr(0, 30), "11", "x-amz-checksum-crc32")->status, 400);
  EXPECT_EQ(site.ledger.all.size(), 1u);  // only the good one was committed
}

TEST_F(GateTest, UnsignedAndStreamingPayloadsAreS3sOnly) {
  for (const char* mode : {"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                           "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"}) {
    Request r = post("/echo", "{}");
    r.headers = {{"x-amz-content-sha256", mode}};
    EXPECT_EQ(signed_(r, "bedrock")->status, 403) << mode;
  }
  Request r{"PUT", "/bkt/k", "", "hi", {{"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}}, "127.0.0.1:8480"};
  EXPECT_EQ(signed_(r, "s3")->headers.get("x-amz-seen"), "hi");
}

TEST_F(GateTest, ASignatureIsGoodForItsServiceOnly) {
  EXPECT_EQ(signed_(target("SageMaker.Echo", "{}"), "bedrock")->status, 403);
  EXPECT_EQ(signed_(target("SageMaker.Echo", "{}"), "s3")->status, 403);
}

TEST_F(GateTest, TemporaryCredentialsAreNotIgnored) {
  Request r{"GET", "/bkt/key", "", "", {{"x-amz-security-token", "tok"}}, "127.0.0.1:8480"};
  auto e = signed_(r, "s3");
  EXPECT_EQ(e->status, 403);
  EXPECT_NE(e->body.find("InvalidToken"), std::string::npos);
}

TEST_F(GateTest, AnS3HeaderThatIsNoMemberIsRefusedByName) {
  Request r{"GET", "/bkt/key", "", "", {{"x-amz-request-payer", "requester"}}, "127.0.0.1:8480"};
  auto e = signed_(r, "s3");
  EXPECT_EQ(e->status, 501);
  EXPECT_NE(e->body.find("x-amz-request-payer"), std::string::npos);
  r.headers = {{"x-amz-expected-bucket-owner", "1"}};
  EXPECT_EQ(signed_(r, "s3")->status, 501);
  r.headers = {
      {"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-user-agent", "x"}, {"x-amz-sdk-checksum-algorithm", "CRC32"}};
  EXPECT_EQ(signed_(r, "s3")->status, 200);
}

// An unknown sub-resource ("?annotation") never becomes the plain operation of the same path.
TEST_F(GateTest, AQueryParameterThatIsNoMemberIsRefusedByName) {
  Request put{"PUT", "/bkt/key", "annotation", "hi", {}, "127.0.0.1:8480"};
  auto e = signed_(put, "s3");
  EXPECT_EQ(e->status, 501);
  EXPECT_NE(e->body.find("annotation"), std::string::npos);
  EXPECT_TRUE(site.ledger.all.empty());
  for (const char* query : {"x-id=PutObject", "X-Id=1", "x-mine=1"}) {
    put.query = query;
    EXPECT_EQ(signed_(put, "s3")->status, 200) << query;
  }
  put.query = "x-amz-acl=public-read";  // a header in another place, and no member here
  EXPECT_EQ(signed_(put, "s3")->status, 501);
  put.query = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";  // as SDKs presign
  EXPECT_EQ(signed_(put, "s3")->status, 200);
  Request rest = post("/echo", "{}");
  rest.query = "Text=a";  // a member, but not of the query
  e = signed_(rest, "bedrock");
  EXPECT_EQ(e->status, 400);
  EXPECT_EQ(e->headers.get("x-amzn-errortype"), "ValidationException");
  Request json = target("SageMaker.Echo", "{}");
  json.query = "Number=1";
  EXPECT_EQ(signed_(json, "sagemaker")->status, 400);
  Request query = form("Action=Echo&Version=2011-06-15");
  query.query = "Text=a";
  EXPECT_EQ(signed_(query, "sts")->status, 400);
  Request ai = post("/v1/echo", "{}");
  ai.query = "beta=true";
  EXPECT_EQ(bearer(ai)->status, 400);
}

TEST_F(GateTest, HeadHasNoBody) {
  auto ok = signed_({"HEAD", "/bkt/key", "", "", {}, "127.0.0.1:8480"}, "s3");
  EXPECT_EQ(ok->status, 200);
  EXPECT_EQ(ok->headers.get("content-length"), "5");
  EXPECT_TRUE(ok->body.empty());
  auto none = signed_({"HEAD", "/bkt/none", "", "", {}, "127.0.0.1:8480"}, "s3");
  EXPECT_EQ(none->status, 404);
  EXPECT_TRUE(none->body.empty());
}

TEST_F(GateTest, VirtualHostsAndSlashes) {
  EXPECT_EQ(signed_({"GET", "/a//b/", "", "", {}, "bkt.s3.example.net:8480"}, "s3")->status, 200);
  EXPECT_EQ(site.ledger.all.back().resource, "arn:aws:s3:::bkt/a//b/");
  EXPECT_EQ(signed_({"GET", "/bkt/a%2Fb%20c", "", "", {}, "s3.example.net"}, "s3")->status, 200);
  EXPECT_EQ(site.ledger.all.back().resource, "arn:aws:s3:::bkt/a/b c");
}

TEST_F(GateTest, AnAnswerThatBreaksIsNeverWhole) {
  EXPECT_EQ(signed_({"GET", "/bkt/bad", "", "", {}, "127.0.0.1:8480"}, "s3")->status, 500);
  auto half = signed_({"GET", "/bkt/half", "", "", {}, "127.0.0.1:8480"}, "s3");
  EXPECT_EQ(half->status, 200);
  EXPECT_TRUE(half->aborted);
}

TEST_F(GateTest, BadBodies) {
  auto status = [&](std::string body) { return signed_(post("/echo", std::move(body)), "bedrock")->status; };
  EXPECT_EQ(status(std::string(100'000, '[')), 400);
  EXPECT_EQ(status("not json"), 400);
  EXPECT_EQ(status("[]"), 400);
  EXPECT_EQ(status(R"({"Number":1e308})"), 400);
  EXPECT_EQ(status(R"({"Number":-1,"Number":1})"), 400);
  EXPECT_EQ(status("{\"Text\":\"\xff\"}"), 400);
  EXPECT_EQ(status(R"({"Nubmer":1})"), 400);
  EXPECT_EQ(status("{\"Text\":\"" + std::string(5 << 20, 'x') + "\"}"), 413);
  EXPECT_EQ(signed_({"POST", "/stream/%zz", "", "", {}, "h"}, "bedrock")->status / 100, 4);
  EXPECT_EQ(signed_({"POST", "/stream/%ff", "", "", {}, "h"}, "bedrock")->status, 400);
}

TEST_F(GateTest, EventStreams) {
  auto frames = [](const std::string& bytes) {
    wire::EventDecoder d;
    std::vector<wire::EventFrame> out;
    check(d.feed(bytes).ok(), "fed");
    for (;;) {
      auto next = d.next();
      check(next.ok(), "whole frames");
      if (!*next) break;
      out.push_back(**next);
    }
    check(d.empty(), "no half frame");
    return out;
  };
  auto ok = signed_(post("/stream/1", ""), "bedrock");
  EXPECT_EQ(ok->status, 200);
  EXPECT_EQ(ok->headers.get("content-type"), "application/vnd.amazon.eventstream");
  EXPECT_EQ(ok->headers.get("x-extra"), "1");
  ASSERT_EQ(frames(ok->body).size(), 1u);
  EXPECT_EQ(frames(ok->body)[0].header(":event-type"), "chunk");
  EXPECT_TRUE(ok->finished);

  auto full = signed_(post("/stream/full", ""), "bedrock");
  EXPECT_EQ(full->status, 503);  // the disk: not a client too many
  EXPECT_EQ(full->headers.get("x-amzn-errortype"), "ServiceUnavailableException");
  auto early = signed_(post("/stream/early", ""), "bedrock");
  EXPECT_EQ(early->status, 429);
  EXPECT_EQ(early->headers.get("x-amzn-errortype"), "ThrottlingException");

  auto late = signed_(post("/stream/late", ""), "bedrock");
  ASSERT_EQ(frames(late->body).size(), 2u);
  EXPECT_EQ(frames(late->body)[1].header(":exception-type"), "throttlingException");
  EXPECT_TRUE(late->finished);

  auto lost = signed_(post("/stream/lost", ""), "bedrock");
  ASSERT_EQ(frames(lost->body).size(), 2u);
  EXPECT_EQ(frames(lost->body)[1].header(":exception-type"), "internalServerException");
  EXPECT_TRUE(lost->finished);
}

TEST_F(GateTest, ServerSentEvents) {
  EXPECT_EQ(bearer(post("/v1/stream/1", ""))->body, "data: {\"a\":1}\n\ndata: [DONE]\n\n");
  auto late = bearer(post("/v1/stream/late", ""));
  EXPECT_EQ(late->body,
            "data: {\"a\":1}\n\ndata: {\"error\":{\"message\":\"the queue is full\",\"type\":\"rate_limit_error\","
            "\"param\":null,\"code\":\"rate_limit_exceeded\"}}\n\n");
  auto early = bearer(post("/v1/stream/early", ""));
  EXPECT_EQ(early->status, 429);
  EXPECT_EQ(early->headers.get("retry-after"), "1");
}

TEST_F(GateTest, ClockSkewIsToldApart) {
  Request r{"GET", "/bkt/key", "", "", {}, "127.0.0.1:8480"};
  site.sign(r, "s3");
  site.clock.advance(901'000'000);
  EXPECT_NE(site.send(gate, r)->body.find("RequestTimeTooSkewed"), std::string::npos);
}

TEST(Coverage, OneRowAnOperation) {
  auto rows = coverage(services());
  ASSERT_EQ(rows.size(), 15u);
  EXPECT_EQ(rows[3].service, "bedrock-runtime");
  EXPECT_EQ(rows[3].operation, "Other");
  EXPECT_EQ(rows[3].status, "not_implemented");
  EXPECT_EQ(rows[0].status, "implemented");
}

}  // namespace
}  // namespace hf::api
