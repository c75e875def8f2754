// Registered with its lineage, deployed, asked through three APIs.
#include <boost/json.hpp>

#include "app/json_path.h"
#include "app/quickstart/run.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr int64_t kPollUs = 200'000;
constexpr int kMostPolls = 600;  // two minutes

constexpr const char* kImage = "holdfast/decoder";  // the one that the site knows: the engine is built in

}  // namespace

Result<json::value> QuickstartRun::wait_for(const std::string& what, const std::string& member_name,
                                            const std::string& good, const std::string& bad,
                                            const std::function<Result<json::value>()>& describe) {
  for (int i = 0; i < kMostPolls; i++) {
    json::value answer = TRY(describe());
    std::string status = text_at(answer, {member_name});
    if (status == good) return answer;
    if (status == bad) {
      std::string why = text_at(answer, {"FailureReason"}) + text_at(answer, {"failureMessage"});
      return fail(Code::internal, what + " is " + status + ": " + why);
    }
    context_.clock.sleep_us(kPollUs);
  }
  return fail(Code::unavailable, what + " did not become " + good + " within two minutes");
}

Status QuickstartRun::deploy() {
  heading("Registered with its lineage, and deployed");
  auto sagemaker = [&](const std::string& operation, json::value body) {
    return client_->aws_json("sagemaker", "SageMaker." + operation, body);
  };
  const std::string artifact = text_at(job_, {"ModelArtifacts", "S3ModelArtifacts"});
  TRY(sagemaker("CreateModelPackageGroup", json::object{{"ModelPackageGroupName", name_},
                                                        {"ModelPackageGroupDescription", "made by the quickstart"}}));
  json::value package = TRY(
      sagemaker("CreateModelPackage",
                json::object{{"ModelPackageGroupName", name_},
                             {"ModelApprovalStatus", "Approved"},
                             {"InferenceSpecification",
                              {{"Containers", json::array{json::object{{"Image", kImage}, {"ModelDataUrl", artifact}}}},
                               {"SupportedContentTypes", json::array{"application/json"}},
                               {"SupportedResponseMIMETypes", json::array{"application/json"}}}},
                             {"CustomerMetadataProperties",
                              {{"exact_match", std::to_string(report_.after->decided_rate())},
                               {"exact_match_whole", std::to_string(report_.after->whole_rate())},
                               {"training_job", text_at(job_, {"TrainingJobArn"})}}}}));
  package_arn_ = text_at(package, {"ModelPackageArn"});
  json::value described = TRY(sagemaker("DescribeModelPackage", json::object{{"ModelPackageName", package_arn_}}));
  tell("  model package  " + package_arn_);
  for (const char* what : {"data-digest", "code-version", "instruction-set", "seed", "metric:train:loss"}) {
    std::string value = text_at(described, {"CustomerMetadataProperties", std::string("holdfast:") + what});
    if (!value.empty()) tell("    " + std::string(what) + std::string(20 - std::string_view(what).size(), ' ') + value);
  }

  TRY(sagemaker("CreateModel",
                json::object{{"ModelName", name_},
                             {"ExecutionRoleArn", "arn:aws:iam::" + client_->connection().account + ":role/holdfast"},
                             {"PrimaryContainer", {{"ModelPackageName", package_arn_}}}}));
  TRY(sagemaker("CreateEndpointConfig",
                json::object{{"EndpointConfigName", name_},
                             {"ProductionVariants", json::array{json::object{{"VariantName", "main"},
                                                                             {"ModelName", name_},
                                                                             {"InitialInstanceCount", 1},
                                                                             {"InstanceType", "holdfast.local"}}}}}));
  TRY(sagemaker("CreateEndpoint", json::object{{"EndpointName", name_}, {"EndpointConfigName", name_}}));
  json::value endpoint = TRY(wait_for("the endpoint " + name_, "EndpointStatus", "InService", "Failed", [&] {
    return sagemaker("DescribeEndpoint", json::object{{"EndpointName", name_}});
  }));
  tell("  endpoint       " + text_at(endpoint, {"EndpointArn"}));

  json::value custom = TRY(client_->rest("bedrock", "GET", "/custom-models/" + percent_encode(name_)));
  model_arn_ = text_at(custom, {"modelArn"});
  json::value request = json::object{{"modelDeploymentName", name_}, {"modelArn", model_arn_}};
  json::value made = TRY(client_->rest("bedrock", "POST", "/model-customization/custom-model-deployments", &request));
  deployment_arn_ = text_at(made, {"customModelDeploymentArn"});
  TRY(wait_for("the deployment " + name_, "status", "Active", "Failed", [&] {
    return client_->rest("bedrock", "GET",
                         "/model-customization/custom-model-deployments/" + percent_encode(deployment_arn_));
  }));
  tell("  deployment     " + deployment_arn_);
  report_.made.emplace_back("model", model_arn_);
  report_.made.emplace_back("model package", package_arn_);
  report_.made.emplace_back("endpoint", text_at(endpoint, {"EndpointArn"}));
  report_.made.emplace_back("deployment", deployment_arn_);
  return {};
}

Status QuickstartRun::ask() {
  heading("One prompt through three APIs");
  const auto& example = data_.held_out[0];
  tell("  " + clip(example.prompt, 1000));
  asked_ = TRY(converse(*client_, deployment_arn_, example.prompt, max_tokens_));
  TRY(context_.fs.write_file_atomic(folder_ + "/request.json", asked_.request));
  tell("  Converse        " + asked_.text);

  const std::string endpoint_text = TRY(ask_endpoint(example.prompt)), openai_text = TRY(ask_openai(example.prompt));
  tell("  InvokeEndpoint  " + endpoint_text);
  tell("  OpenAI          " + openai_text);
  report_.same_answers = !asked_.text.empty() && endpoint_text == asked_.text && openai_text == asked_.text;
  tell(report_.same_answers ? "  the same answer three times; the receipt of the first is " + asked_.receipt
                            : "  NOT the same answer");
  return {};
}

Result<std::string> QuickstartRun::ask_endpoint(const std::string& prompt) {
  ApiClient::Request request;
  request.method = "POST";
  request.path = "/endpoints/" + name_ + "/invocations";
  request.service = "sagemaker";
  request.headers.set("content-type", "application/json");
  request.body = json::serialize(
      json::object{{"prompt", prompt}, {"parameters", {{"max_new_tokens", max_tokens_}, {"do_sample", false}}}});
  json::value answer = TRY(client_->expect_json(request));
  if (!answer.is_array() || answer.get_array().empty()) return fail(Code::internal, "InvokeEndpoint: expected a list");
  return text_at(answer.get_array()[0], {"generated_text"});
}

Result<std::string> QuickstartRun::ask_openai(const std::string& prompt) {
  ApiClient::Request request;  // no service: Bearer
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers.set("content-type", "application/json");
  request.body =
      json::serialize(json::object{{"model", name_},
                                   {"messages", json::array{json::object{{"role", "user"}, {"content", prompt}}}},
                                   {"max_tokens", max_tokens_},
                                   {"temperature", 0}});
  json::value answer = TRY(client_->expect_json(request));
  const auto* choices = at_path(answer, {"choices"});
  if (!choices || !choices->is_array() || choices->get_array().empty()) {
    return fail(Code::internal, "chat/completions: expected choices");
  }
  return text_at(choices->get_array()[0], {"message", "content"});
}

}  // namespace hf::app
