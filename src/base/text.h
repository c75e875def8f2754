// Text: numbers, splitting, URLs' percent-encoding, UTF-8, and the time formats of the protocols. No clock here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf {

// Whole text must be the number: no sign but '-', no blanks, no overflow. `what` names the field in the error.
Result<int64_t> parse_int(std::string_view text, std::string_view what = "number");
Result<double> parse_double(std::string_view text, std::string_view what = "number");  // finite only

std::vector<std::string_view> split(std::string_view text, char separator);  // n separators: n + 1 parts
std::string_view trim(std::string_view text);                                // ASCII blanks, tabs, CR, LF
std::string lower(std::string_view text);                                    // ASCII
bool iequal(std::string_view a, std::string_view b);                         // ASCII, ignoring case

// RFC 3986: everything but unreserved (A-Z a-z 0-9 - _ . ~) becomes %XX, upper case hex. '/' stays if keep_slash.
std::string percent_encode(std::string_view text, bool keep_slash = false);
// '+' stays '+'. A '%' without two hex digits: invalid.
Result<std::string> percent_decode(std::string_view text);
// application/x-www-form-urlencoded: '+' is a blank.
Result<std::string> form_decode(std::string_view text);

bool valid_utf8(std::string_view text);  // no surrogates, no overlong forms, at most U+10FFFF
// How many bytes at the end are the start of a code point that is not complete yet (0 to 3): for streaming.
size_t incomplete_utf8_tail(std::string_view text);
// The start of the text as valid UTF-8 of at most `most` bytes: cut between code points, and each byte that belongs to
// none becomes '?'. For words of others (a worker, a file) that go into our records and answers.
std::string clip_utf8(std::string_view text, size_t most);

// Times are microseconds since 1970-01-01T00:00:00Z (proleptic Gregorian), years 0001 to 9999.
using Micros = int64_t;
std::string iso8601(Micros t);                        // 2026-11-22T07:49:25Z
std::string iso8601_millis(Micros t);                 // 2026-11-22T07:49:25.123Z
std::string amz_date(Micros t);                       // 20261122T074925Z
std::string http_date(Micros t);                      // Sun, 22 Nov 2026 07:49:25 GMT
Result<Micros> parse_iso8601(std::string_view text);  // with or without fraction; Z or +hh:mm
Result<Micros> parse_amz_date(std::string_view text);
Result<Micros> parse_http_date(std::string_view text);  // RFC 7231 IMF-fixdate

std::string human_bytes(uint64_t n);  // 1.5 GiB

}  // namespace hf
