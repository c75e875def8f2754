// Chat completions: the request's fields and their rules, and the answer as a whole.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/openai/openai.h"
#include "base/bytes.h"
#include "wire/json.h"

namespace hf::api::openai_api {
namespace {

namespace json = boost::json;

Error wrong(const std::string& where, const std::string& what) {
  return fail(Code::invalid, where + ": expected " + what);
}

// A string, or a list of text parts.
Result<std::string> text_of(const json::value& content, const std::string& where) {
  if (content.is_string()) return std::string(content.get_string());
  if (!content.is_array()) return wrong(where, "a string or a list of text parts, found something else");
  std::string out;
  size_t i = 0;
  for (const auto& part : content.get_array()) {
    const std::string at = where + "[" + std::to_string(i++) + "]";
    const json::object* o = part.if_object();
    const json::value* type = o ? o->if_contains("type") : nullptr;
    if (!type || !type->is_string()) return wrong(at, "a part with a type, found something else");
    if (type->get_string() != "text")
      return fail(Code::invalid, wire::kRefused,
                  at + ".type: expected text, found '" + std::string(type->get_string()).substr(0, 40) +
                      "', which is not offered");
    const json::value* text = o->if_contains("text");
    if (!text || !text->is_string() || o->size() != 2) return wrong(at, "the members type and text, found others");
    out += text->get_string();
  }
  return out;
}

Result<std::vector<std::string>> stops_of(const std::optional<json::value>& stop) {
  std::vector<std::string> out;
  if (!stop || stop->is_null()) return out;
  auto add = [&](const json::value& v) {
    bool good = v.is_string() && !v.get_string().empty() && v.get_string().size() <= 256;
    if (good) out.emplace_back(v.get_string());
    return good;
  };
  bool good = true;
  if (const json::array* list = stop->if_array()) {
    good = list->size() <= 4;
    for (const auto& v : *list) good = good && add(v);
  } else {
    good = add(*stop);
  }
  if (!good) return wrong("stop", "a string or a list of at most 4, each of 1 to 256 bytes, found something else");
  return out;
}

}  // namespace

void Message::fields(wire::Fields<Message>& f) {
  f("role", &Message::role).required().one_of({"system", "developer", "user", "assistant"});
  f("content", &Message::content).required();
  f.refused("name", "names of participants are not told to the model");
  f.refused("refusal", "refusals are not offered");
  f.refused("audio", "audio is not offered");
  f.refused("tool_calls", "tools are not offered");
  f.refused("function_call", "tools are not offered");
}
void StreamOptions::fields(wire::Fields<StreamOptions>& f) {
  f("include_usage", &StreamOptions::include_usage);
  f.refused("include_obfuscation", "chunks are not padded");
}
void ResponseFormat::fields(wire::Fields<ResponseFormat>& f) {
  f("type", &ResponseFormat::type).required().one_of({"text"});
  f.refused("json_schema", "constrained answers are not offered");
}

void ChatRequest::fields(wire::Fields<ChatRequest>& f) {
  f("model", &ChatRequest::model).required().length(1, 2048);
  f("messages", &ChatRequest::messages).required().length(1, 10'000);
  f("temperature", &ChatRequest::temperature).range(0, 2);
  f("top_p", &ChatRequest::top_p).range(0, 1);
  f("frequency_penalty", &ChatRequest::frequency_penalty).range(0, 0);
  f("presence_penalty", &ChatRequest::presence_penalty).range(0, 0);
  f("max_tokens", &ChatRequest::max_tokens).range(1, 1'000'000);
  f("max_completion_tokens", &ChatRequest::max_completion_tokens).range(1, 1'000'000);
  f("n", &ChatRequest::n).range(1, 1);
  f("stop", &ChatRequest::stop);
  f("seed", &ChatRequest::seed);
  f("stream", &ChatRequest::stream);
  f("stream_options", &ChatRequest::stream_options);
  f("response_format", &ChatRequest::response_format);
  f("user", &ChatRequest::user).length(0, 512);  // a label of the caller's, with no effect on the answer by definition
  f("tool_choice", &ChatRequest::tool_choice).one_of({"none"});
  f("service_tier", &ChatRequest::service_tier).one_of({"auto", "default"});
  f("modalities", &ChatRequest::modalities).one_of({"text"});
  f.refused("logprobs", "log probabilities are not offered");
  f.refused("top_logprobs", "log probabilities are not offered");
  f.refused("logit_bias", "biases are not offered");
  f.refused("tools", "tools are not offered");
  f.refused("parallel_tool_calls", "tools are not offered");
  f.refused("functions", "tools are not offered");
  f.refused("function_call", "tools are not offered");
  f.refused("store", "answers are not stored");
  f.refused("metadata", "answers are not stored");
  f.refused("audio", "audio is not offered");
  f.refused("prediction", "predicted outputs are not offered");
  f.refused("reasoning_effort", "reasoning models are not offered");
  f.refused("verbosity", "it is not offered");
  f.refused("web_search_options", "nothing is fetched from outside");
  f.refused("prompt_cache_key", "prompts are not cached");
  f.refused("prompt_cache_retention", "prompts are not cached");
  f.refused("safety_identifier", "it is not offered");
}

void ChatUsage::fields(wire::Fields<ChatUsage>& f) {
  f("prompt_tokens", &ChatUsage::prompt_tokens);
  f("completion_tokens", &ChatUsage::completion_tokens);
  f("total_tokens", &ChatUsage::total_tokens);
}
void AnswerMessage::fields(wire::Fields<AnswerMessage>& f) {
  f("role", &AnswerMessage::role);
  f("content", &AnswerMessage::content);
  f("refusal", &AnswerMessage::refusal);
}
void ChatChoice::fields(wire::Fields<ChatChoice>& f) {
  f("index", &ChatChoice::index);
  f("message", &ChatChoice::message);
  f("logprobs", &ChatChoice::logprobs);
  f("finish_reason", &ChatChoice::finish_reason);
}
void ChatAnswer::fields(wire::Fields<ChatAnswer>& f) {
  f("receipt", &ChatAnswer::receipt).header("x-holdfast-receipt");
  f("id", &ChatAnswer::id);
  f("object", &ChatAnswer::object);
  f("created", &ChatAnswer::created);
  f("model", &ChatAnswer::model);
  f("choices", &ChatAnswer::choices);
  f("usage", &ChatAnswer::usage);
  f("system_fingerprint", &ChatAnswer::system_fingerprint);
}

Result<fleet::GenerateRequest> to_generate(const ChatRequest& request, uint64_t fresh_seed) {
  fleet::GenerateRequest out;
  for (size_t i = 0; i < request.messages.size(); ++i) {
    const Message& m = request.messages[i];
    std::string text = TRY(text_of(m.content, "messages[" + std::to_string(i) + "].content"));
    out.prompt.turns.push_back({m.role == "developer" ? "system" : m.role, std::move(text)});
  }
  if (request.max_tokens && request.max_completion_tokens)
    return wrong("max_tokens", "it or max_completion_tokens, found both");
  if (request.stream_options && !request.stream.value_or(false))
    return wrong("stream_options", "it only with stream: true, found it without");
  rpc::Sampling& s = out.sampling;
  s.temperature = request.temperature.value_or(1);
  s.top_p = request.top_p.value_or(1);
  if (s.top_p == 0) {  // the smallest set that has any mass: the likeliest token
    s.top_p = 1;
    s.top_k = 1;
  }
  s.seed = request.seed ? static_cast<uint64_t>(*request.seed) : fresh_seed;
  if (request.max_tokens) s.max_tokens = *request.max_tokens;
  if (request.max_completion_tokens) s.max_tokens = *request.max_completion_tokens;
  s.stop = TRY(stops_of(request.stop));
  return out;
}

const char* finish_reason(const std::string& stop_reason) { return stop_reason == "max_tokens" ? "length" : "stop"; }

std::string fingerprint(const std::string& build) { return "fp_" + build.substr(0, 10); }

Result<ChatAnswer> chat(Call& call, const ChatRequest& request) {
  const Target target = TRY(resolve_model(call, request.model));
  Answer answer = TRY(generate(call, target, TRY(to_generate(request, fresh_seed(call)))));
  ChatAnswer out;
  out.id = "chatcmpl-" + hex(call.site().random.bytes(12));
  out.created = call.now() / 1'000'000;
  out.model = request.model;
  out.receipt = answer.receipt_id;
  out.system_fingerprint = fingerprint(answer.finished.build);
  out.usage = {answer.finished.input_tokens, answer.finished.output_tokens,
               answer.finished.input_tokens + answer.finished.output_tokens};
  ChatChoice choice;
  choice.message.content = std::move(answer.text);
  choice.finish_reason = finish_reason(answer.finished.stop_reason);
  out.choices.push_back(std::move(choice));
  return out;
}

}  // namespace hf::api::openai_api
