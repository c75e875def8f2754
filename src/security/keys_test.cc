#include "security/keys.h"

#include <gtest/gtest.h>

#include "security/site_testing.h"

namespace hf::security {
namespace {

using testing::read_text;
using testing::TestSite;

constexpr const char* kAccount = "000000000001";
constexpr const char* kReadOnly =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]})";

struct WithKeys : TestSite {
  std::unique_ptr<Keys> keys;
  explicit WithKeys(const std::string& name) : TestSite("keys_" + name) {
    check(open().ok(), "the site opens");
    keys = *Keys::open(*db, clock, random, root());
    check(write([&](store::Txn& txn) { return keys->create_account(txn, kAccount, "main"); }).ok(), "an account");
  }
  ~WithKeys() { keys.reset(); }
  static crypto::Secret root() { return crypto::Secret(std::string(32, 'r')); }
  Status write(const std::function<Status(store::Txn&)>& fn) { return db->write(fn); }
  Result<std::pair<KeyInfo, crypto::Secret>> create(KeyInfo spec) {
    std::optional<std::pair<KeyInfo, crypto::Secret>> made;
    TRY(write([&](store::Txn& txn) -> Status {
      made = TRY(keys->create(txn, spec));
      return {};
    }));
    return *made;
  }
  static KeyInfo spec(const std::string& kind) {
    KeyInfo s;
    s.account = kAccount;
    s.name = "ada";
    s.kind = kind;
    s.policy = kReadOnly;
    return s;
  }
};

TEST(Keys, AccessKeysAreFoundWithTheirSecretAndPolicy) {
  WithKeys site("access");
  auto [info, secret] = *site.create(WithKeys::spec("access"));
  EXPECT_EQ(info.id.substr(0, 4), "AKIA");
  EXPECT_EQ(info.id.size(), 20u);
  EXPECT_EQ(secret.reveal().size(), 40u);
  for (int again = 0; again < 2; ++again) {
    auto found = *site.keys->by_access_key(info.id);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->secret.reveal(), secret.reveal());
    EXPECT_EQ(found->identity.arn, "arn:aws:iam::000000000001:user/ada");
    EXPECT_EQ(found->identity.access_key_id, info.id);
    EXPECT_FALSE(found->identity.administrator);
    EXPECT_TRUE(evaluate(found->identity, "s3:GetObject", "arn:aws:s3:::b/k").allowed);
    EXPECT_FALSE(evaluate(found->identity, "s3:PutObject", "arn:aws:s3:::b/k").allowed);
  }
  EXPECT_FALSE(*site.keys->by_access_key("AKIANOBODY0000000000"));
  EXPECT_FALSE(*site.keys->by_access_key(std::string(1000, 'A')));
  EXPECT_FALSE(*site.keys->by_bearer(secret.reveal()));
}

TEST(Keys, ApiKeysAreFoundByTheirTokenAlone) {
  WithKeys site("api");
  auto [info, token] = *site.create(WithKeys::spec("api"));
  EXPECT_EQ(info.id.substr(0, 4), "HFAK");
  EXPECT_EQ(token.reveal().substr(0, 3), "hf-");
  EXPECT_EQ((*site.keys->by_bearer(token.reveal()))->account, kAccount);
  std::string other(token.reveal());
  other.back() = other.back() == 'A' ? 'B' : 'A';
  EXPECT_FALSE(*site.keys->by_bearer(other));
  EXPECT_FALSE(*site.keys->by_bearer(info.id));
  EXPECT_FALSE(*site.keys->by_bearer(""));
  EXPECT_FALSE(*site.keys->by_access_key(info.id));
}

TEST(Keys, ARemovalIsSeenAtOnceAndARolledBackOneIsNot) {
  WithKeys site("remove");
  for (const char* kind : {"access", "api"}) {
    auto [info, secret] = *site.create(WithKeys::spec(kind));
    auto there = [&, i = info, s = secret] {
      return i.kind == "access" ? site.keys->by_access_key(i.id)->has_value()
                                : site.keys->by_bearer(s.reveal())->has_value();
    };
    EXPECT_TRUE(there());
    EXPECT_EQ(site.write([&, i = info](store::Txn& txn) { return site.keys->remove(txn, "000000000002", i.id); })
                  .error()
                  .code,
              Code::not_found);
    auto s = site.write([&, i = info](store::Txn& txn) -> Status {
      TRY(site.keys->remove(txn, kAccount, i.id));
      return fail(Code::conflict, "taken back");
    });
    EXPECT_FALSE(s.ok());
    EXPECT_TRUE(there());
    ASSERT_TRUE(site.write([&, i = info](store::Txn& txn) { return site.keys->remove(txn, kAccount, i.id); }).ok());
    EXPECT_FALSE(there());
  }
  EXPECT_TRUE(site.keys->list("")->empty());
}

