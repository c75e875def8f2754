#include "store/wal_check.h"

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "store/vfs.h"

namespace hf::store {
namespace {

constexpr uint32_t kMagic = 0x377f0682;  // with its lowest bit: sums over big-endian words
constexpr uint64_t kStepFrames = 256;    // read at a time

struct Sum {
  uint32_t a = 0, b = 0;
  bool operator==(const Sum&) const = default;
};

uint32_t get_u32le(const char* p) {
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  return uint32_t{u[0]} | uint32_t{u[1]} << 8 | uint32_t{u[2]} << 16 | uint32_t{u[3]} << 24;
}

Sum add(Sum sum, std::string_view data, bool big_endian) {
  for (size_t i = 0; i + 8 <= data.size(); i += 8) {
    const char* p = data.data() + i;
    sum.a += (big_endian ? get_u32be(p) : get_u32le(p)) + sum.b;
    sum.b += (big_endian ? get_u32be(p + 4) : get_u32le(p + 4)) + sum.a;
  }
  return sum;
}

Sum sum_at(const char* p) { return {get_u32be(p), get_u32be(p + 4)}; }

void flip(std::string& bytes, size_t bit) { bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8))); }

bool all_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

// The frames one after the other, without I/O: what the log says of itself.
class Walk {
 public:
  explicit Walk(std::string_view header)
      : big_endian_((get_u32be(header.data()) & 1) != 0),
        salts_(header.substr(16, 8)),
        expected_(sum_at(header.data() + 24)) {}

  // The header names itself and sums to what it says.
  static bool whole(std::string_view header) {
    const bool big_endian = (get_u32be(header.data()) & 1) != 0;
    return (get_u32be(header.data()) & ~1U) == kMagic && get_u32be(header.data() + 8) == kPageBytes &&
           add({}, header.substr(0, 24), big_endian) == sum_at(header.data() + 24);
  }

  // It belongs to this log (not to one before, whose place it has) and is what follows the frame before it.
  bool linked(std::string_view f) const {
    if (f.substr(8, 8) != salts_ || get_u32be(f.data()) == 0) return false;
    const Sum start = add(expected_, f.substr(0, 8), big_endian_);
    return add(start, f.substr(kWalFrameBytes), big_endian_) == sum_at(f.data() + 16);
  }

  // The bits each of which, flipped back, makes it linked. Several for the high bits of a word: the sum is linear
  // modulo 2^32, and there many words weigh the same. So a flipped bit is known for one, but not always which it was.
  std::vector<size_t> flipped_bits(std::string f) const {
    std::vector<size_t> candidates = strange_bits(f.substr(8, 8), salts_, 8);
    if (candidates.size() > 1) return {};  // of an older log, or zeros
    if (candidates.empty()) candidates = candidates_in_sum(f);
    std::vector<size_t> out;
    for (const size_t bit : candidates) {
      flip(f, bit);
      if (linked(f)) out.push_back(bit);
      flip(f, bit);
    }
    return out;
  }

  void take(std::string_view f) {
    const bool good = linked(f);
    if (!broken_ && !good) broken_ = number_;
    // A frame after a commit was written when that commit was synced.
    if (broken_ && good && after_commit_ && number_ > *broken_) synced_ = true;
    // That frame's link to it is the proof: it need not be whole itself (damage may reach over two frames).
    after_commit_ = get_u32be(f.data() + 4) != 0 && (f.substr(8, 8) == salts_ || number_ == broken_);
    // After a broken frame the chain is taken up from what the frame itself says.
    expected_ = sum_at(f.data() + 16);
    ++number_;
  }

  bool whole_so_far() const { return !broken_; }
  std::optional<uint64_t> damage() const { return synced_ ? broken_ : std::nullopt; }

 private:
  // The bits in which two texts differ, as numbers of bits of a frame that has the first of them at `offset`.
  static std::vector<size_t> strange_bits(std::string_view a, std::string_view b, size_t offset) {
    std::vector<size_t> out;
    for (size_t bit = 0; bit < a.size() * 8; ++bit)
      if (((a[bit / 8] ^ b[bit / 8]) >> (bit % 8) & 1) != 0) out.push_back(offset * 8 + bit);
    return out;
  }

