#include "security/policy.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <boost/json.hpp>

#include "security/json.h"
#include "security/policy_context.h"

namespace hf::security {
namespace {

// The specification of wildcard_match, slow and plain: a table of prefixes against prefixes.
bool reference_match(std::string_view pattern, std::string_view text) {
  std::vector<std::vector<bool>> t(pattern.size() + 1, std::vector<bool>(text.size() + 1));
  t[0][0] = true;
  for (size_t i = 1; i <= pattern.size(); ++i)
    for (size_t j = 0; j <= text.size(); ++j) {
      if (pattern[i - 1] == '*')
        t[i][j] = t[i - 1][j] || (j > 0 && t[i][j - 1]);
      else
        t[i][j] = j > 0 && t[i - 1][j - 1] && (pattern[i - 1] == '?' || pattern[i - 1] == text[j - 1]);
    }
  return t[pattern.size()][text.size()];
}

Identity someone(std::vector<std::string> documents) {
  Identity who{"000000000001", "arn:aws:iam::000000000001:user/a", "AIDA", "AKIA", false, {}};
  for (size_t i = 0; i < documents.size(); ++i) {
    auto p = parse_policy(documents[i], "p" + std::to_string(i));
    check(p.ok(), "the test's policy parses");
    who.policies.push_back(*p);
  }
  return who;
}

std::string document(const std::string& effect, const std::string& action, const std::string& resource) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":")" + action +
         R"(","Resource":")" + resource + R"("}]})";
}

TEST(Wildcard, Cases) {
  EXPECT_TRUE(wildcard_match("*", "", false));
  EXPECT_TRUE(wildcard_match("", "", false));
  EXPECT_FALSE(wildcard_match("", "a", false));
  EXPECT_FALSE(wildcard_match("?", "", false));
  EXPECT_TRUE(wildcard_match("s3:Get*", "s3:getobject", true));
  EXPECT_FALSE(wildcard_match("s3:Get*", "s3:getobject", false));
  EXPECT_TRUE(wildcard_match("s3:GETOBJECT", "s3:GetObject", true));
  EXPECT_TRUE(wildcard_match("arn:aws:s3:::b/*/x?", "arn:aws:s3:::b/1/2/xy", false));
  EXPECT_FALSE(wildcard_match("arn:aws:s3:::b/*", "arn:aws:s3:::b", false));
  EXPECT_TRUE(wildcard_match("a**b***c", "abc", false));
}

TEST(Wildcard, CanMatchAsksForAnyEnd) {
  EXPECT_TRUE(wildcard_can_match("b/private/*", "b/"));
  EXPECT_TRUE(wildcard_can_match("b/private/*", "b/private/x"));
  EXPECT_TRUE(wildcard_can_match("b/k", "b/k"));
  EXPECT_TRUE(wildcard_can_match("*", ""));
  EXPECT_TRUE(wildcard_can_match("b/?", "b/"));
  EXPECT_FALSE(wildcard_can_match("b/?", "b/xy"));
  EXPECT_FALSE(wildcard_can_match("b/private/*", "b/public/"));
  EXPECT_FALSE(wildcard_can_match("b/k", "b/kk"));
}

// All that begins with a prefix: allowed only where each is, and denied where one is.
TEST(Policy, PropertyAllOfAPrefixIsNoMoreThanEachOfIt) {
  EXPECT_TRUE(rc::check(
      [](std::vector<uint8_t> allow, std::vector<uint8_t> deny, std::vector<uint8_t> begin, std::vector<uint8_t> end) {
        auto spell = [](const std::vector<uint8_t>& bytes, const char* letters, size_t n) {
          std::string out = "arn:aws:s3:::";
          for (uint8_t b : bytes) out += letters[b % n];
          return out;
        };
        Identity who = someone({document("Allow", "s3:*", spell(allow, "a*b", 3) + "*"),
                                document("Deny", "s3:*", spell(deny, "ab?*", 4))});
        const std::string prefix = spell(begin, "ab", 2), one = prefix + spell(end, "ab", 2).substr(13);
        if (evaluate_all(who, "s3:GetObject", prefix).allowed) RC_ASSERT(evaluate(who, "s3:GetObject", one).allowed);
      }));
}

