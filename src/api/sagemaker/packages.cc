// Model packages: the registry with versions, approval and lineage. A package keeps what its caller said of it, and we
// add what we know of the model's making, under names that start with "holdfast:".
#include "api/inference.h"
#include "api/sagemaker/containers.h"
#include "fleet/registry.h"

namespace hf::api::sagemaker_api {
namespace {

using Map = std::map<std::string, std::string>;
using Texts = std::vector<std::string>;

struct CreateGroupRequest {
  std::string name;
  OptText description;
  std::vector<Tag> tags;
  static void fields(wire::Fields<CreateGroupRequest>& f) {
    f("ModelPackageGroupName", &CreateGroupRequest::name).required().length(1, 63).pattern(kEntityName);
    f("ModelPackageGroupDescription", &CreateGroupRequest::description).length(0, 1024);
    f("Tags", &CreateGroupRequest::tags).length(0, 50);
    f.refused("ManagedConfiguration", "managed storage is not offered");
  }
};
struct CreateGroupResponse {
  std::string arn;
  static void fields(wire::Fields<CreateGroupResponse>& f) { f("ModelPackageGroupArn", &CreateGroupResponse::arn); }
};

struct PackageContainer {
  OptText image, url, framework, framework_version, nearest, etag;
  std::optional<ModelDataSource> source;
  static void fields(wire::Fields<PackageContainer>& f) {
    f("Image", &PackageContainer::image).one_of({kImage});
    f("ModelDataUrl", &PackageContainer::url).length(6, 1024);
    f("ModelDataSource", &PackageContainer::source);
    f("Framework", &PackageContainer::framework).length(0, 256);
    f("FrameworkVersion", &PackageContainer::framework_version).length(3, 10);
    f("NearestModelName", &PackageContainer::nearest).length(0, 256);
    f.refused("ContainerHostname", "containers are not offered: the engine is built in");
    f.refused("ImageDigest", "containers are not offered: the engine is built in");
    f.refused("ProductId", "the marketplace is not offered");
    f.refused("Environment", "containers are not offered: the engine is built in");
    f.refused("ModelInput", "model inputs are text");
    f.refused("AdditionalModelDataSources", "a package holds one model");
    f.refused("AdditionalS3DataSource", "a package holds one model");
    f.refused("ModelDataETag", "the ETag that the training job wrote is what is checked");
    f.refused("IsCheckpoint", "checkpoints are not offered");
    f.refused("BaseModel", "model hubs are not offered");
  }
};
struct InferenceSpecification {
  std::vector<PackageContainer> containers;
  Texts transform, realtime, content, response;
  static void fields(wire::Fields<InferenceSpecification>& f) {
    f("Containers", &InferenceSpecification::containers).required().length(1, 1);
    f("SupportedTransformInstanceTypes", &InferenceSpecification::transform).length(0, 100);
    f("SupportedRealtimeInferenceInstanceTypes", &InferenceSpecification::realtime).length(0, 500);
    f("SupportedContentTypes", &InferenceSpecification::content).length(0, 100);
    f("SupportedResponseMIMETypes", &InferenceSpecification::response).length(0, 100);
  }
};
struct MetadataProperties {
  OptText commit, repository, generated_by, project;
  static void fields(wire::Fields<MetadataProperties>& f) {
    f("CommitId", &MetadataProperties::commit).length(0, 1024);
    f("Repository", &MetadataProperties::repository).length(0, 1024);
    f("GeneratedBy", &MetadataProperties::generated_by).length(0, 1024);
    f("ProjectId", &MetadataProperties::project).length(0, 1024);
  }
};
struct MetricsSource {
  std::string type, uri;
  OptText digest;
  static void fields(wire::Fields<MetricsSource>& f) {
    f("ContentType", &MetricsSource::type).required().length(0, 256);
    f("S3Uri", &MetricsSource::uri).required().length(6, 1024);
    f("ContentDigest", &MetricsSource::digest).length(0, 72);
  }
};
struct Quality {
  std::optional<MetricsSource> statistics, constraints;
  static void fields(wire::Fields<Quality>& f) {
    f("Statistics", &Quality::statistics);
    f("Constraints", &Quality::constraints);
  }
};
struct BiasReports {
  std::optional<MetricsSource> report, before, after;
  static void fields(wire::Fields<BiasReports>& f) {
    f("Report", &BiasReports::report);
    f("PreTrainingReport", &BiasReports::before);
    f("PostTrainingReport", &BiasReports::after);
  }
};
struct Explainability {
  std::optional<MetricsSource> report;
  static void fields(wire::Fields<Explainability>& f) { f("Report", &Explainability::report); }
};
struct ModelMetrics {
  std::optional<Quality> model, data;
  std::optional<BiasReports> bias;
  std::optional<Explainability> explainability;
  static void fields(wire::Fields<ModelMetrics>& f) {
    f("ModelQuality", &ModelMetrics::model);
    f("ModelDataQuality", &ModelMetrics::data);
    f("Bias", &ModelMetrics::bias);
    f("Explainability", &ModelMetrics::explainability);
  }
};

struct CreatePackageRequest {
  OptText name, group, description, registration, approval, domain, task, sample, token, skip;
  std::optional<InferenceSpecification> inference;
  std::optional<MetadataProperties> metadata;
  std::optional<ModelMetrics> metrics;
  std::optional<Map> properties;
  std::vector<Tag> tags;
  static void fields(wire::Fields<CreatePackageRequest>& f) {
    using R = CreatePackageRequest;
    f("ModelPackageName", &R::name).length(1, 63).pattern(kEntityName);
    f("ModelPackageGroupName", &R::group).length(1, 170);
    f("ModelPackageDescription", &R::description).length(0, 1024);
    f("ModelPackageRegistrationType", &R::registration).one_of({"Registered"});
    f("InferenceSpecification", &R::inference);
    f("ModelApprovalStatus", &R::approval).one_of({"Approved", "Rejected", "PendingManualApproval"});
    f("MetadataProperties", &R::metadata);
    f("ModelMetrics", &R::metrics);
    f("ClientToken", &R::token).length(1, 36);
    f("Domain", &R::domain).length(0, 256);
    f("Task", &R::task).length(0, 256);
    f("SamplePayloadUrl", &R::sample).length(0, 1024);
    f("CustomerMetadataProperties", &R::properties).length(1, 50);
    f("SkipModelValidation", &R::skip).one_of({"All", "None"});
    f("Tags", &R::tags).length(0, 50);
    f.refused("ValidationSpecification", "validation by transform jobs is not offered");
    f.refused("SourceAlgorithmSpecification", "the marketplace is not offered");
    f.refused("CertifyForMarketplace", "the marketplace is not offered");
    f.refused("DriftCheckBaselines", "drift checks are not offered");
    f.refused("AdditionalInferenceSpecifications", "a package holds one model");
    f.refused("SourceUri", "name the artifact in InferenceSpecification.Containers");
    f.refused("SecurityConfig", "encryption with KMS keys is not offered");
    f.refused("ModelCard", "model cards are not offered");
    f.refused("ModelLifeCycle", "life cycle stages are not offered");
    f.refused("ManagedStorageType", "managed storage is not offered");
  }
};
struct CreatePackageResponse {
  std::string arn;
  static void fields(wire::Fields<CreatePackageResponse>& f) { f("ModelPackageArn", &CreatePackageResponse::arn); }
};
struct DescribePackageRequest {
  std::string name;
  OptText included;
  static void fields(wire::Fields<DescribePackageRequest>& f) {
    f("ModelPackageName", &DescribePackageRequest::name).required().length(1, 176);
    f("IncludedData", &DescribePackageRequest::included).one_of({"AllData"});
  }
};
struct StatusItem {
  std::string name, status;
  static void fields(wire::Fields<StatusItem>& f) {
    f("Name", &StatusItem::name);
    f("Status", &StatusItem::status);
  }
};
struct StatusDetails {
  std::vector<StatusItem> validation;
  static void fields(wire::Fields<StatusDetails>& f) { f("ValidationStatuses", &StatusDetails::validation); }
};
struct DescribePackageResponse {
  std::string name, arn, status = "Completed";
  OptText group, registration, description, approval, domain, task, sample, skip;
  std::optional<int32_t> version;
  Timestamp created;
  std::optional<InferenceSpecification> inference;
  StatusDetails details;
  bool certify = false;
  std::optional<MetadataProperties> metadata;
  std::optional<ModelMetrics> metrics;
  Map properties;
  static void fields(wire::Fields<DescribePackageResponse>& f) {
    using R = DescribePackageResponse;
    f("ModelPackageName", &R::name);
    f("ModelPackageGroupName", &R::group);
    f("ModelPackageVersion", &R::version);
    f("ModelPackageRegistrationType", &R::registration);
    f("ModelPackageArn", &R::arn);
    f("ModelPackageDescription", &R::description);
    f("CreationTime", &R::created);
    f("InferenceSpecification", &R::inference);
    f("ModelPackageStatus", &R::status);
    f("ModelPackageStatusDetails", &R::details);
    f("CertifyForMarketplace", &R::certify);
    f("ModelApprovalStatus", &R::approval);
    f("MetadataProperties", &R::metadata);
    f("ModelMetrics", &R::metrics);
    f("Domain", &R::domain);
    f("Task", &R::task);
    f("SamplePayloadUrl", &R::sample);
    f("CustomerMetadataProperties", &R::properties);
    f("SkipModelValidation", &R::skip);
  }
};

std::string last_part(const std::string& arn, std::string_view kind) {  // "group/1" of ".../model-package/group/1"
  const std::string marker = ":" + std::string(kind) + "/";
  const size_t at = arn.find(marker);
  return arn.rfind("arn:", 0) == 0 && at != std::string::npos ? arn.substr(at + marker.size()) : arn;
}

// A thing of this account by its name or by its own ARN: what is authorised is what is looked up. Another account's or
// another site's ARN is none of ours.
Result<std::string> own_name(const Call& call, const std::string& given, std::string_view kind, const char* member) {
  std::string name = last_part(given, kind);
  if (name == given || given == call.arn("sagemaker", std::string(kind) + "/" + name)) return name;
  return invalid(std::string(member) + ": expected a name or an ARN of this account, found " + given.substr(0, 200));
}

Result<CreateGroupResponse> create_group(Call& call, const CreateGroupRequest& in) {
  Thing group{in.name, call.arn("sagemaker", "model-package-group/" + in.name), to_text(in), {}, call.now()};
  TRY(call.commit([&](store::Txn& txn) -> Status {
    if (TRY(find_thing(txn, kGroups, call.account(), in.name))) return exists_already("model package group " + in.name);
    return insert_thing(txn, kGroups, call.account(), group);
  }));
  return CreateGroupResponse{group.arn};
}

// What the registry knows of the model, as properties.
Map lineage_of(const fleet::Model& m) {
  Map out = {{"holdfast:model-digest", m.digest}};
  auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[std::string("holdfast:") + name] = value.substr(0, 256);
  };
  add("training-job", m.lineage.training_job);
  add("data-digest", m.lineage.data_digest);
  add("code-version", m.lineage.code_version);
  add("instruction-set", m.lineage.isa);
  add("imported-from", m.lineage.imported_from);
  if (!m.lineage.training_job.empty()) add("seed", std::to_string(m.lineage.seed));
  for (const auto& [name, value] : m.lineage.metrics) add(("metric:" + name).c_str(), std::to_string(value));
  for (const auto& [name, value] : m.lineage.hyperparameters) add(("hyperparameter:" + name).c_str(), value);
  return out;
}

Result<CreatePackageResponse> create_package(Call& call, const CreatePackageRequest& in) {
  if (in.name.has_value() == in.group.has_value())
    return invalid("expected one of ModelPackageName and ModelPackageGroupName");
  if (!in.inference) return invalid("InferenceSpecification: expected one container, found none");
  auto data = TRY(model_data_of(call, in.inference->containers.front()));
  if (!data)
    return invalid("InferenceSpecification.Containers[0]: expected ModelDataUrl or ModelDataSource, found none");
  const std::string group =
      in.group ? TRY(own_name(call, *in.group, "model-package-group", "ModelPackageGroupName")) : "";
  Thing package;
  package.request = to_text(in);
  package.created = call.now();
  package.facts = {{"digest", data->digest}, {"model_name", data->model_name}, {"token", in.token.value_or("")}};
  TRY(call.commit([&](store::Txn& txn) -> Status {
    package.name = in.name.value_or("");
    if (in.group) {
      if (!TRY(find_thing(txn, kGroups, call.account(), group))) return could_not_find("model package group " + group);
      int64_t version = 1;
      for (const Thing& other : TRY(things_of(txn, kPackages, call.account()))) {
        if (other.name.rfind(group + "/", 0) != 0) continue;
        auto token = other.facts.find("token");
        if (in.token && token != other.facts.end() && token->second == *in.token) {  // the same request again
          package.arn = other.arn;
          return {};
        }
        version = std::max(version, TRY(parse_int(other.name.substr(group.size() + 1))) + 1);
      }
      package.name = group + "/" + std::to_string(version);
      package.facts["version"] = std::to_string(version);
    } else if (TRY(find_thing(txn, kPackages, call.account(), package.name))) {
      return exists_already("model package " + package.name);
    }
    package.arn = call.arn("sagemaker", "model-package/" + package.name);
    return insert_thing(txn, kPackages, call.account(), package);
  }));
  return CreatePackageResponse{package.arn};
}

Result<DescribePackageResponse> describe_package(Call& call, const DescribePackageRequest& in) {
  const std::string name = TRY(own_name(call, in.name, "model-package", "ModelPackageName"));
  auto package = TRY(find_thing(call, kPackages, name));
  if (!package) return could_not_find("model package " + name);
  CreatePackageRequest request = TRY(from_text<CreatePackageRequest>(package->request));
  DescribePackageResponse out;
  out.name = package->name.substr(0, package->name.find('/'));
  out.arn = package->arn;
  if (request.group) {
    out.group = out.name;
    out.version = static_cast<int32_t>(TRY(parse_int(package->facts["version"])));
    out.approval = request.approval.value_or("PendingManualApproval");
  } else {
    out.approval = request.approval;
  }
  out.registration = request.registration.value_or("Registered");
  out.description = std::move(request.description);
  out.domain = std::move(request.domain);
  out.task = std::move(request.task);
  out.sample = std::move(request.sample);
  out.skip = request.skip.value_or("None");
  out.created.us = package->created;
  out.inference = std::move(request.inference);
  out.metadata = std::move(request.metadata);
  out.metrics = std::move(request.metrics);
  if (request.properties) out.properties = std::move(*request.properties);
  std::optional<fleet::Model> model;
  TRY(call.read([&](store::Txn& txn) -> Status {
    model = TRY(fleet::find_model(txn, call.account(), package->facts["model_name"]));
    return {};
  }));
  if (model && model->digest == package->facts["digest"])
    for (auto& [key, value] : lineage_of(*model)) out.properties[key] = value;
  out.properties["holdfast:model-digest"] = package->facts["digest"];
  return out;
}

std::string group_arn(const Call& call, const CreateGroupRequest& in) {
  return call.arn("sagemaker", "model-package-group/" + in.name);
}
std::string new_package_arn(const Call& call, const CreatePackageRequest& in) {
  if (in.name) return call.arn("sagemaker", "model-package/" + *in.name);
  return call.arn("sagemaker", "model-package/" + last_part(in.group.value_or(""), "model-package-group") + "/*");
}
std::string package_arn(const Call& call, const DescribePackageRequest& in) {
  if (in.name.rfind("arn:", 0) == 0) return in.name;  // the handler takes an ARN only as we write it
  return call.arn("sagemaker", "model-package/" + in.name);
}

}  // namespace

Result<ModelData> model_of_package(Call& call, const std::string& package) {
  const std::string name = TRY(own_name(call, package, "model-package", "ModelPackageName"));
  TRY(call.may("sagemaker:DescribeModelPackage", call.arn("sagemaker", "model-package/" + name)));
  auto found = TRY(find_thing(call, kPackages, name));
  if (!found) return could_not_find("model package " + name);
  return ModelData{found->facts["digest"], found->facts["model_name"]};
}

void add_packages(Service& s) {
  s.add<CreateGroupRequest, CreateGroupResponse>("CreateModelPackageGroup", {}, Effect::write, create_group, group_arn);
  s.add<CreatePackageRequest, CreatePackageResponse>("CreateModelPackage", {}, Effect::write, create_package,
                                                     new_package_arn);
  s.add<DescribePackageRequest, DescribePackageResponse>("DescribeModelPackage", {}, Effect::read, describe_package,
                                                         package_arn);
}

}  // namespace hf::api::sagemaker_api
