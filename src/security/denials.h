// Refusals in the ledger. Each is an entry of its own, up to a budget for each who is refused and one for all: a flood
// must not fill the disk, nor crowd out what others are refused, and must not be hidden either. What is over a budget
// is counted, and an entry tells how many there were, from whom, and when the first and the last was.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "security/ledger.h"

namespace hf::security {

// No threads, no clock.
class DenialBudget {
 public:
  struct Limits {
    uint64_t per_second = 100;  // entries, of all sources
    uint64_t per_source = 20;   // of one
    size_t sources = 1024;      // that are told apart; the others are one, ""
  };
  struct Missed {        // refusals that have no entry of their own
    std::string source;  // an address, a principal; "": of several
    uint64_t count = 0;
    Micros first = 0, last = 0;
  };
  struct Verdict {
    bool record = false;
    Missed missed;  // of this source before this one; they count as told now
  };
  DenialBudget() : DenialBudget(Limits()) {}
  explicit DenialBudget(const Limits& limits) : limits_(limits) {}

  // `now_us`: monotonic; `time`: what the clock on the wall says.
  Verdict step(int64_t now_us, Micros time, const std::string& source);
  // Those that no entry has told yet, once their second is over (`at_end`: all); they count as told then. At most 16:
  // in a flood from many the rest is one, "".
  std::vector<Missed> flush(int64_t now_us, bool at_end = false);
  void put_back(const Missed& missed);  // its entry could not be written

 private:
  struct Window {
    int64_t began_us = INT64_MIN / 2;
    uint64_t used = 0;
    bool takes(int64_t now_us, uint64_t limit);
  };
  struct Source {
    Window window;
    Missed missed;
  };
  Source& source(int64_t now_us, const std::string& name);
  static void add(Missed& to, const Missed& more);
  const Limits limits_;
  Window all_;
  std::map<std::string, Source, std::less<>> sources_;
};

// {"a":1} and what was missed as refusals_before, refusals_first, refusals_last; `detail`: canonical JSON or "".
std::string with_missed(const std::string& detail, const DenialBudget::Missed& missed);

// Thread-safe. What it is given must live longer.
class Denials {
 public:
  using Log = std::function<void(const std::string&)>;
  // `action`: of the entries that tell of a flood. `log`: may be empty; at most a line a second.
  Denials(Ledger& ledger, os::Clock& clock, std::string action, Log log = {}, const DenialBudget::Limits& limits = {})
      : ledger_(ledger), clock_(clock), action_(std::move(action)), log_(std::move(log)), budget_(limits) {}

  // `source`: whose budget it is. An error where its entry cannot be written; over the budget it is counted, no error.
  // What could not be written is told later, as what is over the budget is.
  Status record(Entry entry, const std::string& source);
  void flush(bool at_end);  // writes what is due

 private:
  Status write(const Entry& entry, const DenialBudget::Missed& missed);
  Ledger& ledger_;
  os::Clock& clock_;
  const std::string action_;
  const Log log_;
  std::mutex mutex_;  // guards what follows
  DenialBudget budget_;
  int64_t logged_us_ = INT64_MIN / 2;
};

std::string host_of(const std::string& peer);  // "127.0.0.1:80" -> "127.0.0.1", "[::1]:80" -> "[::1]"

}  // namespace hf::security
