// What becomes of keys when their time comes: those whose deletion is due are destroyed, those whose rotation is due
// get new material, imported material that has expired is erased; each with its entry in the ledger. The thread
// "hf-kms" does it once a minute. Until then whoever reads a key finds it as if it were done (security/kms.h).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "security/kms_ring.h"
#include "security/ledger.h"

namespace hf::security::kms {

class Keeper {
 public:
  struct Parts {  // all live longer
    os::Clock& clock;
    store::Db& db;
    Ledger& ledger;
    KeyRing& ring;
  };
  struct Options {
    std::string region;
    std::string principal;                                  // of the entries
    bool thread = true;                                     // false: for tests, which call step()
    std::function<void(const std::string& line)> log = {};  // what the thread could not do
  };
  static std::unique_ptr<Keeper> start(const Parts& parts, Options options);
  virtual ~Keeper() = default;
  // All that is due, each key in a transaction of its own. An error is the first one's: the next step tries it again.
  virtual Status step() = 0;
};

}  // namespace hf::security::kms
