// Converse and ConverseStream.
#include <algorithm>
#include <boost/json.hpp>

#include "api/bedrock_runtime/converse_shapes.h"
#include "api/inference.h"
#include "api/json_args.h"
#include "api/stream_answer.h"
#include "wire/json.h"

namespace hf::api::bedrock_runtime_api {
namespace json = boost::json;
namespace {

std::string joined(const std::vector<ContentBlock>& content) {
  std::string out;
  for (const ContentBlock& block : content) out += (out.empty() ? "" : "\n") + block.text.value_or("");
  return out;
}

Result<fleet::GenerateRequest> request_of(Call& call, const ConverseRequest& in) {
  fleet::GenerateRequest out;
  out.prompt = TRY(prompt_of(in.system, in.messages));
  rpc::Sampling& s = out.sampling;
  s.seed = fresh_seed(call);
  if (in.inference_config) {
    const InferenceConfiguration& c = *in.inference_config;
    s.max_tokens = c.max_tokens.value_or(s.max_tokens);
    s.temperature = c.temperature.value_or(s.temperature);
    s.top_p = std::max(c.top_p.value_or(1.0), 1e-9);  // 0 means the likeliest token alone, and so does this
    for (const std::string& stop : c.stop_sequences)
      if (stop.empty() || stop.size() > kMaxStopBytes)
        return invalid("inferenceConfig.stopSequences: expected strings of 1 to " + std::to_string(kMaxStopBytes) +
                       " bytes, found one of " + std::to_string(stop.size()));
    s.stop = c.stop_sequences;
  }
  TRY(additional_fields(in.additional, s, out.prompt));
  return out;
}

// The fields beside the modelled ones that we have, by JSON pointer; a path to nothing is left out, as AWS does.
std::optional<wire::Document> extra_fields(const std::vector<std::string>& paths, const fleet::Finished& f) {
  json::object out;
  for (const std::string& path : paths)
    if (path == "/stop_sequence" && f.stop_reason == "stop_sequence") out["stop_sequence"] = f.stop_sequence;
  if (out.empty()) return {};
  return out;
}

TokenUsage usage_of(const fleet::Finished& f) {
  return {f.input_tokens, f.output_tokens, f.input_tokens + f.output_tokens};
}

class ConverseAnswer final : public StreamAnswer {
 public:
  ConverseAnswer(std::shared_ptr<EventSink> sink, const ConverseRequest& in)
      : StreamAnswer(std::move(sink)),
        paths_(in.response_paths),
        performance_(in.performance),
        tier_(in.service_tier) {}

 private:
  Push piece(std::string text, bool first) override {
    if (first) (void)sink().event("messageStart", R"({"role":"assistant"})");
    std::string data = R"({"contentBlockIndex":0,"delta":{"text":)";
    wire::write_json_string(data, text);
    return sink().event("contentBlockDelta", data + "}}");
  }

  void end(const Answer& answer, bool empty) override {
    if (empty) (void)piece("", true);
    (void)sink().event("contentBlockStop", R"({"contentBlockIndex":0})");
    json::object stop{{"stopReason", answer.finished.stop_reason}};
    if (auto extra = extra_fields(paths_, answer.finished)) stop["additionalModelResponseFields"] = std::move(*extra);
    (void)sink().event("messageStop", json::serialize(stop));
    const TokenUsage u = usage_of(answer.finished);
    json::object metadata{{"usage", {{"inputTokens", u.input}, {"outputTokens", u.output}, {"totalTokens", u.total}}},
                          {"metrics", {{"latencyMs", answer.finished.total_us / 1000}}}};
    if (performance_) metadata["performanceConfig"] = {{"latency", performance_->latency.value_or("standard")}};
    if (tier_) metadata["serviceTier"] = {{"type", tier_->type}};
    (void)sink().event("metadata", json::serialize(metadata));
  }

  const std::vector<std::string> paths_;
  const std::optional<PerformanceConfiguration> performance_;
  const std::optional<ServiceTier> tier_;
};

}  // namespace

Result<rpc::Prompt> prompt_of(const std::vector<SystemBlock>& system, const std::vector<Message>& messages) {
  rpc::Prompt prompt;
  if (messages.empty()) return invalid("messages: expected at least one, found none");
  std::string instructions;
  for (const SystemBlock& block : system) instructions += (instructions.empty() ? "" : "\n") + block.text.value_or("");
  if (!instructions.empty()) prompt.turns.push_back({"system", std::move(instructions)});
  for (size_t i = 0; i < messages.size(); ++i) {
    const char* expected = i % 2 == 0 ? "user" : "assistant";
    if (messages[i].role != expected)
      return invalid("messages[" + std::to_string(i) + "].role: expected " + expected +
                     " (user and assistant take turns, user first), found " + messages[i].role);
    prompt.turns.push_back({messages[i].role, joined(messages[i].content)});
  }
  if (prompt.turns.back().role == "assistant") {  // the answer goes on where this ends
    prompt.prefill = std::move(prompt.turns.back().text);
    prompt.turns.pop_back();
  }
  return prompt;
}

Status additional_fields(const std::optional<wire::Document>& additional, rpc::Sampling& s, rpc::Prompt& prompt) {
  if (!additional || additional->is_null()) return {};
  if (!additional->is_object()) return invalid("additionalModelRequestFields: expected an object");
  JsonArgs args(additional->get_object(), "additionalModelRequestFields");
  s.top_k = static_cast<int32_t>(args.integer("top_k", 0, kMaxTokens).value_or(s.top_k));
  s.min_p = args.number("min_p", 0, 0.999999).value_or(s.min_p);
  s.seed = args.seed("seed").value_or(s.seed);
  if (auto prefill = args.text("prefill")) {
    if (!prompt.prefill.empty())
      args.refuse(".prefill: the last message is the assistant's and says already how the answer begins");
    prompt.prefill = std::move(*prefill);
  }
  return args.finish();
}

Result<ConverseResponse> converse(Call& call, const ConverseRequest& in) {
  const Target target = TRY(resolve_model(call, in.model_id));
  Answer answer = TRY(generate(call, target, TRY(request_of(call, in))));
  ConverseResponse out;
  Message message;
  message.role = "assistant";
  message.content.emplace_back().text = std::move(answer.text);
  out.output.message = std::move(message);
  out.stop_reason = answer.finished.stop_reason;
  out.usage = usage_of(answer.finished);
  out.metrics.latency_ms = answer.finished.total_us / 1000;
  out.additional = extra_fields(in.response_paths, answer.finished);
  out.performance = in.performance;
  out.service_tier = in.service_tier;
  out.receipt = answer.receipt_id;
  return out;
}

Status converse_stream(Call& call, const ConverseRequest& in, std::shared_ptr<EventSink> sink) {
  const Target target = TRY(resolve_model(call, in.model_id));
  auto request = TRY(request_of(call, in));
  (void)TRY(generate_stream(call, target, std::move(request), std::make_shared<ConverseAnswer>(std::move(sink), in)));
  return {};
}

}  // namespace hf::api::bedrock_runtime_api
