// C2SP's Wycheproof vectors (https://github.com/C2SP/wycheproof, folder testvectors_v1), where HOLDFAST_WYCHEPROOF
// names that folder; they are not part of this repository. What we have no use for (other key sizes, tags or nonces of
// other lengths, labels) is left out by its parameters, never by its outcome.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>

#include "base/bytes.h"
#include "crypto/private_key.h"
#include "crypto/public_key.h"

namespace hf::crypto {
namespace {

namespace json = boost::json;
using Type = PrivateKey::Type;

std::string bytes(const json::object& o, const char* name) { return *unhex(std::string(o.at(name).as_string())); }
// Without the zeros in front that DER wants.
std::string number(const json::object& o, const char* name) {
  std::string out = bytes(o, name);
  out.erase(0, std::min(out.find_first_not_of('\0'), out.size()));
  return out;
}

class Wycheproof : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("HOLDFAST_WYCHEPROOF");
    if (!folder) GTEST_SKIP() << "HOLDFAST_WYCHEPROOF does not name the folder of the vectors";
    folder_ = folder;
  }
  // `outcome`: whether we take it; nothing: it is not for us.
  using Outcome = std::function<std::optional<bool>(const json::object& group, const json::object& test)>;
  void run(const std::string& file, const Outcome& outcome) {
    std::ifstream in(folder_ + "/" + file + ".json", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    ASSERT_FALSE(text.empty()) << folder_ << "/" << file << ".json: expected a file of vectors";
    const json::value all = json::parse(text);
    int tried = 0;
    for (const json::value& group : all.at("testGroups").as_array())
      for (const json::value& test : group.at("tests").as_array()) {
        const auto taken = outcome(group.as_object(), test.as_object());
        if (!taken) continue;
        ++tried;
        const std::string expected(test.at("result").as_string());
        EXPECT_TRUE(expected == "acceptable" || *taken == (expected == "valid"))
            << file << " " << test.at("tcId").as_int64() << ": " << test.at("comment").as_string() << ", expected "
            << expected;
      }
    EXPECT_GT(tried, 0) << file;
    std::printf("%s: %d tried\n", file.c_str(), tried);
  }
  std::string folder_;
};

TEST_F(Wycheproof, AesGcm) {
  run("aes_gcm_test", [](const json::object& g, const json::object& t) -> std::optional<bool> {
    if (g.at("keySize") != 256 || g.at("ivSize") != 96 || g.at("tagSize") != 128) return {};
    const auto plain = aead_open(bytes(t, "key"), bytes(t, "iv"), bytes(t, "ct") + bytes(t, "tag"), bytes(t, "aad"));
    return plain.ok() && *plain == bytes(t, "msg");
  });
}

TEST_F(Wycheproof, Hmac) {
  for (int bits : {224, 256, 384, 512})
    run("hmac_sha" + std::to_string(bits) + "_test",
        [bits](const json::object&, const json::object& t) -> std::optional<bool> {
          const std::string tag = bytes(t, "tag");
          return hmac_sha2(bits, bytes(t, "key"), bytes(t, "msg")).substr(0, tag.size()) == tag;
        });
}

TEST_F(Wycheproof, KeyWrap) {
  run("aes_kwp_test", [](const json::object&, const json::object& t) -> std::optional<bool> {
    const auto plain = unwrap_key(bytes(t, "key"), bytes(t, "ct"));
    return plain.ok() && plain->reveal() == bytes(t, "msg");
  });
}

// PKCS#8 of an EC key without its public half: OpenSSL computes it.
std::string ec_pkcs8(const std::string& curve_oid, std::string scalar, size_t length) {
  scalar.insert(0, length - std::min(length, scalar.size()), '\0');
  const auto tlv = [](char tag, const std::string& in) {
    std::string out(1, tag);
    if (in.size() > 127) out += '\x81';
    return out + static_cast<char>(in.size()) + in;
  };
  const std::string key = tlv(0x30, tlv(0x02, "\x01") + tlv(0x04, scalar));
  return tlv(0x30, tlv(0x02, std::string(1, '\0')) + tlv(0x30, tlv(0x06, *unhex("2a8648ce3d0201")) + curve_oid) +
                       tlv(0x04, key));
}

TEST_F(Wycheproof, Ecdh) {
  struct Curve {
    const char *file, *oid;
    Type type;
    size_t length;
  };
  for (const Curve& c : {Curve{"ecdh_secp256r1_test", "06082a8648ce3d030107", Type::p256, 32},
                         Curve{"ecdh_secp384r1_test", "06052b81040022", Type::p384, 48},
                         Curve{"ecdh_secp521r1_test", "06052b81040023", Type::p521, 66}})
    run(c.file, [&c](const json::object& g, const json::object& t) -> std::optional<bool> {
      if (g.at("encoding") != "asn") return {};
      const auto mine = PrivateKey::from_der(c.type, ec_pkcs8(*unhex(c.oid), number(t, "private"), c.length));
      EXPECT_TRUE(mine.ok()) << t.at("tcId").as_int64();
      if (!mine.ok()) return {};
      const auto shared = mine->agree(bytes(t, "public"));
      return shared.ok() && shared->reveal() == bytes(t, "shared");
    });
}

TEST_F(Wycheproof, Ed25519) {
  run("ed25519_test", [](const json::object& g, const json::object& t) -> std::optional<bool> {
    const auto key = PublicKey::ed25519(bytes(g.at("publicKey").as_object(), "pk"));
    return key.ok() && key->verify_ed25519(bytes(t, "msg"), bytes(t, "sig"));
  });
}

TEST_F(Wycheproof, Ecdsa) {
  for (const auto& [file, curve, length] :
       {std::tuple("ecdsa_secp256r1_sha256_p1363_test", PublicKey::Curve::p256, size_t{32}),
        std::tuple("ecdsa_secp384r1_sha384_p1363_test", PublicKey::Curve::p384, size_t{48})})
    run(file, [curve = curve, length = length](const json::object& g, const json::object& t) -> std::optional<bool> {
      const json::object& open = g.at("publicKey").as_object();
      const auto padded = [&](const char* name) {
        std::string n = number(open, name);
        return n.insert(0, length - n.size(), '\0');
      };
      const auto key = PublicKey::ec(curve, padded("wx"), padded("wy"));
      return key.ok() && key->verify_ec(curve, bytes(t, "msg"), bytes(t, "sig"));
    });
}

TEST_F(Wycheproof, RsaSignatures) {
  for (const auto& [file, hash] : {std::pair("rsa_signature_2048_sha256_test", Hash::sha256),
                                   std::pair("rsa_signature_2048_sha512_test", Hash::sha512)})
    run(file, [hash = hash](const json::object& g, const json::object& t) -> std::optional<bool> {
      const json::object& open = g.at("publicKey").as_object();
      const auto key = PublicKey::rsa(number(open, "modulus"), number(open, "publicExponent"));
      return key.ok() && key->verify_rsa(hash, bytes(t, "msg"), bytes(t, "sig"));
    });
}

TEST_F(Wycheproof, RsaOaep) {
  for (const auto& [file, hash] : {std::pair("rsa_oaep_2048_sha1_mgf1sha1_test", Hash::sha1),
                                   std::pair("rsa_oaep_2048_sha256_mgf1sha256_test", Hash::sha256)})
    run(file, [hash = hash](const json::object& g, const json::object& t) -> std::optional<bool> {
      if (t.contains("label") && !t.at("label").as_string().empty()) return {};
      const auto key = PrivateKey::from_der(Type::rsa_2048, bytes(g, "privateKeyPkcs8"));
      EXPECT_TRUE(key.ok());
      if (!key.ok()) return {};
      const auto plain = key->decrypt(hash, bytes(t, "ct"));
      return plain.ok() && plain->reveal() == bytes(t, "msg");
    });
}

}  // namespace
}  // namespace hf::crypto
