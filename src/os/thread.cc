#include "os/thread.h"

#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "os/fs.h"

namespace hf::os {
namespace {

struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Leaf cpuid(unsigned leaf, unsigned sub) {
  Leaf r;
  if (__get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d) == 0) return Leaf{};
  return r;
}

bool bit(unsigned word, int n) { return (word >> n & 1) != 0; }

// Which register states the kernel saves (Intel SDM, volume 1, 13.3): without its bit the instructions fault.
uint64_t xcr0() {
  if (!bit(cpuid(1, 0).c, 27)) return 0;  // OSXSAVE
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

std::string brand() {
  if (cpuid(0x80000000, 0).a < 0x80000004) return "unknown";
  std::string text;
  for (unsigned leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    Leaf r = cpuid(leaf, 0);
    char part[16];
    std::memcpy(part, &r, sizeof part);
    text.append(part, sizeof part);
  }
  return std::string(trim(text.substr(0, text.find('\0'))));
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

// Linux hands out the tiles' state on request, once for a process; what it starts asks again.
bool may_use_tiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

Thread::Thread(std::string name, std::function<void()> body) {
  check(name.size() <= 15, "a thread's name is at most 15 characters");
  thread_ = std::thread([label = std::move(name), run = std::move(body)] {
    pthread_setname_np(pthread_self(), label.c_str());
    run();
  });
}

Thread& Thread::operator=(Thread&& other) {
  join();
  thread_ = std::move(other.thread_);
  return *this;
}

CpuInfo cpu_info() {
  const uint64_t saved = xcr0();
  const bool ymm = (saved & 0x6) == 0x6;           // SSE and AVX state
  const bool zmm = ymm && (saved & 0xe0) == 0xe0;  // mask registers, upper halves, upper sixteen
  const bool tile = (saved & 0x60000) == 0x60000;  // tile configuration and data
  const Leaf one = cpuid(1, 0), seven = cpuid(7, 0), seven_one = cpuid(7, 1);
  CpuInfo info{};
  info.model = brand();
  info.cores = usable_cores();
  // FMA and F16C belong to our AVX2 kernel set; BMI2 too.
  info.avx2 = ymm && bit(seven.b, 5) && bit(one.c, 12) && bit(one.c, 29) && bit(seven.b, 8);
  info.avx512 = info.avx2 && zmm && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31);
  info.avx512_vnni = info.avx512 && bit(seven.c, 11);
  info.avx512_bf16 = info.avx512 && bit(seven_one.a, 5);
  const Leaf zero = cpuid(0, 0);
  info.fast_bf16 =
      info.avx512_bf16 && zero.b == 0x68747541 && zero.d == 0x69746e65 && zero.c == 0x444d4163;  // "AuthenticAMD"
  const bool amx = tile && bit(seven.d, 24) && may_use_tiles();
  info.amx_bf16 = amx && bit(seven.d, 22);
  info.amx_int8 = amx && bit(seven.d, 25);
  return info;
}

uint64_t total_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  uint64_t total = pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : 0;
  // A control group may allow less than the machine has (version 2; "max" is no number and is passed over).
  if (auto file = real_fs().open("/sys/fs/cgroup/memory.max", Open::read); file.ok()) {
    char text[32];
    if (auto n = (*file)->read_at(0, text); n.ok()) {
      auto limit = parse_int(trim(std::string_view(text, *n)));
      if (limit.ok() && *limit > 0) total = std::min(total, static_cast<uint64_t>(*limit));
    }
  }
  return total;
}

}  // namespace hf::os
