// The threads on which answers end ("hf-finish-N"): what comes after the last token waits for a commit, and the reader
// of a worker must not. The queue holds at most one entry for each running request, so the fleet's queue limit bounds
// it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "os/thread.h"

namespace hf::fleet {

class Finisher {
 public:
  explicit Finisher(int threads);
  ~Finisher();  // runs what is queued, then joins
  void post(std::function<void()> work);

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<os::Thread> threads_;
};

}  // namespace hf::fleet
