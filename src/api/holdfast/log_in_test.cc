// People log in through the gate: passwords, devices, and what may be done with what they get.
#include <boost/json.hpp>

#include "api/iam/testing.h"
#include "base/bytes.h"
#include "crypto/password.h"
#include "wire/json.h"

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::IamSite;
using testing::kAccount;
using testing::Request;
using Credentials = IamSite::Credentials;

constexpr const char* kPassword = "a long password";
const std::string kAda = std::string("arn:aws:iam::") + kAccount + ":user/ada";

struct LogInSite : IamSite {
  struct Reply {
    int status = 0;
    std::string text;
    Credentials credentials;
    std::string error;
  };
  std::string serial, seed;
  LogInSite() {
    ok("CreateUser", {{"UserName", "ada"}});
    ok("CreateLoginProfile", {{"UserName", "ada"}, {"Password", kPassword}});
  }
  Reply log_in(json::object body, const char* bearer = nullptr, bool with_signature = false) {
    Request r;
    r.method = "POST";
    r.path = "/holdfast/v1/log-in";
    r.body = json::serialize(body);
    r.headers = {{"content-type", "application/json"}};
    if (bearer) r.headers.emplace_back("authorization", bearer);
    if (with_signature) sign(r, "holdfast", admin.id, admin.secret);
    auto e = send(*gate, r);
    Reply out{e->status, e->body, {}, std::string(e->headers.get("x-amzn-errortype"))};
    auto v = wire::parse_json(e->body);
    if (!v.ok() || e->status != 200) return out;
    auto text = [&](const char* name) { return std::string(v->at(name).as_string()); };
    out.credentials = {text("access_key_id"), text("secret_access_key"), text("session_token")};
    return out;
  }
  Reply ada(const std::string& password = kPassword, const std::string& code = "") {
    json::object body{{"user", "ada"}, {"password", password}};
    if (!code.empty()) body["code"] = code;
    return log_in(std::move(body));
  }
  std::string code(int64_t later = 0) { return crypto::one_time_code(seed, clock.now() / 30'000'000 + later); }
  void device() {
    const Answer made = iam("CreateVirtualMFADevice", {{"VirtualMFADeviceName", "phone"}});
    serial = made.element("SerialNumber");
    const std::string text = *unbase64(made.element("Base32StringSeed"));
    uint32_t bits = 0;
    int n = 0;
    seed.clear();
    for (char c : text) {
      bits = bits << 5 | static_cast<uint32_t>(std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").find(c));
      if ((n += 5) < 8) continue;
      n -= 8;
      seed += static_cast<char>(bits >> n);
    }
    refused("EnableMFADevice",
            {{"UserName", "ada"},
             {"SerialNumber", serial},
             {"AuthenticationCode1", code()},
             {"AuthenticationCode2", code()}},
            400, "InvalidAuthenticationCode");
    ok("EnableMFADevice", {{"UserName", "ada"},
                           {"SerialNumber", serial},
                           {"AuthenticationCode1", code(-1)},
                           {"AuthenticationCode2", code()}});
    clock.advance(60'000'000);
  }
};

TEST(LogIn, APasswordGivesASession) {
  LogInSite s;
  s.ok("PutUserPolicy",
       {{"UserName", "ada"}, {"PolicyName", "p"}, {"PolicyDocument", IamSite::policy("iam:ListUsers")}});
  const auto in = s.ada();
  ASSERT_EQ(in.status, 200) << in.text;
  const auto& entry = s.ledger.all.back();
  EXPECT_EQ(entry.action, "holdfast:LogIn");
  EXPECT_EQ(entry.principal, kAda);
  EXPECT_EQ(entry.reason, "everyone");
  for (const std::string& secret : {std::string(kPassword), in.credentials.secret, in.credentials.token})
    EXPECT_EQ(entry.detail.find(secret), std::string::npos);
  EXPECT_EQ(s.sts_as(in.credentials, "GetCallerIdentity").element("Arn"), kAda);
  EXPECT_TRUE(s.may(in.credentials));
  EXPECT_EQ(s.send_as(in.credentials, "iam", "CreateUser", {{"UserName", "x"}}).status, 403);
  s.clock.advance(43'200'000'000);
  EXPECT_EQ(s.sts_as(in.credentials, "GetCallerIdentity").code(), "ExpiredToken");
}

TEST(LogIn, NobodyElseGetsIn) {
  LogInSite s;
  const auto denied = [&](const LogInSite::Reply& r, const char* name) {
    EXPECT_EQ(r.status, 403) << r.text;
    EXPECT_TRUE(r.error.starts_with(name)) << r.error << r.text;
    EXPECT_EQ(s.ledger.all.back().decision, "deny");
    EXPECT_EQ(s.ledger.all.back().reason, name);
    s.clock.advance(3600'000'000);
  };
  denied(s.ada("a long passwort"), "LogInFailed");
  denied(s.log_in({{"user", "eve"}, {"password", kPassword}}), "LogInFailed");
  denied(s.log_in({{"user", "administrator"}, {"password", kPassword}}), "LogInFailed");
  denied(s.log_in({{"user", "ada"}, {"password", kPassword}, {"account", "444455556666"}}), "LogInFailed");
  EXPECT_EQ(s.ada("").status, 400);
  EXPECT_EQ(s.log_in({{"user", "ada"}, {"password", kPassword}, {"more", 1}}).status, 400);
  // With a signature or a key beside it, it is refused: credentials in one place.
  EXPECT_EQ(s.log_in({{"user", "ada"}, {"password", kPassword}}, "Bearer hf-nobody").status, 403);
  denied(s.log_in({{"user", "ada"}, {"password", kPassword}}, nullptr, true), "IncompleteSignature");
  s.ok("DeleteLoginProfile", {{"UserName", "ada"}});
  denied(s.ada(), "LogInFailed");
}

TEST(LogIn, ADeniedUserStaysOut) {
  LogInSite s;
  s.ok("PutUserPolicy",
       {{"UserName", "ada"}, {"PolicyName", "p"}, {"PolicyDocument", IamSite::policy("sts:GetSessionToken", "Deny")}});
  const auto r = s.ada();
  EXPECT_EQ(r.status, 403) << r.text;
  EXPECT_EQ(s.ledger.all.back().principal, kAda);
}

TEST(LogIn, ASecondFactor) {
  LogInSite s;
  s.device();
  EXPECT_EQ(s.ada().error, "SecondFactorRequired");
  EXPECT_EQ(s.ada().status, 403);
  EXPECT_EQ(s.ada("a long passwort", s.code()).status, 403);
  EXPECT_EQ(s.ada(kPassword, "000000").status, 403);
  s.clock.advance(3600'000'000);
  const std::string used = s.code();
  const auto in = s.ada(kPassword, used);
  ASSERT_EQ(in.status, 200) << in.text;
  EXPECT_EQ(s.ada(kPassword, used).status, 403);  // once
  // It is told to policies.
  s.ok(
      "PutUserPolicy",
      {{"UserName", "ada"},
       {"PolicyName", "p"},
       {"PolicyDocument",
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]})"}});
  EXPECT_TRUE(s.may(in.credentials));
  const Credentials key = s.key_of("ada");
  EXPECT_FALSE(s.may(key));
  // And by STS, of a key with the same device.
  s.clock.advance(60'000'000);
  const auto with = s.sts_as(key, "GetSessionToken", {{"SerialNumber", s.serial}, {"TokenCode", s.code()}});
  ASSERT_EQ(with.status, 200) << with.body;
  EXPECT_TRUE(s.may({with.element("AccessKeyId"), with.element("SecretAccessKey"), with.element("SessionToken")}));
  EXPECT_EQ(s.sts_as(key, "GetSessionToken", {{"SerialNumber", s.serial}, {"TokenCode", s.code()}}).code(),
            "AccessDenied");
  EXPECT_EQ(s.sts_as(key, "GetSessionToken", {{"SerialNumber", s.serial}}).code(), "ValidationError");
  const auto listed = s.iam("ListMFADevices", {{"UserName", "ada"}});
  EXPECT_EQ(listed.element("SerialNumber"), s.serial);
  EXPECT_EQ(s.iam("ListVirtualMFADevices", {{"AssignmentStatus", "Unassigned"}}).count("<SerialNumber>"), 0u);
  EXPECT_EQ(s.iam("ListVirtualMFADevices", {{"AssignmentStatus", "Assigned"}}).count("<SerialNumber>"), 1u);
  s.refused("DeleteVirtualMFADevice", {{"SerialNumber", s.serial}}, 409, "DeleteConflict");
  s.ok("DeactivateMFADevice", {{"UserName", "ada"}, {"SerialNumber", s.serial}});
  s.ok("DeleteVirtualMFADevice", {{"SerialNumber", s.serial}});
  EXPECT_EQ(s.ada().status, 200);
}

TEST(LogIn, ARoleThatAsksForASecondFactor) {
  LogInSite s;
  s.device();
  s.ok("CreateRole",
       {{"RoleName", "careful"},
        {"AssumeRolePolicyDocument",
         R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":")" + kAda +
             R"("},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]})"}});
  const Credentials key = s.key_of("ada");
  IamSite::Form form = {{"RoleArn", std::string("arn:aws:iam::") + kAccount + ":role/careful"},
                        {"RoleSessionName", "one"}};
  EXPECT_EQ(s.sts_as(key, "AssumeRole", form).code(), "AccessDenied");
  form.insert(form.end(), {{"SerialNumber", s.serial}, {"TokenCode", "000000"}});
  EXPECT_EQ(s.sts_as(key, "AssumeRole", form).code(), "AccessDenied");
  form.back().second = s.code();
  EXPECT_EQ(s.sts_as(key, "AssumeRole", form).status, 200);
  EXPECT_EQ(s.sts_as(key, "AssumeRole", form).code(), "AccessDenied");  // the code is used
}

