#include "security/denials.h"

#include <algorithm>
#include <boost/json.hpp>

#include "security/json.h"

namespace hf::security {
namespace json = boost::json;
namespace {
constexpr int64_t kSecond = 1'000'000;
constexpr size_t kMostSummaries = 16;
}  // namespace

bool DenialBudget::Window::takes(int64_t now_us, uint64_t limit) {
  if (now_us - began_us >= kSecond || now_us < began_us) {
    began_us = now_us;
    used = 0;
  }
  return used < limit;
}

void DenialBudget::add(Missed& to, const Missed& more) {
  if (more.count == 0) return;
  to.first = to.count == 0 ? more.first : std::min(to.first, more.first);
  to.last = std::max(to.last, more.last);
  to.count += more.count;
}

// Those with nothing to tell and a second that is over are forgotten when the room is needed.
DenialBudget::Source& DenialBudget::source(int64_t now_us, const std::string& name) {
  if (const auto it = sources_.find(name); it != sources_.end()) return it->second;
  if (sources_.size() >= limits_.sources)
    std::erase_if(sources_, [&](const auto& row) {
      return row.second.missed.count == 0 && now_us - row.second.window.began_us >= kSecond;
    });
  const std::string key = sources_.size() >= limits_.sources ? "" : name;
  Source& made = sources_[key];
  made.missed.source = key;
  return made;
}

DenialBudget::Verdict DenialBudget::step(int64_t now_us, Micros time, const std::string& name) {
  Source& from = source(now_us, name);
  const bool ours = from.window.takes(now_us, limits_.per_source), all = all_.takes(now_us, limits_.per_second);
  if (!ours || !all) {
    add(from.missed, {"", 1, time, time});
    return {};
  }
  ++from.window.used;
  ++all_.used;
  Verdict out{true, from.missed};
  from.missed = {from.missed.source, 0, 0, 0};
  return out;
}

std::vector<DenialBudget::Missed> DenialBudget::flush(int64_t now_us, bool at_end) {
  std::vector<Missed> out;
  Missed rest;
  for (auto& [name, from] : sources_) {
    if (from.missed.count == 0 || (!at_end && now_us - from.window.began_us < kSecond)) continue;
    if (out.size() < kMostSummaries) {
      out.push_back(from.missed);
    } else {
      add(rest, from.missed);
    }
    from.missed = {from.missed.source, 0, 0, 0};
  }
  if (rest.count > 0) out.push_back(rest);
  return out;
}

void DenialBudget::put_back(const Missed& missed) {
  if (missed.count == 0) return;
  const auto it = sources_.find(missed.source);
  if (it != sources_.end()) return add(it->second.missed, missed);
  const std::string key = sources_.size() >= limits_.sources ? "" : missed.source;
  Source& made = sources_[key];
  made.missed.source = key;
  add(made.missed, missed);
}

std::string with_missed(const std::string& detail, const DenialBudget::Missed& missed) {
  if (missed.count == 0) return detail;
  json::object out;
  if (!detail.empty()) out = json::parse(detail).as_object();  // ours: an object
  out["refusals_before"] = missed.count;
  out["refusals_first"] = missed.first;
  out["refusals_last"] = missed.last;
  return canonical_json(out);
}

Status Denials::write(const Entry& entry, const DenialBudget::Missed& missed) {
  Status done = ledger_.append(entry);
  if (done.ok()) return done;
  std::lock_guard lock(mutex_);
  budget_.put_back(missed);
  const int64_t now = clock_.monotonic_us();
  if (!log_ || now - logged_us_ < kSecond) return done;
  logged_us_ = now;
  log_("the ledger did not take a refusal, which will be told when it does: " + done.error().message);
  return done;
}

Status Denials::record(Entry entry, const std::string& source) {
  const Micros time = entry.time != 0 ? entry.time : clock_.now();
  DenialBudget::Verdict verdict;
  {
    std::lock_guard lock(mutex_);
    verdict = budget_.step(clock_.monotonic_us(), time, source);
  }
  if (!verdict.record) return {};
  entry.detail = with_missed(entry.detail, verdict.missed);
  DenialBudget::Missed with_this = verdict.missed;
  with_this.source = source;
  if (with_this.count++ == 0) with_this.first = time;
  with_this.last = time;
  return write(entry, with_this);
}

void Denials::flush(bool at_end) {
  std::vector<DenialBudget::Missed> due;
  {
    std::lock_guard lock(mutex_);
    due = budget_.flush(clock_.monotonic_us(), at_end);
  }
  bool works = true;  // after one that fails the others wait too
  for (const DenialBudget::Missed& missed : due) {
    if (!works) {
      std::lock_guard lock(mutex_);
      budget_.put_back(missed);
      continue;
    }
    Entry entry;
    entry.time = clock_.now();
    entry.action = action_;
    entry.decision = "deny";
    entry.reason = "flood";
    (missed.source.starts_with("arn:") ? entry.principal : entry.source) = missed.source;
    entry.detail =
        canonical_json(json::object{{"first", missed.first}, {"last", missed.last}, {"refusals", missed.count}});
    works = write(entry, missed).ok();
  }
}

std::string host_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

}  // namespace hf::security
