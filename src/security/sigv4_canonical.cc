#include "security/sigv4_canonical.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"

namespace hf::security::sigv4 {
namespace {

constexpr size_t kMaxParameters = 1000;

// RFC 3986 5.2.4, and runs of '/' become one: what aws-c-auth and botocore call normalising.
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  for (std::string_view segment : split(path, '/')) {
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  std::string out;
  for (std::string_view segment : kept) out.append("/").append(segment);
  if (out.empty() || path.back() == '/') out += '/';
  return out;
}

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void append_collapsed(std::string& out, std::string_view value) {
  bool pending = false, any = false;
  for (char c : value) {
    if (blank(c)) {
      pending = any;
    } else {
      if (pending) out += ' ';
      out += c;
      pending = false;
      any = true;
    }
  }
}

}  // namespace

std::string join(const std::vector<std::string>& parts, char separator) {
  std::string out;
  for (const auto& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string canonical_path(std::string_view path, bool s3, bool normalize) {
  if (path.empty()) return "/";
  if (s3) return std::string(path);
  return normalize ? percent_encode(remove_dot_segments(path), true) : percent_encode(path, true);
}

Result<std::string> canonical_query(std::string_view query, std::string_view leave_out) {
  if (query.empty()) return std::string();
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::string_view part : split(query, '&')) {
    if (part.empty()) continue;
    size_t equals = std::min(part.find('='), part.size());
    std::string name = TRY(percent_decode(part.substr(0, equals)));
    if (!leave_out.empty() && name == leave_out) continue;
    std::string value = equals == part.size() ? std::string() : TRY(percent_decode(part.substr(equals + 1)));
    if (pairs.size() == kMaxParameters)
      return fail(Code::invalid, "expected at most " + std::to_string(kMaxParameters) + " query parameters");
    pairs.emplace_back(percent_encode(name), percent_encode(value));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::optional<std::string> canonical_header(const SignedParts& parts, std::string_view name) {
  std::string out;
  if (name == "host" || name == ":authority") {
    if (parts.authority.empty()) return std::nullopt;
    append_collapsed(out, parts.authority);
    return out;
  }
  bool found = false;
  for (const auto& [n, value] : *parts.headers) {
    if (n != name) continue;
    if (found) out += ',';
    append_collapsed(out, value);
    found = true;
  }
  if (!found) return std::nullopt;
  return out;
}

Result<std::string> canonical_request(const SignedParts& parts, const std::vector<std::string>& signed_headers,
                                      bool presigned, bool s3, bool normalize, std::string_view payload_hash) {
  std::string out = parts.method + "\n" + canonical_path(parts.path, s3, normalize) + "\n";
  out += TRY(canonical_query(parts.query, presigned ? "X-Amz-Signature" : ""));
  out += '\n';
  for (const auto& name : signed_headers) {
    auto value = canonical_header(parts, name);
    if (!value)
      return fail(Code::denied, "SignatureDoesNotMatch", "the signed header '" + name + "' is not in the request");
    out.append(name).append(":").append(*value).append("\n");
  }
  out += '\n';
  out.append(join(signed_headers, ';')).append("\n").append(payload_hash);
  return out;
}

std::string string_to_sign(std::string_view amz_date, std::string_view scope, std::string_view canonical) {
  std::string out(kAlgorithm);
  out.append("\n").append(amz_date).append("\n").append(scope).append("\n").append(crypto::sha256_hex(canonical));
  return out;
}

crypto::Secret signing_key(const crypto::Secret& secret, std::string_view date, std::string_view region,
                           std::string_view service) {
  crypto::Secret key(std::string("AWS4").append(secret.reveal()));
  for (std::string_view part : {date, region, service, std::string_view("aws4_request")})
    key = crypto::Secret(crypto::hmac_sha256(key.reveal(), part));
  return key;
}

}  // namespace hf::security::sigv4
