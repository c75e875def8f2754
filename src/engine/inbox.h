// What the reader thread has received and main has not handled yet. Thread-safe; bounded: a full inbox makes the
// reader wait, and then the socket's buffer and the site.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "rpc/channel.h"

namespace hf::engine {

class Inbox {
 public:
  static constexpr size_t kFrames = 4096;

  // False: main has ended, nothing is taken any more.
  bool put(rpc::Frame frame);
  // No more will come; `why` is empty where the site closed the socket at the end of a frame.
  void end(std::string why);
  // Main takes no more.
  void stop();

  // The next frame; nothing if there is none (`wait`: then only once the end was reached).
  std::optional<rpc::Frame> take(bool wait);
  std::optional<std::string> ended();  // the reason; all frames have been taken
  // A stop or cancel of this task waits somewhere in the queue, or the site is gone.
  bool told_to_stop(uint64_t task);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<rpc::Frame> frames_;  // at most kFrames
  std::multiset<uint64_t> stops_;  // tasks of the stop and cancel frames in frames_
  std::optional<std::string> end_;
  bool stopped_ = false;
};

}  // namespace hf::engine
