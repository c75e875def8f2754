// The OpenAI API: requests and answers of /v1/models and /v1/chat/completions. Source: the OpenAI API reference,
// "Chat". Every documented field is honoured or refused by name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/inference.h"
#include "api/service.h"

namespace hf::api::openai_api {

struct Message {
  std::string role;
  wire::Document content;  // a string, or a list of {"type":"text","text":...}
  static void fields(wire::Fields<Message>& f);
};

struct StreamOptions {
  bool include_usage = false;
  static void fields(wire::Fields<StreamOptions>& f);
};

struct ResponseFormat {
  std::string type;
  static void fields(wire::Fields<ResponseFormat>& f);
};

struct ChatRequest {
  std::string model;
  std::vector<Message> messages;
  std::optional<double> temperature, top_p, frequency_penalty, presence_penalty;
  std::optional<int32_t> max_tokens, max_completion_tokens, n;
  std::optional<wire::Document> stop;  // a string, or up to 4
  std::optional<int64_t> seed;
  std::optional<bool> stream;
  std::optional<StreamOptions> stream_options;
  std::optional<ResponseFormat> response_format;
  std::optional<std::string> user, tool_choice, service_tier;
  std::optional<std::vector<std::string>> modalities;
  static void fields(wire::Fields<ChatRequest>& f);
};

struct ChatUsage {
  int64_t prompt_tokens = 0, completion_tokens = 0, total_tokens = 0;
  static void fields(wire::Fields<ChatUsage>& f);
};
struct AnswerMessage {
  std::string role = "assistant", content;
  wire::Document refusal;  // null
  static void fields(wire::Fields<AnswerMessage>& f);
};
struct ChatChoice {
  int64_t index = 0;
  AnswerMessage message;
  wire::Document logprobs;  // null
  std::string finish_reason;
  static void fields(wire::Fields<ChatChoice>& f);
};
struct ChatAnswer {
  std::string id, object = "chat.completion", model, system_fingerprint, receipt;
  int64_t created = 0;
  std::vector<ChatChoice> choices;
  ChatUsage usage;
  static void fields(wire::Fields<ChatAnswer>& f);
};

struct ListModels {
  static void fields(wire::Fields<ListModels>&) {}
};
struct GetModel {
  std::string model;
  static void fields(wire::Fields<GetModel>& f);
};
struct ModelAnswer {
  std::string id, object = "model", owned_by;
  int64_t created = 0;
  static void fields(wire::Fields<ModelAnswer>& f);
};
struct ModelList {
  std::string object = "list";
  std::vector<ModelAnswer> data;
  static void fields(wire::Fields<ModelList>& f);
};

// What a request asks of the engine. invalid: two limits, content that is no text, ...
Result<fleet::GenerateRequest> to_generate(const ChatRequest& request, uint64_t fresh_seed);
const char* finish_reason(const std::string& stop_reason);  // "stop" | "length"
std::string fingerprint(const std::string& build);

Result<ChatAnswer> chat(Call& call, const ChatRequest& request);
Status chat_stream(Call& call, const ChatRequest& request, std::shared_ptr<EventSink> sink);
Result<ModelList> list_models(Call& call, const ListModels&);
Result<ModelAnswer> get_model(Call& call, const GetModel& request);

}  // namespace hf::api::openai_api
