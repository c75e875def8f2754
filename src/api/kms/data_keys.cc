// Keys for use outside, and random bytes.
#include "api/kms/encryption.h"

namespace hf::api::kms_api {
namespace {

template <class In>
void key_fields(wire::Fields<In>& f) {
  f("KeyId", &In::key_id).required().length(1, 2048);
  f("EncryptionContext", &In::pairs);
  f("GrantTokens", &In::tokens).length(0, 10);
  f("DryRun", &In::dry);
}

// The symmetric key that the new one goes under, which the caller may ask for it.
template <class In>
Result<Key> wrapping(Call& call, const In& in, security::Context context) {
  TRY(check_context("EncryptionContext", in.pairs));
  keys::tell(context, in.pairs);
  context["kms:encryptionalgorithm"] = {"SYMMETRIC_DEFAULT"};
  Key key = TRY(ask(
      call, {.key_id = in.key_id, .named = Named::alias, .context = std::move(context), .grant_tokens = in.tokens}));
  TRY(usable(call, key));
  TRY(check_algorithm(key, "ENCRYPT_DECRYPT", "KeyId", "SYMMETRIC_DEFAULT"));
  return key;
}

// ---- symmetric ones

struct DataKey {
  std::string key_id;
  EncryptionContext pairs;
  std::vector<std::string> tokens;
  std::optional<std::string> spec;
  std::optional<int64_t> bytes;
  std::optional<bool> dry;
  static void fields(wire::Fields<DataKey>& f) {
    key_fields(f);
    f("NumberOfBytes", &DataKey::bytes).range(1, 1024);
    f("KeySpec", &DataKey::spec).one_of({"AES_256", "AES_128"});
    f.refused("Recipient", kNoEnclaves);
  }
};
struct Sealed {
  wire::Blob sealed;
  std::string arn;
  std::optional<std::string> material;
  static void fields(wire::Fields<Sealed>& f) {
    f("CiphertextBlob", &Sealed::sealed);
    f("KeyId", &Sealed::arn);
    f("KeyMaterialId", &Sealed::material);
  }
};
struct Both {
  wire::Blob sealed, plain;
  std::string arn;
  std::optional<std::string> material;
  static void fields(wire::Fields<Both>& f) {
    f("CiphertextBlob", &Both::sealed);
    f("Plaintext", &Both::plain).secret();
    f("KeyId", &Both::arn);
    f("KeyMaterialId", &Both::material);
  }
};

Result<Both> make(Call& call, const DataKey& in) {
  const Key key = TRY(wrapping(call, in, {}));
  if (in.spec.has_value() == in.bytes.has_value())
    return invalid("KeySpec, NumberOfBytes: expected exactly one of them");
  const int64_t bytes = in.bytes ? *in.bytes : *in.spec == "AES_256" ? 32 : 16;
  const crypto::Secret plain(call.site().random.bytes(static_cast<size_t>(bytes)));
  Both out{{TRY(ring(call).encrypt(key, plain.reveal(), in.pairs))},
           {std::string(plain.reveal())},
           key_arn(call, key),
           key.current()->id};
  TRY(dry_run(in.dry));
  json::object detail = detail_of(in.pairs);
  detail["numberOfBytes"] = bytes;
  TRY(call.record(told(std::move(detail))));
  return out;
}
Result<Both> generate(Call& call, const DataKey& in) { return make(call, in); }
Result<Sealed> generate_sealed(Call& call, const DataKey& in) {
  Both both = TRY(make(call, in));
  return Sealed{std::move(both.sealed), std::move(both.arn), std::move(both.material)};
}

// ---- pairs

struct DataPair {
  std::string key_id, spec;
  EncryptionContext pairs;
  std::vector<std::string> tokens;
  std::optional<bool> dry;
  static void fields(wire::Fields<DataPair>& f) {
    key_fields(f);
    f("KeyPairSpec", &DataPair::spec)
        .required()
        .one_of({"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521",
                 "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"});
    f.refused("Recipient", kNoEnclaves);
  }
};
template <bool Plain>
struct Pair {
  wire::Blob sealed, plain, open;
  std::string arn, spec;
  std::optional<std::string> material;
  static void fields(wire::Fields<Pair>& f) {
    f("PrivateKeyCiphertextBlob", &Pair::sealed);
    if (Plain) f("PrivateKeyPlaintext", &Pair::plain).secret();
    f("PublicKey", &Pair::open);
    f("KeyId", &Pair::arn);
    f("KeyPairSpec", &Pair::spec);
    f("KeyMaterialId", &Pair::material);
  }
};
template <bool Plain>
Result<Pair<Plain>> generate_pair(Call& call, const DataPair& in) {
  security::Context context;
  context["kms:datakeypairspec"] = {in.spec};
  const Key key = TRY(wrapping(call, in, std::move(context)));
  const auto pair = TRY(crypto::PrivateKey::generate(*keys::spec_of(in.spec)->type));
  const crypto::Secret der = pair.to_der();
  Pair<Plain> out;
  out.sealed.bytes = TRY(ring(call).encrypt(key, der.reveal(), in.pairs));
  if (Plain) out.plain.bytes = der.reveal();
  out.open.bytes = pair.public_der();
  out.arn = key_arn(call, key);
  out.spec = in.spec;
  out.material = key.current()->id;
  TRY(dry_run(in.dry));
  json::object detail = detail_of(in.pairs);
  detail["keyPairSpec"] = in.spec;
  TRY(call.record(told(std::move(detail))));
  return out;
}

struct Random {
  std::optional<int64_t> bytes;
  static void fields(wire::Fields<Random>& f) {
    f("NumberOfBytes", &Random::bytes).required().range(1, 1024);
    f.refused("CustomKeyStoreId", "there are no custom key stores");
    f.refused("Recipient", kNoEnclaves);
  }
};
struct RandomResponse {
  wire::Blob plain;
  static void fields(wire::Fields<RandomResponse>& f) { f("Plaintext", &RandomResponse::plain).secret(); }
};
Result<RandomResponse> random(Call& call, const Random& in) {
  TRY(ask_any(call));
  TRY(call.record(told({{"numberOfBytes", *in.bytes}})));
  return RandomResponse{{call.site().random.bytes(static_cast<size_t>(*in.bytes))}};
}

}  // namespace

void add_data_keys(Service& s) {
  add<DataKey, Both>(s, "GenerateDataKey", Effect::read_data, generate, of_key<DataKey>);
  add<DataKey, Sealed>(s, "GenerateDataKeyWithoutPlaintext", Effect::read_data, generate_sealed, of_key<DataKey>);
  add<DataPair, Pair<true>>(s, "GenerateDataKeyPair", Effect::read_data, generate_pair<true>, of_key<DataPair>);
  add<DataPair, Pair<false>>(s, "GenerateDataKeyPairWithoutPlaintext", Effect::read_data, generate_pair<false>,
                             of_key<DataPair>);
  add<Random, RandomResponse>(s, "GenerateRandom", Effect::read_data, random, no_key<Random>);
}

}  // namespace hf::api::kms_api
