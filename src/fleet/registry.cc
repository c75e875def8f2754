#include "fleet/registry.h"

#include <boost/json.hpp>

#include "fleet/json_fields.h"
#include "os/clock.h"

namespace hf::fleet {
namespace json = boost::json;
namespace {

constexpr const char* kModels = "model-registry";
constexpr const char* kIds = "model-id";
constexpr const char* kShared = "model-shared";
constexpr const char* kArtifacts = "artifact";
constexpr int64_t kPage = 1000;

json::object card_json(const rpc::ModelCard& c) {
  return {{"digest", c.digest},
          {"architecture", c.architecture},
          {"chat_format", c.chat_format},
          {"parameters", c.parameters},
          {"vocabulary", c.vocabulary},
          {"context", c.context},
          {"layers", c.layers},
          {"width", c.width},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"bytes", c.bytes},
          {"dtype", c.dtype}};
}

rpc::ModelCard card_of(const JsonFields& f) {
  rpc::ModelCard c;
  c.digest = f.text("digest");
  c.architecture = f.text("architecture");
  c.chat_format = f.text("chat_format");
  c.parameters = f.integer("parameters");
  c.vocabulary = f.integer("vocabulary");
  c.context = f.integer("context");
  c.layers = f.integer("layers");
  c.width = f.integer("width");
  c.heads = f.integer("heads");
  c.kv_heads = f.integer("kv_heads");
  c.bytes = static_cast<uint64_t>(f.integer("bytes"));
  c.dtype = f.text("dtype");
  return c;
}

json::object lineage_json(const Lineage& l) {
  return {{"training_job", l.training_job},
          {"data_digest", l.data_digest},
          {"data", json::value_from(l.data)},
          {"code_version", l.code_version},
          {"isa", l.isa},
          {"hyperparameters", json::value_from(l.hyperparameters)},
          {"seed", std::to_string(l.seed)},
          {"metrics", json::value_from(l.metrics)},
          {"stopped", l.stopped},
          {"imported_from", l.imported_from}};
}

Result<Lineage> lineage_of(const JsonFields& f) {
  Lineage l;
  l.training_job = f.text("training_job");
  l.data_digest = f.text("data_digest");
  l.data = f.texts("data");
  l.code_version = f.text("code_version");
  l.isa = f.text("isa");
  l.hyperparameters = f.text_map("hyperparameters");
  l.seed = parse_u64(f.text("seed"));
  l.metrics = f.number_map("metrics");
  l.stopped = f.boolean("stopped");
  l.imported_from = f.text("imported_from");
  return l;
}

Result<std::optional<Model>> parse(Result<std::optional<store::Record>> record) {
  auto r = TRY(std::move(record));
  if (!r) return std::optional<Model>();
  return std::optional<Model>(TRY(model_from_json(r->body)));
}

store::Record record(const char* kind, std::string account, std::string name, Micros created, std::string body) {
  store::Record r;
  r.kind = kind;
  r.account = std::move(account);
  r.name = std::move(name);
  r.created = r.updated = created;
  r.body = std::move(body);
  return r;
}

}  // namespace

std::string to_json(const Model& m) {
  return json::serialize(json::object{{"account", m.account},
                                      {"name", m.name},
                                      {"id", m.id},
                                      {"arn", m.arn},
                                      {"digest", m.digest},
                                      {"card", card_json(m.card)},
                                      {"source", m.source},
                                      {"shared", m.shared},
                                      {"created", m.created},
                                      {"lineage", lineage_json(m.lineage)}});
}

Result<Model> model_from_json(std::string_view text) {
  const JsonFields f = TRY(JsonFields::parse(text, "a model's record"));
  Model m;
  m.account = f.text("account");
  m.name = f.text("name");
  m.id = f.text("id");
  m.arn = f.text("arn");
  m.digest = f.text("digest");
  m.card = card_of(f.object("card"));
  m.source = f.text("source");
  m.shared = f.boolean("shared");
  m.created = f.integer("created");
  m.lineage = TRY(lineage_of(f.object("lineage")));
  return m;
}

