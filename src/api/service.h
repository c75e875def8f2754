// A service is a table of operations; an operation is one row. The gate walks the tables: there is no other route.
//
//   Service sts() {
//     Service s{.name = "sts", .signing_name = "sts", .protocol = Protocol::aws_query, .version = "2011-06-15"};
//     s.add<GetCallerIdentityRequest, GetCallerIdentityResponse>(
//         "GetCallerIdentity", {}, Effect::read, [](Call& call, const GetCallerIdentityRequest&) {...},
//         [](const Call&, const auto&) { return "*"; });
//     s.missing("AssumeRoleWithSAML");
//     return s;
//   }
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/call.h"
#include "wire/fields.h"

namespace hf::api {

enum class Protocol {
  rest_json,
  aws_json_1_0,
  aws_json_1_1,
  aws_query,
  rest_xml,
  openai,
  holdfast /* rest_json, own errors */
};

enum class Effect {
  read,       // metadata: only denials go into the ledger
  read_data,  // lets stored data out: recorded before the first byte goes
  write,      // must Call::commit
  inference,  // recorded with its receipt (api/inference.h)
};

// Where a streamed answer goes. The HTTP head is sent with the first event, so an error before it is a plain error.
// Thread-safe; never blocks (see http::Exchange::push). Event streams for AWS protocols, SSE for OpenAI.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // AWS: type is the union's member ("contentBlockDelta"), data its JSON (or raw bytes with content_type
  // "application/octet-stream"). OpenAI: type is ignored, data is the JSON of one `data:` line.
  virtual http::Exchange::Push event(std::string_view type, std::string data,
                                     std::string_view content_type = "application/json") = 0;
  virtual void header(std::string name, std::string value) = 0;  // before the first event
  virtual void error(const Error& error) = 0;  // the protocol's own form of a failure mid-stream; ends it
  virtual void finish() = 0;
  virtual bool closed() const = 0;
  virtual void on_room(std::function<void()> callback) = 0;
};

struct Operation {
  std::string name;          // AWS's: "CreateTrainingJob"
  std::string action;        // IAM's: default "<service>:<name>"
  std::string method, path;  // rest protocols: "POST", "/model/{modelId}/converse"; greedy "{Key+}"
  std::string query;         // what must be in the query: "list-type=2", "uploads" (any value)
  Effect effect = Effect::read;
  http::Pool pool = http::Pool::control;
  uint64_t body_limit = 4 << 20;
  bool streaming_input = false;  // the input has a wire::Body: it is not read before the handler
  int success_status = 200;
  const wire::Shape* input = nullptr;  // nullptr: not implemented
  const wire::Shape* output = nullptr;
  std::function<std::shared_ptr<void>()> make_input, make_output;
  std::function<std::string(const Call&, const void* input)> resource;  // the ARN to authorise
  // What the input tells policies (aws:RequestTag/KEY, aws:TagKeys); null: nothing.
  std::function<security::Context(const void* input)> tells;
  // The request carries no signature and proves in its input who asks (a password, a provider's token). With any other
  // credentials it is refused: there is one place for them. denied: it proves nothing.
  std::function<Result<security::Identity>(Site&, const http::RequestHead&, const void* input)> proof;
  // The request names many resources: the handler asks Call::may() for each of them instead, and the gate checks that
  // it asked at least once. `resource` is then what the ledger names.
  bool asks_for_each = false;
  std::function<Status(Call&, const void* input, void* output)> handle;
  std::function<Status(Call&, const void* input, std::shared_ptr<EventSink>)> handle_stream;
  std::function<bool(const void* input)> wants_stream;  // where both handlers are there: which one
};

struct Route {  // of the rest protocols
  const char* method = "POST";
  const char* path = "/";
  const char* query = "";
};

struct Service {
  std::string name = {};          // as botocore spells it: "bedrock-runtime"
  std::string signing_name = {};  // "bedrock"
  std::string iam_prefix = {};    // "bedrock"; default: signing_name
  Protocol protocol = Protocol::rest_json;
  std::string version = {};        // aws_query's API version
  std::string target_prefix = {};  // aws_json: "SageMaker"
  std::string xml_namespace = {};
  bool bearer = false;  // accepts Authorization: Bearer
  // What the headers say of a body that is read whole (digests). `members`: names of headers that are the operation's.
  Status (*check_body)(const http::RequestHead& head, const std::vector<std::string>& members,
                       std::string_view body) = nullptr;
  std::vector<Operation> operations = {};

