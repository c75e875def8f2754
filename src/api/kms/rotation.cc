// Rotation: new material for a symmetric key, whose old ciphertexts still open.
#include "api/kms/kms.h"

namespace hf::api::kms_api {
namespace {

constexpr Micros kDay = 24LL * 3600 * 1'000'000;
constexpr int64_t kMostOnDemand = 25;

struct ByKey {
  std::string key_id;
  static void fields(wire::Fields<ByKey>& f) { f("KeyId", &ByKey::key_id).required().length(1, 2048); }
};

Status rotates_by_itself(const Call& call, const Key& key) {
  TRY(supports(key, key.symmetric() && !key.external(), "automatic rotation"));
  return usable(call, key);
}

struct Enable {
  std::string key_id;
  std::optional<int64_t> days;
  static void fields(wire::Fields<Enable>& f) {
    f("KeyId", &Enable::key_id).required().length(1, 2048);
    f("RotationPeriodInDays", &Enable::days).range(90, 2560);
  }
};
Result<Nothing> enable(Call& call, const Enable& in) {
  const int64_t days = in.days.value_or(365);
  security::Context context;
  context["kms:rotationperiodindays"] = {std::to_string(days)};
  const Key seen = TRY(ask(call, {.key_id = in.key_id, .context = std::move(context)}));
  TRY(edit(call, seen, told({{"rotationPeriodInDays", days}}), [&](store::Txn&, Key& key) -> Status {
    TRY(rotates_by_itself(call, key));
    if (key.rotation_days == days) return {};
    key.rotation_days = days;
    key.next_rotation = call.now() + days * kDay;
    return {};
  }));
  return Nothing{};
}

Result<Nothing> disable(Call& call, const ByKey& in) {
  const Key seen = TRY(ask(call, {.key_id = in.key_id}));
  TRY(edit(call, seen, "", [&](store::Txn&, Key& key) -> Status {
    TRY(rotates_by_itself(call, key));
    key.rotation_days = key.next_rotation = 0;
    return {};
  }));
  return Nothing{};
}

struct StatusView {
  bool enabled = false;
  std::string arn;
  std::optional<int64_t> days;
  std::optional<wire::Timestamp> next;
  static void fields(wire::Fields<StatusView>& f) {
    f("KeyRotationEnabled", &StatusView::enabled);
    f("KeyId", &StatusView::arn);
    f("RotationPeriodInDays", &StatusView::days);
    f("NextRotationDate", &StatusView::next);
  }
};
Result<StatusView> status(Call& call, const ByKey& in) {
  const Key key = TRY(ask(call, {.key_id = in.key_id, .named = Named::anywhere}));
  TRY(supports(key, key.symmetric(), "rotation"));
  TRY(not_pending_deletion(call, key));
  StatusView out;
  out.arn = key_arn(call, key);
  out.enabled = key.rotation_days > 0;
  if (!out.enabled) return out;
  out.days = key.rotation_days;
  out.next = wire::Timestamp{key.next_rotation};
  return out;
}

struct KeyArn {
  std::string arn;
  static void fields(wire::Fields<KeyArn>& f) { f("KeyId", &KeyArn::arn); }
};
Result<KeyArn> rotate(Call& call, const ByKey& in) {
  const Key seen = TRY(ask(call, {.key_id = in.key_id}));
  TRY(supports(seen, seen.symmetric(), "rotation"));
  const Key key = TRY(edit(call, seen, "", [&](store::Txn&, Key& k) -> Status {
    TRY(usable(call, k));
    if (k.on_demand >= kMostOnDemand)
      return fail(Code::conflict, "LimitExceededException", "expected at most 25 rotations on demand a key");
    ++k.on_demand;
    if (!k.external()) {
      k.materials.push_back(TRY(ring(call).generate(k, call.now())));
      k.materials.back().how = "ON_DEMAND";
      return {};
    }
    if (!k.materials.back().pending)
      return fail(Code::conflict, "KMSInvalidStateException",
                  key_arn(call, k) + " has no new material to rotate to: import it with ImportType NEW_KEY_MATERIAL");
    k.materials.back().pending = false;
    k.materials.back().created = call.now();
    k.materials.back().how = "ON_DEMAND";
    return {};
  }));
  return KeyArn{key_arn(call, key)};
}

struct List : Paged {
  std::string key_id;
  std::optional<std::string> include;
  static void fields(wire::Fields<List>& f) {
    f("KeyId", &List::key_id).required().length(1, 2048);
    f("IncludeKeyMaterial", &List::include).one_of({"ALL_KEY_MATERIAL", "ROTATIONS_ONLY"});
    page_fields(f);
  }
};
struct Entry {
  std::string arn, material, state;
  std::optional<std::string> description, import_state, expiration, type;
  std::optional<wire::Timestamp> valid_to, date;
  static void fields(wire::Fields<Entry>& f) {
    f("KeyId", &Entry::arn);
    f("KeyMaterialId", &Entry::material);
    f("KeyMaterialDescription", &Entry::description);
    f("ImportState", &Entry::import_state);
    f("KeyMaterialState", &Entry::state);
    f("ExpirationModel", &Entry::expiration);
    f("ValidTo", &Entry::valid_to);
    f("RotationDate", &Entry::date);
    f("RotationType", &Entry::type);
  }
};
struct ListResponse : Page {
  std::vector<Entry> list;
  static void fields(wire::Fields<ListResponse>& f) {
    f("Rotations", &ListResponse::list);
    paged_fields(f);
  }
};
Entry entry_of(const Call& call, const Key& key, const keys::Material& m) {
  Entry e;
  e.arn = key_arn(call, key);
  e.material = m.id;
  e.state = m.pending ? "PENDING_ROTATION" : &m == key.current() ? "CURRENT" : "NON_CURRENT";
  if (!m.how.empty()) {
    e.type = m.how;
    e.date = wire::Timestamp{m.created};
  }
  if (!key.external()) return e;
  e.import_state = m.sealed.empty() ? "PENDING_IMPORT" : "IMPORTED";
  if (!m.description.empty()) e.description = m.description;
  if (!m.sealed.empty()) e.expiration = m.valid_to ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE";
  if (!m.sealed.empty() && m.valid_to) e.valid_to = wire::Timestamp{m.valid_to};
  return e;
}
// In their order; a marker says how many came before it.
Result<ListResponse> list(Call& call, const List& in) {
  const Key key = TRY(ask(call, {.key_id = in.key_id}));
  TRY(supports(key, key.symmetric(), "rotation"));
  const std::string from = TRY(after(in));
  const bool all = in.include.value_or("ROTATIONS_ONLY") == "ALL_KEY_MATERIAL";
  ListResponse out;
  const auto place = [](size_t i) { return time_key(static_cast<Micros>(i)); };
  std::vector<size_t> places;
  for (size_t i = 0; i < key.materials.size(); ++i)
    if ((all || !key.materials[i].how.empty()) && place(i) > from) places.push_back(i);
  cut(places, in.limit.value_or(100), out, place);
  for (size_t i : places) out.list.push_back(entry_of(call, key, key.materials[i]));
  return out;
}

}  // namespace

void add_rotation(Service& s) {
  add<Enable, Nothing>(s, "EnableKeyRotation", Effect::write, enable, of_key<Enable>);
  add<ByKey, Nothing>(s, "DisableKeyRotation", Effect::write, disable, of_key<ByKey>);
  add<ByKey, StatusView>(s, "GetKeyRotationStatus", Effect::read, status, of_key<ByKey>);
  add<ByKey, KeyArn>(s, "RotateKeyOnDemand", Effect::write, rotate, of_key<ByKey>);
  add<List, ListResponse>(s, "ListKeyRotations", Effect::read, list, of_key<List>);
}

}  // namespace hf::api::kms_api
