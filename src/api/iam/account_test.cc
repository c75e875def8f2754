// The account as a whole: its details, who has a policy, its summary, its alias, the credential report.
#include "api/iam/testing.h"
#include "base/bytes.h"

namespace hf::api {
namespace {

using testing::IamSite;
using Form = IamSite::Form;

std::string arn(const std::string& what) { return std::string("arn:aws:iam::") + testing::kAccount + ":" + what; }

// ada: in staff, an inline policy, "read" attached, "most" as her boundary; the role train: "read" attached.
struct FullSite : IamSite {
  const std::string any = policy("iam:ListUsers");
  FullSite() {
    ok("CreatePolicy", {{"PolicyName", "read"}, {"PolicyDocument", any}, {"Description", "reads"}});
    ok("CreatePolicyVersion", {{"PolicyArn", arn("policy/read")}, {"PolicyDocument", policy("iam:ListRoles")}});
    ok("CreatePolicy", {{"PolicyName", "most"}, {"Path", "/x/"}, {"PolicyDocument", any}});
    ok("CreateUser", {{"UserName", "ada"},
                      {"Path", "/eng/"},
                      {"PermissionsBoundary", arn("policy/x/most")},
                      {"Tags.member.1.Key", "team"},
                      {"Tags.member.1.Value", "models"}});
    ok("CreateGroup", {{"GroupName", "staff"}});
    ok("AddUserToGroup", {{"GroupName", "staff"}, {"UserName", "ada"}});
    ok("CreateRole", {{"RoleName", "train"},
                      {"AssumeRolePolicyDocument",
                       R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",)"
                       R"("Principal":{"Service":"sagemaker.amazonaws.com"}}]})"}});
    ok("PutUserPolicy", {{"UserName", "ada"}, {"PolicyName", "own"}, {"PolicyDocument", any}});
    ok("PutGroupPolicy", {{"GroupName", "staff"}, {"PolicyName", "ours"}, {"PolicyDocument", any}});
    ok("AttachUserPolicy", {{"UserName", "ada"}, {"PolicyArn", arn("policy/read")}});
    ok("AttachRolePolicy", {{"RoleName", "train"}, {"PolicyArn", arn("policy/read")}});
  }
};

TEST(IamAccount, TheDetailsHoldEveryEntityWithWhatHangsOnIt) {
  FullSite s;
  const auto a = s.iam("GetAccountAuthorizationDetails");
  ASSERT_EQ(a.status, 200) << a.body;
  const std::string document = percent_encode(s.any);
  const auto holds = [&](const std::string& text) {
    EXPECT_NE(a.body.find(text), std::string::npos) << text << a.body;
  };
  holds("<UserDetailList><member><Path>/eng/</Path><UserName>ada</UserName>");
  holds("<UserPolicyList><member><PolicyName>own</PolicyName><PolicyDocument>" + document + "</PolicyDocument>");
  holds("<GroupList><member>staff</member></GroupList>");
  holds("<PermissionsBoundaryArn>" + arn("policy/x/most") + "<");
  holds("<Tags><member><Key>team</Key><Value>models</Value></member></Tags>");
  holds("<AttachedManagedPolicies><member><PolicyName>read</PolicyName><PolicyArn>" + arn("policy/read") + "<");
  holds("<GroupPolicyList><member><PolicyName>ours</PolicyName>");
  holds("<InstanceProfileList></InstanceProfileList>");
  holds("<Description>reads</Description>");
  holds("<PermissionsBoundaryUsageCount>1<");
  EXPECT_EQ(a.count("<VersionId>"), 3u);
  EXPECT_EQ(a.count("<IsDefaultVersion>true<"), 2u);
  EXPECT_EQ(a.count("<Document>"), 3u);
}

TEST(IamAccount, DetailsAreFilteredAndComeInPages) {
  FullSite s;
  auto kinds = [](const IamSite::Answer& a) {
    std::string out;
    for (const char* id : {"<UserId>", "<GroupId>", "<RoleId>", "<PolicyId>"}) out += std::to_string(a.count(id)) + " ";
    return out;
  };
  EXPECT_EQ(kinds(s.iam("GetAccountAuthorizationDetails")), "1 1 1 2 ");
  EXPECT_EQ(kinds(s.iam("GetAccountAuthorizationDetails", {{"Filter.member.1", "Role"}, {"Filter.member.2", "User"}})),
            "1 0 1 0 ");
  EXPECT_EQ(kinds(s.iam("GetAccountAuthorizationDetails", {{"Filter.member.1", "LocalManagedPolicy"}})), "0 0 0 2 ");
  EXPECT_EQ(kinds(s.iam("GetAccountAuthorizationDetails", {{"Filter.member.1", "AWSManagedPolicy"}})), "0 0 0 0 ");
  s.refused("GetAccountAuthorizationDetails", {{"Filter.member.1", "Cloud"}}, 400, "ValidationError");
  std::string seen;
  Form form{{"MaxItems", "2"}};
  for (int page = 0; page < 3; ++page) {
    const auto a = s.iam("GetAccountAuthorizationDetails", form);
    EXPECT_EQ(a.element("IsTruncated"), page < 2 ? "true" : "false");
    seen += kinds(a) + "| ";
    form = {{"MaxItems", "2"}, {"Marker", a.element("Marker")}};
  }
  EXPECT_EQ(seen, "1 1 0 0 | 0 0 1 1 | 0 0 0 1 | ");
}

TEST(IamAccount, WhoHasAPolicyAndHow) {
  FullSite s;
  const std::string read = arn("policy/read"), most = arn("policy/x/most");
  s.ok("AttachGroupPolicy", {{"GroupName", "staff"}, {"PolicyArn", read}});
  s.ok("AttachUserPolicy", {{"UserName", "ada"}, {"PolicyArn", most}});  // and her boundary
  auto who = [&](Form form, const std::string& policy) {
    form.emplace_back("PolicyArn", policy);
    const auto a = s.iam("ListEntitiesForPolicy", form);
    EXPECT_EQ(a.status, 200) << a.body;
    std::string out;
    for (const char* name : {"<UserName>ada<", "<GroupName>staff<", "<RoleName>train<"})
      if (const size_t n = a.count(name)) out += std::string(n, name[1]);
    return out;
  };
  EXPECT_EQ(who({}, read), "UGR");
  EXPECT_EQ(who({{"EntityFilter", "Role"}}, read), "R");
  EXPECT_EQ(who({{"EntityFilter", "LocalManagedPolicy"}}, read), "");
  EXPECT_EQ(who({{"PathPrefix", "/eng/"}}, read), "U");
  EXPECT_EQ(who({}, most), "U") << "once";
  EXPECT_EQ(who({{"PolicyUsageFilter", "PermissionsBoundary"}}, most), "U");
  EXPECT_EQ(who({{"PolicyUsageFilter", "PermissionsBoundary"}}, read), "");
  EXPECT_EQ(who({{"PolicyUsageFilter", "PermissionsPolicy"}}, read), "UGR");
  const auto page = s.iam("ListEntitiesForPolicy", {{"PolicyArn", read}, {"MaxItems", "2"}});
  EXPECT_EQ(page.element("IsTruncated"), "true");
  EXPECT_EQ(page.count("<RoleName>"), 0u);
  EXPECT_EQ(who({{"Marker", page.element("Marker")}}, read), "R");
  s.refused("ListEntitiesForPolicy", {{"PolicyArn", arn("policy/none-of-it")}}, 404, "NoSuchEntity");
}

TEST(IamAccount, TheSummaryCounts) {
  FullSite s;
  auto n = [&](const std::string& key) {
    const auto a = s.iam("GetAccountSummary");
    const std::string open = "<key>" + key + "</key><value>";
    const size_t at = a.body.find(open);
    EXPECT_NE(at, std::string::npos) << key << a.body;
    if (at == std::string::npos) return std::string();
    return a.body.substr(at + open.size(), a.body.find('<', at + open.size()) - at - open.size());
  };
  EXPECT_EQ(n("Users"), "1");
  EXPECT_EQ(n("UsersQuota"), "5000");
  EXPECT_EQ(n("Groups"), "1");
  EXPECT_EQ(n("Roles"), "1");
  EXPECT_EQ(n("Policies"), "2");
  EXPECT_EQ(n("PolicyVersionsInUse"), "3");
  EXPECT_EQ(n("VersionsPerPolicyQuota"), "5");
  EXPECT_EQ(n("AccessKeysPerUserQuota"), "2");
  EXPECT_EQ(n("AccountAccessKeysPresent"), "1") << "the administrator's";
  EXPECT_EQ(n("MFADevices"), "0");
  s.ok("CreateVirtualMFADevice", {{"VirtualMFADeviceName", "phone"}});
  EXPECT_EQ(n("MFADevices"), "1");
  EXPECT_EQ(n("MFADevicesInUse"), "0");
}

TEST(IamAccount, AnAccountHasOneAliasAndNoOtherHasIt) {
  IamSite s;
  auto alias = [&] { return s.iam("ListAccountAliases").element("member"); };
  EXPECT_EQ(alias(), "");
  s.ok("CreateAccountAlias", {{"AccountAlias", "north"}});
  EXPECT_EQ(alias(), "north");
  s.refused("CreateAccountAlias", {{"AccountAlias", "north"}}, 409, "EntityAlreadyExists");
  s.ok("CreateAccountAlias", {{"AccountAlias", "north-2"}});
  EXPECT_EQ(alias(), "north-2");
  EXPECT_EQ(s.iam("ListAccountAliases").count("<member>"), 1u) << "in place of the one before";
  for (const char* bad : {"ab", "North", "-north", "north-", "no--rth", "no_rth"})
    s.refused("CreateAccountAlias", {{"AccountAlias", bad}}, 400, "ValidationError");
  s.refused("CreateAccountAlias", {{"AccountAlias", "444455556666"}}, 400, "InvalidInput");
  s.refused("DeleteAccountAlias", {{"AccountAlias", "north"}}, 404, "NoSuchEntity");
  ASSERT_TRUE(
      s.db->write([&](store::Txn& txn) { return security::iam::set_alias(txn, "444455556666", "south", 1); }).ok());
  s.refused("CreateAccountAlias", {{"AccountAlias", "south"}}, 409, "EntityAlreadyExists");
  s.refused("DeleteAccountAlias", {{"AccountAlias", "south"}}, 404, "NoSuchEntity");
  s.ok("DeleteAccountAlias", {{"AccountAlias", "north-2"}});
  EXPECT_EQ(alias(), "");
}

TEST(IamAccount, ThePersonsAliasLogsIn) {
  IamSite s;
  s.ok("CreateUser", {{"UserName", "ada"}});
  s.ok("CreateLoginProfile", {{"UserName", "ada"}, {"Password", "a long password"}});
  s.ok("CreateAccountAlias", {{"AccountAlias", "north"}});
  auto log_in = [&](const std::string& account) {
    testing::Request r;
    r.method = "POST";
    r.path = "/holdfast/v1/log-in";
    r.headers = {{"content-type", "application/json"}};
    r.body = R"({"account":")" + account + R"(","user":"ada","password":"a long password"})";
    return s.send(*s.gate, r)->status;
  };
  EXPECT_EQ(log_in("north"), 200);
  EXPECT_EQ(log_in(testing::kAccount), 200);
  EXPECT_EQ(log_in("south"), 403);
}

TEST(IamAccount, TheCredentialReportIsWhatWasSoWhenItWasMade) {
  IamSite s;
  s.refused("GetCredentialReport", {}, 410, "ReportNotPresent");
  s.ok("CreateUser", {{"UserName", "ada"}});
  s.ok("CreateUser", {{"UserName", "a,b"}});
  s.ok("CreateLoginProfile", {{"UserName", "ada"}, {"Password", "a long password"}});
  const auto key = s.key_of("ada");
  s.ok("PutUserPolicy", {{"UserName", "ada"}, {"PolicyName", "p"}, {"PolicyDocument", IamSite::policy("iam:*")}});
  EXPECT_TRUE(s.may(key));
  const auto second = s.key_of("ada");
  s.ok("UpdateAccessKey", {{"UserName", "ada"}, {"AccessKeyId", second.id}, {"Status", "Inactive"}});
  EXPECT_EQ(s.iam("GenerateCredentialReport").element("State"), "COMPLETE");
  const std::string made = s.ledger.all.back().detail;
  s.ok("CreateUser", {{"UserName", "later"}});
  const auto a = s.iam("GetCredentialReport");
  EXPECT_EQ(a.element("ReportFormat"), "text/csv");
  const std::string text = unbase64(a.element("Content")).value();
  EXPECT_EQ(made, R"({"ContentSha256":")" + crypto::sha256_hex(text) + R"("})");
  std::vector<std::string> lines;
  for (auto line : split(text, '\n')) lines.emplace_back(line);
  ASSERT_EQ(lines.size(), 6u) << text;  // the last is empty
  const auto columns = split(lines[0], ',').size();
  EXPECT_EQ(columns, 22u);
  for (size_t i : {1u, 2u, 4u}) EXPECT_EQ(split(lines[i], ',').size(), columns) << lines[i];
  EXPECT_TRUE(lines[1].starts_with("<root_account>," + arn("root") + ","));
  EXPECT_TRUE(lines[2].starts_with("administrator," + arn("user/administrator") + ","));
  EXPECT_TRUE(lines[3].starts_with("\"a,b\",\"" + arn("user/a,b") + "\",")) << lines[3];
  const std::string now = iso8601(s.clock.now());
  // One key was used, one never.
  const std::string used = ",true," + now + "," + now + ",site-1,iam", unused = ",false," + now + ",N/A,N/A,N/A";
  const std::string head = "ada," + arn("user/ada") + "," + now + ",true,no_information,no_information,N/A,false";
  const std::string tail = ",false,N/A,false,N/A";
  EXPECT_TRUE(lines[4] == head + used + unused + tail || lines[4] == head + unused + used + tail) << lines[4];
  for (const auto& secret : {key.secret, second.secret, std::string("a long password")})
    EXPECT_EQ(text.find(secret), std::string::npos);
  s.clock.advance(4 * 3'600'000'000 + 1);
  s.refused("GetCredentialReport", {}, 410, "ReportExpired");
  EXPECT_EQ(s.iam("GenerateCredentialReport").element("State"), "COMPLETE");
  EXPECT_NE(unbase64(s.iam("GetCredentialReport").element("Content")).value().find("\nlater,"), std::string::npos);
}

}  // namespace
}  // namespace hf::api
