// CloudTrail over the ledger: each entry as an event, and an index by what events are looked up by. The ledger alone is
// the record; the index is made from it, follows it at a distance of seconds, and can be thrown away. What it finds is
// read from the ledger and compared again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "security/ledger.h"

namespace hf::security {

struct TrailEvent {
  uint64_t index = 0;
  Entry entry;                // detail: canonical JSON or ""
  std::string line;           // of the ledger
  std::string name, source;   // "PutObject", "s3.amazonaws.com"
  std::string user;           // of a user its name, of a role's session the session's, else the ARN's last part
  std::string resource_type;  // "AWS::S3::Object"; "": of none that has a type
  bool read_only = false;     // by the action's verb, as CloudTrail has it; inference reads
  bool management = true;     // else a data event: objects, inference, use of keys
};
Result<TrailEvent> parse_event(std::string line);  // corrupt: no line of the ledger
std::string event_id(uint64_t index);              // in the form of a UUID
std::optional<uint64_t> index_of_event_id(std::string_view id);
// The event as a CloudTrail record (userIdentity, eventName, ...), with the ledger's decision, reason and index below
// additionalEventData.
std::string event_json(const TrailEvent& event, const std::string& region);

enum class TrailKey {
  all = 0,
  name = 1,
  source = 2,
  user = 3,
  read_only = 4,
  access_key = 5,
  resource = 6,
  resource_type = 7
};
// The event's value of the key; "" : it has none, and is not found by it.
std::string value_of(const TrailEvent& event, TrailKey key);

class TrailIndex {  // thread-safe
 public:
  static Result<TrailIndex> open(store::Db& db, Ledger& ledger);
  // Takes up at most `most` (up to 5,000) entries that are new. True: there were as many, so there may be more.
  Result<bool> step(uint64_t most);

  struct Question {
    std::string account;
    TrailKey key = TrailKey::all;
    std::string value;                                   // "" with `all`
    Micros from = 0, to = INT64_MAX;                     // both included; by the second
    std::optional<std::pair<int64_t, uint64_t>> before;  // second and index of the last one of the page before
    size_t limit = 50;
  };
  struct Page {
    std::vector<TrailEvent> events;  // newest first
    std::optional<std::pair<int64_t, uint64_t>> next;
  };
  Result<Page> lookup(const Question& question);

 private:
  TrailIndex(store::Db& db, Ledger& ledger) : db_(&db), ledger_(&ledger) {}
  store::Db* db_;
  Ledger* ledger_;
};

}  // namespace hf::security
