#include "api/bedrock/models.h"

#include "api/inference.h"
#include "api/listing.h"
#include "api/model_folders.h"
#include "fleet/deployments.h"

namespace hf::api::bedrock_api {
namespace {

constexpr const char* kProvider = "Holdfast";
constexpr int64_t kAll = 100'000;

FoundationModel describe(const fleet::Model& m) {
  FoundationModel out;
  out.arn = m.arn;
  out.id = "holdfast." + m.name;
  out.name = m.name;
  out.provider = kProvider;
  out.input = out.output = {"TEXT"};
  out.inference = {"ON_DEMAND"};
  out.lifecycle.start.us = m.created;
  return out;
}

// Every custom model needs a base for AWS's shapes: the architecture, which is what ours start from.
std::string base_name(const fleet::Model&) { return "holdfast.decoder"; }
std::string base_arn(const Call& call, const fleet::Model& m) {
  return "arn:aws:bedrock:" + call.site().region + "::foundation-model/" + base_name(m);
}
const char* customization(const fleet::Model& m) {
  return m.source == "imported" ? "IMPORTED" : "CONTINUED_PRE_TRAINING";
}

Result<std::vector<fleet::Model>> read_models(Call& call, bool shared) {
  std::vector<fleet::Model> out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out = TRY(shared ? fleet::shared_models(txn) : fleet::models_of(txn, call.account(), "", kAll));
    return {};
  }));
  return out;
}

Result<ListFoundationModelsResponse> list_foundation(Call& call, const ListFoundationModelsRequest& in) {
  ListFoundationModelsResponse out;
  const bool none = (in.provider && *in.provider != kProvider) || in.customization ||
                    (in.output && *in.output != "TEXT") || (in.inference && *in.inference != "ON_DEMAND");
  if (none) return out;
  for (const fleet::Model& m : TRY(read_models(call, true))) out.models.push_back(describe(m));
  return out;
}

Result<GetFoundationModelResponse> get_foundation(Call& call, const ModelIdentifierRequest& in) {
  for (const fleet::Model& m : TRY(read_models(call, true)))
    if (in.id == m.arn || in.id == "holdfast." + m.name) return GetFoundationModelResponse{describe(m)};
  return not_found("no foundation model is called " + in.id.substr(0, 300));
}

Result<ListCustomModelsResponse> list_custom(Call& call, const ListCustomModelsRequest& in) {
  std::vector<fleet::Model> models = TRY(read_models(call, false));
  std::erase_if(models, [&](const fleet::Model& m) {
    const auto us = [](const std::optional<Timestamp>& t) { return t ? std::optional<Micros>(t->us) : std::nullopt; };
    return m.shared || !within(m.created, us(in.after), us(in.before)) ||
           (in.name && m.name.find(*in.name) == std::string::npos) || (in.base && *in.base != base_arn(call, m)) ||
           (in.foundation && *in.foundation != base_arn(call, m)) || (in.owned && !*in.owned) ||
           (in.status && *in.status != "Active");
  });
  ListCustomModelsResponse out;
  out.token = TRY(take_page(
      models, [](const fleet::Model& m) { return time_key(m.created) + m.name; },
      in.order.value_or("Descending") == "Descending", in.most.value_or(100), in.token));
  for (const fleet::Model& m : models)
    out.models.push_back(
        {m.arn, m.name, base_arn(call, m), base_name(m), customization(m), m.account, "Active", Timestamp{m.created}});
  return out;
}

