#include "crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/bytes.h"
#include "base/check.h"
#include "crypto/openssl.h"

namespace hf::crypto {
namespace {

constexpr size_t kTagBytes = 16, kNonceBytes = 12, kKeyBytes = 32;

// Fetched once: OpenSSL 3 looks an algorithm up by name each time otherwise, which costs more than a short hash.
const EVP_MD* md_of(Hash kind) {
  static const EVP_MD* const md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static const EVP_MD* const sha384 = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  static const EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  const EVP_MD* md = kind == Hash::md5      ? md5
                     : kind == Hash::sha1   ? sha1
                     : kind == Hash::sha256 ? sha256
                     : kind == Hash::sha384 ? sha384
                                            : sha512;
  check(md != nullptr, "OpenSSL lacks a hash");
  return md;
}

std::string hmac(Hash kind, std::string_view key, std::string_view data) {
  // RFC 2104; the block is 64 bytes for all hashes up to SHA-256.
  constexpr size_t kBlock = 64;
  std::string padded = key.size() > kBlock ? digest(kind, key) : std::string(key);
  padded.resize(kBlock, '\0');
  for (char& c : padded) c ^= 0x36;
  Hasher inner(kind);
  inner.update(padded);
  inner.update(data);
  for (char& c : padded) c ^= 0x36 ^ 0x5c;
  Hasher outer(kind);
  outer.update(padded);
  outer.update(inner.finish());
  OPENSSL_cleanse(padded.data(), padded.size());
  return outer.finish();
}

std::string bio_text(BIO* bio) {
  char* text = nullptr;
  long n = BIO_get_mem_data(bio, &text);
  check(n > 0, "an empty PEM");
  return std::string(text, static_cast<size_t>(n));
}

}  // namespace

std::string digest(Hash kind, std::string_view data) {
  Hasher h(kind);
  h.update(data);
  return h.finish();
}

std::string sha256_hex(std::string_view data) { return hex(sha256(data)); }

struct Hasher::State {
  MdCtxPtr context;
};

Hasher::Hasher(Hash kind) : state_(std::make_unique<State>()) {
  state_->context.reset(EVP_MD_CTX_new());
  check(state_->context && EVP_DigestInit_ex(state_->context.get(), md_of(kind), nullptr) == 1, "hash: start");
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;

void Hasher::update(std::string_view data) {
  check(EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) == 1, "hash: update");
}

std::string Hasher::finish() {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned n = 0;
  check(EVP_DigestFinal_ex(state_->context.get(), raw(out), &n) == 1, "hash: finish, once only");
  out.resize(n);
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view data) { return hmac(Hash::sha256, key, data); }
std::string hmac_sha1(std::string_view key, std::string_view data) { return hmac(Hash::sha1, key, data); }

// The whole capacity: a short string that was moved away keeps its bytes in the object itself.
Secret::~Secret() { OPENSSL_cleanse(bytes_.data(), bytes_.capacity()); }

struct SigningKey::State {
  PkeyPtr key;
};

SigningKey::SigningKey() : state_(std::make_unique<State>()) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::generate() {
  SigningKey out;
  out.state_->key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!out.state_->key) return fail(Code::internal, "OpenSSL made no Ed25519 key");
  return out;
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem) {
  ClearErrors at_end;
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // No password callback of OpenSSL's: it would ask on the terminal.
  auto no_password = [](char*, int, int, void*) { return -1; };
  SigningKey out;
  out.state_->key.reset(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr) : nullptr);
  if (!out.state_->key || EVP_PKEY_get_id(out.state_->key.get()) != EVP_PKEY_ED25519) {
    return fail(Code::invalid, "signing key: expected an Ed25519 private key as unencrypted PKCS#8 PEM");
  }
  return out;
}

std::string SigningKey::to_pem() const {
  BioPtr bio(BIO_new(BIO_s_secmem()));
  check(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), state_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "write a private key");
  return bio_text(bio.get());
}

std::string SigningKey::public_pem() const {
  BioPtr bio(BIO_new(BIO_s_mem()));
  check(bio && PEM_write_bio_PUBKEY(bio.get(), state_->key.get()) == 1, "write a public key");
  return bio_text(bio.get());
}

std::string SigningKey::public_raw() const {
  std::string out(32, '\0');
  size_t n = out.size();
  check(EVP_PKEY_get_raw_public_key(state_->key.get(), raw(out), &n) == 1 && n == 32, "raw public key");
  return out;
}

std::string SigningKey::sign(std::string_view message) const {
  MdCtxPtr context(EVP_MD_CTX_new());
  std::string out(64, '\0');
  size_t n = out.size();
  check(context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) == 1 &&
            EVP_DigestSign(context.get(), raw(out), &n, raw(message), message.size()) == 1 && n == 64,
        "Ed25519 sign");
  return out;
}

bool verify_ed25519(std::string_view public_raw, std::string_view message, std::string_view signature) {
  if (public_raw.size() != 32 || signature.size() != 64) return false;
  ClearErrors at_end;
  PkeyPtr key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(public_raw), public_raw.size()));
  MdCtxPtr context(EVP_MD_CTX_new());
  return key && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

std::string aead_seal(std::string_view key, std::string_view nonce, std::string_view plain, std::string_view aad) {
  check(key.size() == kKeyBytes && nonce.size() == kNonceBytes, "AES-256-GCM: key of 32 bytes, nonce of 12");
  check(plain.size() < (size_t{1} << 30) && aad.size() < (size_t{1} << 30), "AES-256-GCM: under 1 GiB a call");
  CipherCtxPtr context(EVP_CIPHER_CTX_new());
  std::string out(plain.size() + kTagBytes, '\0');
  int n = 0;
  bool ok = context && EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1;
  ok =
      ok && (aad.empty() || EVP_EncryptUpdate(context.get(), nullptr, &n, raw(aad), static_cast<int>(aad.size())) == 1);
  ok = ok && EVP_EncryptUpdate(context.get(), raw(out), &n, raw(plain), static_cast<int>(plain.size())) == 1;
  ok = ok && EVP_EncryptFinal_ex(context.get(), raw(out) + plain.size(), &n) == 1;
  ok = ok && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, raw(out) + plain.size()) == 1;
  check(ok, "AES-256-GCM seal");
  return out;
}

Result<std::string> aead_open(std::string_view key, std::string_view nonce, std::string_view sealed,
                              std::string_view aad) {
  ClearErrors at_end;
  check(key.size() == kKeyBytes && nonce.size() == kNonceBytes, "AES-256-GCM: key of 32 bytes, nonce of 12");
  const Error broken = fail(Code::corrupt, "sealed bytes do not verify: altered, or sealed with another key");
  if (sealed.size() < kTagBytes || sealed.size() >= (size_t{1} << 30)) return broken;
  const std::string_view body = sealed.substr(0, sealed.size() - kTagBytes);
  std::string tag(sealed.substr(body.size())), out(body.size(), '\0');
  CipherCtxPtr context(EVP_CIPHER_CTX_new());
  int n = 0;
  unsigned char none[16];
  bool ok = context && EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1;
  ok =
      ok && (aad.empty() || EVP_DecryptUpdate(context.get(), nullptr, &n, raw(aad), static_cast<int>(aad.size())) == 1);
  ok = ok && EVP_DecryptUpdate(context.get(), raw(out), &n, raw(body), static_cast<int>(body.size())) == 1;
  ok = ok && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1;
  if (ok && EVP_DecryptFinal_ex(context.get(), none, &n) == 1) return out;
  OPENSSL_cleanse(out.data(), out.size());  // bytes that do not verify go nowhere
  return broken;
}

}  // namespace hf::crypto
