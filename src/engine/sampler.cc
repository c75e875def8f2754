#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.h"
#include "tensor/kernels.h"

namespace hf::engine {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return c;
}

double uniform(uint64_t seed, uint64_t index) {
  const auto r = philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0, 0},
                        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint64_t bits = (uint64_t{r[0]} << 32 | r[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

Status check_sampling(const rpc::Sampling& s) {
  const auto no = [](const char* name, const char* range) {
    return fail(Code::invalid, std::string(name) + ": expected " + range);
  };
  if (!(s.temperature >= 0 && s.temperature <= 2)) return no("temperature", "0 to 2");
  if (!(s.top_p > 0 && s.top_p <= 1)) return no("top_p", "above 0, at most 1");
  if (!(s.min_p >= 0 && s.min_p < 1)) return no("min_p", "0 to below 1");
  if (s.top_k < 0) return no("top_k", "0 (all) or more");
  if (s.max_tokens < 1) return no("max_tokens", "1 or more");
  if (s.stop.size() > 16) return no("stop", "at most 16 texts");
  for (const std::string& text : s.stop)
    if (text.empty() || text.size() > 256 || !valid_utf8(text)) return no("stop", "texts of 1 to 256 bytes of UTF-8");
  return {};
}

namespace {
constexpr double kDropped = 60;  // e^-60 is below 2^-86: a draw of 53 bits does not see it
}

Result<int32_t> Sampler::choose(std::span<const float> logits, const rpc::Sampling& sampling, uint64_t index) {
  size_t best = logits.size();
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] == logits[i] && (best == logits.size() || logits[i] > logits[best])) best = i;
  if (best == logits.size() || !std::isfinite(logits[best]))
    return fail(Code::internal, "the model's logits are no numbers");
  if (sampling.temperature == 0) return static_cast<int32_t>(best);

  const double temperature = std::max(sampling.temperature, 1e-6);
  const double largest = logits[best];
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    const double below = (static_cast<double>(logits[i]) - largest) / temperature;
    if (below >= -kDropped) candidates_.push_back({logits[i], static_cast<int32_t>(i), tensor::exact_exp(below)});
  }
  const auto k = static_cast<size_t>(sampling.top_k);
  if (k > 0 && k < candidates_.size()) {
    std::partial_sort(candidates_.begin(), candidates_.begin() + sampling.top_k, candidates_.end(), Candidate::before);
    candidates_.resize(k);
  }
  if (sampling.top_p < 1) candidates_.resize(keep_top_p(sampling.top_p));
  if (sampling.min_p > 0) std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < sampling.min_p; });

  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
  double left = uniform(sampling.seed, index) * total;
  for (const Candidate& c : candidates_) {
    left -= c.weight;
    if (left < 0) return c.id;
  }
  return candidates_.back().id;  // rounding
}

// Sorts as far as it must, in growing steps; how many of the sorted ones to keep.
size_t Sampler::keep_top_p(double share) {
  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
  double sum = 0;
  size_t sorted = 0;
  for (size_t step = 256; sorted < candidates_.size(); step *= 8) {
    const size_t until = std::min(candidates_.size(), sorted + step);
    const auto at = [&](size_t i) { return candidates_.begin() + static_cast<std::ptrdiff_t>(i); };
    std::partial_sort(at(sorted), at(until), candidates_.end(), Candidate::before);
    for (; sorted < until; ++sorted) {
      sum += candidates_[sorted].weight;
      if (sum >= share * total) return sorted + 1;
    }
  }
  return sorted;
}

}  // namespace hf::engine
