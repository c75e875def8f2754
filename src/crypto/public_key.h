// Public keys of others, to verify signatures with: over OpenSSL 3. Thread-safe.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "crypto/crypto.h"

namespace hf::crypto {

class PublicKey {
 public:
  // Big-endian, without a sign. RSA: 2,048 to 8,192 bits, an odd exponent of 3 to 2^32. EC: a point of the curve,
  // coordinates of the curve's length. invalid: what was expected.
  static Result<PublicKey> rsa(std::string_view modulus, std::string_view exponent);
  enum class Curve { p256, p384 };
  static Result<PublicKey> ec(Curve curve, std::string_view x, std::string_view y);
  static Result<PublicKey> ed25519(std::string_view raw);

  // RSASSA-PKCS1-v1_5 (RFC 8017); false for a key of another type.
  bool verify_rsa(Hash hash, std::string_view message, std::string_view signature) const;
  // ECDSA, signature as r || s, each of the curve's length (RFC 7518, 3.4): P-256 with SHA-256, P-384 with SHA-384.
  bool verify_ec(Curve curve, std::string_view message, std::string_view signature) const;
  bool verify_ed25519(std::string_view message, std::string_view signature) const;

 private:
  struct State;
  explicit PublicKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace hf::crypto
