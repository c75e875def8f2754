#include "api/call.h"

#include <boost/json.hpp>

#include "api/errors.h"
#include "api/resource_policy.h"
#include "security/denials.h"
#include "security/policy_context.h"

namespace hf::api {
namespace json = boost::json;
namespace {

constexpr size_t kMaxValue = 256;  // bytes of a value of the context: the whole has to fit into 10,240

json::object items(json::array list) { return {{"items", std::move(list)}}; }

// The document that AWS gives for a denial: who, what, and on what grounds.
std::string denial_text(const security::Identity& who, const security::Decision& decision, std::string_view action,
                        const std::string& resource, const security::Context& context) {
  json::array matched, conditions;
  if (decision.explicit_deny)
    matched.push_back(
        json::object{{"statementId", clip_utf8(decision.reason.substr(5), kMaxValue)}, {"effect", "DENY"}});
  for (const auto& [key, values] : context) {
    json::array list;
    for (const auto& value : values)
      if (list.size() < 8) list.push_back(json::object{{"value", clip_utf8(value, kMaxValue)}});
    if (conditions.size() < 16) conditions.push_back(json::object{{"key", key}, {"values", items(std::move(list))}});
  }
  const json::object out{{"allowed", false},
                         {"explicitDeny", decision.explicit_deny},
                         {"matchedStatements", items(std::move(matched))},
                         {"reason", clip_utf8(decision.reason, kMaxValue)},
                         {"context", json::object{{"principal", json::object{{"id", who.user_id}, {"arn", who.arn}}},
                                                  {"action", std::string(action)},
                                                  {"resource", clip_utf8(resource, 4 * kMaxValue)},
                                                  {"conditions", items(std::move(conditions))}}}};
  return json::serialize(out);
}

}  // namespace

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
  e.credential = who_.access_key_id;
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
                                    .residency = site_.residency,
                                    .tls = head_.tls,
                                    .now = site_.clock.now()},
                                   who_);
}

// A resource that has an owner and a policy of its own is judged by both. Creating one asks for a name that may be
// another's: that is a conflict, and no question of rights.
security::Decision Call::decide(security::Question question) {
  question.context.insert(context_.begin(), context_.end());
  ResourceFacts facts;
  const std::string_view bucket = question.action == "s3:CreateBucket" ? "" : bucket_of_arn(question.resource);
  if (question.action != "s3:CreateBucket" && has_facts(question.resource)) {
    auto read = site_.db.read([&](store::Txn& txn) -> Status {
      facts = TRY(resource_facts(txn, question.resource, who_, site_.clock.now()));
      return {};
    });
    if (!read.ok()) {
      if (site_.log) site_.log("request " + request_id_ + ": " + read.error().message);
      return {false, "what the resource itself says cannot be read"};
    }
    if (!facts.owner.empty()) question.owner = facts.owner;
    question.resource_policy_rules = question.resource_policy_rules || facts.policy_rules;
    if (facts.policy) question.resource_policy = &*facts.policy;
    question.context.merge(facts.context);
  }
  security::Decision decision = security::evaluate(who_, question);
  if (decision.allowed && !bucket.empty() && !facts.owner.empty() && facts.owner != who_.account)
    let_in_["arn:aws:s3:::" + std::string(bucket)] = facts.owner;
  return decision;
}

bool Call::let_in(const std::string& bucket_arn, const std::string& owner) const {
  auto it = let_in_.find(bucket_arn);
  return it != let_in_.end() && it->second == owner;
}

Status Call::may(std::string_view action, std::string_view resource) {
  return may(security::Question{.action = action, .resource = resource});
}

Status Call::may(security::Question question) {
  return decided(decide(question), question, std::string(question.resource));
}

Status Call::may_all(std::string_view action, std::string_view prefix) {
  const security::Question question{.action = action, .resource = prefix, .all_that_begin_so = true};
  return decided(decide(question), question, std::string(prefix) + "*");
}

Status Call::decided(const security::Decision& decision, const security::Question& question,
                     const std::string& resource) {
  asked_ = true;
  if (decision.allowed) {
    if (question.action == action_ || resource == resource_) reason_ = decision.reason;
    return {};
  }
  security::Context context = context_;
  context.insert(question.context.begin(), question.context.end());
  denial_ = denial_text(who_, decision, question.action, resource, context);
  security::Entry e = entry("");
  e.action = question.action;
  e.resource = resource;
  e.decision = "deny";
  e.reason = decision.reason;
  TRY(denials_.record(std::move(e), who_.arn));
  denied_ = true;
  return fail(Code::denied, kAccessDenied,
              who_.arn + " is not authorized to perform " + std::string(question.action) + " on " + resource + " (" +
                  decision.reason + ")");
}

Status Call::commit(const std::function<Status(store::Txn&)>& mutate, const std::string& detail) {
  security::Entry e = entry(detail);
  TRY(site_.db.write([&](store::Txn& txn) -> Status {
    TRY(mutate(txn));
    e.detail = detail;  // which mutate() may have completed
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
