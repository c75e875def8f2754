#include "api/gate.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "api/authenticate.h"
#include "api/errors.h"
#include "api/event_sink.h"
#include "api/router.h"
#include "api/strict.h"
#include "base/bytes.h"
#include "base/uuid.h"
#include "security/denials.h"
#include "security/sealer.h"
#include "wire/codec.h"

namespace hf::api {
namespace {

// For a request whose operation is not known: enough for any signed body that we have to read to check its signature.
constexpr uint64_t kUnknownBody = 1 << 20;
// A body that streams is not read before its handler runs; if no hash of it was signed it has to be held, so less of
// it.
constexpr uint64_t kHeldBody = 4 << 20;
// Of a request that proves itself by its input: a form with a token, a password.
constexpr uint64_t kProofBody = 64 << 10;
// Of a body that is sent, at a time: a block of an object, so that nothing of it is left with the reader.
constexpr size_t kPiece = 1 << 20;
// A client that reads slowly holds such a piece and no thread. 1,024 of them are 1.1 GiB.
constexpr int kBodiesAtOnce = 1024;

std::string new_request_id(Site& site, Protocol protocol) {
  if (protocol != Protocol::rest_xml) return random_uuid(site.random.bytes(16));
  std::string h = hex(site.random.bytes(8));
  for (char& c : h) c = c >= 'a' ? static_cast<char>(c - 32) : c;
  return h;
}

bool signing_parameter(std::string_view name) { return name.starts_with("X-Amz-"); }

}  // namespace

struct Gate::State {
  Site& site;
  std::vector<Service> services;
  Router router;
  std::shared_ptr<std::atomic<int>> bodies = std::make_shared<std::atomic<int>>(0);  // BodyAnswers that live
  // Of callers who could not be told, by their address; of those who could, by who they are.
  security::Denials strangers, known;

  State(Site& s, std::vector<Service> list)
      : site(s),
        services(std::move(list)),
        router(services),
        strangers(s.ledger, s.clock, "holdfast:Authenticate", [this](const std::string& line) { log(line); }),
        known(s.ledger, s.clock, "holdfast:Authorize", [this](const std::string& line) { log(line); },
              {.per_second = 400, .per_source = 50, .sources = 4096}) {}
  ~State() { record_missed(true); }

  struct Request {
    std::shared_ptr<http::Exchange> exchange;
    Match match;
    std::string id;
    const http::RequestHead& head() const { return exchange->head(); }
  };

