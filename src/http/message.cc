#include "http/message.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace hf::http {
namespace {

constexpr size_t kTargetLimit = 32 << 10;
constexpr size_t kAuthorityLimit = 255;  // a DNS name is at most 253 bytes; IPv6 and a port are shorter

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

}  // namespace

void Headers::add(std::string name, std::string value) {
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  if (all_.empty()) all_.reserve(8);
  all_.emplace_back(std::move(name), std::move(value));
}

void Headers::set(std::string name, std::string value) {
  name = lower(name);
  std::erase_if(all_, [&](const auto& pair) { return pair.first == name; });
  all_.emplace_back(std::move(name), std::move(value));
}

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [key, value] : all_) {
    if (key == name) return value;
  }
  return {};
}

bool Headers::has(std::string_view name) const {
  return std::any_of(all_.begin(), all_.end(), [&](const auto& pair) { return pair.first == name; });
}

size_t Headers::count(std::string_view name) const {
  return static_cast<size_t>(
      std::count_if(all_.begin(), all_.end(), [&](const auto& pair) { return pair.first == name; }));
}

std::string_view RequestHead::path() const { return std::string_view(target).substr(0, target.find('?')); }

std::string_view RequestHead::query() const {
  size_t at = target.find('?');
  return at == std::string::npos ? std::string_view() : std::string_view(target).substr(at + 1);
}

Result<std::string> Exchange::read_all(size_t limit) {
  std::string body;
  int64_t announced = head().content_length;
  if (announced > 0 && static_cast<uint64_t>(announced) > limit) {
    return fail(Code::too_large, "the body is announced with " + std::to_string(announced) + " bytes; the limit is " +
                                     std::to_string(limit));
  }
  // The announced length is the client's word: it may reserve little, the bytes themselves the rest.
  if (announced > 0) body.reserve(std::min<size_t>(static_cast<size_t>(announced), 1 << 20));
  char piece[16 << 10];
  for (;;) {
    size_t n = TRY(read(piece));
    if (n == 0) return body;
    if (body.size() + n > limit) {
      return fail(Code::too_large, "the body is over the limit of " + std::to_string(limit) + " bytes");
    }
    body.append(piece, n);
  }
}

bool valid_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return kToken[c]; });
}

bool valid_header_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; });
}

bool valid_target(std::string_view method, std::string_view target) {
  if (target == "*") return method == "OPTIONS";
  if (target.empty() || target[0] != '/' || target.size() > kTargetLimit) return false;
  return std::all_of(target.begin(), target.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

bool valid_authority(std::string_view text) {
  if (text.empty() || text.size() > kAuthorityLimit) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']' || c == '%';
  });
}

bool valid_headers(const Headers& headers) {
  return std::all_of(headers.all().begin(), headers.all().end(),
                     [](const auto& pair) { return valid_token(pair.first) && valid_header_value(pair.second); });
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 424:
      return "Failed Dependency";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "";
  }
}

bool connection_header(std::string_view name) {
  return name == "connection" || name == "transfer-encoding" || name == "keep-alive" || name == "proxy-connection" ||
         name == "upgrade" || name == "te" || name == "trailer";
}

void append_decimal(std::string& out, uint64_t value) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

void append_hex(std::string& out, uint64_t value) {
  char digits[16];
  auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  out.append(digits, end);
}

int64_t parse_content_length(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return -1;
  int64_t value = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

}  // namespace hf::http
