// `holdfast quickstart`: from nothing to a model that was trained here, measured, deployed, attacked and proven, by the
// public APIs alone. The steps, in order:
//   site      start one on the state folder, unless one runs there
//   data      make it (tickets), read it from apt's index (--real) or from the user's file (--data); score the
//   baselines train     through S3 and CreateTrainingJob evaluate  held-out prompts through Converse: an untrained
//   model, and the trained one deploy    model package with its lineage, endpoint, custom model deployment; one prompt
//   through three APIs attack    from inside the worker, with a wrong signature, with a key without the right, one
//   flipped byte in a ledger prove     a receipt replayed, the evidence exported and checked by
//   scripts/verify-evidence, the signed head
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "app/cli.h"

namespace hf::app {

struct QuickstartOptions {
  bool real = false;             // apt's package index
  std::string data, validation;  // the user's files; "" : none
  uint64_t seed = 1;
  uint64_t tickets = 0;  // to train on; 0: as many as the recipe takes
  uint64_t held_out = 1000;
  std::map<std::string, std::string> hyperparameters;  // beside the recipe's
};

// kDone only if everything was verified and, for tickets, the goal was met: 85 % of the decided fields together, and
// above every baseline. What was found is in STATE/quickstart.json too.
Result<int> run_quickstart(const Context& context, const QuickstartOptions& options);

}  // namespace hf::app
