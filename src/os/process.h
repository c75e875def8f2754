// Processes. A child gets nothing by inheritance: the environment and the descriptors that are listed, no more.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
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
  std::string program;                            // absolute path, or "" for this very program (/proc/self/exe)
  std::vector<std::string> arguments;             // without argv[0]
  std::vector<std::string> environment;           // NAME=value; nothing else is inherited
  std::vector<std::pair<int, int>> descriptors;   // {ours, number in the child}; all others are closed
  bool new_namespaces = false;  // user, net, pid, ipc, mount, uts: where the kernel allows it; says so in Child
  bool die_with_parent = true;
  bool new_session = false;     // setsid: no terminal, and no signal of ours
  bool append_outputs = false;  // O_APPEND on descriptors 1 and 2
};

class Child {
 public:
  virtual ~Child() = default;  // kills (SIGKILL) and reaps if still running
  virtual pid_t pid() const = 0;
  virtual void kill(int signal) = 0;
  // Waits at most timeout_ms (-1: for ever). Exit status as in waitpid, or nothing while it still runs.
  virtual Result<int> wait(int timeout_ms) = 0;   // Code::unavailable: still running
  virtual void detach() = 0;                      // the child outlives this object
  virtual bool namespaces() const = 0;            // new_namespaces was asked for and granted
};

Result<std::unique_ptr<Child>> spawn(const Spawn& spec);

// A connected pair of stream sockets for messages with descriptors (SCM_RIGHTS).
Result<std::pair<Fd, Fd>> socket_pair();

}  // namespace hf::os
