#include "wire/eventstream.h"
#include "wire/sse.h"

// The first byte is the size of the pieces that are fed. A frame that decodes encodes to the bytes that it came from.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::wire;
  if (size < 2) return 0;
  const size_t step = data[0] + 1u;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  EventDecoder frames;
  SseDecoder lines;
  std::string again;
  for (size_t i = 0; i < bytes.size(); i += step) {
    auto piece = bytes.substr(i, step);
    if (lines.feed(piece).ok())
      while (lines.next()) {
      }
    if (!frames.feed(piece).ok()) break;
    for (;;) {
      auto next = frames.next();
      if (!next.ok() || !*next) break;
      again += encode_event(**next);
    }
  }
  hf::check(bytes.starts_with(again), "a frame changed on its way through");
  return 0;
}
