// Endpoint configurations and endpoints. An endpoint is a fleet::Deployment: Creating until its model is loaded.
#include "api/inference.h"
#include "api/listing.h"
#include "api/model_folders.h"
#include "api/sagemaker/common.h"
#include "fleet/deployments.h"
#include "fleet/jobs.h"

namespace hf::api::sagemaker_api {
namespace {

using fleet::Deployment;

struct ProductionVariant {
  std::string name, model;
  std::optional<int32_t> count;
  OptText type;
  std::optional<double> weight;
  static void fields(wire::Fields<ProductionVariant>& f) {
    using V = ProductionVariant;
    f("VariantName", &V::name).required().length(1, 63).pattern(kEntityName);
    f("ModelName", &V::model).required().length(1, 63).pattern(kEntityName);
    f("InitialInstanceCount", &V::count).range(1, 1);
    f("InstanceType", &V::type).pattern(kInstanceType);
    f("InitialVariantWeight", &V::weight).range(0, 1e9);
    f.refused("InstancePools", "an endpoint runs on this one machine");
    f.refused("VariantInstanceProvisionTimeoutInSeconds", "an endpoint runs on this one machine");
    f.refused("AcceleratorType", "accelerators are not offered");
    f.refused("CoreDumpConfig", "core dumps are not offered");
    f.refused("ServerlessConfig", "serverless endpoints are not offered");
    f.refused("VolumeSizeInGB", "a model is served from where it lies: no volume is made");
    f.refused("ModelDataDownloadTimeoutInSeconds", "a model is served from where it lies: nothing is downloaded");
    f.refused("ContainerStartupHealthCheckTimeoutInSeconds", "containers are not offered: the engine is built in");
    f.refused("EnableSSMAccess", "containers are not offered: the engine is built in");
    f.refused("ManagedInstanceScaling", "an endpoint runs on this one machine");
    f.refused("RoutingConfig", "an endpoint runs on this one machine");
    f.refused("InferenceAmiVersion", "an endpoint runs on this one machine");
    f.refused("CapacityReservationConfig", "an endpoint runs on this one machine");
  }
};
struct CreateConfigRequest {
  std::string name;
  std::vector<ProductionVariant> variants;
  std::vector<Tag> tags;
  OptText role;
  std::optional<bool> isolation;
  static void fields(wire::Fields<CreateConfigRequest>& f) {
    using R = CreateConfigRequest;
    f("EndpointConfigName", &R::name).required().length(1, 63).pattern(kEntityName);
    f("ProductionVariants", &R::variants).required().length(1, 1);
    f("Tags", &R::tags).length(0, 50);
    f("ExecutionRoleArn", &R::role).length(20, 2048).pattern(kRoleArn);
    f("EnableNetworkIsolation", &R::isolation);  // always so, whatever is asked
    f.refused("DataCaptureConfig", "data capture is not offered");
    f.refused("KmsKeyId", "encryption with KMS keys is not offered");
    f.refused("AsyncInferenceConfig", "asynchronous inference is not offered");
    f.refused("ExplainerConfig", "explanations are not offered");
    f.refused("ShadowProductionVariants", "shadow variants are not offered");
    f.refused("VpcConfig", "a worker has no network at all");
    f.refused("MetricsConfig", "metrics in CloudWatch are not offered");
  }
};
struct ConfigArnResponse {
  std::string arn;
  static void fields(wire::Fields<ConfigArnResponse>& f) { f("EndpointConfigArn", &ConfigArnResponse::arn); }
};
struct ConfigNameRequest {
  std::string name;
  static void fields(wire::Fields<ConfigNameRequest>& f) {
    f("EndpointConfigName", &ConfigNameRequest::name).required().length(1, 63).pattern(kEntityName);
  }
};
struct DescribeConfigResponse {
  std::string name, arn;
  std::vector<ProductionVariant> variants;
  Timestamp created;
  OptText role;
  bool isolation = true;
  static void fields(wire::Fields<DescribeConfigResponse>& f) {
    using R = DescribeConfigResponse;
    f("EndpointConfigName", &R::name);
    f("EndpointConfigArn", &R::arn);
    f("ProductionVariants", &R::variants);
    f("CreationTime", &R::created);
    f("ExecutionRoleArn", &R::role);
    f("EnableNetworkIsolation", &R::isolation);
  }
};

struct CreateEndpointRequest {
  std::string name, config;
  std::vector<Tag> tags;
  static void fields(wire::Fields<CreateEndpointRequest>& f) {
    f("EndpointName", &CreateEndpointRequest::name).required().length(1, 63).pattern(kEntityName);
    f("EndpointConfigName", &CreateEndpointRequest::config).required().length(1, 63).pattern(kEntityName);
    f("Tags", &CreateEndpointRequest::tags).length(0, 50);
    f.refused("DeploymentConfig", "deployment guardrails are not offered: an endpoint has one model, whole");
  }
};
struct EndpointArnResponse {
  std::string arn;
  static void fields(wire::Fields<EndpointArnResponse>& f) { f("EndpointArn", &EndpointArnResponse::arn); }
};
struct EndpointNameRequest {
  std::string name;
  static void fields(wire::Fields<EndpointNameRequest>& f) {
    f("EndpointName", &EndpointNameRequest::name).required().length(1, 63).pattern(kEntityName);
  }
};
struct VariantSummary {
  std::string name;
  double current = 1, desired = 1;
  int32_t current_count = 1, desired_count = 1;
  static void fields(wire::Fields<VariantSummary>& f) {
    f("VariantName", &VariantSummary::name);
    f("CurrentWeight", &VariantSummary::current);
    f("DesiredWeight", &VariantSummary::desired);
    f("CurrentInstanceCount", &VariantSummary::current_count);
    f("DesiredInstanceCount", &VariantSummary::desired_count);
  }
};
struct DescribeEndpointResponse {
  std::string name, arn, config, status;
  std::optional<std::vector<VariantSummary>> variants;
  OptText failure;
  Timestamp created, modified;
  static void fields(wire::Fields<DescribeEndpointResponse>& f) {
    using R = DescribeEndpointResponse;
    f("EndpointName", &R::name);
    f("EndpointArn", &R::arn);
    f("EndpointConfigName", &R::config);
    f("ProductionVariants", &R::variants);
    f("EndpointStatus", &R::status);
    f("FailureReason", &R::failure);
    f("CreationTime", &R::created);
    f("LastModifiedTime", &R::modified);
  }
};
struct ListEndpointsRequest {
  OptText token, name, status, sort_by, order;
  std::optional<int32_t> most;
  std::optional<Timestamp> after, before, modified_after, modified_before;
  static void fields(wire::Fields<ListEndpointsRequest>& f) {
    using R = ListEndpointsRequest;
    f("SortBy", &R::sort_by).one_of({"Name", "CreationTime", "Status"});
    f("SortOrder", &R::order).one_of({"Ascending", "Descending"});
    f("NextToken", &R::token).length(0, 8192);
    f("MaxResults", &R::most).range(1, 100);
    f("NameContains", &R::name).length(0, 63);
    f("CreationTimeBefore", &R::before);
    f("CreationTimeAfter", &R::after);
    f("LastModifiedTimeBefore", &R::modified_before);
    f("LastModifiedTimeAfter", &R::modified_after);
    f("StatusEquals", &R::status)
        .one_of({"OutOfService", "Creating", "Updating", "SystemUpdating", "RollingBack", "InService", "Deleting",
                 "Failed", "UpdateRollbackFailed"});
  }
};
struct EndpointSummary {
  std::string name, arn, status;
  Timestamp created, modified;
  static void fields(wire::Fields<EndpointSummary>& f) {
    f("EndpointName", &EndpointSummary::name);
    f("EndpointArn", &EndpointSummary::arn);
    f("CreationTime", &EndpointSummary::created);
    f("LastModifiedTime", &EndpointSummary::modified);
    f("EndpointStatus", &EndpointSummary::status);
  }
};
struct ListEndpointsResponse {
  std::vector<EndpointSummary> endpoints;
  OptText token;
  static void fields(wire::Fields<ListEndpointsResponse>& f) {
    f("Endpoints", &ListEndpointsResponse::endpoints);
    f("NextToken", &ListEndpointsResponse::token);
  }
};

const char* status_of(const Deployment& d) {
  switch (d.state) {
    case Deployment::State::creating:
      return "Creating";
    case Deployment::State::active:
      return "InService";
    case Deployment::State::failed:
      return "Failed";
  }
  return "Failed";
}

// ---- configurations

Result<ConfigArnResponse> create_config(Call& call, const CreateConfigRequest& in) {
  const std::string& model = in.variants.front().model;
  if (in.role) TRY(may_pass(call, *in.role));
  Thing config{in.name,
               call.arn("sagemaker", "endpoint-config/" + in.name),
               to_text(in),
               {{"model", model}, {"variant", in.variants.front().name}},
               call.now()};
  TRY(call.commit([&](store::Txn& txn) -> Status {
    if (!TRY(find_thing(txn, kModels, call.account(), model))) return could_not_find("model " + model);
    if (TRY(find_thing(txn, kConfigs, call.account(), in.name)))
      return exists_already("endpoint configuration " + in.name);
    return insert_thing(txn, kConfigs, call.account(), config);
  }));
  return ConfigArnResponse{config.arn};
}

Result<DescribeConfigResponse> describe_config(Call& call, const ConfigNameRequest& in) {
  auto config = TRY(find_thing(call, kConfigs, in.name));
  if (!config) return could_not_find("endpoint configuration " + in.name);
  CreateConfigRequest request = TRY(from_text<CreateConfigRequest>(config->request));
  return DescribeConfigResponse{
      config->name, config->arn, std::move(request.variants), Timestamp{config->created}, std::move(request.role),
      true};
}

Result<Empty> delete_config(Call& call, const ConfigNameRequest& in) {
  TRY(call.commit([&](store::Txn& txn) -> Status {
    if (TRY(store::delete_record(txn, kConfigs, call.account(), in.name))) return {};
    return could_not_find("endpoint configuration " + in.name);
  }));
  return Empty{};
}

// ---- endpoints

Result<EndpointArnResponse> create(Call& call, const CreateEndpointRequest& in) {
  Deployment d;
  d.kind = fleet::kEndpoint;
  d.account = call.account();
  d.name = d.id = in.name;
  d.arn = call.arn("sagemaker", "endpoint/" + in.name);
  d.principal = call.who().arn;
  d.config = in.config;
  for (const Tag& tag : in.tags) d.tags[tag.key] = tag.value;
  d.created = d.updated = call.now();
  TRY(call.commit([&](store::Txn& txn) -> Status {
    auto config = TRY(find_thing(txn, kConfigs, call.account(), in.config));
    if (!config) return could_not_find("endpoint configuration " + in.config);
    auto model = TRY(find_thing(txn, kModels, call.account(), config->facts["model"]));
    if (!model) return could_not_find("model " + config->facts["model"]);
    if (TRY(fleet::find_deployment(txn, fleet::kEndpoint, d.account, d.name)))
      return exists_already("endpoint " + in.name);
    d.digest = model->facts["digest"];
    d.model_name = model->facts["model_name"];
    d.model_arn = model->arn;
    d.variant = config->facts["variant"];
    return fleet::insert_deployment(txn, d);
  }));
  call.site().jobs.deployments().wake();
  return EndpointArnResponse{d.arn};
}

Result<Deployment> own_endpoint(Call& call, const std::string& name) {
  std::optional<Deployment> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(fleet::find_deployment(txn, fleet::kEndpoint, call.account(), name));
    return {};
  }));
  if (found) return std::move(*found);
  return could_not_find("endpoint \"" + name + "\"");
}

