// CloudTrail through the gate: events of what was done before, and trails that are delivered to a bucket.
#include <gtest/gtest.h>
#include <zlib.h>

#include <boost/json.hpp>
#include <set>

#include "api/testing.h"
#include "fleet/trails.h"
#include "security/trail.h"
#include "store/objects.h"
#include "wire/json.h"

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::MemoryExchange;
using testing::Request;

std::string gunzip(const std::string& bytes) {
  z_stream z{};
  check(inflateInit2(&z, 15 + 16) == Z_OK, "inflateInit2");
  std::string out(1 << 20, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  check(inflate(&z, Z_FINISH) == Z_STREAM_END, "inflate");
  out.resize(z.total_out);
  inflateEnd(&z);
  return out;
}

class CloudTrail : public ::testing::Test {
 protected:
  CloudTrail() {
    memory_.own_ledger = std::make_unique<testing::BreakableLedger>(
        std::move(*security::Ledger::open(*memory_.db, memory_.clock, memory_.key, "0123456789abcdef")));
    objects_ =
        std::move(*store::Objects::open(memory_.fs, memory_.clock, memory_.random, *memory_.db, "/state/objects", 0));
    memory_.objects = objects_.get();
    gate_ = std::make_unique<Gate>(memory_.site(), all_services());
    EXPECT_EQ(s3("PUT", "/logs")->status, 200);
  }
  std::shared_ptr<MemoryExchange> s3(const std::string& method, const std::string& path, const std::string& query = "",
                                     const std::string& body = "", const std::string& key = "admin") {
    Request r;
    r.method = method;
    r.path = path;
    r.query = query;
    r.body = body;
    memory_.sign(r, "s3", key == "admin" ? "AKIAADMIN" : "AKIAPOOR", "secret-" + key);
    return memory_.send(*gate_, r);
  }
  std::shared_ptr<MemoryExchange> call(const std::string& operation, const std::string& body,
                                       const std::string& key = "admin") {
    Request r;
    r.method = "POST";
    r.body = body;
    r.headers = {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "CloudTrail_20131101." + operation}};
    memory_.sign(r, "cloudtrail", key == "admin" ? "AKIAADMIN" : "AKIAPOOR", "secret-" + key);
    return memory_.send(*gate_, r);
  }
  json::object ok(const std::string& operation, const std::string& body) {
    auto e = call(operation, body);
    EXPECT_EQ(e->status, 200) << operation << ": " << e->body;
    return object(e->body);
  }
  static json::object object(const std::string& body) {
    auto v = wire::parse_json(body);
    return v.ok() && v->is_object() ? v->get_object() : json::object();
  }
  void refused(const std::string& operation, const std::string& body, const std::string& error) {
    auto e = call(operation, body);
    EXPECT_GE(e->status, 400) << operation << body;
    EXPECT_EQ(std::string(e->headers.get("x-amzn-errortype")), error) << operation << body << e->body;
  }
  std::vector<std::string> looked_up(const std::string& body) {
    std::vector<std::string> out;
    const json::object answer = ok("LookupEvents", body);
    for (const json::value& e : answer.at("Events").as_array()) out.emplace_back(e.at("EventName").as_string().c_str());
    return out;
  }
  // The names of the events in all files of the bucket, in order.
  std::vector<std::string> delivered() {
    std::vector<std::string> out;
    (void)memory_.db->read([&](store::Txn& txn) -> Status {
      out.clear();
      for (const auto& info : TRY(objects_->list(txn, "logs", "", "", "", 1000)).objects) {
        std::string bytes;
        auto reader = TRY(objects_->get("logs", info.key));
        bytes.resize(info.size);
        check(TRY(reader->read_at(0, {bytes.data(), bytes.size()})) == bytes.size(), "a whole file");
        const json::value file = json::parse(gunzip(bytes));
        for (const json::value& r : file.at("Records").as_array())
          out.emplace_back(r.at("eventName").as_string().c_str());
        keys_.insert(info.key);
      }
      return {};
    });
    return out;
  }
  Status step() { return memory_.site().trails->step(true); }

  testing::MemorySite memory_;
  std::unique_ptr<store::Objects> objects_;
  std::unique_ptr<Gate> gate_;
  std::set<std::string> keys_;
};

using V = std::vector<std::string>;

