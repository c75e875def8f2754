// The systemd unit: a user of its own, nothing writable but its state, no privileges.
#pragma once

#include <string>

#include "app/cli.h"

namespace hf::app {

struct ServiceOptions {
  std::string root;  // "" : the real system
  std::string listen, host;
};
std::string service_unit(const ServiceOptions& options);
Result<int> install_service(const Context& context, const ServiceOptions& options);

}  // namespace hf::app
