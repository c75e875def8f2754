#include "crypto/private_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/openssl.h"

namespace hf::crypto {
namespace {

using Type = PrivateKey::Type;
using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Deleter<PKCS8_PRIV_KEY_INFO_free>>;

bool is_rsa(Type t) { return t == Type::rsa_2048 || t == Type::rsa_3072 || t == Type::rsa_4096; }
int bits_of(Type t) { return t == Type::rsa_2048 ? 2048 : t == Type::rsa_3072 ? 3072 : 4096; }
// As OpenSSL names the curves of keys.
const char* curve_of(Type t) {
  switch (t) {
    case Type::p256:
      return "prime256v1";
    case Type::p384:
      return "secp384r1";
    case Type::p521:
      return "secp521r1";
    case Type::secp256k1:
      return "secp256k1";
    case Type::rsa_2048:
    case Type::rsa_3072:
    case Type::rsa_4096:
    case Type::ed25519:
      break;
  }
  return nullptr;
}
const EVP_MD* md_of(Hash hash) {
  switch (hash) {
    case Hash::md5:
      break;
    case Hash::sha1:
      return EVP_sha1();
    case Hash::sha256:
      return EVP_sha256();
    case Hash::sha384:
      return EVP_sha384();
    case Hash::sha512:
      return EVP_sha512();
  }
  return nullptr;
}

// A key whose curve came as numbers may be on one that only looks like ours (RFC 5480 allows names alone).
bool has_explicit_curve(EVP_PKEY* key) {
  int from_numbers = 0;
  return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &from_numbers) != 1 ||
         from_numbers != 0;
}

bool is_of(EVP_PKEY* key, Type type) {
  if (is_rsa(type)) return EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) == bits_of(type);
  if (type == Type::ed25519) return EVP_PKEY_is_a(key, "ED25519") == 1;
  char name[64] = {};
  size_t n = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 && !has_explicit_curve(key) &&
         EVP_PKEY_get_group_name(key, name, sizeof name, &n) == 1 && std::string_view(name, n) == curve_of(type);
}

Error not_with(const char* what) { return fail(Code::invalid, std::string("this key is not for ") + what); }

// One operation of EVP_PKEY that gives bytes: asked for the size first.
template <class Fn>
Result<std::string> given(Fn fn, const char* what) {
  size_t n = 0;
  if (fn(nullptr, &n) <= 0) return fail(Code::internal, std::string("OpenSSL: ") + what);
  std::string out(n, '\0');
  if (fn(raw(out), &n) <= 0) return fail(Code::internal, std::string("OpenSSL: ") + what);
  out.resize(n);
  return out;
}

bool set_padding(EVP_PKEY_CTX* ctx, Hash hash, PrivateKey::Padding padding) {
  if (EVP_PKEY_CTX_set_signature_md(ctx, md_of(hash)) <= 0) return false;
  if (padding == PrivateKey::Padding::pkcs1) return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
  return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(hash)) > 0 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
}
bool set_oaep(EVP_PKEY_CTX* ctx, Hash hash) {
  return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md_of(hash)) > 0 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(hash)) > 0;
}
bool fits(Hash hash, std::string_view digest) {
  return md_of(hash) && digest.size() == static_cast<size_t>(EVP_MD_get_size(md_of(hash)));
}

const EVP_CIPHER* wrap_of(std::string_view key) {
  return key.size() == 16   ? EVP_aes_128_wrap_pad()
         : key.size() == 24 ? EVP_aes_192_wrap_pad()
         : key.size() == 32 ? EVP_aes_256_wrap_pad()
                            : nullptr;
}

}  // namespace

struct PrivateKey::State {
  PkeyPtr key;
  Type type;
};

PrivateKey::Type PrivateKey::type() const { return state_->type; }

Result<PrivateKey> PrivateKey::generate(Type type) {
  ClearErrors clear;
  EVP_PKEY* key = is_rsa(type) ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(bits_of(type)))
                               : (type == Type::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                                        : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve_of(type)));
  if (!key) return fail(Code::internal, "OpenSSL: a new key");
  return PrivateKey(std::make_shared<const State>(State{PkeyPtr(key), type}));
}

Result<PrivateKey> PrivateKey::from_der(Type type, std::string_view pkcs8) {
  ClearErrors clear;
  const Error none = fail(Code::invalid, "expected a private key of this type in PKCS#8");
  const unsigned char* at = raw(pkcs8);
  Pkcs8Ptr info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(pkcs8.size())));
  if (!info || at != raw(pkcs8) + pkcs8.size()) return none;
  PkeyPtr key(EVP_PKCS82PKEY(info.get()));
  if (!key || !is_of(key.get(), type)) return none;
  PkeyCtxPtr checker(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!checker || EVP_PKEY_pairwise_check(checker.get()) != 1) return none;
  return PrivateKey(std::make_shared<const State>(State{std::move(key), type}));
}

