// Verifying. Everything that a request claims is parsed strictly before a key is looked up; what a signer may do in
// more than one way (blanks after commas, host or :authority, a value or none) is accepted in each of these ways.
#include "security/sigv4.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "security/sigv4_canonical.h"

namespace hf::security {
namespace {

using namespace sigv4;

constexpr size_t kMaxSignedHeaders = 128;
constexpr Micros kSecond = 1'000'000;

Error incomplete(std::string message) { return fail(Code::invalid, "IncompleteSignature", std::move(message)); }
Error bad_query(std::string message) {
  return fail(Code::invalid, "AuthorizationQueryParametersError", std::move(message));
}
Error mismatch(std::string message) { return fail(Code::denied, "SignatureDoesNotMatch", std::move(message)); }

bool is_lower_hex(std::string_view text, size_t length) {
  return text.size() == length &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Visible ASCII: what a scope's parts and a key's id may be made of.
bool is_token(std::string_view text, size_t limit) {
  return !text.empty() && text.size() <= limit &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ','; });
}

// KEY/yyyymmdd/region/service/aws4_request
Status parse_credential(std::string_view text, Claim& claim) {
  auto parts = split(text, '/');
  if (parts.size() != 5)
    return incomplete("Credential: expected KEY/DATE/REGION/SERVICE/aws4_request, found " +
                      std::to_string(parts.size()) + " part(s)");
  if (!is_token(parts[0], 128)) return incomplete("Credential: expected an access key id before the first '/'");
  if (parts[1].size() != 8 || !parse_amz_date(std::string(parts[1]) + "T000000Z").ok())
    return incomplete("Credential: expected a date (yyyymmdd) as the second part");
  if (!is_token(parts[2], 64)) return incomplete("Credential: expected a region as the third part");
  if (!is_token(parts[3], 64)) return incomplete("Credential: expected a service as the fourth part");
  if (parts[4] != "aws4_request") return incomplete("Credential: expected it to end with 'aws4_request'");
  claim.access_key_id = parts[0];
  claim.date = parts[1];
  claim.region = parts[2];
  claim.service = parts[3];
  claim.scope = text.substr(text.find('/') + 1);
  return {};
}

Status parse_signed_headers(std::string_view text, Claim& claim) {
  for (std::string_view name : split(text, ';')) {
    bool good = !name.empty() && name.size() <= 256 && std::all_of(name.begin(), name.end(), [](char c) {
      return c > ' ' && c < 0x7f && !(c >= 'A' && c <= 'Z') && c != ',';
    });
    if (!good) return incomplete("SignedHeaders: expected header names in lower case, separated by ';'");
    if (!claim.signed_headers.empty() && claim.signed_headers.back() >= name)
      return incomplete("SignedHeaders: expected the names sorted, each once");
    if (claim.signed_headers.size() == kMaxSignedHeaders)
      return incomplete("SignedHeaders: expected at most " + std::to_string(kMaxSignedHeaders) + " names");
    claim.signed_headers.emplace_back(name);
  }
  return {};
}

Status parse_signature(std::string_view text, Claim& claim) {
  if (!is_lower_hex(text, 64)) return incomplete("Signature: expected 64 hex digits in lower case");
  claim.signature = text;
  return {};
}

// `text` is what x-amz-content-sha256 holds.
Status parse_mode(std::string_view text, Claim& claim) {
  static const std::map<std::string_view, PayloadMode> kModes = {
      {kUnsigned, PayloadMode::unsigned_payload},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", PayloadMode::streaming_unsigned_trailer},
      {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", PayloadMode::streaming_signed},
      {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", PayloadMode::streaming_signed_trailer},
  };
  claim.content_sha256 = text;
  if (auto mode = kModes.find(text); mode != kModes.end()) {
    claim.mode = mode->second;
    return {};
  }
  if (!is_lower_hex(text, 64))
    return fail(Code::invalid, "InvalidRequest",
                "x-amz-content-sha256: expected 64 hex digits in lower case, UNSIGNED-PAYLOAD, or a STREAMING- form "
                "that is known here");
  claim.mode = PayloadMode::body_hash;
  return {};
}

Status check_dates(const Claim& claim) {
  if (!parse_amz_date(claim.amz_date).ok()) return incomplete("X-Amz-Date: expected yyyymmddThhmmssZ");
  if (claim.amz_date.substr(0, 8) != claim.date)
    return incomplete("X-Amz-Date: expected the day that the credential's scope names");
  return {};
}

// The one value of a header. nothing: absent. invalid: sent more than once.
Result<std::optional<std::string>> single_header(const HeaderList& headers, std::string_view name) {
  std::optional<std::string> found;
  for (const auto& [n, value] : headers) {
    if (n != name) continue;
    if (found) return incomplete(std::string(name) + ": expected once, found more than once");
    found = std::string(trim(value));
  }
  return found;
}

Result<Claim> parse_authorization(std::string_view text, const SignedParts& parts) {
  Claim claim;
  std::map<std::string_view, std::string_view> given;
  for (std::string_view part : split(text.substr(kAlgorithm.size()), ',')) {
    part = trim(part);
    size_t equals = part.find('=');
    if (equals == part.npos) return incomplete("Authorization: expected Credential=, SignedHeaders= and Signature=");
    std::string_view name = part.substr(0, equals);
    if (name != "Credential" && name != "SignedHeaders" && name != "Signature")
      return incomplete("Authorization: expected Credential, SignedHeaders and Signature, found another name");
    if (!given.emplace(name, part.substr(equals + 1)).second)
      return incomplete("Authorization: " + std::string(name) + " is there twice");
  }
  for (const char* name : {"Credential", "SignedHeaders", "Signature"})
    if (!given.count(name)) return incomplete(std::string("Authorization: ") + name + " is missing");
  if (auto s = parse_credential(given["Credential"], claim); !s.ok()) return s.error();
  if (auto s = parse_signed_headers(given["SignedHeaders"], claim); !s.ok()) return s.error();
  if (auto s = parse_signature(given["Signature"], claim); !s.ok()) return s.error();
  auto date = TRY(single_header(*parts.headers, "x-amz-date"));
  if (!date) return incomplete("the request has no X-Amz-Date header");
  claim.amz_date = *date;
  if (auto s = check_dates(claim); !s.ok()) return s.error();
  claim.session_token = TRY(single_header(*parts.headers, "x-amz-security-token")).value_or("");
  if (auto hash = TRY(single_header(*parts.headers, "x-amz-content-sha256")))
    if (auto s = parse_mode(*hash, claim); !s.ok()) return s.error();
  return claim;
}

using Parameters = std::map<std::string, std::string>;  // the X-Amz-* of presigned requests, decoded

constexpr const char* kPresignNames[] = {"X-Amz-Algorithm",      "X-Amz-Credential",    "X-Amz-Date",
                                         "X-Amz-Expires",        "X-Amz-SignedHeaders", "X-Amz-Signature",
                                         "X-Amz-Security-Token", "X-Amz-Content-Sha256"};

Result<Parameters> presign_parameters(std::string_view query) {
  Parameters found;
  for (std::string_view part : split(query, '&')) {
    size_t equals = std::min(part.find('='), part.size());
    auto name = percent_decode(part.substr(0, equals));
    if (!name.ok()) continue;  // canonical_query refuses it, if a signature has to be computed at all
    if (std::none_of(std::begin(kPresignNames), std::end(kPresignNames), [&](const char* n) { return *name == n; }))
      continue;
    auto value = percent_decode(equals == part.size() ? std::string_view() : part.substr(equals + 1));
    if (!value.ok()) return bad_query(*name + ": " + value.error().message);
    if (!found.emplace(*name, *value).second) return bad_query(*name + ": expected once, found more than once");
  }
  return found;
}

bool claims_presigned(const Parameters& p) {
  return p.count("X-Amz-Algorithm") || p.count("X-Amz-Credential") || p.count("X-Amz-Signature");
}

Result<Claim> parse_presigned(const Parameters& p, const SignedParts& parts) {
  Claim claim;
  claim.presigned = true;
  for (const char* name :
       {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"})
    if (!p.count(name)) return bad_query(std::string(name) + " is missing");
  if (p.at("X-Amz-Algorithm") != kAlgorithm) return bad_query("X-Amz-Algorithm: expected AWS4-HMAC-SHA256");
  auto as_query = [](Status s) { return s.ok() ? s : Status(bad_query(s.error().message)); };
  if (auto s = as_query(parse_credential(p.at("X-Amz-Credential"), claim)); !s.ok()) return s.error();
  if (auto s = as_query(parse_signed_headers(p.at("X-Amz-SignedHeaders"), claim)); !s.ok()) return s.error();
  if (auto s = as_query(parse_signature(p.at("X-Amz-Signature"), claim)); !s.ok()) return s.error();
  claim.amz_date = p.at("X-Amz-Date");
  if (auto s = as_query(check_dates(claim)); !s.ok()) return s.error();
  auto expires = parse_int(p.at("X-Amz-Expires"));
  if (!expires.ok() || *expires < 1 || *expires > kMaxExpires)
    return bad_query("X-Amz-Expires: expected 1 to " + std::to_string(kMaxExpires) + " seconds");
  claim.expires_s = *expires;
  auto token = p.find("X-Amz-Security-Token");
  if (token != p.end()) claim.session_token = token->second;
  auto hash = TRY(single_header(*parts.headers, "x-amz-content-sha256"));
  auto in_query = p.find("X-Amz-Content-Sha256");
  if (in_query != p.end()) {
    if (hash && *hash != in_query->second) return bad_query("X-Amz-Content-Sha256: the header and the query disagree");
    hash = in_query->second;
  }
  if (hash) {
    if (auto s = as_query(parse_mode(*hash, claim)); !s.ok()) return s.error();
  } else if (claim.service == "s3") {
    claim.mode = PayloadMode::unsigned_payload;
  }
  return claim;
}

// What has to be under the signature, whatever the signer says.
Status check_signed_set(const SignedParts& parts, const Claim& claim) {
  const auto& set = claim.signed_headers;
  auto has = [&](std::string_view name) { return std::binary_search(set.begin(), set.end(), name); };
  if (!has("host") && !has(":authority"))
    return fail(Code::denied, "AccessDenied", "expected host (or :authority) among the signed headers");
  for (const auto& [name, value] : *parts.headers) {
    bool must = name.rfind("x-amz-", 0) == 0 || name == "content-md5";
    if (must && !has(name))
      return fail(Code::denied, "AccessDenied", "the header '" + name + "' was sent but is not signed");
  }
  return {};
}

Status check_time(const Claim& claim, const VerifyOptions& options) {
  Micros date = TRY(parse_amz_date(claim.amz_date));
  Micros skew = options.skew_s * kSecond;
  if (claim.presigned) {
    if (options.now + skew < date) return fail(Code::denied, "AccessDenied", "the request is not valid yet");
    if (options.now > date + claim.expires_s * kSecond)
      return fail(Code::denied, "AccessDenied", "the request has expired");
    return {};
  }
  if (date - options.now > skew || options.now - date > skew)
    return fail(Code::denied, "RequestTimeTooSkewed",
                "the request's time " + claim.amz_date + " differs from the site's " + amz_date(options.now) +
                    " by more than " + std::to_string(options.skew_s) + " seconds");
  return {};
}

Result<std::string> payload_hash(const Claim& claim, std::string_view body_sha256_hex) {
  if (claim.mode == PayloadMode::body_hash_absent) {
    if (!is_lower_hex(body_sha256_hex, 64))
      return fail(Code::internal, "the body's hash is needed: the request names none");
    return std::string(body_sha256_hex);
  }
  if (claim.mode == PayloadMode::body_hash && !body_sha256_hex.empty() &&
      !constant_time_equal(claim.content_sha256, body_sha256_hex))
    return fail(Code::invalid, "XAmzContentSHA256Mismatch",
                "the body's hash is not the one that x-amz-content-sha256 names");
  if (claim.content_sha256.empty()) return std::string(kUnsigned);  // presigned, S3
  return claim.content_sha256;
}

}  // namespace

Result<Claim> parse_claim(const SignedParts& parts) {
  auto authorization = TRY(single_header(*parts.headers, "authorization"));
  Parameters p = TRY(presign_parameters(parts.query));
  bool in_query = claims_presigned(p);
  if (in_query && authorization)
    return incomplete("expected credentials in one place, found them in the Authorization header and in the query");
  if (in_query) return parse_presigned(p, parts);
  if (!authorization || authorization->rfind("AWS4-", 0) != 0)
    return fail(Code::not_found, "the request carries no Signature Version 4");
  std::string prefix = std::string(kAlgorithm) + " ";
  if (authorization->rfind(prefix, 0) != 0) return incomplete("Authorization: expected the algorithm AWS4-HMAC-SHA256");
  return parse_authorization(*authorization, parts);
}

Status verify(const SignedParts& parts, const Claim& claim, const crypto::Secret& secret,
              std::string_view body_sha256_hex, const VerifyOptions& options) {
  if (auto s = check_signed_set(parts, claim); !s.ok()) return s;
  std::string hash = TRY(payload_hash(claim, body_sha256_hex));
  std::string canonical = TRY(canonical_request(parts, claim.signed_headers, claim.presigned, claim.service == "s3",
                                                options.normalize_path, hash));
  crypto::Secret key = signing_key(secret, claim.date, claim.region, claim.service);
  std::string expected = hex(crypto::hmac_sha256(key.reveal(), string_to_sign(claim.amz_date, claim.scope, canonical)));
  if (!constant_time_equal(expected, claim.signature))
    return mismatch("the signature that was sent is not the one that the request and the key give");
  return check_time(claim, options);  // last: who cannot sign learns nothing of our clock's limits
}

}  // namespace hf::security
