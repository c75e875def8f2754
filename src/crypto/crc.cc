// CRCs, eight bytes a step by tables ("slicing by 8"), and CRC32C by the instruction where the CPU has it.
#include <zlib.h>

#include <array>
#include <cstring>

#include "crypto/crypto.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace hf::crypto {
namespace {

// tables[k][b]: the CRC of byte b followed by k zero bytes, for a reflected polynomial.
template <class Word>
using Tables = std::array<std::array<Word, 256>, 8>;

template <class Word>
constexpr Tables<Word> make_tables(Word reflected) {
  Tables<Word> t{};
  for (unsigned b = 0; b < 256; ++b) {
    Word r = b;
    for (int i = 0; i < 8; ++i) r = (r >> 1) ^ ((r & 1) != 0 ? reflected : 0);
    t[0][b] = r;
  }
  for (unsigned b = 0; b < 256; ++b) {
    for (unsigned k = 1; k < 8; ++k) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 0xff];
  }
  return t;
}

constexpr Tables<uint32_t> kCastagnoli = make_tables<uint32_t>(0x82f63b78);
constexpr Tables<uint64_t> kNvme = make_tables<uint64_t>(0x9a6c9329ac4bc9b5);

uint64_t load_le(const char* p) {
  uint64_t v = 0;
  for (int i = 7; i >= 0; --i) v = v << 8 | static_cast<unsigned char>(p[i]);
  return v;
}

template <class Word>
Word by_table(const Tables<Word>& t, Word r, std::string_view data) {
  while (data.size() >= 8) {
    const uint64_t v = load_le(data.data()) ^ r;
    Word next = 0;
    for (unsigned k = 0; k < 8; ++k) next ^= t[7 - k][(v >> (8 * k)) & 0xff];
    r = next;
    data.remove_prefix(8);
  }
  for (char c : data) r = (r >> 8) ^ t[0][(r ^ static_cast<unsigned char>(c)) & 0xff];
  return r;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t castagnoli_sse42(uint32_t r, std::string_view data) {
  uint64_t wide = r;
  while (data.size() >= 8) {
    uint64_t v = 0;
    std::memcpy(&v, data.data(), sizeof v);
    wide = _mm_crc32_u64(wide, v);
    data.remove_prefix(8);
  }
  auto narrow = static_cast<uint32_t>(wide);
  for (char c : data) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(c));
  return narrow;
}
#endif

}  // namespace

uint32_t crc32(uint32_t state, std::string_view data) {
  return static_cast<uint32_t>(::crc32_z(state, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

uint32_t crc32c(uint32_t state, std::string_view data) {
#if defined(__x86_64__)
  static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
  if (fast) return ~castagnoli_sse42(~state, data);
#endif
  return ~by_table(kCastagnoli, ~state, data);
}

uint32_t crc32c_by_table(uint32_t state, std::string_view data) { return ~by_table(kCastagnoli, ~state, data); }

uint64_t crc64nvme(uint64_t state, std::string_view data) { return ~by_table(kNvme, ~state, data); }

}  // namespace hf::crypto
