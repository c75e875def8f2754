// SageMaker Runtime: inference through endpoints. Bodies as Hugging Face TGI's (api/prompt_body.h, docs/inference.md).
#include "api/service.h"

#include <boost/json.hpp>

#include "api/inference.h"
#include "api/prompt_body.h"
#include "api/stream_answer.h"
#include "fleet/deployments.h"

namespace hf::api {
namespace {
namespace json = boost::json;

template <bool streamed>
struct InvokeEndpointRequest {
  std::string endpoint;
  wire::Blob body;
  std::optional<std::string> content_type, accept, attributes, variant;
  static void fields(wire::Fields<InvokeEndpointRequest>& f) {
    using R = InvokeEndpointRequest;
    f("EndpointName", &R::endpoint).path().required().length(1, 63);
    f("Body", &R::body).payload().length(1, 6'291'456);
    f("ContentType", &R::content_type).header("content-type");
    f("Accept", &R::accept).header(streamed ? "x-amzn-sagemaker-accept" : "accept");
    f("CustomAttributes", &R::attributes).header("x-amzn-sagemaker-custom-attributes").length(0, 1024);
    f("TargetVariant", &R::variant).header("x-amzn-sagemaker-target-variant").length(0, 63);
    f.refused("InferenceId", "data capture, which it is for, is not offered").header("x-amzn-sagemaker-inference-id");
    f.refused("TargetContainerHostname", "multi-container endpoints are not offered")
        .header("x-amzn-sagemaker-target-container-hostname");
    f.refused("InferenceComponentName", "inference components are not offered")
        .header("x-amzn-sagemaker-inference-component");
    f.refused("SessionId", "sessions are not offered").header("x-amzn-sagemaker-session-id");
    if (streamed) return;
    f.refused("TargetModel", "multi-model endpoints are not offered").header("x-amzn-sagemaker-target-model");
    f.refused("EnableExplanations", "explanations are not offered").header("x-amzn-sagemaker-enable-explanations");
  }
};

struct InvokeEndpointResponse {
  wire::Blob body;
  std::string content_type, variant, receipt;
  std::optional<std::string> attributes;
  static void fields(wire::Fields<InvokeEndpointResponse>& f) {
    using R = InvokeEndpointResponse;
    f("Body", &R::body).payload();
    f("ContentType", &R::content_type).header("content-type");
    f("InvokedProductionVariant", &R::variant).header("x-amzn-invoked-production-variant");
    f("CustomAttributes", &R::attributes).header("x-amzn-sagemaker-custom-attributes");
    f("receipt", &R::receipt).header("x-holdfast-receipt");
  }
};

struct Prepared {
  Target target;
  std::string variant;
  PromptBody body;
  fleet::GenerateRequest request;
};

Status check_type(const char* member, const std::optional<std::string>& given) {
  const std::string type = lower(trim(split(given.value_or(""), ';')[0]));
  if (type.empty() || type == "application/json" || type == "application/octet-stream" || type == "*/*") return {};
  return invalid(std::string(member) + ": expected application/json, found " + type.substr(0, 100));
}

template <bool streamed>
Result<Prepared> prepare(Call& call, const InvokeEndpointRequest<streamed>& in) {
  TRY(check_type("ContentType", in.content_type));
  TRY(check_type("Accept", in.accept));
  std::optional<fleet::Deployment> d;
  TRY(call.read([&](store::Txn& txn) -> Status {
    d = TRY(fleet::find_deployment(txn, fleet::kEndpoint, call.account(), in.endpoint));
    return {};
  }));
  if (!d)
    return fail(Code::invalid, "ValidationError",
                "Endpoint " + in.endpoint + " of account " + call.account() + " not found.");
  if (in.variant && *in.variant != d->variant)
    return fail(Code::invalid, "ValidationError",
                "TargetVariant: expected " + d->variant + ", found " + in.variant->substr(0, 63));
  Prepared out;
  out.target = TRY(resolve_model(call, d->arn));  // says so where it is not in service
  out.variant = d->variant;
  out.body = TRY(parse_invoke_endpoint_body(in.body.bytes));
  if (!out.body.seed_given) out.body.sampling.seed = fresh_seed(call);
  out.request.prompt = out.body.prompt;
  out.request.sampling = out.body.sampling;
  return out;
}

const char* finish_reason(const fleet::Finished& f) {  // in TGI's words
  if (f.stop_reason == "max_tokens") return "length";
  return f.stop_reason == "stop_sequence" ? "stop_sequence" : "eos_token";
}

Result<InvokeEndpointResponse> invoke(Call& call, const InvokeEndpointRequest<false>& in) {
  Prepared p = TRY(prepare(call, in));
  Answer answer = TRY(generate(call, p.target, std::move(p.request)));
  InvokeEndpointResponse out;
  const std::string text = (p.body.full_text ? p.body.prompt.raw : "") + answer.text;
  out.body.bytes = json::serialize(json::array{json::object{{"generated_text", text}}});
  out.content_type = "application/json";
  out.variant = p.variant;
  out.attributes = in.attributes;
  out.receipt = answer.receipt_id;
  return out;
}

// TGI's server-sent events, as the bytes of PayloadPart events.
class EndpointAnswer final : public StreamAnswer {
 public:
  EndpointAnswer(std::shared_ptr<EventSink> sink, const PromptBody& body)
      : StreamAnswer(std::move(sink)), text_(body.full_text ? body.prompt.raw : "") {}

