#include "wire/json.h"

#include <boost/json/array.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <set>
#include <vector>

#include "base/text.h"

namespace hf::wire {
namespace {

namespace json = boost::json;
using json::error_code;
using json::string_view;

// Builds the value, and remembers the members of each open object to refuse a second one of the same name.
struct Handler {
  static constexpr size_t max_object_size = json::object::max_size();
  static constexpr size_t max_array_size = json::array::max_size();
  static constexpr size_t max_key_size = json::string::max_size();
  static constexpr size_t max_string_size = json::string::max_size();

  json::value_stack stack;
  std::vector<std::set<std::string>> open;  // ordered: no choice of names makes it slow
  std::string key;
  std::string problem;

  bool refuse(error_code& ec, std::string why) {
    problem = std::move(why);
    ec = json::error::syntax;
    return false;
  }
  bool on_document_begin(error_code&) { return stack.reset(), true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return open.emplace_back(), true; }
  bool on_object_end(size_t n, error_code&) { return open.pop_back(), stack.push_object(n), true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(size_t n, error_code&) { return stack.push_array(n), true; }
  bool on_key_part(string_view s, size_t, error_code&) { return key.append(s), stack.push_chars(s), true; }
  bool on_key(string_view s, size_t, error_code& ec) {
    key.append(s);
    bool fresh = open.back().insert(key).second;
    if (!fresh) return refuse(ec, "the member '" + key.substr(0, 64) + "' is given twice");
    key.clear();
    return stack.push_key(s), true;
  }
  bool on_string_part(string_view s, size_t, error_code&) { return stack.push_chars(s), true; }
  bool on_string(string_view s, size_t, error_code&) { return stack.push_string(s), true; }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(int64_t i, string_view, error_code&) { return stack.push_int64(i), true; }
  bool on_uint64(uint64_t u, string_view, error_code&) { return stack.push_uint64(u), true; }
  bool on_double(double d, string_view, error_code& ec) {
    if (!std::isfinite(d)) return refuse(ec, "a number is too large for a double");
    return stack.push_double(d), true;
  }
  bool on_bool(bool b, error_code&) { return stack.push_bool(b), true; }
  bool on_null(error_code&) { return stack.push_null(), true; }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }
};

std::string explain(const error_code& ec) {
  if (ec == json::error::too_deep) return "it is nested deeper than " + std::to_string(kMaxDepth) + " levels";
  if (ec == json::error::incomplete) return "it ends too early";
  if (ec == json::error::extra_data) return "something follows the value";
  return ec.message();
}

void write_value(std::string& out, const json::value& value, int depth) {
  check(depth <= 2 * kMaxDepth, "a JSON value that we made is nested too deep");
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      return;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case json::kind::int64:
      out += std::to_string(value.get_int64());
      return;
    case json::kind::uint64:
      out += std::to_string(value.get_uint64());
      return;
    case json::kind::double_:
      write_json_number(out, value.get_double());
      return;
    case json::kind::string:
      write_json_string(out, value.get_string());
      return;
    case json::kind::array: {
      char separator = '[';
      for (const auto& e : value.get_array()) {
        out += separator;
        write_value(out, e, depth + 1);
        separator = ',';
      }
      out += separator == '[' ? "[]" : "]";
      return;
    }
    case json::kind::object: {
      char separator = '{';
      for (const auto& m : value.get_object()) {
        out += separator;
        write_json_string(out, m.key());
        out += ':';
        write_value(out, m.value(), depth + 1);
        separator = ',';
      }
      out += separator == '{' ? "{}" : "}";
      return;
    }
  }
}

// The bytes that are no part of a UTF-8 sequence become U+FFFD. Rare, so it may be slow: at most 4 tries a byte.
std::string repaired(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t n = 1;
    while (n <= 4 && i + n <= text.size() && !valid_utf8(text.substr(i, n))) ++n;
    if (n <= 4 && i + n <= text.size()) {
      out += text.substr(i, n);
      i += n;
    } else {
      out += "\xef\xbf\xbd";
      i += 1;
    }
  }
  return out;
}

}  // namespace

Result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::basic_parser<Handler> parser(options);
  error_code ec;
  size_t used = 0;
  try {
    used = parser.write_some(false, text.data(), text.size(), ec);
    if (!ec && used < text.size()) ec = json::error::extra_data;
    if (!ec) return parser.handler().stack.release();
  } catch (const std::exception& e) {  // out of memory, a length over boost's limits
    return fail(Code::too_large, std::string("the JSON could not be held: ") + e.what());
  }
  const std::string& own = parser.handler().problem;
  return fail(Code::invalid, kMalformed,
              "expected JSON, but near byte " + std::to_string(used) + " " + (own.empty() ? explain(ec) : own));
}

void write_json(std::string& out, const json::value& value) { write_value(out, value, 0); }

void write_json_string(std::string& out, std::string_view text) {
  std::string fixed;
  if (!valid_utf8(text)) {
    fixed = repaired(text);
    text = fixed;
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += "\\u00";
          out += kDigits[static_cast<unsigned char>(c) >> 4];
          out += kDigits[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void write_json_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out.append(buffer, end);
}

}  // namespace hf::wire
