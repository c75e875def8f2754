// Reading what a site answered: members by path, with a value of their own where something is absent or of another
// type.
#pragma once

#include <boost/json/value.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

namespace hf::app {

inline const boost::json::value* at_path(const boost::json::value& value,
                                         std::initializer_list<std::string_view> path) {
  const boost::json::value* at = &value;
  for (auto name : path) {
    const auto* object = at ? at->if_object() : nullptr;
    at = object ? object->if_contains({name.data(), name.size()}) : nullptr;
  }
  return at;
}
inline std::string text_at(const boost::json::value& value, std::initializer_list<std::string_view> path) {
  const auto* found = at_path(value, path);
  return found && found->is_string() ? std::string(std::string_view(found->get_string())) : std::string();
}
inline double number_at(const boost::json::value& value, std::initializer_list<std::string_view> path,
                        double none = 0) {
  const auto* found = at_path(value, path);
  return found && found->is_number() ? found->to_number<double>() : none;
}
inline int64_t integer_at(const boost::json::value& value, std::initializer_list<std::string_view> path) {
  return static_cast<int64_t>(number_at(value, path));
}
inline bool true_at(const boost::json::value& value, std::initializer_list<std::string_view> path) {
  const auto* found = at_path(value, path);
  return found && found->is_bool() && found->get_bool();
}

}  // namespace hf::app
