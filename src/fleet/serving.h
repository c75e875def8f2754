// The serving worker, kept alive: one thread ("hf-fleet-0") starts it, loads again what was loaded, reads its events,
// and after its end fails what ran, waits as Backoff says, and starts the next.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "fleet/backoff.h"
#include "fleet/finisher.h"
#include "fleet/fleet.h"
#include "fleet/worker_process.h"
#include "os/thread.h"

namespace hf::fleet {

class Serving {
 public:
  Serving(os::Clock& clock, Models& models, const FleetOptions& options, Finisher& finisher);
  ~Serving();  // ends the worker; every request that ran has failed by then

  Status start();  // returns when the first worker said hello, or could not
  Result<ModelCard> load(const std::string& digest);
  Status unload(const std::string& digest);
  Result<int64_t> count(const std::string& digest, const rpc::Prompt& prompt);
  Result<uint64_t> generate(const GenerateRequest& request, std::shared_ptr<Sink> sink);
  void cancel(uint64_t id);  // as resume: nothing happens where the task is over
  void resume(uint64_t id);
  Fleet::Status_ status();

 private:
  // Who waits for a task's one last event.
  struct Reply {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<rpc::Frame>> result;
    void set(Result<rpc::Frame> r);
    Result<rpc::Frame> wait(int timeout_ms);
  };
  struct Task {
    std::shared_ptr<Sink> sink = nullptr;  // of a generate; else
    std::shared_ptr<Reply> reply = nullptr;
    std::string loads = {};  // digest, of a load
    uint64_t resumes = 0;    // resume()s so far: one that comes while text() still runs must not be lost
    bool paused = false;     // the worker was told so
  };

  void run();
  void run_one();  // one worker's life
  Status reload(rpc::Channel& channel);
  Status read_events(rpc::Channel& channel);  // until the worker ends
  Status dispatch(rpc::Channel& channel, rpc::Frame frame);
  Status pause(rpc::Channel& channel, uint64_t id, uint64_t resumes_before);
  void fail_all(const Error& error);
  Result<std::shared_ptr<rpc::Channel>> ready_channel();  // waits while a worker is being started
  Result<rpc::Frame> call(rpc::Type type, std::string body, const std::vector<int>& descriptors, int timeout_ms,
                          const std::string& loads = {});
  Status submit(rpc::Type type, uint64_t id, const std::string& body, const std::vector<int>& descriptors, Task task);

  os::Clock& clock_;
  Models& models_;
  const FleetOptions options_;
  Finisher& finisher_;

  std::mutex loading_;              // one load or unload at a time; taken before mutex_
  std::set<std::string> verified_;  // hashed since the start; guarded by loading_

  std::mutex pausing_;  // pauses and resumes leave in the order in which they were decided; taken before mutex_

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false, ready_ = false;
  std::shared_ptr<rpc::Channel> channel_;  // of the worker that lives, ready or not
  std::optional<Error> last_error_;        // why there is none
  uint64_t starts_ = 0;
  pid_t pid_ = 0;
  rpc::Hello hello_;
  std::map<std::string, ModelCard> loaded_;  // what the worker has, and the next one gets
  std::map<std::string, int> strikes_;       // reloads of this model that the worker did not survive
  std::unordered_map<uint64_t, Task> tasks_;
  size_t generating_ = 0;
  uint64_t next_id_ = 1;
  Backoff backoff_;
  os::Thread thread_;
};

}  // namespace hf::fleet
