// Bytes and their text forms. Bytes of unknown content travel as std::string (owned) or std::string_view (borrowed):
// one type for what comes off the wire, whatever is in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hf {

std::string hex(std::string_view bytes);                 // lower case
Result<std::string> unhex(std::string_view text);        // either case; odd length or other characters: invalid
std::string base64(std::string_view bytes);              // RFC 4648, padded
Result<std::string> unbase64(std::string_view text);     // strict: padding required, no white space
std::string base64url(std::string_view bytes);           // unpadded
Result<std::string> unbase64url(std::string_view text);  // strict: no padding, no white space
bool constant_time_equal(std::string_view a, std::string_view b);  // time depends on the lengths only

// Integers to and from bytes, fixed order.
void put_u16be(std::string& out, uint16_t v);
void put_u32be(std::string& out, uint32_t v);
void put_u64be(std::string& out, uint64_t v);
uint16_t get_u16be(const char* p);
uint32_t get_u32be(const char* p);
uint64_t get_u64be(const char* p);

}  // namespace hf
