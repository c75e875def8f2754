#include "format/json.h"

#include <cmath>

namespace hf::format {

Result<boost::json::value> parse_json(std::string_view text, size_t limit, const std::string& what) {
  if (text.size() > limit)
    return fail(Code::too_large,
                what + ": " + std::to_string(text.size()) + " bytes; at most " + std::to_string(limit));
  try {
    boost::json::parse_options options;
    options.max_depth = kJsonDepth;
    boost::json::error_code error;
    boost::json::stream_parser parser({}, options);
    const size_t used = parser.write_some(text.data(), text.size(), error);
    if (!error) parser.finish(error);
    if (!error && used < text.size()) error = boost::json::error::extra_data;
    if (error)
      return fail(Code::corrupt, what + ": not JSON: " + error.message() + " near byte " + std::to_string(used));
    return parser.release();
  } catch (const std::bad_alloc&) {
    return fail(Code::exhausted, what + ": no memory to parse it");
  }
}

Result<JsonObject> JsonObject::of(const boost::json::value& value, std::string what) {
  if (!value.is_object()) return fail(Code::corrupt, what + ": expected a JSON object");
  JsonObject out;
  out.object_ = &value.get_object();
  out.what_ = std::move(what);
  return out;
}

const boost::json::value* JsonObject::get(std::string_view name) const {
  const boost::json::value* value = object_->if_contains(name);
  return value && !value->is_null() ? value : nullptr;
}

bool JsonObject::has(std::string_view name) const { return get(name) != nullptr; }

Error JsonObject::wrong(std::string_view name, const std::string& expected) const {
  return fail(Code::corrupt,
              what_ + ": " + std::string(name) + ": expected " + expected + (has(name) ? "" : ", found nothing"));
}

Result<int64_t> JsonObject::integer(std::string_view name, int64_t low, int64_t high,
                                    std::optional<int64_t> absent) const {
  const std::string expected = "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
  const auto* value = get(name);
  if (!value && absent) return *absent;
  if (!value) return wrong(name, expected);
  if (value->is_uint64()) return wrong(name, expected);  // over int64's range
  if (!value->is_int64() || value->get_int64() < low || value->get_int64() > high) return wrong(name, expected);
  return value->get_int64();
}

Result<double> JsonObject::number(std::string_view name, double low, double high, std::optional<double> absent) const {
  const auto* value = get(name);
  if (!value && absent) return *absent;
  double found = NAN;
  if (value && value->is_double()) found = value->get_double();
  if (value && value->is_int64()) found = static_cast<double>(value->get_int64());
  if (!(found >= low && found <= high))
    return wrong(name, "a number from " + std::to_string(low) + " to " + std::to_string(high));
  return found;
}

Result<bool> JsonObject::boolean(std::string_view name, std::optional<bool> absent) const {
  const auto* value = get(name);
  if (!value && absent) return *absent;
  if (!value || !value->is_bool()) return wrong(name, "true or false");
  return value->get_bool();
}

Result<std::string> JsonObject::string(std::string_view name, std::optional<std::string> absent) const {
  const auto* value = get(name);
  if (!value && absent) return std::move(*absent);
  if (!value || !value->is_string()) return wrong(name, "a string");
  return std::string(value->get_string());
}

Result<JsonObject> JsonObject::object(std::string_view name) const {
  const auto* value = get(name);
  if (!value) return wrong(name, "an object");
  return of(*value, what_ + ": " + std::string(name));
}

Result<const boost::json::array*> JsonObject::array(std::string_view name) const {
  const auto* value = get(name);
  if (!value || !value->is_array()) return wrong(name, "an array");
  return &value->get_array();
}

}  // namespace hf::format