TEST(Keys, TheyEndWhenTheyExpire) {
  WithKeys site("expire");
  auto spec = WithKeys::spec("access");
  spec.expires = site.clock.now() + 1'000'000;
  auto [info, secret] = *site.create(spec);
  EXPECT_TRUE(*site.keys->by_access_key(info.id));
  site.clock.advance(1'000'000);
  EXPECT_FALSE(*site.keys->by_access_key(info.id));
}

TEST(Keys, SpecsAreChecked) {
  WithKeys site("spec");
  auto refused = [&](auto change) {
    auto spec = WithKeys::spec("access");
    change(spec);
    auto made = site.create(spec);
    return made.ok() ? "accepted" : std::string(made.error().message);
  };
  EXPECT_EQ(refused([](KeyInfo&) {}), "accepted");
  EXPECT_NE(refused([](KeyInfo& s) { s.account = "000000000009"; }).find("no account"), std::string::npos);
  EXPECT_NE(refused([](KeyInfo& s) { s.account = "1"; }).find("12 digits"), std::string::npos);
  EXPECT_NE(refused([](KeyInfo& s) { s.name = "a/b"; }).find("name"), std::string::npos);
  EXPECT_NE(refused([](KeyInfo& s) { s.kind = "root"; }).find("kind"), std::string::npos);
  EXPECT_NE(refused([](KeyInfo& s) { s.expires = 1; }).find("expires"), std::string::npos);
  EXPECT_NE(refused([](KeyInfo& s) { s.policy = "{}"; }).find("policy"), std::string::npos);
  EXPECT_EQ(site.keys->list(kAccount)->size(), 1u);
  EXPECT_EQ(site.keys->list("000000000009")->size(), 0u);
  EXPECT_EQ(site.write([&](store::Txn& txn) { return site.keys->create_account(txn, kAccount, "x"); }).error().code,
            Code::conflict);
  EXPECT_EQ(site.keys->accounts()->size(), 1u);
}

TEST(Keys, NoSecretLiesOnTheDiskInClear) {
  WithKeys site("sealed");
  auto [access, secret] = *site.create(WithKeys::spec("access"));
  auto [api, token] = *site.create(WithKeys::spec("api"));
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(site.folder)) all += read_text(entry.path().string());
  EXPECT_NE(all.find(access.id), std::string::npos);
  EXPECT_EQ(all.find(secret.reveal()), std::string::npos);
  EXPECT_EQ(all.find(token.reveal()), std::string::npos);
  EXPECT_EQ(all.find(token.reveal().substr(3)), std::string::npos);
}

TEST(Keys, ASecretOpensOnlyInItsOwnRowAndUnderTheRootKey) {
  WithKeys site("rows");
  auto [one, secret_one] = *site.create(WithKeys::spec("access"));
  auto [two, secret_two] = *site.create(WithKeys::spec("access"));
  auto other = *Keys::open(*site.db, site.clock, site.random, crypto::Secret(std::string(32, 'x')));
  EXPECT_EQ(other->by_access_key(one.id).error().code, Code::corrupt);
  ASSERT_TRUE(
      site.write([id = one.id, from = two.id](store::Txn& txn) -> Status {
            auto q = TRY(txn.query(
                "UPDATE security_keys SET sealed = (SELECT sealed FROM security_keys WHERE id = ?) WHERE id = ?"));
            q.bind(std::string_view(from)).bind(std::string_view(id));
            return q.run();
          })
          .ok());
  EXPECT_EQ(site.keys->by_access_key(one.id).error().code, Code::corrupt);
  EXPECT_TRUE(site.keys->by_access_key(two.id).ok());
  EXPECT_EQ(Keys::open(*site.db, site.clock, site.random, crypto::Secret("short")).error().code, Code::corrupt);
}

}  // namespace
}  // namespace hf::security