Result<DescribeEndpointResponse> describe(Call& call, const EndpointNameRequest& in) {
  const Deployment d = TRY(own_endpoint(call, in.name));
  DescribeEndpointResponse out;
  out.name = d.name;
  out.arn = d.arn;
  out.config = d.config;
  out.status = status_of(d);
  if (d.state == Deployment::State::active) out.variants = std::vector<VariantSummary>{{d.variant, 1, 1, 1, 1}};
  if (!d.failure.empty()) out.failure = d.failure;
  out.created.us = d.created;
  out.modified.us = d.updated;
  return out;
}

Result<Empty> remove(Call& call, const EndpointNameRequest& in) {
  const Deployment d = TRY(own_endpoint(call, in.name));
  TRY(call.commit([&](store::Txn& txn) -> Status {
    (void)TRY(fleet::delete_deployment(txn, d));
    return {};
  }));
  release_model(call, d.digest);
  return Empty{};
}

Result<ListEndpointsResponse> list(Call& call, const ListEndpointsRequest& in) {
  std::vector<Deployment> all;
  TRY(call.read([&](store::Txn& txn) -> Status {
    all = TRY(fleet::deployments_of(txn, fleet::kEndpoint, call.account()));
    return {};
  }));
  std::erase_if(all, [&](const Deployment& d) {
    return !within(d.created, micros(in.after), micros(in.before)) ||
           !within(d.updated, micros(in.modified_after), micros(in.modified_before)) ||
           (in.name && d.name.find(*in.name) == std::string::npos) || (in.status && *in.status != status_of(d));
  });
  const std::string by = in.sort_by.value_or("CreationTime");
  auto key = [&](const Deployment& d) {
    if (by == "Name") return d.name;
    if (by == "Status") return std::string(status_of(d)) + " " + d.name;
    return time_key(d.created) + d.name;
  };
  ListEndpointsResponse out;
  out.token = TRY(take_page(all, key, in.order.value_or("Descending") == "Descending", in.most.value_or(10), in.token));
  for (const Deployment& d : all)
    out.endpoints.push_back({d.name, d.arn, status_of(d), Timestamp{d.created}, Timestamp{d.updated}});
  return out;
}

