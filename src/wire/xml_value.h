// Between the XML codec, aws-query's answers and the rest binding.
#pragma once

#include <string>
#include <string_view>

#include "wire/scalar.h"

namespace hf::wire {

// The members of `in` inside of an element that is open already; attributes are not written.
void encode_xml_members(const Shape& shape, const void* in, std::string& out);
// <name xmlns=... attributes>members</name>
void encode_xml_element(const Shape& shape, std::string_view name, std::string_view xml_namespace, const void* in,
                        std::string& out);
// Body members of the document's element, for a rest request without a payload member.
Status decode_xml_members(const Shape& shape, std::string_view body, void* out, Given& given);

}  // namespace hf::wire