  // One bit of a word changes the sum by that power of two times what the word's place makes of it: so the difference
  // of the two sums tells which bits it can have been, in one pass.
  std::vector<size_t> candidates_in_sum(const std::string& f) const {
    const Sum said = sum_at(f.data() + 16);
    const Sum found = add(add(expected_, f.substr(0, 8), big_endian_), f.substr(kWalFrameBytes), big_endian_);
    std::string wanted;
    put_u32be(wanted, found.a);
    put_u32be(wanted, found.b);
    std::vector<size_t> out = strange_bits(f.substr(16, 8), wanted, 16);
    if (out.size() != 1) out.clear();  // else it is the sum itself that flipped
    Sum first{1, 1}, second{0, 1};     // what one more in the first and the second word of a pair makes of the sum
    for (size_t pair = kPageBytes / 8 + 1; pair-- > 0;) {
      const size_t offset = pair == 0 ? 0 : kWalFrameBytes + (pair - 1) * 8;
      for (const size_t word : {size_t{0}, size_t{4}}) {
        const Sum weight = word == 0 ? first : second;
        const char* p = f.data() + offset + word;
        const uint32_t value = big_endian_ ? get_u32be(p) : get_u32le(p);
        for (uint32_t b = 0; b < 32; ++b) {
          const uint32_t change = (value >> b & 1) != 0 ? 0 - (1U << b) : 1U << b;
          if (found.a + change * weight.a != said.a || found.b + change * weight.b != said.b) continue;
          out.push_back((offset + word + (big_endian_ ? 3 - b / 8 : b / 8)) * 8 + b % 8);
        }
      }
      for (Sum* s : {&first, &second}) {
        s->a += s->b;
        s->b += s->a;
      }
    }
    return out;
  }

  bool big_endian_;
  std::string salts_;
  Sum expected_;
  uint64_t number_ = 0;
  std::optional<uint64_t> broken_;
  bool after_commit_ = false, synced_ = false;
};

bool header_with_flipped_bit(std::string header) {
  for (size_t bit = 0; bit < header.size() * 8; ++bit) {
    flip(header, bit);
    if (Walk::whole(header)) return true;
    flip(header, bit);
  }
  return false;
}

// Cutting the log there would not help: later pages may be in the main file already, and SQLite would lay older ones
// from the rest of the log over them.
Error damaged(const std::string& wal, const std::string& what) {
  return fail(Code::corrupt, "metadata: " + wal + ": " + what +
                                 ". What it holds was acknowledged, and some of it would be lost without a word: put a "
                                 "copy of the state folder back");
}

std::string in_words(const std::vector<size_t>& bits, uint64_t frame_offset) {
  if (bits.size() > 1) return "has a flipped bit";
  return "has a flipped bit: number " + std::to_string(bits[0] % 8) + " of byte " +
         std::to_string(frame_offset + bits[0] / 8);
}

}  // namespace

Status check_wal(os::Fs& fs, const std::string& path) {
  const std::string wal = path + "-wal";
  auto opened = fs.open(wal, os::Open::read);
  if (!opened.ok() && opened.error().code == Code::not_found) return {};
  auto file = TRY(std::move(opened));
  const uint64_t size = TRY(file->size());
  constexpr uint64_t kFrame = kWalFrameBytes + kPageBytes;
  if (size < kWalHeaderBytes + kFrame) return {};
  std::string header(kWalHeaderBytes, '\0');
  if (TRY(file->read_at(0, {header.data(), header.size()})) != header.size()) return {};
  // A header is one sector, written whole or not, and synced before the first frame.
  const bool whole = Walk::whole(header);
  Walk walk(header);
  std::string frames(kStepFrames * kFrame, '\0');
  for (uint64_t at = kWalHeaderBytes; at + kFrame <= size;) {
    const size_t n = TRY(file->read_at(at, {frames.data(), frames.size()})) / kFrame;
    if (n == 0) break;
    if (!whole && !all_zero(std::string_view(frames).substr(0, n * kFrame)))
      return damaged(wal, header_with_flipped_bit(header) ? "its header has a flipped bit" : "its header is broken");
    for (size_t i = 0; i < n && whole; ++i) {
      const std::string frame = frames.substr(i * kFrame, kFrame);
      if (walk.whole_so_far() && !walk.linked(frame)) {
        const auto bits = walk.flipped_bits(frame);
        if (!bits.empty()) return damaged(wal, "a frame " + in_words(bits, at + i * kFrame));
      }
      walk.take(frame);
    }
    at += n * kFrame;
  }
  if (auto frame = walk.damage()) {
    return damaged(
        wal, "frame " + std::to_string(*frame + 1) + " is not what was written, although a later transaction follows");
  }
  return {};
}

}  // namespace hf::store
