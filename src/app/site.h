// A site: everything that `holdfast up` owns, in the order in which it is opened.
#pragma once

#include <memory>
#include <string>

#include "app/settings.h"
#include "base/result.h"
#include "os/clock.h"
#include "os/fs.h"

namespace hf::os {
class Doorkeeper;
}
namespace hf::app {

class RunningSite {
 public:
  // `keeper`: makes the listening sockets and carries what goes out; null: the site has the process's own network, and
  // no door connects. It must live longer.
  // Takes the state folder's lock (conflict: another site runs there), opens or makes all that is in it, and serves.
  static Result<std::unique_ptr<RunningSite>> start(os::Fs& fs, os::Clock& clock, os::Random& random,
                                                    const std::string& state, const Settings& settings,
                                                    os::Doorkeeper* keeper = nullptr);
  virtual ~RunningSite() = default;
  virtual std::string endpoint() const = 0;
  // Stops accepting, lets requests finish for at most timeout_ms, closes everything. Answers in progress after that
  // are cut. True: nothing was cut.
  virtual bool stop(int timeout_ms) = 0;
};

}  // namespace hf::app
