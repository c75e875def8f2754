// The seccomp layer of os/sandbox.h: which system calls a worker may make.
#pragma once

#include "os/sandbox.h"

namespace hf::os {

// Sanitizers map terabytes of shadow memory and test addresses through a pipe: in their builds there is no memory
// limit, and pipes are allowed. Never in a build for use. The thread sanitizer has a thread of its own from the start,
// so with it there is no sandbox at all.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif

// `listener`: null, or where the refusals' listener goes; it stays empty where the kernel gives none.
SandboxLayer install_filter(Fd* listener = nullptr);

}  // namespace hf::os
