// What a worker does to itself, once, before it reads a byte from anyone. Single-threaded until enter_sandbox()
// returns; there is no way back. Each layer stands alone: where the kernel or the container that we run in has none of
// it, the others still hold, and the report says so. In the order in which they are laid:
//
//   descriptors        everything but 0, 1, 2 and those to keep is closed
//   limits             no core dump, few descriptors, bounded files and memory
//   namespaces         user, network (with no interface up), mount, IPC, host name; a process-id one comes from
//                      os::spawn, because it holds for children only
//   empty root         the file system that paths name is an empty, read-only one
//   no new privileges  no set-user-ID program raises rights any more, and all capabilities are dropped
//   not dumpable       no other process of the same user may trace it or read its memory
//   Landlock           no path can be opened, no TCP port bound or connected, no abstract socket reached
//   seccomp            a short list of system calls, no executable memory; others answer EPERM and are counted, or
//                      told to who holds the listener (os/refusals.h)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/process.h"

namespace hf::os {

struct SandboxOptions {
  std::vector<int> keep;                    // descriptors beside 0, 1 and 2
  uint64_t memory_bytes = 0;                // of data (heap, private maps) at most; 0: no limit
  uint64_t file_bytes = uint64_t{1} << 40;  // of one file that it writes
  uint64_t descriptors = 512;               // open at a time
  bool tell_refusals = false;               // Sandbox::refusals is to be handed to who watches, before anything else
};

struct SandboxLayer {
  std::string name;  // "network namespace", "landlock", "seccomp", ...
  bool holds = false;
  std::string detail;  // in plain words: what it does, or why it does not hold
};

struct Sandbox {
  std::vector<SandboxLayer> layers;
  // /proc/net/dev and /proc/net/snmp of the network namespace that we are in, opened before paths went away (-1: not).
  Fd net_dev, net_snmp;
  // With tell_refusals, where the kernel has it (5.5 and later): the listener of os/refusals.h. From now on a refused
  // call waits until somebody reads it. Without: refused calls are counted here.
  Fd refusals;

  std::vector<std::string> holding() const;  // the names of the layers that hold
  std::string words() const;                 // one paragraph
};

// invalid: called with other threads running. Layers that cannot be laid are no error.
Result<Sandbox> enter_sandbox(const SandboxOptions& options);

// How many system calls seccomp has refused in this process; -1 where seccomp does not hold, or where the refusals are
// told to a listener instead.
int64_t refused_system_calls();

}  // namespace hf::os
