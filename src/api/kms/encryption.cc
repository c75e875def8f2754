// Encrypt, Decrypt, ReEncrypt.
#include "api/kms/encryption.h"

#include <set>

#include "base/bytes.h"

namespace hf::api::kms_api {

Status check_context(const char* member, const EncryptionContext& pairs) {
  size_t bytes = 0;
  std::set<std::string> names;
  for (const auto& [name, value] : pairs) {
    bytes += name.size() + value.size();
    if (!names.insert(lower(name)).second)
      return invalid(std::string(member) + ": expected no two names that differ in case alone, found " +
                     clip_utf8(name, 100));
  }
  if (bytes > 8192)
    return invalid(std::string(member) + ": expected at most 8192 bytes, found " + std::to_string(bytes));
  return {};
}

Status check_algorithm(const Key& key, const char* usage, const std::string& member, const std::string& algorithm) {
  if (key.usage != usage)
    return fail(Code::invalid, "InvalidKeyUsageException",
                "the key " + key.id + " is for " + key.usage + ", expected one for " + usage);
  const auto offered = algorithms(key);
  if (std::find(offered.begin(), offered.end(), algorithm) != offered.end()) return {};
  std::string list;
  for (const std::string& one : offered) list.append(list.empty() ? "" : ", ").append(one);
  return fail(Code::invalid, "InvalidKeyUsageException",
              member + ": expected one of " + list + " for a key of spec " + key.spec + ", found " + algorithm);
}

Status check_bytes(const char* member, const wire::Blob& blob, size_t most) {
  if (!blob.bytes.empty() && blob.bytes.size() <= most) return {};
  return invalid(std::string(member) + ": expected 1 to " + std::to_string(most) + " bytes, found " +
                 std::to_string(blob.bytes.size()));
}

json::object detail_of(const EncryptionContext& pairs) {
  json::object out, context;
  for (const auto& [name, value] : pairs) context[name] = value;
  if (!context.empty()) out["encryptionContext"] = std::move(context);
  return out;
}

namespace {
crypto::Hash oaep_hash(const std::string& algorithm) {
  return algorithm == "RSAES_OAEP_SHA_1" ? crypto::Hash::sha1 : crypto::Hash::sha256;
}
Error bad_ciphertext() {
  return fail(Code::invalid, "InvalidCiphertextException",
              "CiphertextBlob: expected a ciphertext that was made with this key");
}
Status no_context_for(const Key& key, const EncryptionContext& pairs) {
  if (key.symmetric() || pairs.empty()) return {};
  return invalid("EncryptionContext: expected none with a key of spec " + key.spec);
}
}  // namespace

Result<std::string> encrypt(Call& call, const Key& key, const std::string& algorithm, std::string_view plain,
                            const EncryptionContext& pairs) {
  TRY(no_context_for(key, pairs));
  if (key.symmetric()) return ring(call).encrypt(key, plain, pairs);
  const auto pair = TRY(ring(call).pair(key));
  auto out = pair.encrypt(oaep_hash(algorithm), plain);
  if (!out.ok() && out.error().code == Code::too_large) return invalid("Plaintext: " + out.error().message);
  return out;
}

namespace {

security::Context context_of(const EncryptionContext& pairs, const std::string& algorithm) {
  security::Context out;
  keys::tell(out, pairs);
  out["kms:encryptionalgorithm"] = {algorithm};
  return out;
}

struct Encrypt {
  std::string key_id;
  wire::Blob plain;
  EncryptionContext pairs;
  std::vector<std::string> tokens;
  std::optional<std::string> algorithm;
  std::optional<bool> dry;
  static void fields(wire::Fields<Encrypt>& f) {
    f("KeyId", &Encrypt::key_id).required().length(1, 2048);
    f("Plaintext", &Encrypt::plain).required().secret();
    f("EncryptionContext", &Encrypt::pairs);
    f("GrantTokens", &Encrypt::tokens).length(0, 10);
    f("EncryptionAlgorithm", &Encrypt::algorithm);
    f("DryRun", &Encrypt::dry);
  }
};
struct Encrypted {
  wire::Blob sealed;
  std::string arn, algorithm;
  static void fields(wire::Fields<Encrypted>& f) {
    f("CiphertextBlob", &Encrypted::sealed);
    f("KeyId", &Encrypted::arn);
    f("EncryptionAlgorithm", &Encrypted::algorithm);
  }
};
Result<Encrypted> encrypt_one(Call& call, const Encrypt& in) {
  const std::string algorithm = in.algorithm.value_or("SYMMETRIC_DEFAULT");
  TRY(check_context("EncryptionContext", in.pairs));
  const Key key = TRY(ask(call, {.key_id = in.key_id,
                                 .named = Named::alias,
                                 .context = context_of(in.pairs, algorithm),
                                 .grant_tokens = in.tokens}));
  TRY(check_bytes("Plaintext", in.plain, kMostPlain));
  TRY(usable(call, key));
  TRY(check_algorithm(key, "ENCRYPT_DECRYPT", "EncryptionAlgorithm", algorithm));
  Encrypted out{{TRY(encrypt(call, key, algorithm, in.plain.bytes, in.pairs))}, key_arn(call, key), algorithm};
  TRY(dry_run(in.dry));
  TRY(call.record(told(detail_of(in.pairs))));
  return out;
}

// ---- what was encrypted says with which key

// The key that the ciphertext names, unless the request does.
std::string source_of(const Call& call, const std::optional<std::string>& given, const wire::Blob& sealed) {
  if (given) return *given;
  const auto blob = keys::parse_blob(sealed.bytes);
  if (!blob.ok()) return "";
  return "arn:aws:kms:" + call.site().region + ":" + blob->account + ":key/" + blob->key;
}

struct Opened {
  Key key;
  crypto::Secret plain;
  std::string material;
};
struct Source {
  const std::optional<std::string>& key_id;
  const wire::Blob& sealed;
  const EncryptionContext& pairs;
  const std::vector<std::string>& tokens;
  std::string algorithm;
};
Result<Opened> open(Call& call, const Source& s, std::string_view action, security::Context context) {
  const std::string named = source_of(call, s.key_id, s.sealed);
  if (named.empty()) {
    TRY(ask_any(call, std::move(context)));
    return bad_ciphertext();
  }
  Opened out;
  out.key = TRY(ask(call, {.key_id = named,
                           .named = Named::alias,
                           .context = std::move(context),
                           .grant_tokens = s.tokens,
                           .action = action,
                           .other_key = !action.empty()}));
  TRY(check_bytes("CiphertextBlob", s.sealed, kMostCipher));
  TRY(usable(call, out.key));
  TRY(check_algorithm(out.key, "ENCRYPT_DECRYPT", "EncryptionAlgorithm", s.algorithm));
  TRY(no_context_for(out.key, s.pairs));
  if (!out.key.symmetric()) {
    const auto pair = TRY(ring(call).pair(out.key));
    auto plain = pair.decrypt(oaep_hash(s.algorithm), s.sealed.bytes);
    if (!plain.ok()) return bad_ciphertext();
    out.plain = std::move(*plain);
    return out;
  }
  const auto blob = TRY(keys::parse_blob(s.sealed.bytes));
  if (blob.key != out.key.id || blob.account != out.key.account)
    return fail(Code::invalid, "IncorrectKeyException",
                "KeyId: expected the key that the ciphertext was made with, found " + out.key.id);
  out.plain = TRY(ring(call).decrypt(out.key, blob, s.pairs));
  for (const keys::Material& m : out.key.materials)
    if (m.id.starts_with(blob.material)) out.material = m.id;
  return out;
}

struct Decrypt {
  wire::Blob sealed;
  EncryptionContext pairs;
  std::vector<std::string> tokens;
  std::optional<std::string> key_id, algorithm;
  std::optional<bool> dry;
  static void fields(wire::Fields<Decrypt>& f) {
    f("CiphertextBlob", &Decrypt::sealed).required();
    f("EncryptionContext", &Decrypt::pairs);
    f("GrantTokens", &Decrypt::tokens).length(0, 10);
    f("KeyId", &Decrypt::key_id).length(1, 2048);
    f("EncryptionAlgorithm", &Decrypt::algorithm);
    f.refused("Recipient", kNoEnclaves);
    f("DryRun", &Decrypt::dry);
    f.refused("DryRunModifiers", "a dry run checks the ciphertext too");
  }
};
struct Decrypted {
  std::string arn, algorithm;
  wire::Blob plain;
  std::optional<std::string> material;
  static void fields(wire::Fields<Decrypted>& f) {
    f("KeyId", &Decrypted::arn);
    f("Plaintext", &Decrypted::plain).secret();
    f("EncryptionAlgorithm", &Decrypted::algorithm);
    f("KeyMaterialId", &Decrypted::material);
  }
};
Result<Decrypted> decrypt_one(Call& call, const Decrypt& in) {
  const std::string algorithm = in.algorithm.value_or("SYMMETRIC_DEFAULT");
  TRY(check_context("EncryptionContext", in.pairs));
  const Opened opened =
      TRY(open(call, {in.key_id, in.sealed, in.pairs, in.tokens, algorithm}, "", context_of(in.pairs, algorithm)));
  TRY(dry_run(in.dry));
  TRY(call.record(told(detail_of(in.pairs))));
  Decrypted out{key_arn(call, opened.key), algorithm, {std::string(opened.plain.reveal())}, {}};
  if (!opened.material.empty()) out.material = opened.material;
  return out;
}
std::string of_ciphertext(const Call& call, const Decrypt& in) {
  return arn_for(call, source_of(call, in.key_id, in.sealed));
}

struct ReEncrypt {
  wire::Blob sealed;
  EncryptionContext from_pairs, to_pairs;
  std::vector<std::string> tokens;
  std::optional<std::string> from_id, from_algorithm, to_algorithm;
  std::string to_id;
  std::optional<bool> dry;
  static void fields(wire::Fields<ReEncrypt>& f) {
    f("CiphertextBlob", &ReEncrypt::sealed).required();
    f("SourceEncryptionContext", &ReEncrypt::from_pairs);
    f("SourceKeyId", &ReEncrypt::from_id).length(1, 2048);
    f("DestinationKeyId", &ReEncrypt::to_id).required().length(1, 2048);
    f("DestinationEncryptionContext", &ReEncrypt::to_pairs);
    f("SourceEncryptionAlgorithm", &ReEncrypt::from_algorithm);
    f("DestinationEncryptionAlgorithm", &ReEncrypt::to_algorithm);
    f("GrantTokens", &ReEncrypt::tokens).length(0, 10);
    f("DryRun", &ReEncrypt::dry);
    f.refused("DryRunModifiers", "a dry run checks the ciphertext too");
  }
};
struct ReEncrypted {
  wire::Blob sealed;
  std::string from_arn, to_arn, from_algorithm, to_algorithm;
  std::optional<std::string> from_material, to_material;
  static void fields(wire::Fields<ReEncrypted>& f) {
    f("CiphertextBlob", &ReEncrypted::sealed);
    f("SourceKeyId", &ReEncrypted::from_arn);
    f("KeyId", &ReEncrypted::to_arn);
    f("SourceEncryptionAlgorithm", &ReEncrypted::from_algorithm);
    f("DestinationEncryptionAlgorithm", &ReEncrypted::to_algorithm);
    f("SourceKeyMaterialId", &ReEncrypted::from_material);
    f("DestinationKeyMaterialId", &ReEncrypted::to_material);
  }
};
std::string of_destination(const Call& call, const ReEncrypt& in) { return arn_for(call, in.to_id); }

Result<ReEncrypted> re_encrypt(Call& call, const ReEncrypt& in) {
  const std::string from = in.from_algorithm.value_or("SYMMETRIC_DEFAULT");
  const std::string to = in.to_algorithm.value_or("SYMMETRIC_DEFAULT");
  TRY(check_context("SourceEncryptionContext", in.from_pairs));
  TRY(check_context("DestinationEncryptionContext", in.to_pairs));
  const bool same = arn_for(call, in.to_id) == arn_for(call, source_of(call, in.from_id, in.sealed));
  auto from_context = context_of(in.from_pairs, from), to_context = context_of(in.to_pairs, to);
  from_context["kms:reencryptonsamekey"] = to_context["kms:reencryptonsamekey"] = {same ? "true" : "false"};
  const Opened opened = TRY(open(call, {in.from_id, in.sealed, in.from_pairs, in.tokens, from}, "kms:ReEncryptFrom",
                                 std::move(from_context)));
  const Key key = TRY(ask(call, {.key_id = in.to_id,
                                 .named = Named::alias,
                                 .context = std::move(to_context),
                                 .grant_tokens = in.tokens,
                                 .action = "kms:ReEncryptTo"}));
  TRY(usable(call, key));
  TRY(check_algorithm(key, "ENCRYPT_DECRYPT", "DestinationEncryptionAlgorithm", to));
  ReEncrypted out;
  out.sealed.bytes = TRY(encrypt(call, key, to, opened.plain.reveal(), in.to_pairs));
  out.from_arn = key_arn(call, opened.key);
  out.to_arn = key_arn(call, key);
  out.from_algorithm = from;
  out.to_algorithm = to;
  if (!opened.material.empty()) out.from_material = opened.material;
  if (key.symmetric()) out.to_material = key.current()->id;
  TRY(dry_run(in.dry));
  json::object detail{{"sourceKeyId", out.from_arn}};
  if (auto pairs = detail_of(in.from_pairs); !pairs.empty()) detail["source"] = std::move(pairs);
  if (auto pairs = detail_of(in.to_pairs); !pairs.empty()) detail["destination"] = std::move(pairs);
  TRY(call.record(told(std::move(detail))));
  return out;
}

}  // namespace

void add_encryption(Service& s) {
  add<Encrypt, Encrypted>(s, "Encrypt", Effect::read_data, encrypt_one, of_key<Encrypt>);
  add<Decrypt, Decrypted>(s, "Decrypt", Effect::read_data, decrypt_one, of_ciphertext);
  add<ReEncrypt, ReEncrypted>(s, "ReEncrypt", Effect::read_data, re_encrypt, of_destination);
}

}  // namespace hf::api::kms_api
