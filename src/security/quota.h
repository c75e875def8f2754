// Hard quotas: how many tokens an identity may have computed in a minute, and how many requests at once.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/result.h"

namespace hf::security {

struct Quota {
  int64_t tokens_per_minute = 0, requests_at_once = 0;  // 0: none; at most 1e9, 1e6
};

// A bucket of tokens for each identity: as many as a minute's, filled evenly. A request takes out what it may generate
// at most when it is admitted, and when it ends what it did not need is put back, and its prompt taken out: a long
// prompt is paid for afterwards, by waiting. So over any time an identity has its rate and one minute's tokens at most,
// but for the prompts of the requests that ran at once. Thread-safe; no clock: `now_us` is monotonic.
class QuotaMeter {
 public:
  // exhausted, with retry_after_s: over the quota. `most`: tokens that it may generate.
  Status begin(int64_t now_us, const std::string& who, const Quota& quota, int64_t most);
  // Of a request that was begun: `most` as then, `used`: prompt and generated tokens.
  void end(int64_t now_us, const std::string& who, int64_t most, int64_t used);

 private:
  struct Bucket {
    int64_t rate = 0;     // tokens a minute when it was filled last
    int64_t balance = 0;  // tokens x kMinute
    int64_t filled_us = 0, running = 0;
  };
  void fill(Bucket& bucket, int64_t now_us, int64_t rate);
  void forget_full(int64_t now_us);
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace hf::security
