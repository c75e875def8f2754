#include "tensor/pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "os/thread.h"

namespace hf::tensor {
namespace {

// About 20 us at 25 ns a pause: longer than the gaps inside a decode step, far shorter than a scheduler's time slice.
constexpr int kSpins = 800;
// Then so many turns given to whoever else wants the core, about 0.3 us each where nobody does: a sleeper costs some
// 50 us to wake on a virtual machine, as much as several short loops.
constexpr int kYields = 600;

inline void pause() { __builtin_ia32_pause(); }

// Waits a little for `ready`; false: it is time to sleep.
template <class Ready>
bool soon(const Ready& ready) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (ready()) return true;
    pause();
  }
  for (int turn = 0; turn < kYields; ++turn) {
    if (ready()) return true;
    std::this_thread::yield();
  }
  return ready();
}

}  // namespace

// One loop is one "round". The ticket holds (round << 32 | next index): a lane that comes late, with an old round,
// can never take an index of the new one.
struct Pool::Shared {
  std::mutex mutex;
  std::condition_variable wake, finished;
  std::atomic<uint64_t> ticket{0};
  std::atomic<uint32_t> round{0};
  std::atomic<int64_t> left{0};   // indices of the round not completed yet
  std::atomic<int64_t> count{0};  // indices of the round
  std::atomic<Body> body{nullptr};
  std::atomic<void*> context{nullptr};
  std::atomic<int> sleepers{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<bool> stop{false};
  std::vector<os::Thread> threads;

  // Takes indices of `mine` until there are none.
  void work(uint32_t mine, int lane) {
    uint64_t now = ticket.load(std::memory_order_acquire);
    while (static_cast<uint32_t>(now >> 32) == mine) {
      const auto index = static_cast<int64_t>(now & 0xffffffffu);
      // Read before the exchange proves that they belong to our round: the caller changes them only when a round ends.
      const int64_t n = count.load(std::memory_order_relaxed);
      const Body fn = body.load(std::memory_order_relaxed);
      void* const arg = context.load(std::memory_order_relaxed);
      if (index >= n) return;
      if (!ticket.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      fn(arg, index, lane);
      if (left.fetch_sub(1, std::memory_order_seq_cst) == 1 && caller_sleeps.load(std::memory_order_seq_cst)) {
        std::lock_guard lock(mutex);
        finished.notify_all();
      }
      now = ticket.load(std::memory_order_acquire);
    }
  }

  void lane_loop(int lane) {
    uint32_t seen = 0;
    while (!stop.load(std::memory_order_acquire)) {
      if (!soon(
              [&] { return round.load(std::memory_order_acquire) != seen || stop.load(std::memory_order_acquire); })) {
        std::unique_lock lock(mutex);
        sleepers.fetch_add(1, std::memory_order_seq_cst);
        wake.wait(lock, [&] { return round.load(std::memory_order_seq_cst) != seen || stop.load(); });
        sleepers.fetch_sub(1, std::memory_order_seq_cst);
      }
      seen = round.load(std::memory_order_acquire);
      work(seen, lane);
    }
  }
};

Pool::Pool(int threads) : shared_(std::make_unique<Shared>()), lanes_(threads) {
  check(threads >= 1 && threads <= 1024, "1 to 1024 threads");
  for (int lane = 1; lane < threads; ++lane) {
    shared_->threads.emplace_back("math-" + std::to_string(lane), [s = shared_.get(), lane] { s->lane_loop(lane); });
  }
}

Pool::~Pool() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stop.store(true);
    shared_->wake.notify_all();
  }
  for (auto& thread : shared_->threads) thread.join();
}

void Pool::run_raw(int64_t n, Body body, void* context) {
  if (n <= 0) return;
  check(n < int64_t{1} << 32, "at most 2^32 - 1 indices a loop");
  if (lanes_ == 1 || n == 1) {
    for (int64_t i = 0; i < n; ++i) body(context, i, 0);
    return;
  }
  Shared& s = *shared_;
  const uint32_t mine = s.round.load(std::memory_order_relaxed) + 1;
  // An old ticket fails every exchange before the new fields can be seen with it.
  s.ticket.store(static_cast<uint64_t>(mine - 1) << 32 | 0xffffffffu, std::memory_order_seq_cst);
  s.count.store(n, std::memory_order_relaxed);
  s.body.store(body, std::memory_order_relaxed);
  s.context.store(context, std::memory_order_relaxed);
  s.left.store(n, std::memory_order_relaxed);
  s.ticket.store(static_cast<uint64_t>(mine) << 32, std::memory_order_seq_cst);
  s.round.store(mine, std::memory_order_seq_cst);
  if (s.sleepers.load(std::memory_order_seq_cst) > 0) {
    std::lock_guard lock(s.mutex);
    s.wake.notify_all();
  }
  s.work(mine, 0);
  if (!soon([&] { return s.left.load(std::memory_order_acquire) == 0; })) {
    std::unique_lock lock(s.mutex);
    s.caller_sleeps.store(true, std::memory_order_seq_cst);
    s.finished.wait(lock, [&] { return s.left.load(std::memory_order_seq_cst) == 0; });
    s.caller_sleeps.store(false, std::memory_order_seq_cst);
  }
}

}  // namespace hf::tensor
