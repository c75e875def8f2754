// AWS event stream frames (application/vnd.amazon.eventstream):
//   u32be total | u32be length of headers | u32be CRC32 of the 8 bytes before | headers | payload | u32be CRC32 of all
//   before
// A header: u8 name length | name | u8 type | value. Source: Smithy, "Amazon Event Stream Specification".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/text.h"

namespace hf::wire {

struct EventHeader {
  enum class Type : uint8_t {
    yes = 0,
    no = 1,
    int8 = 2,
    int16 = 3,
    int32 = 4,
    int64 = 5,
    bytes = 6,
    string = 7,
    timestamp = 8 /* ms */,
    uuid = 9
  };
  std::string name;  // 1 to 255 bytes
  Type type = Type::string;
  std::string bytes;   // of bytes, string (at most 32,767 bytes) and uuid (16 bytes)
  int64_t number = 0;  // of the integers and timestamp
};

struct EventFrame {
  std::vector<EventHeader> headers;
  std::string payload;
  std::string_view header(std::string_view name) const;  // a string header's text, or ""
};

inline constexpr size_t kMaxEventHeaders = 128 << 10;  // bytes
inline constexpr size_t kMaxEventFrame = 24 << 20;     // bytes of a whole frame

std::string encode_event(const EventFrame& frame);  // our own frames: over the limits is a check
// The three forms that a server sends.
std::string event_message(std::string_view type, std::string_view content_type, std::string_view payload);
std::string exception_message(std::string_view type, std::string_view json);
std::string error_message(std::string_view code, std::string_view message);

// Takes bytes as they come, gives whole frames out. After an error it stays failed.
class EventDecoder {
 public:
  Status feed(std::string_view bytes);       // keeps at most one frame's bytes beyond what next() took
  Result<std::optional<EventFrame>> next();  // nothing: more bytes are needed. corrupt: a wrong length or checksum
  bool empty() const { return buffer_.size() == start_; }  // at the end of the stream: no half frame is left

 private:
  std::string buffer_;
  size_t start_ = 0;
  std::optional<Error> failed_;
};

}  // namespace hf::wire
