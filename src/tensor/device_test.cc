// A device's ops against double precision, and that a row's bits depend on nothing but the row. Skipped where the build
// has no CUDA or the machine no device.
#include "tensor/device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tensor/kernels.h"
#include "tensor/quant.h"

namespace hf::tensor {
namespace {

class DeviceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (auto opened = open_cuda(); opened.ok()) device_ = opened->release();
  }
  static void TearDownTestSuite() {
    delete device_;
    device_ = nullptr;
  }
  void SetUp() override {
    if (!device_) GTEST_SKIP() << open_cuda().error().message;
  }
  void TearDown() override {
    if (!device_) return;
    EXPECT_TRUE(device_->status().ok()) << device_->status().error().message;
  }
  template <class T>
  DeviceMemory put(const std::vector<T>& values) {
    auto memory = device_->allocate(values.size() * sizeof(T) + 8192);
    check(memory.ok(), "room");
    device_->upload(memory->template as<T>(), values.data(), values.size() * sizeof(T));
    return std::move(*memory);
  }
  DeviceMemory room(size_t bytes) {
    auto memory = device_->allocate(bytes + 8192);
    check(memory.ok(), "room");
    return std::move(*memory);
  }
  static Device* device_;
};
Device* DeviceTest::device_ = nullptr;

std::vector<float> numbers(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

float rounded(float x) { return float_of_bf16(bf16_of(x)); }

// Activations of `rows` rows, in the device's order.
std::vector<uint16_t> activations(const std::vector<float>& x, int64_t rows, int64_t k) {
  std::vector<uint16_t> out(static_cast<size_t>(activation_elements(rows, k)));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < k; ++i)
      out[static_cast<size_t>(activation_index(r, i, k))] = bf16_of(x[static_cast<size_t>(r * k + i)]);
  return out;
}

// A matrix of random bits with scales of a sensible size: the host's panels, and its weights.
struct TestMatrix {
  HostMatrix host;
  std::vector<uint8_t> panels;
  std::vector<float> weights;  // (n, k)
};

TestMatrix test_matrix(DType type, int64_t k, int64_t n) {
  TestMatrix m;
  std::mt19937 dice(static_cast<unsigned>(k + n));
  if (!quantised(type)) {
    m.weights = numbers(static_cast<size_t>(n * k), 5);
    if (type == DType::bf16)
      for (float& w : m.weights) w = rounded(w);
    std::vector<float> panels(static_cast<size_t>(panel_floats(k, n)));
    for (int64_t p = 0; p < tensor::panels(n); ++p)
      (*choose_kernels("scalar", {}))
          ->pack_transposed(std::min(kPanel, n - p * kPanel), k, m.weights.data() + p * kPanel * k, k,
                            panels.data() + p * k * kPanel, k * kPanel);
    if (type == DType::f32) {
      m.panels.resize(panels.size() * 4);
      std::memcpy(m.panels.data(), panels.data(), m.panels.size());
    } else {
      for (const float x : panels) {
        const uint16_t bits = bf16_of(x);
        m.panels.push_back(static_cast<uint8_t>(bits & 255));
        m.panels.push_back(static_cast<uint8_t>(bits >> 8));
      }
    }
    m.host = {type, k, n, m.panels.data()};
    return m;
  }
  std::vector<char> blocks(static_cast<size_t>(n * row_bytes(type, k)));
  for (char& c : blocks) c = static_cast<char>(dice());
  const auto block = static_cast<size_t>(row_bytes(type, block_elements(type)));
  for (size_t at = 0; at < blocks.size(); at += block) {
    const uint16_t scale = f16_of(0.01f + 0.0001f * static_cast<float>(dice() % 100));
    std::memcpy(blocks.data() + at + (type == DType::q6_k ? 208 : 0), &scale, 2);
    if (type == DType::q4_k) std::memcpy(blocks.data() + at + 2, &scale, 2);
  }
  const View view{type, {n, k}, blocks.data()};
  m.weights.resize(static_cast<size_t>(n * k));
  to_floats(view, 0, n * k, m.weights.data());
  m.panels.resize(static_cast<size_t>(packed_bytes(type, k, n)));
  pack_quant({&view, 1}, m.panels.data());
  m.host = {type, k, n, m.panels.data()};
  return m;
}

constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::q8_0, DType::q4_0, DType::q4_k, DType::q6_k};

TEST_F(DeviceTest, ProductsAreTheWeightsAndEveryRowsBitsItsOwn) {
  for (const DType type : kTypes) {
    for (const auto& [k, n] : {std::pair<int64_t, int64_t>{256, 16}, {512, 272}, {2560, 144}, {96, 40}, {48, 33}}) {
      if (quantised(type) && k % block_elements(type) != 0) continue;
      const TestMatrix m = test_matrix(type, k, n);
      DeviceMemory memory;
      const auto w = device_->matrix(m.host, &memory);
      ASSERT_TRUE(w.ok()) << w.error().message;
      constexpr int64_t kMost = 300;
      const std::vector<float> x = numbers(static_cast<size_t>(kMost * k), 9);
      const DeviceMemory x_on = put(activations(x, kMost, k)), y_on = room(static_cast<size_t>(kMost * n) * 4);
      std::vector<float> want;
      for (const int64_t rows : {kMost, int64_t{1}, int64_t{8}, int64_t{13}, int64_t{32}, int64_t{33}, int64_t{129}}) {
        std::vector<float> y(static_cast<size_t>(rows * n), NAN);
        device_->upload(y_on.as<float>(), y.data(), y.size() * 4);  // what is not written shows
        device_->multiply(rows, *w, x_on.as<uint16_t>(), y_on.as<float>(), n, false);
        device_->download(y.data(), y_on.as<float>(), y.size() * 4);
        if (rows == kMost) want = y;
        for (size_t i = 0; i < y.size(); ++i)
          ASSERT_EQ(std::memcmp(&y[i], &want[i], 4), 0) << name_of(type) << " k " << k << " n " << n << " rows " << rows
                                                        << " at " << i << ": " << y[i] << " " << want[i];
      }
      double error = 0, size = 0;
      for (int64_t r = 0; r < kMost; ++r) {
        for (int64_t o = 0; o < n; ++o) {
          double sum = 0;
          for (int64_t i = 0; i < k; ++i)
            sum += static_cast<double>(m.weights[static_cast<size_t>(o * k + i)]) *
                   static_cast<double>(rounded(x[static_cast<size_t>(r * k + i)]));
          const double d = static_cast<double>(want[static_cast<size_t>(r * n + o)]) - sum;
          error += d * d;
          size += sum * sum;
        }
      }
      EXPECT_LT(std::sqrt(error / size), 2e-5) << name_of(type) << " k " << k << " n " << n;
      // Row 7 among others, added to what is there.
      std::vector<float> y(static_cast<size_t>(40 * n), 1.0f);
      device_->upload(y_on.as<float>(), y.data(), y.size() * 4);
      device_->multiply(40, *w, x_on.as<uint16_t>(), y_on.as<float>(), n, true);
      device_->download(y.data(), y_on.as<float>(), y.size() * 4);
      for (int64_t o = 0; o < n; ++o)
        EXPECT_EQ(y[static_cast<size_t>(7 * n + o)], 1.0f + want[static_cast<size_t>(7 * n + o)]);
    }
  }
}

TEST_F(DeviceTest, GatedProductsAreSwigluOfTheProduct) {
  for (const DType type : kTypes) {
    for (const auto& [k, n] : {std::pair<int64_t, int64_t>{256, 32}, {512, 288}, {2560, 160}}) {
      const TestMatrix m = test_matrix(type, k, n);
      DeviceMemory memory;
      const auto w = device_->matrix(m.host, &memory);
      ASSERT_TRUE(w.ok()) << w.error().message;
      constexpr int64_t kMost = 300;
      const DeviceMemory x_on = put(activations(numbers(static_cast<size_t>(kMost * k), 9), kMost, k));
      const DeviceMemory y_on = room(static_cast<size_t>(kMost * n) * 4);
      std::vector<uint16_t> want(static_cast<size_t>(activation_elements(kMost, n / 2))), got(want.size());
      const DeviceMemory want_on = put(want), got_on = put(want);
      for (const int64_t rows : {int64_t{1}, int64_t{11}, int64_t{32}, int64_t{65}, kMost}) {
        device_->multiply(rows, *w, x_on.as<uint16_t>(), y_on.as<float>(), n, false);
        device_->swiglu(rows, n / 2, y_on.as<float>(), want_on.as<uint16_t>());
        device_->multiply_gated(rows, *w, x_on.as<uint16_t>(), got_on.as<uint16_t>());
        device_->download(want.data(), want_on.as<uint16_t>(), want.size() * 2);
        device_->download(got.data(), got_on.as<uint16_t>(), got.size() * 2);
        EXPECT_EQ(got, want) << name_of(type) << " k " << k << " n " << n << " rows " << rows;
      }
    }
  }
}

