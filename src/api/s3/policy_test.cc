// Policies of buckets, judged with the caller's own.
#include "api/s3/s3_testing.h"
#include "base/bytes.h"

namespace hf::api {
namespace {

using testing::S3;

class BucketPolicy : public S3 {
 protected:
  static std::string statement(const std::string& effect, const std::string& principal, const std::string& action,
                               const std::string& resource = R"(["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"])",
                               const std::string& more = "") {
    return R"({"Effect":")" + effect + R"(","Principal":)" + principal + R"(,"Action":)" + action + R"(,"Resource":)" +
           resource + more + "}";
  }
  static std::string aws(const std::string& who) { return R"({"AWS":")" + who + R"("})"; }
  auto put(const std::string& statements) {
    const std::string who = std::exchange(as_, "one");
    auto e = send("PUT", "/bkt", "policy=", R"({"Version":"2012-10-17","Statement":[)" + statements + "]}");
    as_ = who;
    return e;
  }
  auto as(const std::string& who, const std::string& method, const std::string& path, const std::string& query = "",
          const std::string& body = "", const testing::Headers& headers = {}) {
    const std::string before = std::exchange(as_, who);
    auto e = send(method, path, query, body, headers);
    as_ = before;
    return e;
  }
};
const std::string kTwo = "arn:aws:iam::444455556666:user/two";

TEST_F(BucketPolicy, IsKeptAndGivenBack) {
  make_bucket();
  expect(send("GET", "/bkt", "policy="), 404, "NoSuchBucketPolicy");
  expect(put(statement("Allow", aws(kTwo), R"("s3:GetObject")")), 204);
  auto got = send("GET", "/bkt", "policy=");
  expect(got, 200);
  EXPECT_EQ(got->body,
            R"({"Version":"2012-10-17","Statement":[)" + statement("Allow", aws(kTwo), R"("s3:GetObject")") + "]}");
  EXPECT_EQ(texts(*send("GET", "/bkt", "policyStatus="), "IsPublic"), "false");
  expect(put(statement("Allow", R"("*")", R"("s3:GetObject")")), 204);
  EXPECT_EQ(texts(*send("GET", "/bkt", "policyStatus="), "IsPublic"), "true");
  EXPECT_EQ(site_.ledger.all.back().action, "s3:PutBucketPolicy");
  expect(send("DELETE", "/bkt", "policy="), 204);
  expect(send("GET", "/bkt", "policy="), 404, "NoSuchBucketPolicy");
  for (const std::string& bad :
       {statement("Allow", aws(kTwo), R"("s3:GetObject")", R"("arn:aws:s3:::other/*")"),
        statement("Allow", aws(kTwo), R"("s3:GetObject")", R"("*")"),
        statement("Allow", aws(kTwo), R"("s3:GetObject")", R"("arn:aws:s3:::bkt2")"),
        statement("Allow", aws(kTwo), R"("kms:Decrypt")"),
        statement("Allow", aws(kTwo), R"("s3:GetObject")", R"("arn:aws:s3:::bkt/*")",
                  R"(,"Condition":{"StringEquals":{"s3:prefix":"x"}})"),
        std::string(R"({"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"})")})
    expect(put(bad), 400, "MalformedPolicy");
  expect(send("PUT", "/bkt", "policy=", ""), 400, "MalformedPolicy");
  expect(send("PUT", "/nobody", "policy=", R"({"Version":"2012-10-17","Statement":[]})"), 404, "NoSuchBucket");
}

TEST_F(BucketPolicy, LetsAnotherAccountIn) {
  make_bucket();
  expect(send("PUT", "/bkt/k", "", "text"), 200);
  expect(as("two", "GET", "/bkt/k"), 403, "AccessDenied");
  expect(put(statement("Allow", aws(kTwo), R"(["s3:GetObject","s3:ListBucket"])")), 204);
  auto got = as("two", "GET", "/bkt/k");
  expect(got, 200);
  EXPECT_EQ(got->body, "text");
  EXPECT_EQ(site_.ledger.all.back().principal, kTwo);
  EXPECT_EQ(site_.ledger.all.back().account, "444455556666");
  expect(as("two", "GET", "/bkt", "list-type=2"), 200);
  expect(as("two", "PUT", "/bkt/k2", "", "x"), 403, "AccessDenied");
  expect(as("two", "DELETE", "/bkt/k"), 403, "AccessDenied");
  expect(as("two", "GET", "/bkt", "policy="), 403, "AccessDenied");
  // Both must allow: without a right of its own it does not get in.
  user("two", "444455556666", R"([{"Effect":"Allow","Action":"s3:List*","Resource":"*"}])");
  expect(as("two", "GET", "/bkt/k"), 403, "AccessDenied");
  user("two", "444455556666", "");
  // The whole account, and writing.
  expect(put(statement("Allow", aws("444455556666"), R"("s3:*")")), 204);
  expect(as("two", "PUT", "/bkt/k2", "", "x"), 200);
  expect(as("two", "PUT", "/mine"), 200);
  const std::string body = "<Delete><Object><Key>k2</Key></Object></Delete>";
  expect(as("two", "POST", "/bkt", "delete=", body, {{"content-md5", base64(crypto::digest(crypto::Hash::md5, body))}}),
         200);
  expect(send("GET", "/bkt/k2"), 404, "NoSuchKey");
  EXPECT_EQ(texts(*as("two", "GET", "/"), "Name"), "mine");  // it is not theirs
}

TEST_F(BucketPolicy, ADenyWinsInTheBucketsOwnAccountToo) {
  make_bucket();
  expect(send("PUT", "/bkt/k", "", "text"), 200);
  expect(put(statement("Deny", R"("*")", R"("s3:GetObject")", R"("arn:aws:s3:::bkt/*")")), 204);
  expect(send("GET", "/bkt/k"), 403, "AccessDenied");
  EXPECT_EQ(site_.ledger.all.back().reason, "deny:bucket-policy/0");
  expect(send("PUT", "/bkt/k3", "", "x"), 200);
  // A user without a right of its own, whom the policy names.
  user("guest", "111122223333", R"([{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}])");
  expect(put(statement("Allow", aws("arn:aws:iam::111122223333:user/guest"), R"("s3:*")")), 204);
  expect(as("guest", "GET", "/bkt/k"), 200);
  expect(as("guest", "DELETE", "/bkt/k"), 403, "AccessDenied");  // and a Deny of its own wins
  // By a condition.
  expect(put(statement("Deny", R"("*")", R"("s3:*")", R"(["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"])",
                       R"(,"Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}})")),
         204);
  expect(send("GET", "/bkt/k"), 403, "AccessDenied");
}

TEST_F(BucketPolicy, GoesWithItsBucket) {
  make_bucket();
  expect(put(statement("Allow", aws(kTwo), R"("s3:*")")), 204);
  expect(send("DELETE", "/bkt"), 204);
  make_bucket();
  expect(as("two", "GET", "/bkt", "list-type=2"), 403, "AccessDenied");
  expect(send("GET", "/bkt", "policy="), 404, "NoSuchBucketPolicy");
  // A name is another's: a conflict, whatever its policy says.
  expect(put(statement("Allow", aws(kTwo), R"("s3:*")")), 204);
  expect(as("two", "PUT", "/bkt"), 409, "BucketAlreadyExists");
}

TEST_F(BucketPolicy, NothingChangesWithoutItsEntry) {
  make_bucket();
  const std::string one = statement("Allow", aws(kTwo), R"("s3:GetObject")");
  expect(put(one), 204);
  const std::string before = testing::everything(*site_.db);
  site_.ledger.broken = true;
  EXPECT_EQ(put(statement("Allow", aws(kTwo), R"("s3:*")"))->status, 503);
  EXPECT_EQ(send("DELETE", "/bkt", "policy=")->status, 503);
  EXPECT_EQ(testing::everything(*site_.db), before);
}

}  // namespace
}  // namespace hf::api
