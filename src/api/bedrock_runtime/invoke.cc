// InvokeModel, InvokeModelWithResponseStream and CountTokens: the model's own body (api/prompt_body.h).
#include <algorithm>
#include <boost/json.hpp>
#include <climits>

#include "api/bedrock_runtime/invoke_shapes.h"
#include "api/inference.h"
#include "api/prompt_body.h"
#include "api/stream_answer.h"
#include "base/bytes.h"

namespace hf::api::bedrock_runtime_api {
namespace json = boost::json;
namespace {

template <bool streamed>
Status check_types(const InvokeRequestOf<streamed>& in) {
  auto base = [](std::string_view type) { return lower(trim(split(type, ';')[0])); };
  const std::string content = base(in.content_type.value_or("")), accept = base(in.accept.value_or(""));
  // application/octet-stream is what the SDKs send where the caller says nothing.
  if (!content.empty() && content != "application/json" && content != "application/octet-stream")
    return invalid("contentType: expected application/json, found " + content.substr(0, 100));
  if (!accept.empty() && accept != "*/*" && accept != "application/json" && accept != "application/octet-stream")
    return invalid("accept: expected application/json, found " + accept.substr(0, 100));
  return {};
}

struct Prepared {
  Target target;
  PromptBody body;
};

template <bool streamed>
Result<Prepared> prepare(Call& call, const InvokeRequestOf<streamed>& in) {
  TRY(check_types(in));
  Prepared out;
  out.target = TRY(resolve_model(call, in.model_id));
  out.body = TRY(parse_invoke_model_body(in.body.bytes));
  if (!out.body.seed_given) out.body.sampling.seed = fresh_seed(call);
  return out;
}

fleet::GenerateRequest request_of(const PromptBody& body) {
  fleet::GenerateRequest out;
  out.prompt = body.prompt;
  out.sampling = body.sampling;
  return out;
}

const char* llama_stop(const fleet::Finished& f) { return f.stop_reason == "max_tokens" ? "length" : "stop"; }

json::object answer_json(const PromptBody& body, const fleet::Finished& f, std::string text) {
  if (body.form == BodyForm::llama)
    return {{"generation", std::move(text)},
            {"prompt_token_count", f.input_tokens},
            {"generation_token_count", f.output_tokens},
            {"stop_reason", llama_stop(f)}};
  return {{"text", std::move(text)},
          {"stop_reason", f.stop_reason},
          {"usage", {{"input_tokens", f.input_tokens}, {"output_tokens", f.output_tokens}}}};
}

class InvokeAnswer final : public StreamAnswer {
 public:
  InvokeAnswer(std::shared_ptr<EventSink> sink, PromptBody body)
      : StreamAnswer(std::move(sink)), body_(std::move(body)) {}

 private:
  Push chunk(const json::object& value) {
    return sink().event("chunk", "{\"bytes\":\"" + base64(json::serialize(value)) + "\"}");
  }
  Push piece(std::string text, bool) override {
    if (body_.form == BodyForm::llama)
      return chunk({{"generation", std::move(text)},
                    {"prompt_token_count", nullptr},
                    {"generation_token_count", nullptr},
                    {"stop_reason", nullptr}});
    return chunk({{"text", std::move(text)}});
  }
  void end(const Answer& answer, bool) override {
    const fleet::Finished& f = answer.finished;
    json::object last = answer_json(body_, f, "");
    last["amazon-bedrock-invocationMetrics"] = {{"inputTokenCount", f.input_tokens},
                                                {"outputTokenCount", f.output_tokens},
                                                {"invocationLatency", f.total_us / 1000},
                                                {"firstByteLatency", f.first_token_us / 1000}};
    (void)chunk(last);
  }
  const PromptBody body_;
};

}  // namespace

Result<InvokeResponse> invoke_model(Call& call, const InvokeRequest& in) {
  Prepared p = TRY(prepare(call, in));
  Answer answer = TRY(generate(call, p.target, request_of(p.body)));
  InvokeResponse out;
  out.body.bytes = json::serialize(answer_json(p.body, answer.finished, std::move(answer.text)));
  out.content_type = "application/json";
  out.latency = in.latency;
  out.tier = in.tier;
  out.input_tokens = answer.finished.input_tokens;
  out.output_tokens = answer.finished.output_tokens;
  out.latency_ms = answer.finished.total_us / 1000;
  out.receipt = answer.receipt_id;
  return out;
}

Status invoke_model_stream(Call& call, const InvokeStreamRequest& in, std::shared_ptr<EventSink> sink) {
  Prepared p = TRY(prepare(call, in));
  auto request = request_of(p.body);
  sink->header("x-amzn-bedrock-content-type", "application/json");
  (void)TRY(generate_stream(call, p.target, std::move(request),
                            std::make_shared<InvokeAnswer>(std::move(sink), std::move(p.body))));
  return {};
}

Result<CountTokensResponse> count_model_tokens(Call& call, const CountTokensRequest& in) {
  const Target target = TRY(resolve_model(call, in.model_id));
  rpc::Prompt prompt;
  if (in.input.converse) {
    prompt = TRY(prompt_of(in.input.converse->system, in.input.converse->messages));
    rpc::Sampling unused;
    TRY(additional_fields(in.input.converse->additional, unused, prompt));
  } else {
    prompt = TRY(parse_invoke_model_body(in.input.invoke->body.bytes)).prompt;
  }
  const int64_t tokens = TRY(count_tokens(call, target, prompt));
  return CountTokensResponse{static_cast<int32_t>(std::min<int64_t>(tokens, INT32_MAX))};
}

}  // namespace hf::api::bedrock_runtime_api