TEST_F(DeviceTest, AnEmbeddingIsTheMatrixsColumn) {
  for (const DType type : kTypes) {
    const TestMatrix m = test_matrix(type, 512, 70);
    DeviceMemory memory;
    const auto w = device_->matrix(m.host, &memory);
    ASSERT_TRUE(w.ok()) << w.error().message;
    const std::vector<DeviceRow> rows{{0, 0, 0}, {69, 1, 0}, {17, 2, 0}, {40, 3, 0}};
    const DeviceMemory rows_on = put(rows), x_on = room(4 * 512 * 4);
    DeviceBatch b;
    b.rows = 4;
    b.rows_on = rows_on.as<DeviceRow>();
    device_->embed(b, *w, x_on.as<float>());
    std::vector<float> x(4 * 512);
    device_->download(x.data(), x_on.as<float>(), x.size() * 4);
    for (size_t r = 0; r < 4; ++r) {
      for (size_t i = 0; i < 512; ++i) {
        const float want = m.weights[static_cast<size_t>(rows[r].token) * 512 + i];
        ASSERT_NEAR(x[r * 512 + i], want, std::abs(want) * 2e-5f) << name_of(type) << " row " << r << " input " << i;
      }
    }
  }
}

TEST_F(DeviceTest, NormsAndGates) {
  constexpr int64_t kRows = 3, kWidth = 1028;
  const std::vector<float> x = numbers(kRows * kWidth * 2, 3), gain = numbers(kWidth, 4);
  const DeviceMemory x_on = put(x), gain_on = put(gain), which_on = put(std::vector<int32_t>{2, 0});
  const DeviceMemory y_on = room(static_cast<size_t>(activation_elements(kRows, kWidth)) * 2);
  std::vector<uint16_t> y(static_cast<size_t>(activation_elements(kRows, kWidth)));
  const auto got = [&](int64_t row, int64_t i) {
    return static_cast<double>(float_of_bf16(y[static_cast<size_t>(activation_index(row, i, kWidth))]));
  };
  device_->norm(2, kWidth, x_on.as<float>(), which_on.as<int32_t>(), gain_on.as<float>(), 1e-5f, y_on.as<uint16_t>());
  device_->download(y.data(), y_on.as<uint16_t>(), y.size() * 2);
  for (const int64_t row : {0, 1}) {
    const float* from = x.data() + (row == 0 ? 2 : 0) * kWidth;
    double sum = 0;
    for (int64_t i = 0; i < kWidth; ++i) sum += static_cast<double>(from[i]) * static_cast<double>(from[i]);
    for (int64_t i = 0; i < kWidth; ++i) {
      const double want = static_cast<double>(from[i]) / std::sqrt(sum / kWidth + 1e-5) *
                          static_cast<double>(gain[static_cast<size_t>(i)]);
      ASSERT_NEAR(got(row, i), want, std::abs(want) / 250) << row << " " << i;
    }
  }
  device_->swiglu(kRows, kWidth, x_on.as<float>(), y_on.as<uint16_t>());
  device_->download(y.data(), y_on.as<uint16_t>(), y.size() * 2);
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kWidth; ++i) {
      const double gate = static_cast<double>(x[static_cast<size_t>(row * 2 * kWidth + i)]);
      const double up = static_cast<double>(x[static_cast<size_t>(row * 2 * kWidth + kWidth + i)]);
      const double want = gate / (1 + std::exp(-gate)) * up;
      ASSERT_NEAR(got(row, i), want, std::abs(want) / 250 + 1e-30) << row << " " << i;
    }
  }
}

