// AWS Signature Version 4, verifying and signing. Knows no HTTP: it is given the parts of a request.
// Source: AWS General Reference, "Signature Version 4"; the traps in docs/sigv4.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "crypto/crypto.h"

namespace hf::security {

using HeaderList = std::vector<std::pair<std::string, std::string>>;  // names in lower case, in order, repeats kept

struct SignedParts {
  std::string method;
  std::string path;       // as sent, encoded
  std::string query;      // as sent, without '?'
  std::string authority;  // Host or :authority: stands for either where the signer signed it
  const HeaderList* headers = nullptr;
};

enum class PayloadMode {
  body_hash_absent,  // no x-amz-content-sha256: the signature covers sha256(body), so the body comes first
  body_hash,         // the header holds the hex hash; the body must have it
  unsigned_payload,
  streaming_unsigned_trailer,  // STREAMING-UNSIGNED-PAYLOAD-TRAILER
  streaming_signed,            // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
  streaming_signed_trailer,    // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
};

// What a request says of itself, before any key is known. Credentials in exactly one place: header, or query.
struct Claim {
  bool presigned = false;
  std::string access_key_id, date /*yyyymmdd*/, region, service, scope /*date/region/service/aws4_request*/;
  std::string amz_date, session_token, signature;
  std::vector<std::string> signed_headers;
  PayloadMode mode = PayloadMode::body_hash_absent;
  std::string content_sha256;  // hex, mode body_hash
  int64_t expires_s = 0;       // presigned
};
// not_found: the request carries no SigV4 at all. invalid (IncompleteSignature, AuthorizationQueryParametersError)
// else.
Result<Claim> parse_claim(const SignedParts& parts);

struct VerifyOptions {
  Micros now = 0;
  int64_t skew_s = 900;
  // Services other than S3: compute over the path without "." , ".." and empty segments, as some signers do. Off: a
  // path is verified as it was sent, so that nobody on the way can put such segments in.
  bool normalize_path = false;
};
// body_sha256_hex is needed for body_hash_absent only; for body_hash it is compared if given
// (XAmzContentSHA256Mismatch). denied with the error's name: SignatureDoesNotMatch, RequestTimeTooSkewed, AccessDenied
// (expired presign; a header that must be signed is not). Host/:authority, every x-amz-* header that was sent, and
// content-md5/x-amz-content-sha256 if sent must be in the signed set (S3's rule for x-amz-*; the others' clients follow
// it too).
Status verify(const SignedParts& parts, const Claim& claim, const crypto::Secret& secret,
              std::string_view body_sha256_hex, const VerifyOptions& options);

// The aws-chunked body: feeds on raw bytes, gives decoded ones, checks each chunk's signature where there is one before
// giving its bytes out, and the trailer at the end. Bounded memory (chunks over 16 MiB are refused in signed mode).
class ChunkedDecoder {
 public:
  // claim, date key material and the seed signature come from the verified claim; unsigned mode needs none of them.
  ChunkedDecoder(const Claim& claim, const crypto::Secret& secret);
  ~ChunkedDecoder();
  // Appends decoded bytes to out. After the end: `done()`, and trailers() holds the trailing headers.
  Status feed(std::string_view raw, std::string& out);
  bool done() const;
  const HeaderList& trailers() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Signing, for our own clients and tests. Adds x-amz-date, x-amz-content-sha256, x-amz-security-token, authorization.
struct Credentials {
  std::string access_key_id;
  crypto::Secret secret;
  std::string session_token;
};
void sign(const Credentials& credentials, const std::string& region, const std::string& service, Micros now,
          const std::string& method, const std::string& path, const std::string& query, HeaderList& headers,
          std::string_view body);
std::string presign(const Credentials& credentials, const std::string& region, const std::string& service, Micros now,
                    int64_t expires_s, const std::string& method, const std::string& authority, const std::string& path,
                    const std::string& query);  // the whole query string

}  // namespace hf::security
