// JSON text to and from boost::json::value, strictly: depth at most 64, no duplicate member, valid UTF-8, finite
// numbers, nothing after the value. Time and memory are linear in the text.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hf::wire {

inline constexpr int kMaxDepth = 64;

// Error names that the codecs use and that each protocol spells its own way (api/errors.cc).
inline constexpr const char* kMalformed = "Malformed";  // not JSON, XML, ... at all
inline constexpr const char* kRefused = "Refused";      // a member or header that is known and not offered

// invalid/kMalformed: what is wrong and at which byte.
Result<boost::json::value> parse_json(std::string_view text);

// Compact, members in their order, shortest numbers that read back the same. A string that is not UTF-8 has each bad
// byte replaced by U+FFFD, so that what leaves is always JSON.
void write_json(std::string& out, const boost::json::value& value);
void write_json_string(std::string& out, std::string_view text);
void write_json_number(std::string& out, double value);  // not finite: null

}  // namespace hf::wire
