// The seccomp layer of os/job_sandbox.h. Internal to os/.
#pragma once

#include "os/sandbox.h"

namespace hf::os {

// `listener`: where the refusals' listener goes. The layer does not hold where the kernel gives none.
SandboxLayer install_job_filter(Fd& listener);

}  // namespace hf::os
