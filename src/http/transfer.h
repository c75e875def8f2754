// Whether a client moves its share of a body: one that sends or takes it too slowly holds memory, a stream, perhaps a
// thread (slow loris' kin R-U-D-Y and slow read). Only time in which it is the client's turn counts, so that a slow
// handler of ours is nobody's fault but ours. A class without a clock: driven by step().
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace hf::http {

class TransferMeter {
 public:
  // Of `window_us` of waiting each stretch must have moved `bytes_per_s` on average, and something at least.
  TransferMeter(int64_t window_us, int64_t bytes_per_s, int64_t now_us)
      : window_us_(window_us), bytes_per_s_(bytes_per_s), last_us_(now_us) {}

  void moved(uint64_t bytes) { fresh_ += bytes; }
  void restart() {
    still_us_ = window_used_us_ = 0;
    moved_ = fresh_ = 0;
  }
  // `waiting`: it is the client's turn now. True: it is too slow. The time since the last step, and what moved in it,
  // count if the client was waited for at both its ends; the finer the steps, the less is forgiven.
  bool step(int64_t now_us, bool waiting) {
    const int64_t passed = std::max<int64_t>(0, now_us - last_us_);
    const uint64_t bytes = std::exchange(fresh_, 0);
    last_us_ = now_us;
    if (bytes > 0) still_us_ = 0;
    if (!std::exchange(waited_, waiting) || !waiting) return false;
    if (bytes == 0) still_us_ += passed;
    window_used_us_ += passed;
    moved_ += bytes;
    if (still_us_ >= window_us_) return true;
    if (window_used_us_ < window_us_) return false;
    const bool slow =
        static_cast<double>(moved_) * 1e6 < static_cast<double>(bytes_per_s_) * static_cast<double>(window_used_us_);
    moved_ = 0;
    window_used_us_ = 0;
    return slow;
  }

 private:
  int64_t window_us_, bytes_per_s_, last_us_;
  int64_t still_us_ = 0;        // waited since the last byte
  int64_t window_used_us_ = 0;  // waited in this stretch
  uint64_t moved_ = 0;          // in this stretch
  uint64_t fresh_ = 0;          // since the last step
  bool waited_ = true;
};

}  // namespace hf::http