TEST_F(CloudTrail, EventsAreLookedUp) {
  EXPECT_EQ(s3("PUT", "/logs/k", "", "x")->status, 200);
  EXPECT_EQ(s3("PUT", "/logs/k", "", "x", "poor")->status, 403);
  EXPECT_EQ(looked_up("{}"), (V{"PutObject", "CreateBucket"}));
  EXPECT_EQ(looked_up(R"({"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"PutObject"}]})"),
            (V{"PutObject"}));
  EXPECT_EQ(looked_up(R"({"LookupAttributes":[{"AttributeKey":"AccessKeyId","AttributeValue":"AKIAADMIN"}]})").size(),
            2u);
  EXPECT_EQ(looked_up(R"({"LookupAttributes":[{"AttributeKey":"ResourceType","AttributeValue":"AWS::S3::Object"}]})"),
            (V{"PutObject"}));
  const auto page = ok("LookupEvents", R"({"MaxResults":1})");
  const std::string token(page.at("NextToken").as_string());
  EXPECT_EQ(looked_up(R"({"MaxResults":1,"NextToken":")" + token + "\"}"), (V{"CreateBucket"}));
  const std::string id(page.at("Events").at(0).at("EventId").as_string());
  EXPECT_EQ(looked_up(R"({"LookupAttributes":[{"AttributeKey":"EventId","AttributeValue":")" + id + "\"}]}"),
            (V{"PutObject"}));
  // Times in seconds, both included.
  const auto now = std::to_string(memory_.clock.now() / 1'000'000);
  EXPECT_EQ(looked_up(R"({"StartTime":)" + now + R"(,"EndTime":)" + now + "}").size(), 2u);
  EXPECT_EQ(looked_up(R"({"EndTime":)" + std::to_string(memory_.clock.now() / 1'000'000 - 1) + "}"), V{});
  // The denial is in the account of who was denied, with the reason.
  memory_.keys.access["AKIAPOOR"].identity.policies = {*security::parse_policy(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cloudtrail:LookupEvents","Resource":"*"}]})",
      "p")};
  const json::array theirs = object(call("LookupEvents", "{}", "poor")->body).at("Events").as_array();
  ASSERT_EQ(theirs.size(), 1u);
  const std::string event(theirs[0].at("CloudTrailEvent").as_string());
  EXPECT_NE(event.find("\"errorCode\":\"AccessDenied\""), std::string::npos) << event;
  EXPECT_EQ(call("LookupEvents", R"({"LookupAttributes":[{"AttributeKey":"EventId","AttributeValue":")" + id + "\"}]}",
                 "poor")
                ->body.find("PutObject"),
            std::string::npos);
  refused("LookupEvents", R"({"EventCategory":"insight"})", "ValidationException");
  refused("LookupEvents", R"({"MaxResults":51})", "InvalidMaxResultsException");
  refused("LookupEvents", R"({"NextToken":"x"})", "InvalidNextTokenException");
  refused("LookupEvents", R"({"StartTime":5,"EndTime":4})", "InvalidTimeRangeException");
}

TEST_F(CloudTrail, ATrailIsDeliveredWithoutAGapOrARepetition) {
  ok("CreateTrail", R"({"Name":"all","S3BucketName":"logs","S3KeyPrefix":"p"})");
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(delivered(), V{});  // it is not started
  ok("StartLogging", R"({"Name":"all"})");
  EXPECT_EQ(s3("PUT", "/one")->status, 200);
  EXPECT_EQ(s3("PUT", "/one/object", "", "x")->status, 200);  // a data event: not selected
  ASSERT_TRUE(step().ok());
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(delivered(), (V{"StartLogging", "CreateBucket"}));
  const std::string day = iso8601(memory_.clock.now()).substr(0, 10);
  EXPECT_TRUE(keys_.begin()->starts_with("p/AWSLogs/111122223333/CloudTrail/site-1/" + day.substr(0, 4) + "/"))
      << *keys_.begin();
  EXPECT_EQ(s3("PUT", "/two")->status, 200);
  memory_.clock.advance(60'000'000);
  ASSERT_TRUE(memory_.site().trails->step(false).ok());  // five minutes are not over
  EXPECT_EQ(delivered().size(), 2u);
  memory_.clock.advance(300'000'000);
  ASSERT_TRUE(memory_.site().trails->step(false).ok());
  EXPECT_EQ(delivered().back(), "CreateBucket");
  EXPECT_EQ(delivered().size(), 3u);
  const auto status = ok("GetTrailStatus", R"({"Name":"all"})");
  EXPECT_TRUE(status.at("IsLogging").as_bool());
  EXPECT_FALSE(status.contains("LatestDeliveryError"));
  ok("StopLogging", R"({"Name":"all"})");
  EXPECT_EQ(s3("PUT", "/three")->status, 200);
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(delivered().size(), 3u);
  EXPECT_TRUE(memory_.own_ledger->verify(nullptr)->ok);
}

