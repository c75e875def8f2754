// STS through the gate, with real keys and sessions.
#include <boost/json.hpp>

#include "api/iam/testing.h"

namespace hf::api {
namespace {

using testing::IamSite;
using testing::kAccount;
using Credentials = IamSite::Credentials;
using Form = IamSite::Form;

const std::string kOther = "444455556666";
std::string role_arn(const std::string& name, const std::string& account = kAccount) {
  return "arn:aws:iam::" + account + ":role/" + name;
}
std::string trust(const std::string& principal, const std::string& action = R"("sts:AssumeRole")",
                  const std::string& condition = "") {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":")" + principal +
         R"("},"Action":)" + action + (condition.empty() ? "" : R"(,"Condition":)" + condition) + "}]}";
}

struct StsSite : IamSite {
  Credentials ada;
  StsSite() {
    ok("CreateUser", {{"UserName", "ada"}});
    ada = key_of("ada");
    make_role("train", trust(user("ada")), "s3:*");
  }
  static std::string user(const std::string& name) { return std::string("arn:aws:iam::") + kAccount + ":user/" + name; }
  void make_role(const std::string& name, const std::string& trust_policy, const std::string& action) {
    ok("CreateRole", {{"RoleName", name}, {"AssumeRolePolicyDocument", trust_policy}});
    ok("PutRolePolicy", {{"RoleName", name}, {"PolicyName", "own"}, {"PolicyDocument", policy(action)}});
  }
  void grant(const std::string& name, const std::string& document) {
    ok("PutUserPolicy",
       {{"UserName", name}, {"PolicyName", "p" + std::to_string(++policies)}, {"PolicyDocument", document}});
  }
  Answer assume(const Credentials& who, const std::string& name, Form more = {}) {
    more.insert(more.begin(),
                {{"RoleArn", name.starts_with("arn:") ? name : role_arn(name)}, {"RoleSessionName", "one"}});
    return sts_as(who, "AssumeRole", more);
  }
  static Credentials of(const Answer& a) {
    return {a.element("AccessKeyId"), a.element("SecretAccessKey"), a.element("SessionToken")};
  }
  Credentials must(const Answer& a) {
    EXPECT_EQ(a.status, 200) << a.body;
    return of(a);
  }
  std::string who(const Credentials& c) { return sts_as(c, "GetCallerIdentity").element("Arn"); }
  int policies = 0;
};

