// A Call is a request that the gate has let through: who, which account, which operation, and the only way to change
// anything. Only the gate can make one, so a handler that forgot the check does not compile.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/http.h"
#include "security/ledger.h"
#include "security/policy.h"
#include "security/quota.h"
#include "store/db.h"

namespace hf::store {
class Objects;
}
namespace hf::security {
class Keys;
class Sessions;
class People;
class Sealer;
class Denials;
}  // namespace hf::security
namespace hf::security::kms {
class KeyRing;
}
namespace hf::fleet {
class Fleet;
class Models;
class Jobs;
class Doors;
class Trails;
}  // namespace hf::fleet

namespace hf::api {

// What handlers may use. Owned by app; lives as long as the server.
struct Site {
  std::string id;  // 16 hex digits, made at the first start
  std::string region = "site-1";
  std::string version;  // program version and digest
  os::Clock& clock;
  os::Random& random;
  store::Db& db;
  store::Objects& objects;
  security::Keys& keys;
  security::Sessions& sessions;
  security::People& people;
  const security::Sealer& denial_texts;  // what DecodeAuthorizationMessage opens
  security::Ledger& ledger;
  const crypto::SigningKey& signing_key;  // receipts and heads
  fleet::Fleet& fleet;
  fleet::Models& models;
  fleet::Jobs& jobs;
  std::function<std::string()> status_json;          // for GET /holdfast/v1/status
  std::function<void(const std::string& line)> log;  // what an operator should see (faults of ours); may be empty
  os::Fs* fs = nullptr;                              // for evidence and for models that are imported
  std::string state = {};                            // the state folder; "": there is none
  fleet::Doors* doors = nullptr;                     // the ways out; null: there is none
  fleet::Trails* trails = nullptr;                   // null: in tests that have no CloudTrail
  security::kms::KeyRing* kms = nullptr;             // null: in tests that have no keys
  std::string residency = "none";                    // told to policies as holdfast:Residency
  std::atomic<int> jobs_tried = 0;                   // programs that TryJob runs at this moment
  security::QuotaMeter quotas = {};                  // of inferences, by identity (api/quotas.h)
};

class Call : public std::enable_shared_from_this<Call> {
 public:
  Site& site() const { return site_; }
  const security::Identity& who() const { return who_; }
  const std::string& account() const { return who_.account; }
  const std::string& action() const { return action_; }      // "s3:PutObject"
  const std::string& resource() const { return resource_; }  // the ARN that was authorised
  const std::string& request_id() const { return request_id_; }
  const http::RequestHead& head() const { return head_; }
  Micros now() const { return site_.clock.now(); }
  std::string arn(std::string_view service,
                  std::string_view resource) const;  // arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE

  // Where authorisation depends on data: AccessDenied, with the denial in the ledger, unless allowed.
  Status may(std::string_view action, std::string_view resource);
  // With what else is known: the resource's own policy and owner, more context. The request's context is added.
  Status may(security::Question question);
  // The same for every resource whose ARN begins with `prefix`: what a job reads and writes later, as the site.
  Status may_all(std::string_view action, std::string_view prefix);

  // A bucket (its ARN) of another account, whose policy has allowed something of this call.
  bool let_in(const std::string& bucket_arn, const std::string& owner) const;

  // The mutation and its ledger entry, in one transaction. `detail`: canonical JSON object, or ""; it is read when
  // `mutate` has run, which may name there what it has made. An operation marked
  // Effect::write must commit once when it succeeds (the gate checks).
  Status commit(const std::function<Status(store::Txn&)>& mutate, const std::string& detail = "");
  // Inside of commit(): an entry for one of the many resources that it changes, in the same transaction.
  Status tell(store::Txn& txn, const std::string& resource, const std::string& detail = "");
  // An entry of its own: for data that is read and for inferences. Its index.
  Result<uint64_t> record(const std::string& detail = "");
  // The same with a mutation in its transaction that learns the entry's index, which a receipt holds (inference.cc).
  Result<uint64_t> record(const std::string& detail, const std::function<Status(store::Txn&, uint64_t index)>& mutate);
  Status read(const std::function<Status(store::Txn&)>& fn) { return site_.db.read(fn); }

  std::shared_ptr<Call> keep() { return shared_from_this(); }  // for answers that go on after the handler

  // Once, when the client goes away before its answer is out: at once if it is gone already, else from the server's
  // loop, so it must not block. For answers that are not streamed, one callback a call: a stream's sink has its own.
  void on_client_gone(std::function<void()> callback);
  bool client_gone() const;

 private:
  friend class Gate;
  Call(Site& site, security::Denials& denials, security::Identity who, std::string action, std::string resource,
       std::string request_id, http::RequestHead head)
      : site_(site),
        denials_(denials),
        who_(std::move(who)),
        action_(std::move(action)),
        resource_(std::move(resource)),
        request_id_(std::move(request_id)),
        head_(std::move(head)),
        context_(request_context_of()) {}
  security::Context request_context_of() const;
  security::Entry entry(const std::string& detail) const;
  security::Decision decide(security::Question question);
  Status decided(const security::Decision& decision, const security::Question& question, const std::string& resource);
  Site& site_;
  security::Denials& denials_;
  security::Identity who_;
  std::string action_, resource_, request_id_;
  http::RequestHead head_;
  std::weak_ptr<http::Exchange> exchange_;     // weak: a call that is kept must not keep a client waiting
  security::Context context_;                  // what conditions of policies are told
  std::map<std::string, std::string> let_in_;  // buckets of other accounts (ARNs), and whose they are
  std::string reason_;                         // why it was allowed
  std::string denial_;                         // what DecodeAuthorizationMessage tells of a denial; JSON, or ""
  std::atomic<bool> committed_ = false;
  std::atomic<bool> asked_ = false;   // may() was called
  std::atomic<bool> denied_ = false;  // and has put a denial into the ledger
};

// Error names follow the service; these are the common ones.
Error not_found(std::string message);  // ResourceNotFoundException / ResourceNotFound by protocol
Error invalid(std::string message);    // ValidationException

}  // namespace hf::api
