#include "security/json.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <set>
#include <vector>

#include "base/text.h"

namespace hf::security {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 64;

// Follows a document's objects and finds a member that comes twice; builds nothing.
struct Repeats {
  static constexpr std::size_t max_object_size = 100'000, max_array_size = 1'000'000;
  static constexpr std::size_t max_key_size = 65'536, max_string_size = std::size_t{1} << 30;
  using Error = json::error_code;

  std::vector<std::set<std::string>> objects;
  std::string key, repeated;
  bool is_repeated = false;

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) { return objects.emplace_back(), true; }
  bool on_object_end(std::size_t, Error&) { return objects.pop_back(), true; }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t, Error&) { return true; }
  bool on_key_part(json::string_view part, std::size_t, Error&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, Error& error) {
    key.append(part.data(), part.size());
    if (!objects.back().insert(key).second) {
      repeated = key;
      is_repeated = true;
      error = json::error::syntax;
      return false;
    }
    key.clear();
    return true;
  }
  bool on_string_part(json::string_view, std::size_t, Error&) { return true; }
  bool on_string(json::string_view, std::size_t, Error&) { return true; }
  bool on_number_part(json::string_view, Error&) { return true; }
  bool on_int64(std::int64_t, json::string_view, Error&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, Error&) { return true; }
  bool on_double(double, json::string_view, Error&) { return true; }
  bool on_bool(bool, Error&) { return true; }
  bool on_null(Error&) { return true; }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }
};

void write(std::string& out, const json::value& value) {
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
    case json::kind::double_: {
      char buffer[32];
      auto end = std::to_chars(buffer, buffer + sizeof buffer, value.get_double()).ptr;
      out.append(buffer, end);
      return;
    }
    case json::kind::string:
      out += json_string({value.get_string().data(), value.get_string().size()});
      return;
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value.get_array()) {
        if (!first) out += ',';
        first = false;
        write(out, element);
      }
      out += ']';
      return;
    }
    case json::kind::object: {
      std::vector<const json::key_value_pair*> members;
      for (const auto& member : value.get_object()) members.push_back(&member);
      std::sort(members.begin(), members.end(), [](auto* a, auto* b) { return a->key() < b->key(); });
      out += '{';
      for (const auto* member : members) {
        if (member != members.front()) out += ',';
        out += json_string({member->key().data(), member->key().size()});
        out += ':';
        write(out, member->value());
      }
      out += '}';
      return;
    }
  }
}

// Length of the valid UTF-8 sequence at the start of `text`, or 0.
size_t sequence(std::string_view text) {
  for (size_t n = 1; n <= 4 && n <= text.size(); ++n)
    if (valid_utf8(text.substr(0, n))) return n;
  return 0;
}

void escape(std::string& out, char c) {
  static constexpr char kDigits[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[static_cast<unsigned char>(c) & 15];
  }
}

}  // namespace

Result<json::value> parse_json(std::string_view text, size_t limit, std::string_view what) {
  std::string name(what);
  if (text.size() > limit)
    return fail(Code::too_large,
                name + ": expected at most " + std::to_string(limit) + " bytes, found " + std::to_string(text.size()));
  try {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    json::basic_parser<Repeats> repeats(options);
    json::error_code error;
    size_t used = repeats.write_some(false, text.data(), text.size(), error);
    if (repeats.handler().is_repeated)
      return fail(Code::invalid, name + ": the member '" + repeats.handler().repeated.substr(0, 100) +
                                     "' is there twice in one object");
    if (error) return fail(Code::invalid, name + ": not JSON at byte " + std::to_string(used) + ": " + error.message());
    json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
    if (error) return fail(Code::invalid, name + ": not JSON: " + error.message());
    return value;
  } catch (const std::exception& e) {
    return fail(Code::invalid, name + ": not JSON: " + e.what());
  }
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  bool valid = valid_utf8(text);
  for (size_t i = 0; i < text.size();) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == '"' || c == '\\') {
      escape(out, text[i++]);
    } else if (c < 0x80 || valid) {
      out += text[i++];
    } else if (size_t n = sequence(text.substr(i, 4))) {
      out.append(text.substr(i, n));
      i += n;
    } else {
      out += percent_encode(text.substr(i++, 1));
    }
  }
  return out += '"';
}

std::string canonical_json(const json::value& value) {
  std::string out;
  write(out, value);
  return out;
}

}  // namespace hf::security
