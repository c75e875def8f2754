#include "security/sealer.h"

#include "base/bytes.h"

namespace hf::security {
namespace {
constexpr char kVersion = 1;
constexpr size_t kSalt = 16, kHead = 1 + kSalt;
const std::string& nonce() {  // each key seals one text
  static const std::string zero(12, '\0');
  return zero;
}
}  // namespace

Sealer::Sealer(const crypto::Secret& root_key, std::string_view purpose, os::Random& random)
    : key_(crypto::hmac_sha256(root_key.reveal(), "holdfast-sealer-v1\n" + std::string(purpose))), random_(random) {}

crypto::Secret Sealer::key_of(std::string_view salt) const {
  return crypto::Secret(crypto::hmac_sha256(key_.reveal(), salt));
}

std::string Sealer::seal(std::string_view plain, std::string_view context) const {
  const std::string salt = random_.bytes(kSalt);
  return base64url(kVersion + salt + crypto::aead_seal(key_of(salt).reveal(), nonce(), plain, context));
}

Result<crypto::Secret> Sealer::open(std::string_view sealed, std::string_view context) const {
  const Error none = fail(Code::invalid, "expected a text that this site has sealed, found another");
  auto bytes = unbase64url(sealed);
  if (!bytes.ok() || bytes->size() < kHead + 16 || bytes->front() != kVersion) return none;
  const std::string_view all = *bytes;
  auto plain = crypto::aead_open(key_of(all.substr(1, kSalt)).reveal(), nonce(), all.substr(kHead), context);
  if (!plain.ok()) return none;
  return crypto::Secret(std::move(*plain));
}

}  // namespace hf::security
