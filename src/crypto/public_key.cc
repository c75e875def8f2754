#include "crypto/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "crypto/openssl.h"

namespace hf::crypto {
namespace {

using BnPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using BuildPtr = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using EcSigPtr = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;

BnPtr number(std::string_view bytes) { return BnPtr(BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr)); }

// A key of the type and parameters, checked; null: they make none.
PkeyPtr made(const char* type, OSSL_PARAM_BLD* build) {
  ParamsPtr params(OSSL_PARAM_BLD_to_param(build));
  PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  const bool ok = params && ctx && EVP_PKEY_fromdata_init(ctx.get()) == 1 &&
                  EVP_PKEY_fromdata(ctx.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1;
  PkeyPtr out(key);
  if (ok) {
    PkeyCtxPtr checker(EVP_PKEY_CTX_new_from_pkey(nullptr, out.get(), nullptr));
    if (checker && EVP_PKEY_public_check(checker.get()) == 1) return out;
  }
  ERR_clear_error();
  return nullptr;
}

size_t length_of(PublicKey::Curve curve) { return curve == PublicKey::Curve::p256 ? 32 : 48; }
const char* name_of(PublicKey::Curve curve) { return curve == PublicKey::Curve::p256 ? "P-256" : "P-384"; }
const char* name_of(Hash hash) {
  return hash == Hash::sha256 ? "SHA256" : hash == Hash::sha384 ? "SHA384" : hash == Hash::sha512 ? "SHA512" : nullptr;
}

bool verified(EVP_PKEY* key, const char* hash, std::string_view message, std::string_view signature) {
  MdCtxPtr ctx(EVP_MD_CTX_new());
  const bool ok = ctx && EVP_DigestVerifyInit_ex(ctx.get(), nullptr, hash, nullptr, nullptr, key, nullptr) == 1 &&
                  EVP_DigestVerify(ctx.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
  ERR_clear_error();
  return ok;
}

}  // namespace

struct PublicKey::State {
  PkeyPtr key;
  enum class Type { rsa, p256, p384, ed25519 } type;
};

Result<PublicKey> PublicKey::rsa(std::string_view modulus, std::string_view exponent) {
  if (modulus.size() > 1024 || exponent.size() > 5)
    return fail(Code::invalid, "an RSA key: expected 2,048 to 8,192 bits and an exponent up to 2^32");
  BnPtr n = number(modulus), e = number(exponent);
  if (!n || !e || BN_num_bits(n.get()) < 2048 || BN_num_bits(n.get()) > 8192 || !BN_is_odd(e.get()) ||
      BN_is_one(e.get()) || BN_num_bits(e.get()) > 32 || !BN_is_odd(n.get()))
    return fail(Code::invalid, "an RSA key: expected 2,048 to 8,192 bits and an odd exponent of 3 to 2^32");
  BuildPtr build(OSSL_PARAM_BLD_new());
  check(build && OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
            OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1,
        "OpenSSL takes two numbers");
  PkeyPtr key = made("RSA", build.get());
  if (!key) return fail(Code::invalid, "an RSA key: OpenSSL does not take it");
  return PublicKey(std::make_shared<const State>(State{std::move(key), State::Type::rsa}));
}

Result<PublicKey> PublicKey::ec(Curve curve, std::string_view x, std::string_view y) {
  const size_t n = length_of(curve);
  if (x.size() != n || y.size() != n)
    return fail(Code::invalid, std::string("a key on ") + name_of(curve) + ": expected coordinates of " +
                                   std::to_string(n) + " bytes");
  const std::string point = "\x04" + std::string(x) + std::string(y);
  BuildPtr build(OSSL_PARAM_BLD_new());
  check(build && OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, name_of(curve), 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1,
        "OpenSSL takes a curve and a point");
  PkeyPtr key = made("EC", build.get());
  if (!key) return fail(Code::invalid, std::string("a key on ") + name_of(curve) + ": expected a point of the curve");
  return PublicKey(std::make_shared<const State>(
      State{std::move(key), curve == Curve::p256 ? State::Type::p256 : State::Type::p384}));
}

Result<PublicKey> PublicKey::ed25519(std::string_view bytes) {
  if (bytes.size() != 32) return fail(Code::invalid, "an Ed25519 key: expected 32 bytes");
  PkeyPtr key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(bytes), bytes.size()));
  if (!key) return fail(Code::invalid, "an Ed25519 key: OpenSSL does not take it");
  return PublicKey(std::make_shared<const State>(State{std::move(key), State::Type::ed25519}));
}

bool PublicKey::verify_rsa(Hash hash, std::string_view message, std::string_view signature) const {
  if (state_->type != State::Type::rsa || !name_of(hash)) return false;
  return verified(state_->key.get(), name_of(hash), message, signature);
}

bool PublicKey::verify_ec(Curve curve, std::string_view message, std::string_view signature) const {
  const size_t n = length_of(curve);
  if (state_->type != (curve == Curve::p256 ? State::Type::p256 : State::Type::p384) || signature.size() != 2 * n)
    return false;
  EcSigPtr both(ECDSA_SIG_new());
  BnPtr r = number(signature.substr(0, n)), s = number(signature.substr(n));
  check(both && r && s && ECDSA_SIG_set0(both.get(), r.release(), s.release()) == 1, "OpenSSL takes two numbers");
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(both.get(), &der);
  if (size <= 0) return false;
  const std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return verified(state_->key.get(), curve == Curve::p256 ? "SHA256" : "SHA384", message, bytes);
}

bool PublicKey::verify_ed25519(std::string_view message, std::string_view signature) const {
  return state_->type == State::Type::ed25519 && verified(state_->key.get(), nullptr, message, signature);
}

}  // namespace hf::crypto
