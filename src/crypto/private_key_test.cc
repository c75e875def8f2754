#include "crypto/private_key.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace hf::crypto {
namespace {

using Type = PrivateKey::Type;
using Padding = PrivateKey::Padding;

const Type kAll[] = {Type::rsa_2048, Type::p256, Type::p384, Type::p521, Type::secp256k1, Type::ed25519};

PrivateKey made(Type type) { return std::move(PrivateKey::generate(type)).value(); }

TEST(PrivateKey, GoesOutAndInAsItsTypeAlone) {
  for (Type type : kAll) {
    const PrivateKey key = made(type);
    const Secret der = key.to_der();
    for (Type as : kAll) {
      const auto again = PrivateKey::from_der(as, der.reveal());
      ASSERT_EQ(again.ok(), as == type) << static_cast<int>(type) << " as " << static_cast<int>(as);
      if (again.ok()) {
        EXPECT_EQ(again->public_der(), key.public_der());
      }
    }
    EXPECT_FALSE(PrivateKey::from_der(type, std::string(der.reveal()) + "x").ok()) << "bytes behind the key";
    EXPECT_FALSE(PrivateKey::from_der(type, der.reveal().substr(1)).ok());
    EXPECT_FALSE(PrivateKey::from_der(type, key.public_der()).ok()) << "a public key";
  }
}

TEST(PrivateKey, SignsDigests) {
  for (Type type : {Type::rsa_2048, Type::p256, Type::p384, Type::p521, Type::secp256k1}) {
    const PrivateKey key = made(type), other = made(type);
    for (Padding padding : {Padding::pkcs1, Padding::pss})
      for (Hash hash : {Hash::sha256, Hash::sha384, Hash::sha512}) {
        const std::string of = digest(hash, "a message");
        const auto signature = key.sign_digest(hash, padding, of);
        ASSERT_TRUE(signature.ok()) << signature.error().message;
        EXPECT_TRUE(key.verify_digest(hash, padding, of, *signature));
        EXPECT_FALSE(other.verify_digest(hash, padding, of, *signature));
        EXPECT_FALSE(key.verify_digest(hash, padding, digest(hash, "another"), *signature));
        std::string bad = *signature;
        bad[bad.size() / 2] ^= 1;
        EXPECT_FALSE(key.verify_digest(hash, padding, of, bad));
        EXPECT_FALSE(key.verify_digest(hash, padding, of, ""));
        EXPECT_FALSE(key.sign_digest(hash, padding, "short").ok());
      }
  }
  const PrivateKey rsa = made(Type::rsa_2048);
  const auto pkcs1 = rsa.sign_digest(Hash::sha256, Padding::pkcs1, sha256("m"));
  EXPECT_FALSE(rsa.verify_digest(Hash::sha256, Padding::pss, sha256("m"), *pkcs1)) << "another padding";
}

// RFC 8032, 7.1, test 2: a key whose signature is known.
TEST(PrivateKey, SignsAsRfc8032Says) {
  const std::string pkcs8 = *unhex("302e020100300506032b657004220420") +
                            *unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const auto key = PrivateKey::from_der(Type::ed25519, pkcs8);
  ASSERT_TRUE(key.ok());
  const auto signature = key->sign_message("\x72");
  ASSERT_TRUE(signature.ok());
  EXPECT_EQ(hex(*signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(key->verify_message("\x72", *signature));
  EXPECT_FALSE(key->verify_message("\x73", *signature));
  EXPECT_FALSE(key->sign_digest(Hash::sha256, Padding::pkcs1, sha256("m")).ok());
}

TEST(PrivateKey, Encrypts) {
  const PrivateKey key = made(Type::rsa_2048);
  for (Hash hash : {Hash::sha1, Hash::sha256}) {
    const size_t most = hash == Hash::sha1 ? 214 : 190;  // 256 - 2 * hash - 2
    for (size_t n : {size_t{0}, size_t{1}, most}) {
      const auto sealed = key.encrypt(hash, std::string(n, 'x'));
      ASSERT_TRUE(sealed.ok());
      EXPECT_EQ(key.decrypt(hash, *sealed)->reveal(), std::string(n, 'x'));
      EXPECT_FALSE(key.decrypt(hash == Hash::sha1 ? Hash::sha256 : Hash::sha1, *sealed).ok());
      std::string bad = *sealed;
      bad[3] ^= 1;
      EXPECT_EQ(key.decrypt(hash, bad).error().code, Code::corrupt);
    }
    EXPECT_EQ(key.encrypt(hash, std::string(most + 1, 'x')).error().code, Code::too_large);
  }
  EXPECT_FALSE(made(Type::p256).encrypt(Hash::sha256, "x").ok());
}

TEST(PrivateKey, AgreesOnASecret) {
  for (Type type : {Type::p256, Type::p384, Type::p521}) {
    const PrivateKey a = made(type), b = made(type);
    const auto one = a.agree(b.public_der()), two = b.agree(a.public_der());
    ASSERT_TRUE(one.ok() && two.ok());
    EXPECT_EQ(one->reveal(), two->reveal());
    EXPECT_EQ(one->reveal().size(), type == Type::p256 ? 32u : type == Type::p384 ? 48u : 66u);
    const Type other = type == Type::p256 ? Type::p384 : Type::p256;
    EXPECT_EQ(a.agree(made(other).public_der()).error().code, Code::invalid) << "another curve";
    std::string off = b.public_der();
    off.back() = static_cast<char>(off.back() ^ 1);
    EXPECT_FALSE(a.agree(off).ok()) << "no point of the curve";
    EXPECT_FALSE(a.agree("").ok());
  }
  EXPECT_FALSE(made(Type::ed25519).agree(made(Type::p256).public_der()).ok());
}

// RFC 4231, test case 2.
TEST(Mac, IsThatOfRfc4231) {
  const std::string key = "Jefe", text = "what do ya want for nothing?";
  EXPECT_EQ(hex(hmac_sha2(224, key, text)), "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44");
  EXPECT_EQ(hex(hmac_sha2(256, key, text)), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha2(384, key, text)),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649");
  EXPECT_EQ(hex(hmac_sha2(512, key, text)),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}

// RFC 5649, section 6.
TEST(KeyWrap, IsThatOfRfc5649) {
  const std::string kek = *unhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
  const std::string plain = *unhex("c37b7e6492584340bed12207808941155068f738");
  const std::string wrapped = *unhex("138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a");
  EXPECT_EQ(hex(wrap_key(kek, plain)), hex(wrapped));
  EXPECT_EQ(unwrap_key(kek, wrapped)->reveal(), plain);
  for (size_t i = 0; i < wrapped.size(); ++i) {
    std::string bad = wrapped;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(unwrap_key(kek, bad).ok()) << i;
  }
  EXPECT_FALSE(unwrap_key(kek, "").ok());
  EXPECT_FALSE(unwrap_key("short", wrapped).ok());
}

}  // namespace
}  // namespace hf::crypto
