#include "crypto/crypto.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"

namespace hf::crypto {
namespace {

// FIPS 180-4 examples and RFC 1321.
TEST(Hashes, GiveThePublishedValues) {
  EXPECT_EQ(hex(digest(Hash::md5, "abc")), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(hex(digest(Hash::sha1, "abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(digest(Hash::sha384, "abc")),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(hex(digest(Hash::sha512, "abc")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
            "454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Hashes, PiecesGiveTheSameAsTheWhole) {
  const std::string data(1000, 'x');
  for (size_t piece : {1, 7, 64, 999, 1000}) {
    Hasher h(Hash::sha256);
    for (size_t at = 0; at < data.size(); at += piece) h.update(std::string_view(data).substr(at, piece));
    EXPECT_EQ(h.finish(), sha256(data));
  }
}

// RFC 4231 cases 1, 2 and 6; RFC 2202 case 2.
TEST(Hmac, GivesThePublishedValues) {
  EXPECT_EQ(hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hex(hmac_sha1("Jefe", "what do ya want for nothing?")), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(Crcs, GiveThePublishedValues) {
  EXPECT_EQ(crc32(0, "123456789"), 0xcbf43926u);
  EXPECT_EQ(crc32c(0, "123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(0, std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(0, std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc64nvme(0, "123456789"), 0xae8b14860a799888u);
  std::string be;
  put_u64be(be, crc64nvme(0, "hello"));
  EXPECT_EQ(base64(be), "M3eFcAZSQlc=");
  EXPECT_EQ(crc32(0, ""), 0u);
  EXPECT_EQ(crc32c(0, ""), 0u);
  EXPECT_EQ(crc64nvme(0, ""), 0u);
}

TEST(Crcs, GoOnFromAnyPointAndBothFormsAgree) {
  std::string data;
  for (int i = 0; i < 300; ++i) data += static_cast<char>(i * 37 + i / 7);
  const std::string_view all = data;
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    EXPECT_EQ(crc32(crc32(0, all.substr(0, cut)), all.substr(cut)), crc32(0, all));
    EXPECT_EQ(crc32c(crc32c(0, all.substr(0, cut)), all.substr(cut)), crc32c(0, all));
    EXPECT_EQ(crc64nvme(crc64nvme(0, all.substr(0, cut)), all.substr(cut)), crc64nvme(0, all));
    EXPECT_EQ(crc32c(0, all.substr(cut)), crc32c_by_table(0, all.substr(cut)));
  }
}

// RFC 8032, 7.1, tests 1 to 3. The seed as PKCS#8 (RFC 8410).
TEST(Ed25519, SignsAndVerifiesAsPublished) {
  const struct {
    const char *seed, *key, *message, *signature;
  } cases[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
       "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
       "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
  };
  for (const auto& c : cases) {
    const std::string der = *unhex("302e020100300506032b657004220420") + *unhex(c.seed);
    auto key = SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\n" + base64(der) + "\n-----END PRIVATE KEY-----\n");
    ASSERT_TRUE(key.ok()) << key.error().message;
    EXPECT_EQ(hex(key->public_raw()), c.key);
    const std::string message = *unhex(c.message);
    std::string signature = key->sign(message);
    EXPECT_EQ(hex(signature), c.signature);
    EXPECT_TRUE(verify_ed25519(key->public_raw(), message, signature));
    EXPECT_FALSE(verify_ed25519(key->public_raw(), message + "x", signature));
    signature[10] ^= 1;
    EXPECT_FALSE(verify_ed25519(key->public_raw(), message, signature));
    EXPECT_FALSE(verify_ed25519("short", message, signature));
    EXPECT_FALSE(verify_ed25519(key->public_raw(), message, "short"));
  }
}

TEST(Ed25519, KeysGoThroughPemAndOthersAreRefused) {
  auto key = SigningKey::generate();
  auto again = SigningKey::from_pem(key->to_pem());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->public_raw(), key->public_raw());
  EXPECT_NE(key->public_pem().find("BEGIN PUBLIC KEY"), std::string::npos);
  EXPECT_EQ(SigningKey::from_pem("").error().code, Code::invalid);
  EXPECT_EQ(SigningKey::from_pem(key->public_pem()).error().code, Code::invalid);
  EXPECT_EQ(SigningKey::from_pem(make_authority("x", 0, 1)->key_pem).error().code, Code::invalid);  // P-256
}

// The GCM specification's test cases 13, 14 and 16 (McGrew and Viega).
TEST(Aead, GivesThePublishedValues) {
  const std::string zero_key(32, '\0'), zero_nonce(12, '\0');
  EXPECT_EQ(hex(aead_seal(zero_key, zero_nonce, "", "")), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(hex(aead_seal(zero_key, zero_nonce, std::string(16, '\0'), "")),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  const std::string key = *unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const std::string nonce = *unhex("cafebabefacedbaddecaf888");
  const std::string plain = *unhex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const std::string aad = *unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  std::string sealed = aead_seal(key, nonce, plain, aad);
  EXPECT_EQ(hex(sealed),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b");
  EXPECT_EQ(*aead_open(key, nonce, sealed, aad), plain);
}

TEST(Aead, RefusesEveryAlteredByte) {
  const std::string key(32, 'k'), nonce(12, 'n');
  const std::string sealed = aead_seal(key, nonce, "some bytes", "aad");
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] ^= 0x10;
    EXPECT_EQ(aead_open(key, nonce, altered, "aad").error().code, Code::corrupt);
  }
  EXPECT_FALSE(aead_open(key, nonce, sealed, "AAD").ok());
  EXPECT_FALSE(aead_open(std::string(32, 'x'), nonce, sealed, "aad").ok());
  EXPECT_FALSE(aead_open(key, nonce, "short", "aad").ok());
}

X509* read_certificate(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* cert = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return cert;
}

TEST(Certificates, ServerIsSignedByItsAuthorityForItsNames) {
  const Micros now = 1'790'000'000'000'000;
  auto authority = make_authority("Holdfast site 0123", now, 3650);
  ASSERT_TRUE(authority.ok());
  auto server = make_server_certificate(*authority, {"localhost", "127.0.0.1", "::1", "ai.example.org"}, now, 365);
  ASSERT_TRUE(server.ok()) << server.error().message;
  X509 *ca = read_certificate(authority->certificate_pem), *cert = read_certificate(server->certificate_pem);
  ASSERT_TRUE(ca && cert);
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, ca);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, cert, nullptr);
  X509_STORE_CTX_set_time(context, 0, now / 1'000'000 + 10);
  X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
  EXPECT_EQ(X509_verify_cert(context), 1) << X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  EXPECT_EQ(X509_check_host(cert, "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(cert, "ai.example.org", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(cert, "::1", 0), 1);
  EXPECT_EQ(X509_check_host(cert, "evil.example.org", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ca(cert), 0);
  X509_free(ca);
  X509_free(cert);
}

TEST(Certificates, BadInputIsRefusedByName) {
  auto authority = make_authority("a", 0, 1);
  EXPECT_EQ(make_server_certificate(*authority, {}, 0, 1).error().code, Code::invalid);
  EXPECT_EQ(make_server_certificate(*authority, {"a,IP:1.2.3.4"}, 0, 1).error().code, Code::invalid);
  EXPECT_EQ(make_server_certificate({"x", "y"}, {"a"}, 0, 1).error().code, Code::invalid);
  EXPECT_EQ(make_server_certificate({authority->certificate_pem, make_authority("b", 0, 1)->key_pem}, {"a"}, 0, 1)
                .error()
                .code,
            Code::invalid);
  EXPECT_FALSE(make_authority(std::string(100, 'n'), 0, 1).ok());
}

TEST(Secrets, AreWipedAndCopiedAsValues) {
  Secret a(std::string("a secret that does not fit inside of the object itself")), b = a;
  EXPECT_EQ(b.reveal(), a.reveal());
  b = Secret("other");
  EXPECT_EQ(b.reveal(), "other");
  alignas(Secret) char place[sizeof(Secret)];
  auto* small = new (place) Secret(std::string("short"));
  small->~Secret();
  EXPECT_EQ(std::string_view(place, sizeof place).find("short"), std::string_view::npos);
}

}  // namespace
}  // namespace hf::crypto