TEST(Policy, ADenyInsideOfAPrefixDeniesThePrefix) {
  Identity who = someone({document("Allow", "s3:GetObject", "arn:aws:s3:::b/*"),
                          document("Deny", "s3:GetObject", "arn:aws:s3:::b/private/*")});
  EXPECT_FALSE(evaluate_all(who, "s3:GetObject", "arn:aws:s3:::b/").allowed);
  EXPECT_FALSE(evaluate_all(who, "s3:GetObject", "arn:aws:s3:::b/priv").allowed);
  EXPECT_TRUE(evaluate_all(who, "s3:GetObject", "arn:aws:s3:::b/public/").allowed);
  EXPECT_FALSE(evaluate_all(who, "s3:PutObject", "arn:aws:s3:::b/public/").allowed);
  EXPECT_FALSE(evaluate_all(someone({document("Allow", "s3:*", "arn:aws:s3:::b/?")}), "s3:GetObject", "arn:aws:s3:::b/")
                   .allowed);
  EXPECT_FALSE(evaluate_all(who, "s3:GetObject", "arn:aws:s3:::other/").allowed);
}

TEST(Wildcard, PropertyEqualToTheReference) {
  EXPECT_TRUE(rc::check([](std::vector<uint8_t> p, std::vector<uint8_t> t, bool stretch) {
    std::string pattern, text;
    for (uint8_t b : p) pattern += "ab*?*"[b % 5];
    for (uint8_t b : t) text += "ab"[b % 2];
    if (stretch) {  // over the borders of 64-bit words
      pattern = std::string(60, 'a') + pattern + std::string(70, '?') + pattern;
      text = std::string(60, 'a') + text + std::string(70, 'b') + text;
    }
    RC_ASSERT(wildcard_match(pattern, text, false) == reference_match(pattern, text));
  }));
}

TEST(Wildcard, NoPatternIsExpensive) {
  std::string pattern, text(2048, 'a');
  for (int i = 0; i < 1000; ++i) pattern += "a*";
  EXPECT_FALSE(wildcard_match(pattern + "b", text, false));  // exponential where each '*' is tried in turn
  EXPECT_TRUE(wildcard_match(pattern, text, false));
}

TEST(Policy, DenyByDefaultAndDenyWins) {
  const char* bucket = "arn:aws:s3:::b/k";
  EXPECT_EQ(evaluate(someone({}), "s3:GetObject", bucket).reason, "implicit deny");
  auto allow = document("Allow", "s3:Get*", "arn:aws:s3:::b/*"), deny = document("Deny", "*", "arn:aws:s3:::b/k");
  auto d = evaluate(someone({allow}), "s3:GetObject", bucket);
  EXPECT_TRUE(d.allowed);
  EXPECT_EQ(d.reason, "allow:p0/0");
  EXPECT_FALSE(evaluate(someone({allow}), "s3:PutObject", bucket).allowed);
  EXPECT_FALSE(evaluate(someone({allow}), "s3:GetObject", "arn:aws:s3:::c/k").allowed);
  for (const auto& order : {std::vector{allow, deny}, std::vector{deny, allow}}) {
    auto refused = evaluate(someone(order), "s3:GetObject", bucket);
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.reason.rfind("deny:p", 0), 0u);
  }
}

TEST(Policy, AnAccountEndsAtItsBorder) {
  auto who = someone({document("Allow", "*", "*")});
  EXPECT_TRUE(evaluate(who, "sagemaker:CreateModel", "arn:aws:sagemaker:site-1:000000000001:model/m").allowed);
  EXPECT_FALSE(evaluate(who, "sagemaker:CreateModel", "arn:aws:sagemaker:site-1:000000000002:model/m").allowed);
  EXPECT_TRUE(evaluate(who, "bedrock:InvokeModel", "arn:aws:bedrock:site-1::foundation-model/m").allowed);
  who.administrator = true;
  EXPECT_EQ(evaluate(who, "sagemaker:CreateModel", "arn:aws:sagemaker:site-1:000000000002:model/m").reason,
            "administrator");
}

TEST(Policy, EveryoneMayAskWhoTheyAre) {
  EXPECT_TRUE(evaluate(someone({}), "sts:GetCallerIdentity", "*").allowed);
  EXPECT_TRUE(evaluate(someone({document("Deny", "*", "*")}), "sts:GetCallerIdentity", "*").allowed);
  EXPECT_FALSE(evaluate(someone({}), "sts:AssumeRole", "*").allowed);
}

