// check(): our own bugs stop the program, in every build. Never for input.
#pragma once

namespace hf {

[[noreturn]] void check_fail(const char* what, const char* detail, const char* file, int line);

inline void check(bool condition, const char* what, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (!condition) [[unlikely]]
    check_fail(what, "", file, line);
}

}  // namespace hf
