#include "api/call.h"

#include "api/errors.h"
#include "security/denials.h"
#include "security/policy_context.h"

namespace hf::api {

std::string Call::arn(std::string_view service, std::string_view resource) const {
  return "arn:aws:" + std::string(service) + ":" + site_.region + ":" + who_.account + ":" + std::string(resource);
}

security::Entry Call::entry(const std::string& detail) const {
  security::Entry e;
  e.time = site_.clock.now();
  e.account = who_.account;
  e.principal = who_.arn;
  e.action = action_;
  e.resource = resource_;
  e.decision = "allow";
  e.reason = reason_;
  e.request_id = request_id_;
  e.source = head_.peer;
  e.detail = detail;
  return e;
}

void Call::on_client_gone(std::function<void()> callback) {
  auto exchange = exchange_.lock();
  if (!exchange) return callback();
  exchange->on_room([weak = exchange_, gone = std::move(callback)] {
    auto alive = weak.lock();
    if (!alive || alive->closed()) gone();
  });
}

bool Call::client_gone() const {
  auto exchange = exchange_.lock();
  return !exchange || exchange->closed();
}

security::Context Call::request_context_of() const {
  auto header = [&](const char* name) { return std::string(head_.headers.get(name)); };
  return security::request_context({.peer = head_.peer,
                                    .user_agent = header("user-agent"),
                                    .referer = header("referer"),
                                    .region = site_.region,
                                    .tls = head_.tls,
                                    .now = site_.clock.now()},
                                   who_);
}

security::Decision Call::decide(std::string_view action, std::string_view resource, bool all_that_begin_so) const {
  security::Question question{.action = action, .resource = resource, .all_that_begin_so = all_that_begin_so};
  question.context = context_;
  return security::evaluate(who_, question);
}

Status Call::may(std::string_view action, std::string_view resource) {
  return decided(decide(action, resource, false), action, resource);
}

Status Call::may_all(std::string_view action, std::string_view prefix) {
  return decided(decide(action, prefix, true), action, std::string(prefix) + "*");
}

Status Call::decided(const security::Decision& decision, std::string_view action, std::string_view resource) {
  asked_ = true;
  if (decision.allowed) return {};
  security::Entry e = entry("");
  e.action = action;
  e.resource = resource;
  e.decision = "deny";
  e.reason = decision.reason;
  TRY(denials_.record(std::move(e), who_.arn));
  denied_ = true;
  return fail(Code::denied, kAccessDenied,
              who_.arn + " is not authorized to perform " + std::string(action) + " on " + std::string(resource) +
                  " (" + decision.reason + ")");
}

Status Call::commit(const std::function<Status(store::Txn&)>& mutate, const std::string& detail) {
  security::Entry e = entry(detail);
  TRY(site_.db.write([&](store::Txn& txn) -> Status {
    TRY(mutate(txn));
    auto index = site_.ledger.append(txn, e);
    return index.ok() ? Status() : Status(index.error());
  }));
  committed_ = true;
  return {};
}

Status Call::tell(store::Txn& txn, const std::string& resource, const std::string& detail) {
  security::Entry e = entry(detail);
  e.resource = resource;
  TRY(site_.ledger.append(txn, e));
  return {};
}

Result<uint64_t> Call::record(const std::string& detail) {
  return record(detail, [](store::Txn&, uint64_t) { return Status(); });
}

Result<uint64_t> Call::record(const std::string& detail,
                              const std::function<Status(store::Txn&, uint64_t index)>& mutate) {
  security::Entry e = entry(detail);
  uint64_t at = 0;
  TRY(site_.db.write([&](store::Txn& txn) -> Status {
    at = TRY(site_.ledger.append(txn, e));
    return mutate(txn, at);
  }));
  committed_ = true;
  return at;
}

Error not_found(std::string message) { return fail(Code::not_found, std::move(message)); }
Error invalid(std::string message) { return fail(Code::invalid, std::move(message)); }

}  // namespace hf::api
