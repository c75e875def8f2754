// From errno to Error, one place. Internal to os/ and to whoever calls the kernel itself.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hf::os {

// "open /path: No such file or directory (errno 2)", with the Code that fits: ENOENT not_found, EEXIST conflict, EACCES
// and EROFS denied, a full disk or table exhausted, EINVAL and the like invalid, everything else (EIO) unavailable.
Error errno_error(int number, std::string_view doing, std::string_view what);

}  // namespace hf::os
