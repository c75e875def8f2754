// Hashes, MACs, signatures, certificates: thin over OpenSSL 3. Bytes in, bytes out (raw, not hex). Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/text.h"

namespace hf::crypto {

enum class Hash { md5, sha1, sha256, sha384, sha512 };
std::string digest(Hash kind, std::string_view data);
inline std::string sha256(std::string_view data) { return digest(Hash::sha256, data); }
std::string sha256_hex(std::string_view data);

class Hasher {  // incremental; finish() once
 public:
  explicit Hasher(Hash kind);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  void update(std::string_view data);
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hmac_sha256(std::string_view key, std::string_view data);
std::string hmac_sha1(std::string_view key, std::string_view data);

// CRCs as S3 uses them; state starts at 0 and is what was returned before. Value of the whole = last return.
uint32_t crc32(uint32_t state, std::string_view data);            // IEEE (zlib)
uint32_t crc32c(uint32_t state, std::string_view data);           // Castagnoli, RFC 3720
uint64_t crc64nvme(uint64_t state, std::string_view data);        // NVM Express, reflected 0x9a6c9329ac4bc9b5
uint32_t crc32c_by_table(uint32_t state, std::string_view data);  // the slow twin of crc32c

// A secret that is wiped when it goes, and has no way to a log.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string bytes) : bytes_(std::move(bytes)) {}
  Secret(const Secret&) = default;
  Secret(Secret&&) = default;
  Secret& operator=(Secret other) noexcept {  // what it held before is wiped with `other`
    bytes_.swap(other.bytes_);
    return *this;
  }
  ~Secret();
  std::string_view reveal() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string bytes_;
};

// Ed25519 (RFC 8032).
class SigningKey {
 public:
  static Result<SigningKey> generate();
  static Result<SigningKey> from_pem(std::string_view pem);  // PKCS#8
  std::string to_pem() const;                                // PKCS#8, unencrypted: goes to a 0600 file only
  std::string public_pem() const;                            // SubjectPublicKeyInfo
  std::string public_raw() const;                            // 32 bytes
  std::string sign(std::string_view message) const;          // 64 bytes
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

 private:
  SigningKey();
  struct State;
  std::unique_ptr<State> state_;
};
bool verify_ed25519(std::string_view public_raw, std::string_view message, std::string_view signature);

// AES-256-GCM. key 32 bytes, nonce 12 bytes; output is ciphertext || 16-byte tag. open: corrupt if it does not verify.
std::string aead_seal(std::string_view key, std::string_view nonce, std::string_view plain, std::string_view aad);
Result<std::string> aead_open(std::string_view key, std::string_view nonce, std::string_view sealed,
                              std::string_view aad);

// X.509 for the site's own authority and server certificate (ECDSA P-256, PEM).
struct CertificateAndKey {
  std::string certificate_pem, key_pem;
};
Result<CertificateAndKey> make_authority(std::string_view common_name, Micros now, int days);
// names: DNS names and IP addresses, each a subjectAltName.
Result<CertificateAndKey> make_server_certificate(const CertificateAndKey& authority,
                                                  const std::vector<std::string>& names, Micros now, int days);

}  // namespace hf::crypto
