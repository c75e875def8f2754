// JSON as security needs it: foreign documents in which no member may hide another, and one canonical form to sign and
// to hash. Canonical: members sorted by their bytes, no blanks, strings escaped as little as RFC 8259 allows (the
// control characters as \b \f \n \r \t or \u00xx), integers only where a verifier has to write the same bytes again.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hf::security {

// Depth at most 64, `limit` bytes; a member that comes twice in one object is refused by name. `what` opens the errors.
Result<boost::json::value> parse_json(std::string_view text, size_t limit, std::string_view what);

std::string canonical_json(const boost::json::value& value);

// A JSON string with its quotes. Bytes that are no UTF-8 become %XX: the result is always valid.
std::string json_string(std::string_view text);

}  // namespace hf::security
