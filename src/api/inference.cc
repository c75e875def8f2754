#include "api/inference.h"

#include <boost/json.hpp>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>

#include "api/quotas.h"
#include "base/bytes.h"
#include "fleet/deployments.h"
#include "fleet/registry.h"
#include "fleet/usage.h"
#include "security/receipt.h"
#include "wire/json.h"

namespace hf::api {
namespace json = boost::json;
namespace {

constexpr size_t kMaxAnswer = size_t{16} << 20;  // bytes kept of one answer; a model's context ends far below

// ---- which model

struct Arn {
  std::string service, region, account, resource;
};

std::optional<Arn> parse_arn(const std::string& text) {
  const auto parts = split(text, ':');
  if (parts.size() < 6 || parts[0] != "arn" || parts[1] != "aws") return {};
  Arn arn{std::string(parts[2]), std::string(parts[3]), std::string(parts[4]), std::string(parts[5])};
  for (size_t i = 6; i < parts.size(); ++i) arn.resource += ":" + std::string(parts[i]);
  return arn;
}

using Found = Result<std::optional<Target>>;

Found of_model(std::optional<fleet::Model> model) {
  if (!model) return std::optional<Target>();
  return std::optional<Target>(Target{model->digest, model->name, model->arn});
}

Found of_deployment(std::optional<fleet::Deployment> d) {
  if (!d) return std::optional<Target>();
  if (d->state == fleet::Deployment::State::creating)
    return fail(Code::unavailable, "ModelNotReadyException", d->name + " is being created; try again soon");
  if (d->state == fleet::Deployment::State::failed)
    return fail(Code::invalid, "ValidationException", d->name + " could not be created: " + d->failure);
  return std::optional<Target>(Target{d->digest, d->model_name, d->arn});
}

std::optional<std::string> after(const std::string& text, std::string_view prefix) {
  if (text.rfind(prefix, 0) != 0) return {};
  return text.substr(prefix.size());
}

Found find_by_arn(store::Txn& txn, const Site& site, const std::string& account, const Arn& arn) {
  if (arn.region != site.region) return std::optional<Target>();
  if (arn.service == "bedrock" && arn.account.empty()) {
    auto name = after(arn.resource, "foundation-model/holdfast.");
    return name ? of_model(TRY(fleet::find_shared_model(txn, *name))) : std::optional<Target>();
  }
  if (arn.account != account) return std::optional<Target>();  // never another tenant's
  if (arn.service == "bedrock") {
    if (auto id = after(arn.resource, "custom-model-deployment/"))
      return of_deployment(TRY(fleet::find_deployment(txn, fleet::kCustomDeployment, account, *id)));
    if (after(arn.resource, "custom-model/"))
      return of_model(TRY(fleet::find_model_by_id(txn, account, arn.resource.substr(arn.resource.rfind('/') + 1))));
  }
  if (arn.service == "sagemaker")
    if (auto name = after(arn.resource, "endpoint/"))
      return of_deployment(TRY(fleet::find_deployment(txn, fleet::kEndpoint, account, *name)));
  return std::optional<Target>();
}

Found find_target(store::Txn& txn, const Site& site, const std::string& account, const std::string& id) {
  if (auto arn = parse_arn(id)) return find_by_arn(txn, site, account, *arn);
  if (auto name = after(id, "holdfast."))
    if (auto shared = TRY(fleet::find_shared_model(txn, *name))) return of_model(std::move(shared));
  if (auto own = TRY(fleet::find_model(txn, account, id))) return of_model(std::move(own));
  if (auto deployment = TRY(fleet::find_deployment_by_name(txn, account, id)))
    return of_deployment(std::move(deployment));
  return of_model(TRY(fleet::find_shared_model(txn, id)));
}

// ---- what is written down

std::string quoted(std::string_view text) {
  std::string out;
  wire::write_json_string(out, text);
  return out;
}

// Canonical: members sorted, no blanks.
std::string canonical(const std::map<std::string, std::string>& members) {
  std::string out = "{";
  for (const auto& [name, value] : members) {
    if (out.size() > 1) out += ',';
    out += quoted(name) + ":" + value;
  }
  return out + "}";
}

std::string number(double v) {
  std::string out;
  wire::write_json_number(out, v);
  return out;
}

std::string sampler_json(const rpc::Sampling& s, std::string_view salt) {
  std::string stop = "[";
  for (const std::string& digest : stop_digests(s.stop, salt)) stop += (stop.size() > 1 ? "," : "") + quoted(digest);
  return canonical({{"max_tokens", std::to_string(s.max_tokens)},
                    {"min_p", number(s.min_p)},
                    {"seed", std::to_string(s.seed)},
                    {"stop_digests", stop + "]"},
                    {"temperature", number(s.temperature)},
                    {"top_k", std::to_string(s.top_k)},
                    {"top_p", number(s.top_p)}});
}

security::Receipt begin_receipt(const Call& call, const Target& target, const fleet::GenerateRequest& request) {
  security::Receipt r;
  r.id = "rcpt-" + hex(call.site().random.bytes(16));
  r.site = call.site().id;
  r.account = call.account();
  r.principal = call.who().arn;
  r.request_id = call.request_id();
  r.time = call.now();
  r.model = target.name;
  r.model_digest = target.digest;
  r.sampler = sampler_json(request.sampling, request.salt);
  r.seed = request.sampling.seed;
  r.salt = request.salt;
  return r;
}

void end_receipt(security::Receipt& r, const Result<fleet::Finished>& end) {
  if (!end.ok()) {
    r.stop_reason = "error";
    return;
  }
  r.engine_build = end->build;
  r.isa = end->isa;
  r.input_digest = end->input_digest;
  r.output_digest = end->output_digest;
  r.text_digest = end->text_digest;
  r.input_tokens = end->input_tokens;
  r.output_tokens = end->output_tokens;
  r.stop_reason = end->stop_reason;
}

std::string end_detail(const security::Receipt& r) {
  std::map<std::string, std::string> members = {{"model", quoted(r.model)},
                                                {"model_digest", quoted(r.model_digest)},
                                                {"receipt", quoted(r.id)},
                                                {"stop_reason", quoted(r.stop_reason)}};
  if (r.stop_reason != "error") {
    members["input_digest"] = quoted(hex(r.input_digest));
    members["input_tokens"] = std::to_string(r.input_tokens);
    members["output_digest"] = quoted(hex(r.output_digest));
    members["output_tokens"] = std::to_string(r.output_tokens);
    members["text_digest"] = quoted(hex(r.text_digest));
  }
  return canonical(members);
}

// Of a role's session the role: its sessions have many names.
Status add_usage(store::Txn& txn, const Call& call, const security::Receipt& r) {
  fleet::Usage more;
  more.account = r.account;
  more.principal = identity_arn(call.who());
  more.model = r.model;
  more.requests = 1;
  more.errors = r.stop_reason == "error" ? 1 : 0;
  more.input_tokens = r.input_tokens;
  more.output_tokens = r.output_tokens;
  return fleet::add_usage(txn, r.time, more);
}

// The end of every answer, good or bad: ledger entry, receipt and usage in one transaction.
Status write_end(Call& call, security::Receipt& r, const Result<fleet::Finished>& end) {
  end_receipt(r, end);
  auto index = call.record(end_detail(r), [&](store::Txn& txn, uint64_t at) -> Status {
    r.ledger_index = at;
    security::sign_receipt(r, call.site().signing_key);
    store::Record record;
    record.kind = "receipt";
    record.account = r.account;
    record.name = r.id;
    record.created = record.updated = r.time;
    record.body = security::to_json(r);
    TRY(store::put_record(txn, record));
    return add_usage(txn, call, r);
  });
  if (!index.ok()) return std::move(index).error();
  return {};
}

// ---- the two ways

class Collector final : public fleet::Sink {
 public:
  bool text(std::string piece) override {
    std::lock_guard lock(mutex_);
    if (text_.size() + piece.size() <= kMaxAnswer) text_ += piece;
    return true;
  }
  void done(const fleet::Finished& finished) override { end(finished); }
  void failed(const Error& error) override { end(error); }
  Result<fleet::Finished> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return end_.has_value(); });  // the fleet always says the end
    return *end_;
  }
  std::string take_text() {
    std::lock_guard lock(mutex_);
    return std::move(text_);
  }

 private:
  void end(Result<fleet::Finished> r) {
    std::lock_guard lock(mutex_);
    end_.emplace(std::move(r));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::optional<Result<fleet::Finished>> end_;
};