template <class In>
std::string config_arn(const Call& call, const In& in) {
  return call.arn("sagemaker", "endpoint-config/" + in.name);
}
template <class In>
std::string endpoint_arn(const Call& call, const In& in) {
  return call.arn("sagemaker", "endpoint/" + in.name);
}
std::string everything(const Call&, const ListEndpointsRequest&) { return "*"; }

}  // namespace

void add_endpoints(Service& s) {
  s.add<CreateConfigRequest, ConfigArnResponse>("CreateEndpointConfig", {}, Effect::write, create_config, config_arn);
  s.add<ConfigNameRequest, DescribeConfigResponse>("DescribeEndpointConfig", {}, Effect::read, describe_config,
                                                   config_arn);
  s.add<ConfigNameRequest, Empty>("DeleteEndpointConfig", {}, Effect::write, delete_config, config_arn);
  s.add<CreateEndpointRequest, EndpointArnResponse>("CreateEndpoint", {}, Effect::write, create, endpoint_arn);
  s.add<EndpointNameRequest, DescribeEndpointResponse>("DescribeEndpoint", {}, Effect::read, describe, endpoint_arn);
  s.add<EndpointNameRequest, Empty>("DeleteEndpoint", {}, Effect::write, remove, endpoint_arn);
  s.add<ListEndpointsRequest, ListEndpointsResponse>("ListEndpoints", {}, Effect::read, list, everything);
}

}  // namespace hf::api::sagemaker_api
