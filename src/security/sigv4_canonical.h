// The canonical request of Signature Version 4 and what is computed from it; inside of security only (and its tests).
// Source: AWS General Reference, "Create a signed AWS API request"; the traps are listed in docs/sigv4.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "security/sigv4.h"

namespace hf::security::sigv4 {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kEmptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
inline constexpr int64_t kMaxExpires = 604'800;  // seconds: seven days

// s3: the path as it was sent. Others: each byte of what was sent is encoded once more ('%' becomes %25); normalize
// removes "." and ".." segments and empty ones first (RFC 3986 5.2.4), as some signers do.
std::string canonical_path(std::string_view path, bool s3, bool normalize);

// Split at '&' and the first '=', decoded, encoded again, sorted by name and value. `leave_out` is dropped
// (X-Amz-Signature). invalid: broken percent-encoding, or over 1,000 parameters.
Result<std::string> canonical_query(std::string_view query, std::string_view leave_out);

// Values of one name: trimmed, runs of blanks become one, joined with ','. "host" and ":authority" are `authority`.
// nothing: the request has no such header.
std::optional<std::string> canonical_header(const SignedParts& parts, std::string_view name);

// denied SignatureDoesNotMatch if a signed header is not in the request.
Result<std::string> canonical_request(const SignedParts& parts, const std::vector<std::string>& signed_headers,
                                      bool presigned, bool s3, bool normalize, std::string_view payload_hash);

std::string string_to_sign(std::string_view amz_date, std::string_view scope, std::string_view canonical_request);

// HMAC chain over date, region, service, "aws4_request".
crypto::Secret signing_key(const crypto::Secret& secret, std::string_view date, std::string_view region,
                           std::string_view service);

std::string join(const std::vector<std::string>& parts, char separator);

}  // namespace hf::security::sigv4
