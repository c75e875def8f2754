// A request's body on its way to a handler: read from the exchange (or from memory), decoded from aws-chunked, and
// checked against what was signed. The error of a wrong hash, chunk or trailer comes at the latest in place of the end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "crypto/crypto.h"
#include "http/http.h"
#include "security/sigv4.h"
#include "wire/fields.h"

namespace hf::api {

class Payload : public wire::BodySource {
 public:
  // Nothing to check: Bearer, or UNSIGNED-PAYLOAD.
  static std::shared_ptr<Payload> plain(std::shared_ptr<http::Exchange> exchange);
  // Read already, and checked.
  static std::shared_ptr<Payload> memory(std::string body);
  // x-amz-content-sha256 holds the hash.
  static std::shared_ptr<Payload> hashed(std::shared_ptr<http::Exchange> exchange, std::string sha256_hex);
  // The three streaming modes. x-amz-decoded-content-length and the trailers that x-amz-trailer announces must come
  // true.
  static std::shared_ptr<Payload> chunked(std::shared_ptr<http::Exchange> exchange, const security::Claim& claim,
                                          const crypto::Secret& secret);

  Result<size_t> read(std::span<char> out) override;
  const std::vector<std::pair<std::string, std::string>>& trailers() const override;
  int64_t length() const { return length_; }     // decoded, -1: not said
  Result<std::string> read_all(uint64_t limit);  // to the checked end

 private:
  Result<size_t> read_plain(std::span<char> out);
  Result<size_t> read_chunked(std::span<char> out);
  Status finish();
  std::shared_ptr<http::Exchange> exchange_;
  std::string memory_;  // bytes that are decoded and not given out yet
  size_t given_ = 0;    // of memory_
  std::optional<crypto::Hasher> hasher_;
  std::string expected_hash_;
  std::unique_ptr<security::ChunkedDecoder> decoder_;
  std::vector<std::string> announced_;  // trailers
  int64_t length_ = -1;
  uint64_t total_ = 0;
  bool ended_ = false;
  std::optional<Error> failed_;
};

}  // namespace hf::api
