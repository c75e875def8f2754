// CloudTrail's trails: what is delivered to a bucket of the account, as files of CloudTrail's own form, in the order of
// the ledger and without a gap or a repetition (a trail's place in the ledger and its file are one transaction). One
// thread, "hf-trail", also takes new entries up into the index (security/trail.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/clock.h"
#include "os/fs.h"
#include "security/trail.h"
#include "store/objects.h"

namespace hf::fleet {

// One condition on a field of an event: any of the values fits (of a Not: none of them does).
struct FieldSelector {
  std::string field;  // "eventCategory", "readOnly", "eventName", "eventSource", "resources.type", "resources.ARN",
                      // "userIdentity.arn"
  std::vector<std::string> equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with;
};
// All its fields must fit.
struct Selector {
  std::string name;
  std::vector<FieldSelector> fields;
};
bool selects(const std::vector<Selector>& any, const security::TrailEvent& event);

struct Trail {
  std::string account, name, bucket, prefix;
  bool global_events = true, multi_region = false;
  std::string selectors_json;       // the request's, for GetEventSelectors; "": the default
  std::vector<Selector> selectors;  // what they come to
  std::vector<std::pair<std::string, std::string>> tags;
  Micros created = 0;
  bool logging = false;
  Micros started = 0, stopped = 0, delivered = 0, tried = 0;  // 0: never
  std::string delivery_error;                                 // of the last try; "": it went well
  int64_t next = 0;                                           // entry of the ledger to look at next
};
std::string trail_arn(const std::string& region, const Trail& trail);
std::vector<Selector> default_selectors();  // management events, all of them

Status put_trail(store::Txn& txn, const Trail& trail, Micros now);
Result<std::optional<Trail>> find_trail(store::Txn& txn, const std::string& account, const std::string& name);
Result<std::vector<Trail>> list_trails(store::Txn& txn, const std::string& account);  // "": of all accounts
Status erase_trail(store::Txn& txn, const Trail& trail);

struct TrailsSite {  // all live longer
  os::Clock& clock;
  os::Random& random;
  store::Db& db;
  store::Objects& objects;
  security::Ledger& ledger;
};
class Trails {
 public:
  struct Options {
    std::string region;
    std::string principal;       // of the entries that tell of a delivery
    Micros every = 300'000'000;  // between two files of a trail
    uint64_t most = 10'000;      // entries looked at for one file
    bool thread = true;          // false: for tests, which call step()
  };
  static Result<std::unique_ptr<Trails>> open(const TrailsSite& site, Options options);
  virtual ~Trails() = default;
  virtual security::TrailIndex& index() = 0;
  // Takes up what is new and delivers what is due; what the thread does each second. `all`: due or not.
  virtual Status step(bool all = false) = 0;
};

}  // namespace hf::fleet
