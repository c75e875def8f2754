#include "api/sagemaker/common.h"

#include <boost/json.hpp>

#include "fleet/json_fields.h"
#include "fleet/registry.h"
#include "store/objects.h"

namespace hf::api::sagemaker_api {
namespace json = boost::json;
namespace {

constexpr int64_t kAll = 100'000;

Result<Thing> thing_of(const store::Record& r) {
  const fleet::JsonFields f = TRY(fleet::JsonFields::parse(r.body, "the record of " + r.name));
  return Thing{f.text("name"), f.text("arn"), f.text("request"), f.text_map("facts"), f.integer("created")};
}

}  // namespace

Result<S3Uri> parse_s3_uri(const std::string& uri, const char* member) {
  constexpr std::string_view kScheme = "s3://";
  const size_t slash = uri.find('/', kScheme.size());
  S3Uri out;
  if (uri.rfind(kScheme, 0) == 0) {
    out.bucket = uri.substr(kScheme.size(), slash == std::string::npos ? slash : slash - kScheme.size());
    if (slash != std::string::npos) out.key = uri.substr(slash + 1);
  }
  if (!out.bucket.empty()) return out;
  return fail(Code::invalid, "ValidationException",
              std::string(member) + ": expected s3://BUCKET/KEY, found " + uri.substr(0, 200));
}

Status check_bucket(Call& call, const S3Uri& uri, const char* member) {
  bool own = false;
  TRY(call.read([&](store::Txn& txn) -> Status {
    auto bucket = TRY(call.site().objects.bucket(txn, uri.bucket));
    own = bucket && bucket->account == call.account();
    return {};
  }));
  if (own) return {};
  return fail(Code::invalid, "ValidationException",
              std::string(member) + ": no bucket of this account is called " + uri.bucket);
}

Status may_pass(Call& call, const std::string& role) {
  security::Question question{.action = "iam:PassRole", .resource = role};
  question.context["iam:passedtoservice"] = {"sagemaker.amazonaws.com"};
  return call.may(std::move(question));
}

Error could_not_find(const std::string& what) {
  return fail(Code::not_found, "ValidationException", "Could not find " + what + ".");
}
Error exists_already(const std::string& what) {
  return fail(Code::conflict, "ValidationException", "Cannot create already existing " + what + ".");
}

Status insert_thing(store::Txn& txn, const char* kind, const std::string& account, const Thing& thing) {
  store::Record r;
  r.kind = kind;
  r.account = account;
  r.name = thing.name;
  r.created = r.updated = thing.created;
  r.body = json::serialize(json::object{{"name", thing.name},
                                        {"arn", thing.arn},
                                        {"request", thing.request},
                                        {"facts", json::value_from(thing.facts)},
                                        {"created", thing.created}});
  return store::insert_record(txn, r);
}

Result<std::optional<Thing>> find_thing(store::Txn& txn, const char* kind, const std::string& account,
                                        const std::string& name) {
  auto r = TRY(store::get_record(txn, kind, account, name));
  if (!r) return std::optional<Thing>();
  return std::optional<Thing>(TRY(thing_of(*r)));
}

Result<std::optional<Thing>> find_thing(Call& call, const char* kind, const std::string& name) {
  std::optional<Thing> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(find_thing(txn, kind, call.account(), name));
    return {};
  }));
  return found;
}

Result<std::vector<Thing>> things_of(store::Txn& txn, const char* kind, const std::string& account) {
  std::vector<Thing> out;
  for (const store::Record& r : TRY(store::list_records(txn, kind, account, "", kAll))) out.push_back(TRY(thing_of(r)));
  return out;
}

Result<ModelData> model_data_at(Call& call, const std::string& uri, const char* member) {
  const S3Uri at = TRY(parse_s3_uri(uri, member));
  TRY(call.may("s3:GetObject", at.arn()));
  std::optional<fleet::Artifact> artifact;
  bool changed = false;
  ModelData out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    artifact = TRY(fleet::find_artifact(txn, call.account(), at.bucket, at.key));
    if (!artifact) return {};
    for (const auto& [key, etag] : artifact->etags) {
      auto object = TRY(call.site().objects.head(txn, at.bucket, key));
      changed = changed || !object || object->etag != etag;
    }
    auto model = TRY(fleet::find_model(txn, call.account(), artifact->training_job));
    out.digest = artifact->digest;
    out.model_name = model && model->digest == artifact->digest ? model->name : artifact->training_job;
    return {};
  }));
  const std::string where = std::string(member) + ": " + uri;
  if (!artifact)
    return fail(Code::invalid, "ValidationException",
                "Could not find model data at " + where +
                    " is not an artifact that a training job of this account "
                    "wrote. Bring other models in with `holdfast models import DIR`.");
  if (changed)
    return fail(Code::invalid, "ValidationException",
                where + " was changed or removed since the training job wrote it; its model is not taken from there.");
  return out;
}

}  // namespace hf::api::sagemaker_api