// Random queries, keys and values of one sequence over three of attention's parts.
struct AttentionCase {
  int64_t heads, kv_heads, dim;
};
class Attention {
 public:
  static constexpr int64_t kRows = 600, kLayers = 2;
  explicit Attention(const AttentionCase& c)
      : c_(c),
        width_((c.heads + 2 * c.kv_heads) * c.dim),
        qkv(numbers(static_cast<size_t>(kRows * width_), 21)),
        cosine(static_cast<size_t>(kRows * c.dim / 2)),
        sine(cosine.size()) {
    for (size_t i = 0; i < cosine.size(); ++i) {
      const double angle = static_cast<double>(i) * 0.37;
      cosine[i] = static_cast<float>(std::cos(angle));
      sine[i] = static_cast<float>(std::sin(angle));
    }
  }
  int64_t width() const { return width_; }
  int64_t page_floats() const { return kLayers * c_.kv_heads * 2 * c_.dim * kDevicePositions; }

  // The attention of a row's head, in double precision.
  std::vector<double> want(int64_t row, int64_t head) const {
    const int64_t kv = head / (c_.heads / c_.kv_heads);
    const std::vector<double> query = turned(row, head);
    std::vector<double> out(static_cast<size_t>(c_.dim));
    double total = 0;
    for (int64_t p = 0; p <= row; ++p) {
      const std::vector<double> key = turned(p, c_.heads + kv);
      double dot = 0;
      for (size_t d = 0; d < key.size(); ++d) dot += query[d] * key[d];
      const double weight = std::exp(dot / std::sqrt(static_cast<double>(c_.dim)));
      total += weight;
      for (size_t d = 0; d < out.size(); ++d)
        out[d] += weight * at(p, c_.heads + c_.kv_heads + kv, static_cast<int64_t>(d));
    }
    for (double& x : out) x /= total;
    return out;
  }

 private:
  double at(int64_t row, int64_t head, int64_t d) const {
    return static_cast<double>(qkv[static_cast<size_t>(row * width_ + head * c_.dim + d)]);
  }
  std::vector<double> turned(int64_t row, int64_t head) const {
    const int64_t half = c_.dim / 2;
    std::vector<double> out(static_cast<size_t>(c_.dim));
    for (int64_t i = 0; i < half; ++i) {
      const auto angle = static_cast<size_t>(row * half + i);
      const double a = at(row, head, i), b = at(row, head, i + half);
      const double c = static_cast<double>(cosine[angle]), s = static_cast<double>(sine[angle]);
      out[static_cast<size_t>(i)] = a * c - b * s;
      out[static_cast<size_t>(i + half)] = b * c + a * s;
    }
    return out;
  }
  AttentionCase c_;
  int64_t width_;

 public:
  std::vector<float> qkv, cosine, sine;
};