TEST(Sts, AssumeRole) {
  StsSite s;
  const auto answer = s.assume(s.ada, "train", {{"DurationSeconds", "900"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const std::string session = std::string("arn:aws:sts::") + kAccount + ":assumed-role/train/one";
  EXPECT_EQ(answer.element("Arn"), session);
  EXPECT_EQ(answer.element("AssumedRoleId"), s.iam("GetRole", {{"RoleName", "train"}}).element("RoleId") + ":one");
  EXPECT_EQ(answer.element("Expiration"), iso8601_millis(s.clock.now() + 900'000'000));
  EXPECT_EQ(answer.element("PackedPolicySize"), "0");
  const Credentials role = StsSite::of(answer);
  EXPECT_EQ(s.who(role), session);
  const auto& entry = s.ledger.all.back();
  EXPECT_EQ(entry.action, "sts:AssumeRole");
  EXPECT_EQ(entry.principal, StsSite::user("ada"));
  EXPECT_EQ(entry.resource, role_arn("train"));
  EXPECT_EQ(entry.reason, "allow:trust-policy/0");
  EXPECT_NE(entry.detail.find("\"AccessKeyId\":\"" + role.id), std::string::npos) << entry.detail;
  EXPECT_EQ(entry.detail.find(role.token), std::string::npos);
  EXPECT_EQ(entry.detail.find(role.secret), std::string::npos);
  // What the role may, and no more: neither what the user may.
  s.grant("ada", IamSite::policy("iam:ListUsers"));
  EXPECT_TRUE(s.may(s.ada));
  EXPECT_FALSE(s.may(role));
  EXPECT_EQ(s.ledger.all.back().principal, session);
  // A wrong secret, no token, another's token, and the end.
  EXPECT_EQ(s.sts_as({role.id, "wrong", role.token}, "GetCallerIdentity").code(), "SignatureDoesNotMatch");
  EXPECT_EQ(s.sts_as({role.id, role.secret, ""}, "GetCallerIdentity").code(), "InvalidClientTokenId");
  EXPECT_EQ(s.sts_as({s.ada.id, s.ada.secret, role.token}, "GetCallerIdentity").code(), "InvalidClientTokenId");
  const auto other = s.must(s.assume(s.ada, "train"));
  EXPECT_EQ(s.sts_as({role.id, role.secret, other.token}, "GetCallerIdentity").code(), "InvalidClientTokenId");
  s.clock.advance(900'000'000);
  EXPECT_EQ(s.sts_as(role, "GetCallerIdentity").code(), "ExpiredToken");
  EXPECT_EQ(s.sts_as(role, "GetCallerIdentity").status, 403);
}

TEST(Sts, OnlyWhomTheRoleTrusts) {
  StsSite s;
  s.ok("CreateUser", {{"UserName", "bob"}});
  const Credentials bob = s.key_of("bob");
  const auto denied = [&](const Credentials& who, const std::string& role, Form more = {}) {
    const auto a = s.assume(who, role, std::move(more));
    EXPECT_EQ(a.status, 403) << a.body;
    EXPECT_EQ(a.code(), "AccessDenied") << a.body;
    EXPECT_EQ(s.ledger.all.back().decision, "deny");
    return a;
  };
  denied(bob, "train");
  s.grant("bob", IamSite::policy("sts:*"));  // his own right is not enough
  denied(bob, "train");
  // One that is not there is told like one that is not his.
  const auto mask = [&](std::string body) { return body.substr(0, body.find("Encoded")); };
  EXPECT_EQ(mask(denied(bob, "nobody").element("Message")).size(),
            mask(denied(bob, "trains").element("Message")).size());
  // The account: then it is the account's own policies that decide.
  s.make_role("staff", trust(kAccount), "s3:*");
  denied(s.ada, "staff");
  s.must(s.assume(bob, "staff"));
  s.grant("bob", IamSite::policy("sts:AssumeRole", "Deny", role_arn("staff")));
  denied(bob, "staff");
  // A Deny of the trust, conditions, another path.
  s.make_role("guests",
              trust(StsSite::user("ada"), R"("sts:AssumeRole")", R"({"StringEquals":{"sts:ExternalId":"door-7"}})"),
              "s3:*");
  denied(s.ada, "guests");
  denied(s.ada, "guests", {{"ExternalId", "door-8"}});
  s.must(s.assume(s.ada, "guests", {{"ExternalId", "door-7"}}));
  denied(s.ada, std::string("arn:aws:iam::") + kAccount + ":role/other/train");
  denied(s.ada, role_arn("train", kOther));
  // Services are no callers of ours.
  s.ok(
      "CreateRole",
      {{"RoleName", "service"},
       {"AssumeRolePolicyDocument",
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]})"}});
  denied(s.ada, "service");
}

TEST(Sts, RolesOfAnotherAccount) {
  StsSite s;
  Credentials guest;
  ASSERT_TRUE(s.db->write([&](store::Txn& txn) -> Status {
                    TRY(s.real_keys->create_account(txn, kOther, "other"));
                    security::KeyInfo spec;
                    spec.account = kOther;
                    spec.name = "guest";
                    spec.kind = "access";
                    spec.policy = IamSite::policy("sts:AssumeRole");
                    auto [info, secret] = TRY(s.real_keys->create(txn, spec));
                    guest = {info.id, std::string(secret.reveal())};
                    return {};
                  })
                  .ok());
  EXPECT_EQ(s.assume(guest, "train").code(), "AccessDenied");
  s.make_role("visit", trust("arn:aws:iam::" + kOther + ":user/guest"), "iam:ListUsers");
  const auto visit = s.must(s.assume(guest, "visit"));
  EXPECT_EQ(s.who(visit), std::string("arn:aws:sts::") + kAccount + ":assumed-role/visit/one");
  EXPECT_TRUE(s.may(visit));
  const auto listed = s.send_as(visit, "iam", "ListUsers", {});
  EXPECT_EQ(listed.element("UserName"), "ada");  // of the role's account, not of the guest's
}

TEST(Sts, SessionPoliciesTakeAway) {
  StsSite s;
  s.make_role("lists", trust(StsSite::user("ada")), "iam:List*");
  EXPECT_TRUE(s.may(s.must(s.assume(s.ada, "lists")), "ListUsers"));
  const auto less = s.assume(s.ada, "lists", {{"Policy", IamSite::policy("iam:ListRoles")}});
  EXPECT_TRUE(s.may(s.must(less), "ListRoles"));
  EXPECT_FALSE(s.may(StsSite::of(less), "ListUsers"));
  EXPECT_NE(less.element("PackedPolicySize"), "0");
  const auto more = s.must(s.assume(s.ada, "lists", {{"Policy", IamSite::policy("*")}}));
  EXPECT_EQ(s.send_as(more, "iam", "CreateUser", {{"UserName", "x"}}).status, 403);
  s.ok("CreatePolicy", {{"PolicyName", "roles"}, {"PolicyDocument", IamSite::policy("iam:ListRoles")}});
  const std::string arn = std::string("arn:aws:iam::") + kAccount + ":policy/roles";
  const auto managed = s.must(s.assume(s.ada, "lists", {{"PolicyArns.member.1.arn", arn}}));
  EXPECT_TRUE(s.may(managed, "ListRoles"));
  EXPECT_FALSE(s.may(managed, "ListUsers"));
  const auto bad = [&](Form form, const std::string& code) {
    const auto a = s.assume(s.ada, "lists", std::move(form));
    EXPECT_EQ(a.status, 400) << a.body;
    EXPECT_EQ(a.code(), code) << a.body;
  };
  bad({{"Policy", "{}"}}, "MalformedPolicyDocument");
  bad({{"Policy", IamSite::policy("s3:" + std::string(2030, 'a'))}}, "PackedPolicyTooLarge");
  bad({{"PolicyArns.member.1.arn", arn + "s"}}, "ValidationError");
  bad({{"DurationSeconds", "899"}}, "ValidationError");
  bad({{"DurationSeconds", "3601"}}, "ValidationError");  // the role's longest
  bad({{"SerialNumber", "arn:aws:iam::111122223333:mfa/ada"}}, "ValidationError");
  bad({{"TransitiveTagKeys.member.1", "team"}}, "ValidationError");
  s.ok("UpdateRole", {{"RoleName", "lists"}, {"MaxSessionDuration", "7200"}});
  s.must(s.assume(s.ada, "lists", {{"DurationSeconds", "7200"}}));
}

TEST(Sts, TagsOfASessionAndWhereItCameFrom) {
  StsSite s;
  const std::string all = R"(["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"])";
  const Form team = {{"Tags.member.1.Key", "team"}, {"Tags.member.1.Value", "models"}};
  EXPECT_EQ(s.assume(s.ada, "train", team).status, 403);  // a right of its own
  EXPECT_EQ(s.assume(s.ada, "train", {{"SourceIdentity", "ada"}}).status, 403);
  s.make_role("first", trust(StsSite::user("ada"), all), "sts:*");
  s.make_role("second", trust(role_arn("first"), all), "iam:ListUsers");
  s.ok(
      "PutRolePolicy",
      {{"RoleName", "second"},
       {"PolicyName", "own"},
       {"PolicyDocument",
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/Team":"models","aws:SourceIdentity":"ada"}}}]})"}});
  Form form = team;
  form.insert(form.end(), {{"TransitiveTagKeys.member.1", "team"}, {"SourceIdentity", "ada"}});
  const auto first = s.assume(s.ada, "first", form);
  EXPECT_EQ(first.element("SourceIdentity"), "ada");
  const Credentials one = s.must(first);
  const auto second = s.must(s.assume(one, "second"));
  EXPECT_TRUE(s.may(second));  // both went on
  EXPECT_FALSE(s.may(s.must(s.assume(s.must(s.assume(s.ada, "first", team)), "second"))));
  // Neither can be replaced, and a chain lasts an hour at most.
  EXPECT_EQ(s.assume(one, "second", team).code(), "InvalidParameterValue");
  EXPECT_EQ(s.assume(one, "second", {{"SourceIdentity", "eve"}}).status, 403);
  s.ok("UpdateRole", {{"RoleName", "second"}, {"MaxSessionDuration", "7200"}});
  EXPECT_EQ(s.assume(one, "second", {{"DurationSeconds", "3601"}}).code(), "ValidationError");
}

// What is told of requests to STS alone is refused where a Deny with it would never hold.
TEST(Sts, KeysOfSessionsAreForActionsOfSts) {
  StsSite s;
  const auto put = [&](const std::string& action, const std::string& key) {
    return s.iam("PutUserPolicy",
                 {{"UserName", "ada"},
                  {"PolicyName", "p"},
                  {"PolicyDocument", R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":)" + action +
                                         R"(,"Resource":"*","Condition":{"StringEquals":{")" + key + R"(":"x"}}}]})"}});
  };
  for (const char* key : {"sts:ExternalId", "sts:RoleSessionName"}) {
    EXPECT_EQ(put(R"("sts:AssumeRole")", key).status, 200) << key;
    for (const char* action : {R"("s3:*")", R"("*")", R"(["sts:AssumeRole","iam:TagUser"])"})
      EXPECT_EQ(put(action, key).code(), "MalformedPolicyDocument") << key << action;
  }
  for (const char* key : {"aws:RequestTag/team", "aws:TagKeys", "aws:ResourceTag/team", "iam:ResourceTag/team"}) {
    for (const char* action : {R"("sts:AssumeRole")", R"("iam:*")", R"(["sts:AssumeRole","iam:TagUser"])"})
      EXPECT_EQ(put(action, key).status, 200) << key << action;
    for (const char* action : {R"("s3:*")", R"("*")", R"(["iam:TagUser","s3:GetObject"])"})
      EXPECT_EQ(put(action, key).code(), "MalformedPolicyDocument") << key << action;
  }
  EXPECT_EQ(put(R"("iam:PassRole")", "iam:PassedToService").status, 200);
  for (const char* action : {R"("iam:*")", R"(["iam:PassRole","iam:GetRole"])"})
    EXPECT_EQ(put(action, "iam:PassedToService").code(), "MalformedPolicyDocument") << action;
  EXPECT_EQ(put(R"("s3:*")", "aws:PrincipalTag/team").status, 200);
  EXPECT_EQ(put(R"("s3:*")", "aws:MultiFactorAuthPresent").status, 200);
}

TEST(Sts, GetSessionToken) {
  StsSite s;
  s.grant("ada", IamSite::policy("*"));
  const auto session = s.must(s.sts_as(s.ada, "GetSessionToken"));
  EXPECT_EQ(s.who(session), StsSite::user("ada"));
  EXPECT_FALSE(s.may(session));  // no IAM without a second factor
  EXPECT_EQ(s.sts_as(session, "GetSessionToken").code(), "AccessDenied");
  EXPECT_EQ(s.sts_as(session, "DecodeAuthorizationMessage", {{"EncodedMessage", "x"}}).status, 403);
  EXPECT_EQ(s.who(s.must(s.assume(session, "train"))),
            std::string("arn:aws:sts::") + kAccount + ":assumed-role/train/one");
  const auto role = s.must(s.assume(s.ada, "train"));
  EXPECT_EQ(s.sts_as(role, "GetSessionToken").code(), "AccessDenied");
  s.ok("UpdateAccessKey", {{"UserName", "ada"}, {"AccessKeyId", s.ada.id}, {"Status", "Inactive"}});
  EXPECT_EQ(s.sts_as(session, "GetCallerIdentity").code(), "InvalidClientTokenId");
  s.ok("UpdateAccessKey", {{"UserName", "ada"}, {"AccessKeyId", s.ada.id}, {"Status", "Active"}});
  s.grant("ada", IamSite::policy("sts:GetSessionToken", "Deny"));
  EXPECT_EQ(s.sts_as(s.ada, "GetSessionToken").code(), "AccessDenied");
  // The administrator's lasts an hour, however long it was asked for.
  const auto admin = s.sts_as(s.admin, "GetSessionToken", {{"DurationSeconds", "129600"}});
  EXPECT_EQ(admin.element("Expiration"), iso8601_millis(s.clock.now() + 3600'000'000ll));
  EXPECT_FALSE(s.may(StsSite::of(admin)));
}

TEST(Sts, WhoseKeyItIs) {
  StsSite s;
  const auto role = s.must(s.assume(s.ada, "train"));
  for (const std::string& id : {s.ada.id, s.admin.id, role.id}) {
    const auto a = s.sts_as(s.admin, "GetAccessKeyInfo", {{"AccessKeyId", id}});
    EXPECT_EQ(a.element("Account"), kAccount) << a.body;
  }
  EXPECT_EQ(s.sts_as(s.admin, "GetAccessKeyInfo", {{"AccessKeyId", "AKIAAAAAAAAAAAAAAAAA"}}).code(), "ValidationError");
  EXPECT_EQ(s.sts_as(s.ada, "GetAccessKeyInfo", {{"AccessKeyId", s.ada.id}}).status, 403);
}

TEST(Sts, ADenialExplainsItselfToWhomItMay) {
  StsSite s;
  s.grant(
      "ada",
      R"({"Version":"2012-10-17","Statement":[{"Sid":"Never","Effect":"Deny","Action":"iam:ListUsers","Resource":"*"}]})");
  const std::string words = s.send_as(s.ada, "iam", "ListUsers", {}).element("Message");
  const std::string before = "Encoded authorization failure message: ";
  const size_t at = words.find(before);
  ASSERT_NE(at, words.npos) << words;
  const std::string encoded = words.substr(at + before.size());
  EXPECT_EQ(s.sts_as(s.ada, "DecodeAuthorizationMessage", {{"EncodedMessage", encoded}}).status, 403);
  const auto told = s.sts_as(s.admin, "DecodeAuthorizationMessage", {{"EncodedMessage", encoded}});
  ASSERT_EQ(told.status, 200) << told.body;
  for (const char* part : {"Never", "explicitDeny", "iam:ListUsers", "user/ada", "aws:sourceip"})
    EXPECT_NE(told.body.find(part), std::string::npos) << part << ": " << told.body;
  for (std::string bad : {std::string("x"), encoded + "A", "B" + encoded.substr(1)})
    EXPECT_EQ(s.sts_as(s.admin, "DecodeAuthorizationMessage", {{"EncodedMessage", bad}}).code(),
              "InvalidAuthorizationMessageException");
}

TEST(Sts, NothingIsGivenWithoutItsEntry) {
  StsSite s;
  const Form assume = {{"RoleArn", role_arn("train")}, {"RoleSessionName", "one"}};
  const std::vector<std::pair<std::string, Form>> acts = {{"AssumeRole", assume}, {"GetSessionToken", {}}};
  std::set<std::string> tried = {"AssumeRoleWithWebIdentity"};  // web_identity_test
  s.ledger.broken = true;
  for (const auto& [action, form] : acts) {
    const auto a = s.sts_as(s.ada, action, form);
    EXPECT_EQ(a.status, 503) << a.body;
    EXPECT_EQ(a.body.find("SecretAccessKey"), std::string::npos);
    tried.insert(action);
  }
  s.ledger.broken = false;
  for (const auto& [action, form] : acts) s.must(s.sts_as(s.ada, action, form));
  for (const Operation& o : sts().operations) {
    if (!o.input || o.effect == Effect::read) continue;
    EXPECT_TRUE(tried.contains(o.name)) << o.name;
  }
}

}  // namespace
}  // namespace hf::api
