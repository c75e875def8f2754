// JSON of model folders, for the .cc files of this folder: foreign, so with limits and without exceptions.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hf::format {

inline constexpr size_t kJsonDepth = 64;

// corrupt: `what` and the reason. At most `limit` bytes.
Result<boost::json::value> parse_json(std::string_view text, size_t limit, const std::string& what);

// Members of an object; the error (corrupt) names `what` and the member. Absent or null: the default, where one is
// given.
class JsonObject {
 public:
  // `value` must outlive this.
  static Result<JsonObject> of(const boost::json::value& value, std::string what);
  bool has(std::string_view name) const;                       // and is not null
  const boost::json::value* get(std::string_view name) const;  // nullptr: absent or null
  Result<int64_t> integer(std::string_view name, int64_t low, int64_t high, std::optional<int64_t> absent = {}) const;
  Result<double> number(std::string_view name, double low, double high, std::optional<double> absent = {}) const;
  Result<bool> boolean(std::string_view name, std::optional<bool> absent = {}) const;
  Result<std::string> string(std::string_view name, std::optional<std::string> absent = {}) const;
  Result<JsonObject> object(std::string_view name) const;
  Result<const boost::json::array*> array(std::string_view name) const;
  const boost::json::object& raw() const { return *object_; }
  Error wrong(std::string_view name, const std::string& expected) const;

 private:
  const boost::json::object* object_ = nullptr;
  std::string what_;
};

}  // namespace hf::format
