// What is a well-formed head, and how one is written: shared by HTTP/1.1, HTTP/2 and the client. No I/O, no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/http.h"

namespace hf::http {

bool valid_token(std::string_view text);         // RFC 9110 token, not empty: methods and header names
bool valid_header_value(std::string_view text);  // no control characters but TAB; bytes over 0x7f are allowed
// Origin form ("/..."), or "*" for OPTIONS: visible ASCII without '#'. At most 32 KiB.
bool valid_target(std::string_view method, std::string_view target);
bool valid_authority(std::string_view text);  // host[:port] without user information; at most 255 bytes

// Every name a token and every value printable: what a handler may answer with.
bool valid_headers(const Headers& headers);

std::string_view reason_phrase(int status);  // "" for a status that has none registered

// Headers that belong to the connection, never to a handler's answer.
bool connection_header(std::string_view lower_name);

// 1xx, 204 and 304 have no body, whatever the handler says.
inline bool bodiless(int status) { return status < 200 || status == 204 || status == 304; }

void append_decimal(std::string& out, uint64_t value);
void append_hex(std::string& out, uint64_t value);

// Digits only, no sign, no blanks, below 2^63; -1 otherwise.
int64_t parse_content_length(std::string_view text);

}  // namespace hf::http
