#include <set>

#include "api/iam/testing.h"

namespace hf::api {
namespace {

using testing::IamSite;
using Form = IamSite::Form;

std::string arn(const std::string& what) { return std::string("arn:aws:iam::") + testing::kAccount + ":" + what; }

std::string statement(const std::string& effect, const std::string& action, const std::string& resource,
                      const std::string& more = "") {
  return R"({"Effect":")" + effect + R"(","Action":")" + action + R"(","Resource":")" + resource + "\"" + more + "}";
}
std::string document(const std::string& statements) {
  return R"({"Version":"2012-10-17","Statement":[)" + statements + "]}";
}

std::string decision(IamSite& s, const std::string& operation, Form form) {
  const auto a = s.iam(operation, form);
  EXPECT_EQ(a.status, 200) << operation << a.body;
  return a.element("EvalDecision");
}

std::string custom(IamSite& s, const std::string& policy, const std::string& action, const std::string& resource,
                   Form more = {}) {
  Form form{{"PolicyInputList.member.1", policy}, {"ActionNames.member.1", action}};
  if (!resource.empty()) form.emplace_back("ResourceArns.member.1", resource);
  form.insert(form.end(), more.begin(), more.end());
  return decision(s, "SimulateCustomPolicy", form);
}

TEST(Simulate, ACustomPolicyAllowsDeniesAndSaysNothing) {
  IamSite s;
  const std::string policy = document(statement("Allow", "s3:*", "arn:aws:s3:::b/*") + "," +
                                      statement("Deny", "s3:GetObject", "arn:aws:s3:::b/private/*"));
  EXPECT_EQ(custom(s, policy, "s3:GetObject", "arn:aws:s3:::b/k"), "allowed");
  EXPECT_EQ(custom(s, policy, "s3:GetObject", "arn:aws:s3:::b/private/k"), "explicitDeny");
  EXPECT_EQ(custom(s, policy, "s3:GetObject", "arn:aws:s3:::c/k"), "implicitDeny");
  EXPECT_EQ(custom(s, policy, "iam:GetUser", ""), "implicitDeny");
  EXPECT_EQ(custom(s, policy, "s3:PutObject", "arn:aws:s3:::b/*"), "allowed") << "all that begin so";
  EXPECT_EQ(custom(s, policy, "s3:GetObject", "arn:aws:s3:::b/*"), "explicitDeny") << "some of those";
  EXPECT_EQ(custom(s, policy, "sts:GetCallerIdentity", ""), "allowed") << "the gate asks for no right either";
}

TEST(Simulate, TheStatementsThatDecideAreNamedWithTheirPlaces) {
  IamSite s;
  const std::string policy = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    " +
                             statement("Allow", "s3:GetObject", "*") + ",\n    " +
                             statement("Deny", "s3:PutObject", "*") + "\n  ]\n}";
  Form form{{"PolicyInputList.member.1", document(statement("Allow", "s3:*", "*"))},
            {"PolicyInputList.member.2", policy},
            {"ActionNames.member.1", "s3:GetObject"},
            {"ResourceArns.member.1", "arn:aws:s3:::b/k"}};
  auto a = s.iam("SimulateCustomPolicy", form);
  ASSERT_EQ(a.status, 200) << a.body;
  EXPECT_EQ(a.element("EvalActionName"), "s3:GetObject");
  EXPECT_EQ(a.element("EvalResourceName"), "arn:aws:s3:::b/k");
  EXPECT_EQ(a.element("EvalResourceDecision"), "allowed");
  EXPECT_EQ(a.count("<SourcePolicyId>PolicyInputList.1<"), 2u) << "whole and by resource" << a.body;
  EXPECT_EQ(a.count("<SourcePolicyId>PolicyInputList.2<"), 2u) << a.body;
  EXPECT_EQ(a.element("SourcePolicyType"), "none");
  form[2].second = "s3:PutObject";
  a = s.iam("SimulateCustomPolicy", form);
  EXPECT_EQ(a.element("EvalDecision"), "explicitDeny");
  EXPECT_EQ(a.count("<SourcePolicyId>PolicyInputList.1<"), 0u) << "the Deny alone" << a.body;
  EXPECT_EQ(a.count("<SourcePolicyId>PolicyInputList.2<"), 2u) << a.body;
  EXPECT_EQ(a.count("<StartPosition><Line>5</Line><Column>5</Column></StartPosition>"), 2u) << a.body;
  EXPECT_EQ(a.count("<EndPosition><Line>5</Line><Column>61</Column></EndPosition>"), 2u) << a.body;
}

TEST(Simulate, WhatNobodyToldIsMissingAndEntriesTellIt) {
  IamSite s;
  const std::string policy =
      document(statement("Allow", "s3:GetObject", "*", R"(,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})"));
  Form form{{"PolicyInputList.member.1", policy}, {"ActionNames.member.1", "s3:GetObject"}};
  auto a = s.iam("SimulateCustomPolicy", form);
  EXPECT_EQ(a.element("EvalDecision"), "implicitDeny");
  EXPECT_NE(a.body.find("<MissingContextValues><member>aws:SourceIp</member></MissingContextValues>"),
            std::string::npos)
      << a.body;
  form.emplace_back("ResourceArns.member.1", "arn:aws:s3:::b/k");
  a = s.iam("SimulateCustomPolicy", form);
  EXPECT_EQ(a.count("<member>aws:SourceIp</member>"), 1u) << a.body;
  EXPECT_LT(a.body.find("<ResourceSpecificResults>"), a.body.find("<member>aws:SourceIp</member>")) << a.body;
  auto entry = [](const std::string& name, const std::string& type, const std::string& value) {
    return Form{{"ContextEntries.member.1.ContextKeyName", name},
                {"ContextEntries.member.1.ContextKeyType", type},
                {"ContextEntries.member.1.ContextKeyValues.member.1", value}};
  };
  EXPECT_EQ(custom(s, policy, "s3:GetObject", "", entry("AWS:sourceip", "ip", "10.1.2.3")), "allowed");
  EXPECT_EQ(custom(s, policy, "s3:GetObject", "", entry("aws:SourceIp", "ip", "11.1.2.3")), "implicitDeny");
  const std::vector<std::pair<Form, const char*>> bad = {{entry("aws:SourceIp", "ip", "10.0.0.0/8"), "a block"},
                                                         {entry("aws:SourceIp", "ip", "here"), "an IP address"},
                                                         {entry("aws:n", "numeric", "many"), "a decimal number"},
                                                         {entry("aws:d", "date", "today"), "an ISO 8601 time"},
                                                         {entry("aws:b", "boolean", "maybe"), "true"},
                                                         {entry("aws:b", "binary", "?"), "base64"}};
  for (const auto& [more, why] : bad) {
    Form whole{{"PolicyInputList.member.1", policy}, {"ActionNames.member.1", "s3:GetObject"}};
    whole.insert(whole.end(), more.begin(), more.end());
    a = s.iam("SimulateCustomPolicy", whole);
    EXPECT_EQ(a.code(), "InvalidInput") << a.body;
    EXPECT_NE(a.element("Message").find("ContextEntries.1"), std::string::npos) << a.body;
    EXPECT_NE(a.element("Message").find(why), std::string::npos) << why << a.body;
  }
}

TEST(Simulate, WhatIsWrongOrNotOfferedIsNamed) {
  IamSite s;
  const Form good{{"PolicyInputList.member.1", document(statement("Allow", "*", "*"))},
                  {"ActionNames.member.1", "s3:GetObject"}};
  auto with = [&](const std::string& name, const std::string& value) {
    Form form = good;
    std::erase_if(form, [&](const auto& f) { return f.first == name; });
    form.emplace_back(name, value);
    return form;
  };
  s.ok("SimulateCustomPolicy", good);
  s.refused("SimulateCustomPolicy", {good[0]}, 400, "ValidationError");
  s.refused("SimulateCustomPolicy", {good[1]}, 400, "ValidationError");
  s.refused("SimulateCustomPolicy", with("ActionNames.member.1", "s3:*"), 400, "ValidationError");
  s.refused("SimulateCustomPolicy", with("PolicyInputList.member.1", "{}"), 400, "InvalidInput");
  s.refused("SimulateCustomPolicy", with("ResourcePolicy", "{}"), 400, "InvalidInput");
  s.refused("SimulateCustomPolicy", with("ResourceArns.member.1", "b/k"), 400, "InvalidInput");
  s.refused("SimulateCustomPolicy", with("ResourceArns.member.1", "arn:aws:s3:::*/k"), 400, "InvalidInput");
  s.refused("SimulateCustomPolicy", with("ResourceOwner", "me"), 400, "InvalidInput");
  s.refused("SimulateCustomPolicy", with("CallerArn", "arn:aws:iam::111122223333:group/g"), 400, "InvalidInput");
  s.refused("SimulateCustomPolicy", with("ResourceHandlingOption", "EC2-VPC-EBS"), 400, "ValidationError");
  s.refused("SimulateCustomPolicy",
            with("ResourcePolicy", R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}})"),
            400, "InvalidInput");  // no caller
  s.refused("SimulatePrincipalPolicy", {{"PolicySourceArn", arn("user/nobody")}, good[1]}, 404, "NoSuchEntity");
  s.refused("SimulatePrincipalPolicy", {{"PolicySourceArn", arn("policy/p-that-is-none")}, good[1]}, 404,
            "NoSuchEntity");
  s.refused("SimulateCustomPolicy", with("Marker", "zz"), 400, "InvalidInput");
}

