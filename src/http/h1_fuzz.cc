// HTTP/1.1's session fed with any bytes in any pieces: it may refuse, it may not crash, hang or keep more than it says.
// The first byte of each record says what happens, so that one input interleaves the client and the handler.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "http/h1_session.h"
#include "http/session_fake.h"

namespace {

using hf::http::Exchange;

void act(hf::http::FakeHost& host, uint8_t what) {
  if (host.exchanges.empty()) return;
  auto& exchange = *host.exchanges.back();
  char piece[100];
  switch (what % 8) {
    case 0:
      (void)exchange.read(piece);
      break;
    case 1:
      exchange.respond(200 + what % 200, {}, std::string(what, 'b'));
      break;
    case 2:
      exchange.start(200, {});
      break;
    case 3:
      exchange.push(std::string(what * 37u, 'p'));
      break;
    case 4:
      exchange.finish();
      break;
    case 5:
      exchange.abort();
      break;
    case 6:
      host.exchanges.pop_back();
      break;
    default:
      (void)exchange.read_all(1000);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hf::http::FakeHost host;
  host.options_.header_limit = 4096;
  host.options_.queue_limit = 16;
  auto session = hf::http::make_h1_session(host, "127.0.0.1:4000", false);
  size_t at = 0;
  while (at < size && !session->done()) {
    const uint8_t what = data[at++];
    if (what < 0xc0) {  // that many bytes from the client
      size_t n = std::min<size_t>(size - at, what ? what : 4000);
      if (session->wants_bytes()) session->receive({reinterpret_cast<const char*>(data) + at, n});
      at += n;
    } else if (what < 0xf0) {
      act(host, what);
    } else if (what < 0xf8) {
      host.now += int64_t{1} << (what & 7) << 18;
      session->tick(host.now);
    } else if (what == 0xf8) {
      session->receive_end();
    } else if (what == 0xf9) {
      session->drain();
    }
    std::string out = host.settle(*session, 4096);
    hf::check(host.active >= 0 && host.active <= 1, "one request at a time");
  }
  session->gone();
  hf::check(host.active == 0, "every exchange is over");
  return 0;
}
