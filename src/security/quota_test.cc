#include "security/quota.h"

#include <gtest/gtest.h>

#include <random>

namespace hf::security {
namespace {

constexpr int64_t kSecond = 1'000'000;

TEST(QuotaMeter, RequestsAtOnce) {
  QuotaMeter m;
  const Quota q{.requests_at_once = 2};
  EXPECT_TRUE(m.begin(0, "a", q, 10).ok());
  EXPECT_TRUE(m.begin(0, "a", q, 10).ok());
  auto third = m.begin(0, "a", q, 10);
  EXPECT_EQ(third.error().code, Code::exhausted);
  EXPECT_EQ(third.error().retry_after_s, 1);
  EXPECT_TRUE(m.begin(0, "b", q, 10).ok());
  m.end(0, "a", 10, 1'000'000);
  EXPECT_TRUE(m.begin(0, "a", q, 10).ok());
}

TEST(QuotaMeter, TokensAMinute) {
  QuotaMeter m;
  const Quota q{.tokens_per_minute = 600};
  EXPECT_TRUE(m.begin(0, "a", q, 500).ok());
  auto over = m.begin(0, "a", q, 200);
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().retry_after_s, 11);  // 100 more at 10 a second, and no less
  EXPECT_TRUE(m.begin(10 * kSecond, "a", q, 200).ok());
  m.end(10 * kSecond, "a", 500, 100);  // 400 come back
  EXPECT_TRUE(m.begin(10 * kSecond, "a", q, 400).ok());
  EXPECT_FALSE(m.begin(10 * kSecond, "a", q, 1).ok());
  // A long prompt is paid for afterwards.
  m.end(10 * kSecond, "a", 200, 1400);
  m.end(10 * kSecond, "a", 400, 0);
  EXPECT_EQ(m.begin(10 * kSecond, "a", q, 1).error().retry_after_s, 81);
  EXPECT_FALSE(m.begin(90 * kSecond, "a", q, 1).ok());
  EXPECT_TRUE(m.begin(91 * kSecond, "a", q, 1).ok());
  // More than a minute's tokens: all of them, and the rest is paid for.
  EXPECT_TRUE(m.begin(0, "b", q, 100'000).ok());
  EXPECT_FALSE(m.begin(0, "b", q, 1).ok());
  // A quota that is changed counts from the next request on.
  EXPECT_TRUE(m.begin(1000 * kSecond, "b", {.tokens_per_minute = 6000}, 600).ok());
  EXPECT_TRUE(m.begin(1000 * kSecond, "b", {}, 1'000'000).ok());
}

// Whatever is asked for, and however long it takes: never more than the rate and one minute's tokens (prompts apart).
TEST(QuotaMeter, TheRateHolds) {
  for (int seed = 0; seed < 50; ++seed) {
    std::mt19937 rng(static_cast<unsigned>(seed));
    QuotaMeter m;
    const Quota q{.tokens_per_minute = 60 + static_cast<int64_t>(rng() % 10'000)};
    std::vector<std::pair<int64_t, int64_t>> running;  // most, used
    int64_t now = 0, used = 0;
    for (int i = 0; i < 5'000; ++i) {
      now += static_cast<int64_t>(rng() % 400'000);
      const int64_t most = 1 + static_cast<int64_t>(rng() % 300);
      if (rng() % 3 && m.begin(now, "a", q, most).ok())
        running.emplace_back(most, rng() % static_cast<uint64_t>(most + 1));
      if (!running.empty() && rng() % 2) {
        m.end(now, "a", running.back().first, running.back().second);
        used += running.back().second;
        running.pop_back();
      }
      ASSERT_LE(used, q.tokens_per_minute + q.tokens_per_minute * now / (60 * kSecond) + 300) << seed << " " << i;
    }
    EXPECT_GT(used, 0);
  }
}

}  // namespace
}  // namespace hf::security
