#include "wire/eventstream.h"

#include "base/bytes.h"
#include "crypto/crypto.h"

namespace hf::wire {
namespace {

using Type = EventHeader::Type;

EventHeader text_header(std::string_view name, std::string_view value) {
  return EventHeader{std::string(name), Type::string, std::string(value), 0};
}

void put_header(std::string& out, const EventHeader& h) {
  check(!h.name.empty() && h.name.size() <= 255, "an event header's name has 1 to 255 bytes");
  out += static_cast<char>(h.name.size());
  out += h.name;
  out += static_cast<char>(h.type);
  switch (h.type) {
    case Type::yes:
    case Type::no:
      return;
    case Type::int8:
      out += static_cast<char>(h.number);
      return;
    case Type::int16:
      put_u16be(out, static_cast<uint16_t>(h.number));
      return;
    case Type::int32:
      put_u32be(out, static_cast<uint32_t>(h.number));
      return;
    case Type::int64:
    case Type::timestamp:
      put_u64be(out, static_cast<uint64_t>(h.number));
      return;
    case Type::bytes:
    case Type::string:
      check(h.bytes.size() <= 32767, "an event header's value has at most 32767 bytes");
      put_u16be(out, static_cast<uint16_t>(h.bytes.size()));
      out += h.bytes;
      return;
    case Type::uuid:
      check(h.bytes.size() == 16, "a uuid has 16 bytes");
      out += h.bytes;
      return;
  }
}

Error broken(std::string what) { return fail(Code::corrupt, "event stream: " + std::move(what)); }

// The headers' bytes, to the last one.
Result<std::vector<EventHeader>> read_headers(std::string_view in) {
  std::vector<EventHeader> headers;
  size_t at = 0;
  auto left = [&] { return in.size() - at; };
  while (at < in.size()) {
    EventHeader h;
    size_t name = static_cast<unsigned char>(in[at++]);
    if (name == 0 || left() < name + 1) return broken("a header's name has 1 to 255 bytes within the headers");
    h.name = in.substr(at, name);
    at += name;
    uint8_t type = static_cast<uint8_t>(in[at++]);
    if (type > 9) return broken("header '" + h.name + "' has the unknown type " + std::to_string(type));
    h.type = static_cast<Type>(type);
    static constexpr size_t kSizes[] = {0, 0, 1, 2, 4, 8, 2, 2, 8, 16};
    size_t size = kSizes[type];
    if (left() < size) return broken("the value of header '" + h.name + "' is cut off");
    const char* p = in.data() + at;
    at += size;
    switch (h.type) {
      case Type::yes:
        h.number = 1;
        break;
      case Type::no:
        break;
      case Type::int8:
        h.number = static_cast<signed char>(*p);
        break;
      case Type::int16:
        h.number = static_cast<int16_t>(get_u16be(p));
        break;
      case Type::int32:
        h.number = static_cast<int32_t>(get_u32be(p));
        break;
      case Type::int64:
      case Type::timestamp:
        h.number = static_cast<int64_t>(get_u64be(p));
        break;
      case Type::uuid:
        h.bytes.assign(p, 16);
        break;
      case Type::bytes:
      case Type::string: {
        size_t n = get_u16be(p);
        if (n > 32767 || left() < n) return broken("the value of header '" + h.name + "' is cut off or too long");
        h.bytes = in.substr(at, n);
        if (h.type == Type::string && !valid_utf8(h.bytes)) return broken("header '" + h.name + "' is not UTF-8");
        at += n;
        break;
      }
    }
    headers.push_back(std::move(h));
  }
  return headers;
}

}  // namespace

std::string_view EventFrame::header(std::string_view name) const {
  for (const auto& h : headers)
    if (h.name == name && h.type == Type::string) return h.bytes;
  return {};
}

std::string encode_event(const EventFrame& frame) {
  std::string headers;
  for (const auto& h : frame.headers) put_header(headers, h);
  size_t total = 16 + headers.size() + frame.payload.size();
  check(headers.size() <= kMaxEventHeaders && total <= kMaxEventFrame, "an event frame is over its limit");
  std::string out;
  out.reserve(total);
  put_u32be(out, static_cast<uint32_t>(total));
  put_u32be(out, static_cast<uint32_t>(headers.size()));
  put_u32be(out, crypto::crc32(0, out));
  out += headers;
  out += frame.payload;
  put_u32be(out, crypto::crc32(0, out));
  return out;
}

std::string event_message(std::string_view type, std::string_view content_type, std::string_view payload) {
  return encode_event({{text_header(":event-type", type), text_header(":content-type", content_type),
                        text_header(":message-type", "event")},
                       std::string(payload)});
}

std::string exception_message(std::string_view type, std::string_view json) {
  return encode_event({{text_header(":exception-type", type), text_header(":content-type", "application/json"),
                        text_header(":message-type", "exception")},
                       std::string(json)});
}

std::string error_message(std::string_view code, std::string_view message) {
  return encode_event({{text_header(":message-type", "error"), text_header(":error-code", code),
                        text_header(":error-message", message.substr(0, 1024))},
                       {}});
}

Status EventDecoder::feed(std::string_view bytes) {
  if (failed_) return *failed_;
  if (start_ > 0 && (start_ == buffer_.size() || start_ > (64 << 10))) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  if (buffer_.size() - start_ + bytes.size() > 2 * kMaxEventFrame) {
    failed_ = fail(Code::too_large, "event stream: more than " + std::to_string(2 * kMaxEventFrame) + " bytes wait");
    return *failed_;
  }
  buffer_ += bytes;
  return {};
}

Result<std::optional<EventFrame>> EventDecoder::next() {
  if (failed_) return *failed_;
  auto refuse = [&](Error e) -> Result<std::optional<EventFrame>> {
    failed_ = e;
    return e;
  };
  std::string_view in = std::string_view(buffer_).substr(start_);
  if (in.size() < 12) return std::optional<EventFrame>();
  size_t total = get_u32be(in.data()), headers = get_u32be(in.data() + 4);
  if (get_u32be(in.data() + 8) != crypto::crc32(0, in.substr(0, 8)))
    return refuse(broken("the prelude's checksum is wrong"));
  if (total < 16 || total > kMaxEventFrame || headers > kMaxEventHeaders || headers > total - 16)
    return refuse(broken("a frame of " + std::to_string(total) + " bytes with " + std::to_string(headers) +
                         " of headers is not possible"));
  if (in.size() < total) return std::optional<EventFrame>();
  if (get_u32be(in.data() + total - 4) != crypto::crc32(0, in.substr(0, total - 4)))
    return refuse(broken("the message's checksum is wrong"));
  auto list = read_headers(in.substr(12, headers));
  if (!list.ok()) return refuse(list.error());
  EventFrame frame{std::move(list).value(), std::string(in.substr(12 + headers, total - 16 - headers))};
  start_ += total;
  return std::optional<EventFrame>(std::move(frame));
}

}  // namespace hf::wire
