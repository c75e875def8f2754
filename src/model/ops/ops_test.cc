// One test for all ops: forward against the reference on every kernel set, backward against finite differences of the
// reference in double precision.
#include "model/ops/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace hf::model {
namespace {

struct Case {
  const Op* op;
  std::vector<Shape> shapes;
  OpSettings settings = {};
};

std::vector<int32_t> some(size_t n, int32_t below) {
  std::vector<int32_t> out;
  for (size_t i = 0; i < n; ++i) out.push_back(static_cast<int32_t>((i * 7 + 3) % static_cast<size_t>(below)));
  return out;
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (auto [m, k, n] : {std::array{1, 1, 1}, {3, 17, 5}, {13, 16, 33}, {7, 40, 50}}) {
    out.push_back({&kMatmul, {{m, k}, {k, n}}});
  }
  for (auto [r, c] : {std::array{1, 1}, {3, 16}, {4, 37}, {2, 64}}) {
    out.push_back({&kNorm, {{r, c}, {c}}});
    out.push_back({&kSwiglu, {{r, 2 * c}}});
    out.push_back({&kEmbedding, {{c, r}}, {.indices = some(6, c)}});
    out.push_back({&kCrossEntropy, {{r, c}}, {.indices = some(static_cast<size_t>(r), c)}});
  }
  for (auto [r, heads, dim] : {std::array{1, 1, 2}, {3, 2, 6}, {5, 3, 34}}) {
    out.push_back({&kRope, {{r, heads * dim}}, {.heads = heads, .indices = some(static_cast<size_t>(r), 50)}});
  }
  for (auto [t, all, heads, kv, dim] :
       {std::array{1, 1, 1, 1, 2}, {5, 5, 2, 2, 6}, {30, 30, 2, 1, 4}, {3, 27, 4, 2, 5}, {26, 51, 1, 1, 18}}) {
    out.push_back(
        {&kAttention, {{t, heads * dim}, {all, 2 * kv * dim}}, {.heads = heads, .kv_heads = kv, .indices = {}}});
  }
  return out;
}

struct Values {
  std::vector<std::vector<float>> floats;
  std::vector<std::vector<double>> doubles;
  std::vector<const float*> inputs;
  std::vector<const double*> exact;

  explicit Values(const Case& c) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    for (const Shape& shape : c.shapes) {
      auto& f = floats.emplace_back();
      for (int64_t i = 0; i < elements(shape); ++i) f.push_back(normal(random));
      doubles.emplace_back(f.begin(), f.end());
    }
    for (auto& f : floats) inputs.push_back(f.data());
    for (auto& d : doubles) exact.push_back(d.data());
  }
};

std::vector<const tensor::Kernels*> sets() {
  std::vector<const tensor::Kernels*> out;
  for (const char* isa : {"scalar", "avx2", "avx512"}) {
    auto set = tensor::choose_kernels(isa, os::cpu_info());
    if (set.ok()) out.push_back(*set);
  }
  return out;
}

TEST(Ops, ForwardIsTheReferencesOnEveryKernelSet) {
  for (const Case& c : cases()) {
    const Values v(c);
    const auto shape = c.op->shape(c.shapes, c.settings);
    ASSERT_TRUE(shape.ok()) << c.op->name;
    std::vector<double> want(static_cast<size_t>(elements(*shape)));
    c.op->reference(c.shapes, v.exact, c.settings, want.data());
    for (const tensor::Kernels* k : sets()) {
      std::vector<float> got(want.size());
      c.op->forward(*k, {c.shapes, v.inputs, c.settings}, got.data());
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(got[i], want[i], 2e-5 * (1 + std::abs(want[i]))) << c.op->name << " " << k->isa << " " << i;
      }
    }
  }
}

TEST(Ops, BackwardIsTheSlopeOfTheReference) {
  for (const Case& c : cases()) {
    Values v(c);
    const auto shape = *c.op->shape(c.shapes, c.settings);
    const auto size = static_cast<size_t>(elements(shape));
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    std::vector<float> dout(size);
    for (float& d : dout) d = normal(random);
    const auto loss = [&] {
      std::vector<double> out(size);
      c.op->reference(c.shapes, v.exact, c.settings, out.data());
      double sum = 0;
      for (size_t i = 0; i < size; ++i) sum += out[i] * static_cast<double>(dout[i]);
      return sum;
    };
    std::vector<std::vector<double>> slopes;
    for (auto& input : v.doubles) {
      auto& slope = slopes.emplace_back();
      for (double& x : input) {
        const double kept = x, h = 1e-5;
        x = kept + h;
        const double up = loss();
        x = kept - h;
        slope.push_back((up - loss()) / (2 * h));
        x = kept;
      }
    }
    for (const tensor::Kernels* k : sets()) {
      std::vector<std::vector<float>> got;
      std::vector<float*> din;
      for (const auto& input : v.floats) got.emplace_back(input.size(), 99.0f);
      for (auto& g : got) din.push_back(g.data());
      c.op->backward(*k, {c.shapes, v.inputs, c.settings}, dout.data(), din);
      for (size_t n = 0; n < got.size(); ++n) {
        for (size_t i = 0; i < got[n].size(); ++i) {
          ASSERT_NEAR(got[n][i], slopes[n][i], 1e-4 * (1 + std::abs(slopes[n][i])))
              << c.op->name << " " << k->isa << " input " << n << " at " << i;
        }
      }
    }
  }
}

TEST(Ops, EachIsCovered) {
  for (const Op* op : ops()) {
    size_t found = 0;
    for (const Case& c : cases()) found += c.op == op ? 1 : 0;
    EXPECT_GE(found, 3u) << op->name;
  }
}

TEST(Ops, ShapesAreChecked) {
  const std::vector<Shape> wrong{{3, 4}, {5, 6}};
  EXPECT_EQ(kMatmul.shape(wrong, {}).error().message, "matmul needs (m, k) and (k, n)");
  EXPECT_FALSE(kNorm.shape(wrong, {}).ok());
  EXPECT_FALSE(kAttention.shape(wrong, {}).ok());
  const std::vector<Shape> odd{{2, 5}};
  EXPECT_FALSE(kSwiglu.shape(odd, {}).ok());
  EXPECT_FALSE(kRope.shape(odd, {}).ok());
  EXPECT_FALSE(kEmbedding.shape(odd, {.indices = {2}}).ok());
  EXPECT_FALSE(kCrossEntropy.shape(odd, {.indices = {1, 5}}).ok());
}

}  // namespace
}  // namespace hf::model
