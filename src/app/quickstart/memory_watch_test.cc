#include "app/quickstart/memory_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace hf::app {
namespace {

TEST(MemoryWatch, ReadsALineOfStatus) {
  constexpr std::string_view kStatus = "Name:\tholdfast\nVmPeak:\t  999 kB\nVmHWM:\t    1234 kB\nThreads:\t3\n";
  EXPECT_EQ(status_bytes(kStatus, "VmHWM"), 1234u * 1024);
  EXPECT_EQ(status_bytes(kStatus, "Threads"), 3u);
  EXPECT_EQ(status_bytes(kStatus, "Vm"), 0u);
  EXPECT_EQ(status_bytes("VmHWM: many kB", "VmHWM"), 0u);
  EXPECT_EQ(status_bytes("", "VmHWM"), 0u);
}

TEST(MemoryWatch, SeesThisProcessGrow) {
  MemoryWatch watch(os::real_fs(), os::real_clock(), {getpid()});
  watch.stop();
  watch.look();
  uint64_t before = watch.peak();
  EXPECT_GT(before, 1u << 20);
  std::string large(64 << 20, 'x');
  watch.look();
  EXPECT_GE(watch.peak(), before + (48 << 20));
  EXPECT_EQ(large[large.size() - 1], 'x');
}

TEST(MemoryWatch, OthersAreNotCounted) {
  MemoryWatch watch(os::real_fs(), os::real_clock(), {-1});
  watch.stop();
  watch.look();
  EXPECT_EQ(watch.peak(), 0u);
}

}  // namespace
}  // namespace hf::app
