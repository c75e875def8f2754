// Converse's structures. Text alone: every other kind of content is refused by its name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "rpc/messages.h"

namespace hf::api::bedrock_runtime_api {

struct ContentBlock {
  std::optional<std::string> text;
  static void fields(wire::Fields<ContentBlock>& f) {
    f("text", &ContentBlock::text);
    f.refused("image", "images are not offered: the models here read text");
    f.refused("document", "documents are not offered: send their text in a text block");
    f.refused("video", "video is not offered: the models here read text");
    f.refused("audio", "audio is not offered: the models here read text");
    f.refused("toolUse", "tools are not offered");
    f.refused("toolResult", "tools are not offered");
    f.refused("guardContent", "guardrails are not offered");
    f.refused("cachePoint", "prompt caching is not offered");
    f.refused("reasoningContent", "reasoning content is not offered");
    f.refused("citationsContent", "citations are not offered");
    f.refused("searchResult", "search results are not offered: send their text in a text block");
    f.refused("toolAddition", "tools are not offered");
    f.refused("toolRemoval", "tools are not offered");
    f.is_union();
  }
};

struct SystemBlock {
  std::optional<std::string> text;
  static void fields(wire::Fields<SystemBlock>& f) {
    f("text", &SystemBlock::text).length(1, 1 << 24);
    f.refused("guardContent", "guardrails are not offered");
    f.refused("cachePoint", "prompt caching is not offered");
    f.is_union();
  }
};

struct Message {
  std::string role;
  std::vector<ContentBlock> content;
  static void fields(wire::Fields<Message>& f) {
    f("role", &Message::role).required().one_of({"user", "assistant"});
    f("content", &Message::content).required().length(1, 1000);
  }
};

struct InferenceConfiguration {
  std::optional<int32_t> max_tokens;
  std::optional<double> temperature, top_p;
  std::vector<std::string> stop_sequences;
  static void fields(wire::Fields<InferenceConfiguration>& f) {
    f("maxTokens", &InferenceConfiguration::max_tokens).range(1, 1 << 20);
    f("temperature", &InferenceConfiguration::temperature).range(0, 1);
    f("topP", &InferenceConfiguration::top_p).range(0, 1);
    f("stopSequences", &InferenceConfiguration::stop_sequences).length(0, 16);
  }
};

struct PerformanceConfiguration {
  std::optional<std::string> latency;
  static void fields(wire::Fields<PerformanceConfiguration>& f) {
    f("latency", &PerformanceConfiguration::latency).one_of({"standard"});  // "optimized" is not offered
  }
};

struct ServiceTier {
  std::string type;
  static void fields(wire::Fields<ServiceTier>& f) {
    f("type", &ServiceTier::type).required().one_of({"default"});  // one queue, fair between accounts
  }
};

// Converse's and ConverseStream's requests are the same.
struct ConverseRequest {
  std::string model_id;
  std::vector<Message> messages;
  std::vector<SystemBlock> system;
  std::optional<InferenceConfiguration> inference_config;
  std::optional<wire::Document> additional;
  std::vector<std::string> response_paths;
  std::optional<PerformanceConfiguration> performance;
  std::optional<ServiceTier> service_tier;
  static void fields(wire::Fields<ConverseRequest>& f) {
    f("modelId", &ConverseRequest::model_id).path().required().length(1, 2048);
    f("messages", &ConverseRequest::messages).length(0, 10'000);
    f("system", &ConverseRequest::system).length(0, 1000);
    f("inferenceConfig", &ConverseRequest::inference_config);
    f("additionalModelRequestFields", &ConverseRequest::additional);
    f("additionalModelResponseFieldPaths", &ConverseRequest::response_paths)
        .length(0, 10)
        .pattern("(/([^~/]|~[01])*)+");  // JSON pointers (RFC 6901)
    f("performanceConfig", &ConverseRequest::performance);
    f("serviceTier", &ConverseRequest::service_tier);
    f.refused("toolConfig", "tools are not offered");
    f.refused("guardrailConfig", "guardrails are not offered");
    f.refused("promptVariables", "prompt management is not offered");
    f.refused("requestMetadata", "invocation logs, which it is for, are not offered");
    f.refused("outputConfig", "structured output is not offered");
  }
};

struct ConverseOutput {
  std::optional<Message> message;
  static void fields(wire::Fields<ConverseOutput>& f) {
    f("message", &ConverseOutput::message);
    f.is_union();
  }
};

struct TokenUsage {
  int64_t input = 0, output = 0, total = 0;
  static void fields(wire::Fields<TokenUsage>& f) {
    f("inputTokens", &TokenUsage::input);
    f("outputTokens", &TokenUsage::output);
    f("totalTokens", &TokenUsage::total);
  }
};

struct Metrics {
  int64_t latency_ms = 0;
  static void fields(wire::Fields<Metrics>& f) { f("latencyMs", &Metrics::latency_ms); }
};

struct ConverseResponse {
  ConverseOutput output;
  std::string stop_reason;
  TokenUsage usage;
  Metrics metrics;
  std::optional<wire::Document> additional;
  std::optional<PerformanceConfiguration> performance;
  std::optional<ServiceTier> service_tier;
  std::string receipt;
  static void fields(wire::Fields<ConverseResponse>& f) {
    f("output", &ConverseResponse::output);
    f("stopReason", &ConverseResponse::stop_reason);
    f("usage", &ConverseResponse::usage);
    f("metrics", &ConverseResponse::metrics);
    f("additionalModelResponseFields", &ConverseResponse::additional);
    f("performanceConfig", &ConverseResponse::performance);
    f("serviceTier", &ConverseResponse::service_tier);
    f("receipt", &ConverseResponse::receipt).header("x-holdfast-receipt");
  }
};

Result<ConverseResponse> converse(Call& call, const ConverseRequest& in);
Status converse_stream(Call& call, const ConverseRequest& in, std::shared_ptr<EventSink> sink);

// Turns and what the last assistant message begins: shared with CountTokens.
Result<rpc::Prompt> prompt_of(const std::vector<SystemBlock>& system, const std::vector<Message>& messages);
// Refuses members that are not offered; prefill goes to the prompt.
Status additional_fields(const std::optional<wire::Document>& additional, rpc::Sampling& sampling, rpc::Prompt& prompt);

}  // namespace hf::api::bedrock_runtime_api
