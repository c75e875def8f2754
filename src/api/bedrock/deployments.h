// Custom model deployments: what makes a custom model answer under an ARN of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/bedrock/models.h"
#include "api/service.h"

namespace hf::api::bedrock_api {

struct Tag {
  std::string key, value;
  static void fields(wire::Fields<Tag>& f) {
    f("key", &Tag::key).required().length(1, 128);
    f("value", &Tag::value).required().length(0, 256);
  }
};
struct CreateDeploymentRequest {
  std::string name, model_arn;
  std::optional<std::string> description, token;
  std::vector<Tag> tags;
  static void fields(wire::Fields<CreateDeploymentRequest>& f) {
    f("modelDeploymentName", &CreateDeploymentRequest::name)
        .required()
        .length(1, 63)
        .pattern("([0-9a-zA-Z][_-]?){1,63}");
    f("modelArn", &CreateDeploymentRequest::model_arn).required().length(20, 1011);
    f("description", &CreateDeploymentRequest::description).length(1, 2048);
    f("tags", &CreateDeploymentRequest::tags).length(0, 200);
    f("clientRequestToken", &CreateDeploymentRequest::token).length(1, 256);
  }
};
struct CreateDeploymentResponse {
  std::string arn;
  static void fields(wire::Fields<CreateDeploymentResponse>& f) {
    f("customModelDeploymentArn", &CreateDeploymentResponse::arn);
  }
};
struct DeploymentIdentifierRequest {
  std::string id;
  static void fields(wire::Fields<DeploymentIdentifierRequest>& f) {
    f("customModelDeploymentIdentifier", &DeploymentIdentifierRequest::id).path().required().length(1, 1011);
  }
};
struct GetDeploymentResponse {
  std::string arn, name, model_arn, status;
  Timestamp created, updated;
  std::optional<std::string> description, failure;
  static void fields(wire::Fields<GetDeploymentResponse>& f) {
    f("customModelDeploymentArn", &GetDeploymentResponse::arn);
    f("modelDeploymentName", &GetDeploymentResponse::name);
    f("modelArn", &GetDeploymentResponse::model_arn);
    f("createdAt", &GetDeploymentResponse::created);
    f("status", &GetDeploymentResponse::status);
    f("description", &GetDeploymentResponse::description);
    f("failureMessage", &GetDeploymentResponse::failure);
    f("lastUpdatedAt", &GetDeploymentResponse::updated);
  }
};
struct ListDeploymentsRequest {
  std::optional<Timestamp> before, after;
  std::optional<std::string> name, token, sort_by, order, status, model;
  std::optional<int32_t> most;
  static void fields(wire::Fields<ListDeploymentsRequest>& f) {
    f("createdBefore", &ListDeploymentsRequest::before).query("createdBefore");
    f("createdAfter", &ListDeploymentsRequest::after).query("createdAfter");
    f("nameContains", &ListDeploymentsRequest::name).query("nameContains").length(1, 63);
    f("maxResults", &ListDeploymentsRequest::most).query("maxResults").range(1, 1000);
    f("nextToken", &ListDeploymentsRequest::token).query("nextToken").length(1, 2048);
    f("sortBy", &ListDeploymentsRequest::sort_by).query("sortBy").one_of({"CreationTime"});
    f("sortOrder", &ListDeploymentsRequest::order).query("sortOrder").one_of({"Ascending", "Descending"});
    f("statusEquals", &ListDeploymentsRequest::status).query("statusEquals").one_of({"Creating", "Active", "Failed"});
    f("modelArnEquals", &ListDeploymentsRequest::model).query("modelArnEquals");
  }
};
struct DeploymentSummary {
  std::string arn, name, model_arn, status;
  Timestamp created, updated;
  std::optional<std::string> failure;
  static void fields(wire::Fields<DeploymentSummary>& f) {
    f("customModelDeploymentArn", &DeploymentSummary::arn);
    f("customModelDeploymentName", &DeploymentSummary::name);
    f("modelArn", &DeploymentSummary::model_arn);
    f("createdAt", &DeploymentSummary::created);
    f("status", &DeploymentSummary::status);
    f("lastUpdatedAt", &DeploymentSummary::updated);
    f("failureMessage", &DeploymentSummary::failure);
  }
};
struct ListDeploymentsResponse {
  std::optional<std::string> token;
  std::vector<DeploymentSummary> deployments;
  static void fields(wire::Fields<ListDeploymentsResponse>& f) {
    f("nextToken", &ListDeploymentsResponse::token);
    f("modelDeploymentSummaries", &ListDeploymentsResponse::deployments);
  }
};

void add_deployments(Service& s);

}  // namespace hf::api::bedrock_api
