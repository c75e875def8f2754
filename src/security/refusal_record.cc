#include "security/refusal_record.h"

#include <boost/json.hpp>

namespace hf::security {

void RefusalRecord::refused(const os::Refusal& refusal) {
  std::lock_guard lock(mutex_);
  const DenialBudget::Verdict verdict = budget_.step(clock_.monotonic_us());
  if (verdict.record) write(&refusal, verdict.missed);
}

void RefusalRecord::quiet() {
  std::lock_guard lock(mutex_);
  if (const uint64_t missed = budget_.flush(clock_.monotonic_us(), true); missed > 0) write(nullptr, missed);
}

void RefusalRecord::write(const os::Refusal* refusal, uint64_t missed) {
  Entry entry = actor_;
  entry.action = refusal && refusal->network ? "egress:Refused" : "sandbox:Refused";
  entry.decision = "deny";
  entry.reason = "seccomp";
  boost::json::object detail;
  if (refusal) detail["call"] = refusal->call;
  if (missed > 0) detail["without_entry"] = missed;
  if (refusal) detail["process"] = refusal->thread;
  if (refusal && !refusal->what.empty()) detail["what"] = refusal->what;
  entry.detail = boost::json::serialize(detail);
  (void)ledger_.append(entry);  // the call is refused whether or not it can be written down
}

}  // namespace hf::security
