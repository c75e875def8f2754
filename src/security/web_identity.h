// Tokens of an OpenID Connect provider: a JSON Web Token (RFC 7519) in the compact form of RFC 7515, and the provider's
// key set (RFC 7517). Signed only; RS256, RS384, RS512, ES256, ES384 and EdDSA (Ed25519). Everything that a token says
// is said by somebody unknown until the signature is verified.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/public_key.h"

namespace hf::security {

// The name of the error that no key of the set has signed a token: another key set may have the key.
inline constexpr const char* kUnknownSigner = "UnknownSigner";

class KeySet {
 public:
  // At most 256 KiB and 100 keys. Keys for encryption, of other types, or with private parts are refused by their
  // place: a set that holds one is not what its owner meant to give. invalid: what and where.
  static Result<KeySet> parse(std::string_view json);
  size_t size() const { return keys_.size(); }

 private:
  friend class WebToken;
  struct Key {
    std::string kid, alg;  // "": not said
    crypto::PublicKey key;
  };
  std::vector<Key> keys_;
};

class WebToken {
 public:
  // At most 20,000 characters. denied (InvalidIdentityToken): it is none.
  static Result<WebToken> parse(std::string_view text);
  std::string_view issuer() const { return issuer_; }  // not verified
  // denied: UnknownSigner (no key of the set has signed it), InvalidIdentityToken (a claim is missing, or of the time
  // to come), ExpiredTokenException. A clock may be a minute off.
  Status verify(const KeySet& keys, Micros now) const;

  // True once verify() has said so.
  const std::string& subject() const { return subject_; }
  const std::vector<std::string>& audiences() const { return audiences_; }
  const std::string& authorized_party() const { return azp_; }  // "": not said
  const std::vector<std::string>& methods() const { return amr_; }
  // Of "https://aws.amazon.com/tags" and ".../source_identity".
  const std::vector<std::pair<std::string, std::string>>& tags() const { return tags_; }
  const std::vector<std::string>& transitive() const { return transitive_; }
  const std::string& source_identity() const { return source_identity_; }

 private:
  std::string signed_part_, signature_, algorithm_, kid_;
  std::string issuer_, subject_, azp_, source_identity_;
  std::vector<std::string> audiences_, amr_, transitive_;
  std::vector<std::pair<std::string, std::string>> tags_;
  int64_t expires_ = 0, issued_ = 0, not_before_ = 0;  // seconds since 1970
};

}  // namespace hf::security