Secret PrivateKey::to_der() const {
  ClearErrors clear;
  Pkcs8Ptr info(EVP_PKEY2PKCS8(state_->key.get()));
  check(info != nullptr, "a key has a PKCS#8 form");
  unsigned char* der = nullptr;
  const int n = i2d_PKCS8_PRIV_KEY_INFO(info.get(), &der);
  check(n > 0, "a key has a PKCS#8 form");
  Secret out(std::string(reinterpret_cast<char*>(der), static_cast<size_t>(n)));
  OPENSSL_clear_free(der, static_cast<size_t>(n));
  return out;
}

std::string PrivateKey::public_der() const {
  ClearErrors clear;
  unsigned char* der = nullptr;
  const int n = i2d_PUBKEY(state_->key.get(), &der);
  check(n > 0, "a key has a public form");
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(n));
  OPENSSL_free(der);
  return out;
}

Result<std::string> PrivateKey::sign_digest(Hash hash, Padding padding, std::string_view digest) const {
  ClearErrors clear;
  if (state_->type == Type::ed25519) return not_with("signatures of digests");
  if (!fits(hash, digest))
    return fail(Code::invalid,
                "expected a digest of the hash's length, found " + std::to_string(digest.size()) + " bytes");
  PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, state_->key.get(), nullptr));
  if (!ctx || EVP_PKEY_sign_init(ctx.get()) <= 0 || (is_rsa(state_->type) && !set_padding(ctx.get(), hash, padding)))
    return fail(Code::internal, "OpenSSL: a signature");
  return given(
      [&](unsigned char* out, size_t* n) { return EVP_PKEY_sign(ctx.get(), out, n, raw(digest), digest.size()); },
      "a signature");
}

bool PrivateKey::verify_digest(Hash hash, Padding padding, std::string_view digest, std::string_view signature) const {
  ClearErrors clear;
  if (state_->type == Type::ed25519 || !fits(hash, digest)) return false;
  PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, state_->key.get(), nullptr));
  return ctx && EVP_PKEY_verify_init(ctx.get()) > 0 &&
         (!is_rsa(state_->type) || set_padding(ctx.get(), hash, padding)) &&
         EVP_PKEY_verify(ctx.get(), raw(signature), signature.size(), raw(digest), digest.size()) == 1;
}

Result<std::string> PrivateKey::sign_message(std::string_view message) const {
  ClearErrors clear;
  if (state_->type != Type::ed25519) return not_with("Ed25519");
  MdCtxPtr ctx(EVP_MD_CTX_new());
  if (!ctx || EVP_DigestSignInit_ex(ctx.get(), nullptr, nullptr, nullptr, nullptr, state_->key.get(), nullptr) != 1)
    return fail(Code::internal, "OpenSSL: a signature");
  return given(
      [&](unsigned char* out, size_t* n) { return EVP_DigestSign(ctx.get(), out, n, raw(message), message.size()); },
      "a signature");
}

bool PrivateKey::verify_message(std::string_view message, std::string_view signature) const {
  ClearErrors clear;
  if (state_->type != Type::ed25519) return false;
  MdCtxPtr ctx(EVP_MD_CTX_new());
  return ctx &&
         EVP_DigestVerifyInit_ex(ctx.get(), nullptr, nullptr, nullptr, nullptr, state_->key.get(), nullptr) == 1 &&
         EVP_DigestVerify(ctx.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

Result<std::string> PrivateKey::encrypt(Hash hash, std::string_view plain) const {
  ClearErrors clear;
  if (!is_rsa(state_->type)) return not_with("encryption");
  const size_t most = static_cast<size_t>(EVP_PKEY_get_size(state_->key.get())) -
                      2 * static_cast<size_t>(EVP_MD_get_size(md_of(hash))) - 2;
  if (plain.size() > most)
    return fail(Code::too_large,
                "expected at most " + std::to_string(most) + " bytes, found " + std::to_string(plain.size()));
  PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, state_->key.get(), nullptr));
  if (!ctx || EVP_PKEY_encrypt_init(ctx.get()) <= 0 || !set_oaep(ctx.get(), hash))
    return fail(Code::internal, "OpenSSL: OAEP");
  return given(
      [&](unsigned char* out, size_t* n) { return EVP_PKEY_encrypt(ctx.get(), out, n, raw(plain), plain.size()); },
      "OAEP");
}

