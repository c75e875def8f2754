#include "fleet/finisher.h"

#include <exception>
#include <string>

namespace hf::fleet {

Finisher::Finisher(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back("hf-finish-" + std::to_string(i), [this] { run(); });
}

Finisher::~Finisher() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (os::Thread& thread : threads_) thread.join();
}

void Finisher::post(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  changed_.notify_one();
}

void Finisher::run() {
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      work();
    } catch (const std::exception&) {
      // What threw has not answered its request, which then meets its own time limit. The others are answered.
    }
  }
}

}  // namespace hf::fleet
