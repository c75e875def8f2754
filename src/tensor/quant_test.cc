#include "tensor/quant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "tensor/kernels.h"

namespace hf::tensor {
namespace {

constexpr DType kTypes[] = {DType::q8_0, DType::q4_0, DType::q4_k, DType::q6_k};

// Blocks of random bits whose scales are small ordinary numbers.
std::string random_rows(DType type, int64_t n, int64_t k, std::mt19937& dice) {
  std::string out(static_cast<size_t>(row_bytes(type, k) * n), '\0');
  for (char& c : out) c = static_cast<char>(dice());
  const int64_t block = row_bytes(type, block_elements(type));
  const auto put_scale = [&](size_t at) {
    const auto bits = static_cast<uint16_t>((dice() & 0x83ffu) | (8 + dice() % 4) << 10);  // 2^-7 to 2^-4
    std::memcpy(out.data() + at, &bits, 2);
  };
  for (size_t at = 0; at < out.size(); at += static_cast<size_t>(block)) {
    put_scale(type == DType::q6_k ? at + 208 : at);
    if (type == DType::q4_k) put_scale(at + 2);
  }
  return out;
}

float f16(const std::string& s, size_t at) {
  uint16_t bits;
  std::memcpy(&bits, s.data() + at, 2);
  return float_of_f16(bits);
}
int byte(const std::string& s, size_t at) { return static_cast<unsigned char>(s[at]); }

// Element i of a row, from the published definition of each block, element by element.
float element(DType type, const std::string& row, size_t i) {
  if (type == DType::q8_0) {
    const size_t b = i / 32 * 34;
    return f16(row, b) * static_cast<float>(static_cast<int8_t>(row[b + 2 + i % 32]));
  }
  if (type == DType::q4_0) {
    const size_t b = i / 32 * 18, j = i % 32;
    const int pair = byte(row, b + 2 + j % 16);
    return f16(row, b) * static_cast<float>((j < 16 ? pair & 15 : pair >> 4) - 8);
  }
  const size_t j = i % 256;
  if (type == DType::q4_k) {
    const size_t b = i / 256 * 144, sub = j / 32;
    const int pair = byte(row, b + 16 + j / 64 * 32 + j % 32);
    int s, t;
    if (sub < 4) {
      s = byte(row, b + 4 + sub) & 63;
      t = byte(row, b + 8 + sub) & 63;
    } else {
      s = (byte(row, b + 8 + sub) & 15) | (byte(row, b + sub) >> 6 << 4);
      t = (byte(row, b + 8 + sub) >> 4) | (byte(row, b + 4 + sub) >> 6 << 4);
    }
    return f16(row, b) * static_cast<float>(s) * static_cast<float>(sub % 2 == 0 ? pair & 15 : pair >> 4) -
           f16(row, b + 2) * static_cast<float>(t);
  }
  const size_t b = i / 256 * 210, half = j / 128, l = j % 32, quarter = j % 128 / 32;
  const int low = byte(row, b + half * 64 + l + quarter % 2 * 32);
  const int high = byte(row, b + 128 + half * 32 + l);
  const int q = (quarter < 2 ? low & 15 : low >> 4) | (high >> 2 * quarter & 3) << 4;
  return f16(row, b + 208) * static_cast<float>(static_cast<int8_t>(row[b + 192 + j / 16])) *
         static_cast<float>(q - 32);
}

struct Packed {
  Buffer<uint8_t> bytes;
  QuantMatrix m;
};
Packed pack(DType type, int64_t n, int64_t k, const std::string& rows) {
  Packed out;
  out.bytes.reset(static_cast<size_t>(packed_bytes(type, k, n)));
  const View view{type, {n, k}, rows.data()};
  pack_quant({&view, 1}, out.bytes.data());
  out.m = {type, k, n, out.bytes.data()};
  return out;
}

std::vector<float> random_floats(size_t n, std::mt19937& dice) {
  std::vector<float> out(n);
  std::normal_distribution<float> normal;
  for (float& x : out) x = normal(dice);
  return out;
}

std::vector<const Kernels*> all_sets() {
  std::vector<const Kernels*> out;
  for (const char* isa : {"scalar", "avx2", "avx512", "amx"})
    if (auto set = choose_kernels(isa, os::cpu_info()); set.ok()) out.push_back(*set);
  return out;
}

TEST(Quant, BlocksMeanWhatTheirDefinitionSays) {
  std::mt19937 dice(1);
  for (DType type : kTypes) {
    const int64_t n = 19, k = 512;
    const std::string rows = random_rows(type, n, k, dice);
    const auto bytes = static_cast<size_t>(row_bytes(type, k));
    std::vector<float> direct(static_cast<size_t>(n * k)), row(static_cast<size_t>(k));
    to_floats({type, {n, k}, rows.data()}, 0, n * k, direct.data());
    const Packed packed = pack(type, n, k, rows);
    for (int64_t r = 0; r < n; ++r) {
      unpack_row(packed.m, r, row.data());
      const std::string one = rows.substr(static_cast<size_t>(r) * bytes, bytes);
      for (size_t i = 0; i < static_cast<size_t>(k); ++i) {
        ASSERT_EQ(row[i], element(type, one, i)) << name_of(type) << " " << r << " " << i;
        ASSERT_EQ(direct[static_cast<size_t>(r * k) + i], row[i]);
      }
    }
  }
}

TEST(Quant, PartsArePackedOneAfterTheOther) {
  std::mt19937 dice(2);
  for (DType type : kTypes) {
    const int64_t k = 256;
    const std::string rows = random_rows(type, 37, k, dice);
    const Packed whole = pack(type, 37, k, rows);
    Buffer<uint8_t> parts(whole.bytes.size());
    const View views[] = {{type, {5, k}, rows.data()}, {type, {32, k}, rows.data() + 5 * row_bytes(type, k)}};
    pack_quant(views, parts.data());
    EXPECT_EQ(std::memcmp(parts.data(), whole.bytes.data(), parts.size()), 0) << name_of(type);
  }
}

TEST(Quant, WidthsThatAreNoWholeBlocksAreRefused) {
  EXPECT_TRUE(check_quant(DType::q8_0, 64).ok());
  EXPECT_EQ(check_quant(DType::q4_k, 128).error().message, "rows of Q4_K must be a multiple of 256 long, found 128");
  EXPECT_FALSE(check_quant(DType::q8_0, 0).ok());
  EXPECT_FALSE(check_quant(DType::f16, 64).ok());
}

// Each set gives the bits of the scalar one, in every cut into rows and panels, added or not; and these are near the
// product of the weights with activations that were not rounded.
TEST(Quant, EverySetGivesTheSameBits) {
  std::mt19937 dice(3);
  for (DType type : kTypes) {
    for (const auto& [n, k, rows] : {std::tuple<int64_t, int64_t, int64_t>{1, 256, 1},
                                     {16, 256, 3},
                                     {40, 768, 17},
                                     {33, 2304, 50},
                                     {70, 4352, 16}}) {
      const std::string bytes = random_rows(type, n, k, dice);
      const Packed packed = pack(type, n, k, bytes);
      auto x = random_floats(static_cast<size_t>(rows * k) + 1, dice);
      for (int64_t i = 0; i < 32; ++i) x[static_cast<size_t>(i) + 1] = 0;  // a block of zeros
      const auto y = random_floats(static_cast<size_t>(rows * n), dice);
      std::vector<float> want;
      for (const Kernels* set : all_sets()) {
        for (const bool accumulate : {false, true}) {
          QuantRows q;
          q.need(rows, k);
          set->quant->quantise(x.data() + 1, k, 0, rows, &q);
          std::vector<float> got = y;
          if (!accumulate) std::fill(got.begin(), got.end(), -1.0f);
          for (int64_t panel = 0; panel < panels(n); panel += 2) {
            const int64_t most = std::min<int64_t>(2, panels(n) - panel);
            const int64_t cut = rows / 2;
            set->quant->gemm({&packed.m, &q, 0, cut, panel, most, got.data(), n, accumulate});
            set->quant->gemm({&packed.m, &q, cut, rows - cut, panel, most, got.data(), n, accumulate});
          }
          std::vector<float> at_once = accumulate ? y : std::vector<float>(y.size(), -1.0f);
          set->quant->gemm({&packed.m, &q, 0, rows, 0, panels(n), at_once.data(), n, accumulate});
          ASSERT_EQ(std::memcmp(got.data(), at_once.data(), got.size() * 4), 0) << set->isa;
          if (accumulate) continue;
          if (want.empty()) want = got;
          ASSERT_EQ(std::memcmp(got.data(), want.data(), got.size() * 4), 0)
              << set->isa << " " << name_of(type) << " n " << n << " k " << k << " rows " << rows;
        }
      }
      std::vector<float> w(static_cast<size_t>(k));
      for (int64_t o = 0; o < n; ++o) {
        unpack_row(packed.m, o, w.data());
        for (int64_t r = 0; r < rows; ++r) {
          double exact = 0, size = 0;
          for (int64_t i = 0; i < k; ++i) {
            const double a = x[static_cast<size_t>(r * k + i) + 1], b = w[static_cast<size_t>(i)];
            exact += a * b;
            size += b * b;
          }
          // Rounding moves each activation by at most 4/254 (normal numbers: the largest of 32 is below 4 or so),
          // independently: the sum by some of sqrt(sum of w^2) times that.
          ASSERT_NEAR(want[static_cast<size_t>(r * n + o)], exact, 0.08 * std::sqrt(size)) << name_of(type);
        }
      }
    }
  }
}

TEST(Quant, ActivationsRoundToTheNearestOf255) {
  for (const Kernels* set : all_sets()) {
    QuantRows q;
    q.need(1, 64);
    std::vector<float> x(64);
    for (size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i) - 15.5f;
    x[40] = -254.0f;
    x[41] = 1.0f;  // half of a step: to the even one, 0
    x[42] = 3.0f;  // one and a half: to 2
    set->quant->quantise(x.data(), 64, 0, 1, &q);
    EXPECT_EQ(q.scale[0], 15.5f / 127.0f);
    EXPECT_EQ(q.q[0], -127);
    EXPECT_EQ(q.q[31], 127);
    EXPECT_EQ(q.q[40], -127) << set->isa;
    EXPECT_EQ(q.q[41], 0) << set->isa;
    EXPECT_EQ(q.q[42], 2) << set->isa;
    EXPECT_EQ(q.sum[2] + q.sum[3], -125);
    EXPECT_EQ(q.sum[0], -(127 + 119 + 111 + 102 + 94 + 86 + 78 + 70 + 61 + 53 + 45 + 37 + 29 + 20 + 12 + 4));
  }
}

}  // namespace
}  // namespace hf::tensor
