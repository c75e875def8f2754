#include "base/bytes.h"

#include <array>

namespace hf {
namespace {

constexpr char kStd[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kUrl[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encode64(std::string_view in, const char* alphabet, bool pad) {
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  for (size_t i = 0; i < in.size(); i += 3) {
    size_t n = std::min<size_t>(3, in.size() - i);
    uint32_t v = static_cast<uint8_t>(in[i]) << 16;
    if (n > 1) v |= static_cast<uint8_t>(in[i + 1]) << 8;
    if (n > 2) v |= static_cast<uint8_t>(in[i + 2]);
    for (size_t k = 0; k < 4; ++k) {
      if (k <= n)
        out += alphabet[(v >> (18 - 6 * k)) & 63];
      else if (pad)
        out += '=';
    }
  }
  return out;
}

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

}  // namespace

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

Result<std::string> unhex(std::string_view text) {
  if (text.size() % 2) return fail(Code::invalid, "hex text has an odd length");
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    int hi = nibble(text[i]), lo = nibble(text[i + 1]);
    if (hi < 0 || lo < 0) return fail(Code::invalid, "expected hex digits at offset " + std::to_string(i));
    out += static_cast<char>(hi << 4 | lo);
  }
  return out;
}

std::string base64(std::string_view bytes) { return encode64(bytes, kStd, true); }
std::string base64url(std::string_view bytes) { return encode64(bytes, kUrl, false); }

Result<std::string> unbase64(std::string_view text) {
  if (text.size() % 4) return fail(Code::invalid, "base64 text must be a multiple of 4 characters long");
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    bool last = i + 4 == text.size();
    int pad = last ? (text[i + 3] == '=') + (text[i + 3] == '=' && text[i + 2] == '=') : 0;
    uint32_t v = 0;
    for (int k = 0; k < 4; ++k) {
      int d = k >= 4 - pad ? 0 : sextet(text[i + static_cast<size_t>(k)]);
      if (d < 0) return fail(Code::invalid, "expected base64 at offset " + std::to_string(i + static_cast<size_t>(k)));
      v = v << 6 | static_cast<uint32_t>(d);
    }
    if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
      return fail(Code::invalid, "base64 text has bits set beyond its end");
    out += static_cast<char>(v >> 16);
    if (pad < 2) out += static_cast<char>(v >> 8);
    if (pad < 1) out += static_cast<char>(v);
  }
  return out;
}

Result<std::string> unbase64url(std::string_view text) {
  std::string standard(text);
  for (char& c : standard) {
    if (c == '+' || c == '/' || c == '=') return fail(Code::invalid, "expected base64url, found a character of base64");
    c = c == '-' ? '+' : c == '_' ? '/' : c;
  }
  standard.append((4 - standard.size() % 4) % 4, '=');
  return unbase64(standard);
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

void put_u16be(std::string& out, uint16_t v) {
  out += static_cast<char>(v >> 8);
  out += static_cast<char>(v);
}
void put_u32be(std::string& out, uint32_t v) {
  put_u16be(out, static_cast<uint16_t>(v >> 16));
  put_u16be(out, static_cast<uint16_t>(v));
}
void put_u64be(std::string& out, uint64_t v) {
  put_u32be(out, static_cast<uint32_t>(v >> 32));
  put_u32be(out, static_cast<uint32_t>(v));
}
uint16_t get_u16be(const char* p) {
  return static_cast<uint16_t>(static_cast<uint8_t>(p[0]) << 8 | static_cast<uint8_t>(p[1]));
}
uint32_t get_u32be(const char* p) { return static_cast<uint32_t>(get_u16be(p)) << 16 | get_u16be(p + 2); }
uint64_t get_u64be(const char* p) { return static_cast<uint64_t>(get_u32be(p)) << 32 | get_u32be(p + 4); }

}  // namespace hf