TEST(Simulate, ResultsComeInPagesAndInOrder) {
  IamSite s;
  Form form{{"PolicyInputList.member.1", document(statement("Allow", "s3:GetObject", "*"))}, {"MaxItems", "3"}};
  for (int i = 1; i <= 2; ++i)
    form.emplace_back("ActionNames.member." + std::to_string(i), i == 1 ? "s3:GetObject" : "s3:PutObject");
  for (int i = 1; i <= 4; ++i)
    form.emplace_back("ResourceArns.member." + std::to_string(i), "arn:aws:s3:::b/" + std::to_string(i));
  std::string seen;
  for (int page = 0; page < 3; ++page) {
    const auto a = s.iam("SimulateCustomPolicy", form);
    ASSERT_EQ(a.status, 200) << a.body;
    EXPECT_EQ(a.count("<EvalActionName>"), page < 2 ? 3u : 2u);
    EXPECT_EQ(a.element("IsTruncated"), page < 2 ? "true" : "false");
    for (size_t at = a.body.find("<EvalActionName>s3:"); at != std::string::npos;
         at = a.body.find("<EvalActionName>s3:", at + 1)) {
      const size_t name = a.body.find("arn:aws:s3:::b/", at);
      seen += a.body.substr(at + 19, 1) + a.body.substr(name + 15, 1) + " ";
    }
    std::erase_if(form, [](const auto& f) { return f.first == "Marker"; });
    form.emplace_back("Marker", a.element("Marker"));
  }
  EXPECT_EQ(seen, "G1 G2 G3 G4 P1 P2 P3 P4 ");
}

