#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace hf {

void check_fail(const char* what, const char* detail, const char* file, int line) {
  std::fprintf(stderr, "holdfast: check failed: %s%s%s (%s:%d)\n", what, *detail ? ": " : "", detail, file, line);
  std::abort();
}

}  // namespace hf
