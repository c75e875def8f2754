#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace hf::engine {
namespace {

rpc::Sampling settings(double temperature, uint64_t seed = 1) {
  rpc::Sampling s;
  s.temperature = temperature;
  s.seed = seed;
  return s;
}

std::map<int32_t, int> draw(const std::vector<float>& logits, const rpc::Sampling& s, uint64_t n) {
  Sampler sampler;
  std::map<int32_t, int> counts;
  for (uint64_t i = 0; i < n; ++i) ++counts[*sampler.choose(logits, s, i)];
  return counts;
}

TEST(Philox, KnownAnswers) {  // of the paper's own library, kat_vectors
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t f = 0xffffffff;
  EXPECT_EQ(philox({f, f, f, f}, {f, f}), (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestAmongEquals) {
  Sampler sampler;
  EXPECT_EQ(*sampler.choose(std::vector<float>{1, 3, 2, 3}, settings(0), 0), 1);
  EXPECT_EQ(*sampler.choose(std::vector<float>{NAN, -5, NAN}, settings(0), 0), 1);
}

TEST(Sampler, NoNumbersAreAnError) {
  Sampler sampler;
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(sampler.choose(std::vector<float>{NAN, NAN}, settings(1), 0).ok());
  EXPECT_FALSE(sampler.choose(std::vector<float>{1, inf}, settings(1), 0).ok());
  EXPECT_FALSE(sampler.choose(std::vector<float>{-inf, -inf}, settings(1), 0).ok());
  EXPECT_FALSE(sampler.choose(std::vector<float>{}, settings(1), 0).ok());
}

TEST(Sampler, FrequenciesFollowTheSoftmax) {
  const std::vector<float> logits = {0, 1, 2, -1000};
  const auto counts = draw(logits, settings(1), 20'000);
  const double total = 1 + std::exp(1) + std::exp(2);
  for (int32_t i = 0; i < 3; ++i) EXPECT_NEAR(counts.at(i) / 20'000.0, std::exp(i) / total, 0.012);
  EXPECT_FALSE(counts.contains(3));
  const auto cold = draw(logits, settings(0.5), 20'000);
  EXPECT_NEAR(cold.at(1) / 20'000.0, std::exp(2) / (1 + std::exp(2) + std::exp(4)), 0.012);
}

TEST(Sampler, FiltersKeepWhatTheySay) {
  const std::vector<float> logits = {0, 4, 3, 2, 1};  // shares about .012 .636 .234 .086 .032
  const auto kept = [&](int32_t k, double p, double min_p) {
    rpc::Sampling s = settings(1);
    s.top_k = k;
    s.top_p = p;
    s.min_p = min_p;
    std::set<int32_t> out;
    for (const auto& [id, n] : draw(logits, s, 3000)) out.insert(id);
    return out;
  };
  EXPECT_EQ(kept(2, 1, 0), (std::set<int32_t>{1, 2}));
  EXPECT_EQ(kept(100, 1, 0).size(), 5u);
  EXPECT_EQ(kept(0, 0.6, 0), (std::set<int32_t>{1}));
  EXPECT_EQ(kept(0, 0.7, 0), (std::set<int32_t>{1, 2}));
  EXPECT_EQ(kept(0, 1e-9, 0), (std::set<int32_t>{1}));
  EXPECT_EQ(kept(0, 1, 0.1), (std::set<int32_t>{1, 2, 3}));  // e^-2 = .135 of the largest, e^-3 = .0498
  EXPECT_EQ(kept(2, 0.7, 0), (std::set<int32_t>{1}));        // .636 / (.636 + .234) = .73
}

TEST(Sampler, TopPOverAWideVocabulary) {
  std::vector<float> logits(20'000, 0.0f);  // all the same: the fewest largest are the lowest ids
  rpc::Sampling s = settings(1);
  s.top_p = 0.5;
  int32_t highest = 0;
  for (const auto& [id, n] : draw(logits, s, 100)) highest = std::max(highest, id);
  EXPECT_LT(highest, 10'000);
  EXPECT_GT(highest, 9'000);
}

TEST(Sampler, DependsOnSeedAndIndexOnly) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 37) * 0.1f;
  Sampler one, other;
  std::vector<int32_t> forwards, backwards;
  for (uint64_t i = 0; i < 100; ++i) forwards.push_back(*one.choose(logits, settings(1, 42), i));
  for (uint64_t i = 100; i-- > 0;) backwards.insert(backwards.begin(), *other.choose(logits, settings(1, 42), i));
  EXPECT_EQ(forwards, backwards);
  std::vector<int32_t> seed43;
  for (uint64_t i = 0; i < 100; ++i) seed43.push_back(*one.choose(logits, settings(1, 43), i));
  EXPECT_NE(forwards, seed43);
}

TEST(Sampler, SettingsOutOfRangeAreNamed) {
  const auto error = [](auto change) {
    rpc::Sampling s;
    change(s);
    const Status status = check_sampling(s);
    return status.ok() ? std::string("fine") : status.error().message;
  };
  EXPECT_EQ(error([](auto&) {}), "fine");
  EXPECT_NE(error([](auto& s) { s.temperature = -0.1; }).find("temperature"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.temperature = NAN; }).find("temperature"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.top_p = 0; }).find("top_p"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.top_p = 1.01; }).find("top_p"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.min_p = 1; }).find("min_p"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.top_k = -1; }).find("top_k"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.max_tokens = 0; }).find("max_tokens"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.stop = {""}; }).find("stop"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.stop = {"\xff"}; }).find("stop"), std::string::npos);
  EXPECT_NE(error([](auto& s) { s.stop.assign(17, "x"); }).find("stop"), std::string::npos);
}

}  // namespace
}  // namespace hf::engine