  template <class In, class Out>
  Operation& add(std::string name_, Route route, Effect effect, Result<Out> (*handler)(Call&, const In&),
                 std::string (*resource)(const Call&, const In&));
  template <class In>
  Operation& add_stream(std::string name_, Route route, Effect effect,
                        Status (*handler)(Call&, const In&, std::shared_ptr<EventSink>),
                        std::string (*resource)(const Call&, const In&));
  // One route that answers whole or streamed, as a member of the request says (OpenAI's "stream").
  template <class In, class Out>
  Operation& add_either(std::string name_, Route route, Effect effect, Result<Out> (*handler)(Call&, const In&),
                        Status (*stream_handler)(Call&, const In&, std::shared_ptr<EventSink>),
                        bool (*wants_stream)(const In&), std::string (*resource)(const Call&, const In&));
  // Operations that AWS has and we do not: their own 'not implemented' error, and a line on the coverage page. Routes
  // ("GET /guardrails/{guardrailIdentifier}") only for the rest protocols.
  void missing(std::string name_, Route route = {});
  Operation& row(std::string name_, Route route, Effect effect);
};

bool is_rest(Protocol protocol);  // routed by method and path

// All services, in the order in which routes are tried. One visible list (api/services.cc).
std::vector<Service> all_services();
Service s3();
Service iam();
Service sts();
Service kms();
Service cloudtrail();
Service sagemaker();
Service sagemaker_runtime();
Service bedrock();
Service bedrock_runtime();
Service openai();
Service holdfast();

template <class In, class Out>
Operation& Service::add(std::string name_, Route route, Effect effect, Result<Out> (*handler)(Call&, const In&),
                        std::string (*resource)(const Call&, const In&)) {
  Operation& o = row(std::move(name_), route, effect);
  o.input = &wire::shape_of<In>();
  o.output = &wire::shape_of<Out>();
  o.make_input = [] { return std::make_shared<In>(); };
  o.make_output = [] { return std::make_shared<Out>(); };
  o.resource = [resource](const Call& call, const void* in) { return resource(call, *static_cast<const In*>(in)); };
  o.handle = [handler](Call& call, const void* in, void* out) -> Status {
    auto result = handler(call, *static_cast<const In*>(in));
    if (!result.ok()) return std::move(result).error();
    *static_cast<Out*>(out) = std::move(result).value();
    return {};
  };
  return o;
}

template <class In>
Operation& Service::add_stream(std::string name_, Route route, Effect effect,
                               Status (*handler)(Call&, const In&, std::shared_ptr<EventSink>),
                               std::string (*resource)(const Call&, const In&)) {
  Operation& o = row(std::move(name_), route, effect);
  o.input = &wire::shape_of<In>();
  o.make_input = [] { return std::make_shared<In>(); };
  o.resource = [resource](const Call& call, const void* in) { return resource(call, *static_cast<const In*>(in)); };
  o.handle_stream = [handler](Call& call, const void* in, std::shared_ptr<EventSink> sink) {
    return handler(call, *static_cast<const In*>(in), std::move(sink));
  };
  return o;
}

template <class In, class Out>
Operation& Service::add_either(std::string name_, Route route, Effect effect, Result<Out> (*handler)(Call&, const In&),
                               Status (*stream_handler)(Call&, const In&, std::shared_ptr<EventSink>),
                               bool (*wants_stream)(const In&), std::string (*resource)(const Call&, const In&)) {
  Operation& o = add<In, Out>(std::move(name_), route, effect, handler, resource);
  o.handle_stream = [stream_handler](Call& call, const void* in, std::shared_ptr<EventSink> sink) {
    return stream_handler(call, *static_cast<const In*>(in), std::move(sink));
  };
  o.wants_stream = [wants_stream](const void* in) { return wants_stream(*static_cast<const In*>(in)); };
  return o;
}

}  // namespace hf::api
