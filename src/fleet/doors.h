// Egress doors: the named ways out of a site that has no other (os/doorkeeper.h). A door is an address and a port that
// programs of one account may connect to; each connection is in the ledger before it is made, and again, with its
// bytes, when it has ended.
//
// A job finds a door as a socket file below /opt/ml/doors: what it writes there comes out at the door's address. It has
// no other socket that leads anywhere.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/doorkeeper.h"
#include "security/ledger.h"
#include "store/db.h"

namespace hf::fleet {

struct Door {
  std::string account, name;  // name: [a-z0-9](-*[a-z0-9]){0,62}
  os::DoorAddress to;
  std::string purpose;     // in the owner's words; may be empty
  std::string created_by;  // ARN
  Micros created = 0;
  int64_t connections = 0, bytes_out = 0, bytes_in = 0;  // of connections that have ended
};

struct DoorCounters {  // of those that are open now
  int64_t connections = 0, bytes_out = 0, bytes_in = 0;
};

// Carries connections to one door while it lives. Its thread: "hf-door".
class DoorServer {
 public:
  virtual ~DoorServer() = default;  // ends its connections, and their entries are written
};

// Thread-safe. What it is given must live longer.
class Doors {
 public:
  // Tells the keeper of the doors that are stored. `keeper` null: doors can be named, and nothing connects.
  static Result<std::unique_ptr<Doors>> open(os::Clock& clock, store::Db& db, security::Ledger& ledger,
                                             os::Doorkeeper* keeper, std::string region);
  virtual ~Doors() = default;

  // In the transaction of the one who asks, which holds its entry; then, once that is durable, opened() or closed().
  // conflict: there is one of that name. invalid: no numeric address, a port out of range, a name out of its form.
  virtual Status add(store::Txn& txn, const Door& door) = 0;
  virtual Result<Door> remove(store::Txn& txn, const std::string& account, const std::string& name) = 0;  // not_found
  virtual Status opened(const Door& door) = 0;
  virtual void closed(const Door& door) = 0;  // its connections end at once

  virtual Result<std::optional<Door>> find(const std::string& account, const std::string& name) = 0;
  virtual Result<std::vector<Door>> list(const std::string& account) = 0;  // "": of all accounts
  virtual DoorCounters now(const std::string& account, const std::string& name) const = 0;

  // Listens at `path` (a socket file that is made) and carries each connection through the door, while the DoorServer
  // lives. `actor`: account, principal, request id of the entries, and
  // as its resource who uses the door (a job's ARN), which they tell as detail.for. `may`: asked before each
  // connection, on the server's thread. unavailable: no keeper, or the file cannot be made.
  virtual Result<std::unique_ptr<DoorServer>> serve(const Door& door, const std::string& path, security::Entry actor,
                                                    std::function<Status()> may) = 0;
  virtual bool sealed() const = 0;        // the site has no network but for its doors
  virtual std::string words() const = 0;  // in plain words
};

Status check_address(const os::DoorAddress& to);  // invalid: no numeric address, or port 0
std::string door_arn(const std::string& region, const std::string& account, const std::string& name);

}  // namespace hf::fleet
