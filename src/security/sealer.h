// Text that the site hands out and later takes back: only the site can read it, and only the site can have made it.
// AES-256-GCM under a key of its own for each text, derived from the site's root key, the purpose and a salt of 128
// bits (so no nonce is ever used twice with a key). Form: base64url of version (1 byte) || salt (16) || ciphertext ||
// tag.
#pragma once

#include <string>
#include <string_view>

#include "crypto/crypto.h"
#include "os/clock.h"

namespace hf::security {

class Sealer {  // thread-safe
 public:
  Sealer(const crypto::Secret& root_key, std::string_view purpose, os::Random& random);
  // `context` is not in the text and must be the same to open it.
  std::string seal(std::string_view plain, std::string_view context) const;
  // nothing sealed by this purpose, or altered, or of another context: invalid, without a word on which.
  Result<crypto::Secret> open(std::string_view sealed, std::string_view context) const;

 private:
  crypto::Secret key_of(std::string_view salt) const;
  crypto::Secret key_;
  os::Random& random_;
};

}  // namespace hf::security
