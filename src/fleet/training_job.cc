#include "fleet/training_job.h"

#include <algorithm>
#include <boost/json.hpp>

#include "fleet/json_fields.h"

namespace hf::fleet {
namespace json = boost::json;

bool JobSpec::checkpoints() const {
  const auto at = hyperparameters.find("checkpoint_every");
  if (at == hyperparameters.end()) return false;
  const auto every = parse_int(at->second);
  return every.ok() && *every > 0;
}

using Kind = JobEvent::Kind;

TrainingJob::TrainingJob(JobSpec spec, Micros now) : spec_(std::move(spec)), created_(now) {
  move(now, "InProgress", "Starting", "Starting the training job");
}

void TrainingJob::move(Micros now, const char* status, const char* secondary, std::string message) {
  if (!transitions_.empty()) transitions_.back().end = now;
  transitions_.push_back({secondary, now, 0, std::move(message)});
  if (transitions_.size() > kTransitions) transitions_.erase(transitions_.begin() + 4);
  status_ = status;
  modified_ = now;
}

void TrainingJob::end(Micros now, const char* status, const char* secondary, std::string message) {
  move(now, status, secondary, std::move(message));
  transitions_.back().end = now;
  training_end_ = now;
}

std::vector<JobAction> TrainingJob::step(Micros now, const JobEvent& event) {
  if (over()) return {};
  switch (event.kind) {
    case Kind::no_slot:
      if (queued() && secondary() == "Starting")
        move(now, "InProgress", "Pending", "Waiting for a place: other training jobs run");
      return {};
    case Kind::slot:
      if (!queued()) return {};
      if (training_start_ == 0) training_start_ = now;
      move(now, "InProgress", "Downloading", "Reading the input data");
      return {JobAction::download};
    case Kind::data_ready:
      if (status_ == "Stopping") {
        end(now, "Stopped", out_of_time_ ? "MaxRuntimeExceeded" : "Stopped", "Stopped before the training began");
        return {};
      }
      if (secondary() != "Downloading") return {};
      move(now, "InProgress", "Training", "Training");
      return {JobAction::train};
    case Kind::trained:
      return trained(now, event.done);
    case Kind::uploaded:
      artifact_ = event.text;
      if (status_ != "Stopping") {
        end(now, "Completed", "Completed", "Training job completed");
      } else if (out_of_time_) {
        end(now, "Stopped", "MaxRuntimeExceeded",
            "Stopped after MaxRuntimeInSeconds; what was learnt by then is in the artifacts");
      } else {
        end(now, "Stopped", "Stopped", "Stopped; what was learnt by then is in the artifacts");
      }
      return {};
    case Kind::failed:
      return fail(now, event.text);
    case Kind::stop_requested:
      return ask_to_stop(now, false);
    case Kind::tick:
      return tick(now, event.elapsed_us);
    case Kind::interrupted:
      return interrupted(now, event);
    case Kind::note:
      if (secondary() == "Training") transitions_.back().message = clip_utf8("Training; " + event.text, 1024);
      return {};
    case Kind::site_restarted:
      return site_restarted(now);
  }
  return {};
}

std::vector<JobAction> TrainingJob::interrupted(Micros now, const JobEvent& event) {
  if (status_ != "InProgress" || secondary() != "Training" || !spec_.checkpoints()) return fail(now, event.text);
  restarts_ = event.step > restart_step_ ? 1 : restarts_ + 1;
  restart_step_ = std::max(restart_step_, event.step);
  if (restarts_ > kRestarts)
    return fail(now, event.text + " (" + std::to_string(kRestarts) + " restarts from its checkpoint got no further)");
  move(now, "InProgress", "Restarting", clip_utf8(event.text + "; it goes on from its last checkpoint", 1024));
  move(now, "InProgress", "Training", "Training");
  return {JobAction::train};
}

std::vector<JobAction> TrainingJob::site_restarted(Micros now) {
  if (queued()) return {};
  if (status_ != "InProgress" || !spec_.checkpoints())
    return fail(now, "The site was restarted while the job ran; start a new job to train again");
  ran_before_us_ = ran_us_;
  move(now, "InProgress", "Pending", "The site was restarted; the job goes on from its last checkpoint");
  return {};
}

std::vector<JobAction> TrainingJob::fail(Micros now, const std::string& why) {
  if (status_ == "Stopping") {
    end(now, "Stopped", out_of_time_ ? "MaxRuntimeExceeded" : "Stopped",
        clip_utf8("Stopped without artifacts: " + why, 1024));
    return {};
  }
  failure_reason_ = clip_utf8(why, 1024);
  end(now, "Failed", "Failed", failure_reason_);
  return {};
}

std::vector<JobAction> TrainingJob::ask_to_stop(Micros now, bool out_of_time) {
  if (status_ == "Stopping") return {};
  if (queued()) {
    move(now, "Stopping", "Stopping", "Stopping the training job");
    end(now, "Stopped", "Stopped", "Stopped before it ran");
    return {};
  }
  const bool training = secondary() == "Training";
  out_of_time_ = out_of_time;
  move(now, "Stopping", "Stopping", out_of_time ? "MaxRuntimeInSeconds is over" : "Stopping the training job");
  if (training) return {JobAction::stop_training};
  return {};  // between files, or while the artifacts are written: what runs ends by itself
}

std::vector<JobAction> TrainingJob::tick(Micros now, int64_t since_slot_us) {
  const int64_t elapsed_us = ran_before_us_ + since_slot_us;
  if (elapsed_us - ran_us_ >= 60'000'000) ran_us_ = elapsed_us;
  if (status_ == "Stopping") {
    if (stop_elapsed_us_ < 0) stop_elapsed_us_ = elapsed_us;
    if (killed_ || elapsed_us - stop_elapsed_us_ < kStopGraceUs) return {};
    killed_ = true;
    return {JobAction::kill_training};
  }
  if (queued() || secondary() == "Uploading" || elapsed_us < spec_.max_runtime_s * 1'000'000) return {};
  stop_elapsed_us_ = elapsed_us;
  return ask_to_stop(now, true);
}

std::vector<JobAction> TrainingJob::trained(Micros now, const rpc::TrainDone& done) {
  if (secondary() != "Training" && status_ != "Stopping") return {};
  done_ = done;
  metrics_["train:loss"] = done.loss;
  if (done.validation_loss >= 0) metrics_["validation:loss"] = done.validation_loss;
  metrics_["train:tokens_per_second"] = done.tokens_per_second;
  metrics_["train:seconds"] = done.seconds;
  metrics_["train:steps"] = static_cast<double>(done.steps);
  metrics_["train:tokens"] = static_cast<double>(done.tokens);
  metrics_["train:examples"] = static_cast<double>(done.examples);
  metrics_["train:parameters"] = static_cast<double>(done.parameters);
  metrics_["train:peak_bytes"] = static_cast<double>(done.peak_bytes);
  if (status_ != "Stopping") move(now, "InProgress", "Uploading", "Writing the artifacts");
  return {JobAction::upload};
}

// ---- the record

int64_t TrainingJob::ran_us() const {
  int64_t out = 0;
  for (const JobTransition& t : transitions_)
    if (t.status != "Starting" && t.status != "Pending" && t.end > t.start) out += t.end - t.start;
  return out;
}

std::string TrainingJob::to_json() const {
  json::array channels, transitions;
  for (const JobChannel& c : spec_.channels)
    channels.push_back(json::object{{"name", c.name}, {"bucket", c.bucket}, {"prefix", c.prefix}});
  for (const JobTransition& t : transitions_)
    transitions.push_back(
        json::object{{"status", t.status}, {"start", t.start}, {"end", t.end}, {"message", t.message}});
  const json::object spec{{"account", spec_.account},
                          {"name", spec_.name},
                          {"arn", spec_.arn},
                          {"principal", spec_.principal},
                          {"request", spec_.request},
                          {"hyperparameters", json::value_from(spec_.hyperparameters)},
                          {"seed", std::to_string(spec_.seed)},
                          {"channels", channels},
                          {"output_bucket", spec_.output_bucket},
                          {"output_prefix", spec_.output_prefix},
                          {"compressed", spec_.compressed},
                          {"max_runtime_s", spec_.max_runtime_s},
                          {"volume_bytes", spec_.volume_bytes}};
  const json::object done{
      {"steps", done_.steps},           {"tokens", done_.tokens},           {"examples", done_.examples},
      {"parameters", done_.parameters}, {"data_digest", done_.data_digest}, {"stopped", done_.stopped}};
  return json::serialize(json::object{{"spec", spec},
                                      {"status", status_},
                                      {"failure_reason", failure_reason_},
                                      {"artifact", artifact_},
                                      {"transitions", transitions},
                                      {"metrics", json::value_from(metrics_)},
                                      {"done", done},
                                      {"created", created_},
                                      {"modified", modified_},
                                      {"training_start", training_start_},
                                      {"training_end", training_end_},
                                      {"out_of_time", out_of_time_},
                                      {"stop_elapsed_us", stop_elapsed_us_},
                                      {"killed", killed_},
                                      {"restarts", restarts_},
                                      {"restart_step", restart_step_},
                                      {"ran_us", ran_us_},
                                      {"ran_before_us", ran_before_us_}});
}

Result<TrainingJob> TrainingJob::from_json(std::string_view text) {
  const JsonFields f = TRY(JsonFields::parse(text, "a training job's record"));
  TrainingJob job;
  const JsonFields s = f.object("spec");
  job.spec_.account = s.text("account");
  job.spec_.name = s.text("name");
  job.spec_.arn = s.text("arn");
  job.spec_.principal = s.text("principal");
  job.spec_.request = s.text("request");
  job.spec_.hyperparameters = s.text_map("hyperparameters");
  job.spec_.seed = parse_u64(s.text("seed"));
  for (const JsonFields& c : s.objects("channels"))
    job.spec_.channels.push_back({c.text("name"), c.text("bucket"), c.text("prefix")});
  job.spec_.output_bucket = s.text("output_bucket");
  job.spec_.output_prefix = s.text("output_prefix");
  job.spec_.compressed = s.boolean("compressed");
  job.spec_.max_runtime_s = s.integer("max_runtime_s");
  job.spec_.volume_bytes = static_cast<uint64_t>(s.integer("volume_bytes"));
  job.status_ = f.text("status");
  job.failure_reason_ = f.text("failure_reason");
  job.artifact_ = f.text("artifact");
  for (const JsonFields& t : f.objects("transitions"))
    job.transitions_.push_back({t.text("status"), t.integer("start"), t.integer("end"), t.text("message")});
  if (job.transitions_.empty()) return hf::fail(Code::corrupt, "a training job's record has no transitions");
  job.metrics_ = f.number_map("metrics");
  const JsonFields d = f.object("done");
  job.done_.steps = d.integer("steps");
  job.done_.tokens = d.integer("tokens");
  job.done_.examples = d.integer("examples");
  job.done_.parameters = d.integer("parameters");
  job.done_.data_digest = d.text("data_digest");
  job.done_.stopped = d.boolean("stopped");
  job.created_ = f.integer("created");
  job.modified_ = f.integer("modified");
  job.training_start_ = f.integer("training_start");
  job.training_end_ = f.integer("training_end");
  job.out_of_time_ = f.boolean("out_of_time");
  job.stop_elapsed_us_ = f.integer("stop_elapsed_us");
  job.killed_ = f.boolean("killed");
  job.restarts_ = static_cast<int>(f.integer("restarts"));
  job.restart_step_ = f.integer("restart_step");
  job.ran_us_ = f.integer("ran_us");
  job.ran_before_us_ = f.integer("ran_before_us");
  return job;
}

}  // namespace hf::fleet
