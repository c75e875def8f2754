#include "api/router.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "wire/json.h"

namespace hf::api {
namespace {

// Requests that real clients sent: each must find the service that signed it and a row of its table, ours or a missing
// one.
TEST(Router, RequestsOfRealClientsFindTheirRows) {
  const char* set = std::getenv("HOLDFAST_SHARED");
  const std::string path = (set ? set : std::string(HF_SOURCE_DIR) + "/../shared") + "/aws/golden/requests.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
  const auto services = all_services();
  const Router router(services);
  std::ifstream in(path);
  std::string line;
  int found = 0, elsewhere = 0;
  while (std::getline(in, line)) {
    auto r = wire::parse_json(line);
    ASSERT_TRUE(r.ok());
    http::RequestHead head;
    head.method = std::string(r->at("method").as_string());
    head.target = std::string(r->at("url").as_string());
    for (const auto& h : r->at("headers").as_array()) {
      std::string name(h.at(0).as_string()), value(h.at(1).as_string());
      if (name == ":authority" || lower(name) == "host") head.authority = value;
      if (!name.starts_with(":")) head.headers.add(name, value);
    }
    const Credentials credentials = sniff(head);
    // Of bedrock-agent and -runtime, which share a signing name with ours, and one with a path before the API's.
    bool foreign = false;
    for (const char* prefix : {"/knowledgebases/", "/rerank", "/tags/", "/prefix/base/"})
      foreign |= credentials.service == "bedrock" && head.target.starts_with(prefix);
    const bool ours = !foreign && std::any_of(services.begin(), services.end(),
                                              [&](const Service& s) { return s.signing_name == credentials.service; });
    if (credentials.service.empty() || !ours) {
      ++elsewhere;
      continue;
    }
    Match m = router.match(head, credentials);
    ASSERT_NE(m.service, nullptr) << line.substr(0, 300);
    EXPECT_EQ(m.service->signing_name, credentials.service) << line.substr(0, 300);
    if (m.form.protocol == Protocol::aws_query && !m.action_in_query) {
      auto form = wire::decode_query(std::string(r->at("body").as_string()), true);
      ASSERT_TRUE(form.ok());
      std::string action, version;
      for (auto& [n, v] : *form) (n == "Action" ? action : n == "Version" ? version : line) = v;
      router.query_operation(m, action, version);
    }
    EXPECT_TRUE(m.operation || m.problem.name == kNotImplemented)
        << credentials.service << " " << head.method << " " << head.target << ": " << m.problem.message;
    ++found;
  }
  std::printf("router: %d requests found their rows, %d are of services that this site does not serve\n", found,
              elsewhere);
  EXPECT_GE(found, 200);
}

TEST(Router, CredentialsInEachPlace) {
  auto kind = [](std::string target, std::vector<std::string> authorization) {
    http::RequestHead head;
    head.method = "GET";
    head.target = std::move(target);
    for (auto& a : authorization) head.headers.add("authorization", a);
    return sniff(head);
  };
  using Kind = Credentials::Kind;
  const std::string v4 = "AWS4-HMAC-SHA256 Credential=A/20260101/r/s3/aws4_request,SignedHeaders=host,Signature=0";
  EXPECT_EQ(kind("/", {}).kind, Kind::none);
  EXPECT_EQ(kind("/", {v4}).kind, Kind::sigv4_header);
  EXPECT_EQ(kind("/", {v4}).service, "s3");
  EXPECT_EQ(kind("/", {"Bearer hf-x"}).token, "hf-x");
  EXPECT_EQ(kind("/", {"bearer  hf-x "}).token, "hf-x");
  EXPECT_EQ(kind("/", {"Basic x"}).kind, Kind::other);
  EXPECT_EQ(kind("/", {v4, v4}).kind, Kind::several);
  EXPECT_EQ(kind("/", {v4, "Bearer x"}).kind, Kind::several);
  EXPECT_EQ(kind("/?X-Amz-Signature=0", {v4}).kind, Kind::several);
  EXPECT_EQ(kind("/?X%2DAmz-Signature=0", {"Bearer x"}).kind, Kind::several);
  EXPECT_EQ(kind("/?AWSAccessKeyId=A&Signature=0", {}).kind, Kind::other);
  EXPECT_EQ(kind("/?X-Amz-Credential=A%2F20260101%2Fr%2Fsts%2Faws4_request&X-Amz-Signature=0", {}).service, "sts");
}

}  // namespace
}  // namespace hf::api