TEST(Policy, Forms) {
  auto p = parse_policy(R"({"Version":"2012-10-17","Id":"x","Statement":
      {"Sid":"One","Effect":"Allow","Action":["a:B","c:*"],"Resource":["*","arn:aws:s3:::b"]}})",
                        "p");
  ASSERT_TRUE(p.ok()) << p.error().message;
  EXPECT_EQ(p->statements[0].sid, "One");
  EXPECT_EQ(p->statements[0].actions, (std::vector<std::string>{"a:B", "c:*"}));
  EXPECT_TRUE(parse_policy(R"({"Version":"2012-10-17","Statement":[]})", "p").ok());
}

TEST(Policy, WhatIsNotEvaluatedIsRefusedByName) {
  const std::string open = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",)";
  for (const char* name : {"Principal", "NotPrincipal", "effect", "Sidd"}) {
    auto p = parse_policy(open + "\"" + name + "\":{}}]}", "p");
    ASSERT_FALSE(p.ok()) << name;
    EXPECT_EQ(p.error().name, "MalformedPolicyDocument");
    EXPECT_NE(p.error().message.find(name), std::string::npos) << p.error().message;
  }
}

TEST(Policy, MalformedDocuments) {
  for (const char* bad :
       {"", "[]", "{}", "nul", R"({"Version":"2012-10-17"})", R"({"Version":"2009-10-17","Statement":[]})",
        R"({"Version":"2012-10-17","Statement":[1]})", R"({"Version":"2012-10-17","Statement":[{}]})",
        R"({"Version":"2012-10-17","Statement":[],"More":1})",
        R"({"Version":"2012-10-17","Version":"2012-10-17","Statement":[]})"})
    EXPECT_EQ(parse_policy(bad, "p").error().name, "MalformedPolicyDocument") << bad;
  for (const auto& bad : {document("allow", "*", "*"), document("Allow", "GetObject", "*"),
                          document("Allow", ":x", "*"), document("Allow", "s3:", "*"), document("Allow", "s3:*", "b/*"),
                          document("Allow", "", "*"), document("Allow", "s3:*", "arn:aws:s3:::${aws:username/*")})
    EXPECT_FALSE(parse_policy(bad, "p").ok()) << bad;
  auto twice = parse_policy(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}]})", "p");
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(twice.error().message.find("'Effect' is there twice"), std::string::npos) << twice.error().message;
  EXPECT_FALSE(parse_policy(std::string(200, '['), "p").ok());
  EXPECT_FALSE(parse_policy(std::string(70'000, ' '), "p").ok());
}

// Adding a Deny never grants; removing an Allow never grants; the empty policy denies.
TEST(Policy, PropertyMonotone) {
  auto pattern = [](uint8_t b) {
    return std::vector<std::string>{"*", "s3:*", "s3:Get*", "s3:GetObject", "s?:Put*"}[b % 5];
  };
  auto arn = [](uint8_t b) {
    return std::vector<std::string>{"*", "arn:aws:s3:::b*", "arn:aws:s3:::b/k", "arn:aws:s3:::?/k"}[b % 4];
  };
  EXPECT_TRUE(rc::check([&](const std::vector<std::tuple<bool, uint8_t, uint8_t>>& rules, uint8_t a, uint8_t r) {
    std::vector<std::string> documents;
    for (auto [allow, x, y] : rules) documents.push_back(document(allow ? "Allow" : "Deny", pattern(x), arn(y)));
    const char* action = a % 2 ? "s3:GetObject" : "s3:PutObject";
    const char* resource = r % 2 ? "arn:aws:s3:::b/k" : "arn:aws:s3:::c/k";
    bool before = evaluate(someone(documents), action, resource).allowed;
    auto with_deny = documents;
    with_deny.push_back(document("Deny", pattern(a), arn(r)));
    RC_ASSERT(!evaluate(someone(with_deny), action, resource).allowed || before);
    for (size_t i = 0; i < rules.size(); ++i) {
      auto less = documents;
      less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
      if (std::get<0>(rules[i])) {
        RC_ASSERT(!evaluate(someone(less), action, resource).allowed || before);
      }
    }
  }));
}

TEST(Json, CanonicalFormIsSortedAndAlwaysValid) {
  auto v =
      parse_json(R"( {"b" : [1, -2, 18446744073709551615, true, null], "a":{"z":"\u00e9\n\u0001\/\"\\"}} )", 1000, "x");
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(canonical_json(*v),
            "{\"a\":{\"z\":\"\xc3\xa9\\n\\u0001/\\\"\\\\\"},\"b\":[1,-2,18446744073709551615,true,null]}");
  EXPECT_EQ(json_string("a\xff\xc3\xa9\xc3"), "\"a%FF\xc3\xa9%C3\"");
}

