// SageMaker's models: a name for a model's files, which endpoint configurations refer to.
#include "api/inference.h"
#include "api/listing.h"
#include "api/model_folders.h"
#include "api/sagemaker/containers.h"
#include "fleet/registry.h"

namespace hf::api::sagemaker_api {
namespace {

struct ContainerDefinition {
  OptText image, url, package, mode;
  std::optional<ModelDataSource> source;
  static void fields(wire::Fields<ContainerDefinition>& f) {
    using C = ContainerDefinition;
    f("Image", &C::image).one_of({kImage});
    f("Mode", &C::mode).one_of({"SingleModel"});
    f("ModelDataUrl", &C::url).length(6, 1024);
    f("ModelDataSource", &C::source);
    f("ModelPackageName", &C::package).length(1, 176);
    f.refused("ContainerHostname", "containers are not offered: the engine is built in");
    f.refused("ImageConfig", "containers are not offered: the engine is built in");
    f.refused("Environment", "containers are not offered: the engine is built in");
    f.refused("AdditionalModelDataSources", "a container holds one model");
    f.refused("InferenceSpecificationName", "a package has one specification");
    f.refused("MultiModelConfig", "multi-model endpoints are not offered");
    f.refused("ContainerMetricsConfig", "containers are not offered: the engine is built in");
  }
};
struct CreateModelRequest {
  std::string name;
  std::optional<ContainerDefinition> container;
  OptText role;
  std::vector<Tag> tags;
  std::optional<bool> isolation;
  static void fields(wire::Fields<CreateModelRequest>& f) {
    using R = CreateModelRequest;
    f("ModelName", &R::name).required().length(1, 63).pattern(kEntityName);
    f("PrimaryContainer", &R::container);
    f("ExecutionRoleArn", &R::role).length(20, 2048).pattern(kRoleArn);
    f("Tags", &R::tags).length(0, 50);
    f("EnableNetworkIsolation", &R::isolation);  // always so, whatever is asked
    f.refused("Containers", "inference pipelines are not offered: name one PrimaryContainer");
    f.refused("InferenceExecutionConfig", "inference pipelines are not offered");
    f.refused("VpcConfig", "a worker has no network at all");
  }
};
struct ModelArnResponse {
  std::string arn;
  static void fields(wire::Fields<ModelArnResponse>& f) { f("ModelArn", &ModelArnResponse::arn); }
};
struct ModelNameRequest {
  std::string name;
  static void fields(wire::Fields<ModelNameRequest>& f) {
    f("ModelName", &ModelNameRequest::name).required().length(1, 63).pattern(kEntityName);
  }
};
struct DescribeModelResponse {
  std::string name, arn;
  std::optional<ContainerDefinition> container;
  OptText role;
  Timestamp created;
  bool isolation = true;
  static void fields(wire::Fields<DescribeModelResponse>& f) {
    using R = DescribeModelResponse;
    f("ModelName", &R::name);
    f("PrimaryContainer", &R::container);
    f("ExecutionRoleArn", &R::role);
    f("CreationTime", &R::created);
    f("ModelArn", &R::arn);
    f("EnableNetworkIsolation", &R::isolation);
  }
};
struct ListModelsRequest {
  OptText token, name, sort_by, order;
  std::optional<int32_t> most;
  std::optional<Timestamp> after, before;
  static void fields(wire::Fields<ListModelsRequest>& f) {
    using R = ListModelsRequest;
    f("SortBy", &R::sort_by).one_of({"Name", "CreationTime"});
    f("SortOrder", &R::order).one_of({"Ascending", "Descending"});
    f("NextToken", &R::token).length(0, 8192);
    f("MaxResults", &R::most).range(1, 100);
    f("NameContains", &R::name).length(0, 63);
    f("CreationTimeBefore", &R::before);
    f("CreationTimeAfter", &R::after);
  }
};
struct ModelSummary {
  std::string name, arn;
  Timestamp created;
  static void fields(wire::Fields<ModelSummary>& f) {
    f("ModelName", &ModelSummary::name);
    f("ModelArn", &ModelSummary::arn);
    f("CreationTime", &ModelSummary::created);
  }
};
struct ListModelsResponse {
  std::vector<ModelSummary> models;
  OptText token;
  static void fields(wire::Fields<ListModelsResponse>& f) {
    f("Models", &ListModelsResponse::models);
    f("NextToken", &ListModelsResponse::token);
  }
};

Result<ModelArnResponse> create(Call& call, const CreateModelRequest& in) {
  if (!in.container) return invalid("PrimaryContainer: expected one, found none");
  if (in.role) TRY(may_pass(call, *in.role));
  auto data = TRY(model_data_of(call, *in.container));
  if (data && in.container->package)
    return invalid("PrimaryContainer: expected model data or ModelPackageName, found both");
  if (!data && in.container->package) data = TRY(model_of_package(call, *in.container->package));
  if (!data) return invalid("PrimaryContainer: expected ModelDataUrl, ModelDataSource or ModelPackageName, found none");
  Thing model{in.name,
              call.arn("sagemaker", "model/" + in.name),
              to_text(in),
              {{"digest", data->digest}, {"model_name", data->model_name}},
              call.now()};
  TRY(call.commit([&](store::Txn& txn) -> Status {
    if (TRY(find_thing(txn, kModels, call.account(), in.name))) return exists_already("model " + in.name);
    return insert_thing(txn, kModels, call.account(), model);
  }));
  return ModelArnResponse{model.arn};
}

Result<DescribeModelResponse> describe(Call& call, const ModelNameRequest& in) {
  auto model = TRY(find_thing(call, kModels, in.name));
  if (!model) return could_not_find("model " + in.name);
  CreateModelRequest request = TRY(from_text<CreateModelRequest>(model->request));
  return DescribeModelResponse{
      model->name, model->arn, std::move(request.container), std::move(request.role), Timestamp{model->created}, true};
}

Result<Empty> remove(Call& call, const ModelNameRequest& in) {
  auto model = TRY(find_thing(call, kModels, in.name));
  if (!model) return could_not_find("model " + in.name);
  TRY(call.commit([&](store::Txn& txn) -> Status {
    (void)TRY(store::delete_record(txn, kModels, call.account(), in.name));
    return {};
  }));
  release_model(call, model->facts["digest"]);
  return Empty{};
}

Result<ListModelsResponse> list(Call& call, const ListModelsRequest& in) {
  std::vector<Thing> models;
  TRY(call.read([&](store::Txn& txn) -> Status {
    models = TRY(things_of(txn, kModels, call.account()));
    return {};
  }));
  std::erase_if(models, [&](const Thing& m) {
    return !within(m.created, micros(in.after), micros(in.before)) ||
           (in.name && m.name.find(*in.name) == std::string::npos);
  });
  const bool by_name = in.sort_by.value_or("CreationTime") == "Name";
  ListModelsResponse out;
  out.token = TRY(take_page(
      models, [&](const Thing& m) { return (by_name ? "" : time_key(m.created)) + m.name; },
      in.order.value_or("Descending") == "Descending", in.most.value_or(10), in.token));
  for (const Thing& m : models) out.models.push_back({m.name, m.arn, Timestamp{m.created}});
  return out;
}

template <class In>
std::string model_arn(const Call& call, const In& in) {
  return call.arn("sagemaker", "model/" + in.name);
}
std::string everything(const Call&, const ListModelsRequest&) { return "*"; }

}  // namespace

void add_models(Service& s) {
  s.add<CreateModelRequest, ModelArnResponse>("CreateModel", {}, Effect::write, create, model_arn);
  s.add<ModelNameRequest, DescribeModelResponse>("DescribeModel", {}, Effect::read, describe, model_arn);
  s.add<ModelNameRequest, Empty>("DeleteModel", {}, Effect::write, remove, model_arn);
  s.add<ListModelsRequest, ListModelsResponse>("ListModels", {}, Effect::read, list, everything);
}

}  // namespace hf::api::sagemaker_api
