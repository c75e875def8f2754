// What is done with the materials of keys: made, imported, sealed under the site's root key, and used. A ciphertext
// says whose key and which of its materials it was made with, and is bound to its encryption context:
//   version (1 byte: 1) || account (8, big-endian) || key (16) || material (first 8 of its id) || salt (16) ||
//   AES-256-GCM of the plaintext (with a tag of 16)
// under a key of its own for each message, HMAC-SHA256(material, "holdfast-kms-message-v1\n" || salt), so no nonce is
// ever used twice with a key; the head and the context are authenticated with it. docs/decisions/0020-kms.md says why.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crypto/private_key.h"
#include "os/clock.h"
#include "security/kms.h"
#include "security/sealer.h"

namespace hf::security::kms {

struct Blob {
  std::string account, key, material;  // material: 16 hex digits
  std::string_view head, salt, sealed;
};
// InvalidCiphertextException: no ciphertext of a site. The views are into `bytes`.
Result<Blob> parse_blob(std::string_view bytes);

// What a key's spec comes to.
struct Spec {
  const char* name;
  enum class Kind { symmetric, hmac, rsa, ec, ed25519 } kind;
  int bits;                                      // of the hash of MACs; else 0
  std::optional<crypto::PrivateKey::Type> type;  // of key pairs
};
const Spec* spec_of(std::string_view name);  // nullptr: not offered

// A pair of keys to wrap imported material with, whose private half is in the token that comes with it.
struct ImportParameters {
  std::string token, public_der;
  Micros valid_to = 0;
};

class KeyRing {  // thread-safe
 public:
  KeyRing(const crypto::Secret& root_key, os::Random& random);

  // New material for the key, not yet in it.
  Result<Material> generate(const Key& key, Micros now) const;
  // From outside. invalid: none of the key's spec (32 bytes; 28 to 128 for MACs; PKCS#8).
  Result<Material> take(const Key& key, const crypto::Secret& bytes, Micros now) const;
  // unavailable (KMSInvalidStateException): it is gone. corrupt: it does not open.
  Result<crypto::Secret> open(const Key& key, const Material& material) const;
  Result<crypto::PrivateKey> pair(const Key& key) const;  // of the current material

  Result<std::string> encrypt(const Key& key, std::string_view plain, const EncryptionContext& context) const;
  // InvalidCiphertextException: of another context or altered; KMSInvalidStateException: its material is gone.
  Result<crypto::Secret> decrypt(const Key& key, const Blob& blob, const EncryptionContext& context) const;

  // The token names the key, the algorithm and the time; it is used by whoever has it, as often as they like.
  Result<ImportParameters> import_parameters(const Key& key, crypto::PrivateKey::Type type, std::string_view algorithm,
                                             Micros now) const;
  // InvalidImportTokenException, ExpiredImportTokenException, InvalidCiphertextException.
  Result<crypto::Secret> unwrap(const Key& key, std::string_view token, std::string_view wrapped, Micros now) const;

  std::string grant_token(const Grant& grant) const;
  // account, key and grant. InvalidGrantTokenException.
  Result<Grant> open_grant_token(const std::string& token) const;

 private:
  crypto::Secret message_key(const crypto::Secret& material, std::string_view salt) const;
  os::Random& random_;
  Sealer materials_, imports_, grants_;
  crypto::Secret id_key_;
};

}  // namespace hf::security::kms
