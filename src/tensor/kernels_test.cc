// Every kernel set gives the bits of the scalar one, at odd sizes and any alignment; the scalar one is checked against
// double precision.
#include "tensor/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tensor/dtype.h"

namespace hf::tensor {
namespace {

const Kernels& scalar() { return **choose_kernels("scalar", {}); }

std::vector<const Kernels*> fast_sets() {
  std::vector<const Kernels*> out;
  for (const char* isa : {"avx2", "avx512", "amx"}) {
    auto set = choose_kernels(isa, os::cpu_info());
    if (set.ok()) out.push_back(*set);
  }
  return out;
}

// `offset` floats past an aligned start; guards behind.
struct Numbers {
  Numbers(size_t n, int offset, unsigned seed, float span = 1)
      : skip(offset), all(n + 32 + static_cast<size_t>(offset)) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-span, span);
    for (float& x : all) x = uniform(random);
  }
  float* data() { return all.data() + skip; }
  int skip;
  std::vector<float> all;
};

void expect_same(const Numbers& a, const Numbers& b, const char* what) {
  for (size_t i = 0; i < a.all.size(); ++i) {
    ASSERT_EQ(std::memcmp(&a.all[i], &b.all[i], 4), 0) << what << " at " << i << ": " << a.all[i] << " " << b.all[i];
  }
}

// Runs `call` with each set on equal copies of the buffers and compares every float, guards included.
template <class Call>
void compare(const char* what, std::vector<Numbers> buffers, const Call& call) {
  std::vector<Numbers> wanted = buffers;
  call(scalar(), wanted);
  for (const Kernels* set : fast_sets()) {
    std::vector<Numbers> got = buffers;
    call(*set, got);
    for (size_t i = 0; i < got.size(); ++i) expect_same(wanted[i], got[i], what);
    if (testing::Test::HasFatalFailure()) FAIL() << what << " " << set->isa;
  }
}

const int64_t kSizes[] = {1, 2, 7, 15, 16, 17, 31, 33, 64, 100};

TEST(Kernels, GemmAgreesBitForBit) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 60; ++trial) {
    Gemm g;
    g.m = 1 + static_cast<int64_t>(random() % 30);
    g.n = 1 + static_cast<int64_t>(random() % 70);
    g.k = static_cast<int64_t>(random() % (trial % 10 == 0 ? 700 : 40));
    g.accumulate = trial % 2 == 1;
    const bool transposed = trial % 3 == 0;
    const bool in_panels = trial % 4 < 2;
    g.a_row = transposed ? 1 : g.k + 3;
    g.a_k = transposed ? g.m + 1 : 1;
    g.b_k = in_panels ? kPanel : g.n + 2;
    g.b_panel = in_panels ? g.k * kPanel : kPanel;
    g.c_row = g.n + 1;
    const auto a_size = static_cast<size_t>((g.m + 2) * (g.k + 4));
    const auto b_size = static_cast<size_t>(panel_floats(g.k, g.n) + (g.n + 2) * (g.k + 1));
    std::vector<Numbers> buffers{
        {a_size, trial % 5, 1}, {b_size, trial % 7, 2}, {static_cast<size_t>(g.m * g.c_row), 1, 3}};
    compare("gemm", buffers, [&](const Kernels& k, std::vector<Numbers>& b) {
      Gemm call = g;
      call.a = b[0].data();
      call.b = b[1].data();
      call.c = b[2].data();
      k.gemm(call);
    });
    // The scalar set against double precision.
    std::vector<Numbers> b = buffers;
    Gemm call = g;
    call.a = b[0].data();
    call.b = b[1].data();
    call.c = b[2].data();
    scalar().gemm(call);
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        double want = g.accumulate ? static_cast<double>(buffers[2].data()[i * g.c_row + j]) : 0;
        for (int64_t p = 0; p < g.k; ++p) {
          want += static_cast<double>(call.a[i * g.a_row + p * g.a_k]) *
                  static_cast<double>(call.b[j / 16 * g.b_panel + p * g.b_k + j % 16]);
        }
        ASSERT_NEAR(call.c[i * g.c_row + j], want, 1e-4);
      }
    }
  }
}

