// HTTP/2 (RFC 9113) for a server, over nghttp2: prior knowledge in clear text, or ALPN h2 under TLS.
// A stream's window opens only as its handler reads; the connection's opens at once, so that one slow handler never
// holds up the others: what is buffered is bounded by the number of streams.
#pragma once

#include <memory>

#include "http/session.h"

namespace hf::http {

inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::unique_ptr<Session> make_h2_session(SessionHost& host, std::string peer, bool tls);

}  // namespace hf::http