Result<Secret> PrivateKey::decrypt(Hash hash, std::string_view sealed) const {
  ClearErrors clear;
  if (!is_rsa(state_->type)) return not_with("decryption");
  PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, state_->key.get(), nullptr));
  if (!ctx || EVP_PKEY_decrypt_init(ctx.get()) <= 0 || !set_oaep(ctx.get(), hash))
    return fail(Code::internal, "OpenSSL: OAEP");
  std::string out(static_cast<size_t>(EVP_PKEY_get_size(state_->key.get())), '\0');
  size_t n = out.size();
  const bool ok = EVP_PKEY_decrypt(ctx.get(), raw(out), &n, raw(sealed), sealed.size()) == 1;
  Secret plain(std::string(out.data(), ok ? n : 0));
  OPENSSL_cleanse(out.data(), out.size());
  if (!ok) return fail(Code::corrupt, "not encrypted with this key, or altered");
  return plain;
}

Result<Secret> PrivateKey::agree(std::string_view peer) const {
  ClearErrors clear;
  if (!curve_of(state_->type)) return not_with("key agreement");
  const unsigned char* at = raw(peer);
  PkeyPtr other(d2i_PUBKEY(nullptr, &at, static_cast<long>(peer.size())));
  const bool whole = other && at == raw(peer) + peer.size() && is_of(other.get(), state_->type);
  PkeyCtxPtr checker(whole ? EVP_PKEY_CTX_new_from_pkey(nullptr, other.get(), nullptr) : nullptr);
  if (!checker || EVP_PKEY_public_check(checker.get()) != 1)
    return fail(Code::invalid, "expected a public key on the curve of this key, as SubjectPublicKeyInfo");
  PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, state_->key.get(), nullptr));
  size_t n = 0;
  if (!ctx || EVP_PKEY_derive_init(ctx.get()) <= 0 || EVP_PKEY_derive_set_peer(ctx.get(), other.get()) <= 0 ||
      EVP_PKEY_derive(ctx.get(), nullptr, &n) <= 0)
    return fail(Code::internal, "OpenSSL: ECDH");
  std::string out(n, '\0');
  if (EVP_PKEY_derive(ctx.get(), raw(out), &n) <= 0) return fail(Code::internal, "OpenSSL: ECDH");
  out.resize(n);
  return Secret(std::move(out));
}

std::string hmac_sha2(int bits, std::string_view key, std::string_view message) {
  const EVP_MD* md = bits == 224   ? EVP_sha224()
                     : bits == 256 ? EVP_sha256()
                     : bits == 384 ? EVP_sha384()
                     : bits == 512 ? EVP_sha512()
                                   : nullptr;
  check(md != nullptr, "SHA-2 has 224, 256, 384 or 512 bits");
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned n = 0;
  check(HMAC(md, key.data(), static_cast<int>(key.size()), raw(message), message.size(), raw(out), &n) != nullptr,
        "HMAC");
  out.resize(n);
  return out;
}

Result<Secret> unwrap_key(std::string_view key, std::string_view wrapped) {
  ClearErrors clear;
  const Error bad = fail(Code::corrupt, "not wrapped with this key, or altered");
  const EVP_CIPHER* cipher = wrap_of(key);
  if (!cipher || wrapped.size() < 16 || wrapped.size() % 8 != 0 || wrapped.size() > (1 << 16)) return bad;
  CipherCtxPtr ctx(EVP_CIPHER_CTX_new());
  check(ctx != nullptr, "AES key wrap");
  EVP_CIPHER_CTX_set_flags(ctx.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  std::string out(wrapped.size() + 16, '\0');
  int n = 0;
  const bool ok = EVP_DecryptInit_ex(ctx.get(), cipher, nullptr, raw(key), nullptr) == 1 &&
                  EVP_DecryptUpdate(ctx.get(), raw(out), &n, raw(wrapped), static_cast<int>(wrapped.size())) == 1;
  Secret plain(std::string(out.data(), ok ? static_cast<size_t>(n) : 0));
  OPENSSL_cleanse(out.data(), out.size());
  if (!ok) return bad;
  return plain;
}

std::string wrap_key(std::string_view key, std::string_view plain) {
  ClearErrors clear;
  CipherCtxPtr ctx(EVP_CIPHER_CTX_new());
  check(ctx && wrap_of(key), "AES key wrap");
  EVP_CIPHER_CTX_set_flags(ctx.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  std::string out(plain.size() + 32, '\0');
  int n = 0;
  check(EVP_EncryptInit_ex(ctx.get(), wrap_of(key), nullptr, raw(key), nullptr) == 1 &&
            EVP_EncryptUpdate(ctx.get(), raw(out), &n, raw(plain), static_cast<int>(plain.size())) == 1,
        "AES key wrap");
  out.resize(static_cast<size_t>(n));
  return out;
}

}  // namespace hf::crypto
