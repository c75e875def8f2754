// The pace that clients must keep, in simulated time.
#include "http/transfer.h"

#include <gtest/gtest.h>

namespace hf::http {
namespace {

constexpr int64_t kSecond = 1'000'000;

TEST(TransferMeter, CutsWhoMovesNothing) {
  TransferMeter meter(30 * kSecond, 500, 0);
  EXPECT_FALSE(meter.step(29 * kSecond, true));
  EXPECT_TRUE(meter.step(30 * kSecond, true));
  TransferMeter any_pace(30 * kSecond, 0, 0);  // no rate: still something
  EXPECT_TRUE(any_pace.step(31 * kSecond, true));
}

// A byte now and then buys no time: the first stretch is too slow.
TEST(TransferMeter, CutsWhoDribbles) {
  for (auto [bytes, every, cut] : {std::tuple{1, 10, true}, {32, 10, true}, {499, 1, true}, {500, 1, false}}) {
    TransferMeter meter(30 * kSecond, 500, 0);
    int at = 1;
    for (; at <= 300; ++at) {
      if (at % every == 0) meter.moved(static_cast<uint64_t>(bytes));
      if (meter.step(at * kSecond, true)) break;
    }
    EXPECT_EQ(at, cut ? 30 : 301) << bytes << " bytes every " << every << " s";
  }
}

TEST(TransferMeter, TimeOfOursIsNotTheClients) {
  TransferMeter meter(30 * kSecond, 500, 0);
  for (int at = 1; at <= 10'000; ++at) ASSERT_FALSE(meter.step(at * kSecond, false)) << at;
  EXPECT_FALSE(meter.step(10'001 * kSecond, true)) << "what was before is not counted";
  EXPECT_FALSE(meter.step(10'030 * kSecond, true));
  EXPECT_TRUE(meter.step(10'031 * kSecond, true));
}

TEST(TransferMeter, ARestartForgives) {
  TransferMeter meter(30 * kSecond, 500, 0);
  for (int at = 1; at <= 1000; ++at) {
    if (at % 20 == 0) meter.restart();
    ASSERT_FALSE(meter.step(at * kSecond, true)) << at;
  }
}

TEST(TransferMeter, ABurstDoesNotPayForAStall) {
  TransferMeter meter(30 * kSecond, 500, 0);
  meter.moved(1 << 30);
  int at = 1;
  while (at < 1000 && !meter.step(at * kSecond, true)) ++at;
  EXPECT_EQ(at, 31);
  // Nor does what moved while nobody waited.
  TransferMeter later(30 * kSecond, 500, 0);
  EXPECT_FALSE(later.step(1 * kSecond, false));
  later.moved(1 << 30);
  for (at = 2; at < 1000 && !later.step(at * kSecond, true); ++at) later.moved(1);
  EXPECT_EQ(at, 32);
}

}  // namespace
}  // namespace hf::http
