#include "api/authenticate.h"

#include "security/keys.h"
#include "security/sessions.h"

namespace hf::api {
namespace {

Error denied(const char* name, std::string message) { return fail(Code::denied, name, std::move(message)); }

Result<Caller> by_bearer(Site& site, const std::shared_ptr<http::Exchange>& exchange, const Match& match,
                         const Credentials& credentials) {
  if (!match.service || !match.service->bearer)
    return denied(kAccessDenied, "Authorization: expected AWS Signature Version 4 here, found a Bearer key");
  std::optional<security::Identity> identity = TRY(site.keys.by_bearer(credentials.token));
  if (!identity) return denied(kUnknownKey, "Authorization: expected a known API key, found another");
  return Caller{std::move(*identity), Payload::plain(exchange)};
}

// Nothing: the key is not known.
Result<std::optional<security::Keys::Found>> holder_of(Site& site, const security::Claim& claim) {
  const bool temporary = claim.access_key_id.starts_with("ASIA");
  if (!temporary && !claim.session_token.empty())
    return denied("InvalidToken", "x-amz-security-token: expected none, as this key is no temporary one");
  if (!temporary || claim.session_token.empty()) return site.keys.by_access_key(claim.access_key_id);
  return std::optional(TRY(site.sessions.open(claim.access_key_id, claim.session_token)));
}

Result<Caller> by_sigv4(Site& site, const std::shared_ptr<http::Exchange>& exchange, const Match& match,
                        uint64_t limit) {
  const http::RequestHead& head = exchange->head();
  security::SignedParts parts{head.method, std::string(head.path()), std::string(head.query()), head.authority,
                              &head.headers.all()};
  auto parsed = security::parse_claim(parts);
  if (!parsed.ok()) {
    Error error = parsed.error();
    if (error.name == "InvalidRequest") error.name = "IncompleteSignature";  // a payload mode that nobody knows
    return error;
  }
  const security::Claim claim = std::move(parsed).value();
  if (match.service && claim.service != match.service->signing_name)
    return denied(kBadSignature, "the credential's scope: expected the service '" + match.service->signing_name +
                                     "', found '" + claim.service + "'");
  auto found = TRY(holder_of(site, claim));
  if (!found) return denied(kUnknownKey, "the access key id is not known here");
  const security::VerifyOptions options{.now = site.clock.now()};
  auto verified = [&](std::string_view body_hash) {
    return security::verify(parts, claim, found->secret, body_hash, options);
  };
  std::shared_ptr<Payload> payload;
  switch (claim.mode) {
    case security::PayloadMode::body_hash_absent: {
      std::string body = TRY(Payload::plain(exchange)->read_all(limit));
      TRY(verified(crypto::sha256_hex(body)));
      payload = Payload::memory(std::move(body));
      break;
    }
    case security::PayloadMode::body_hash:
      TRY(verified({}));
      payload = Payload::hashed(exchange, claim.content_sha256);
      break;
    case security::PayloadMode::unsigned_payload:
      TRY(verified({}));
      if (claim.service != "s3")
        return denied(kBadSignature, "x-amz-content-sha256: expected the body's hash, found UNSIGNED-PAYLOAD");
      payload = Payload::plain(exchange);
      break;
    case security::PayloadMode::streaming_unsigned_trailer:
    case security::PayloadMode::streaming_signed:
    case security::PayloadMode::streaming_signed_trailer:
      TRY(verified({}));
      if (claim.service != "s3")
        return denied(kBadSignature, "x-amz-content-sha256: expected the body's hash, found a streaming form");
      payload = Payload::chunked(exchange, claim, found->secret);
      break;
  }
  check(payload != nullptr, "a payload mode is not handled");
  if (found->of_user) site.keys.used(claim.access_key_id, claim.service);
  return Caller{std::move(found->identity), std::move(payload)};
}

}  // namespace

Result<Caller> authenticate(Site& site, const std::shared_ptr<http::Exchange>& exchange, const Match& match,
                            const Credentials& credentials, uint64_t limit) {
  auto caller = [&]() -> Result<Caller> {
    switch (credentials.kind) {
      case Credentials::Kind::none:
        return denied(kMissingCredentials, "the request has no credentials");
      case Credentials::Kind::several:
        return denied("IncompleteSignature", "expected credentials in one place, found them in more than one");
      case Credentials::Kind::other:
        return denied("IncompleteSignature", "expected AWS Signature Version 4 or a Bearer key, found another scheme");
      case Credentials::Kind::bearer:
        return by_bearer(site, exchange, match, credentials);
      case Credentials::Kind::sigv4_header:
      case Credentials::Kind::sigv4_query:
        return by_sigv4(site, exchange, match, limit);
    }
    return denied(kMissingCredentials, "the request has no credentials");
  }();
  if (caller.ok()) return caller;
  Error error = caller.error();
  if (error.code == Code::invalid || error.code == Code::not_found) {
    error.code = Code::denied;
    if (error.name.empty()) error.name = kBadSignature;  // a query that cannot be what was signed
  }
  return error;
}

}  // namespace hf::api
