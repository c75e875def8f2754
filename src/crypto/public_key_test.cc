#include "crypto/public_key.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <memory>

namespace hf::crypto {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

std::string number(EVP_PKEY* key, const char* name, size_t bytes = 0) {
  BIGNUM* n = nullptr;
  check(EVP_PKEY_get_bn_param(key, name, &n) == 1, "a number of the key");
  std::string out(bytes ? bytes : static_cast<size_t>(BN_num_bytes(n)), '\0');
  BN_bn2binpad(n, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
  BN_free(n);
  return out;
}

std::string signature(EVP_PKEY* key, const EVP_MD* md, const std::string& message) {
  EVP_MD_CTX* ctx = EVP_MD_CTX_new();
  size_t n = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  check(EVP_DigestSignInit(ctx, nullptr, md, nullptr, key) == 1 &&
            EVP_DigestSign(ctx, nullptr, &n, bytes, message.size()) == 1,
        "a signature's size");
  std::string out(n, '\0');
  check(EVP_DigestSign(ctx, reinterpret_cast<unsigned char*>(out.data()), &n, bytes, message.size()) == 1,
        "a signature");
  out.resize(n);
  EVP_MD_CTX_free(ctx);
  return out;
}

std::string plain_of(const std::string& der, size_t half) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* sig = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  std::string out(2 * half, '\0');
  BN_bn2binpad(ECDSA_SIG_get0_r(sig), reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(half));
  BN_bn2binpad(ECDSA_SIG_get0_s(sig), reinterpret_cast<unsigned char*>(out.data() + half), static_cast<int>(half));
  ECDSA_SIG_free(sig);
  return out;
}

// Every bit of a signature and of the message counts.
template <class Verify>
void only_this(const std::string& message, const std::string& good, const Verify& verify) {
  EXPECT_TRUE(verify(message, good));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(verify(message, bad)) << i;
  }
  EXPECT_FALSE(verify(message + "x", good));
  EXPECT_FALSE(verify(message, ""));
  EXPECT_FALSE(verify(message, good + std::string(1, '\0')));
  EXPECT_FALSE(verify(message, good.substr(1)));
  EXPECT_FALSE(verify(message, std::string(good.size(), '\0')));
}

TEST(PublicKey, Rsa) {
  Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}), EVP_PKEY_free);
  const std::string n = number(key.get(), OSSL_PKEY_PARAM_RSA_N), e = number(key.get(), OSSL_PKEY_PARAM_RSA_E);
  auto made = PublicKey::rsa(n, e);
  ASSERT_TRUE(made.ok()) << made.error().message;
  only_this("a message", signature(key.get(), EVP_sha256(), "a message"),
            [&](const auto& m, const auto& s) { return made->verify_rsa(Hash::sha256, m, s); });
  EXPECT_TRUE(made->verify_rsa(Hash::sha384, "m", signature(key.get(), EVP_sha384(), "m")));
  EXPECT_TRUE(made->verify_rsa(Hash::sha512, "m", signature(key.get(), EVP_sha512(), "m")));
  EXPECT_FALSE(made->verify_rsa(Hash::sha512, "m", signature(key.get(), EVP_sha256(), "m")));
  EXPECT_FALSE(made->verify_rsa(Hash::sha1, "m", signature(key.get(), EVP_sha1(), "m")));
  EXPECT_FALSE(made->verify_ec(PublicKey::Curve::p256, "m", std::string(64, 'x')));
  EXPECT_FALSE(made->verify_ed25519("m", std::string(64, 'x')));
  Pkey small(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1024}), EVP_PKEY_free);
  EXPECT_FALSE(PublicKey::rsa(number(small.get(), OSSL_PKEY_PARAM_RSA_N), e).ok());
  for (const std::string& bad : {std::string(), std::string(1, '\1'), std::string(1, '\2'), std::string(9, '\3')})
    EXPECT_FALSE(PublicKey::rsa(n, bad).ok());
  EXPECT_FALSE(PublicKey::rsa("", e).ok());
  EXPECT_FALSE(PublicKey::rsa(std::string(4096, '\xff'), e).ok());
}

TEST(PublicKey, EllipticCurves) {
  for (const auto& [name, curve, size, md] : {std::tuple{"P-256", PublicKey::Curve::p256, size_t{32}, EVP_sha256()},
                                              std::tuple{"P-384", PublicKey::Curve::p384, size_t{48}, EVP_sha384()}}) {
    Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", name), EVP_PKEY_free);
    const std::string x = number(key.get(), OSSL_PKEY_PARAM_EC_PUB_X, size),
                      y = number(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, size);
    auto made = PublicKey::ec(curve, x, y);
    ASSERT_TRUE(made.ok()) << made.error().message;
    only_this("a message", plain_of(signature(key.get(), md, "a message"), size),
              [&, c = curve](const auto& m, const auto& s) { return made->verify_ec(c, m, s); });
    const auto other = curve == PublicKey::Curve::p256 ? PublicKey::Curve::p384 : PublicKey::Curve::p256;
    EXPECT_FALSE(made->verify_ec(other, "m", plain_of(signature(key.get(), md, "m"), size)));
    EXPECT_FALSE(made->verify_rsa(Hash::sha256, "m", std::string(256, 'x')));
    std::string off = y;
    off.back() = static_cast<char>(off.back() ^ 1);
    EXPECT_FALSE(PublicKey::ec(curve, x, off).ok());  // no point of the curve
    EXPECT_FALSE(PublicKey::ec(curve, std::string(size, '\0'), std::string(size, '\0')).ok());
    EXPECT_FALSE(PublicKey::ec(curve, x.substr(1), y).ok());
    EXPECT_FALSE(PublicKey::ec(other, x, y).ok());
  }
}

TEST(PublicKey, Ed25519) {
  const SigningKey key = *SigningKey::generate();
  auto made = PublicKey::ed25519(key.public_raw());
  ASSERT_TRUE(made.ok());
  only_this("a message", key.sign("a message"),
            [&](const auto& m, const auto& s) { return made->verify_ed25519(m, s); });
  EXPECT_FALSE(PublicKey::ed25519("short").ok());
}

}  // namespace
}  // namespace hf::crypto
