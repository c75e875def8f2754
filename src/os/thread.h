// Named threads: each name has a row in ARCHITECTURE.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace hf::os {

// Joins on destruction. `name` is at most 15 characters (the kernel's limit), seen in ps -L and gdb.
class Thread {
 public:
  Thread() = default;
  Thread(std::string name, std::function<void()> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&& other);
  ~Thread() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

struct CpuInfo {
  std::string model;                                                // as /proc/cpuinfo says
  int cores;                                                        // this process may run on
  bool avx2, avx512, avx512_bf16, avx512_vnni, amx_int8, amx_bf16;  // CPUID and XCR0 both say yes; AMX: and the kernel
  // VDPBF16PS does more than the multiply-adds of floats in the same time. AMD's: twice as much (Zen 4, measured).
  // Intel's up to Sapphire Rapids: half as much (107 against 213 GFLOP/s a core), so there it is only of use for its
  // bits.
  bool fast_bf16;
};
CpuInfo cpu_info();
uint64_t total_memory_bytes();

}  // namespace hf::os
