#include "wire/sse.h"

#include "base/text.h"

namespace hf::wire {

std::string sse_event(std::string_view data, std::string_view type) {
  std::string out;
  if (!type.empty()) out += "event: " + std::string(type) + "\n";
  for (auto line : split(data, '\n')) {
    out += "data: ";
    out += line;
    out += '\n';
  }
  out += '\n';
  return out;
}

Status SseDecoder::feed(std::string_view bytes) {
  if (buffer_.size() + open_.data.size() + bytes.size() > (4 << 20))
    return fail(Code::too_large, "server-sent events: one event has more than 4 MiB");
  buffer_ += bytes;
  return {};
}

std::optional<SseEvent> SseDecoder::next() {
  size_t start = 0;
  std::optional<SseEvent> ready;
  while (!ready) {
    size_t end = buffer_.find('\n', start);
    if (end == buffer_.npos) break;
    std::string_view line(buffer_.data() + start, end - start);
    start = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) {
      if (has_data_) ready = std::move(open_);
      open_ = {};
      has_data_ = false;
      continue;
    }
    size_t colon = line.find(':');
    std::string_view field = line.substr(0, colon), value = colon == line.npos ? "" : line.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.remove_prefix(1);
    if (field == "event") open_.type = value;
    if (field == "data") {
      if (has_data_) open_.data += '\n';
      open_.data += value;
      has_data_ = true;
    }
  }
  buffer_.erase(0, start);
  return ready;
}

}  // namespace hf::wire
