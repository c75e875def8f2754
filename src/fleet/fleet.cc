#include "fleet/fleet.h"

#include <signal.h>

#include "fleet/serving.h"

namespace hf::fleet {
namespace {

constexpr int kInspectMs = 600'000;
constexpr int kProbeMs = 60'000;
constexpr int kReapMs = 10'000;    // how long a killed worker is waited for; one that takes longer is reaped later
constexpr int kFinishThreads = 4;  // each waits for a commit; the store groups what waits together

// One training: a worker of its own and the thread that reads it.
struct TrainRun {
  WorkerProcess worker;
  std::shared_ptr<TrainSink> sink;
  std::shared_ptr<Models::Draft> output;
  bool over = false;  // guarded by the fleet's mutex
  os::Thread thread;  // last: joined before the rest goes
};

class FleetImpl final : public Fleet {
 public:
  FleetImpl(os::Clock& clock, Models& models, const FleetOptions& options)
      : models_(models), options_(options), finisher_(kFinishThreads), serving_(clock, models, options, finisher_) {}

  ~FleetImpl() override {
    std::map<uint64_t, std::unique_ptr<TrainRun>> runs;
    {
      std::lock_guard lock(mutex_);
      runs.swap(trainings_);
    }
    for (auto& [id, run] : runs) run->worker.child->kill(SIGKILL);
  }

  Status begin() { return serving_.start(); }

  Result<ModelCard> load(const std::string& digest) override { return serving_.load(digest); }
  Status unload(const std::string& digest) override { return serving_.unload(digest); }
  Result<int64_t> count(const std::string& digest, const rpc::Prompt& prompt) override {
    return serving_.count(digest, prompt);
  }
  Result<uint64_t> generate(const GenerateRequest& request, std::shared_ptr<Sink> sink) override {
    return serving_.generate(request, std::move(sink));
  }
  void cancel(uint64_t id) override { serving_.cancel(id); }
  void resume(uint64_t id) override { serving_.resume(id); }
  Status_ status() override { return serving_.status(); }

  Result<ModelCard> inspect(const std::string& digest) override {
    std::lock_guard one(one_shot_);
    TRY(models_.verify(digest));
    OpenModel model = TRY(open_model(models_, digest));
    WorkerProcess worker = TRY(start_worker(options_));
    TRY(worker.channel->send_message(rpc::Type::inspect, 1, model.task, model.descriptors));
    rpc::Frame frame = TRY(receive_within(*worker.channel, kInspectMs));
    return last_event<ModelCard>(frame, rpc::Type::card);
  }

  Result<rpc::ProbeReport> probe() override {
    std::lock_guard one(one_shot_);
    WorkerProcess worker = TRY(start_worker(options_));
    TRY(worker.channel->send_message(rpc::Type::probe, 1, options_.probe));
    rpc::Frame frame = TRY(receive_within(*worker.channel, kProbeMs));
    return last_event<rpc::ProbeReport>(frame, rpc::Type::report);
  }

  Result<uint64_t> train(Training training, std::shared_ptr<TrainSink> sink) override;
  void stop_training(uint64_t id) override {
    // Under the lock, so that the run does not go away meanwhile: the frame is 14 bytes and the worker reads.
    std::lock_guard lock(mutex_);
    auto at = trainings_.find(id);
    if (at != trainings_.end() && !at->second->over) (void)at->second->worker.channel->send(rpc::Type::stop, kTask);
  }
  void kill_training(uint64_t id) override {
    std::lock_guard lock(mutex_);
    auto at = trainings_.find(id);
    if (at != trainings_.end() && !at->second->over) at->second->worker.child->kill(SIGKILL);
  }

 private:
  static constexpr uint64_t kTask = 1;  // a training is its worker's only task
  void read_training(TrainRun& run);
  Result<rpc::TrainDone> training_events(TrainRun& run);
  void reap();

  Models& models_;
  const FleetOptions options_;
  Finisher finisher_;  // before serving_: its last requests end here
  Serving serving_;
  std::mutex one_shot_;  // one inspection or probe at a time: each is a process with a model in memory
  std::mutex mutex_;
  uint64_t next_training_ = 1;
  std::map<uint64_t, std::unique_ptr<TrainRun>> trainings_;
};

// Joins the threads of trainings that are over.
void FleetImpl::reap() {
  std::vector<std::unique_ptr<TrainRun>> over;
  std::lock_guard lock(mutex_);
  for (auto at = trainings_.begin(); at != trainings_.end();) {
    if (at->second->over) {
      over.push_back(std::move(at->second));
      at = trainings_.erase(at);
    } else {
      ++at;
    }
  }
}

Result<uint64_t> FleetImpl::train(Training training, std::shared_ptr<TrainSink> sink) {
  reap();
  rpc::TrainTask task = std::move(training.task);
  task.train_files = static_cast<int32_t>(training.train_files.size());
  task.validation_files = static_cast<int32_t>(training.validation_files.size());
  task.checkpoint_files = static_cast<int32_t>(training.checkpoints.size());
  std::vector<std::shared_ptr<os::File>> outputs;
  for (const std::string& name : task.outputs) outputs.push_back(TRY(training.output->create(name)));
  std::vector<int> descriptors;
  for (const auto* files : {&training.train_files, &training.validation_files, &outputs, &training.checkpoints})
    for (const auto& file : *files) descriptors.push_back(file->fd());

  auto run = std::make_unique<TrainRun>();
  run->worker = TRY(start_worker(options_));
  run->sink = std::move(sink);
  run->output = std::move(training.output);
  TRY(run->worker.channel->send_message(rpc::Type::train, kTask, task, descriptors));
  std::lock_guard lock(mutex_);
  const uint64_t id = next_training_++;
  TrainRun& reference = *run;
  trainings_[id] = std::move(run);
  reference.thread =
      os::Thread("hf-fleet-" + std::to_string(id % 100000), [this, &reference] { read_training(reference); });
  return id;
}

Result<rpc::TrainDone> FleetImpl::training_events(TrainRun& run) {
  for (;;) {
    rpc::Frame frame = TRY(receive_within(*run.worker.channel, -1));
    if (frame.type == rpc::Type::progress) {
      auto progress = TRY(rpc::decode<rpc::TrainProgress>(frame.body));
      // A loss that is no number any more: the trainer ends the run itself, and says at which step.
      if (check_words(progress).ok()) run.sink->progress(progress);
    } else if (is_last(frame.type)) {
      return last_event<rpc::TrainDone>(frame, rpc::Type::trained);
    }
  }
}

void FleetImpl::read_training(TrainRun& run) {
  auto done = training_events(run);
  run.worker.child->kill(SIGKILL);  // its one task is over; its memory goes now, not at the next training
  (void)run.worker.child->wait(kReapMs);
  if (done.ok()) {
    run.sink->done(*done);
  } else {
    run.sink->failed(done.error());
  }
  std::lock_guard lock(mutex_);
  run.sink.reset();
  run.output.reset();
  run.over = true;
}

}  // namespace

Result<std::unique_ptr<Fleet>> Fleet::start(os::Clock& clock, Models& models, const FleetOptions& options) {
  auto fleet = std::make_unique<FleetImpl>(clock, models, options);
  TRY(fleet->begin());
  return fleet;
}

}  // namespace hf::fleet
