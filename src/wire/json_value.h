// Between the JSON codec and the rest binding.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "wire/scalar.h"

namespace hf::wire {

Result<boost::json::object> parse_json_object(std::string_view body);  // blank: {}
Status decode_json_object(const Shape& shape, const boost::json::object& object, void* out, const Spot& spot);
// Body members only; what is required is checked by the caller, who may have more members from elsewhere.
Status decode_json_members(const Shape& shape, const boost::json::object& object, void* out, Given& given,
                           const Spot& spot);

}  // namespace hf::wire
