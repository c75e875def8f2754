#include "security/refusal_record.h"

#include <boost/json.hpp>

namespace hf::security {

void RefusalRecord::refused(const os::Refusal& refusal) {
  std::lock_guard lock(mutex_);
  const DenialBudget::Verdict verdict = budget_.step(clock_.monotonic_us(), clock_.now(), "");
  if (verdict.record) write(&refusal, verdict.missed);
}

void RefusalRecord::quiet() {
  std::lock_guard lock(mutex_);
  for (const DenialBudget::Missed& missed : budget_.flush(clock_.monotonic_us(), true)) write(nullptr, missed);
}

void RefusalRecord::write(const os::Refusal* refusal, const DenialBudget::Missed& missed) {
  Entry entry = actor_;
  entry.action = refusal && refusal->network ? "egress:Refused" : "sandbox:Refused";
  entry.decision = "deny";
  entry.reason = "seccomp";
  entry.time = clock_.now();
  boost::json::object detail;
  if (refusal) detail["call"] = refusal->call;
  if (missed.count > 0) detail["without_entry"] = missed.count;
  if (missed.count > 0) detail["without_entry_first"] = missed.first;
  if (missed.count > 0) detail["without_entry_last"] = missed.last;
  if (refusal) detail["process"] = refusal->thread;
  if (refusal && !refusal->what.empty()) detail["what"] = refusal->what;
  entry.detail = boost::json::serialize(detail);
  const Status done = ledger_.append(entry);  // the call is refused whether or not it can be written down
  if (!done.ok()) {
    DenialBudget::Missed again = missed;
    if (again.count == 0) again.first = entry.time;
    if (refusal) again.last = entry.time;
    again.count += refusal != nullptr;
    budget_.put_back(again);
  }
  if (!done.ok() && !failing_ && log_)
    log_("the ledger does not take a refused system call, which will be told when it does: " + done.error().message);
  failing_ = !done.ok();
}

}  // namespace hf::security
