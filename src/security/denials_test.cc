#include "security/denials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "os/fake.h"
#include "security/refusal_record.h"

namespace hf::security {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000;

TEST(DenialBudget, NothingIsLostBetweenWindows) {
  DenialBudget b({.per_second = 2, .per_source = 2, .sources = 4});
  uint64_t told = 0, recorded = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto v = b.step(i * kSecond / 10, i, "a");
    recorded += v.record;
    told += v.missed.count;
  }
  for (const auto& m : b.flush(0, true)) told += m.count;
  EXPECT_EQ(told + recorded, 10'000U);
  EXPECT_EQ(recorded, 2'000U);
  EXPECT_TRUE(b.flush(1'000 * kSecond).empty());
}

TEST(DenialBudget, AFloodOfOneDoesNotCrowdOutAnother) {
  DenialBudget b({.per_second = 100, .per_source = 20, .sources = 4});
  uint64_t loud = 0;
  for (int i = 0; i < 1000; ++i) loud += b.step(0, i, "loud").record;
  EXPECT_EQ(loud, 20U);
  EXPECT_TRUE(b.step(0, 1, "quiet").record);
  EXPECT_TRUE(b.flush(kSecond - 1).empty());
  const auto due = b.flush(kSecond);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].source, "loud");
  EXPECT_EQ(due[0].count, 980U);
  EXPECT_EQ(due[0].first, 20);
  EXPECT_EQ(due[0].last, 999);
}

TEST(DenialBudget, ManySourcesAreBoundedAndCountedAsOne) {
  DenialBudget b({.per_second = 5, .per_source = 5, .sources = 50});
  uint64_t recorded = 0, told = 0;
  for (int i = 0; i < 10'000; ++i) recorded += b.step(0, i, "source " + std::to_string(i)).record;
  EXPECT_EQ(recorded, 5U);
  const auto due = b.flush(kSecond);
  EXPECT_EQ(due.size(), 17U);  // 16, and the rest
  EXPECT_EQ(due.back().source, "");
  for (const auto& m : due) told += m.count;
  EXPECT_EQ(told + recorded, 10'000U);
  // They are forgotten for those who come later.
  EXPECT_TRUE(b.step(3 * kSecond, 1, "later").record);
}

class TheLedger : public ::testing::Test {
 protected:
  std::vector<boost::json::object> entries() {
    std::vector<boost::json::object> out;
    const auto lines = ledger->entries(0, 10'000);
    for (const auto& line : *lines) out.push_back(boost::json::parse(line).as_object());
    return out;
  }
  static Entry refusal() {
    Entry e;
    e.action = "s3:GetObject";
    e.decision = "deny";
    e.source = "192.0.2.7:40000";
    return e;
  }
  os::FakeClock clock;
  os::FakeRandom random;
  os::FakeFs fs;
  crypto::SigningKey key = std::move(crypto::SigningKey::generate()).value();
  std::unique_ptr<store::Db> db = *store::Db::open(fs, random, "/site.db");
  std::unique_ptr<Ledger> ledger = *Ledger::open(*db, clock, key, "0123456789abcdef");
  std::vector<std::string> log;
};

TEST_F(TheLedger, IsToldOfAFloodByWhoAndWhen) {
  Denials d(*ledger, clock, "holdfast:Authenticate", [this](const std::string& l) { log.push_back(l); });
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(d.record(refusal(), host_of("192.0.2.7:40000")).ok());
  EXPECT_EQ(entries().size(), 20U);
  clock.advance(kSecond);
  d.flush(false);
  const auto all = entries();
  ASSERT_EQ(all.size(), 21U);
  EXPECT_EQ(all[20].at("action"), "holdfast:Authenticate");
  EXPECT_EQ(all[20].at("reason"), "flood");
  EXPECT_EQ(all[20].at("source"), "192.0.2.7");
  EXPECT_EQ(all[20].at("detail").at("refusals"), 30);
  EXPECT_GT(all[20].at("detail").at("first").as_int64(), 0);
}

// What could not be written is told once it can be: its number is not lost.
TEST_F(TheLedger, IsToldLaterOfWhatItCouldNotTake) {
  Denials d(*ledger, clock, "holdfast:Authenticate", [this](const std::string& l) { log.push_back(l); });
  fs.fail_at(1, os::FakeFs::Fault::enospc, true);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(d.record(refusal(), "192.0.2.7").ok());
    d.flush(true);
  }
  EXPECT_EQ(log.size(), 1U);  // not one for each
  fs.fail_at(0, os::FakeFs::Fault::enospc);
  EXPECT_TRUE(d.record(refusal(), "192.0.2.7").ok());
  const auto all = entries();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].at("detail").at("refusals_before"), 3);
}

TEST_F(TheLedger, IsToldLaterOfSystemCallsThatItCouldNotTake) {
  Entry actor;
  actor.principal = "arn:aws:holdfast:site-1::site/x/worker";
  RefusalRecord record(*ledger, clock, actor, [this](const std::string& l) { log.push_back(l); });
  fs.fail_at(1, os::FakeFs::Fault::enospc, true);
  for (int i = 0; i < 5; ++i) record.refused({7, "socket", "AF_INET SOCK_STREAM protocol 0", true});
  record.quiet();
  EXPECT_EQ(log.size(), 1U);
  fs.fail_at(0, os::FakeFs::Fault::enospc);
  record.quiet();
  auto all = entries();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].at("detail").at("without_entry"), 5);
  record.refused({7, "connect", "", true});
  EXPECT_EQ(entries().size(), 2U);
}

TEST(Hosts, OfPeers) {
  EXPECT_EQ(host_of("127.0.0.1:80"), "127.0.0.1");
  EXPECT_EQ(host_of("[::1]:80"), "[::1]");
}

}  // namespace
}  // namespace hf::security