TEST_F(CloudTrail, SelectorsSelect) {
  ok("CreateTrail", R"({"Name":"data","S3BucketName":"logs"})");
  ok("PutEventSelectors",
     R"({"TrailName":"data","EventSelectors":[{"ReadWriteType":"WriteOnly","IncludeManagementEvents":false,)"
     R"("DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3:::one/"]}]}]})");
  ok("StartLogging", R"({"Name":"data"})");
  for (const char* bucket : {"/one", "/two"}) EXPECT_EQ(s3("PUT", bucket)->status, 200);
  for (const char* object : {"/one/a", "/two/a"}) EXPECT_EQ(s3("PUT", object, "", "x")->status, 200);
  EXPECT_EQ(s3("GET", "/one/a")->status, 200);
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(delivered(), (V{"PutObject"}));
  ok("PutEventSelectors", R"({"TrailName":"data","AdvancedEventSelectors":[{"Name":"reads","FieldSelectors":[)"
                          R"({"Field":"eventCategory","Equals":["Data"]},{"Field":"readOnly","Equals":["true"]},)"
                          R"({"Field":"resources.ARN","NotStartsWith":["arn:aws:s3:::two/"]}]}]})");
  EXPECT_EQ(s3("GET", "/one/a")->status, 200);
  EXPECT_EQ(s3("GET", "/two/a")->status, 200);
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(delivered().size(), 2u);
  const auto got = ok("GetEventSelectors", R"({"TrailName":"data"})");
  EXPECT_EQ(got.at("AdvancedEventSelectors").at(0).at("Name").as_string(), "reads");
  for (
      const char* bad :
      {R"({"TrailName":"data"})",
       R"({"TrailName":"data","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventName","Equals":["x"]}]}]})",
       R"({"TrailName":"data","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Insight"]}]}]})",
       R"({"TrailName":"data","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"colour","Equals":["x"]}]}]})",
       R"({"TrailName":"data","EventSelectors":[{"DataResources":[{"Type":"AWS::Lambda::Function","Values":["arn:aws:lambda"]}]}]})"})
    refused("PutEventSelectors", bad, "InvalidEventSelectorsException");
}

// IAM and STS are of no region: a trail may leave them out.
TEST_F(CloudTrail, ATrailWithoutGlobalServices) {
  ok("CreateTrail", R"({"Name":"here","S3BucketName":"logs","IncludeGlobalServiceEvents":false})");
  ok("CreateTrail", R"({"Name":"all","S3BucketName":"logs"})");
  ok("StopLogging", R"({"Name":"all"})");
  ok("StartLogging", R"({"Name":"here"})");
  security::Entry e;
  e.account = "111122223333";
  e.action = "iam:CreateUser";
  e.decision = "allow";
  ASSERT_TRUE(memory_.own_ledger->append(e).ok());
  EXPECT_EQ(s3("PUT", "/one")->status, 200);
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(delivered(), (V{"StartLogging", "CreateBucket"}));
}

