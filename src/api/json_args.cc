#include "api/json_args.h"

#include <cmath>

#include "wire/json.h"

namespace hf::api {
namespace json = boost::json;
namespace {

std::string describe(const json::value& v) {
  switch (v.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
    default:
      return json::serialize(v);
  }
}

std::string number_text(double v) {
  std::string out;
  wire::write_json_number(out, v);
  return out;
}

}  // namespace

const json::value* JsonArgs::take(std::string_view name) {
  read_.emplace(name);
  const json::value* v = object_.if_contains(name);
  return v && !v->is_null() ? v : nullptr;
}

void JsonArgs::refuse(std::string message) {
  if (!error_) error_ = fail(Code::invalid, "ValidationException", where_ + message);
}

void JsonArgs::wrong(std::string_view name, const std::string& expected, const json::value& found) {
  refuse("." + std::string(name) + ": expected " + expected + ", found " + describe(found));
}

std::optional<std::string> JsonArgs::text(std::string_view name) {
  const json::value* v = take(name);
  if (!v) return {};
  if (v->is_string()) return std::string(v->get_string());
  wrong(name, "a string", *v);
  return {};
}

std::optional<double> JsonArgs::number(std::string_view name, double lo, double hi) {
  const json::value* v = take(name);
  if (!v) return {};
  if (v->is_number()) {
    const double d = v->to_number<double>();
    if (std::isfinite(d) && d >= lo && d <= hi) return d;
  }
  wrong(name, "a number from " + number_text(lo) + " to " + number_text(hi), *v);
  return {};
}

std::optional<int64_t> JsonArgs::integer(std::string_view name, int64_t lo, int64_t hi) {
  const json::value* v = take(name);
  if (!v) return {};
  json::error_code ec;
  const int64_t i = v->is_number() ? v->to_number<int64_t>(ec) : 0;
  if (v->is_number() && !ec && i >= lo && i <= hi) return i;
  wrong(name, "a whole number from " + std::to_string(lo) + " to " + std::to_string(hi), *v);
  return {};
}

std::optional<uint64_t> JsonArgs::seed(std::string_view name) {
  const json::value* v = take(name);
  if (!v) return {};
  json::error_code ec;
  const uint64_t i = v->is_number() ? v->to_number<uint64_t>(ec) : 0;
  if (v->is_number() && !ec) return i;
  wrong(name, "a whole number from 0 to 18446744073709551615", *v);
  return {};
}

std::optional<bool> JsonArgs::boolean(std::string_view name) {
  const json::value* v = take(name);
  if (!v) return {};
  if (v->is_bool()) return v->get_bool();
  wrong(name, "a boolean", *v);
  return {};
}

std::vector<std::string> JsonArgs::texts(std::string_view name, size_t most, size_t longest) {
  const json::value* v = take(name);
  if (!v) return {};
  std::vector<std::string> out;
  auto add = [&](const json::value& e) {
    if (!e.is_string() || e.get_string().empty() || e.get_string().size() > longest) return false;
    out.emplace_back(e.get_string());
    return true;
  };
  bool good = v->is_string() ? add(*v) : v->is_array() && v->get_array().size() <= most;
  if (good && v->is_array())
    for (const json::value& e : v->get_array()) good = good && add(e);
  if (!good)
    wrong(name, "at most " + std::to_string(most) + " strings of 1 to " + std::to_string(longest) + " bytes", *v);
  return out;
}

const json::object* JsonArgs::object(std::string_view name) {
  const json::value* v = take(name);
  if (v && v->is_object()) return &v->get_object();
  if (v) wrong(name, "an object", *v);
  return nullptr;
}

const json::array* JsonArgs::array(std::string_view name) {
  const json::value* v = take(name);
  if (v && v->is_array()) return &v->get_array();
  if (v) wrong(name, "an array", *v);
  return nullptr;
}

Status JsonArgs::finish() {
  if (error_) return *error_;
  for (const auto& [name, value] : object_)
    if (!read_.contains(std::string_view(name)))
      return fail(Code::invalid, "ValidationException",
                  where_ + "." + std::string(name).substr(0, 100) + ": is not a member that is offered here");
  return {};
}

}  // namespace hf::api