Policy condition_policy(const std::string& effect, const std::string& condition) {
  return *parse_policy(R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect +
                           R"(","Action":"*","Resource":"*","Condition":)" + condition + "}]}",
                       "p");
}

TEST(Policy, ConditionsAreToldOfTheRequest) {
  Identity who{"000000000001", "arn:aws:iam::000000000001:user/ann", "AIDAX", "AKIAX", false, {}};
  const RequestFacts request{.peer = "[2001:db8::1]:40000",
                             .user_agent = "tool/1",
                             .referer = "r",
                             .region = "site-1",
                             .tls = true,
                             .now = 1'764'000'000'000'000};
  auto allowed = [&](const std::string& condition) {
    who.policies = {condition_policy("Allow", condition)};
    EXPECT_TRUE(check_known_keys(who.policies[0]).ok()) << condition;
    return evaluate(who, Question{.action = "s3:GetObject",
                                  .resource = "arn:aws:s3:::b/k",
                                  .context = request_context(request, who)})
        .allowed;
  };
  EXPECT_TRUE(allowed(R"({"IpAddress":{"aws:SourceIp":"2001:db8::/32"}})"));
  EXPECT_FALSE(allowed(R"({"NotIpAddress":{"aws:SourceIp":"2001:db8::/32"}})"));
  EXPECT_FALSE(allowed(R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})"));
  EXPECT_TRUE(allowed(R"({"Bool":{"aws:SecureTransport":"true"}})"));
  EXPECT_TRUE(allowed(R"({"DateGreaterThan":{"aws:CurrentTime":"2025-11-24T00:00:00Z"}})"));
  EXPECT_FALSE(allowed(R"({"DateGreaterThan":{"aws:CurrentTime":"2025-11-25T00:00:00Z"}})"));
  EXPECT_TRUE(allowed(R"({"NumericLessThan":{"aws:EpochTime":"1764000001"}})"));
  EXPECT_TRUE(allowed(R"({"StringEquals":{"aws:username":"ann","aws:userid":"AIDAX","aws:PrincipalType":"User"}})"));
  EXPECT_TRUE(allowed(R"({"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::000000000001:user/a*"}})"));
  EXPECT_TRUE(allowed(R"({"StringEquals":{"aws:PrincipalAccount":"000000000001","aws:RequestedRegion":"site-1"}})"));
  EXPECT_TRUE(allowed(R"({"StringLike":{"aws:UserAgent":"tool/*","aws:Referer":"r"}})"));
}

TEST(Policy, AKeyThatIsNeverToldIsRefused) {
  auto no = check_known_keys(condition_policy("Deny", R"({"StringEquals":{"s3:prefix":"x"}})"));
  ASSERT_FALSE(no.ok());
  EXPECT_EQ(no.error().name, "MalformedPolicyDocument");
  EXPECT_NE(no.error().message.find("s3:prefix"), std::string::npos) << no.error().message;
  EXPECT_FALSE(check_known_keys(condition_policy("Deny", R"({"StringEquals":{"aws:username":"${aws:MadeUp}"}})")).ok());
  EXPECT_TRUE(
      check_known_keys(condition_policy("Deny", R"({"StringEquals":{"aws:username":"${aws:userid, 'x'}"}})")).ok());
}

TEST(Policy, AVariableIsThePersonsOwnAndPlainText) {
  Identity who{"000000000001", "arn:aws:iam::000000000001:user/*", "AIDAX", "AKIAX", false, {}};
  who.policies = {*parse_policy(document("Allow", "s3:*", "arn:aws:s3:::${aws:username}/*"), "p")};
  auto ask = [&](std::string_view resource) {
    return evaluate(who, Question{.action = "s3:GetObject", .resource = resource, .context = request_context({}, who)})
        .allowed;
  };
  EXPECT_TRUE(ask("arn:aws:s3:::*/k"));
  EXPECT_FALSE(ask("arn:aws:s3:::b/k"));
}

}  // namespace
}  // namespace hf::security
