// The head of an HTTP/1.1 request: found, checked, read. In memory, no I/O.
#pragma once

#include <string_view>

#include "http/body.h"
#include "http/http.h"

namespace hf::http {

// Bytes of the head at the start of `data` with its empty line; 0: not complete yet; Refusal when it can never be one:
// over the limit, a bare LF or CR, a NUL, a folded line. `seen`: 0, and then what the last call left there when it said
// "not yet" of the beginning of these data: lines are looked at once, however small the pieces they come in.
size_t find_head(std::string_view data, size_t limit, Refusal& refusal, size_t& seen);

struct H1Head {
  BodyReader body = BodyReader::counted(0);
  bool keep_alive = false;  // 1.1 without Connection: close
  bool http10 = false;
  bool expects_continue = false;  // Expect: 100-continue on a 1.1 request with a body
};

// `data` is exactly one head as find_head saw it. peer and tls are left to the caller.
Refusal parse_head(std::string_view data, RequestHead& head, H1Head& about);

}  // namespace hf::http
