#include "tensor/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

namespace hf::tensor {
namespace {

TEST(Pool, EachIndexRunsOnceInManyRounds) {
  for (int threads : {1, 2, 5}) {
    Pool pool(threads);
    for (int64_t round = 0; round < 2000; ++round) {
      const int64_t n = round % 37;
      std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
      pool.run(n, [&](int64_t i, int lane) {
        ASSERT_LT(lane, threads);
        hits[static_cast<size_t>(i)].fetch_add(1);
      });
      for (auto& h : hits) ASSERT_EQ(h.load(), 1);
    }
  }
}

TEST(Pool, WhatALoopWroteIsSeenByTheNext) {
  Pool pool(3);
  std::vector<int64_t> values(1000, 0);
  for (int round = 1; round <= 300; ++round) {
    pool.run(1000, [&](int64_t i, int) { values[static_cast<size_t>((i * 7) % 1000)] += 1; });
    ASSERT_EQ(std::accumulate(values.begin(), values.end(), int64_t{0}), round * 1000);
  }
}

}  // namespace
}  // namespace hf::tensor
