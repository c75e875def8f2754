// The bytes of connections between socket files and doors. Internal to fleet/doors.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "os/process.h"
#include "os/thread.h"

namespace hf::fleet {

// What one connection has carried. The kernel's numbers are TCP_INFO's of the outer socket (tcpi_bytes_acked,
// tcpi_bytes_received): -1 where it does not tell.
struct Carried {
  int64_t bytes_out = 0, bytes_in = 0, kernel_out = -1, kernel_in = -1;
};

class DoorRelay {
 public:
  struct Hooks {  // on the relay's thread
    // A connected socket for a new connection, or an error, with which it ends. May take its time.
    std::function<Result<os::Fd>()> connect;
    std::function<void(const Carried&)> ended;                                // for each that connect() answered
    std::function<void(int64_t connections, int64_t out, int64_t in)> moved;  // changes since the last time
  };
  // `listener`: a listening stream socket.
  DoorRelay(os::Fd listener, Hooks hooks);
  ~DoorRelay();  // ends all connections
  DoorRelay(DoorRelay&&) = delete;
  void cut();  // from any thread: all connections end now, and there will be none any more

 private:
  struct Pair {
    os::Fd inner, outer;
    std::string to_outer, to_inner;  // read and not yet written
    bool inner_ended = false, outer_ended = false, outer_shut = false, inner_shut = false;
    Carried carried;
  };
  void run();
  void accept_one();
  bool attend(Pair& pair, short inner, short outer);  // false: it has ended
  void finish(Pair& pair);
  void end_all();
  os::Fd listener_, wake_reading_, wake_writing_;
  Hooks hooks_;
  std::list<Pair> pairs_;
  os::Thread thread_;  // last
};

}  // namespace hf::fleet
