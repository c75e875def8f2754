// For tests of S3: a site with buckets in memory and two accounts, each with a user that may do everything in its own.
#pragma once

#include <gtest/gtest.h>

#include "api/s3/s3.h"
#include "api/testing.h"
#include "crypto/crypto.h"

namespace hf::api::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;

class S3 : public ::testing::Test {
 protected:
  S3() {
    objects_ =
        std::move(store::Objects::open(site_.fs, site_.clock, site_.random, *site_.db, "/state/objects", 0)).value();
    site_.objects = objects_.get();
    gate_ = std::make_unique<Gate>(site_.site(), std::vector<Service>{s3()});
    for (const char* who : {"one", "two"}) user(who, who == std::string("one") ? "111122223333" : "444455556666", "");
  }
  // A user "name" with a policy that allows `allow` (a JSON list of statements), or everything in its account.
  void user(const std::string& name, const std::string& account, const std::string& statements) {
    security::Identity who{account, "arn:aws:iam::" + account + ":user/" + name, "AIDA" + name, "AKIA" + name, false,
                           {}};
    const std::string all = R"([{"Effect":"Allow","Action":"s3:*","Resource":"*"}])";
    who.policies.push_back(*security::parse_policy(
        R"({"Version":"2012-10-17","Statement":)" + (statements.empty() ? all : statements) + "}", name));
    site_.keys.access["AKIA" + name] = {who, crypto::Secret("secret-" + name)};
  }
  std::shared_ptr<MemoryExchange> send(const std::string& method, const std::string& path,
                                       const std::string& query = "", std::string body = "", Headers headers = {}) {
    Request r;
    r.method = method;
    r.path = path;
    r.query = query;
    r.body = std::move(body);
    r.headers = std::move(headers);
    site_.sign(r, "s3", "AKIA" + as_, "secret-" + as_);
    auto e = site_.send(*gate_, r);
    EXPECT_TRUE(e->finished);
    return e;
  }
  static std::string code(const MemoryExchange& e) {
    const size_t at = e.body.find("<Code>"), end = e.body.find("</Code>");
    return at == std::string::npos ? "" : e.body.substr(at + 6, end - at - 6);
  }
  static std::string header(const MemoryExchange& e, const char* name) { return std::string(e.headers.get(name)); }
  // All texts of one element, in order, joined by blanks.
  static std::string texts(const MemoryExchange& e, const std::string& element) {
    std::string out;
    const std::string open = "<" + element + ">", close = "</" + element + ">";
    for (size_t at = e.body.find(open); at != std::string::npos; at = e.body.find(open, at + 1)) {
      const size_t from = at + open.size();
      out += (out.empty() ? "" : " ") + e.body.substr(from, e.body.find(close, from) - from);
    }
    return out;
  }
  void expect(const std::shared_ptr<MemoryExchange>& e, int status, const std::string& error = "") {
    EXPECT_EQ(e->status, status) << e->body;
    EXPECT_EQ(code(*e), error) << e->body;
  }
  void make_bucket(const std::string& name = "bkt") { expect(send("PUT", "/" + name), 200); }
  size_t writes() const {
    size_t n = 0;
    for (const auto& e : site_.ledger.all) n += e.decision == "allow";
    return n;
  }

  MemorySite site_;
  std::unique_ptr<store::Objects> objects_;
  std::unique_ptr<Gate> gate_;
  std::string as_ = "one";
};

}  // namespace hf::api::testing
