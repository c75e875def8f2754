// HTTP/1.1 (RFC 9112) for a server: one request at a time; pipelined ones wait their turn in the session's buffer.
// The parser is Beast's; what it lets pass and a careful server must not is refused before (h1_head.h).
#pragma once

#include <memory>

#include "http/session.h"

namespace hf::http {

std::unique_ptr<Session> make_h1_session(SessionHost& host, std::string peer, bool tls);

}  // namespace hf::http