  void log(const std::string& line) const {
    if (site.log) site.log(line);
  }
  void answer_error(const Request& r, const Error& error) const;
  Error told(const Request& r, Error error) const;
  void record_missed(bool at_end);
  void record_unknown(const Request& r, const Error& error);
  void record_denied(const Request& r, const security::Identity& who, const Call* call, const Error& error);
  Result<Caller> prove(Request& r);
  Status run(Request& r);
  Status serve(Request& r, Caller& caller, std::shared_ptr<Call>& call);
  Status read_operation(Request& r, Caller& caller, std::string& body, wire::Pairs& form);
  Status decode(Request& r, Caller& caller, std::string body, const wire::Pairs& form, void* in);
  Status authorise(Call& call, const Operation& o, const void* in);
  Status answer(Request& r, Call& call, const void* out);
  Status send_stream(Request& r, wire::RestResponse& response, int status);
  class BodyAnswer;
};

// ---- refusals

// A file or a database that refuses (read-only, no right to it) is the site's fault, never "access denied": each
// decision of ours has a name.
Error Gate::State::told(const Request& r, Error error) const {
  if (error.code != Code::denied || !error.name.empty()) return error;
  log("request " + r.id + ": the site's own storage refused: " + error.message);
  return fail(Code::unavailable, "the site's storage refused; the site's log tells more under the request id " + r.id);
}

void Gate::State::answer_error(const Request& r, const Error& error) const {
  if (error.code == Code::internal || error.code == Code::corrupt)
    log("request " + r.id + " " + (r.match.operation ? r.match.operation->action : "?") + ": " + error.message);
  Reply reply = error_reply(r.match.form, error, r.id, r.head());
  r.exchange->respond(reply.status, std::move(reply.headers), std::move(reply.body));
}

void Gate::State::record_missed(bool at_end) {
  strangers.flush(at_end);
  known.flush(at_end);
}

// A caller that could not be told. The refusal stands whether or not the ledger can take it.
void Gate::State::record_unknown(const Request& r, const Error& error) {
  security::Entry e;
  e.time = site.clock.now();
  e.action = r.match.operation ? r.match.operation->action : "holdfast:Authenticate";
  e.decision = "deny";
  e.reason = error.name;
  e.request_id = r.id;
  e.source = r.head().peer;
  (void)strangers.record(std::move(e), security::host_of(r.head().peer));
}

// A denial that no may() has recorded: another account's bucket, a chunk or a body that is not what was signed. The
// refusal stands whether or not the ledger can take it.
void Gate::State::record_denied(const Request& r, const security::Identity& who, const Call* call, const Error& error) {
  const bool forged = error.name == "XAmzContentSHA256Mismatch";  // a body that is not the signed one
  if ((error.code != Code::denied && !forged) || (call && call->denied_)) return;
  security::Entry e;
  e.time = site.clock.now();
  e.account = who.account;
  e.principal = who.arn;
  e.action = r.match.operation ? r.match.operation->action : "holdfast:Authenticate";
  e.resource = call ? call->resource_ : "";
  e.decision = "deny";
  e.reason = error.name;
  e.request_id = r.id;
  e.source = r.head().peer;
  (void)known.record(std::move(e), who.arn);
}

// ---- decoding

// The body as a whole where it is not streamed, and aws-query's operation, which only the body names.
Status Gate::State::read_operation(Request& r, Caller& caller, std::string& body, wire::Pairs& form) {
  const Operation* o = r.match.operation;
  if (o && o->streaming_input) return {};
  body = TRY(caller.payload->read_all(o ? o->body_limit : kUnknownBody));
  if (r.match.form.protocol != Protocol::aws_query) return {};
  form = TRY(r.match.action_in_query ? wire::decode_query(r.head().query(), false) : wire::decode_query(body, true));
  if (o || !r.match.service || !r.match.problem.name.empty()) return {};
  std::string action, version;
  for (const auto& [name, value] : form) {
    if (name == "Action") action = value;
    if (name == "Version") version = value;
  }
  router.query_operation(r.match, action, version);
  return {};
}

Status Gate::State::decode(Request& r, Caller& caller, std::string body, const wire::Pairs& form, void* in) {
  const Operation& o = *r.match.operation;
  const wire::Pairs query = TRY(wire::decode_query(r.head().query(), false));
  if (!r.match.action_in_query) TRY(check_parameters(r.match, query));
  switch (r.match.form.protocol) {
    case Protocol::aws_json_1_0:
    case Protocol::aws_json_1_1:
      return wire::decode_json(*o.input, body, in);
    case Protocol::aws_query:
      return wire::decode_aws_query(
          *o.input, form, in, r.match.action_in_query ? signing_parameter : std::function<bool(std::string_view)>());
    case Protocol::rest_json:
    case Protocol::rest_xml:
    case Protocol::openai:
    case Protocol::holdfast:
      break;
  }
  wire::RestRequest request;
  request.headers = &r.head().headers;
  http::Headers s3;
  if (r.match.form.protocol == Protocol::rest_xml) {
    s3 = s3_headers(r.head(), query);
    TRY(check_s3_headers(r.match, s3));
    request.headers = &s3;
  }
  if (!o.streaming_input && r.match.service->check_body)
    TRY(r.match.service->check_body(r.head(), r.match.headers, body));
  for (const auto& [name, raw] : r.match.raw_labels)
    request.labels.emplace_back(name, TRY(wire::decode_label(raw, name)));
  request.query = query;
  request.body = body;
  if (o.streaming_input) request.stream = {caller.payload, caller.payload->length()};
  const auto format = r.match.form.protocol == Protocol::rest_xml ? wire::Format::xml : wire::Format::json;
  return wire::decode_rest(*o.input, format, request, in);
}

// ---- deciding

Status Gate::State::authorise(Call& call, const Operation& o, const void* in) {
  call.resource_ = o.resource(call, in);
  if (o.asks_for_each) {
    call.reason_ = "each";
    return {};
  }
  security::Question question{.action = call.action_, .resource = call.resource_};
  if (o.tells) question.context = o.tells(in);
  const security::Decision decision = call.decide(question);
  call.reason_ = decision.reason;
  return call.decided(decision, question, call.resource_);
}

// ---- answering

// A body on its way out: piece by piece, each read on a thread of the pool when the client has room for it.
class Gate::State::BodyAnswer : public std::enable_shared_from_this<BodyAnswer> {
 public:
  BodyAnswer(std::shared_ptr<std::atomic<int>> count, std::shared_ptr<http::Exchange> exchange,
             std::shared_ptr<wire::BodySource> source, std::function<void(const std::string&)> broke)
      : count_(std::move(count)),
        exchange_(std::move(exchange)),
        source_(std::move(source)),
        broke_(std::move(broke)) {}
  ~BodyAnswer() { --*count_; }