Status register_model(store::Txn& txn, const Model& model) {
  TRY(store::insert_record(txn, record(kModels, model.account, model.name, model.created, to_json(model))));
  TRY(store::insert_record(
      txn, record(kIds, model.account, model.id, model.created, json::serialize(json::object{{"name", model.name}}))));
  if (!model.shared) return {};
  return store::insert_record(
      txn, record(kShared, "", model.name, model.created, json::serialize(json::object{{"account", model.account}})));
}

Result<std::optional<Model>> find_model(store::Txn& txn, const std::string& account, const std::string& name) {
  return parse(store::get_record(txn, kModels, account, name));
}

Result<std::optional<Model>> find_model_by_id(store::Txn& txn, const std::string& account, const std::string& id) {
  auto link = TRY(store::get_record(txn, kIds, account, id));
  if (!link) return std::optional<Model>();
  const JsonFields f = TRY(JsonFields::parse(link->body, "a model id's record"));
  return find_model(txn, account, f.text("name"));
}

Result<std::optional<Model>> find_shared_model(store::Txn& txn, const std::string& name) {
  auto link = TRY(store::get_record(txn, kShared, "", name));
  if (!link) return std::optional<Model>();
  const JsonFields f = TRY(JsonFields::parse(link->body, "a shared model's record"));
  return find_model(txn, f.text("account"), name);
}

Result<std::vector<Model>> shared_models(store::Txn& txn) {
  std::vector<Model> out;
  for (const store::Record& r : TRY(store::list_records(txn, kShared, "", "", kPage)))
    if (auto model = TRY(find_shared_model(txn, r.name))) out.push_back(std::move(*model));
  return out;
}

Result<std::vector<Model>> models_of(store::Txn& txn, const std::string& account, const std::string& after,
                                     int64_t limit) {
  std::vector<Model> out;
  for (const store::Record& r : TRY(store::list_records(txn, kModels, account, after, limit)))
    out.push_back(TRY(model_from_json(r.body)));
  return out;
}

Result<bool> unregister_model(store::Txn& txn, const std::string& account, const std::string& name) {
  auto model = TRY(find_model(txn, account, name));
  if (!model) return false;
  (void)TRY(store::delete_record(txn, kIds, account, model->id));
  if (model->shared) (void)TRY(store::delete_record(txn, kShared, "", name));
  return store::delete_record(txn, kModels, account, name);
}

std::string model_arn(const Model& m, const std::string& region) {
  if (m.shared) return "arn:aws:bedrock:" + region + "::foundation-model/holdfast." + lower(m.name);
  const char* family = m.source == "imported" ? "imported" : "holdfast.decoder";
  return "arn:aws:bedrock:" + region + ":" + m.account + ":custom-model/" + family + "/" + m.id;
}

std::string new_model_id(os::Random& random) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";  // 32: no bias from a byte
  std::string out = random.bytes(12);
  for (char& c : out) c = kAlphabet[static_cast<unsigned char>(c) % 32];
  return out;
}

Status put_artifact(store::Txn& txn, const Artifact& a) {
  return store::put_record(txn, record(kArtifacts, a.account, a.bucket + "/" + a.key, 0,
                                       json::serialize(json::object{{"account", a.account},
                                                                    {"bucket", a.bucket},
                                                                    {"key", a.key},
                                                                    {"digest", a.digest},
                                                                    {"etags", json::value_from(a.etags)},
                                                                    {"training_job", a.training_job}})));
}

Result<std::optional<Artifact>> find_artifact(store::Txn& txn, const std::string& account, const std::string& bucket,
                                              const std::string& key) {
  auto r = TRY(store::get_record(txn, kArtifacts, account, bucket + "/" + key));
  if (!r) return std::optional<Artifact>();
  const JsonFields f = TRY(JsonFields::parse(r->body, "an artifact's record"));
  Artifact a;
  a.account = f.text("account");
  a.bucket = f.text("bucket");
  a.key = f.text("key");
  a.digest = f.text("digest");
  a.etags = f.text_map("etags");
  a.training_job = f.text("training_job");
  return std::optional<Artifact>(std::move(a));
}

}  // namespace hf::fleet