// What simulation says is what the gate does: by the user's own policies, its group's, and its boundary.
TEST(Simulate, APrincipalIsJudgedAsTheGateJudgesIt) {
  IamSite s;
  s.ok("CreateUser", {{"UserName", "ada"}, {"Path", "/eng/"}});
  s.ok("CreateGroup", {{"GroupName", "staff"}});
  s.ok("AddUserToGroup", {{"GroupName", "staff"}, {"UserName", "ada"}});
  const std::string own =
      document(statement("Allow", "iam:ListUsers", "*") + "," + statement("Allow", "iam:ListRoles", "*") + "," +
               statement("Allow", "iam:ListPolicies", "arn:aws:iam::*:policy/*"));
  s.ok("PutUserPolicy", {{"UserName", "ada"}, {"PolicyName", "own"}, {"PolicyDocument", own}});
  s.ok("PutGroupPolicy", {{"GroupName", "staff"},
                          {"PolicyName", "no"},
                          {"PolicyDocument", document(statement("Deny", "iam:ListRoles", "*") + "," +
                                                      statement("Allow", "iam:ListGroups", "*"))}});
  s.ok("CreatePolicy", {{"PolicyName", "most"},
                        {"PolicyDocument", document(statement("Allow", "iam:ListU*", "*") + "," +
                                                    statement("Allow", "iam:ListP*", "*"))}});
  const auto key = s.key_of("ada");
  const std::map<std::string, std::string> resources = {
      {"ListUsers", "user/"}, {"ListRoles", "role/"}, {"ListGroups", "group/"}, {"ListPolicies", "policy/"}};
  std::set<std::string> seen;
  for (const bool bounded : {false, true}) {
    if (bounded) s.ok("PutUserPermissionsBoundary", {{"UserName", "ada"}, {"PermissionsBoundary", arn("policy/most")}});
    for (const auto& [action, resource] : resources) {
      const std::string told = decision(s, "SimulatePrincipalPolicy",
                                        {{"PolicySourceArn", arn("user/eng/ada")},
                                         {"ActionNames.member.1", "iam:" + action},
                                         {"ResourceArns.member.1", arn(resource)}});
      EXPECT_EQ(told == "allowed", s.may(key, action)) << action << bounded;
      seen.insert(told);
    }
  }
  EXPECT_EQ(seen.size(), 3u) << "each kind of decision came up";
  auto ask = [&](const std::string& action, const Form& more = {}) {
    Form form{{"PolicySourceArn", arn("user/eng/ada")}, {"ActionNames.member.1", action}};
    form.insert(form.end(), more.begin(), more.end());
    return s.iam("SimulatePrincipalPolicy", form);
  };
  EXPECT_EQ(ask("iam:ListUsers").element("SourcePolicyId"), arn("policy/most"));
  EXPECT_EQ(ask("iam:ListUsers").count("<SourcePolicyId>user-policy/own<"), 1u);
  EXPECT_EQ(ask("iam:ListUsers").count("<SourcePolicyType>user<"), 1u);
  EXPECT_EQ(ask("iam:ListRoles").element("SourcePolicyId"), "group-policy/staff/no");
  EXPECT_EQ(ask("iam:ListRoles").element("SourcePolicyType"), "group");
  const auto bounded = ask("iam:ListGroups");
  EXPECT_EQ(bounded.element("EvalDecision"), "implicitDeny");
  EXPECT_EQ(bounded.element("AllowedByPermissionsBoundary"), "false");
  EXPECT_EQ(bounded.count("<SourcePolicyId>"), 0u);
  EXPECT_EQ(
      ask("iam:ListGroups", {{"PermissionsBoundaryPolicyInputList.member.1", document(statement("Allow", "*", "*"))}})
          .element("EvalDecision"),
      "allowed")
      << "another boundary in place of its own";
  EXPECT_EQ(ask("s3:GetObject", {{"PolicyInputList.member.1", document(statement("Allow", "*", "*"))}})
                .element("AllowedByPermissionsBoundary"),
            "false");
  EXPECT_EQ(decision(s, "SimulatePrincipalPolicy",
                     {{"PolicySourceArn", arn("group/staff")}, {"ActionNames.member.1", "iam:ListGroups"}}),
            "allowed");
}