 private:
  Push line(const json::object& value) {
    return sink().event("PayloadPart", "data:" + json::serialize(value) + "\n\n", "application/octet-stream");
  }
  Push piece(std::string text, bool) override {
    text_ += text;
    return line({{"token", {{"text", std::move(text)}, {"special", false}}},
                 {"generated_text", nullptr},
                 {"details", nullptr}});
  }
  void end(const Answer& answer, bool) override {
    const fleet::Finished& f = answer.finished;
    (void)line({{"token", {{"text", ""}, {"special", true}}},
                {"generated_text", text_},
                {"details",
                 {{"finish_reason", finish_reason(f)},
                  {"generated_tokens", f.output_tokens},
                  {"input_length", f.input_tokens}}}});
  }
  std::string text_;
};

Status invoke_stream(Call& call, const InvokeEndpointRequest<true>& in, std::shared_ptr<EventSink> sink) {
  Prepared p = TRY(prepare(call, in));
  sink->header("x-amzn-sagemaker-content-type", "text/event-stream");
  sink->header("x-amzn-invoked-production-variant", p.variant);
  if (in.attributes) sink->header("x-amzn-sagemaker-custom-attributes", *in.attributes);
  (void)TRY(
      generate_stream(call, p.target, std::move(p.request), std::make_shared<EndpointAnswer>(std::move(sink), p.body)));
  return {};
}

template <class In>
std::string endpoint_arn(const Call& call, const In& in) {
  return call.arn("sagemaker", "endpoint/" + in.endpoint);
}

}  // namespace

Service sagemaker_runtime() {
  constexpr uint64_t kBody = 6'291'456;
  Service s;
  s.name = "sagemaker-runtime";
  s.signing_name = "sagemaker";
  s.protocol = Protocol::rest_json;
  auto generating = [](Operation& o) {
    o.pool = http::Pool::generate;
    o.body_limit = kBody;
  };
  generating(s.add<InvokeEndpointRequest<false>, InvokeEndpointResponse>(
      "InvokeEndpoint", {"POST", "/endpoints/{EndpointName}/invocations"}, Effect::inference, invoke, endpoint_arn));
  Operation& stream = s.add_stream<InvokeEndpointRequest<true>>(
      "InvokeEndpointWithResponseStream", {"POST", "/endpoints/{EndpointName}/invocations-response-stream"},
      Effect::inference, invoke_stream, endpoint_arn);
  generating(stream);
  stream.action = "sagemaker:InvokeEndpoint";  // as AWS: one right for both
  s.missing("InvokeEndpointAsync", {"POST", "/endpoints/{EndpointName}/async-invocations"});
  return s;
}

}  // namespace hf::api