// Cancels and resumes may come before the fleet has said which request this is.
class Control {
 public:
  explicit Control(fleet::Fleet& fleet) : fleet_(fleet) {}
  void started(uint64_t id) {
    bool cancel, resume;
    {
      std::lock_guard lock(mutex_);
      id_ = id;
      cancel = cancel_;
      resume = resume_;
    }
    if (cancel) fleet_.cancel(id);
    if (resume) fleet_.resume(id);
  }
  void cancel() {
    if (auto id = known(cancel_)) fleet_.cancel(*id);
  }
  void resume() {
    if (auto id = known(resume_)) fleet_.resume(*id);
  }

 private:
  std::optional<uint64_t> known(bool& otherwise) {
    std::lock_guard lock(mutex_);
    if (!id_) otherwise = true;
    return id_;
  }
  fleet::Fleet& fleet_;
  std::mutex mutex_;
  std::optional<uint64_t> id_;
  bool cancel_ = false, resume_ = false;
};

class Stream final : public fleet::Sink {
 public:
  Stream(std::shared_ptr<Call> call, security::Receipt receipt, std::shared_ptr<StreamListener> listener,
         QuotaHold hold)
      : call_(std::move(call)), receipt_(std::move(receipt)), listener_(std::move(listener)), hold_(std::move(hold)) {}
  bool text(std::string piece) override { return listener_->text(std::move(piece)); }
  void done(const fleet::Finished& finished) override {
    hold_.end(finished.input_tokens + finished.output_tokens);
    if (Status written = write_end(*call_, receipt_, finished); !written.ok())
      return listener_->failed(fail(Code::unavailable, "the answer could not be recorded: " + written.error().message));
    Answer answer;
    answer.finished = finished;
    answer.receipt_id = receipt_.id;
    listener_->done(answer);
  }
  void failed(const Error& error) override {
    hold_.end(0);
    (void)write_end(*call_, receipt_, error);  // the listener hears of the first failure
    listener_->failed(error);
  }

