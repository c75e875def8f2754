#include "security/kms_ring.h"

#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/uuid.h"
#include "security/json.h"

namespace hf::security::kms {
namespace json = boost::json;
namespace {

using Type = crypto::PrivateKey::Type;

constexpr size_t kSalt = 16, kTag = 16, kMaterialPrefix = 8, kHead = 1 + 8 + 16 + kMaterialPrefix;
constexpr size_t kMessageKey = 32;
constexpr Micros kTokenLife = 24LL * 3600 * 1'000'000;

const Spec kSpecs[] = {
    {"SYMMETRIC_DEFAULT", Spec::Kind::symmetric, 0, {}},
    {"HMAC_224", Spec::Kind::hmac, 224, {}},
    {"HMAC_256", Spec::Kind::hmac, 256, {}},
    {"HMAC_384", Spec::Kind::hmac, 384, {}},
    {"HMAC_512", Spec::Kind::hmac, 512, {}},
    {"RSA_2048", Spec::Kind::rsa, 0, Type::rsa_2048},
    {"RSA_3072", Spec::Kind::rsa, 0, Type::rsa_3072},
    {"RSA_4096", Spec::Kind::rsa, 0, Type::rsa_4096},
    {"ECC_NIST_P256", Spec::Kind::ec, 0, Type::p256},
    {"ECC_NIST_P384", Spec::Kind::ec, 0, Type::p384},
    {"ECC_NIST_P521", Spec::Kind::ec, 0, Type::p521},
    {"ECC_SECG_P256K1", Spec::Kind::ec, 0, Type::secp256k1},
    {"ECC_NIST_EDWARDS25519", Spec::Kind::ed25519, 0, Type::ed25519},
};

std::string name_in(const Key& key, const std::string& material) { return key.account + "/" + key.id + "/" + material; }

std::string id_bytes(const std::string& uuid) {
  std::string digits;
  for (char c : uuid)
    if (c != '-') digits += c;
  auto bytes = unhex(digits);
  check(bytes.ok() && bytes->size() == 16, "a key's id is a UUID");
  return *bytes;
}

std::string authenticated(std::string_view head, const EncryptionContext& context) {
  std::string out(head);
  for (const auto& [name, value] : context)
    for (const std::string& one : {name, value}) {
      put_u64be(out, one.size());
      out += one;
    }
  return out;
}

Error no_ciphertext() {
  return fail(Code::invalid, "InvalidCiphertextException",
              "expected a ciphertext that this site made, with the encryption context that it was made with");
}
Error no_material(const Key& key) {
  return fail(Code::conflict, "KMSInvalidStateException",
              "the key " + key.id + " lacks the material that this wants: import it again");
}

// Lines of text in front of the key's bytes: "TYPE\nALGORITHM\nVALID TO\n".
struct ImportToken {
  int type = 0;
  std::string algorithm;
  Micros valid_to = 0;
  std::string_view pair;
};
std::optional<ImportToken> import_token(std::string_view text) {
  ImportToken out;
  std::string_view lines[3];
  for (std::string_view& line : lines) {
    const size_t end = text.find('\n');
    if (end == text.npos) return {};
    line = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  const auto type = parse_int(lines[0]), until = parse_int(lines[2]);
  if (!type.ok() || !until.ok()) return {};
  out.type = static_cast<int>(*type);
  out.algorithm = lines[1];
  out.valid_to = *until;
  out.pair = text;
  return out;
}

}  // namespace

const Spec* spec_of(std::string_view name) {
  for (const Spec& s : kSpecs)
    if (name == s.name) return &s;
  return nullptr;
}

Result<Blob> parse_blob(std::string_view bytes) {
  if (bytes.size() < kHead + kSalt + kTag || bytes[0] != 1) return no_ciphertext();
  const uint64_t account = get_u64be(bytes.data() + 1);
  if (account > 999'999'999'999) return no_ciphertext();
  Blob b;
  b.account = std::to_string(account);
  b.account.insert(0, 12 - b.account.size(), '0');
  b.key = uuid_text(bytes.substr(9, 16));
  b.material = hex(bytes.substr(25, kMaterialPrefix));
  b.head = bytes.substr(0, kHead);
  b.salt = bytes.substr(kHead, kSalt);
  b.sealed = bytes.substr(kHead + kSalt);
  return b;
}

KeyRing::KeyRing(const crypto::Secret& root_key, os::Random& random)
    : random_(random),
      materials_(root_key, "kms-material", random),
      imports_(root_key, "kms-import", random),
      grants_(root_key, "kms-grant", random),
      id_key_(crypto::hmac_sha256(root_key.reveal(), "holdfast-kms-material-ids-v1")) {}

Result<Material> KeyRing::generate(const Key& key, Micros now) const {
  const Spec* spec = spec_of(key.spec);
  check(spec != nullptr, "a key has a spec that there is");
  if (spec->type) {
    const auto pair = TRY(crypto::PrivateKey::generate(*spec->type));
    return take(key, pair.to_der(), now);
  }
  const size_t bytes = spec->kind == Spec::Kind::symmetric ? kMessageKey : static_cast<size_t>(spec->bits) / 8;
  return take(key, crypto::Secret(random_.bytes(bytes)), now);
}

Result<Material> KeyRing::take(const Key& key, const crypto::Secret& bytes, Micros now) const {
  const Spec* spec = spec_of(key.spec);
  check(spec != nullptr, "a key has a spec that there is");
  const size_t n = bytes.reveal().size();
  const auto expected = [&](const char* what) {
    return fail(Code::invalid, "IncorrectKeyMaterialException",
                std::string("expected ") + what + ", found " + std::to_string(n) + " bytes");
  };
  if (spec->kind == Spec::Kind::symmetric && n != kMessageKey) return expected("a key of 32 bytes");
  if (spec->kind == Spec::Kind::hmac && (n < static_cast<size_t>(spec->bits) / 8 || n > 128))
    return expected("a key as long as the hash, up to 128 bytes");
  if (spec->type && !crypto::PrivateKey::from_der(*spec->type, bytes.reveal()).ok())
    return expected("a private key of the key's spec in PKCS#8");
  Material m;
  const crypto::Secret named(name_in(key, std::string(bytes.reveal())));
  m.id = hex(crypto::hmac_sha256(id_key_.reveal(), named.reveal()));
  m.sealed = materials_.seal(bytes.reveal(), name_in(key, m.id));
  m.created = now;
  return m;
}

Result<crypto::Secret> KeyRing::open(const Key& key, const Material& material) const {
  if (material.sealed.empty()) return no_material(key);
  auto bytes = materials_.open(material.sealed, name_in(key, material.id));
  if (!bytes.ok()) return fail(Code::corrupt, "the key " + key.id + ": its material does not open");
  return bytes;
}

Result<crypto::PrivateKey> KeyRing::pair(const Key& key) const {
  const Spec* spec = spec_of(key.spec);
  check(spec && spec->type, "a key pair");
  const Material* m = key.current();
  if (!m) return no_material(key);
  const crypto::Secret der = TRY(open(key, *m));
  auto out = crypto::PrivateKey::from_der(*spec->type, der.reveal());
  if (!out.ok()) return fail(Code::corrupt, "the key " + key.id + ": its material is no key");
  return out;
}

crypto::Secret KeyRing::message_key(const crypto::Secret& material, std::string_view salt) const {
  return crypto::Secret(crypto::hmac_sha256(material.reveal(), "holdfast-kms-message-v1\n" + std::string(salt)));
}

Result<std::string> KeyRing::encrypt(const Key& key, std::string_view plain, const EncryptionContext& context) const {
  const Material* m = key.current();
  if (!m) return no_material(key);
  const crypto::Secret material = TRY(open(key, *m));
  std::string out(1, '\x01');
  put_u64be(out, std::stoull(key.account));
  out += id_bytes(key.id) + *unhex(m->id.substr(0, 2 * kMaterialPrefix));
  const std::string salt = random_.bytes(kSalt), aad = authenticated(out, context);
  const crypto::Secret one = message_key(material, salt);
  return out + salt + crypto::aead_seal(one.reveal(), std::string(12, '\0'), plain, aad);
}

Result<crypto::Secret> KeyRing::decrypt(const Key& key, const Blob& blob, const EncryptionContext& context) const {
  const Material* with = nullptr;
  for (const Material& m : key.materials)
    if (m.id.starts_with(blob.material)) with = &m;
  if (!with) return no_ciphertext();
  const crypto::Secret material = TRY(open(key, *with));
  const crypto::Secret one = message_key(material, blob.salt);
  auto plain = crypto::aead_open(one.reveal(), std::string(12, '\0'), blob.sealed, authenticated(blob.head, context));
  if (!plain.ok()) return no_ciphertext();
  return crypto::Secret(std::move(*plain));
}

// ---- material from outside

Result<ImportParameters> KeyRing::import_parameters(const Key& key, Type type, std::string_view algorithm,
                                                    Micros now) const {
  const auto pair = TRY(crypto::PrivateKey::generate(type));
  const crypto::Secret der = pair.to_der();
  ImportParameters out;
  out.valid_to = now + kTokenLife;
  out.public_der = pair.public_der();
  const crypto::Secret plain(std::to_string(static_cast<int>(type)) + "\n" + std::string(algorithm) + "\n" +
                             std::to_string(out.valid_to) + "\n" + std::string(der.reveal()));
  out.token = imports_.seal(plain.reveal(), key.account + "/" + key.id);
  return out;
}

Result<crypto::Secret> KeyRing::unwrap(const Key& key, std::string_view token, std::string_view wrapped,
                                       Micros now) const {
  const Error none =
      fail(Code::invalid, "InvalidImportTokenException", "expected an import token that this site gave for this key");
  auto opened = imports_.open(token, key.account + "/" + key.id);
  if (!opened.ok()) return none;
  const auto told = import_token(opened->reveal());
  if (!told) return none;
  if (told->valid_to <= now)
    return fail(Code::invalid, "ExpiredImportTokenException", "the import token has expired: ask for another");
  const auto type = static_cast<Type>(told->type);
  const std::string& algorithm = told->algorithm;
  const auto pair = TRY(crypto::PrivateKey::from_der(type, told->pair));
  const crypto::Hash hash = algorithm.ends_with("SHA_1") ? crypto::Hash::sha1 : crypto::Hash::sha256;
  const Error bad = fail(Code::invalid, "InvalidCiphertextException",
                         "EncryptedKeyMaterial: expected key material that was wrapped by " + algorithm +
                             " with the public key that came with the token");
  if (algorithm.starts_with("RSAES_OAEP")) {
    auto out = pair.decrypt(hash, wrapped);
    return out.ok() ? std::move(out) : Result<crypto::Secret>(bad);
  }
  // RSA_AES_KEY_WRAP: an AES key under RSA-OAEP, then the material under that key by RFC 5649.
  const size_t modulus = type == Type::rsa_2048 ? 256 : type == Type::rsa_3072 ? 384 : 512;
  if (wrapped.size() <= modulus) return bad;
  auto kek = pair.decrypt(hash, wrapped.substr(0, modulus));
  if (!kek.ok()) return bad;
  auto out = crypto::unwrap_key(kek->reveal(), wrapped.substr(modulus));
  return out.ok() ? std::move(out) : Result<crypto::Secret>(bad);
}

// ---- grant tokens

std::string KeyRing::grant_token(const Grant& g) const {
  return grants_.seal(json::serialize(json::array{g.account, g.key, g.id}), "");
}

Result<Grant> KeyRing::open_grant_token(const std::string& token) const {
  const Error bad =
      fail(Code::invalid, "InvalidGrantTokenException", "expected a grant token that CreateGrant of this site gave");
  auto opened = grants_.open(token, "");
  if (!opened.ok()) return bad;
  auto v = parse_json(opened->reveal(), 4096, "a grant token");
  if (!v.ok() || !v->is_array() || v->get_array().size() != 3) return bad;
  Grant g;
  std::string* const into[] = {&g.account, &g.key, &g.id};
  for (size_t i = 0; i < 3; ++i) {
    const json::value& one = v->get_array()[i];
    if (!one.is_string()) return bad;
    *into[i] = one.get_string().c_str();
  }
  return g;
}

}  // namespace hf::security::kms
