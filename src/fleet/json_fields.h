// Our own records read back: members by name, with the empty value where one is absent, so that a record that an older
// version wrote stays readable. Include in .cc files only (boost/json.hpp).
#pragma once

#include <boost/json.hpp>
#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::fleet {

class JsonFields {
 public:
  // corrupt: not a JSON object. `what` names the record in the message.
  static Result<JsonFields> parse(std::string_view text, std::string_view what) {
    boost::json::error_code ec;
    boost::json::parse_options options;
    options.max_depth = 64;
    options.allow_invalid_utf8 = true;  // a record that says something badly is better than one that is lost
    boost::json::value v = boost::json::parse(text, ec, {}, options);
    if (ec || !v.is_object()) return fail(Code::corrupt, std::string(what) + " is not a JSON object");
    return JsonFields(std::move(v.as_object()));
  }
  explicit JsonFields(boost::json::object o) : o_(std::move(o)) {}

  const boost::json::value* get(std::string_view name) const { return o_.if_contains(name); }
  std::string text(std::string_view name) const {
    const auto* v = get(name);
    return v && v->is_string() ? std::string(v->get_string()) : std::string();
  }
  int64_t integer(std::string_view name) const { return v_integer(get(name)); }
  double number(std::string_view name) const { return v_number(get(name)); }
  bool boolean(std::string_view name) const {
    const auto* v = get(name);
    return v && v->is_bool() && v->get_bool();
  }
  JsonFields object(std::string_view name) const {
    const auto* v = get(name);
    return JsonFields(v && v->is_object() ? v->get_object() : boost::json::object());
  }
  std::vector<std::string> texts(std::string_view name) const {
    std::vector<std::string> out;
    if (const auto* v = get(name); v && v->is_array())
      for (const auto& e : v->get_array())
        if (e.is_string()) out.emplace_back(e.get_string());
    return out;
  }
  std::vector<JsonFields> objects(std::string_view name) const {
    std::vector<JsonFields> out;
    if (const auto* v = get(name); v && v->is_array())
      for (const auto& e : v->get_array())
        if (e.is_object()) out.emplace_back(e.get_object());
    return out;
  }
  std::map<std::string, std::string> text_map(std::string_view name) const {
    std::map<std::string, std::string> out;
    if (const auto* v = get(name); v && v->is_object())
      for (const auto& [key, e] : v->get_object())
        if (e.is_string()) out[std::string(key)] = std::string(e.get_string());
    return out;
  }
  std::map<std::string, double> number_map(std::string_view name) const {
    std::map<std::string, double> out;
    if (const auto* v = get(name); v && v->is_object())
      for (const auto& [key, e] : v->get_object()) out[std::string(key)] = v_number(&e);
    return out;
  }

 private:
  static int64_t v_integer(const boost::json::value* v) {
    if (!v) return 0;
    if (v->is_int64()) return v->get_int64();
    if (v->is_uint64()) return static_cast<int64_t>(v->get_uint64());
    return 0;
  }
  static double v_number(const boost::json::value* v) {
    if (!v) return 0;
    if (v->is_double()) return v->get_double();
    return static_cast<double>(v_integer(v));
  }
  boost::json::object o_;
};

// Seeds use all 64 bits, which a JSON number does not carry everywhere: they travel as text. Not a number: 0.
inline uint64_t parse_u64(std::string_view text) {
  uint64_t v = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  return ec == std::errc() && end == text.data() + text.size() ? v : 0;
}

}  // namespace hf::fleet