 private:
  std::shared_ptr<Call> call_;
  security::Receipt receipt_;
  std::shared_ptr<StreamListener> listener_;
  QuotaHold hold_;
};

// Nobody hears of it but a client that closed its sending side only.
Error nobody_waits() { return fail(Code::unavailable, "the client closed the connection before the answer was whole"); }

void complete(Call& call, const Target& target, fleet::GenerateRequest& request) {
  request.digest = target.digest;
  request.tenant = call.account();
  if (request.salt.empty()) request.salt = call.site().random.bytes(16);
}

}  // namespace

Result<Target> resolve_model(Call& call, const std::string& model_id) {
  std::optional<Target> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(find_target(txn, call.site(), call.account(), model_id));
    return {};
  }));
  if (found) return std::move(*found);
  return not_found("no model, deployment or endpoint of this account is called " + model_id.substr(0, 300));
}

std::string model_resource(const Call& call, const std::string& model_id) {
  std::optional<Target> found;
  (void)call.site().db.read([&](store::Txn& txn) -> Status {  // an error: the handler meets it again
    found = TRY(find_target(txn, call.site(), call.account(), model_id));
    return {};
  });
  if (found) return found->arn;
  return parse_arn(model_id) ? model_id : call.arn("bedrock", "custom-model/" + model_id);
}

Result<Answer> generate(Call& call, const Target& target, fleet::GenerateRequest request) {
  QuotaHold hold = TRY(QuotaHold::take(call, request.sampling.max_tokens));
  (void)TRY(call.site().fleet.load(target.digest));
  if (call.client_gone()) return nobody_waits();  // loading may have taken minutes
  complete(call, target, request);
  security::Receipt receipt = begin_receipt(call, target, request);
  auto sink = std::make_shared<Collector>();
  auto control = std::make_shared<Control>(call.site().fleet);
  call.on_client_gone([control] { control->cancel(); });
  control->started(TRY(call.site().fleet.generate(request, sink)));
  auto end = sink->wait();
  hold.end(end.ok() ? end->input_tokens + end->output_tokens : 0);
  TRY(write_end(call, receipt, end));  // what was computed is counted, whoever read it
  if (end.ok() && end->stop_reason == "cancelled") return nobody_waits();
  Answer answer;
  answer.finished = TRY(std::move(end));
  answer.text = sink->take_text();
  answer.receipt_id = receipt.id;
  return answer;
}

Result<StreamHandle> generate_stream(Call& call, const Target& target, fleet::GenerateRequest request,
                                     std::shared_ptr<StreamListener> listener) {
  QuotaHold hold = TRY(QuotaHold::take(call, request.sampling.max_tokens));
  (void)TRY(call.site().fleet.load(target.digest));
  complete(call, target, request);
  security::Receipt receipt = begin_receipt(call, target, request);
  // Tokens leave before the end is written, so the start is: no answer goes out that the ledger does not know of.
  (void)TRY(call.record(canonical({{"model", quoted(receipt.model)},
                                   {"model_digest", quoted(receipt.model_digest)},
                                   {"phase", quoted("start")},
                                   {"receipt", quoted(receipt.id)}})));
  auto control = std::make_shared<Control>(call.site().fleet);
  StreamHandle handle{receipt.id, [control] { control->cancel(); }, [control] { control->resume(); }};
  listener->begin(handle);
  auto id =
      call.site().fleet.generate(request, std::make_shared<Stream>(call.keep(), receipt, listener, std::move(hold)));
  if (!id.ok()) {
    (void)write_end(call, receipt, id.error());
    return std::move(id).error();
  }
  control->started(*id);
  return handle;
}

Result<int64_t> count_tokens(Call& call, const Target& target, const rpc::Prompt& prompt) {
  return call.site().fleet.count(target.digest, prompt);
}

std::vector<std::string> stop_digests(const std::vector<std::string>& stop, std::string_view salt) {
  std::vector<std::string> out;
  for (const std::string& text : stop) out.push_back(crypto::sha256_hex(std::string(salt).append(text)));
  return out;
}

uint64_t fresh_seed(Call& call) {
  uint64_t seed = 0;
  const std::string bytes = call.site().random.bytes(sizeof seed);
  std::memcpy(&seed, bytes.data(), sizeof seed);
  return seed;
}

}  // namespace hf::api
