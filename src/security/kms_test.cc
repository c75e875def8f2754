#include "security/kms.h"

#include <boost/json.hpp>

#include "base/bytes.h"
#include "security/kms_keeper.h"
#include "security/site_testing.h"

namespace hf::security::kms {
namespace {

constexpr Micros kDay = 24LL * 3600 * 1'000'000;
const char* const kPolicy =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}})";

class Kms : public ::testing::Test {
 protected:
  Kms() {
    EXPECT_TRUE(site_.open().ok());
    EXPECT_TRUE(prepare(*site_.db).ok());
  }
  Key made(const std::string& spec = "SYMMETRIC_DEFAULT") {
    Key key;
    key.account = "111122223333";
    key.id = "12345678-1234-4234-a234-1234567890" + std::to_string(10 + n_++);
    key.spec = spec;
    key.policy = kPolicy;
    key.created = site_.clock.now();
    key.materials.push_back(*ring_.generate(key, key.created));
    write(key);
    return key;
  }
  void write(const Key& key) {
    ASSERT_TRUE(site_.db->write([&](store::Txn& txn) { return put(txn, key); }).ok());
  }
  std::optional<Key> read(const Key& key) {
    std::optional<Key> out;
    EXPECT_TRUE(site_.db
                    ->read([&](store::Txn& txn) -> Status {
                      out = TRY(find(txn, key.account, key.id, site_.clock.now()));
                      return {};
                    })
                    .ok());
    return out;
  }
  std::vector<std::string> actions() {
    std::vector<std::string> out;
    const auto lines = site_.ledger->entries(0, 1000);
    for (const std::string& line : *lines) out.push_back(boost::json::parse(line).at("action").as_string().c_str());
    return out;
  }
  std::unique_ptr<Keeper> keeper() {
    return Keeper::start({site_.clock, *site_.db, *site_.ledger, ring_},
                         {.region = "site-1", .principal = "arn:aws:holdfast:site-1::site/x", .thread = false});
  }

  int n_ = 0;
  testing::TestSite site_{"kms"};
  KeyRing ring_{crypto::Secret("root"), site_.random};
};

TEST_F(Kms, AKeyIsReadAsItWasWritten) {
  Key key = made();
  key.description = "for \"tests\" \xc3\xa9";
  key.tags = {{"a", "1"}, {"b", ""}};
  key.rotation_days = 90;
  key.next_rotation = key.created + 90 * kDay;
  key.materials.back().description = "words";
  write(key);
  const auto again = read(key);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->description, key.description);
  EXPECT_EQ(again->tags, key.tags);
  EXPECT_EQ(again->rotation_days, 90);
  EXPECT_EQ(again->materials.back().id, key.materials.back().id);
  EXPECT_EQ(again->materials.back().sealed, key.materials.back().sealed);
  EXPECT_EQ(again->state(), State::enabled);
}

// Threat: a ciphertext, or its context, that is altered; each byte of it.
TEST_F(Kms, NoByteOfACiphertextCanBeChanged) {
  const Key key = made();
  const EncryptionContext context = {{"app", "x"}, {"b", ""}};
  const std::string sealed = *ring_.encrypt(key, "a secret", context);
  const auto blob = parse_blob(sealed);
  ASSERT_TRUE(blob.ok());
  EXPECT_EQ(blob->account, key.account);
  EXPECT_EQ(blob->key, key.id);
  EXPECT_EQ(ring_.decrypt(key, *blob, context)->reveal(), "a secret");
  for (size_t i = 0; i < sealed.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = sealed;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      const auto other = parse_blob(bad);
      EXPECT_FALSE(other.ok() && ring_.decrypt(key, *other, context).ok()) << i << " " << bit;
    }
  for (size_t n = 0; n < sealed.size(); ++n) {
    const auto shorter = parse_blob(std::string_view(sealed).substr(0, n));
    EXPECT_FALSE(shorter.ok() && ring_.decrypt(key, *shorter, context).ok()) << n;
  }
  for (const EncryptionContext& other : std::vector<EncryptionContext>{{},
                                                                       {{"app", "x"}},
                                                                       {{"app", "y"}, {"b", ""}},
                                                                       {{"app", "x"}, {"b", ""}, {"c", ""}},
                                                                       {{"ap", "px"}, {"b", ""}}})
    EXPECT_FALSE(ring_.decrypt(key, *blob, other).ok());
  EXPECT_NE(sealed, *ring_.encrypt(key, "a secret", context)) << "each message has a salt of its own";
}

TEST_F(Kms, MaterialIsOfItsKeyAndOfTheRootKeyAlone) {
  const Key key = made(), other = made();
  Key mixed = other;
  mixed.materials = key.materials;
  EXPECT_EQ(ring_.open(mixed, mixed.materials[0]).error().code, Code::corrupt) << "another key's";
  const KeyRing stranger(crypto::Secret("another root"), site_.random);
  EXPECT_EQ(stranger.open(key, key.materials[0]).error().code, Code::corrupt);
  EXPECT_EQ(ring_.open(key, key.materials[0])->reveal().size(), 32u);
  const std::string file = testing::read_text(site_.path()) + testing::read_text(site_.path() + "-wal");
  EXPECT_EQ(file.find(std::string(ring_.open(key, key.materials[0])->reveal())), std::string::npos);
}

