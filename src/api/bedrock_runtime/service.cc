// Bedrock Runtime: inference.
#include "api/service.h"

#include "api/bedrock_runtime/converse_shapes.h"
#include "api/bedrock_runtime/invoke_shapes.h"
#include "api/inference.h"

namespace hf::api {
namespace {

template <class In>
std::string model_of(const Call& call, const In& in) {
  return model_resource(call, in.model_id);
}

// IAM knows two actions for inference, whatever the operation is called.
void inference(Operation& operation, const char* action, uint64_t body_limit) {
  operation.action = action;
  operation.pool = http::Pool::generate;
  operation.body_limit = body_limit;
}

}  // namespace

Service bedrock_runtime() {
  using namespace bedrock_runtime_api;
  constexpr uint64_t kBody = 25'000'000;  // AWS's limit of an InvokeModel body
  constexpr const char* kInvoke = "bedrock:InvokeModel";
  constexpr const char* kStream = "bedrock:InvokeModelWithResponseStream";
  Service s;
  s.name = "bedrock-runtime";
  s.signing_name = "bedrock";
  s.protocol = Protocol::rest_json;
  s.bearer = true;
  inference(s.add<ConverseRequest, ConverseResponse>("Converse", {"POST", "/model/{modelId}/converse"},
                                                     Effect::inference, converse, model_of),
            kInvoke, kBody);
  inference(s.add_stream<ConverseRequest>("ConverseStream", {"POST", "/model/{modelId}/converse-stream"},
                                          Effect::inference, converse_stream, model_of),
            kStream, kBody);
  inference(s.add<InvokeRequest, InvokeResponse>("InvokeModel", {"POST", "/model/{modelId}/invoke"}, Effect::inference,
                                                 invoke_model, model_of),
            kInvoke, kBody);
  inference(s.add_stream<InvokeStreamRequest>("InvokeModelWithResponseStream",
                                              {"POST", "/model/{modelId}/invoke-with-response-stream"},
                                              Effect::inference, invoke_model_stream, model_of),
            kStream, kBody);
  inference(s.add<CountTokensRequest, CountTokensResponse>("CountTokens", {"POST", "/model/{modelId}/count-tokens"},
                                                           Effect::read, count_model_tokens, model_of),
            "bedrock:CountTokens", 2 * kBody);  // base64 within JSON
  s.missing("ApplyGuardrail", {"POST", "/guardrail/{guardrailIdentifier}/version/{guardrailVersion}/apply"});
  s.missing("InvokeGuardrailChecks", {"POST", "/guardrail-checks/invoke"});
  s.missing("StartAsyncInvoke", {"POST", "/async-invoke"});
  s.missing("GetAsyncInvoke", {"GET", "/async-invoke/{invocationArn}"});
  s.missing("ListAsyncInvokes", {"GET", "/async-invoke"});
  s.missing("InvokeModelWithBidirectionalStream", {"POST", "/model/{modelId}/invoke-with-bidirectional-stream"});
  return s;
}

}  // namespace hf::api
