// How many refusals of unknown callers go into the ledger one by one. A flood must not fill the disk, and must not be
// hidden either: what is over the budget is counted, and the next entry tells the count. No threads, no clock.
#pragma once

#include <cstdint>

namespace hf::security {

class DenialBudget {
 public:
  explicit DenialBudget(uint64_t per_second = 100) : per_second_(per_second) {}
  struct Verdict {
    bool record = false;
    uint64_t missed = 0;  // refusals before this one that have no entry of their own
  };
  Verdict step(int64_t now_us) {
    if (now_us - window_us_ >= 1'000'000 || now_us < window_us_) {
      window_us_ = now_us;
      used_ = 0;
    }
    if (used_ == per_second_) return ++missed_, Verdict{};
    ++used_;
    Verdict v{true, missed_};
    missed_ = 0;
    return v;
  }
  // The count that no entry has told yet, once its second is over; it counts as told then.
  uint64_t flush(int64_t now_us, bool at_end = false) {
    if (missed_ == 0 || (!at_end && now_us - window_us_ < 1'000'000)) return 0;
    uint64_t n = missed_;
    missed_ = 0;
    return n;
  }

 private:
  uint64_t per_second_, used_ = 0, missed_ = 0;
  int64_t window_us_ = INT64_MIN / 2;
};

}  // namespace hf::security
