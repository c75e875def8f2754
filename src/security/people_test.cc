#include "security/people.h"

#include <gtest/gtest.h>

#include <thread>

#include "crypto/password.h"
#include "os/fake.h"
#include "security/keys.h"

namespace hf::security {
namespace {

constexpr const char* kAccount = "111122223333";
constexpr Micros kStep = 30'000'000;
const crypto::Secret kPassword("a long password"), kWrong("a long passwort");

std::string unbase32(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int n = 0;
  for (char c : text) {
    bits = bits << 5 | static_cast<uint32_t>(std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").find(c));
    if ((n += 5) < 8) continue;
    n -= 8;
    out += static_cast<char>(bits >> n);
  }
  return out;
}

struct PeopleTest : ::testing::Test {
  os::FakeClock clock;
  os::FakeRandom random;
  os::FakeFs fs;
  std::unique_ptr<store::Db> db;
  std::unique_ptr<Keys> keys;
  std::unique_ptr<People> people;
  iam::Entity ada;

  PeopleTest() {
    check(fs.make_dirs("/state").ok() && fs.sync_dir("/").ok(), "a folder");
    db = std::move(*store::Db::open(fs, random, "/state/meta.db"));
    keys = std::move(*Keys::open(*db, clock, random, crypto::Secret(std::string(32, 'r'))));
    people = std::make_unique<People>(*db, clock, random, crypto::Secret("root"));
    auto made = write([&](store::Txn& txn) -> Status {
      ada = TRY(iam::insert(txn, random, {.kind = iam::Kind::user, .account = kAccount, .name = "ada", .id = ""}));
      return {};
    });
    check(made.ok(), "a user");
  }
  Status write(const std::function<Status(store::Txn&)>& fn) { return db->write(fn); }
  void password(const crypto::Secret& p, bool must_change = false) {
    const std::string hash = *people->hash(p);
    ASSERT_TRUE(write([&](store::Txn& txn) { return people->set_password(txn, ada, hash, must_change); }).ok());
  }
  std::string prove(const crypto::Secret& p, const std::string& name = "ada", const std::string& source = "10.0.0.1") {
    auto proven = people->prove(kAccount, name, p, source);
    return proven.ok() ? "proven" : proven.error().name;
  }
  // A device of ada's, and what it shows.
  std::string serial, seed;
  std::string code(int64_t later = 0) { return crypto::one_time_code(seed, clock.now() / kStep + later); }
  void device() {
    ASSERT_TRUE(write([&](store::Txn& txn) -> Status {
                  auto [d, text] = TRY(people->make_device(txn, kAccount, "/", "phone"));
                  serial = d.serial;
                  seed = unbase32(text.reveal());
                  return {};
                }).ok());
    EXPECT_EQ(seed.size(), 20u);
    ASSERT_EQ(enable(code(-1), code()), "");
  }
  std::string enable(const std::string& first, const std::string& second) {
    auto s = write([&](store::Txn& txn) -> Status {
      return people->enable(txn, ada, TRY(people->device(txn, kAccount, serial)), first, second);
    });
    return s.ok() ? "" : s.error().name;
  }
  std::string use(const std::string& shown, const std::string& which = "", const std::string& source = "10.0.0.1") {
    auto s = write([&](store::Txn& txn) { return people->use_code(txn, ada.id, which, shown, source); });
    return s.ok() ? "" : s.error().name;
  }
};

TEST_F(PeopleTest, OnlyThePasswordProves) {
  EXPECT_EQ(prove(kPassword), "LogInFailed");  // no login profile
  password(kPassword, true);
  auto proven = people->prove(kAccount, "ada", kPassword, "10.0.0.1");
  ASSERT_TRUE(proven.ok());
  EXPECT_EQ(proven->user.id, ada.id);
  EXPECT_TRUE(proven->must_change);
  EXPECT_FALSE(proven->has_device);
  EXPECT_EQ(prove(kWrong), "LogInFailed");
  EXPECT_EQ(prove(kPassword, "eve"), "LogInFailed");
  EXPECT_EQ(people->prove("444455556666", "ada", kPassword, "x").error().name, "LogInFailed");
  password(crypto::Secret("another password"));
  EXPECT_EQ(prove(kPassword), "LogInFailed");
  EXPECT_EQ(people->hash(crypto::Secret("short")).error().name, "PasswordPolicyViolation");
  EXPECT_EQ(people->hash(crypto::Secret(std::string(129, 'x'))).error().name, "PasswordPolicyViolation");
  EXPECT_EQ(people->hash(crypto::Secret(std::string(20, '\xff'))).error().name, "PasswordPolicyViolation");
}

TEST_F(PeopleTest, WhoeverGuessesWaits) {
  password(kPassword);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(prove(kWrong), "LogInFailed");
  EXPECT_EQ(prove(kPassword), "Throttling");                 // the right one, too
  EXPECT_EQ(prove(kPassword, "ada", "10.0.0.2"), "proven");  // from elsewhere
  clock.advance(1'000'000);
  EXPECT_EQ(prove(kWrong), "LogInFailed");
  clock.advance(1'000'000);
  EXPECT_EQ(prove(kPassword), "Throttling");
  clock.advance(1'000'000);
  EXPECT_EQ(prove(kPassword), "proven");
  EXPECT_EQ(prove(kWrong), "LogInFailed");  // forgiven
  EXPECT_EQ(prove(kWrong), "LogInFailed");
}

TEST_F(PeopleTest, ACodeIsUsedOnce) {
  password(kPassword);
  device();
  EXPECT_TRUE(people->prove(kAccount, "ada", kPassword, "x")->has_device);
  EXPECT_EQ(use(code()), "InvalidAuthenticationCode");  // it was, when the device was enabled
  EXPECT_EQ(use(code(1)), "");
  EXPECT_EQ(use(code(1)), "InvalidAuthenticationCode");
  clock.advance(10 * kStep);
  EXPECT_EQ(use(code(-2)), "InvalidAuthenticationCode");
  EXPECT_EQ(use(code(2)), "InvalidAuthenticationCode");
  clock.advance(600'000'000);
  EXPECT_EQ(use(code(), serial + "x"), "InvalidAuthenticationCode");
  EXPECT_EQ(use(code(-1), serial), "");
  EXPECT_EQ(use(code(), serial), "");  // later than that one
  EXPECT_EQ(use("000000x"), "InvalidAuthenticationCode");
}

TEST_F(PeopleTest, ADeviceHasToShowThatItWorks) {
  device();
  EXPECT_EQ(enable(code(), code(1)), "EntityAlreadyExists");
  ASSERT_TRUE(write([&](store::Txn& txn) -> Status {
                const auto mine = TRY(people->devices_of(txn, ada.id));
                EXPECT_EQ(mine.size(), 1u);
                EXPECT_EQ(people->erase_device(txn, mine.at(0)).error().name, "DeleteConflict");
                EXPECT_EQ(iam::erase(txn, ada).error().name, "DeleteConflict");
                EXPECT_EQ(people->device(txn, "444455556666", serial).error().name, "NoSuchEntity");
                return people->disable(txn, mine.at(0));
              }).ok());
  EXPECT_EQ(enable(code(), code()), "InvalidAuthenticationCode");
  EXPECT_EQ(enable(code(1), code()), "InvalidAuthenticationCode");
  EXPECT_EQ(enable(code(-1), code(1)), "InvalidAuthenticationCode");
  EXPECT_EQ(enable(code(), code(1)), "");
}

// The stored seed opens for its own device alone.
TEST_F(PeopleTest, ASeedThatWasMovedDoesNotOpen) {
  device();
  const std::string first = serial;
  ASSERT_TRUE(write([&](store::Txn& txn) -> Status {
                TRY(people->make_device(txn, kAccount, "/", "other"));
                return txn.run(
                    "UPDATE iam_devices SET seed = (SELECT seed FROM iam_devices WHERE serial LIKE '%other') "
                    "WHERE serial LIKE '%phone'");
              }).ok());
  auto s = write([&](store::Txn& txn) { return people->use_code(txn, ada.id, "", "123456", "x"); });
  EXPECT_EQ(s.error().code, Code::corrupt);
}

TEST_F(PeopleTest, NotAllHashAtOnce) {
  password(kPassword);
  std::atomic<int> throttled = 0, proven = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&, i] {
      const std::string name = prove(kPassword, "ada", "10.0.1." + std::to_string(i));
      ++(name == "proven" ? proven : throttled);
    });
  for (auto& t : threads) t.join();
  EXPECT_GT(proven, 0);
  EXPECT_EQ(proven + throttled, 16);
}

TEST(GuessLimits, WaitsGrowAndAreForgiven) {
  GuessLimits g;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(g.wait(100, "u", "s"), 0);
    g.wrong(100, "u", "s");
  }
  int64_t now = 100, longest = 0;
  for (int i = 0; i < 20; ++i) {
    longest = g.wait(now, "u", "s");
    EXPECT_GT(longest, 0);
    EXPECT_EQ(g.wait(now + longest, "u", "s"), 0);
    EXPECT_GT(g.wait(now + longest - 1, "u", "s"), 0);
    EXPECT_EQ(g.wait(now, "u", "other"), 0);
    now += longest;
    g.wrong(now, "u", "s");
  }
  EXPECT_EQ(longest, 900);
  EXPECT_EQ(g.wait(now + 3600, "u", "s"), 0);
  g.right("s");
  EXPECT_EQ(g.wait(now, "u", "s"), 0);
  // A name that many guess at.
  for (int i = 0; i < 100; ++i) g.wrong(now, "v", "s" + std::to_string(i));
  EXPECT_EQ(g.wait(now, "v", "fresh"), 60);
  EXPECT_EQ(g.wait(now + 60, "v", "fresh"), 0);
  EXPECT_EQ(g.wait(now, "w", "fresh"), 0);
  // More sources than are told apart: the rest wait together.
  for (int i = 0; i < 20'000; ++i) g.wrong(now, "", "many" + std::to_string(i));
  EXPECT_GT(g.wait(now, "w", "never seen"), 0);
}

}  // namespace
}  // namespace hf::security
