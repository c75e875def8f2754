// A bounded pool of threads for handlers: at most `limit` wait, beyond that the caller is told at once.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/http.h"
#include "os/thread.h"

namespace hf::http {

class WorkPool {
 public:
  using Work = std::function<void(std::shared_ptr<Exchange>)>;  // must not throw
  // Threads are named NAME-0, NAME-1, ...
  WorkPool(const std::string& name, int threads, size_t limit, Work work);
  ~WorkPool();                                       // what waits is dropped, what runs is waited for
  bool submit(std::shared_ptr<Exchange>& exchange);  // false: full; the exchange is left with the caller
  void resume(std::function<void()> work);  // of an exchange that was taken before, so there is a bound: never refused

 private:
  struct Item {
    std::shared_ptr<Exchange> exchange;
    std::function<void()> work;  // set: instead of the handler
  };
  void run();

  const size_t limit_;
  const Work work_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Item> queue_;
  size_t waiting_ = 0;  // of queue_, those with an exchange
  bool stopping_ = false;
  std::vector<os::Thread> threads_;
};

}  // namespace hf::http