TEST_F(Kms, EachSpecHasMaterialOfItsOwn) {
  for (const char* name : {"HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "ECC_NIST_P256", "ECC_NIST_P384",
                           "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "RSA_2048"}) {
    const Key key = made(name);
    const auto bytes = ring_.open(key, key.materials[0]);
    ASSERT_TRUE(bytes.ok()) << name;
    const Spec* spec = spec_of(name);
    if (spec->bits) {
      EXPECT_EQ(bytes->reveal().size(), static_cast<size_t>(spec->bits) / 8) << name;
    }
    if (spec->type) {
      EXPECT_TRUE(ring_.pair(key).ok()) << name;
    }
    EXPECT_FALSE(ring_.take(key, crypto::Secret("wrong"), 0).ok()) << name;
  }
  EXPECT_EQ(spec_of("SM2"), nullptr);
}

TEST_F(Kms, OldCiphertextsOpenAfterARotation) {
  Key key = made();
  const std::string before = *ring_.encrypt(key, "old", {});
  key.materials.push_back(*ring_.generate(key, site_.clock.now()));
  const std::string after = *ring_.encrypt(key, "new", {});
  EXPECT_EQ(ring_.decrypt(key, *parse_blob(before), {})->reveal(), "old");
  EXPECT_EQ(ring_.decrypt(key, *parse_blob(after), {})->reveal(), "new");
  EXPECT_NE(parse_blob(before)->material, parse_blob(after)->material);
}

TEST_F(Kms, TheKeeperDoesWhatIsDue) {
  Key doomed = made(), turning = made(), imported = made(), idle = made();
  doomed.deletion = site_.clock.now() + 7 * kDay;
  turning.rotation_days = 90;
  turning.next_rotation = site_.clock.now() + 90 * kDay;
  imported.origin = "EXTERNAL";
  imported.materials[0].valid_to = site_.clock.now() + 10 * kDay;
  for (const Key* key : {&doomed, &turning, &imported}) write(*key);
  ASSERT_TRUE(site_.db
                  ->write([&](store::Txn& txn) -> Status {
                    TRY(put(txn, Alias{doomed.account, "alias/x", doomed.id, 1, 1}));
                    Grant grant;
                    grant.account = doomed.account;
                    grant.key = doomed.id;
                    grant.id = "g";
                    grant.grantee = "arn:aws:iam::111122223333:user/u";
                    return put(txn, grant);
                  })
                  .ok());
  const auto keep = keeper();
  ASSERT_TRUE(keep->step().ok());
  EXPECT_TRUE(actions().empty()) << "nothing is due yet";
  site_.clock.advance(7 * kDay);
  EXPECT_FALSE(read(doomed)) << "it is gone from that instant, whether or not the keeper has come";
  ASSERT_TRUE(keep->step().ok());
  EXPECT_EQ(actions(), std::vector<std::string>{"kms:DeleteKey"});
  ASSERT_TRUE(site_.db
                  ->read([&](store::Txn& txn) -> Status {
                    EXPECT_FALSE(TRY(stored(txn, doomed.account, doomed.id)));
                    EXPECT_FALSE(TRY(find_alias(txn, doomed.account, "alias/x")));
                    EXPECT_EQ(TRY(count_grants(txn, doomed.account, doomed.id)), 0);
                    return {};
                  })
                  .ok());
  site_.clock.advance(3 * kDay);
  EXPECT_EQ(read(imported)->state(), State::pending_import);
  ASSERT_TRUE(keep->step().ok());
  EXPECT_EQ(actions().back(), "kms:DeleteExpiredKeyMaterial");
  site_.clock.advance(80 * kDay);
  ASSERT_TRUE(keep->step().ok());
  EXPECT_EQ(actions().back(), "kms:RotateKey");
  EXPECT_EQ(read(turning)->materials.size(), 2u);
  EXPECT_EQ(read(turning)->next_rotation, turning.next_rotation + 90 * kDay);
  const size_t before = actions().size();
  ASSERT_TRUE(keep->step().ok());
  EXPECT_EQ(actions().size(), before) << "each once";
  EXPECT_EQ(read(idle)->materials.size(), 1u);
}

TEST_F(Kms, ImportTokensAreOfTheirKeyAndTime) {
  Key key = made();
  const auto parameters =
      ring_.import_parameters(key, crypto::PrivateKey::Type::rsa_2048, "RSAES_OAEP_SHA_256", site_.clock.now());
  ASSERT_TRUE(parameters.ok());
  const auto error = [&](const Key& of, const std::string& token, Micros now) {
    const auto out = ring_.unwrap(of, token, "not wrapped", now);
    return out.ok() ? std::string() : out.error().name;
  };
  EXPECT_EQ(error(key, parameters->token, site_.clock.now()), "InvalidCiphertextException");
  EXPECT_EQ(error(made(), parameters->token, site_.clock.now()), "InvalidImportTokenException");
  EXPECT_EQ(error(key, parameters->token + "x", site_.clock.now()), "InvalidImportTokenException");
  EXPECT_EQ(error(key, parameters->token, parameters->valid_to), "ExpiredImportTokenException");
}

}  // namespace
}  // namespace hf::security::kms
