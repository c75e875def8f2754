// The layers that a worker's and a job's sandbox share. Internal to os/.
#pragma once

#include <string>
#include <vector>

#include "os/sandbox.h"

namespace hf::os {

// Landlock by number: Debian 12's header ends at the first version of the interface. Values from the kernel's
// include/uapi/linux/landlock.h. handled_access_net counts from version 4, scoped from version 6.
struct LandlockRules {
  uint64_t handled_access_fs, handled_access_net, scoped;
};
long landlock_version();                     // below 1: there is none, and errno says why
LandlockRules landlock_rules(long version);  // everything that this version can refuse

SandboxLayer close_descriptors(std::vector<int> keep);  // all but 0, 1, 2 and those
SandboxLayer drop_privileges();
std::string reason(const char* call);  // "unshare: Operation not permitted"

}  // namespace hf::os
