// Processes. A child gets nothing by inheritance: the environment and the descriptors that are listed, no more.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hf::os {

class Fd {  // owns a descriptor
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Spawn {
  std::string program;                           // absolute path, or "" for this very program (/proc/self/exe)
  std::vector<std::string> arguments;            // without argv[0]
  std::vector<std::string> environment;          // NAME=value; nothing else is inherited
  std::vector<std::pair<int, int>> descriptors;  // {ours, number in the child}; all others are closed (0, 1 and 2,
                                                 // where they are not listed, are /dev/null)
  bool new_namespaces = false;  // user, net, pid, ipc, mount, uts: where the kernel allows it; says so in Child.
                                // The child is then process 1 of its own: signals that it has no handler for are
                                // ignored, except SIGKILL
  bool die_with_parent = true;  // SIGKILL when this process ends, however it ends
  bool new_session = false;     // setsid: no terminal, and no signal of ours
  bool append_outputs = false;  // O_APPEND on descriptors 1 and 2
};

class Child {
 public:
  virtual ~Child() = default;  // kills (SIGKILL) and reaps if still running
  virtual pid_t pid() const = 0;
  virtual void kill(int signal) = 0;
  // Waits at most timeout_ms (-1: for ever). Exit status as in waitpid, or nothing while it still runs.
  virtual Result<int> wait(int timeout_ms) = 0;  // Code::unavailable: still running
  virtual void detach() = 0;                     // the child outlives this object: needs die_with_parent = false
  virtual bool namespaces() const = 0;           // new_namespaces was asked for and granted
};

Result<std::unique_ptr<Child>> spawn(const Spawn& spec);

// From here on no core dump of this process, or of what it starts, holds memory: RLIMIT_CORE is 0, and the filter of
// what a dump takes (core(5)) is empty, which also holds where dumps go to a program. unavailable: the kernel refused.
Status no_core_dumps();

// A connected pair of stream sockets for messages with descriptors (SCM_RIGHTS).
Result<std::pair<Fd, Fd>> socket_pair();

constexpr size_t kMaxSentDescriptors = 64;
// Sends all of `data` (at least one byte where there are descriptors: they travel with the first one). Blocks.
Status send_all(int socket, std::string_view data, std::span<const int> descriptors = {});
// At most out.size() bytes; 0: the other side closed. Descriptors that came with them are appended, close-on-exec.
// More than kMaxSentDescriptors in one message: invalid, and they are closed.
Result<size_t> receive(int socket, std::span<char> out, std::vector<Fd>& descriptors);

}  // namespace hf::os
