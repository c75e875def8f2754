#include "api/strict.h"

#include <algorithm>

namespace hf::api {
namespace {

constexpr std::string_view kChecksum = "x-amz-checksum-";

template <size_t N>
bool is_one_of(const char* const (&list)[N], std::string_view name) {
  return std::any_of(std::begin(list), std::end(list), [&](const char* one) { return name == one; });
}

// Begins like a checksum's name and is none.
bool is_about_checksums(std::string_view name) {
  static constexpr const char* kAbout[] = {"x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-algorithm"};
  return is_one_of(kAbout, name);
}
bool is_checksum(std::string_view name) { return name.starts_with(kChecksum) && !is_about_checksums(name); }

// Of S3, and of no operation: signing, the SDK's own. Checksums are the body's, so whoever reads the body reads them.
bool is_common_header(const Match& match, std::string_view name) {
  static constexpr const char* kCommon[] = {"x-amz-date",
                                            "x-amz-content-sha256",
                                            "x-amz-security-token",
                                            "x-amz-user-agent",
                                            "x-amz-decoded-content-length",
                                            "x-amz-trailer",
                                            "x-amz-sdk-checksum-algorithm"};
  if (is_one_of(kCommon, name) || is_checksum(name)) return true;
  return match.operation->streaming_input && is_about_checksums(name);  // looked at with the checksums themselves
}

bool is_signing(std::string_view name) {
  static constexpr const char* kSigning[] = {"X-Amz-Algorithm",      "X-Amz-Credential",    "X-Amz-Date",
                                             "X-Amz-Expires",        "X-Amz-SignedHeaders", "X-Amz-Signature",
                                             "X-Amz-Security-Token", "X-Amz-Content-Sha256"};
  return is_one_of(kSigning, name);
}

bool is_hoisted(const std::string& name) { return !is_signing(name) && lower(name).starts_with("x-amz-"); }

}  // namespace

Status check_parameters(const Match& match, const wire::Pairs& query) {
  for (const auto& [name, value] : query) {
    if (is_signing(name)) continue;
    if (std::find(match.parameters.begin(), match.parameters.end(), name) != match.parameters.end()) continue;
    if (iequal(std::string_view(name).substr(0, 2), "x-")) continue;  // S3's x-amz-*: check_s3_headers
    return fail(
        Code::invalid, wire::kRefused,
        name.substr(0, 100) + ": expected no such query parameter for " + match.operation->name + ", found one");
  }
  return {};
}

http::Headers s3_headers(const http::RequestHead& head, const wire::Pairs& query) {
  http::Headers out = head.headers;
  for (const auto& [name, value] : query)
    if (is_hoisted(name) && !is_checksum(lower(name))) out.add(name, value);
  return out;
}

Status check_s3_headers(const Match& match, const http::Headers& headers) {
  for (const auto& [name, value] : headers.all()) {
    if (!name.starts_with("x-amz-")) continue;
    for (char c : value)  // from the query anything can come
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
        return fail(Code::invalid, "InvalidArgument",
                    name.substr(0, 100) + ": expected a header's value, found a control character in it");
    if (is_common_header(match, name)) continue;
    bool member = false;
    for (const std::string& h : match.headers)
      member |= h == name || (h.back() == '*' && name.starts_with(std::string_view(h).substr(0, h.size() - 1)));
    if (!member)
      return fail(Code::invalid, wire::kRefused,
                  name.substr(0, 100) + ": expected no such header for " + match.operation->name + ", found one");
  }
  return {};
}

}  // namespace hf::api
