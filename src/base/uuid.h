// UUIDs (RFC 9562) as text.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace hf {

// 16 bytes: 8-4-4-4-12 hex digits.
inline std::string uuid_text(std::string_view bytes) {
  const std::string h = hex(bytes);
  return h.substr(0, 8) + "-" + h.substr(8, 4) + "-" + h.substr(12, 4) + "-" + h.substr(16, 4) + "-" + h.substr(20);
}

// Version 4 of 16 random bytes, of which 122 bits count.
inline std::string random_uuid(std::string random) {
  random[6] = static_cast<char>((random[6] & 0x0f) | 0x40);
  random[8] = static_cast<char>((random[8] & 0x3f) | 0x80);
  return uuid_text(random);
}

}  // namespace hf
