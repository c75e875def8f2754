// Refused system calls of workers, as denials in the ledger: "egress:Refused" for the network's calls,
// "sandbox:Refused" for the others. A flood is counted: the next entry tells how many had none of their own.
#pragma once

#include <mutex>

#include "os/refusals.h"
#include "security/denials.h"
#include "security/ledger.h"

namespace hf::security {

// Thread-safe. Ledger and clock must live longer. `actor`: account and principal of the entries.
class RefusalRecord : public os::RefusalSink {
 public:
  // `log`: may be empty.
  RefusalRecord(Ledger& ledger, os::Clock& clock, Entry actor, Denials::Log log = {})
      : ledger_(ledger), clock_(clock), actor_(std::move(actor)), log_(std::move(log)) {}
  void refused(const os::Refusal& refusal) override;
  void quiet() override;

 private:
  void write(const os::Refusal* refusal, const DenialBudget::Missed& missed);
  Ledger& ledger_;
  os::Clock& clock_;
  const Entry actor_;
  const Denials::Log log_;
  std::mutex mutex_;
  DenialBudget budget_{{.per_second = 200, .per_source = 200, .sources = 1}};
  bool failing_ = false;  // the last entry could not be written
};

}  // namespace hf::security
