#include "security/quota.h"

#include <algorithm>

namespace hf::security {
namespace {
constexpr int64_t kMinute = 60'000'000;  // microseconds: a token is this much of a balance, a rate fills it by the us
constexpr size_t kMost = 10'000;
}  // namespace

void QuotaMeter::fill(Bucket& b, int64_t now, int64_t rate) {
  const int64_t full = rate * kMinute;
  if (b.rate == 0) b.balance = full;  // new, or had no such quota
  // A minute fills it; of a debt that is deeper more are needed. Bounded, so that nothing overflows.
  const int64_t passed = std::min(now - b.filled_us, int64_t{1'000} * kMinute);
  b.balance = std::min(full, b.balance + std::min<int64_t>(passed, INT64_MAX / 4 / std::max<int64_t>(rate, 1)) * rate);
  b.filled_us = now;
  b.rate = rate;
}

// Buckets that say no more than a new one would.
void QuotaMeter::forget_full(int64_t now) {
  for (auto it = buckets_.begin(); it != buckets_.end();) {
    Bucket& b = it->second;
    if (b.running == 0) fill(b, now, b.rate);
    it = b.running == 0 && b.balance >= b.rate * kMinute ? buckets_.erase(it) : std::next(it);
  }
}

Status QuotaMeter::begin(int64_t now, const std::string& who, const Quota& quota, int64_t most) {
  std::lock_guard lock(mutex_);
  if (buckets_.size() >= kMost) forget_full(now);
  Bucket& b = buckets_[who];
  fill(b, now, quota.tokens_per_minute);
  Error over = fail(Code::exhausted, "");
  over.retry_after_s = 1;
  if (quota.requests_at_once > 0 && b.running >= quota.requests_at_once) {
    over.message =
        "the quota of " + who + " is " + std::to_string(quota.requests_at_once) + " requests at once, and as many run";
    return over;
  }
  if (quota.tokens_per_minute > 0) {
    const int64_t wanted = std::min(most, quota.tokens_per_minute) * kMinute;
    if (b.balance < wanted) {
      over.retry_after_s = (wanted - b.balance) / quota.tokens_per_minute / 1'000'000 + 1;
      over.message = "the quota of " + who + " is " + std::to_string(quota.tokens_per_minute) +
                     " tokens a minute, and is used up; try again in " + std::to_string(over.retry_after_s) + " s";
      return over;
    }
    b.balance -= wanted;
  }
  ++b.running;
  return {};
}

void QuotaMeter::end(int64_t now, const std::string& who, int64_t most, int64_t used) {
  std::lock_guard lock(mutex_);
  auto it = buckets_.find(who);
  if (it == buckets_.end()) return;
  Bucket& b = it->second;
  b.running = std::max<int64_t>(0, b.running - 1);
  if (b.rate == 0) return;
  fill(b, now, b.rate);
  const int64_t full = b.rate * kMinute;
  b.balance = std::clamp(b.balance + (std::min(most, b.rate) - used) * kMinute, -1'000 * full, full);
}

}  // namespace hf::security
