// Reads the frame heads of an HTTP/2 client beside nghttp2 and says when it floods: what costs the client nothing and
// us something is counted (RFC 9113, 10.5; CVE-2023-44487 and its kin). No I/O; time is an argument.
#pragma once

#include <cstdint>
#include <string_view>

namespace hf::http {

struct H2Limits {
  int resets_per_minute = 200;
  // PING, SETTINGS, PRIORITY, unknown and empty DATA frames. A busy gRPC client pings some 10 times a second at most.
  int control_per_minute = 2000;
  uint64_t header_block = 64 << 10;  // bytes of HEADERS and its CONTINUATIONs, as sent (compressed)
  int continuations = 16;            // of one header block: 64 KiB need 4 frames of the usual 16 KiB
};

class H2Meter {
 public:
  enum class Verdict { ok, resets, control, header_block };
  explicit H2Meter(const H2Limits& limits) : limits_(limits) {}

  // All bytes of the connection in order, the client's preface first. Once not ok it stays so.
  Verdict take(std::string_view bytes, int64_t now_us);
  // A stream that we had to reset for the client's fault costs as one that it reset itself.
  Verdict count_reset(int64_t now_us);
  bool in_header_block() const { return in_block_; }

 private:
  void frame(int64_t now_us);
  void turn_minute(int64_t now_us);

  const H2Limits limits_;
  Verdict verdict_ = Verdict::ok;
  uint64_t skip_ = 24;  // bytes of the preface, then of the frame's payload
  unsigned char head_[9] = {};
  int head_size_ = 0;
  bool in_block_ = false;
  uint64_t block_bytes_ = 0;
  int block_frames_ = 0;
  int64_t minute_us_ = 0;
  int resets_ = 0, control_ = 0;
};

}  // namespace hf::http
