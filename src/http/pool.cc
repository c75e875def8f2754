#include "http/pool.h"

#include "http/stream.h"

namespace hf::http {

WorkPool::WorkPool(const std::string& name, int threads, size_t limit, Work work)
    : limit_(limit), work_(std::move(work)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back(name + "-" + std::to_string(i), [this] { run(); });
}

WorkPool::~WorkPool() {
  std::deque<Item> dropped;
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
    if (stopping_ || waiting_ >= limit_) return false;
    ++waiting_;
    queue_.push_back({std::move(exchange), {}});
  }
  ready_.notify_one();
  return true;
}

void WorkPool::resume(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    queue_.push_back({nullptr, std::move(work)});
  }
  ready_.notify_one();
}

void WorkPool::run() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      item = std::move(queue_.front());
      queue_.pop_front();
      if (item.exchange) --waiting_;
    }
    if (item.work) {
      item.work();
      continue;
    }
    // A client that left while it waited costs nothing more: rapid resets would fill the pool otherwise.
    // One that closed its sending side alone may still read the answer.
    if (static_cast<Stream&>(*item.exchange).answerable()) work_(std::move(item.exchange));
  }
}

}  // namespace hf::http