TEST_F(CloudTrail, TrailsAreMadeShownChangedAndRefused) {
  const auto made =
      ok("CreateTrail", R"({"Name":"t-1","S3BucketName":"logs","TagsList":[{"Key":"team","Value":"x"}]})");
  const std::string arn(made.at("TrailARN").as_string());
  EXPECT_EQ(arn, "arn:aws:cloudtrail:site-1:111122223333:trail/t-1");
  refused("CreateTrail", R"({"Name":"t-1","S3BucketName":"logs"})", "TrailAlreadyExistsException");
  refused("CreateTrail", R"({"Name":"t-2","S3BucketName":"nothing"})", "S3BucketDoesNotExistException");
  for (const char* name : {"ab", "-abc", "abc-", "a..b", "a b c"})
    refused("CreateTrail", std::string(R"({"Name":")") + name + R"(","S3BucketName":"logs"})",
            "InvalidTrailNameException");
  refused("CreateTrail", R"({"Name":"t-2","S3BucketName":"logs","EnableLogFileValidation":true})",
          "ValidationException");
  EXPECT_EQ(ok("GetTrail", R"({"Name":")" + arn + "\"}").at("Trail").at("Name").as_string(), "t-1");
  refused("GetTrail", R"({"Name":"t-9"})", "TrailNotFoundException");
  refused("GetTrail", R"({"Name":"arn:aws:cloudtrail:site-1:444455556666:trail/t-1"})",
          "CloudTrailARNInvalidException");
  EXPECT_EQ(ok("DescribeTrails", "{}").at("trailList").as_array().size(), 1u);
  EXPECT_EQ(ok("ListTrails", "{}").at("Trails").at(0).at("TrailARN").as_string(), arn);
  EXPECT_EQ(ok("UpdateTrail", R"({"Name":"t-1","S3KeyPrefix":"x"})").at("S3KeyPrefix").as_string(), "x");
  ok("AddTags", R"({"ResourceId":")" + arn + R"(","TagsList":[{"Key":"stage","Value":"prod"}]})");
  ok("RemoveTags", R"({"ResourceId":")" + arn + R"(","TagsList":[{"Key":"team"}]})");
  const auto tags = ok("ListTags", R"({"ResourceIdList":[")" + arn + "\"]}");
  EXPECT_EQ(tags.at("ResourceTagList").at(0).at("TagsList").as_array().size(), 1u);
  for (int i = 2; i <= 5; ++i) ok("CreateTrail", R"({"Name":"t-)" + std::to_string(i) + R"(","S3BucketName":"logs"})");
  refused("CreateTrail", R"({"Name":"t-6","S3BucketName":"logs"})", "MaximumNumberOfTrailsExceededException");
  // A bucket that goes away: told in the status, and the place is kept.
  EXPECT_EQ(s3("PUT", "/gone")->status, 200);
  ok("UpdateTrail", R"({"Name":"t-1","S3BucketName":"gone"})");
  ok("StartLogging", R"({"Name":"t-1"})");
  EXPECT_EQ(s3("DELETE", "/gone")->status, 204);
  (void)step();
  EXPECT_EQ(ok("GetTrailStatus", R"({"Name":"t-1"})").at("LatestDeliveryError").as_string(), "NoSuchBucket");
  ok("DeleteTrail", R"({"Name":"t-1"})");
  refused("GetTrailStatus", R"({"Name":"t-1"})", "TrailNotFoundException");
}

TEST_F(CloudTrail, NothingChangesWithoutItsEntry) {
  ok("CreateTrail", R"({"Name":"t-1","S3BucketName":"logs"})");
  ok("StartLogging", R"({"Name":"t-1"})");
  EXPECT_EQ(s3("PUT", "/one")->status, 200);
  ASSERT_TRUE(memory_.site().trails->index().step(5000).ok());
  const std::string before = testing::everything(*memory_.db);
  memory_.own_ledger->broken = true;
  std::set<std::string> tried;
  for (
      const auto& [operation, body] : std::vector<std::pair<std::string, std::string>>{
          {"CreateTrail", R"({"Name":"t-2","S3BucketName":"logs"})"},
          {"UpdateTrail", R"({"Name":"t-1","S3KeyPrefix":"x"})"},
          {"DeleteTrail", R"({"Name":"t-1"})"},
          {"StartLogging", R"({"Name":"t-1"})"},
          {"StopLogging", R"({"Name":"t-1"})"},
          {"AddTags",
           R"({"ResourceId":"arn:aws:cloudtrail:site-1:111122223333:trail/t-1","TagsList":[{"Key":"a","Value":"b"}]})"},
          {"RemoveTags",
           R"({"ResourceId":"arn:aws:cloudtrail:site-1:111122223333:trail/t-1","TagsList":[{"Key":"a"}]})"},
          {"PutEventSelectors", R"({"TrailName":"t-1","EventSelectors":[{"ReadWriteType":"All"}]})"}}) {
    EXPECT_GE(call(operation, body)->status, 500) << operation;
    EXPECT_EQ(testing::everything(*memory_.db), before) << operation;
    tried.insert(operation);
  }
  (void)step();  // nor is a file delivered
  memory_.own_ledger->broken = false;
  EXPECT_EQ(delivered(), V{});
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(delivered(), (V{"StartLogging", "CreateBucket"}));
  for (const Operation& o : cloudtrail().operations) {
    if (!o.input || o.effect == Effect::read) continue;
    EXPECT_TRUE(tried.contains(o.name)) << o.name;
  }
}

}  // namespace
}  // namespace hf::api