Result<GetCustomModelResponse> get_custom(Call& call, const ModelIdentifierRequest& in) {
  const fleet::Model m = TRY(own_model(call, in.id));
  GetCustomModelResponse out;
  out.arn = m.arn;
  out.name = m.name;
  out.base_arn = base_arn(call, m);
  out.customization = customization(m);
  out.hyperparameters = m.lineage.hyperparameters;
  out.created.us = m.created;
  if (!m.lineage.training_job.empty()) {
    out.job_arn = m.lineage.training_job;
    out.job_name = m.lineage.training_job.substr(m.lineage.training_job.rfind('/') + 1);
  }
  if (!m.lineage.data.empty()) out.data = S3Location{m.lineage.data.front()};
  if (auto loss = m.lineage.metrics.find("train:loss"); loss != m.lineage.metrics.end())
    out.training = TrainingMetrics{loss->second};
  if (auto loss = m.lineage.metrics.find("validation:loss"); loss != m.lineage.metrics.end())
    out.validation = std::vector<ValidatorMetric>{{loss->second}};
  return out;
}

Result<Empty> delete_custom(Call& call, const ModelIdentifierRequest& in) {
  const fleet::Model m = TRY(own_model(call, in.id));
  TRY(call.commit([&](store::Txn& txn) -> Status {
    for (const fleet::Deployment& d : TRY(fleet::deployments_of(txn, fleet::kCustomDeployment, m.account)))
      if (d.model_arn == m.arn)
        return fail(Code::conflict, "ConflictException", m.name + " is deployed as " + d.name + ": delete that first");
    (void)TRY(fleet::unregister_model(txn, m.account, m.name));
    return {};
  }));
  release_model(call, m.digest);
  return Empty{};
}

std::string everything(const Call&, const ListFoundationModelsRequest&) { return "*"; }
std::string all_custom(const Call&, const ListCustomModelsRequest&) { return "*"; }
std::string foundation_arn(const Call& call, const ModelIdentifierRequest& in) { return model_resource(call, in.id); }
std::string custom_arn(const Call& call, const ModelIdentifierRequest& in) { return own_model_arn(call, in.id); }

}  // namespace

Result<fleet::Model> own_model(Call& call, const std::string& identifier) {
  std::optional<fleet::Model> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    if (identifier.rfind("arn:", 0) == 0) {
      found = TRY(fleet::find_model_by_id(txn, call.account(), identifier.substr(identifier.rfind('/') + 1)));
      if (found && found->arn != identifier) found.reset();
    } else {
      found = TRY(fleet::find_model(txn, call.account(), identifier));
    }
    return {};
  }));
  if (found) return std::move(*found);
  return not_found("no custom model of this account is called " + identifier.substr(0, 300));
}

std::string own_model_arn(const Call& call, const std::string& identifier) {
  if (identifier.rfind("arn:", 0) == 0) return identifier;
  std::optional<fleet::Model> found;
  (void)call.site().db.read([&](store::Txn& txn) -> Status {  // an error: the handler meets it again
    found = TRY(fleet::find_model(txn, call.account(), identifier));
    return {};
  });
  return found ? found->arn : call.arn("bedrock", "custom-model/" + identifier);
}

void add_models(Service& s) {
  s.add<ListFoundationModelsRequest, ListFoundationModelsResponse>(
      "ListFoundationModels", {"GET", "/foundation-models"}, Effect::read, list_foundation, everything);
  s.add<ModelIdentifierRequest, GetFoundationModelResponse>("GetFoundationModel",
                                                            {"GET", "/foundation-models/{modelIdentifier}"},
                                                            Effect::read, get_foundation, foundation_arn);
  s.add<ListCustomModelsRequest, ListCustomModelsResponse>("ListCustomModels", {"GET", "/custom-models"}, Effect::read,
                                                           list_custom, all_custom);
  s.add<ModelIdentifierRequest, GetCustomModelResponse>("GetCustomModel", {"GET", "/custom-models/{modelIdentifier}"},
                                                        Effect::read, get_custom, custom_arn);
  s.add<ModelIdentifierRequest, Empty>("DeleteCustomModel", {"DELETE", "/custom-models/{modelIdentifier}"},
                                       Effect::write, delete_custom, custom_arn);
}

}  // namespace hf::api::bedrock_api
