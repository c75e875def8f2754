#include "http/body.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.h"
#include "http/message.h"

namespace hf::http {
namespace {

bool framing(std::string_view name) {
  return iequal(name, "content-length") || iequal(name, "transfer-encoding") || iequal(name, "host");
}

}  // namespace

size_t BodyReader::take(std::string_view data, BodySink& sink, Refusal& refusal) {
  size_t used = 0;
  while (used < data.size() && state_ != State::done && !refusal.status) {
    std::string_view rest = data.substr(used);
    if (state_ == State::data) {
      auto n = static_cast<size_t>(std::min<uint64_t>(left_, rest.size()));
      if (!ends_with_connection()) left_ -= n;
      used += n;
      sink.body(rest.substr(0, n));
      if (left_ == 0) state_ = chunked_ ? State::data_end : State::done;
      continue;
    }
    const void* found = std::memchr(rest.data(), '\n', rest.size());
    size_t n = found ? static_cast<size_t>(static_cast<const char*>(found) - rest.data()) : rest.size();
    if (line_.size() + n > (state_ == State::trailer ? kTrailerLimit : kLineLimit)) {
      refusal = {400, "a chunk's line or the trailers are too long"};
      return used;
    }
    line_.append(rest.substr(0, n));
    used += n;
    if (!found) break;
    ++used;
    end_of_line(refusal);
  }
  return used;
}

void BodyReader::end_of_line(Refusal& refusal) {
  if (!line_.ends_with('\r') || line_.find('\r') != line_.size() - 1) {
    refusal = {400, "a line of the chunked framing does not end in CR LF"};
    return;
  }
  line_.pop_back();
  std::string_view line = line_;
  if (state_ == State::data_end) {
    if (!line.empty()) refusal = {400, "a chunk is longer than its size says"};
    state_ = State::size;
  } else if (state_ == State::size) {
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
    std::string_view extension(end, static_cast<size_t>(line.data() + line.size() - end));
    bool extended = extension.empty() || (extension[0] == ';' && valid_header_value(extension));
    if (error != std::errc() || line[0] == '-' || left_ > uint64_t{1} << 62 || !extended) {
      refusal = {400, "a chunk's size is not a hexadecimal number"};
    }
    state_ = left_ == 0 ? State::trailer : State::data;
  } else {
    size_t colon = line.find(':');
    trailer_bytes_ += line.size();
    if (line.empty()) {
      state_ = State::done;
    } else if (colon == std::string_view::npos || !valid_token(line.substr(0, colon)) ||
               !valid_header_value(line.substr(colon + 1))) {
      refusal = {400, "a trailer is malformed"};
    } else if (framing(line.substr(0, colon))) {
      refusal = {400, "a trailer would change the framing"};
    } else if (trailer_bytes_ > kTrailerLimit) {
      refusal = {400, "a chunk's line or the trailers are too long"};
    }
  }
  line_.clear();
}

}  // namespace hf::http
