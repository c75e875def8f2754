// InvokeModel's, InvokeModelWithResponseStream's and CountTokens' structures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/bedrock_runtime/converse_shapes.h"
#include "api/service.h"

namespace hf::api::bedrock_runtime_api {

// The two requests differ in the header that says what is accepted.
template <bool streamed>
struct InvokeRequestOf {
  std::string model_id;
  wire::Blob body;
  std::optional<std::string> content_type, accept, latency, tier, trace;
  static void fields(wire::Fields<InvokeRequestOf>& f) {
    f("modelId", &InvokeRequestOf::model_id).path().required().length(1, 2048);
    f("body", &InvokeRequestOf::body).payload().length(1, 25'000'000);
    f("contentType", &InvokeRequestOf::content_type).header("content-type");
    f("accept", &InvokeRequestOf::accept).header(streamed ? "x-amzn-bedrock-accept" : "accept");
    f("trace", &InvokeRequestOf::trace).header("x-amzn-bedrock-trace").one_of({"DISABLED"});
    f("performanceConfigLatency", &InvokeRequestOf::latency)
        .header("x-amzn-bedrock-performanceconfig-latency")
        .one_of({"standard"});
    f("serviceTier", &InvokeRequestOf::tier).header("x-amzn-bedrock-service-tier").one_of({"default"});
    f.refused("guardrailIdentifier", "guardrails are not offered").header("x-amzn-bedrock-guardrailidentifier");
    f.refused("guardrailVersion", "guardrails are not offered").header("x-amzn-bedrock-guardrailversion");
    f.refused("requestMetadata", "invocation logs, which it is for, are not offered")
        .header("x-amzn-bedrock-request-metadata");
  }
};
using InvokeRequest = InvokeRequestOf<false>;
using InvokeStreamRequest = InvokeRequestOf<true>;

struct InvokeResponse {
  wire::Blob body;
  std::string content_type;
  std::optional<std::string> latency, tier;
  int64_t input_tokens = 0, output_tokens = 0, latency_ms = 0;
  std::string receipt;
  static void fields(wire::Fields<InvokeResponse>& f) {
    f("body", &InvokeResponse::body).payload();
    f("contentType", &InvokeResponse::content_type).header("content-type");
    f("performanceConfigLatency", &InvokeResponse::latency).header("x-amzn-bedrock-performanceconfig-latency");
    f("serviceTier", &InvokeResponse::tier).header("x-amzn-bedrock-service-tier");
    f("inputTokenCount", &InvokeResponse::input_tokens).header("x-amzn-bedrock-input-token-count");
    f("outputTokenCount", &InvokeResponse::output_tokens).header("x-amzn-bedrock-output-token-count");
    f("invocationLatency", &InvokeResponse::latency_ms).header("x-amzn-bedrock-invocation-latency");
    f("receipt", &InvokeResponse::receipt).header("x-holdfast-receipt");
  }
};

struct InvokeModelTokens {
  wire::Blob body;
  static void fields(wire::Fields<InvokeModelTokens>& f) {
    f("body", &InvokeModelTokens::body).required().length(1, 25'000'000);
  }
};
struct ConverseTokens {
  std::vector<Message> messages;
  std::vector<SystemBlock> system;
  std::optional<wire::Document> additional;
  static void fields(wire::Fields<ConverseTokens>& f) {
    f("messages", &ConverseTokens::messages).length(0, 10'000);
    f("system", &ConverseTokens::system).length(0, 1000);
    f("additionalModelRequestFields", &ConverseTokens::additional);
    f.refused("toolConfig", "tools are not offered");
  }
};
struct CountTokensInput {
  std::optional<InvokeModelTokens> invoke;
  std::optional<ConverseTokens> converse;
  static void fields(wire::Fields<CountTokensInput>& f) {
    f("invokeModel", &CountTokensInput::invoke);
    f("converse", &CountTokensInput::converse);
    f.is_union();
  }
};
struct CountTokensRequest {
  std::string model_id;
  CountTokensInput input;
  static void fields(wire::Fields<CountTokensRequest>& f) {
    f("modelId", &CountTokensRequest::model_id).path().required().length(1, 2048);
    f("input", &CountTokensRequest::input).required();
  }
};
struct CountTokensResponse {
  int32_t input_tokens = 0;
  static void fields(wire::Fields<CountTokensResponse>& f) { f("inputTokens", &CountTokensResponse::input_tokens); }
};

Result<InvokeResponse> invoke_model(Call& call, const InvokeRequest& in);
Status invoke_model_stream(Call& call, const InvokeStreamRequest& in, std::shared_ptr<EventSink> sink);
Result<CountTokensResponse> count_model_tokens(Call& call, const CountTokensRequest& in);

}  // namespace hf::api::bedrock_runtime_api
