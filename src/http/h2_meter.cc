#include "http/h2_meter.h"

#include <algorithm>

namespace hf::http {
namespace {
enum FrameType : unsigned char {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
constexpr unsigned char kEndStream = 0x1, kEndHeaders = 0x4;
constexpr int64_t kMinuteUs = 60'000'000;
}  // namespace

H2Meter::Verdict H2Meter::take(std::string_view bytes, int64_t now_us) {
  while (!bytes.empty() && verdict_ == Verdict::ok) {
    if (skip_ > 0) {
      size_t n = static_cast<size_t>(std::min<uint64_t>(skip_, bytes.size()));
      bytes.remove_prefix(n);
      skip_ -= n;
      continue;
    }
    head_[head_size_++] = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (head_size_ == 9) {
      head_size_ = 0;
      skip_ = uint64_t{head_[0]} << 16 | uint64_t{head_[1]} << 8 | head_[2];
      frame(now_us);
    }
  }
  return verdict_;
}

void H2Meter::turn_minute(int64_t now_us) {
  if (now_us - minute_us_ < kMinuteUs) return;
  minute_us_ = now_us;
  resets_ = control_ = 0;
}

H2Meter::Verdict H2Meter::count_reset(int64_t now_us) {
  turn_minute(now_us);
  if (++resets_ > limits_.resets_per_minute && verdict_ == Verdict::ok) verdict_ = Verdict::resets;
  return verdict_;
}

void H2Meter::frame(int64_t now_us) {
  const unsigned char type = head_[3], flags = head_[4];
  if (type == kHeaders || type == kContinuation) {
    if (type == kHeaders) block_bytes_ = block_frames_ = 0;
    block_bytes_ += skip_;
    in_block_ = !(flags & kEndHeaders);
    if (block_bytes_ > limits_.header_block || ++block_frames_ > limits_.continuations + 1) {
      verdict_ = Verdict::header_block;
    }
    return;
  }
  if (type == kRstStream) {
    count_reset(now_us);
    return;
  }
  bool free_of_charge =
      type == kWindowUpdate || type == kGoaway || (type == kData && (skip_ > 0 || (flags & kEndStream) != 0));
  if (free_of_charge) return;
  turn_minute(now_us);
  if (++control_ > limits_.control_per_minute) verdict_ = Verdict::control;
}

}  // namespace hf::http
