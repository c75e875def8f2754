#include "base/text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/bytes.h"

namespace hf {
namespace {

constexpr Micros kSecond = 1'000'000;
constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Civil {
  int64_t year;
  int month, day, hour, minute, second, micros, weekday;
};

// Days since 1970-01-01 of a date, and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
int64_t days_from_civil(int64_t y, int m, int d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400;
  const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

Civil civil(Micros t) {
  int64_t days = t / (86400 * kSecond), rest = t % (86400 * kSecond);
  if (rest < 0) rest += 86400 * kSecond, --days;
  const int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  Civil c{};
  c.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  c.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  c.year = yoe + era * 400 + (c.month <= 2);
  const int64_t seconds = rest / kSecond;
  c.micros = static_cast<int>(rest % kSecond);
  c.hour = static_cast<int>(seconds / 3600);
  c.minute = static_cast<int>(seconds / 60 % 60);
  c.second = static_cast<int>(seconds % 60);
  c.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  return c;
}

template <class... A>
std::string format(const char* pattern, A... args) {
  char buffer[80];
  int n = std::snprintf(buffer, sizeof buffer, pattern, args...);
  return std::string(buffer, static_cast<size_t>(n));
}

// Reads exactly `n` digits at `pos`, or -1.
int digits(std::string_view s, size_t pos, size_t n) {
  if (pos + n > s.size()) return -1;
  int v = 0;
  for (size_t i = pos; i < pos + n; ++i) {
    if (s[i] < '0' || s[i] > '9') return -1;
    v = v * 10 + (s[i] - '0');
  }
  return v;
}

Result<Micros> from_parts(std::string_view text, int y, int mo, int d, int h, int mi, int s) {
  static constexpr int kLength[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
  if (y < 1 || mo < 1 || mo > 12 || d < 1 || d > kLength[mo - 1] || (mo == 2 && d == 29 && !leap) || h < 0 || h > 23 ||
      mi < 0 || mi > 59 || s < 0 || s > 60)
    return fail(Code::invalid, "not a time: '" + std::string(text.substr(0, 40)) + "'");
  return (days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + s) * kSecond;
}

}  // namespace

Result<int64_t> parse_int(std::string_view text, std::string_view what) {
  int64_t v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    return fail(Code::invalid,
                std::string(what) + ": expected an integer, found '" + std::string(text.substr(0, 40)) + "'");
  return v;
}

Result<double> parse_double(std::string_view text, std::string_view what) {
  double v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(v))
    return fail(Code::invalid,
                std::string(what) + ": expected a number, found '" + std::string(text.substr(0, 40)) + "'");
  return v;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i)
    if (i == text.size() || text[i] == separator) parts.push_back(text.substr(start, i - start)), start = i + 1;
  return parts;
}

std::string_view trim(std::string_view text) {
  const char* blanks = " \t\r\n";
  size_t begin = text.find_first_not_of(blanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

bool iequal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (size_t i = 0; i < a.size(); ++i)
    if (low(a[i]) != low(b[i])) return false;
  return true;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (unsigned char c : text) {
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                 c == '.' || c == '~' || (keep_slash && c == '/');
    if (plain) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
  }
  return out;
}

namespace {
Result<std::string> decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return fail(Code::invalid, "percent encoding is cut off at its end");
      out += TRY(unhex(text.substr(i + 1, 2)));
      i += 2;
    } else {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}
}  // namespace

Result<std::string> percent_decode(std::string_view text) { return decode(text, false); }
Result<std::string> form_decode(std::string_view text) { return decode(text, true); }

namespace {
// Length of the sequence that starts with this byte; 0: not a start.
size_t sequence_length(unsigned char c) {
  if (c < 0x80) return 1;
  if (c >= 0xc2 && c <= 0xdf) return 2;
  if (c >= 0xe0 && c <= 0xef) return 3;
  if (c >= 0xf0 && c <= 0xf4) return 4;
  return 0;
}
}  // namespace

bool valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto at = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
    size_t n = sequence_length(at(i));
    if (n == 0 || i + n > text.size()) return false;
    for (size_t k = 1; k < n; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return false;
    if (n == 3 && ((at(i) == 0xe0 && at(i + 1) < 0xa0) || (at(i) == 0xed && at(i + 1) > 0x9f))) return false;
    if (n == 4 && ((at(i) == 0xf0 && at(i + 1) < 0x90) || (at(i) == 0xf4 && at(i + 1) > 0x8f))) return false;
    i += n;
  }
  return true;
}

