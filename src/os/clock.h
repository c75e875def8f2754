// Time and randomness as arguments. Real ones: os::real_clock(), os::real_random(); fakes in os/fake.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/text.h"

namespace hf::os {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Micros now() = 0;               // wall clock; may jump
  virtual int64_t monotonic_us() = 0;     // never goes back
  virtual void sleep_us(int64_t us) = 0;  // the fake one advances itself instead
};

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<char> out) = 0;  // cryptographic in the real one; seeded in the fake one
  std::string bytes(size_t n) {
    std::string out(n, '\0');
    fill({out.data(), n});
    return out;
  }
};

Clock& real_clock();
Random& real_random();

}  // namespace hf::os
