// Material from outside: a key of origin EXTERNAL is made without any.
#include <algorithm>

#include "api/kms/encryption.h"

namespace hf::api::kms_api {
namespace {

constexpr Micros kDay = 24LL * 3600 * 1'000'000;

Status check_external(const Key& key) { return supports(key, key.external(), "imported key material"); }

struct Parameters {
  std::string key_id, algorithm, spec;
  static void fields(wire::Fields<Parameters>& f) {
    f("KeyId", &Parameters::key_id).required().length(1, 2048);
    f("WrappingAlgorithm", &Parameters::algorithm)
        .required()
        .one_of({"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"});
    f("WrappingKeySpec", &Parameters::spec).required().one_of({"RSA_2048", "RSA_3072", "RSA_4096"});
  }
};
struct ParametersResponse {
  std::string arn;
  wire::Blob token, open;
  wire::Timestamp valid_to;
  static void fields(wire::Fields<ParametersResponse>& f) {
    f("KeyId", &ParametersResponse::arn);
    f("ImportToken", &ParametersResponse::token).secret();
    f("PublicKey", &ParametersResponse::open);
    f("ParametersValidTo", &ParametersResponse::valid_to);
  }
};
Result<ParametersResponse> parameters(Call& call, const Parameters& in) {
  security::Context context;
  context["kms:wrappingalgorithm"] = {in.algorithm};
  context["kms:wrappingkeyspec"] = {in.spec};
  const Key key = TRY(ask(call, {.key_id = in.key_id, .context = std::move(context)}));
  TRY(check_external(key));
  TRY(not_pending_deletion(call, key));
  auto made = TRY(ring(call).import_parameters(key, *keys::spec_of(in.spec)->type, in.algorithm, call.now()));
  return ParametersResponse{key_arn(call, key), {std::move(made.token)}, {std::move(made.public_der)}, {made.valid_to}};
}

struct Import {
  std::string key_id;
  wire::Blob token, wrapped;
  std::optional<wire::Timestamp> valid_to;
  std::optional<std::string> expiration, type, description, material;
  static void fields(wire::Fields<Import>& f) {
    f("KeyId", &Import::key_id).required().length(1, 2048);
    f("ImportToken", &Import::token).required().secret();
    f("EncryptedKeyMaterial", &Import::wrapped).required();
    f("ValidTo", &Import::valid_to);
    f("ExpirationModel", &Import::expiration).one_of({"KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"});
    f("ImportType", &Import::type).one_of({"NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"});
    f("KeyMaterialDescription", &Import::description).length(0, 256).pattern("[a-zA-Z0-9:/_\\s.-]*");
    f("KeyMaterialId", &Import::material).length(64, 64).pattern("[a-f0-9]+");
  }
};
struct ImportResponse {
  std::string arn, material;
  static void fields(wire::Fields<ImportResponse>& f) {
    f("KeyId", &ImportResponse::arn);
    f("KeyMaterialId", &ImportResponse::material);
  }
};

Result<Micros> valid_to(const Call& call, const Import& in) {
  const bool expires = in.expiration.value_or("KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES";
  if (expires != in.valid_to.has_value())
    return invalid("ValidTo: expected one if, and only if, the ExpirationModel is KEY_MATERIAL_EXPIRES (the default)");
  if (!expires) return 0;
  if (in.valid_to->us <= call.now() || in.valid_to->us > call.now() + 365 * kDay)
    return invalid("ValidTo: expected a time within the next 365 days, found " + iso8601(in.valid_to->us));
  return in.valid_to->us;
}

Error other_material(const char* why) {
  return fail(Code::invalid, "IncorrectKeyMaterialException", std::string("EncryptedKeyMaterial: ") + why);
}

// Where the material goes: into its old place, as the first, or behind the others to wait for its rotation.
Status place(Key& key, keys::Material fresh, const Import& in) {
  if (in.material && *in.material != fresh.id) return other_material("expected that of KeyMaterialId");
  const auto old = std::find_if(key.materials.begin(), key.materials.end(),
                                [&](const keys::Material& m) { return m.id == fresh.id; });
  const bool anew = in.type.value_or("EXISTING_KEY_MATERIAL") == "NEW_KEY_MATERIAL";
  if (old != key.materials.end()) {
    if (anew) return other_material("expected material that the key has not had, as ImportType is NEW_KEY_MATERIAL");
    old->sealed = std::move(fresh.sealed);
    old->valid_to = fresh.valid_to;
    if (in.description) old->description = fresh.description;
    return {};
  }
  if (key.materials.empty()) {
    key.materials.push_back(std::move(fresh));
    return {};
  }
  if (!anew) return other_material("expected the material that the key had, found another");
  TRY(supports(key, key.symmetric(), "new key material"));
  if (key.state() == keys::State::pending_import)
    return fail(Code::conflict, "KMSInvalidStateException",
                "the key " + key.id + " lacks the material that it had: import that first");
  if (key.materials.back().pending) key.materials.pop_back();  // one waits at a time
  fresh.pending = true;
  key.materials.push_back(std::move(fresh));
  return {};
}

Result<ImportResponse> import(Call& call, const Import& in) {
  security::Context context;
  context["kms:expirationmodel"] = {in.expiration.value_or("KEY_MATERIAL_EXPIRES")};
  if (in.valid_to) context["kms:validto"] = {iso8601(in.valid_to->us)};
  const Key seen = TRY(ask(call, {.key_id = in.key_id, .context = std::move(context)}));
  TRY(check_external(seen));
  TRY(check_bytes("ImportToken", in.token, kMostCipher));
  TRY(check_bytes("EncryptedKeyMaterial", in.wrapped, kMostCipher));
  const Micros until = TRY(valid_to(call, in));
  const crypto::Secret bytes = TRY(ring(call).unwrap(seen, in.token.bytes, in.wrapped.bytes, call.now()));
  keys::Material fresh = TRY(ring(call).take(seen, bytes, call.now()));
  fresh.valid_to = until;
  fresh.description = in.description.value_or("");
  const std::string detail = told({{"keyMaterialId", fresh.id}, {"validTo", until ? iso8601(until) : ""}});
  const Key key = TRY(edit(call, seen, detail, [&](store::Txn&, Key& k) -> Status {
    TRY(not_pending_deletion(call, k));
    return place(k, fresh, in);
  }));
  return ImportResponse{key_arn(call, key), fresh.id};
}

struct Delete {
  std::string key_id;
  std::optional<std::string> material;
  static void fields(wire::Fields<Delete>& f) {
    f("KeyId", &Delete::key_id).required().length(1, 2048);
    f("KeyMaterialId", &Delete::material).length(64, 64).pattern("[a-f0-9]+");
  }
};
Result<ImportResponse> remove(Call& call, const Delete& in) {
  const Key seen = TRY(ask(call, {.key_id = in.key_id}));
  TRY(check_external(seen));
  std::string id = in.material.value_or("");
  if (id.empty() && seen.current()) id = seen.current()->id;
  const Key key = TRY(edit(call, seen, told({{"keyMaterialId", id}}), [&](store::Txn&, Key& k) -> Status {
    const auto it = std::find_if(k.materials.begin(), k.materials.end(), [&](const auto& m) { return m.id == id; });
    if (it == k.materials.end()) {
      if (!in.material) return {};  // there is none: it is as it should be
      return fail(Code::not_found, "NotFoundException", "KeyMaterialId: expected one of the key's");
    }
    it->sealed.clear();
    if (it->pending) k.materials.erase(it);
    return {};
  }));
  return ImportResponse{key_arn(call, key), id};
}

}  // namespace

void add_import(Service& s) {
  add<Parameters, ParametersResponse>(s, "GetParametersForImport", Effect::read_data, parameters, of_key<Parameters>);
  add<Import, ImportResponse>(s, "ImportKeyMaterial", Effect::write, import, of_key<Import>);
  add<Delete, ImportResponse>(s, "DeleteImportedKeyMaterial", Effect::write, remove, of_key<Delete>);
}

}  // namespace hf::api::kms_api