TEST(LogIn, APasswordThatMustBeChanged) {
  LogInSite s;
  s.ok("UpdateLoginProfile", {{"UserName", "ada"}, {"PasswordResetRequired", "true"}});
  EXPECT_EQ(s.ada().error, "PasswordChangeRequired");
  const auto with = [&](const std::string& fresh) {
    return s.log_in({{"user", "ada"}, {"password", kPassword}, {"new_password", fresh}});
  };
  EXPECT_EQ(with("short").status, 400);
  EXPECT_EQ(with(kPassword).status, 400);
  EXPECT_EQ(with("another password").status, 200);
  EXPECT_EQ(s.ada().status, 403);
  EXPECT_EQ(s.ada("another password").status, 200);
  // One's own, with a right to it.
  const Credentials key = s.key_of("ada");
  const IamSite::Form change = {{"OldPassword", "another password"}, {"NewPassword", "a third password"}};
  EXPECT_EQ(s.send_as(key, "iam", "ChangePassword", change).code(), "AccessDenied");
  s.ok("PutUserPolicy", {{"UserName", "ada"},
                         {"PolicyName", "p"},
                         {"PolicyDocument", IamSite::policy("iam:ChangePassword", "Allow", kAda)}});
  EXPECT_EQ(
      s.send_as(key, "iam", "ChangePassword", {{"OldPassword", "wrong password"}, {"NewPassword", "a third password"}})
          .code(),
      "AccessDenied");
  EXPECT_EQ(s.send_as(key, "iam", "ChangePassword", change).status, 200);
  EXPECT_EQ(s.ada("a third password").status, 200);
  EXPECT_EQ(s.iam("GetLoginProfile", {{"UserName", "ada"}}).element("PasswordResetRequired"), "false");
  s.refused("CreateLoginProfile", {{"UserName", "ada"}, {"Password", kPassword}}, 409, "EntityAlreadyExists");
  s.refused("DeleteUser", {{"UserName", "ada"}}, 409, "DeleteConflict");
}

