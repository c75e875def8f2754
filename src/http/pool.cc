#include "http/pool.h"

namespace hf::http {

WorkPool::WorkPool(const std::string& name, int threads, size_t limit, Work work)
    : limit_(limit), work_(std::move(work)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back(name + "-" + std::to_string(i), [this] { run(); });
}

WorkPool::~WorkPool() {
  std::deque<std::shared_ptr<Exchange>> dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  ready_.notify_all();
  threads_.clear();
}

bool WorkPool::submit(std::shared_ptr<Exchange>& exchange) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= limit_) return false;
    queue_.push_back(std::move(exchange));
  }
  ready_.notify_one();
  return true;
}

void WorkPool::run() {
  for (;;) {
    std::shared_ptr<Exchange> exchange;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      exchange = std::move(queue_.front());
      queue_.pop_front();
    }
    // A client that left while it waited costs nothing more: rapid resets would fill the pool otherwise.
    if (!exchange->closed()) work_(std::move(exchange));
  }
}

}  // namespace hf::http
