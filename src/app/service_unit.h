// The systemd unit: a user of its own, nothing writable but its state, no privileges.
#pragma once

#include <string>

#include "app/cli.h"

namespace hf::app {

struct ServiceOptions {
  std::string root;  // "" : the real system
  std::string listen, host, cert, key;
};
// The options as the unit needs them (files by absolute paths), or what is wrong with them.
Result<ServiceOptions> checked(ServiceOptions options);
// The text of the unit, for systemd 252 (Debian 12) and later.
std::string service_unit(const ServiceOptions& options);

struct ServiceTexts {
  std::string man, bash_completion;
};
// Installs, or upgrades: the user, the program, the unit, the manual page and the completion. Where systemd runs,
// starts it (again) and waits until it answers: kDone means that it serves.
Result<int> install_service(const Context& context, const ServiceOptions& options, const ServiceTexts& texts);
// Undoes that, but for the state folder and the user that owns it. Doing it twice is no error.
Result<int> uninstall_service(const Context& context, const ServiceOptions& options);

}  // namespace hf::app
