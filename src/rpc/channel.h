// Frames over a connected stream socket (os::socket_pair): blocking, whole, with descriptors.
// send() may be called by any number of threads; receive() by one thread at a time.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/process.h"
#include "rpc/codec.h"

namespace hf::rpc {

struct Frame {
  Type type = Type::hello;
  uint64_t id = 0;                  // the task's; 0 for hello
  std::string body;                 // decode<T>() it
  std::vector<os::Fd> descriptors;  // close-on-exec
};

class Channel {
 public:
  // Owns the socket. A peer that takes nothing for timeout_ms makes send() fail (and the channel is then closed: half a
  // frame may have gone out), and one that has begun a frame and does not end it within timeout_ms makes receive()
  // fail: nobody can hold a reader with half a frame. 0: no limit.
  explicit Channel(os::Fd socket, int timeout_ms = 60'000);
  Channel(Channel&&) = delete;

  // The descriptors stay the caller's: the peer gets copies. unavailable: the peer is gone, or the channel is closed;
  // too_large: over the limits of codec.h, nothing was sent.
  Status send(Type type, uint64_t id, std::string_view body = {}, const std::vector<int>& descriptors = {});
  template <class T>
  Status send_message(Type type, uint64_t id, const T& message, const std::vector<int>& descriptors = {}) {
    return send(type, id, encode(message), descriptors);
  }

  // Blocks for the next frame. Nothing: the peer closed at the end of a frame, or close() was called here.
  // invalid: not a frame (limits, type, number of descriptors); unavailable: ended or stalled within a frame, or a
  // socket error.
  // After an error the connection is of no use: it is closed.
  Result<std::optional<Frame>> receive();

  // Ends both directions at once: the peer sees the end, and a receive() that blocks here returns. Any thread.
  void close();
  int fd() const { return socket_.get(); }

 private:
  Result<std::optional<Frame>> receive_frame();
  int64_t deadline() const;  // of a frame that begins now; 0: none
  Status read_exact(char* out, size_t n, int64_t until_us);

  os::Fd socket_;
  const int timeout_ms_;
  std::mutex sending_;   // one frame at a time
  bool broken_ = false;  // guarded by sending_
};

}  // namespace hf::rpc