TEST(Simulate, TheCallersNameAndTagsAreTold) {
  IamSite s;
  s.ok("CreateUser", {{"UserName", "ada"}, {"Tags.member.1.Key", "Team"}, {"Tags.member.1.Value", "models"}});
  s.ok("PutUserPolicy",
       {{"UserName", "ada"},
        {"PolicyName", "own"},
        {"PolicyDocument", document(statement("Allow", "s3:GetObject", "arn:aws:s3:::b/${aws:username}/*",
                                              R"(,"Condition":{"StringEquals":{"aws:PrincipalTag/team":"models",)"
                                              R"("aws:RequestedRegion":"site-1","holdfast:Residency":"none"}})"))}});
  Form form{{"PolicySourceArn", arn("user/ada")},
            {"ActionNames.member.1", "s3:GetObject"},
            {"ResourceArns.member.1", "arn:aws:s3:::b/ada/k"}};
  EXPECT_EQ(decision(s, "SimulatePrincipalPolicy", form), "allowed");
  form.emplace_back("CallerArn", arn("user/bob"));
  EXPECT_EQ(decision(s, "SimulatePrincipalPolicy", form), "implicitDeny") << "as if bob had ada's policies";
  form.back().second = arn("user/ada");
  EXPECT_EQ(decision(s, "SimulatePrincipalPolicy", form), "allowed");
  for (const Form::value_type& f : Form{{"ContextEntries.member.1.ContextKeyName", "aws:PrincipalTag/Team"},
                                        {"ContextEntries.member.1.ContextKeyType", "string"},
                                        {"ContextEntries.member.1.ContextKeyValues.member.1", "other"}})
    form.push_back(f);
  EXPECT_EQ(decision(s, "SimulatePrincipalPolicy", form), "implicitDeny") << "an entry goes before what is so";
}