TEST(Kernels, GemmOfBfloat16Agrees) {
  for (int64_t n : {5, 16, 40}) {
    const int64_t k = 37, m = 13;
    std::vector<uint16_t> b16(static_cast<size_t>(panel_floats(k, n)));
    Numbers values(b16.size(), 0, 5);
    for (size_t i = 0; i < b16.size(); ++i) b16[i] = bf16_of(values.all[i]);
    compare("gemm bf16", {{static_cast<size_t>(m * k), 1, 1}, {static_cast<size_t>(m * n), 2, 3}},
            [&](const Kernels& set, std::vector<Numbers>& b) {
              Gemm g{.m = m, .n = n, .k = k, .a = b[0].data(), .a_row = k, .c = b[1].data(), .c_row = n};
              g.b16 = b16.data();
              g.b_panel = k * kPanel;
              set.gemm(g);
            });
  }
}

// A row's bits do not depend on how many rows are computed with it: what batching in serving rests on.
TEST(Kernels, GemmRowsDoNotDependOnTheirNeighbours) {
  const int64_t n = 50, k = 600, m = 41;
  for (const Kernels* set : fast_sets()) {
    Numbers a(static_cast<size_t>(m * k), 0, 1), b(static_cast<size_t>(panel_floats(k, n)), 0, 2);
    Numbers all(static_cast<size_t>(m * n), 0, 3), one(static_cast<size_t>(m * n), 0, 3);
    Gemm g{.m = m,
           .n = n,
           .k = k,
           .a = a.data(),
           .a_row = k,
           .b = b.data(),
           .b_panel = k * kPanel,
           .c = all.data(),
           .c_row = n};
    set->gemm(g);
    for (int64_t i = 0; i < m; ++i) {
      Gemm row = g;
      row.m = 1;
      row.a = a.data() + i * k;
      row.c = one.data() + i * n;
      set->gemm(row);
    }
    expect_same(all, one, set->isa);
  }
}

TEST(Kernels, RowOpsAgreeBitForBit) {
  for (int64_t n : kSizes) {
    for (int offset : {0, 1, 3}) {
      const int64_t rows = 5;
      const auto size = static_cast<size_t>(rows * n);
      const auto width = static_cast<size_t>(n);
      using B = std::vector<Numbers>;
      compare("norm", {{size, offset, 1, 3}, {width, 1, 2}, {size, 2, 3}, {5, 0, 4}}, [&](const Kernels& k, B& b) {
        k.norm(rows, n, b[0].data(), n, b[1].data(), 1e-5f, b[2].data(), n, b[3].data());
      });
      compare("norm_backward", {{size, offset, 1}, {width, 1, 2}, {5, 0, 4}, {size, 0, 5}, {size, 1, 6}, {width, 0, 7}},
              [&](const Kernels& k, B& b) {
                k.norm_backward(rows, n, b[0].data(), b[1].data(), b[2].data(), b[3].data(), b[4].data(), b[5].data());
              });
      compare("swiglu", {{2 * size, offset, 1, 9}, {size, 1, 2}},
              [&](const Kernels& k, B& b) { k.swiglu(rows, n, b[0].data(), 2 * n, b[1].data(), n); });
      compare("swiglu_backward", {{2 * size, offset, 1, 9}, {size, 1, 2}, {size, 1, 3}},
              [&](const Kernels& k, B& b) { k.swiglu_backward(rows, n, b[0].data(), b[1].data(), b[2].data()); });
      compare("softmax", {{size, offset, 1, 20}, {5, 0, 2}}, [&](const Kernels& k, B& b) {
        k.softmax(rows, n > 3 ? n - 3 : 1, n, 0.3f, b[0].data(), n, b[1].data());
      });
      compare("softmax_again", {{size, offset, 1, 20}, {5, 0, 2}}, [&](const Kernels& k, B& b) {
        k.softmax_again(rows, n > 3 ? n - 3 : 1, n, 0.3f, b[0].data(), n, b[1].data());
      });
      compare("softmax_backward", {{size, offset, 1}, {size, 1, 2}, {5, 0, 2}}, [&](const Kernels& k, B& b) {
        k.softmax_backward(rows, n, 0.3f, b[0].data(), b[1].data(), n, b[2].data());
      });
      compare("cross_entropy", {{size, offset, 1, 20}, {5, 0, 2}, {5, 0, 3}}, [&](const Kernels& k, B& b) {
        const std::vector<int32_t> target(5, static_cast<int32_t>(n / 2));
        k.cross_entropy(rows, n, b[0].data(), n, target.data(), b[1].data(), b[2].data());
      });
      compare("rope", {{2 * size, offset, 1}, {3 * width, 0, 2}, {3 * width, 1, 3}}, [&](const Kernels& k, B& b) {
        const int32_t angle[] = {2};
        k.rope(1, 5, 2 * n, b[0].data(), 10 * n, b[1].data(), b[2].data(), angle, offset == 1);
      });
      compare("adamw", {{size, offset, 1}, {size, 1, 2}, {size, 2, 3}, {size, 3, 4}}, [&](const Kernels& k, B& b) {
        for (float& v : b[3].all) v = std::abs(v);
        k.adamw(rows * n, {1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f, 1.1f, 1.2f, 0.5f}, b[0].data(), b[1].data(), b[2].data(),
                b[3].data());
      });
      compare("pack_transposed", {{size, offset, 1}, {static_cast<size_t>(16 * n), 0, 2}},
              [&](const Kernels& k, B& b) { k.pack_transposed(rows, n, b[0].data(), n, b[1].data(), 16 * n); });
      compare("reductions", {{size, offset, 1, 50}, {size, 1, 2}, {8, 0, 3}}, [&](const Kernels& k, B& b) {
        float* out = b[2].data();
        out[0] = k.dot(rows * n, b[0].data(), b[1].data());
        out[1] = k.sum(rows * n, b[0].data());
        out[2] = k.max(rows * n, b[0].data());
        out[3] = static_cast<float>(k.sum_squares(rows * n, b[0].data()));
        k.add(rows * n, b[0].data(), b[1].data());
        k.exp(rows * n, b[0].data(), b[0].data());
      });
    }
  }
}

