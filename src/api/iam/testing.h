// For tests of IAM and STS: a site with real keys, and forms that are signed and sent.
#pragma once

#include <gtest/gtest.h>

#include "api/testing.h"
#include "security/iam.h"

namespace hf::api::testing {

inline constexpr const char* kAccount = "111122223333";

struct IamSite : MemorySite {
  struct Credentials {
    std::string id, secret, token = {};
  };
  using Form = std::vector<std::pair<std::string, std::string>>;
  struct Answer {
    int status = 0;
    std::string body;
    // The text of the first element of the name, or "".
    std::string element(const std::string& name) const {
      const size_t at = body.find("<" + name + ">");
      if (at == body.npos) return "";
      const size_t from = at + name.size() + 2;
      return body.substr(from, body.find('<', from) - from);
    }
    std::string code() const { return element("Code"); }
    size_t count(const std::string& text) const {
      size_t n = 0;
      for (size_t at = body.find(text); at != body.npos; at = body.find(text, at + 1)) ++n;
      return n;
    }
  };
  Credentials admin, api;
  std::unique_ptr<Gate> gate;

  IamSite() {
    real_keys = std::move(security::Keys::open(*db, clock, random, crypto::Secret(std::string(32, 'r')))).value();
    check(db->write([&](store::Txn& txn) -> Status {
              TRY(real_keys->create_account(txn, kAccount, "main"));
              security::KeyInfo spec;
              spec.account = kAccount;
              spec.name = "administrator";
              spec.administrator = true;
              spec.kind = "access";
              auto [info, secret] = TRY(real_keys->create(txn, spec));
              admin = {info.id, std::string(secret.reveal())};
              return {};
            }).ok(),
          "the administrator");
    gate = std::make_unique<Gate>(site(), all_services());
  }

  Answer send_as(const Credentials& who, const std::string& service, const std::string& action, const Form& form) {
    Request r;
    r.method = "POST";
    r.headers = {{"content-type", "application/x-www-form-urlencoded"}};
    if (!who.token.empty()) r.headers.emplace_back("x-amz-security-token", who.token);
    r.body = "Action=" + action + "&Version=" + (service == "iam" ? "2010-05-08" : "2011-06-15");
    for (const auto& [name, value] : form) r.body += "&" + name + "=" + percent_encode(value);
    if (!who.id.empty()) sign(r, service, who.id, who.secret);
    auto e = send(*gate, r);
    return {e->status, e->body};
  }
  Answer iam(const std::string& action, const Form& form = {}) { return send_as(admin, "iam", action, form); }
  Answer sts_as(const Credentials& who, const std::string& action, const Form& form = {}) {
    return send_as(who, "sts", action, form);
  }
  void ok(const std::string& action, const Form& form) {
    const Answer a = iam(action, form);
    EXPECT_EQ(a.status, 200) << action << ": " << a.body;
  }
  void refused(const std::string& action, const Form& form, int status, const std::string& code) {
    const Answer a = iam(action, form);
    EXPECT_EQ(a.status, status) << action << ": " << a.body;
    EXPECT_EQ(a.code(), code) << action << ": " << a.body;
  }
  Credentials key_of(const std::string& user) {
    const Answer a = iam("CreateAccessKey", {{"UserName", user}});
    EXPECT_EQ(a.status, 200) << a.body;
    return {a.element("AccessKeyId"), a.element("SecretAccessKey")};
  }
  bool may(const Credentials& who, const std::string& action = "ListUsers") {
    const Answer a = send_as(who, "iam", action, {});
    EXPECT_TRUE(a.status == 200 || a.status == 403) << a.status << " " << a.body;
    return a.status == 200;
  }
  static std::string policy(const std::string& action, const std::string& effect = "Allow",
                            const std::string& resource = "*") {
    return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":")" + action +
           R"(","Resource":")" + resource + R"("}]})";
  }
};

}  // namespace hf::api::testing
