#include "security/policy_places.h"

#include <gtest/gtest.h>

#include "security/policy.h"

namespace hf::security {
namespace {

std::string places(const std::string& document) {
  std::string out;
  for (const StatementPlace& p : statement_places(document))
    out += std::to_string(p.start.line) + ":" + std::to_string(p.start.column) + "-" + std::to_string(p.end.line) +
           ":" + std::to_string(p.end.column) + " ";
  return out;
}

TEST(PolicyPlaces, LinesAndColumnsCountFromOneAndTheEndIsBehindTheStatement) {
  EXPECT_EQ(places(R"({"Statement":{}})"), "1:14-1:16 ");
  EXPECT_EQ(
      places("{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n    },\n    { \"Sid\": \"}]\" }\n  ]\n}"),
      "4:5-5:6 6:5-6:20 ");
  EXPECT_EQ(places(R"({"Id":"Statement","Statement":[{"a":[1,{"b":"\"}"}]},{}]})"), "1:32-1:53 1:54-1:56 ");
  EXPECT_EQ(places(R"({"Stat\u0065ment":[{}]})"), "1:20-1:22 ") << "a name may be written with escapes";
  EXPECT_EQ(places("{\"Id\":\"\xc3\xa4\xe2\x82\xac\",\"Statement\":{}}"), "1:24-1:26 ") << "a column is a character";
}

TEST(PolicyPlaces, WhatIsNoPolicyHasAnEnd) {
  for (const char* text : {"", "{", "[", "{\"Statement\"", "{\"Statement\":", "{\"Statement\":[", "{\"Statement\":[{",
                           "{\"Statement\":[}", "{\"a\":1", "{\"a\"\"b\"}", "\"\\", "{\"Statement\":[,,]}"})
    statement_places(text);
  EXPECT_EQ(places("{\"Statement\":[]}"), "");
}

TEST(PolicyTrace, TellsWhichStatementsApplyAndWhatIsMissing) {
  Identity who{"000000000001", "arn:aws:iam::000000000001:user/a", "AIDA", "AKIA", false, {}};
  auto policy = parse_policy(R"({"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"},
    {"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpc":"x"}}},
    {"Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
    {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:UserName}/${aws:Team, 'none'}"},
    {"Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:x":"y"}}}]})",
                             "p");
  ASSERT_TRUE(policy.ok()) << policy.error().message;
  who.policies = {*policy};
  auto boundary = parse_policy(R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})", "b");
  who.boundary = *boundary;
  Question question{.action = "s3:GetObject", .resource = "arn:aws:s3:::b/k"};
  question.context["aws:securetransport"] = {"true"};
  Trace trace;
  const Decision traced = evaluate(who, question, &trace), plain = evaluate(who, question);
  EXPECT_EQ(traced.reason, plain.reason);
  EXPECT_TRUE(traced.allowed && plain.allowed);
  ASSERT_EQ(trace.matches.size(), 2u);
  EXPECT_EQ(trace.matches[0].part, Trace::Part::boundary);
  EXPECT_EQ(trace.matches[1].part, Trace::Part::identity);
  EXPECT_EQ(trace.matches[1].policy, who.policies.data());
  EXPECT_EQ(trace.matches[1].statement, 0u);
  EXPECT_EQ(trace.missing, (std::vector<std::string>{"aws:SourceVpc", "aws:UserName"}));
}

}  // namespace
}  // namespace hf::security
