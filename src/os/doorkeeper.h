// The one part of a site that has a network. start() forks it off, and the process that called goes on in a network
// namespace of its own with no interface in it, where nothing that it or its children do can reach anybody: not by a
// filter's good judgement, but because there is no way. What it needs of the network it asks of the doorkeeper, which
// does three things: make the listening sockets, until it is told that these are all; keep a list of doors (an address
// and a port each); and connect to a door. Sockets stay in the namespace that they were made in, so those handed over
// work. Nothing resolves names: a lookup is a packet that leaves.
//
// The doorkeeper reads and writes nothing but orders and answers. A connection is made by a child of its own, which
// Landlock (version 4 and later) lets connect to that one port only. After end_listening() it has no capability, no
// files, and a short list of system calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "os/process.h"

namespace hf::os {

struct DoorAddress {
  std::string address;  // numeric, IPv4 or IPv6
  uint16_t port = 0;    // 1 to 65535
};

class Doorkeeper {
 public:
  // Once, in a process with one thread, before it has read a secret. `seal` false: this process keeps its network, and
  // words() says so (for machines that allow no namespaces it is the same). invalid: other threads run.
  static Result<std::unique_ptr<Doorkeeper>> start(bool seal = true);
  ~Doorkeeper();  // the helper ends
  Doorkeeper(Doorkeeper&&) = delete;

  bool sealed() const { return sealed_; }              // this process has no network of its own
  const std::string& words() const { return words_; }  // in plain words, also where it is not and why

  // All are thread-safe, and wait for the helper. unavailable: it is gone, or the network said no (what it said).
  // A socket that listens. invalid: no numeric address, or after end_listening(). conflict: the port is taken.
  Result<Fd> listen(const std::string& address, uint16_t port);
  Status end_listening();
  Status allow(const DoorAddress& door);   // invalid: no numeric address, no port
  Status forget(const DoorAddress& door);  // once for each allow()
  // A connected stream, blocking. denied: no such door. unavailable: refused, unreachable, or not within timeout_ms.
  Result<Fd> connect(const DoorAddress& door, int timeout_ms);

 private:
  Doorkeeper() = default;
  Result<Fd> ask(char act, const std::string& address, uint16_t port, int timeout_ms);
  Fd socket_;
  bool sealed_ = false;
  std::string words_;
  int helper_ = -1;
};

}  // namespace hf::os