TEST(Kernels, ExpIsCloseToTheRealOne) {
  for (float x = -87; x < 88; x += 0.0137f) {
    float y = 0;
    scalar().exp(1, &x, &y);
    const double want = std::exp(static_cast<double>(x));
    ASSERT_NEAR(y / want, 1, 2.5e-7) << x;
  }
  const float low[] = {-88.0f, -1e30f, -INFINITY};
  float zero[3];
  scalar().exp(3, low, zero);
  for (float z : zero) EXPECT_EQ(z, 0);
}

TEST(Kernels, ExactFunctionsAreCloseToTheLibrarys) {
  for (double x = -50; x < 50; x += 0.0371) {
    EXPECT_NEAR(exact_exp(x) / std::exp(x), 1, 1e-13);
    EXPECT_NEAR(exact_log(std::exp(x)), x, 1e-12);
  }
  for (double x = 0; x < 200000; x += 37.31) {
    ASSERT_NEAR(exact_sin(x), std::sin(x), 1e-12) << x;
    ASSERT_NEAR(exact_cos(x), std::cos(x), 1e-12) << x;
  }
}

TEST(Kernels, SoftmaxRowsSumToOneAndMaskWhatComesLater) {
  std::vector<float> s(4 * 20, 1.0f);
  float log_sum[4];
  scalar().softmax(4, 17, 20, 1, s.data(), 20, log_sum);
  for (int64_t r = 0; r < 4; ++r) {
    EXPECT_NEAR(log_sum[r], 1 + std::log(17.0 + static_cast<double>(r)), 1e-6);
    for (int64_t c = 0; c < 20; ++c) {
      EXPECT_NEAR(s[static_cast<size_t>(r * 20 + c)], c < 17 + r ? 1.0 / (17 + static_cast<double>(r)) : 0.0, 1e-6);
    }
  }
}

TEST(Kernels, AForcedSetThatCannotRunIsRefused) {
  os::CpuInfo old{};
  old.model = "an old one";
  EXPECT_EQ(choose_kernels("avx512", old).error().code, Code::unavailable);
  EXPECT_EQ(choose_kernels("avx2", old).error().code, Code::unavailable);
  EXPECT_EQ(choose_kernels("sse9", old).error().code, Code::invalid);
  EXPECT_STREQ((*choose_kernels("", old))->isa, "scalar");
  old.avx2 = true;
  EXPECT_STREQ((*choose_kernels("", old))->isa, "avx2");
}

}  // namespace
}  // namespace hf::tensor
