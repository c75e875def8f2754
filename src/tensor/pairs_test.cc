// Every set's products of bfloat16 pairs give the bits of the scalar one, subnormal numbers included; the scalar one is
// checked against double precision.
#include "tensor/pairs.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/kernels.h"

namespace hf::tensor {
namespace {

const PairKernels& scalar() { return *(*choose_kernels("scalar", {}))->pairs; }

// One for each table that this machine runs: of AVX-512 machines also the set without bfloat16.
std::vector<const PairKernels*> fast_sets() {
  std::vector<const PairKernels*> out;
  os::CpuInfo plain = os::cpu_info();
  plain.avx512_bf16 = false;
  for (const char* isa : {"avx2", "avx512"}) {
    for (const os::CpuInfo& cpu : {os::cpu_info(), plain}) {
      auto set = choose_kernels(isa, cpu);
      if (set.ok()) out.push_back((*set)->pairs);
    }
  }
  return out;
}

// Numbers of all sizes: `extreme` has every exponent, zeros and subnormal numbers among them.
float number(std::mt19937& random, bool extreme) {
  if (!extreme) return std::uniform_real_distribution<float>(-1, 1)(random);
  const uint32_t exponent = static_cast<uint32_t>(random() % 200);
  return std::bit_cast<float>((static_cast<uint32_t>(random() & 1) << 31) | exponent << 23 |
                              static_cast<uint32_t>(random() & 0x7fffff));
}
std::vector<float> numbers(size_t n, unsigned seed, bool extreme = false) {
  std::mt19937 random(seed);
  std::vector<float> out(n);
  for (float& x : out) x = number(random, extreme);
  return out;
}
std::vector<uint32_t> random_pairs(size_t n, unsigned seed, bool extreme) {
  std::mt19937 random(seed);
  std::vector<uint32_t> out(n);
  for (uint32_t& p : out) {
    const auto half = [&] { return std::bit_cast<uint32_t>(number(random, extreme)) >> 16; };
    p = half() | half() << 16;
  }
  return out;
}
float low(uint32_t pair) { return float_of_bf16(static_cast<uint16_t>(pair)); }
float high(uint32_t pair) { return float_of_bf16(static_cast<uint16_t>(pair >> 16)); }

template <class T>
void expect_same(const std::vector<T>& want, const std::vector<T>& got, const char* what) {
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(std::memcmp(&want[i], &got[i], sizeof(T)), 0) << what << " at " << i << ": " << want[i] << " " << got[i];
  }
}

TEST(Pairs, GemmAgreesBitForBit) {
  std::mt19937 random(1);
  for (unsigned trial = 0; trial < 80; ++trial) {
    const bool extreme = trial % 4 == 3;
    PairGemm g;
    g.m = 1 + static_cast<int64_t>(random() % 40);
    g.n = 1 + static_cast<int64_t>(random() % 70);
    g.k = static_cast<int64_t>(random() % (trial % 10 == 0 ? 600 : 30));
    g.accumulate = trial % 2 == 1;
    const bool transposed = trial % 3 == 0;
    g.a_row = transposed ? 1 : g.k + 3;
    g.a_k = transposed ? g.m + 1 : 1;
    g.b_panel = (g.k + trial % 2) * 16;
    g.c_row = g.n + 1;
    const size_t skip = trial % 5;
    const auto a = random_pairs(skip + static_cast<size_t>((g.m + 2) * (g.k + 4)), trial, extreme);
    const auto b = random_pairs(skip + static_cast<size_t>((panels(g.n) + 1) * (g.k + 1) * 16), trial + 1, extreme);
    const auto before = numbers(skip + static_cast<size_t>(g.m * g.c_row), trial + 2, extreme);
    const auto run = [&](const PairKernels& set) {
      auto c = before;
      PairGemm call = g;
      call.a = a.data() + skip;
      call.b = b.data() + skip;
      call.c = c.data() + skip;
      set.gemm(call);
      return c;
    };
    const auto want = run(scalar());
    for (const PairKernels* set : fast_sets()) {
      expect_same(want, run(*set), set->native ? "native" : "widened");
      if (testing::Test::HasFatalFailure()) return;
    }
    if (extreme) continue;
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        const auto at = skip + static_cast<size_t>(i * g.c_row + j);
        double sum = g.accumulate ? static_cast<double>(before[at]) : 0;
        for (int64_t p = 0; p < g.k; ++p) {
          const uint32_t x = a[skip + static_cast<size_t>(i * g.a_row + p * g.a_k)];
          const uint32_t y = b[skip + static_cast<size_t>(j / 16 * g.b_panel + p * 16 + j % 16)];
          sum += static_cast<double>(low(x)) * static_cast<double>(low(y)) +
                 static_cast<double>(high(x)) * static_cast<double>(high(y));
        }
        ASSERT_NEAR(want[at], sum, 1e-3);
      }
    }
  }
}

TEST(Pairs, RowsAndColumnsAreRoundedToNearestEven) {
  for (const auto& size : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {2, 2}, {3, 31}, {4, 32}, {5, 33}, {7, 48}, {8, 100}, {16, 17}, {1, 63}}) {
    const int64_t rows = size.first, cols = size.second;
    auto x = numbers(static_cast<size_t>(rows * (cols + 3)), static_cast<unsigned>(cols), true);
    x[0] = std::bit_cast<float>(0x7fc12345u);  // a NaN
    x.back() = std::bit_cast<float>(0x3f808000u);
    const int64_t stride = cols + 3;
    const auto value = [&](int64_t r, int64_t c) -> uint32_t {
      if (r >= rows || c >= cols) return 0;
      const auto v = x[static_cast<size_t>(r * stride + c)];
      if (std::fpclassify(v) == FP_SUBNORMAL) return std::signbit(v) ? 0x8000u : 0u;
      return bf16_of(v);
    };
    std::vector<const PairKernels*> sets = fast_sets();
    sets.push_back(&scalar());
    for (const PairKernels* set : sets) {
      const int64_t row = pairs(cols) + 2;
      std::vector<uint32_t> along(static_cast<size_t>(rows * row), 77);
      set->along(rows, cols, x.data(), stride, along.data(), row);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t p = 0; p < row; ++p) {
          const uint32_t want = p < pairs(cols) ? value(r, 2 * p) | value(r, 2 * p + 1) << 16 : 77;
          ASSERT_EQ(along[static_cast<size_t>(r * row + p)], want) << rows << "x" << cols << " " << r << " " << p;
        }
      }
      const int64_t panel = (pairs(rows) + 1) * 16;
      std::vector<uint32_t> across(static_cast<size_t>(panels(cols) * panel), 77);
      set->across(rows, cols, x.data(), stride, across.data(), 16, panel);
      for (size_t i = 0; i < across.size(); ++i) {
        const int64_t p = static_cast<int64_t>(i) % panel / 16;
        const int64_t c = static_cast<int64_t>(i) / panel * 16 + static_cast<int64_t>(i) % 16;
        const uint32_t want = p < pairs(rows) ? value(2 * p, c) | value(2 * p + 1, c) << 16 : 77;
        ASSERT_EQ(across[i], want) << rows << "x" << cols << " " << p << " " << c;
      }
    }
  }
}

}  // namespace
}  // namespace hf::tensor