  void begin(int status, http::Headers headers, std::string first) {
    exchange_->on_room([self = shared_from_this(), weak = std::weak_ptr<http::Exchange>(exchange_)] {
      auto exchange = weak.lock();
      if (exchange && !exchange->closed()) exchange->on_pool([self] { self->go({}); });
    });
    exchange_->start(status, std::move(headers));
    go(std::move(first));
  }

 private:
  // After `full` the next go() may run already on another thread: nothing of this one is touched any more, and the
  // exchange is kept by hand, since that one may let it go.
  void go(std::string piece) {
    const auto exchange = exchange_;
    for (;;) {
      if (!piece.empty() && exchange->push(std::move(piece)) != http::Exchange::Push::ok) return;
      piece.assign(kPiece, '\0');
      auto n = source_->read(piece);
      if (!n.ok()) {
        broke_(n.error().message);
        exchange_ = nullptr;  // it holds this, by its callback
        return exchange->abort();
      }
      if (*n == 0) {
        exchange_ = nullptr;
        return exchange->finish();
      }
      piece.resize(*n);
    }
  }

  std::shared_ptr<std::atomic<int>> count_;
  std::shared_ptr<http::Exchange> exchange_;
  std::shared_ptr<wire::BodySource> source_;
  std::function<void(const std::string&)> broke_;
};

Status Gate::State::send_stream(Request& r, wire::RestResponse& response, int status) {
  if (response.stream.length >= 0) response.headers.set("content-length", std::to_string(response.stream.length));
  // The first piece is read before the head goes: an error until then is a plain one.
  if (r.head().method == "HEAD" || !response.stream.source) {
    r.exchange->start(status, std::move(response.headers));
    r.exchange->finish();
    return {};
  }
  const bool room = ++*bodies <= kBodiesAtOnce;
  auto answer = std::make_shared<BodyAnswer>(bodies, r.exchange, response.stream.source,
                                             [write = site.log, id = r.id](const std::string& why) {
                                               if (write) write("request " + id + ": the answer broke off: " + why);
                                             });
  if (!room) return fail(Code::exhausted, "too many answers are being sent; try again later");
  std::string first(kPiece, '\0');
  first.resize(TRY(response.stream.source->read(first)));
  answer->begin(status, std::move(response.headers), std::move(first));
  return {};
}

Status Gate::State::answer(Request& r, Call& call, const void* out) {
  const Operation& o = *r.match.operation;
  const Service& s = *r.match.service;
  wire::RestResponse response;
  switch (r.match.form.protocol) {
    case Protocol::aws_json_1_0:
    case Protocol::aws_json_1_1:
      wire::encode_json(*o.output, wire::TimeFormat::epoch, out, response.body);
      response.headers.set("content-type", s.protocol == Protocol::aws_json_1_0 ? "application/x-amz-json-1.0"
                                                                                : "application/x-amz-json-1.1");
      break;
    case Protocol::aws_query:
      response.body = wire::encode_aws_query(o.output, o.name, s.xml_namespace, r.id, out);
      response.headers.set("content-type", "text/xml");
      break;
    case Protocol::rest_json:
    case Protocol::openai:
    case Protocol::holdfast:
      TRY(wire::encode_rest(*o.output, {wire::Format::json, wire::TimeFormat::iso8601, "", ""}, out, response));
      break;
    case Protocol::rest_xml:
      TRY(wire::encode_rest(*o.output,
                            {wire::Format::xml, wire::TimeFormat::iso8601, s.xml_namespace, o.name + "Result"}, out,
                            response));
      break;
  }
  add_request_id(r.match.form, r.id, response.headers);
  const int status = response.status ? response.status : o.success_status;
  if (o.effect == Effect::read_data && !call.committed_) TRY(call.record());  // before the first byte goes
  if (response.has_stream) return send_stream(r, response, status);
  if (status == 204 || status == 304) {
    response.body.clear();
  } else if (r.head().method == "HEAD") {
    if (!response.headers.has("content-length"))
      response.headers.set("content-length", std::to_string(response.body.size()));
    r.exchange->start(status, std::move(response.headers));
    r.exchange->finish();
    return {};
  }
  r.exchange->respond(status, std::move(response.headers), std::move(response.body));
  return {};
}

// ---- the one path

// A request without credentials: those of its input, where the operation takes such.
Result<Caller> Gate::State::prove(Request& r) {
  const Error none = fail(Code::denied, kMissingCredentials, "the request has no credentials");
  const Operation* o = r.match.operation;
  const bool unread = !o && r.match.form.protocol == Protocol::aws_query && r.match.problem.name.empty();
  if (!unread && (!o || !o->proof)) return none;
  auto held = Payload::plain(r.exchange)->read_all(kProofBody);
  if (!held.ok()) return none;
  Caller stranger{{}, Payload::memory(*held)};
  std::string body;
  wire::Pairs form;
  if (!read_operation(r, stranger, body, form).ok()) return none;
  o = r.match.operation;
  if (!o || !o->proof) return none;
  std::shared_ptr<void> in = o->make_input();
  TRY(decode(r, stranger, std::move(body), form, in.get()));
  return Caller{TRY(o->proof(site, r.head(), in.get())), Payload::memory(std::move(*held))};
}

Status Gate::State::run(Request& r) {
  const Credentials credentials = sniff(r.head());
  uint64_t limit = r.match.operation ? r.match.operation->body_limit : kUnknownBody;
  if (r.match.operation && r.match.operation->streaming_input) limit = std::min(limit, kHeldBody);
  auto who = credentials.kind == Credentials::Kind::none ? prove(r)
                                                         : authenticate(site, r.exchange, r.match, credentials, limit);
  if (!who.ok()) {
    const Error error = told(r, who.error());
    if (error.code == Code::denied) record_unknown(r, error);
    return error;
  }
  Caller caller = std::move(who).value();
  std::shared_ptr<Call> call;
  Status done = serve(r, caller, call);
  if (done.ok()) return done;
  Error error = told(r, done.error());
  record_denied(r, call ? call->who() : caller.identity, call.get(), error);  // the call took the identity over
  const Protocol protocol = r.match.form.protocol;
  if (call && !call->denial_.empty() && protocol != Protocol::openai && protocol != Protocol::holdfast)
    error.message +=
        " Encoded authorization failure message: " + site.denial_texts.seal(call->denial_, call->account());
  return error;
}

// Who calls is known.
Status Gate::State::serve(Request& r, Caller& caller, std::shared_ptr<Call>& call) {
  std::string body;
  wire::Pairs form;
  TRY(read_operation(r, caller, body, form));
  if (!r.match.operation) return r.match.problem;
  const Operation& o = *r.match.operation;
  if (o.proof && sniff(r.head()).kind != Credentials::Kind::none)
    return fail(Code::denied, "IncompleteSignature",
                o.name + ": expected no signature, as its input says who asks; found credentials in two places");

  call.reset(new Call(site, known, std::move(caller.identity), o.action, "", r.id, r.head()));
  call->exchange_ = r.exchange;
  std::shared_ptr<void> in = o.make_input();
  TRY(decode(r, caller, std::move(body), form, in.get()));
  TRY(authorise(*call, o, in.get()));
  if (o.handle_stream && (!o.wants_stream || o.wants_stream(in.get()))) {
    auto sink = make_event_sink(r.exchange, r.match.form, r.id);
    if (auto s = o.handle_stream(*call, in.get(), sink); !s.ok()) {
      const Error error = told(r, s.error());
      record_denied(r, call->who(), call.get(), error);
      sink->error(error);
    }
    return {};
  }
  std::shared_ptr<void> out = o.make_output();
  TRY(o.handle(*call, in.get(), out.get()));
  if ((o.effect == Effect::write || o.effect == Effect::inference) && !call->committed_)
    return fail(Code::internal, o.name + " succeeded without an entry in the ledger");
  if (o.asks_for_each && !call->asked_) return fail(Code::internal, o.name + " succeeded without asking who may");
  return answer(r, *call, out.get());
}

Gate::Gate(Site& site, std::vector<Service> services) : state_(std::make_unique<State>(site, std::move(services))) {}
Gate::~Gate() = default;
const std::vector<Service>& Gate::services() const { return state_->services; }

http::Route Gate::route(const http::RequestHead& head) const {
  const Credentials credentials = sniff(head);
  Match match = state_->router.match(head, credentials);
  if (match.health) return {http::Pool::loop, 0};
  if (!match.operation) return {http::Pool::control, kUnknownBody};
  // A body whose hash nobody signed is read to check the signature, by a client that may be anybody: held first.
  const Operation& o = *match.operation;
  if (o.streaming_input && credentials.kind == Credentials::Kind::sigv4_header &&
      !head.headers.has("x-amz-content-sha256"))
    return {http::Pool::control, std::min(o.body_limit, kHeldBody)};
  return {o.pool, o.body_limit};
}

void Gate::handle(std::shared_ptr<http::Exchange> exchange) {
  State::Request r{exchange, state_->router.match(exchange->head(), sniff(exchange->head())), {}};
  if (r.match.health) {
    http::Headers headers;
    headers.set("content-type", "application/json");
    exchange->respond(200, std::move(headers), r.head().method == "HEAD" ? "" : "{\"status\":\"ok\"}");
    return;
  }
  r.id = new_request_id(state_->site, r.match.form.protocol);
  state_->record_missed(false);
  if (auto s = state_->run(r); !s.ok()) state_->answer_error(r, s.error());
}

}  // namespace hf::api
