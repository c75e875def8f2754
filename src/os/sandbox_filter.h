// The seccomp layer of os/sandbox.h: which system calls a worker may make.
#pragma once

#include "os/sandbox.h"

namespace hf::os {

SandboxLayer install_filter();

}  // namespace hf::os
