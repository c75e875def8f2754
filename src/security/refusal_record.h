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
  RefusalRecord(Ledger& ledger, os::Clock& clock, Entry actor)
      : ledger_(ledger), clock_(clock), actor_(std::move(actor)) {}
  void refused(const os::Refusal& refusal) override;
  void quiet() override;

 private:
  void write(const os::Refusal* refusal, uint64_t missed);
  Ledger& ledger_;
  os::Clock& clock_;
  const Entry actor_;
  std::mutex mutex_;
  DenialBudget budget_{200};
};

}  // namespace hf::security
