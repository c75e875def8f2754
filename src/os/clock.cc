#include "os/clock.h"

#include <sys/random.h>
#include <time.h>

#include <cerrno>

#include "base/check.h"

namespace hf::os {
namespace {

int64_t read_us(clockid_t which) {
  timespec t{};
  check(clock_gettime(which, &t) == 0, "clock_gettime");
  return int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

class RealClock final : public Clock {
 public:
  Micros now() override { return read_us(CLOCK_REALTIME); }
  int64_t monotonic_us() override { return read_us(CLOCK_MONOTONIC); }
  void sleep_us(int64_t us) override {
    if (us <= 0) return;
    timespec left{static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }
};

class RealRandom final : public Random {
 public:
  void fill(std::span<char> out) override {
    size_t done = 0;
    while (done < out.size()) {
      ssize_t n = getrandom(out.data() + done, out.size() - done, 0);
      if (n < 0 && errno == EINTR) continue;
      check(n > 0, "getrandom");  // the kernel has it since 3.17: without it no key can be made
      done += static_cast<size_t>(n);
    }
  }
};

}  // namespace

Clock& real_clock() {
  static RealClock clock;
  return clock;
}

Random& real_random() {
  static RealRandom random;
  return random;
}

}  // namespace hf::os
