#include <algorithm>

#include "api/errors.h"
#include "api/kms/kms.h"
#include "api/resource_policy.h"
#include "security/policy_context.h"

namespace hf::api::kms_api {
namespace {

constexpr size_t kMostTags = 50;

bool is_uuid(std::string_view id) {
  if (id.size() != 36) return false;
  for (size_t i = 0; i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool digit = (id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f');
    if (dash ? id[i] != '-' : !digit) return false;
  }
  return true;
}

// What a KeyId says, before anything is looked up.
struct Name {
  std::string account, key, alias;  // one of key and alias
};
Result<Name> name_of(const Call& call, const std::string& given) {
  const auto unknown = [&] {
    return fail(Code::not_found, "NotFoundException", "Invalid keyId " + clip_utf8(given, 200));
  };
  if (given.starts_with("arn:")) {
    const auto parts = split(given, ':');
    const bool good = parts.size() >= 6 && parts[1] == "aws" && parts[2] == "kms" && parts[4].size() == 12;
    if (!good || parts[3] != call.site().region)
      return fail(Code::invalid, "InvalidArnException",
                  "KeyId: expected arn:aws:kms:" + call.site().region + ":ACCOUNT:key/ID or :alias/NAME, found " +
                      clip_utf8(given, 200));
    Name n{std::string(parts[4]), {}, {}};
    const std::string rest = given.substr(given.find(":" + n.account + ":") + 14);
    if (rest.starts_with("alias/")) {
      n.alias = rest;
    } else if (rest.starts_with("key/") && is_uuid(rest.substr(4))) {
      n.key = rest.substr(4);
    } else {
      return unknown();
    }
    return n;
  }
  if (given.starts_with("alias/")) return Name{call.account(), {}, given};
  if (!is_uuid(given)) return unknown();
  return Name{call.account(), given, {}};
}

// The key's ARN, or the alias's where it stands for none.
Result<std::string> arn_of(store::Txn& txn, const Call& call, Name name) {
  const std::string front = "arn:aws:kms:" + call.site().region + ":" + name.account + ":";
  if (!name.alias.empty()) {
    const auto alias = TRY(keys::find_alias(txn, name.account, name.alias));
    if (!alias) return front + name.alias;
    name.key = alias->key;
  }
  return front + "key/" + name.key;
}

}  // namespace

std::string arn_for(const Call& call, const std::string& given) {
  const auto name = name_of(call, given);
  if (!name.ok()) return "*";
  std::string arn = "*";
  (void)call.site().db.read([&](store::Txn& txn) -> Status {  // an error is told by ask(), which reads again
    arn = TRY(arn_of(txn, call, *name));
    return {};
  });
  return arn;
}

Status ask_any(Call& call, security::Context context) {
  context["kms:calleraccount"] = {call.account()};
  return call.may(security::Question{.action = call.action(), .resource = "*", .context = std::move(context)});
}

Result<Key> ask(Call& call, Asked asked) {
  auto name = name_of(call, asked.key_id);
  if (!name.ok()) {
    TRY(ask_any(call, asked.context));
    return name.error();
  }
  // What was resolved for the entry is what is used: an alias may have been moved since.
  std::string arn = asked.other_key ? "*" : call.resource();
  std::optional<Key> key;
  TRY(call.site().db.read([&](store::Txn& txn) -> Status {
    if (arn == "*") arn = TRY(arn_of(txn, call, *name));
    key.reset();
    if (const auto found = key_of_arn(arn)) key = TRY(keys::find(txn, found->first, found->second, call.now()));
    return {};
  }));
  asked.context["kms:calleraccount"] = {call.account()};
  if (!name->alias.empty()) asked.context["kms:requestalias"] = {name->alias};
  TRY(call.may(security::Question{.action = asked.action.empty() ? std::string_view(call.action()) : asked.action,
                                  .resource = arn,
                                  .context = std::move(asked.context)}));
  if (asked.named == Named::key && name->account != call.account() && !call.who().administrator)
    return fail(Code::denied, kAccessDenied, "KeyId: expected a key of account " + call.account());
  if (!name->alias.empty() && asked.named != Named::alias)
    return fail(Code::not_found, "NotFoundException", "Invalid keyId " + clip_utf8(asked.key_id, 200));
  if (!key)
    return fail(Code::not_found, "NotFoundException",
                (name->alias.empty() ? "Key '" + arn + "' does not exist" : "Alias " + arn + " is not found."));
  for (const std::string& token : asked.grant_tokens) TRY(ring(call).open_grant_token(token));
  return std::move(*key);
}

Status not_pending_deletion(const Call& call, const Key& key) {
  if (key.state() != keys::State::pending_deletion) return {};
  return fail(Code::conflict, "KMSInvalidStateException", key_arn(call, key) + " is pending deletion.");
}

Status usable(const Call& call, const Key& key) {
  TRY(not_pending_deletion(call, key));
  if (key.state() == keys::State::pending_import)
    return fail(Code::conflict, "KMSInvalidStateException", key_arn(call, key) + " is pending import.");
  if (key.state() == keys::State::disabled)
    return fail(Code::conflict, "DisabledException", key_arn(call, key) + " is disabled.");
  return {};
}

Status supports(const Key& key, bool does, const char* what) {
  if (does) return {};
  return fail(Code::invalid, "UnsupportedOperationException",
              std::string(what) + ": not with a key of spec " + key.spec + " and origin " + key.origin);
}

Status dry_run(const std::optional<bool>& dry) {
  if (!dry.value_or(false)) return {};
  return fail(Code::invalid, "DryRunOperationException",
              "The request would have succeeded, but the DryRun option is set.");
}

Status add_tags(const std::vector<TagView>& given, keys::Tags& tags) {
  for (const TagView& tag : given) {
    if (iequal(tag.key.substr(0, 4), "aws:"))
      return fail(Code::invalid, "TagException", "TagKey: expected none that begins with aws:, found " + tag.key);
    if (std::count_if(given.begin(), given.end(), [&](const TagView& t) { return t.key == tag.key; }) > 1)
      return fail(Code::invalid, "TagException", "TagKey: expected each once, found twice " + tag.key);
    auto it = std::find_if(tags.begin(), tags.end(), [&](const auto& have) { return have.first == tag.key; });
    if (it == tags.end()) it = tags.insert(tags.end(), {tag.key, ""});
    it->second = tag.value;
  }
  if (tags.size() > kMostTags) return fail(Code::conflict, "LimitExceededException", "Tags: expected at most 50 a key");
  return {};
}

void tell_tags(security::Context& context, const std::vector<TagView>& tags) {
  for (const TagView& tag : tags) security::tell_tag(context, tag.key, tag.value);
}

Result<std::string> after(const Paged& in) {
  if (!in.marker) return std::string();
  auto text = unhex(*in.marker);
  if (!text.ok() || !valid_utf8(*text))
    return fail(Code::invalid, "InvalidMarkerException", "Marker: expected one that this operation gave");
  return text;
}

std::vector<std::string> algorithms(const Key& key) {
  const keys::Spec* spec = keys::spec_of(key.spec);
  using Kind = keys::Spec::Kind;
  switch (spec->kind) {
    case Kind::symmetric:
      return {"SYMMETRIC_DEFAULT"};
    case Kind::hmac:
      return {"HMAC_SHA_" + std::to_string(spec->bits)};
    case Kind::rsa:
      if (key.usage == "ENCRYPT_DECRYPT") return {"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"};
      return {"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
              "RSASSA_PSS_SHA_256",        "RSASSA_PSS_SHA_384",        "RSASSA_PSS_SHA_512"};
    case Kind::ec:
      if (key.usage == "KEY_AGREEMENT") return {"ECDH"};
      return {spec->type == crypto::PrivateKey::Type::p384   ? "ECDSA_SHA_384"
              : spec->type == crypto::PrivateKey::Type::p521 ? "ECDSA_SHA_512"
                                                             : "ECDSA_SHA_256"};
    case Kind::ed25519:
      return {"ED25519_SHA_512"};
  }
  return {};
}

void Metadata::fields(wire::Fields<Metadata>& f) {
  f("AWSAccountId", &Metadata::account);
  f("KeyId", &Metadata::id);
  f("Arn", &Metadata::arn);
  f("CreationDate", &Metadata::created);
  f("Enabled", &Metadata::enabled);
  f("Description", &Metadata::description);
  f("KeyUsage", &Metadata::usage);
  f("KeyState", &Metadata::state);
  f("DeletionDate", &Metadata::deletion);
  f("ValidTo", &Metadata::valid_to);
  f("Origin", &Metadata::origin);
  f("ExpirationModel", &Metadata::expiration);
  f("KeyManager", &Metadata::manager);
  f("CustomerMasterKeySpec", &Metadata::spec);
  f("KeySpec", &Metadata::spec);
  f("EncryptionAlgorithms", &Metadata::encryption);
  f("SigningAlgorithms", &Metadata::signing);
  f("KeyAgreementAlgorithms", &Metadata::agreement);
  f("MultiRegion", &Metadata::multi_region);
  f("MacAlgorithms", &Metadata::macs);
  f("CurrentKeyMaterialId", &Metadata::material);
}

Metadata metadata(const Call& call, const Key& key) {
  Metadata m;
  m.account = key.account;
  m.id = key.id;
  m.arn = key_arn(call, key);
  m.created.us = key.created;
  m.enabled = key.state() == keys::State::enabled;
  m.description = key.description;
  m.usage = key.usage;
  m.state = keys::name_of(key.state());
  m.origin = key.origin;
  m.spec = key.spec;
  if (key.deletion) m.deletion = wire::Timestamp{key.deletion};
  if (const keys::Material* now = key.current(); now && !now->sealed.empty()) {
    if (key.symmetric()) m.material = now->id;
    if (key.external()) m.expiration = now->valid_to ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE";
    if (now->valid_to) m.valid_to = wire::Timestamp{now->valid_to};
  }
  auto& list = key.usage == "ENCRYPT_DECRYPT" ? m.encryption
               : key.usage == "SIGN_VERIFY"   ? m.signing
               : key.usage == "KEY_AGREEMENT" ? m.agreement
                                              : m.macs;
  list = algorithms(key);
  return m;
}

}  // namespace hf::api::kms_api
