#include <algorithm>

#include "base/bytes.h"
#include "security/sigv4_canonical.h"

namespace hf::security {
namespace {

using namespace sigv4;

std::string signature_of(const crypto::Secret& secret, const std::string& amz_date, const std::string& region,
                         const std::string& service, const std::string& scope, std::string_view canonical) {
  crypto::Secret key = signing_key(secret, amz_date.substr(0, 8), region, service);
  return hex(crypto::hmac_sha256(key.reveal(), string_to_sign(amz_date, scope, canonical)));
}

void set_header(HeaderList& headers, std::string_view name, std::string value) {
  std::erase_if(headers, [&](const auto& h) { return h.first == name; });
  headers.emplace_back(name, std::move(value));
}

// What a proxy or the HTTP library may change on the way is left out.
bool stays_unsigned(std::string_view name) {
  static constexpr std::string_view kNames[] = {"authorization", "connection",        "expect",
                                                "user-agent",    "transfer-encoding", "x-amzn-trace-id"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace

void sign(const Credentials& credentials, const std::string& region, const std::string& service, Micros now,
          const std::string& method, const std::string& path, const std::string& query, HeaderList& headers,
          std::string_view body) {
  std::string date = amz_date(now), scope = date.substr(0, 8) + "/" + region + "/" + service + "/aws4_request";
  set_header(headers, "x-amz-date", date);
  auto sent =
      std::find_if(headers.begin(), headers.end(), [](const auto& h) { return h.first == "x-amz-content-sha256"; });
  std::string hash = sent != headers.end() ? sent->second : crypto::sha256_hex(body);
  set_header(headers, "x-amz-content-sha256", hash);
  if (!credentials.session_token.empty()) set_header(headers, "x-amz-security-token", credentials.session_token);
  SignedParts parts{method, path, query, {}, &headers};
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) {
    if (name == "host" || name == ":authority") parts.authority = value;
    if (!stays_unsigned(name)) names.push_back(name);
  }
  check(!parts.authority.empty(), "sign() needs a host header");
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  auto canonical = canonical_request(parts, names, false, service == "s3", false, hash);
  check(canonical.ok(), "sign() was given a query that is not percent-encoded");
  set_header(headers, "authorization",
             std::string(kAlgorithm) + " Credential=" + credentials.access_key_id + "/" + scope +
                 ", SignedHeaders=" + join(names, ';') +
                 ", Signature=" + signature_of(credentials.secret, date, region, service, scope, *canonical));
}

std::string presign(const Credentials& credentials, const std::string& region, const std::string& service, Micros now,
                    int64_t expires_s, const std::string& method, const std::string& authority, const std::string& path,
                    const std::string& query) {
  check(expires_s >= 1 && expires_s <= kMaxExpires, "presign(): 1 second to 7 days");
  std::string date = amz_date(now), scope = date.substr(0, 8) + "/" + region + "/" + service + "/aws4_request";
  std::string whole = query;
  auto add = [&](std::string_view name, std::string_view value) {
    if (!whole.empty()) whole += '&';
    whole.append(name).append("=").append(percent_encode(value));
  };
  add("X-Amz-Algorithm", kAlgorithm);
  add("X-Amz-Credential", credentials.access_key_id + "/" + scope);
  add("X-Amz-Date", date);
  add("X-Amz-Expires", std::to_string(expires_s));
  if (!credentials.session_token.empty()) add("X-Amz-Security-Token", credentials.session_token);
  add("X-Amz-SignedHeaders", "host");
  HeaderList headers;
  SignedParts parts{method, path, whole, authority, &headers};
  auto canonical =
      canonical_request(parts, {"host"}, true, service == "s3", false, service == "s3" ? kUnsigned : kEmptySha256);
  check(canonical.ok(), "presign() was given a query that is not percent-encoded");
  add("X-Amz-Signature", signature_of(credentials.secret, date, region, service, scope, *canonical));
  return whole;
}

}  // namespace hf::security