size_t incomplete_utf8_tail(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    unsigned char c = static_cast<unsigned char>(text[text.size() - back]);
    if ((c & 0xc0) == 0x80) continue;
    return sequence_length(c) > back ? back : 0;
  }
  return 0;
}

std::string clip_utf8(std::string_view text, size_t most) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t n = sequence_length(static_cast<unsigned char>(text[i]));
    const bool whole = n > 0 && valid_utf8(text.substr(i, n));
    if (!whole) n = 1;
    if (out.size() + n > most) break;
    out += whole ? text.substr(i, n) : "?";
    i += n;
  }
  return out;
}

std::string iso8601(Micros t) {
  Civil c = civil(t);
  return format("%04d-%02d-%02dT%02d:%02d:%02dZ", static_cast<int>(c.year), c.month, c.day, c.hour, c.minute, c.second);
}
std::string iso8601_millis(Micros t) {
  Civil c = civil(t);
  return format("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", static_cast<int>(c.year), c.month, c.day, c.hour, c.minute,
                c.second, c.micros / 1000);
}
std::string amz_date(Micros t) {
  Civil c = civil(t);
  return format("%04d%02d%02dT%02d%02d%02dZ", static_cast<int>(c.year), c.month, c.day, c.hour, c.minute, c.second);
}
std::string http_date(Micros t) {
  Civil c = civil(t);
  return format("%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[c.weekday], c.day, kMonths[c.month - 1],
                static_cast<int>(c.year), c.hour, c.minute, c.second);
}

Result<Micros> parse_iso8601(std::string_view s) {
  auto bad = [&] {
    return fail(Code::invalid,
                "expected a time like 2026-11-22T07:49:25Z, found '" + std::string(s.substr(0, 40)) + "'");
  };
  if (s.size() < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':') return bad();
  Micros t = TRY(from_parts(s, digits(s, 0, 4), digits(s, 5, 2), digits(s, 8, 2), digits(s, 11, 2), digits(s, 14, 2),
                            digits(s, 17, 2)));
  size_t i = 19;
  if (s[i] == '.') {
    Micros unit = 100'000;
    for (++i; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i, unit /= 10) t += (s[i] - '0') * unit;
  }
  std::string_view zone = s.substr(i);
  if (zone == "Z") return t;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return bad();
  int h = digits(zone, 1, 2), m = digits(zone, 4, 2);
  if (h < 0 || h > 23 || m < 0 || m > 59) return bad();
  Micros offset = (h * 3600 + m * 60) * kSecond;
  return zone[0] == '+' ? t - offset : t + offset;
}

Result<Micros> parse_amz_date(std::string_view s) {
  if (s.size() != 16 || s[8] != 'T' || s[15] != 'Z')
    return fail(Code::invalid, "expected a time like 20261122T074925Z, found '" + std::string(s.substr(0, 40)) + "'");
  return from_parts(s, digits(s, 0, 4), digits(s, 4, 2), digits(s, 6, 2), digits(s, 9, 2), digits(s, 11, 2),
                    digits(s, 13, 2));
}

Result<Micros> parse_http_date(std::string_view s) {
  if (s.size() == 29 && s.substr(25) == " GMT") {
    for (int m = 0; m < 12; ++m)
      if (s.substr(8, 3) == kMonths[m])
        return from_parts(s, digits(s, 12, 4), m + 1, digits(s, 5, 2), digits(s, 17, 2), digits(s, 20, 2),
                          digits(s, 23, 2));
  }
  return fail(Code::invalid,
              "expected a time like 'Sun, 22 Nov 2026 07:49:25 GMT', found '" + std::string(s.substr(0, 40)) + "'");
}

std::string human_bytes(uint64_t n) {
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (n < 1024) return std::to_string(n) + " B";
  double v = static_cast<double>(n) / 1024;
  size_t unit = 0;
  for (; v >= 1024 && unit < 3; ++unit) v /= 1024;
  return format("%.1f %s", v, kUnits[unit]);
}

}  // namespace hf
