// Private keys to sign, decrypt and agree with, over OpenSSL 3: RSA, ECDSA and ECDH on NIST's curves and secp256k1,
// Ed25519. And the MACs and key wraps of key management. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/crypto.h"

namespace hf::crypto {

class PrivateKey {
 public:
  enum class Type { rsa_2048, rsa_3072, rsa_4096, p256, p384, p521, secp256k1, ed25519 };
  enum class Padding { pkcs1, pss };  // of RSA's signatures (RFC 8017); pss: a salt as long as the digest

  static Result<PrivateKey> generate(Type type);
  // PKCS#8 (RFC 5958), unencrypted, one key and nothing behind it. invalid: no such key of this type.
  static Result<PrivateKey> from_der(Type type, std::string_view pkcs8);
  Type type() const;
  Secret to_der() const;           // PKCS#8
  std::string public_der() const;  // SubjectPublicKeyInfo (RFC 5280)

  // Of a message's digest: RSA with a padding; ECDSA as the DER of X9.62 (r, s). invalid: not with this key.
  Result<std::string> sign_digest(Hash hash, Padding padding, std::string_view digest) const;
  bool verify_digest(Hash hash, Padding padding, std::string_view digest, std::string_view signature) const;
  // Ed25519 (RFC 8032) takes the message itself.
  Result<std::string> sign_message(std::string_view message) const;
  bool verify_message(std::string_view message, std::string_view signature) const;

  // RSAES-OAEP with an empty label, the hash for MGF1 too. too_large: more than the key takes. decrypt: corrupt.
  Result<std::string> encrypt(Hash hash, std::string_view plain) const;
  Result<Secret> decrypt(Hash hash, std::string_view sealed) const;

  // ECDH: the x coordinate of the shared point, as long as the curve's. `peer`: SubjectPublicKeyInfo. invalid: no point
  // of this key's curve.
  Result<Secret> agree(std::string_view peer) const;

 private:
  struct State;
  explicit PrivateKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// HMAC (RFC 2104) with SHA-2 of 224, 256, 384 or 512 bits.
std::string hmac_sha2(int bits, std::string_view key, std::string_view message);

// AES key wrap with padding (RFC 5649). `key`: 16, 24 or 32 bytes. corrupt: wrapped with another key, or altered.
Result<Secret> unwrap_key(std::string_view key, std::string_view wrapped);
std::string wrap_key(std::string_view key, std::string_view plain);

}  // namespace hf::crypto
