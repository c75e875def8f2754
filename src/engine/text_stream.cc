#include "engine/text_stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace hf::engine {

TextStream::TextStream(const model::Tokenizer& tokenizer, std::vector<std::string> stops)
    : decoder_(tokenizer), stops_(std::move(stops)) {}

std::string TextStream::push(int32_t id) { return release(decoder_.push(id), false); }

std::string TextStream::finish() { return release(decoder_.finish(), true); }

std::string TextStream::release(const std::string& text, bool last) {
  check(!stopped(), "an answer goes on after its stop string");
  held_ += text;
  size_t found = std::string::npos;
  for (size_t i = 0; i < stops_.size(); ++i) {
    const size_t at = held_.find(stops_[i]);
    if (at < found) {
      found = at;
      stop_ = static_cast<int>(i);
    }
  }
  if (stopped()) {
    held_.resize(found);
    return std::exchange(held_, {});
  }
  // The longest end of what we have that begins a stop string waits. A stop string begins with a whole character, so
  // the cut is between characters.
  size_t keep = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); !last && n > keep; --n)
      if (std::string_view(held_).substr(held_.size() - n) == std::string_view(stop).substr(0, n)) keep = n;
  }
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return out;
}

}  // namespace hf::engine
