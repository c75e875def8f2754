// HTTP/2's session fed with any bytes after the preface, in any pieces, between acts of handlers.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "http/h2_session.h"
#include "http/session_fake.h"

namespace {

void act(hf::http::FakeHost& host, uint8_t what, uint8_t which) {
  if (host.exchanges.empty()) return;
  size_t index = which % host.exchanges.size();
  auto& exchange = *host.exchanges[index];
  char piece[1000];
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
      exchange.push(std::string(what * 97u, 'p'));
      break;
    case 4:
      exchange.finish();
      break;
    case 5:
      exchange.abort();
      break;
    case 6:
      host.exchanges.erase(host.exchanges.begin() + static_cast<ptrdiff_t>(index));
      break;
    default:
      (void)exchange.read_all(100'000);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hf::http::FakeHost host;
  host.options_.header_limit = 4096;
  host.options_.queue_limit = 16;
  host.options_.max_streams = 8;
  auto session = hf::http::make_h2_session(host, "127.0.0.1:4000", true);
  session->receive(hf::http::kH2Preface);
  session->receive({"\0\0\0\4\0\0\0\0\0", 9});  // SETTINGS
  size_t at = 0;
  while (at < size && !session->done()) {
    const uint8_t what = data[at++];
    if (what < 0xc0) {
      size_t n = std::min<size_t>(size - at, what ? what : 20'000);
      session->receive({reinterpret_cast<const char*>(data) + at, n});
      at += n;
    } else if (what < 0xf0) {
      act(host, what, at < size ? data[at] : 0);
    } else if (what < 0xf8) {
      host.now += int64_t{1} << (what & 7) << 18;
      session->tick(host.now);
    } else if (what == 0xf9) {
      session->drain();
    }
    std::string out = host.settle(*session, 4096);
    hf::check(host.active >= 0 && host.active <= host.options_.max_streams, "no more streams than allowed");
  }
  session->gone();
  hf::check(host.active == 0, "every exchange is over");
  return 0;
}
