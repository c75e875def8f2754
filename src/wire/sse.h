// Server-sent events (WHATWG HTML, 9.2), as OpenAI's API uses them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hf::wire {

struct SseEvent {
  std::string type;  // of "event:", or ""
  std::string data;  // lines of "data:" joined with \n
};

// "event: type\n" if there is one, then a "data: " for each line of data, then an empty line.
std::string sse_event(std::string_view data, std::string_view type = "");

// Takes bytes as they come. An event is at most 4 MiB.
class SseDecoder {
 public:
  Status feed(std::string_view bytes);
  std::optional<SseEvent> next();

 private:
  std::string buffer_;
  SseEvent open_;
  bool has_data_ = false;
};

}  // namespace hf::wire
