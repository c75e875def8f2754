#include "security/sessions.h"

#include <gtest/gtest.h>

#include "os/fake.h"

namespace hf::security {
namespace {

constexpr const char* kAccount = "111122223333";
constexpr Micros kSecond = 1'000'000;

struct SessionsTest : ::testing::Test {
  os::FakeClock clock;
  os::FakeRandom random;
  os::FakeFs fs;
  std::unique_ptr<store::Db> db;
  crypto::Secret root{std::string(32, 'r')};
  std::unique_ptr<Keys> keys;
  std::unique_ptr<Sessions> sessions;
  iam::Entity role, user;
  KeyInfo key;

  SessionsTest() {
    check(fs.make_dirs("/state").ok() && fs.sync_dir("/").ok(), "a folder");
    db = std::move(*store::Db::open(fs, random, "/state/meta.db"));
    keys = std::move(*Keys::open(*db, clock, random, root));
    again();
    check(db->write([&](store::Txn& txn) -> Status {
              TRY(keys->create_account(txn, kAccount, "main"));
              role = TRY(iam::insert(txn, random,
                                     {.kind = iam::Kind::role,
                                      .account = kAccount,
                                      .name = "train",
                                      .id = "",
                                      .path = "/ml/",
                                      .trust = "{}"}));
              TRY(iam::put_document(txn, role, {"own", policy("s3:*"), 1}));
              user = TRY(
                  iam::insert(txn, random, {.kind = iam::Kind::user, .account = kAccount, .name = "ada", .id = ""}));
              KeyInfo spec;
              spec.account = kAccount;
              spec.name = "ada";
              spec.kind = "access";
              spec.user_id = user.id;
              key = TRY(keys->create(txn, spec)).first;
              return {};
            }).ok(),
          "a role and a user");
  }
  void again() { sessions = std::make_unique<Sessions>(*db, clock, random, *keys, root); }
  void write(const std::function<Status(store::Txn&)>& fn) {
    auto s = db->write(fn);
    ASSERT_TRUE(s.ok()) << s.error().message;
  }
  static std::string policy(const std::string& action) {
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":")" + action + R"(","Resource":"*"}]})";
  }
  Session of_role() const {
    Session s;
    s.account = kAccount;
    s.principal = role.id;
    s.name = "morning";
    return s;
  }
  Session of_key() const {
    Session s;
    s.kind = Session::Kind::key;
    s.account = kAccount;
    s.principal = key.id;
    return s;
  }
  Sessions::Issued give(Session s, int64_t seconds = 3600) {
    auto issued = sessions->issue(std::move(s), seconds);
    check(issued.ok(), "a session is given");
    return std::move(*issued);
  }
  std::string refusal(const std::string& id, const std::string& token) {
    auto found = sessions->open(id, token);
    return found.ok() ? "open" : found.error().name;
  }
  static bool may(const Identity& who, const char* action) { return evaluate(who, action, "*").allowed; }
};

TEST_F(SessionsTest, ARolesSessionIsTheRoleUnderItsOwnName) {
  const auto issued = give(of_role());
  EXPECT_TRUE(issued.access_key_id.starts_with("ASIA"));
  EXPECT_EQ(issued.access_key_id.size(), 20u);
  EXPECT_EQ(issued.expires, clock.now() + 3600 * kSecond);
  EXPECT_EQ(issued.packed_percent, 0);
  for (int restart = 0; restart < 2; ++restart) {
    auto found = sessions->open(issued.access_key_id, issued.token);
    ASSERT_TRUE(found.ok()) << found.error().message;
    const Identity& who = found->identity;
    EXPECT_EQ(found->secret.reveal(), issued.secret.reveal());
    EXPECT_EQ(who.arn, "arn:aws:sts::111122223333:assumed-role/train/morning");
    EXPECT_EQ(who.role_arn, "arn:aws:iam::111122223333:role/ml/train");
    EXPECT_EQ(who.user_id, role.id + ":morning");
    EXPECT_EQ(who.access_key_id, issued.access_key_id);
    EXPECT_TRUE(who.temporary);
    EXPECT_FALSE(who.session);
    EXPECT_EQ(who.facts.at("aws:tokenissuetime"), std::vector<std::string>{iso8601(clock.now())});
    EXPECT_EQ(who.facts.at("aws:multifactorauthpresent"), std::vector<std::string>{"false"});
    EXPECT_TRUE(may(who, "s3:GetObject"));
    EXPECT_FALSE(may(who, "iam:ListUsers"));
    again();  // a restart
  }
}

TEST_F(SessionsTest, NoByteOfATokenCanBeChanged) {
  const auto issued = give(of_role());
  for (size_t i = 0; i < issued.token.size(); ++i) {
    std::string token = issued.token;
    token[i] = token[i] == 'A' ? 'B' : 'A';
    if (token == issued.token) continue;
    EXPECT_EQ(refusal(issued.access_key_id, token), "InvalidToken") << i;
  }
  for (size_t n : {size_t{0}, size_t{1}, size_t{30}, issued.token.size() - 1})
    EXPECT_EQ(refusal(issued.access_key_id, issued.token.substr(0, n)), "InvalidToken") << n;
  EXPECT_EQ(refusal(issued.access_key_id, issued.token + "A"), "InvalidToken");
  EXPECT_EQ(refusal(issued.access_key_id, std::string(1 << 20, 'A')), "InvalidToken");
  const auto other = give(of_role());
  EXPECT_EQ(refusal(other.access_key_id, issued.token), "InvalidToken");
  EXPECT_EQ(refusal(issued.access_key_id, other.token), "InvalidToken");
  // Another purpose's text, and another site's token.
  Sealer denials(root, "denial", random);
  EXPECT_EQ(refusal(issued.access_key_id, denials.seal("{}", kAccount)), "InvalidToken");
  Sessions stranger(*db, clock, random, *keys, crypto::Secret(std::string(32, 'x')));
  const auto foreign = std::move(*stranger.issue(of_role(), 3600));
  EXPECT_EQ(refusal(foreign.access_key_id, foreign.token), "InvalidToken");
  EXPECT_EQ(refusal(issued.access_key_id, issued.token), "open");
}

TEST_F(SessionsTest, ASessionEnds) {
  const auto issued = give(of_role(), 900);
  clock.advance(900 * kSecond - 1);
  EXPECT_EQ(refusal(issued.access_key_id, issued.token), "open");
  clock.advance(1);
  EXPECT_EQ(refusal(issued.access_key_id, issued.token), "ExpiredToken");
  // A clock that was set back to before the session was given: none of the time to come.
  clock.advance(-(900 + 901) * kSecond);
  EXPECT_EQ(refusal(issued.access_key_id, issued.token), "InvalidToken");
}

TEST_F(SessionsTest, WhatIsTakenAwayIsGoneAtOnce) {
  const auto of_the_role = give(of_role()), of_the_key = give(of_key());
  Session logged_in;
  logged_in.kind = Session::Kind::user;
  logged_in.account = kAccount;
  logged_in.principal = user.id;
  const auto of_the_user = give(logged_in);
  EXPECT_EQ(sessions->open(of_the_user.access_key_id, of_the_user.token)->identity.arn,
            "arn:aws:iam::111122223333:user/ada");
  EXPECT_EQ(sessions->open(of_the_key.access_key_id, of_the_key.token)->identity.user_id, user.id);
  write([&](store::Txn& txn) { return iam::put_document(txn, role, {"own", policy("kms:*"), 1}); });
  EXPECT_FALSE(may(sessions->open(of_the_role.access_key_id, of_the_role.token)->identity, "s3:GetObject"));
  write([&](store::Txn& txn) { return keys->set_active(txn, kAccount, key.id, false); });
  EXPECT_EQ(refusal(of_the_key.access_key_id, of_the_key.token), "InvalidToken");
  write([&](store::Txn& txn) { return keys->set_active(txn, kAccount, key.id, true); });
  EXPECT_EQ(refusal(of_the_key.access_key_id, of_the_key.token), "open");
  write([&](store::Txn& txn) -> Status {
    TRY(keys->remove(txn, kAccount, key.id));
    TRY(iam::erase_document(txn, role, "own"));
    TRY(iam::erase(txn, role));
    return iam::erase(txn, user);
  });
  EXPECT_EQ(refusal(of_the_key.access_key_id, of_the_key.token), "InvalidToken");
  EXPECT_EQ(refusal(of_the_user.access_key_id, of_the_user.token), "InvalidToken");
  EXPECT_EQ(refusal(of_the_role.access_key_id, of_the_role.token), "InvalidToken");
  // One of the same name is another.
  write([&](store::Txn& txn) -> Status {
    TRY(iam::insert(txn, random,
                    {.kind = iam::Kind::role, .account = kAccount, .name = "train", .id = "", .trust = "{}"}));
    return {};
  });
  EXPECT_EQ(refusal(of_the_role.access_key_id, of_the_role.token), "InvalidToken");
}

TEST_F(SessionsTest, SessionPoliciesOnlyTakeAway) {
  std::string arn;
  write([&](store::Txn& txn) -> Status {
    auto managed =
        TRY(iam::insert(txn, random, {.kind = iam::Kind::policy, .account = kAccount, .name = "read", .id = ""}));
    managed.default_version = managed.versions = 1;
    TRY(iam::update(txn, managed));
    TRY(iam::put_document(txn, managed, {"v1", policy("s3:Get*"), 1}));
    arn = iam::arn_of(managed);
    return {};
  });
  Session s = of_role();
  s.policy = policy("kms:*");
  const auto inline_only = give(s);
  s.policy_arns = {arn};
  const auto both = give(s);
  const Identity a = sessions->open(inline_only.access_key_id, inline_only.token)->identity;
  EXPECT_FALSE(may(a, "s3:GetObject"));
  EXPECT_FALSE(may(a, "kms:Decrypt"));  // the role has no right to it
  const Identity b = sessions->open(both.access_key_id, both.token)->identity;
  EXPECT_TRUE(may(b, "s3:GetObject"));
  EXPECT_FALSE(may(b, "s3:PutObject"));
  EXPECT_GT(both.packed_percent, inline_only.packed_percent);
  s.policy = std::string(Sessions::kRoom + 1, ' ');
  EXPECT_EQ(sessions->issue(s, 900).error().name, "PackedPolicyTooLarge");
}

TEST_F(SessionsTest, ALimitedSessionIsNoWayToMore) {
  write([&](store::Txn& txn) { return iam::put_document(txn, user, {"all", policy("*"), 1}); });
  Session s = of_key();
  s.limited = true;
  const auto issued = give(s);
  const Identity who = sessions->open(issued.access_key_id, issued.token)->identity;
  EXPECT_TRUE(may(who, "s3:GetObject"));
  EXPECT_TRUE(may(who, "sts:AssumeRole"));
  EXPECT_TRUE(may(who, "sts:GetCallerIdentity"));
  for (const char* action : {"iam:CreateUser", "sts:GetFederationToken", "sts:DecodeAuthorizationMessage"})
    EXPECT_FALSE(may(who, action)) << action;
  // The administrator's too.
  KeyInfo admin;
  write([&](store::Txn& txn) -> Status {
    KeyInfo spec;
    spec.account = kAccount;
    spec.name = "root";
    spec.kind = "access";
    spec.administrator = true;
    admin = TRY(keys->create(txn, spec)).first;
    return {};
  });
  s.principal = admin.id;
  const auto high = give(s);
  const Identity root_session = sessions->open(high.access_key_id, high.token)->identity;
  EXPECT_TRUE(may(root_session, "s3:GetObject"));
  EXPECT_FALSE(may(root_session, "iam:CreateUser"));
}

TEST_F(SessionsTest, TagsAndTheSourceAreTold) {
  Session s = of_role();
  s.tags = {{"Team", "models"}, {"stage", "prod"}};
  s.transitive = {"team"};
  s.source_identity = "ada";
  s.provider = "arn:aws:iam::111122223333:oidc-provider/id.example.net";
  s.second_factor = clock.now();
  const auto issued = give(s);
  clock.advance(5 * kSecond);
  const Identity who = sessions->open(issued.access_key_id, issued.token)->identity;
  EXPECT_EQ(who.facts.at("aws:principaltag/team").front(), "models");
  EXPECT_EQ(who.facts.at("aws:principaltag/stage").front(), "prod");
  EXPECT_EQ(who.facts.at("aws:sourceidentity").front(), "ada");
  EXPECT_EQ(who.facts.at("aws:federatedprovider").front(), s.provider);
  EXPECT_EQ(who.facts.at("aws:multifactorauthpresent").front(), "true");
  EXPECT_EQ(who.facts.at("aws:multifactorauthage").front(), "5");
  ASSERT_EQ(who.transitive.size(), 1u);
  EXPECT_EQ(who.transitive[0], (std::pair<std::string, std::string>{"Team", "models"}));
}

TEST_F(SessionsTest, AnIdTellsItsAccount) {
  for (const char* account : {"000000000000", "111122223333", "999999999999"}) {
    Session s = of_role();
    s.account = account;
    EXPECT_EQ(sessions->account_of(give(s).access_key_id), account);
  }
  for (const char* id : {"", "ASIA", "AKIAABCDEFGHABCDEFGH", "ASIAABCDEFGHabcdefgh", "ASIAABCDEFGH11111111"})
    EXPECT_EQ(sessions->account_of(id), "") << id;
}

}  // namespace
}  // namespace hf::security
