// Foundation models (what the site's administrator shares with all accounts) and custom models (an account's own).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "fleet/registry.h"

namespace hf::api::bedrock_api {

using wire::Timestamp;
using Texts = std::vector<std::string>;

struct ListFoundationModelsRequest {
  std::optional<std::string> provider, customization, output, inference;
  static void fields(wire::Fields<ListFoundationModelsRequest>& f) {
    f("byProvider", &ListFoundationModelsRequest::provider).query("byProvider").length(1, 63);
    f("byCustomizationType", &ListFoundationModelsRequest::customization)
        .query("byCustomizationType")
        .one_of({"FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"});
    f("byOutputModality", &ListFoundationModelsRequest::output)
        .query("byOutputModality")
        .one_of({"TEXT", "IMAGE", "EMBEDDING"});
    f("byInferenceType", &ListFoundationModelsRequest::inference)
        .query("byInferenceType")
        .one_of({"ON_DEMAND", "PROVISIONED"});
  }
};

struct Lifecycle {
  std::string status = "ACTIVE";
  Timestamp start;
  static void fields(wire::Fields<Lifecycle>& f) {
    f("status", &Lifecycle::status);
    f("startOfLifeTime", &Lifecycle::start);
  }
};
struct FoundationModel {  // FoundationModelSummary and FoundationModelDetails
  std::string arn, id, name, provider;
  Texts input, output, customizations, inference;
  bool streaming = true;
  Lifecycle lifecycle;
  static void fields(wire::Fields<FoundationModel>& f) {
    f("modelArn", &FoundationModel::arn);
    f("modelId", &FoundationModel::id);
    f("modelName", &FoundationModel::name);
    f("providerName", &FoundationModel::provider);
    f("inputModalities", &FoundationModel::input);
    f("outputModalities", &FoundationModel::output);
    f("responseStreamingSupported", &FoundationModel::streaming);
    f("customizationsSupported", &FoundationModel::customizations);
    f("inferenceTypesSupported", &FoundationModel::inference);
    f("modelLifecycle", &FoundationModel::lifecycle);
  }
};
struct ListFoundationModelsResponse {
  std::vector<FoundationModel> models;
  static void fields(wire::Fields<ListFoundationModelsResponse>& f) {
    f("modelSummaries", &ListFoundationModelsResponse::models);
  }
};
struct ModelIdentifierRequest {  // of GetFoundationModel, GetCustomModel, DeleteCustomModel
  std::string id;
  static void fields(wire::Fields<ModelIdentifierRequest>& f) {
    f("modelIdentifier", &ModelIdentifierRequest::id).path().required().length(1, 2048);
  }
};
struct GetFoundationModelResponse {
  FoundationModel details;
  static void fields(wire::Fields<GetFoundationModelResponse>& f) {
    f("modelDetails", &GetFoundationModelResponse::details);
  }
};

struct ListCustomModelsRequest {
  std::optional<Timestamp> before, after;
  std::optional<std::string> name, base, foundation, token, sort_by, order, status;
  std::optional<int32_t> most;
  std::optional<bool> owned;
  static void fields(wire::Fields<ListCustomModelsRequest>& f) {
    f("creationTimeBefore", &ListCustomModelsRequest::before).query("creationTimeBefore");
    f("creationTimeAfter", &ListCustomModelsRequest::after).query("creationTimeAfter");
    f("nameContains", &ListCustomModelsRequest::name).query("nameContains").length(1, 63);
    f("baseModelArnEquals", &ListCustomModelsRequest::base).query("baseModelArnEquals").length(20, 1011);
    f("foundationModelArnEquals", &ListCustomModelsRequest::foundation).query("foundationModelArnEquals");
    f("maxResults", &ListCustomModelsRequest::most).query("maxResults").range(1, 1000);
    f("nextToken", &ListCustomModelsRequest::token).query("nextToken").length(1, 2048);
    f("sortBy", &ListCustomModelsRequest::sort_by).query("sortBy").one_of({"CreationTime"});
    f("sortOrder", &ListCustomModelsRequest::order).query("sortOrder").one_of({"Ascending", "Descending"});
    f("isOwned", &ListCustomModelsRequest::owned).query("isOwned");
    f("modelStatus", &ListCustomModelsRequest::status).query("modelStatus").one_of({"Active", "Creating", "Failed"});
  }
};
struct CustomModelSummary {
  std::string arn, name, base_arn, base_name, customization, owner, status = "Active";
  Timestamp created;
  static void fields(wire::Fields<CustomModelSummary>& f) {
    f("modelArn", &CustomModelSummary::arn);
    f("modelName", &CustomModelSummary::name);
    f("creationTime", &CustomModelSummary::created);
    f("baseModelArn", &CustomModelSummary::base_arn);
    f("baseModelName", &CustomModelSummary::base_name);
    f("customizationType", &CustomModelSummary::customization);
    f("ownerAccountId", &CustomModelSummary::owner);
    f("modelStatus", &CustomModelSummary::status);
  }
};
struct ListCustomModelsResponse {
  std::optional<std::string> token;
  std::vector<CustomModelSummary> models;
  static void fields(wire::Fields<ListCustomModelsResponse>& f) {
    f("nextToken", &ListCustomModelsResponse::token);
    f("modelSummaries", &ListCustomModelsResponse::models);
  }
};

struct S3Location {
  std::string uri;
  static void fields(wire::Fields<S3Location>& f) { f("s3Uri", &S3Location::uri); }
};
struct TrainingMetrics {
  double loss = 0;
  static void fields(wire::Fields<TrainingMetrics>& f) { f("trainingLoss", &TrainingMetrics::loss); }
};
struct ValidatorMetric {
  double loss = 0;
  static void fields(wire::Fields<ValidatorMetric>& f) { f("validationLoss", &ValidatorMetric::loss); }
};
struct GetCustomModelResponse {
  std::string arn, name, base_arn, customization, status = "Active";
  std::optional<std::string> job_name, job_arn;
  std::map<std::string, std::string> hyperparameters;
  std::optional<S3Location> data;
  std::optional<TrainingMetrics> training;
  std::optional<std::vector<ValidatorMetric>> validation;
  Timestamp created;
  static void fields(wire::Fields<GetCustomModelResponse>& f) {
    f("modelArn", &GetCustomModelResponse::arn);
    f("modelName", &GetCustomModelResponse::name);
    f("jobName", &GetCustomModelResponse::job_name);
    f("jobArn", &GetCustomModelResponse::job_arn);
    f("baseModelArn", &GetCustomModelResponse::base_arn);
    f("customizationType", &GetCustomModelResponse::customization);
    f("hyperParameters", &GetCustomModelResponse::hyperparameters);
    f("trainingDataConfig", &GetCustomModelResponse::data);
    f("trainingMetrics", &GetCustomModelResponse::training);
    f("validationMetrics", &GetCustomModelResponse::validation);
    f("creationTime", &GetCustomModelResponse::created);
    f("modelStatus", &GetCustomModelResponse::status);
  }
};
struct Empty {
  static void fields(wire::Fields<Empty>&) {}
};

void add_models(Service& s);

// By ARN or name, of the caller's account. ResourceNotFoundException.
Result<fleet::Model> own_model(Call& call, const std::string& identifier);
std::string own_model_arn(const Call& call, const std::string& identifier);  // for Operation::resource

}  // namespace hf::api::bedrock_api
