// Tags in conditions: of the request, and of the user, role, policy or provider that it is about. And what the site
// tells of itself.
#include "api/iam/testing.h"

namespace hf::api {
namespace {

using testing::IamSite;
using Form = IamSite::Form;

std::string arn(const std::string& what) { return std::string("arn:aws:iam::") + testing::kAccount + ":" + what; }

std::string document(const std::string& effect, const std::string& action, const std::string& condition) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":)" + action +
         R"(,"Resource":"*","Condition":)" + condition + "}]}";
}

struct TagSite : IamSite {
  Credentials eve;
  TagSite() {
    ok("CreateUser", {{"UserName", "eve"}});
    eve = key_of("eve");
  }
  void may_only(const std::string& text) {
    ok("PutUserPolicy", {{"UserName", "eve"}, {"PolicyName", "p"}, {"PolicyDocument", text}});
  }
  int as_eve(const std::string& action, const Form& form) {
    const Answer a = send_as(eve, "iam", action, form);
    EXPECT_TRUE(a.status == 200 || a.code() == "AccessDenied") << action << a.body;
    return a.status;
  }
};

Form tagged(Form form, const std::string& key, const std::string& value, int n = 1) {
  form.emplace_back("Tags.member." + std::to_string(n) + ".Key", key);
  form.emplace_back("Tags.member." + std::to_string(n) + ".Value", value);
  return form;
}

TEST(IamTags, WhatTheRequestGivesIsToldToEachOperationThatTakesTags) {
  TagSite s;
  s.ok("CreateUser", {{"UserName", "ada"}});
  const std::string trust = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",)"
                            R"("Principal":{"AWS":"*"}}]})";
  const std::string any = IamSite::policy("s3:*"), provider = arn("oidc-provider/id.example.net");
  s.ok("CreateRole", {{"RoleName", "old"}, {"AssumeRolePolicyDocument", trust}});
  s.ok("CreatePolicy", {{"PolicyName", "old"}, {"PolicyDocument", any}});
  s.may_only(document("Allow", R"("iam:*")",
                      R"({"StringEquals":{"aws:RequestTag/Team":"models"},"ForAllValues:StringEquals":)"
                      R"({"aws:TagKeys":["team","cost"]}})"));
  const std::vector<std::pair<std::string, Form>> takes = {
      {"CreateUser", {{"UserName", "new"}}},
      {"CreateRole", {{"RoleName", "new"}, {"AssumeRolePolicyDocument", trust}}},
      {"CreatePolicy", {{"PolicyName", "new"}, {"PolicyDocument", any}}},
      {"CreateOpenIDConnectProvider", {{"Url", "https://id.example.net"}, {"ClientIDList.member.1", "c"}}},
      {"TagUser", {{"UserName", "ada"}}},
      {"TagRole", {{"RoleName", "old"}}},
      {"TagPolicy", {{"PolicyArn", arn("policy/old")}}},
      {"TagOpenIDConnectProvider", {{"OpenIDConnectProviderArn", provider}}}};
  for (const auto& [action, form] : takes) {
    EXPECT_EQ(s.as_eve(action, tagged(form, "team", "other")), 403) << action;
    EXPECT_EQ(s.as_eve(action, tagged(tagged(form, "team", "models"), "secret", "x", 2)), 403) << action;
    EXPECT_EQ(s.as_eve(action, tagged(tagged(form, "team", "models"), "cost", "x", 2)), 200) << action;
  }
  s.may_only(document("Allow", R"("iam:Untag*")", R"({"ForAnyValue:StringEquals":{"aws:TagKeys":"cost"}})"));
  const std::vector<std::pair<std::string, Form>> loses = {
      {"UntagUser", {{"UserName", "ada"}}},
      {"UntagRole", {{"RoleName", "old"}}},
      {"UntagPolicy", {{"PolicyArn", arn("policy/old")}}},
      {"UntagOpenIDConnectProvider", {{"OpenIDConnectProviderArn", provider}}}};
  for (const auto& [action, form] : loses)
    for (const char* key : {"team", "cost"}) {
      Form whole = form;
      whole.emplace_back("TagKeys.member.1", key);
      EXPECT_EQ(s.as_eve(action, whole), std::string(key) == "cost" ? 200 : 403) << action << key;
    }
}

TEST(IamTags, WhatIsMadeWithTagsNeedsTheRightToTag) {
  TagSite s;
  s.may_only(IamSite::policy("iam:Create*"));
  const std::string trust = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",)"
                            R"("Principal":{"AWS":"*"}}]})";
  const std::vector<std::pair<std::string, Form>> acts = {
      {"CreateUser", {{"UserName", "new"}}},
      {"CreateRole", {{"RoleName", "new"}, {"AssumeRolePolicyDocument", trust}}},
      {"CreatePolicy", {{"PolicyName", "new"}, {"PolicyDocument", IamSite::policy("s3:*")}}},
      {"CreateOpenIDConnectProvider", {{"Url", "https://id.example.net"}, {"ClientIDList.member.1", "c"}}}};
  for (const auto& [action, form] : acts) {
    EXPECT_EQ(s.as_eve(action, tagged(form, "team", "models")), 403) << action;
    EXPECT_EQ(s.ledger.all.back().action.substr(0, 7), "iam:Tag") << action;
    EXPECT_EQ(s.as_eve(action, form), 200) << action;
  }
}

TEST(IamTags, TheTagsOfWhatARequestIsAboutAreTold) {
  TagSite s;
  const std::string trust = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",)"
                            R"("Principal":{"AWS":")" +
                            std::string(testing::kAccount) + R"("}}]})";
  for (const char* team : {"models", "other"}) {
    const std::string name = team;
    s.ok("CreateUser", tagged({{"UserName", name}, {"Path", "/x/"}}, "Team", team));
    s.ok("CreateRole", tagged({{"RoleName", name}, {"AssumeRolePolicyDocument", trust}}, "team", team));
    s.ok("CreatePolicy", tagged({{"PolicyName", name}, {"PolicyDocument", IamSite::policy("s3:*")}}, "team", team));
    s.ok("CreateOpenIDConnectProvider",
         tagged({{"Url", "https://" + name + ".example.net/a"}, {"ClientIDList.member.1", "c"}}, "team", team));
  }
  s.ok("CreateGroup", {{"GroupName", "g"}});
  for (const char* key : {"aws:ResourceTag/team", "iam:ResourceTag/TEAM"}) {
    s.may_only(document("Allow", R"(["iam:*","sts:AssumeRole"])",
                        std::string(R"({"StringEquals":{")") + key + R"(":"models"}})"));
    for (const char* name : {"models", "other"}) {
      const int expected = std::string(name) == "models" ? 200 : 403;
      EXPECT_EQ(s.as_eve("GetUser", {{"UserName", name}}), expected) << key;
      EXPECT_EQ(s.as_eve("UpdateUser", {{"UserName", name}, {"NewPath", "/x/"}}), expected) << key;
      EXPECT_EQ(s.as_eve("GetRole", {{"RoleName", name}}), expected) << key;
      EXPECT_EQ(s.as_eve("GetPolicy", {{"PolicyArn", arn(std::string("policy/") + name)}}), expected) << key;
      EXPECT_EQ(s.as_eve("GetOpenIDConnectProvider",
                         {{"OpenIDConnectProviderArn", arn("oidc-provider/" + std::string(name) + ".example.net/a")}}),
                expected)
          << key;
      EXPECT_EQ(
          s.sts_as(s.eve, "AssumeRole", {{"RoleArn", arn(std::string("role/") + name)}, {"RoleSessionName", "one"}})
              .status,
          expected)
          << key;
    }
    EXPECT_EQ(s.as_eve("GetGroup", {{"GroupName", "g"}}), 403) << "a group has none";
  }
  s.ok("TagUser", tagged({{"UserName", "other"}}, "Team", "models"));
  EXPECT_EQ(s.as_eve("GetUser", {{"UserName", "other"}}), 200) << "as they are now";
}

// One document for all sites: what it denies hangs on where the site is.
TEST(IamTags, ASiteTellsItsResidency) {
  TagSite s;
  s.ok("PutUserPolicy", {{"UserName", "eve"}, {"PolicyName", "all"}, {"PolicyDocument", IamSite::policy("*")}});
  s.may_only(document("Deny", R"("iam:CreateUser")", R"({"StringNotEquals":{"holdfast:Residency":["eu","ch"]}})"));
  EXPECT_EQ(s.as_eve("CreateUser", {{"UserName", "one"}}), 403) << "none";
  s.site().residency = "us";
  EXPECT_EQ(s.as_eve("CreateUser", {{"UserName", "one"}}), 403);
  EXPECT_EQ(s.as_eve("GetUser", {}), 200);
  s.site().residency = "ch";
  EXPECT_EQ(s.as_eve("CreateUser", {{"UserName", "one"}}), 200);
}

}  // namespace
}  // namespace hf::api
