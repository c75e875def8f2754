// From logits to the next token. The choice depends on the logits, the settings, the seed and the index of the token
// in the answer, and on nothing else: random numbers are a function of (seed, index), and every sum has one order.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "rpc/messages.h"

namespace hf::engine {

// Philox4x32-10: a keyed function from a counter to 128 bits (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as
// easy as 1, 2, 3; SC 2011).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);
double uniform(uint64_t seed, uint64_t index);  // [0, 1), 53 bits

// invalid: names the first setting that is out of the range that rpc::Sampling states.
Status check_sampling(const rpc::Sampling& sampling);

// Temperature divides the logits (0: the largest wins, the lowest id among equals); then top_k keeps the k largest,
// top_p the fewest largest whose share of those reaches p, min_p those with at least min_p of the largest's
// probability; of what is left one is drawn. Tokens below e^-60 of the largest are never drawn. Keep one for a thread:
// it owns the scratch memory.
class Sampler {
 public:
  // logits: (vocabulary). internal: no logit is a number.
  Result<int32_t> choose(std::span<const float> logits, const rpc::Sampling& sampling, uint64_t index);

 private:
  struct Candidate {
    float logit;
    int32_t id;
    double weight;  // exp((logit - largest) / temperature)
    static bool before(const Candidate& a, const Candidate& b) {
      return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
    }
  };
  size_t keep_top_p(double share);
  std::vector<Candidate> candidates_;
};

}  // namespace hf::engine
