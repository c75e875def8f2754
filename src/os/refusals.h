// Refused system calls, told to whoever keeps the record (seccomp's user notification). A filter whose answer to a call
// is "notify" stops the calling thread; the watch reads what was asked for, tells its sink, and answers EPERM. The call
// is never made, whatever is read here: memory that the caller may change meanwhile decides nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/process.h"
#include "os/thread.h"

namespace hf::os {

struct Refusal {
  pid_t thread = 0;  // that asked, as our process namespace numbers it
  std::string call;  // "socket", "connect", "io_uring_setup", or "call 999"
  std::string what;  // of the network's calls: "AF_INET SOCK_STREAM protocol 6", "AF_INET 192.0.2.1 port 443"; else ""
  bool network = false;  // a call that makes, names or uses a socket
};

// On the watch's thread. refused() comes before the caller gets its EPERM.
class RefusalSink {
 public:
  virtual ~RefusalSink() = default;
  virtual void refused(const Refusal& refusal) = 0;
  virtual void quiet() {}  // a second without a refusal since the last one, or the end
};

// Ends when nobody lives any more who could be refused, or when it is destroyed: then the calls fail with ENOSYS.
class RefusalWatch {
 public:
  // `local`: the paths below which a connect() to a socket file is not a refusal: the kernel makes the call then. That
  // decides what is written down and no more: what a path names is the caller's own mounts' matter, and a caller that
  // changes the address after it was read reaches no more than these hold.
  RefusalWatch(Fd listener, std::shared_ptr<RefusalSink> sink, std::vector<std::string> local = {});
  ~RefusalWatch();
  RefusalWatch(RefusalWatch&&) = delete;

 private:
  void run();
  Fd listener_, wake_reading_, wake_writing_;
  std::shared_ptr<RefusalSink> sink_;
  const std::vector<std::string> local_;
  Thread thread_;  // last
};

// Text of an address as a program hands it to the kernel, for the record: "AF_INET 192.0.2.1 port 443", "AF_UNIX
// @name", "AF_UNIX /path"; control characters and bytes beyond ASCII as %XX. At most 128 bytes are looked at.
std::string address_text(const char* bytes, size_t size);
std::string family_name(int family);  // "AF_INET6", or "family 99"

}  // namespace hf::os
