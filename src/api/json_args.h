// Members of a JSON object that is no AWS shape (InvokeModel's and InvokeEndpoint's bodies, additional fields): read by
// name with their types and ranges, and whatever was not read is refused by name. The first error is kept; look at it
// once, with finish(), before anything is done. Include in .cc files only (boost/json.hpp).
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "rpc/messages.h"

namespace hf::api {

class JsonArgs {
 public:
  // `where` opens the messages: "body", "additionalModelRequestFields".
  JsonArgs(const boost::json::object& object, std::string where) : object_(object), where_(std::move(where)) {}

  bool has(std::string_view name) const { return object_.contains(name); }
  std::optional<std::string> text(std::string_view name);
  std::optional<double> number(std::string_view name, double lo, double hi);
  std::optional<int64_t> integer(std::string_view name, int64_t lo, int64_t hi);
  std::optional<uint64_t> seed(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  std::vector<std::string> texts(std::string_view name, size_t most, size_t longest);  // a string is a list of one
  const boost::json::object* object(std::string_view name);
  const boost::json::array* array(std::string_view name);
  void refuse(std::string message);  // where_ + message
  Status finish();

 private:
  const boost::json::value* take(std::string_view name);  // null is absent
  void wrong(std::string_view name, const std::string& expected, const boost::json::value& found);

  const boost::json::object& object_;
  std::string where_;
  std::set<std::string, std::less<>> read_;
  std::optional<Error> error_;
};

// Limits of the engine's sampler, for every protocol alike.
inline constexpr int64_t kMaxTokens = 1 << 20;
inline constexpr size_t kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 256;

}  // namespace hf::api
