// When a worker that ended is started again: at once after a life that was long enough, later and later where it keeps
// ending. No clock here: times are arguments.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hf::fleet {

class Backoff {
 public:
  static constexpr int64_t kHealthyUs = 10'000'000;  // a life this long forgives what was before
  static constexpr int64_t kFirstUs = 100'000;
  static constexpr int64_t kLongestUs = 10'000'000;

  // How long to wait before the next start, after a worker that lived lived_us.
  int64_t after(int64_t lived_us) {
    if (lived_us >= kHealthyUs) short_lives_ = 0;
    const int64_t wait = short_lives_ == 0 ? 0 : std::min(kLongestUs, kFirstUs << std::min(short_lives_ - 1, 10));
    ++short_lives_;
    return wait;
  }

 private:
  int short_lives_ = 0;
};

}  // namespace hf::fleet
