// A training job as SageMaker's state machine, without threads: step(now, event) changes it and says what to do next.
//
//   InProgress { Starting <-> Pending -> Downloading -> Training -> Uploading } -> Completed
//              a job with checkpoints whose worker dies: Training -> Restarting -> Training, at most
//              kRestarts times without getting further; when the site restarts: -> Pending, from the start
//              -> Failed{reason}   from anywhere
//              -> Stopping         asked for, or MaxRuntimeInSeconds is over; what was learnt is still uploaded
//   Stopping   -> Stopped { Stopped | MaxRuntimeExceeded }
//
// The job is one record: kind "training-job", body to_json().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/text.h"
#include "rpc/messages.h"

namespace hf::fleet {

struct JobChannel {
  std::string name;            // "train" | "validation"
  std::string bucket, prefix;  // every object whose key starts with prefix
};

struct JobSpec {
  std::string account, name, arn;
  std::string principal;  // who asked: in the ledger's entries of the job
  std::string request;    // JSON of the request as it was honoured, for Describe
  std::map<std::string, std::string> hyperparameters;
  uint64_t seed = 0;
  std::vector<JobChannel> channels;
  std::string output_bucket, output_prefix;  // artifacts go to PREFIX/NAME/output/
  bool compressed = true;                    // model.tar.gz, else the single files below model/
  int64_t max_runtime_s = 86400;
  uint64_t volume_bytes = 0;  // VolumeSizeInGB: the input data must fit; 0: the site's own limit

  bool checkpoints() const;  // hyperparameter checkpoint_every is above 0
};

struct JobTransition {
  std::string status;         // a SecondaryStatus
  Micros start = 0, end = 0;  // end 0: still in it
  std::string message;
};

struct JobEvent {
  enum class Kind {
    no_slot,  // all places are taken
    slot,     // the job may run
    data_ready,
    trained,      // `done`
    uploaded,     // `text`: s3 URI of the artifact
    failed,       // `text`: why
    interrupted,  // the worker died; `text`: why, `step`: the last one that was told of
    note,         // `text`: what the one who asked should know; in the message of the state
    stop_requested,
    tick,  // `elapsed_us` since the slot, by a clock that never goes back
    site_restarted,
  } kind;
  std::string text = {};
  rpc::TrainDone done = {};
  int64_t elapsed_us = 0;
  int64_t step = 0;
};

enum class JobAction { download, train, stop_training, kill_training, upload };

class TrainingJob {
 public:
  TrainingJob(JobSpec spec, Micros now);
  static Result<TrainingJob> from_json(std::string_view json);  // corrupt
  std::string to_json() const;

  std::vector<JobAction> step(Micros now, const JobEvent& event);

  const JobSpec& spec() const { return spec_; }
  const std::string& status() const { return status_; }  // TrainingJobStatus
  const std::string& secondary() const { return transitions_.back().status; }
  bool over() const { return status_ == "Completed" || status_ == "Failed" || status_ == "Stopped"; }
  int64_t ran_us() const;  // in a place: not while it waited for one
  bool queued() const { return status_ == "InProgress" && (secondary() == "Starting" || secondary() == "Pending"); }
  const std::string& failure_reason() const { return failure_reason_; }  // at most 1024 bytes
  const std::string& artifact() const { return artifact_; }              // s3 URI, "" until uploaded
  const std::vector<JobTransition>& transitions() const { return transitions_; }
  const std::map<std::string, double>& metrics() const { return metrics_; }
  const rpc::TrainDone& done() const { return done_; }  // zeros until trained
  Micros created() const { return created_; }
  Micros modified() const { return modified_; }
  Micros training_start() const { return training_start_; }  // 0: not yet
  Micros training_end() const { return training_end_; }

  static constexpr int64_t kStopGraceUs = 120'000'000;  // SageMaker's: from the stop to the kill
  static constexpr int kRestarts = 3;
  static constexpr size_t kTransitions = 60;  // kept: the first ones and the newest

 private:
  TrainingJob() = default;
  void move(Micros now, const char* status, const char* secondary, std::string message);
  void end(Micros now, const char* status, const char* secondary, std::string message);
  std::vector<JobAction> fail(Micros now, const std::string& why);
  std::vector<JobAction> ask_to_stop(Micros now, bool out_of_time);
  std::vector<JobAction> tick(Micros now, int64_t elapsed_us);
  std::vector<JobAction> trained(Micros now, const rpc::TrainDone& done);
  std::vector<JobAction> interrupted(Micros now, const JobEvent& event);
  std::vector<JobAction> site_restarted(Micros now);

  JobSpec spec_;
  std::string status_, failure_reason_, artifact_;
  std::vector<JobTransition> transitions_;
  std::map<std::string, double> metrics_;
  rpc::TrainDone done_;
  Micros created_ = 0, modified_ = 0, training_start_ = 0, training_end_ = 0;
  bool out_of_time_ = false;
  int64_t stop_elapsed_us_ = -1;  // tick at which the grace began; -1: not stopping
  bool killed_ = false;
  int restarts_ = 0;  // since a worker got further than restart_step_
  int64_t restart_step_ = 0;
  int64_t ran_us_ = 0;         // of MaxRuntimeInSeconds: noted each minute
  int64_t ran_before_us_ = 0;  // before the site restarted
};

}  // namespace hf::fleet
