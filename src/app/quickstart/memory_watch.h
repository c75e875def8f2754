// How much memory a run took: the processes of the site (and what it started) and of this command together.
#pragma once

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "os/clock.h"
#include "os/fs.h"
#include "os/thread.h"

namespace hf::app {

// One line of /proc/PID/status in bytes ("VmHWM:\t 1234 kB"); 0 if it is not there.
uint64_t status_bytes(std::string_view status, std::string_view name);

// Looks five times a second at every process below the roots, on its own thread ("hf-memory"). peak() is the largest
// sum, over the processes alive at one look, of each one's own highest resident size (VmHWM): never less than the true
// peak of their sum, except for what starts and ends between two looks.
class MemoryWatch {
 public:
  MemoryWatch(os::Fs& fs, os::Clock& clock, std::vector<int> roots);
  ~MemoryWatch() { stop(); }
  uint64_t peak() const { return peak_; }
  void look();  // one look now, from any thread but not from two at once
  void stop();

 private:
  std::string read(const std::string& path) const;
  os::Fs& fs_;
  os::Clock& clock_;
  std::vector<int> roots_;
  std::atomic<uint64_t> peak_ = 0;
  std::atomic<bool> stopping_ = false;
  os::Thread thread_;
};

}  // namespace hf::app
