// Keeps what came of each attempt. Internal to the probe.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>

#include "rpc/messages.h"

namespace hf::engine {

class Prober {
 public:
  explicit Prober(rpc::ProbeReport& report) : report_(report) {}

  // `attempt` gives "" when it failed (errno says how), else what it got.
  void attempt(std::string name, std::string tried, const std::function<std::string()>& attempt);
  // A socket and one use of it. Making one is not a success yet; a packet that may have left is.
  void socket(std::string name, std::string tried, int family, int type, int protocol,
              const std::function<bool(int)>& use);
  int64_t marks() const { return static_cast<int64_t>(report_.attempts.size()); }

 private:
  rpc::ProbeReport& report_;
};

void try_network(Prober& prober, uint16_t site_port);
void try_unix(Prober& prober, const std::string& site_socket);

bool connects_tcp(const char* ipv4, uint16_t port);
bool send_datagram(int fd, const char* ipv4, uint16_t port);  // a question to a resolver, for "holdfast.example"

}  // namespace hf::engine
