// Threads for number work. A Pool runs one loop at a time: run(n, fn) calls fn(i, lane) once for each i in [0, n),
// handed out one by one (a slow or descheduled lane takes fewer), and returns when all are done.
// What fn computes for an i must not depend on the lane or on the order: then results do not depend on the number of
// threads. `lane` in [0, lanes()) is for scratch memory. Lane 0 is the caller.
// Waiting lanes spin for some microseconds, then sleep: a decode step has many short loops with short gaps.
// Only one thread at a time may call run(). fn must not throw and must not call run().
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace hf::tensor {

class Pool {
 public:
  // Threads in all, the caller included: at least 1. They are named "math-1", ...
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int lanes() const { return lanes_; }

  template <class Fn>
  void run(int64_t n, Fn&& fn) {
    using F = std::remove_reference_t<Fn>;
    run_raw(
        n, [](void* f, int64_t i, int lane) { (*static_cast<F*>(f))(i, lane); },
        const_cast<void*>(static_cast<const void*>(&fn)));
  }

 private:
  using Body = void (*)(void* context, int64_t index, int lane);
  void run_raw(int64_t n, Body body, void* context);
  struct Shared;
  std::unique_ptr<Shared> shared_;
  int lanes_;
};

}  // namespace hf::tensor