TEST_F(DeviceTest, AttentionIsOfAllPositionsAndEveryRowsBitsItsOwn) {
  for (const AttentionCase& c : {AttentionCase{4, 2, 64}, {12, 1, 8}, {8, 8, 128}, {2, 1, 256}}) {
    const Attention a(c);
    constexpr int64_t kPages = (Attention::kRows + kDevicePositions - 1) / kDevicePositions;
    const DeviceMemory memory = room(static_cast<size_t>(kPages * a.page_floats()) * 4);
    std::vector<float*> pages;  // in an order that is not memory's
    for (int64_t p = 0; p < kPages; ++p) pages.push_back(memory.as<float>() + (p * 7 + 3) % kPages * a.page_floats());
    const DeviceMemory pages_on = put(pages), cosine_on = put(a.cosine), sine_on = put(a.sine);
    DeviceHeads h{c.heads, c.kv_heads, c.dim, 1, 1e-5f, nullptr, nullptr, cosine_on.as<float>(), sine_on.as<float>()};
    const int64_t outputs = c.heads * c.dim;
    const auto run = [&](int64_t first, int64_t count, int64_t span_rows) {
      std::vector<DeviceRow> rows;
      std::vector<DeviceSpan> spans;
      for (int64_t r = 0; r < count; ++r) {
        rows.push_back({0, static_cast<int32_t>(first + r), 0});
        if (r % span_rows == 0) spans.push_back({static_cast<int32_t>(r), 0});
        ++spans.back().count;
      }
      const DeviceMemory rows_on = put(rows), spans_on = put(spans);
      const DeviceMemory qkv_on =
          put(std::vector<float>(a.qkv.begin() + first * a.width(), a.qkv.begin() + (first + count) * a.width()));
      std::vector<uint16_t> y(static_cast<size_t>(activation_elements(count, outputs)), 0x7fc0);  // what is not written
      const DeviceMemory y_on = put(y);
      DeviceBatch b;
      b.rows = count;
      b.spans = static_cast<int64_t>(spans.size());
      b.widest = std::min(count, span_rows);
      b.positions = first + count;
      b.rows_on = rows_on.as<DeviceRow>();
      b.spans_on = spans_on.as<DeviceSpan>();
      b.pages_on = pages_on.as<float*>();
      const DeviceMemory parts_on = room(static_cast<size_t>(device_->attention_floats(b, h)) * 4);
      device_->turn_and_store(b, h, qkv_on.as<float>());
      device_->attend(b, h, qkv_on.as<float>(), parts_on.as<float>(), y_on.as<uint16_t>());
      device_->download(y.data(), y_on.as<uint16_t>(), y.size() * 2);
      return y;
    };
    const std::vector<uint16_t> all = run(0, Attention::kRows, 8);
    for (const int64_t row : {0, 15, 255, 256, 300, 511, 512, 599}) {
      double error = 0, size = 0;
      for (int64_t head = 0; head < c.heads; ++head) {
        const std::vector<double> want = a.want(row, head);
        for (int64_t d = 0; d < c.dim; ++d) {
          const auto got = static_cast<double>(
              float_of_bf16(all[static_cast<size_t>(activation_index(row, head * c.dim + d, outputs))]));
          error += (got - want[static_cast<size_t>(d)]) * (got - want[static_cast<size_t>(d)]);
          size += want[static_cast<size_t>(d)] * want[static_cast<size_t>(d)];
        }
      }
      EXPECT_LT(std::sqrt(error / size), 4e-3) << "heads " << c.heads << " row " << row;  // of bfloat16
    }
    struct Cut {
      int64_t first, count, span_rows;
    };
    for (const Cut& cut :
         {Cut{0, 1, 8}, {240, 30, 8}, {599, 1, 8}, {500, 32, 3}, {300, 200, 5}, {511, 2, 1}, {100, 40, 8}}) {
      const std::vector<uint16_t> part = run(cut.first, cut.count, cut.span_rows);
      for (int64_t r = 0; r < cut.count; ++r)
        for (int64_t i = 0; i < outputs; ++i)
          ASSERT_EQ(part[static_cast<size_t>(activation_index(r, i, outputs))],
                    all[static_cast<size_t>(activation_index(cut.first + r, i, outputs))])
              << "heads " << c.heads << " rows from " << cut.first << ", " << cut.count << ": row " << r << " " << i;
    }
  }
}

TEST_F(DeviceTest, MemoryThatIsNotThereIsRefusedAndTheDeviceGoesOn) {
  const auto refused = device_->allocate(size_t{1} << 50);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::exhausted);
  const DeviceMemory memory = put(std::vector<float>{1, 2, 3});
  std::vector<float> back(3);
  device_->download(back.data(), memory.as<float>(), 12);
  EXPECT_EQ(back, (std::vector<float>{1, 2, 3}));
}

TEST(Device, ABuildOrMachineWithoutOneSaysSo) {
  const auto opened = open_cuda();
  if (opened.ok()) {
    EXPECT_NE((*opened)->words().find("multiprocessors"), std::string::npos);
  } else {
    EXPECT_EQ(opened.error().code, Code::unavailable);
    EXPECT_NE(opened.error().message.find("CUDA"), std::string::npos);
  }
}

}  // namespace
}  // namespace hf::tensor
