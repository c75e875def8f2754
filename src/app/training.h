// Training from the command line's side, by the public APIs alone: the data into a bucket, CreateTrainingJob, and its
// progress until it ends.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/cli.h"

namespace hf::app {

struct TrainingRequest {
  std::string name;                         // of the job and of the model
  std::string train_path, validation_path;  // JSON lines; validation may be ""
  std::map<std::string, std::string> hyperparameters;
  int64_t max_runtime_s = 86'400;
};

// Puts the files into the bucket training-ACCOUNT (made if it is not there) and starts the job; its ARN.
Result<std::string> start_training(const Context& context, ApiClient& client, const TrainingRequest& request);

// What is known of a running job, for drawing.
struct TrainingView {
  std::string status, phase;  // TrainingJobStatus; "tokenizer", "training", ...
  int64_t step = 0, steps = 0, tokens = 0;
  double loss = 0, tokens_per_second = 0, seconds_left = 0, seconds = 0;  // seconds: since the first step
  uint64_t peak_bytes = 0;
  std::vector<std::pair<int64_t, double>> curve;  // (step, loss), oldest first

  // How far it is, 0 to 1: by steps, or by time where max_seconds ends it before the last step.
  double fraction() const;
};
// Of a DescribeTrainingJob and its /training-jobs/NAME/progress.
TrainingView view_of(const boost::json::value& job, const boost::json::value& progress);

// Asks twice a second, calls `draw` each time, until the job is over; the last DescribeTrainingJob.
Result<boost::json::value> follow_training(const Context& context, ApiClient& client, const std::string& name,
                                           const std::function<void(const TrainingView&)>& draw);
// With the terminal's own drawing.
Result<boost::json::value> follow_training(const Context& context, ApiClient& client, const std::string& name);

Result<std::string> absolute_path(const std::string& path);

}  // namespace hf::app