// Each of the log-in's operations that changes or gives something.
TEST(LogIn, NothingHappensWithoutItsEntry) {
  LogInSite s;
  s.device();
  s.ok("CreateUser", {{"UserName", "bob"}});
  s.ok("CreateVirtualMFADevice", {{"VirtualMFADeviceName", "spare"}});
  const Credentials key = s.key_of("ada");
  s.ok("PutUserPolicy",
       {{"UserName", "ada"}, {"PolicyName", "p"}, {"PolicyDocument", IamSite::policy("iam:ChangePassword")}});
  const std::string spare = std::string("arn:aws:iam::") + kAccount + ":mfa/spare";
  const IamSite::Form change = {{"OldPassword", kPassword}, {"NewPassword", "another password"}};
  EXPECT_EQ(s.sts_as(key, "GetCallerIdentity").status, 200);  // its first use is written down
  const std::string before = testing::everything(*s.db), code = s.code();
  s.ledger.broken = true;
  const auto r = s.ada(kPassword, code);
  EXPECT_EQ(r.status, 503) << r.text;
  EXPECT_EQ(testing::everything(*s.db), before);
  for (const auto& [action, form] : std::vector<std::pair<std::string, IamSite::Form>>{
           {"CreateLoginProfile", {{"UserName", "bob"}, {"Password", kPassword}}},
           {"UpdateLoginProfile", {{"UserName", "ada"}, {"Password", "another password"}}},
           {"DeleteLoginProfile", {{"UserName", "ada"}}},
           {"CreateVirtualMFADevice", {{"VirtualMFADeviceName", "b"}}},
           {"DeleteVirtualMFADevice", {{"SerialNumber", spare}}},
           {"DeactivateMFADevice", {{"UserName", "ada"}, {"SerialNumber", s.serial}}}}) {
    EXPECT_EQ(s.iam(action, form).status, 503) << action;
    EXPECT_EQ(testing::everything(*s.db), before) << action;
  }
  EXPECT_EQ(s.send_as(key, "iam", "ChangePassword", change).status, 503);
  EXPECT_EQ(testing::everything(*s.db), before);
  s.ledger.broken = false;
  EXPECT_EQ(s.send_as(key, "iam", "ChangePassword", change).status, 200);
  EXPECT_EQ(s.ada("another password", code).status, 200);
  s.ok("DeactivateMFADevice", {{"UserName", "ada"}, {"SerialNumber", s.serial}});
  s.clock.advance(60'000'000);
  const IamSite::Form enable = {{"UserName", "ada"},
                                {"SerialNumber", s.serial},
                                {"AuthenticationCode1", s.code(-1)},
                                {"AuthenticationCode2", s.code()}};
  const std::string off = testing::everything(*s.db);
  s.ledger.broken = true;
  EXPECT_EQ(s.iam("EnableMFADevice", enable).status, 503);
  EXPECT_EQ(testing::everything(*s.db), off);
  s.ledger.broken = false;
  s.ok("EnableMFADevice", enable);
}

}  // namespace
}  // namespace hf::api