TEST(Simulate, AResourcesPolicyIsJudgedWithTheCallersAcrossAccounts) {
  IamSite s;
  s.ok("CreateUser", {{"UserName", "ada"}});
  const std::string lets_in = R"({"Statement":{"Effect":"Allow","Principal":{"AWS":")" + arn("user/ada") +
                              R"("},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}})";
  Form form{{"PolicySourceArn", arn("user/ada")},
            {"ActionNames.member.1", "s3:GetObject"},
            {"ResourceArns.member.1", "arn:aws:s3:::b/k"},
            {"ResourcePolicy", lets_in}};
  auto a = s.iam("SimulatePrincipalPolicy", form);
  EXPECT_EQ(a.element("EvalDecision"), "allowed") << "of its own account: named in the bucket's policy is enough";
  EXPECT_EQ(a.element("SourcePolicyId"), "ResourcePolicy");
  EXPECT_EQ(a.element("SourcePolicyType"), "resource");
  EXPECT_EQ(a.count("EvalDecisionDetails"), 0u) << a.body;
  form.emplace_back("ResourceOwner", "444455556666");
  a = s.iam("SimulatePrincipalPolicy", form);
  EXPECT_EQ(a.element("EvalDecision"), "implicitDeny") << "another account's: its own policies have to allow it too";
  EXPECT_NE(a.body.find("<key>IAM Policy</key><value>implicitDeny</value>"), std::string::npos) << a.body;
  EXPECT_NE(a.body.find("<key>Resource Policy</key><value>allowed</value>"), std::string::npos) << a.body;
  form.emplace_back("PolicyInputList.member.1", document(statement("Allow", "s3:*", "*")));
  EXPECT_EQ(decision(s, "SimulatePrincipalPolicy", form), "allowed");
  EXPECT_EQ(custom(s, document(statement("Allow", "s3:*", "*")), "s3:GetObject", "arn:aws:s3:::b/k",
                   {{"CallerArn", "arn:aws:sts::111122223333:assumed-role/r/one"}, {"ResourcePolicy", lets_in}}),
            "allowed");
}

TEST(Simulate, ItNeedsARightOfItsOwnAndChangesNothing) {
  IamSite s;
  s.ok("CreateUser", {{"UserName", "ada"}});
  s.ok("CreateUser", {{"UserName", "eve"}});
  const auto eve = s.key_of("eve");
  s.ok("PutUserPolicy", {{"UserName", "eve"},
                         {"PolicyName", "p"},
                         {"PolicyDocument", IamSite::policy("iam:Simulate*", "Allow", arn("user/eve"))}});
  const Form about{{"ActionNames.member.1", "iam:ListUsers"}};
  auto of = [&](const char* user) {
    return s.send_as(eve, "iam", "SimulatePrincipalPolicy", {{"PolicySourceArn", arn(user)}, about[0]});
  };
  EXPECT_EQ(of("user/eve").status, 200);
  const std::string before = testing::everything(*s.db);
  EXPECT_EQ(of("user/eve").status, 200);
  EXPECT_EQ(testing::everything(*s.db), before);
  EXPECT_EQ(of("user/ada").code(), "AccessDenied");
}

TEST(Simulate, TheKeysThatPoliciesHangOn) {
  IamSite s;
  const std::string one = document(statement("Allow", "s3:*", "arn:aws:s3:::b/${aws:userid}/*",
                                             R"(,"Condition":{"StringLike":{"aws:UserAgent":"${aws:username}*"}})"));
  const std::string two =
      document(statement("Deny", "s3:*", "*", R"(,"Condition":{"Bool":{"AWS:SecureTransport":"false"}})"));
  auto a =
      s.iam("GetContextKeysForCustomPolicy", {{"PolicyInputList.member.1", one}, {"PolicyInputList.member.2", two}});
  const std::string keys =
      "<ContextKeyNames><member>aws:UserAgent</member><member>aws:username</member><member>aws:userid</member>"
      "<member>AWS:SecureTransport</member></ContextKeyNames>";
  EXPECT_NE(a.body.find(keys), std::string::npos) << a.body;
  s.refused("GetContextKeysForCustomPolicy", {{"PolicyInputList.member.1", "{}"}}, 400, "InvalidInput");
  s.ok("CreateUser", {{"UserName", "ada"}});
  s.ok("PutUserPolicy", {{"UserName", "ada"}, {"PolicyName", "p"}, {"PolicyDocument", one}});
  a = s.iam("GetContextKeysForPrincipalPolicy",
            {{"PolicySourceArn", arn("user/ada")}, {"PolicyInputList.member.1", two}});
  EXPECT_NE(a.body.find(keys), std::string::npos) << a.body;
  s.refused("GetContextKeysForPrincipalPolicy", {{"PolicySourceArn", arn("user/nobody")}}, 404, "NoSuchEntity");
}

}  // namespace
}  // namespace hf::api
