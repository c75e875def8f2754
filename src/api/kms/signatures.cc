// Signatures, MACs and key agreement.
#include "api/kms/encryption.h"
#include "base/bytes.h"

namespace hf::api::kms_api {
namespace {

using Padding = crypto::PrivateKey::Padding;

crypto::Hash hash_of(const std::string& algorithm) {
  return algorithm.ends_with("256")   ? crypto::Hash::sha256
         : algorithm.ends_with("384") ? crypto::Hash::sha384
                                      : crypto::Hash::sha512;
}
Padding padding_of(const std::string& algorithm) {
  return algorithm.find("PSS") != std::string::npos ? Padding::pss : Padding::pkcs1;
}

struct Message {
  std::string key_id, algorithm;
  wire::Blob message;
  std::optional<std::string> type;
  std::vector<std::string> tokens;
  std::optional<bool> dry;
};
template <class In>
void message_fields(wire::Fields<In>& f) {
  f("KeyId", static_cast<std::string In::*>(&In::key_id)).required().length(1, 2048);
  f("Message", static_cast<wire::Blob In::*>(&In::message)).required();
  f("MessageType", static_cast<std::optional<std::string> In::*>(&In::type)).one_of({"RAW", "DIGEST", "EXTERNAL_MU"});
  f("GrantTokens", static_cast<std::vector<std::string> In::*>(&In::tokens)).length(0, 10);
  f("SigningAlgorithm", static_cast<std::string In::*>(&In::algorithm)).required();
  f("DryRun", static_cast<std::optional<bool> In::*>(&In::dry));
}

// The key, and what is signed: the message's digest, or the message itself where the algorithm takes it.
struct Prepared {
  Key key;
  crypto::PrivateKey pair;
  std::string text;
};
Result<Prepared> prepare(Call& call, const Message& in) {
  const std::string type = in.type.value_or("RAW");
  security::Context context;
  context["kms:signingalgorithm"] = {in.algorithm};
  context["kms:messagetype"] = {type};
  Key key = TRY(ask(
      call, {.key_id = in.key_id, .named = Named::alias, .context = std::move(context), .grant_tokens = in.tokens}));
  TRY(check_bytes("Message", in.message, kMostPlain));
  TRY(usable(call, key));
  TRY(check_algorithm(key, "SIGN_VERIFY", "SigningAlgorithm", in.algorithm));
  const bool whole = in.algorithm == "ED25519_SHA_512";
  if (type == "EXTERNAL_MU" || (whole && type != "RAW"))
    return invalid("MessageType: expected RAW" + std::string(whole ? "" : " or DIGEST") + " with " + in.algorithm +
                   ", found " + type);
  std::string text = in.message.bytes;
  if (!whole && type == "RAW") text = crypto::digest(hash_of(in.algorithm), text);
  if (!whole && text.size() != crypto::digest(hash_of(in.algorithm), "").size())
    return invalid("Message: expected a digest as long as that of " + in.algorithm + ", found " +
                   std::to_string(text.size()) + " bytes");
  auto pair = TRY(ring(call).pair(key));
  return Prepared{std::move(key), std::move(pair), std::move(text)};
}
std::string detail_of(const Message& in) {
  return told({{"signingAlgorithm", in.algorithm}, {"messageType", in.type.value_or("RAW")}});
}

struct Sign : Message {
  static void fields(wire::Fields<Sign>& f) { message_fields(f); }
};
struct Signed {
  std::string arn, algorithm;
  wire::Blob signature;
  static void fields(wire::Fields<Signed>& f) {
    f("KeyId", &Signed::arn);
    f("Signature", &Signed::signature);
    f("SigningAlgorithm", &Signed::algorithm);
  }
};
Result<Signed> sign(Call& call, const Sign& in) {
  const Prepared p = TRY(prepare(call, in));
  Signed out{key_arn(call, p.key), in.algorithm, {}};
  out.signature.bytes = in.algorithm == "ED25519_SHA_512"
                            ? TRY(p.pair.sign_message(p.text))
                            : TRY(p.pair.sign_digest(hash_of(in.algorithm), padding_of(in.algorithm), p.text));
  TRY(dry_run(in.dry));
  TRY(call.record(detail_of(in)));
  return out;
}

struct Verify : Message {
  wire::Blob signature;
  static void fields(wire::Fields<Verify>& f) {
    message_fields(f);
    f("Signature", &Verify::signature).required();
  }
};
struct Verified {
  std::string arn, algorithm;
  bool valid = true;
  static void fields(wire::Fields<Verified>& f) {
    f("KeyId", &Verified::arn);
    f("SignatureValid", &Verified::valid);
    f("SigningAlgorithm", &Verified::algorithm);
  }
};
Result<Verified> verify(Call& call, const Verify& in) {
  TRY(check_bytes("Signature", in.signature, kMostCipher));
  const Prepared p = TRY(prepare(call, in));
  const bool good =
      in.algorithm == "ED25519_SHA_512"
          ? p.pair.verify_message(p.text, in.signature.bytes)
          : p.pair.verify_digest(hash_of(in.algorithm), padding_of(in.algorithm), p.text, in.signature.bytes);
  TRY(dry_run(in.dry));
  TRY(call.record(detail_of(in)));
  if (!good)
    return fail(Code::invalid, "KMSInvalidSignatureException",
                "Signature: expected that of this message by this key and algorithm");
  return Verified{key_arn(call, p.key), in.algorithm, true};
}

// ---- MACs

struct Mac {
  std::string key_id, algorithm;
  wire::Blob message;
  std::vector<std::string> tokens;
  std::optional<bool> dry;
};
template <class In>
void mac_fields(wire::Fields<In>& f) {
  f("Message", static_cast<wire::Blob In::*>(&In::message)).required();
  f("KeyId", static_cast<std::string In::*>(&In::key_id)).required().length(1, 2048);
  f("MacAlgorithm", static_cast<std::string In::*>(&In::algorithm)).required();
  f("GrantTokens", static_cast<std::vector<std::string> In::*>(&In::tokens)).length(0, 10);
  f("DryRun", static_cast<std::optional<bool> In::*>(&In::dry));
}
struct Computed {
  Key key;
  std::string mac;
};
Result<Computed> compute(Call& call, const Mac& in) {
  security::Context context;
  context["kms:macalgorithm"] = {in.algorithm};
  Key key = TRY(ask(
      call, {.key_id = in.key_id, .named = Named::alias, .context = std::move(context), .grant_tokens = in.tokens}));
  TRY(check_bytes("Message", in.message, kMostPlain));
  TRY(usable(call, key));
  TRY(check_algorithm(key, "GENERATE_VERIFY_MAC", "MacAlgorithm", in.algorithm));
  const crypto::Secret material = TRY(ring(call).open(key, *key.current()));
  std::string mac = crypto::hmac_sha2(keys::spec_of(key.spec)->bits, material.reveal(), in.message.bytes);
  return Computed{std::move(key), std::move(mac)};
}

struct Generate : Mac {
  static void fields(wire::Fields<Generate>& f) { mac_fields(f); }
};
struct Generated {
  wire::Blob mac;
  std::string algorithm, arn;
  static void fields(wire::Fields<Generated>& f) {
    f("Mac", &Generated::mac);
    f("MacAlgorithm", &Generated::algorithm);
    f("KeyId", &Generated::arn);
  }
};
Result<Generated> generate_mac(Call& call, const Generate& in) {
  Computed c = TRY(compute(call, in));
  TRY(dry_run(in.dry));
  TRY(call.record(told({{"macAlgorithm", in.algorithm}})));
  return Generated{{std::move(c.mac)}, in.algorithm, key_arn(call, c.key)};
}

struct Check : Mac {
  wire::Blob mac;
  static void fields(wire::Fields<Check>& f) {
    mac_fields(f);
    f("Mac", &Check::mac).required();
  }
};
struct Checked {
  std::string arn, algorithm;
  bool valid = true;
  static void fields(wire::Fields<Checked>& f) {
    f("KeyId", &Checked::arn);
    f("MacValid", &Checked::valid);
    f("MacAlgorithm", &Checked::algorithm);
  }
};
Result<Checked> verify_mac(Call& call, const Check& in) {
  const Computed c = TRY(compute(call, in));
  TRY(dry_run(in.dry));
  TRY(call.record(told({{"macAlgorithm", in.algorithm}})));
  if (!constant_time_equal(c.mac, in.mac.bytes))
    return fail(Code::invalid, "KMSInvalidMacException", "Mac: expected that of this message by this key");
  return Checked{key_arn(call, c.key), in.algorithm, true};
}

// ---- public keys, and secrets that are agreed on

struct GetPublic {
  std::string key_id;
  std::vector<std::string> tokens;
  static void fields(wire::Fields<GetPublic>& f) {
    f("KeyId", &GetPublic::key_id).required().length(1, 2048);
    f("GrantTokens", &GetPublic::tokens).length(0, 10);
  }
};
struct Public {
  std::string arn, spec, usage;
  wire::Blob open;
  std::vector<std::string> encryption, signing, agreement;
  static void fields(wire::Fields<Public>& f) {
    f("KeyId", &Public::arn);
    f("PublicKey", &Public::open);
    f("CustomerMasterKeySpec", &Public::spec);
    f("KeySpec", &Public::spec);
    f("KeyUsage", &Public::usage);
    f("EncryptionAlgorithms", &Public::encryption);
    f("SigningAlgorithms", &Public::signing);
    f("KeyAgreementAlgorithms", &Public::agreement);
  }
};
Result<Public> get_public(Call& call, const GetPublic& in) {
  const Key key = TRY(ask(call, {.key_id = in.key_id, .named = Named::alias, .grant_tokens = in.tokens}));
  TRY(supports(key, keys::spec_of(key.spec)->type.has_value(), "a public key"));
  TRY(usable(call, key));
  Public out;
  out.arn = key_arn(call, key);
  out.spec = key.spec;
  out.usage = key.usage;
  out.open.bytes = TRY(ring(call).pair(key)).public_der();
  (key.usage == "ENCRYPT_DECRYPT" ? out.encryption
   : key.usage == "SIGN_VERIFY"   ? out.signing
                                  : out.agreement) = algorithms(key);
  return out;
}

struct Derive {
  std::string key_id, algorithm;
  wire::Blob peer;
  std::vector<std::string> tokens;
  std::optional<bool> dry;
  static void fields(wire::Fields<Derive>& f) {
    f("KeyId", &Derive::key_id).required().length(1, 2048);
    f("KeyAgreementAlgorithm", &Derive::algorithm).required().one_of({"ECDH"});
    f("PublicKey", &Derive::peer).required();
    f("GrantTokens", &Derive::tokens).length(0, 10);
    f("DryRun", &Derive::dry);
    f.refused("Recipient", kNoEnclaves);
  }
};
struct Derived {
  std::string arn, algorithm, origin;
  wire::Blob secret;
  static void fields(wire::Fields<Derived>& f) {
    f("KeyId", &Derived::arn);
    f("SharedSecret", &Derived::secret).secret();
    f("KeyAgreementAlgorithm", &Derived::algorithm);
    f("KeyOrigin", &Derived::origin);
  }
};
Result<Derived> derive(Call& call, const Derive& in) {
  security::Context context;
  context["kms:keyagreementalgorithm"] = {in.algorithm};
  const Key key = TRY(ask(
      call, {.key_id = in.key_id, .named = Named::alias, .context = std::move(context), .grant_tokens = in.tokens}));
  TRY(check_bytes("PublicKey", in.peer, 8192));
  TRY(usable(call, key));
  TRY(check_algorithm(key, "KEY_AGREEMENT", "KeyAgreementAlgorithm", in.algorithm));
  const auto secret = TRY(ring(call).pair(key)).agree(in.peer.bytes);
  if (!secret.ok()) return invalid("PublicKey: " + secret.error().message);
  TRY(dry_run(in.dry));
  TRY(call.record(told({{"publicKeySha256", crypto::sha256_hex(in.peer.bytes)}})));
  return Derived{key_arn(call, key), in.algorithm, key.origin, {std::string(secret->reveal())}};
}

}  // namespace

void add_signatures(Service& s) {
  add<Sign, Signed>(s, "Sign", Effect::read_data, sign, of_key<Sign>);
  add<Verify, Verified>(s, "Verify", Effect::read_data, verify, of_key<Verify>);
  add<Generate, Generated>(s, "GenerateMac", Effect::read_data, generate_mac, of_key<Generate>);
  add<Check, Checked>(s, "VerifyMac", Effect::read_data, verify_mac, of_key<Check>);
  add<GetPublic, Public>(s, "GetPublicKey", Effect::read, get_public, of_key<GetPublic>);
  add<Derive, Derived>(s, "DeriveSharedSecret", Effect::read_data, derive, of_key<Derive>);
}

}  // namespace hf::api::kms_api
