// Training jobs: runs at most so many at once, the others wait. A job's truth is its record (training_job.h); every
// change of its state is one transaction with the ledger's entry. Threads: "hf-job-N", one a place, each of which reads
// the data from the object store, hands it to a training worker, and writes what came out to the models, the object
// store and the registry.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/deployments.h"
#include "fleet/fleet.h"
#include "fleet/registry.h"
#include "fleet/training_job.h"
#include "os/clock.h"
#include "os/fs.h"
#include "security/ledger.h"
#include "store/objects.h"

namespace hf::fleet {

struct JobsOptions {
  std::string scratch;  // a folder of its own; emptied at the start, but for the checkpoints of jobs that go on
  std::string region = "site-1";
  std::string code_version;  // of this program: in the lineage
  int max_running = 1;       // a training takes all cores
  size_t max_queued = 1000;  // beyond: ResourceLimitExceeded
  size_t max_files = 24;     // objects of one channel; their descriptors travel in one frame of 64
  uint64_t max_data_bytes = uint64_t{64} << 30;
  // What a training worker is asked to write (docs/training.md); what stays unwritten is dropped.
  std::vector<std::string> outputs = {"config.json",           "model.safetensors",      "tokenizer.json",
                                      "tokenizer_config.json", "generation_config.json", "holdfast.json"};
  // Whether the worker will take these hyperparameters, asked before a job is made; without it the job fails instead.
  std::function<Status(const std::map<std::string, std::string>&)> check_hyperparameters;
};

struct JobPoint {
  int64_t step = 0, tokens = 0;
  double loss = 0, validation_loss = -1;  // -1: not measured at this step
  double seconds = 0;                     // since the training began
};
struct JobProgress {
  rpc::TrainProgress last;
  std::vector<JobPoint> points;  // at most 1000, evenly thinned, oldest first
};

class Jobs {
 public:
  struct Site {
    os::Fs& fs;
    os::Clock& clock;
    os::Random& random;
    store::Db& db;
    store::Objects& objects;
    security::Ledger& ledger;
    Fleet& fleet;
    Models& models;
  };
  // Jobs that ran when the site ended go on from their checkpoints, or without any are Failed (or Stopped) now; those
  // that waited wait again.
  static Result<std::unique_ptr<Jobs>> open(const Site& site, JobsOptions options);
  virtual ~Jobs() = default;  // what runs is killed; its job goes on at the next start, or is Failed

  // In the caller's transaction; call wake() after it committed. ResourceInUse, ResourceLimitExceeded.
  virtual Status create(store::Txn& txn, const JobSpec& spec) = 0;
  // ResourceNotFound; nothing happens to a job that is over.
  virtual Status request_stop(store::Txn& txn, const std::string& account, const std::string& name) = 0;
  virtual void wake(const std::string& account, const std::string& name) = 0;

  virtual Result<std::optional<TrainingJob>> find(store::Txn& txn, const std::string& account,
                                                  const std::string& name) = 0;
  virtual Result<std::vector<TrainingJob>> list(store::Txn& txn, const std::string& account) = 0;  // by name, all
  virtual Result<JobProgress> progress(const std::string& account, const std::string& name) = 0;

  virtual Deployments& deployments() = 0;  // the site's other background work
};

// The curve, thinned by dropping every other point when it is full. A point of an earlier step than the last (a job
// that went on from a checkpoint) takes the place of those behind it.
class Curve {
 public:
  static constexpr size_t kMost = 1000;
  void add(const JobPoint& point);
  const std::vector<JobPoint>& points() const { return points_; }

 private:
  std::vector<JobPoint> points_;
  int64_t every_ = 1, seen_ = 0;
};

}  // namespace hf::fleet
