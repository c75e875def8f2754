#include "fleet/jobs.h"

#include <algorithm>
#include <boost/json.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <set>

#include "base/bytes.h"
#include "fleet/job_steps.h"
#include "fleet/json_fields.h"
#include "fleet/usage.h"
#include "os/thread.h"

namespace hf::fleet {
namespace json = boost::json;
namespace {

constexpr const char* kJobs = "training-job";
constexpr const char* kProgress = "training-progress";
constexpr int64_t kListLimit = 100'000;
constexpr int kTickMs = 500;
constexpr int64_t kSaveProgressUs = 5'000'000;

using Key = std::pair<std::string, std::string>;  // account, name

std::string progress_json(const JobProgress& p) {
  json::array points;
  for (const JobPoint& at : p.points)
    points.push_back(json::array{at.step, at.tokens, at.loss, at.validation_loss, at.seconds});
  const rpc::TrainProgress& l = p.last;
  return json::serialize(json::object{{"phase", l.phase},
                                      {"step", l.step},
                                      {"steps", l.steps},
                                      {"tokens", l.tokens},
                                      {"loss", l.loss},
                                      {"validation_loss", l.validation_loss},
                                      {"learning_rate", l.learning_rate},
                                      {"tokens_per_second", l.tokens_per_second},
                                      {"seconds_left", l.seconds_left},
                                      {"peak_bytes", l.peak_bytes},
                                      {"points", points}});
}

Result<JobProgress> progress_of(std::string_view text) {
  const JsonFields f = TRY(JsonFields::parse(text, "a training job's progress"));
  JobProgress p;
  p.last.phase = f.text("phase");
  p.last.step = f.integer("step");
  p.last.steps = f.integer("steps");
  p.last.tokens = f.integer("tokens");
  p.last.loss = f.number("loss");
  p.last.validation_loss = f.number("validation_loss");
  p.last.learning_rate = f.number("learning_rate");
  p.last.tokens_per_second = f.number("tokens_per_second");
  p.last.seconds_left = f.number("seconds_left");
  p.last.peak_bytes = static_cast<uint64_t>(f.integer("peak_bytes"));
  const json::value* points = f.get("points");
  if (!points || !points->is_array()) return p;
  for (const json::value& v : points->get_array()) {
    if (!v.is_array() || v.get_array().size() != 5) continue;
    auto number = [&](size_t i) { return v.get_array()[i].is_number() ? v.get_array()[i].to_number<double>() : 0.0; };
    p.points.push_back(
        {static_cast<int64_t>(number(0)), static_cast<int64_t>(number(1)), number(2), number(3), number(4)});
  }
  return p;
}

store::Record record(const char* kind, const Key& key, Micros created, Micros now, std::string body) {
  store::Record r;
  r.kind = kind;
  r.account = key.first;
  r.name = key.second;
  r.created = created;
  r.updated = now;
  r.body = std::move(body);
  return r;
}

// The seed has a member of its own in the task.
std::map<std::string, std::string> worker_hyperparameters(const JobSpec& spec) {
  auto out = spec.hyperparameters;
  out.erase("seed");
  return out;
}

// The worker knows its files by number only: "train file 2, line 7: ...".
Error with_uris(Error error, const ChannelData& data, const std::string& what) {
  for (size_t i = 0; i < data.uris.size(); ++i) {
    const std::string number = what + " file " + std::to_string(i + 1);
    const size_t at = error.message.find(number + ",");
    if (at != std::string::npos) error.message.replace(at, number.size(), data.uris[i]);
  }
  return error;
}

// The training worker's events, handed from its reader thread to the job's.
class Events final : public TrainSink {
 public:
  void progress(const rpc::TrainProgress& p) override {
    std::lock_guard lock(mutex_);
    progress_.push_back(p);
    if (progress_.size() > 4096) progress_.pop_front();  // the job's thread is far behind: the newest count
    changed_.notify_all();
  }
  void done(const rpc::TrainDone& d) override { end(d); }
  void failed(const Error& e) override { end(e); }
  void poke() { changed_.notify_all(); }

  // Waits for something, at most timeout_ms; takes the progress that came. The end, when it has come.
  std::optional<Result<rpc::TrainDone>> wait(int timeout_ms, std::vector<rpc::TrainProgress>& progress) {
    std::unique_lock lock(mutex_);
    if (progress_.empty() && !end_) changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms));
    progress.assign(progress_.begin(), progress_.end());
    progress_.clear();
    return end_;
  }

 private:
  void end(Result<rpc::TrainDone> r) {
    std::lock_guard lock(mutex_);
    end_.emplace(std::move(r));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<rpc::TrainProgress> progress_;
  std::optional<Result<rpc::TrainDone>> end_;
};

struct Applied {
  TrainingJob job;
  std::vector<JobAction> actions;
};

bool has(const std::vector<JobAction>& actions, JobAction action) {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

class JobsImpl final : public Jobs {
 public:
  JobsImpl(const Site& site, JobsOptions options) : site_(site), options_(std::move(options)) {}
  ~JobsImpl() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      for (auto& [key, events] : running_)
        if (events) events->poke();
    }
    changed_.notify_all();
    for (os::Thread& thread : threads_) thread.join();
  }

  Status prepare();

  Status create(store::Txn& txn, const JobSpec& spec) override;
  Status request_stop(store::Txn& txn, const std::string& account, const std::string& name) override;
  void wake(const std::string& account, const std::string& name) override;
  Result<std::optional<TrainingJob>> find(store::Txn& txn, const std::string& account,
                                          const std::string& name) override {
    auto r = TRY(store::get_record(txn, kJobs, account, name));
    if (!r) return std::optional<TrainingJob>();
    return std::optional<TrainingJob>(TRY(TrainingJob::from_json(r->body)));
  }
  Result<std::vector<TrainingJob>> list(store::Txn& txn, const std::string& account) override {
    std::vector<TrainingJob> out;
    for (const store::Record& r : TRY(store::list_records(txn, kJobs, account, "", kListLimit)))
      out.push_back(TRY(TrainingJob::from_json(r.body)));
    return out;
  }
  Result<JobProgress> progress(const std::string& account, const std::string& name) override;
  Deployments& deployments() override { return *deployments_; }

 private:
  struct Input {
    ChannelData train, validation;
  };
  struct Live {
    JobProgress progress;
    Curve curve;
    std::string note;  // not yet in the job's record
  };
  using Files = std::vector<std::shared_ptr<os::File>>;

  void work();
  void run(const Key& key);
  void tidy(const Key& key);
  Status run_steps(const Key& key);
  Result<Input> download(const TrainingJob& job);
  Status train(const Key& key, const TrainingJob& job, int64_t began_us);
  Result<rpc::TrainDone> train_once(const Key& key, const TrainingJob& job, const Input& input,
                                    const Files& checkpoints, std::shared_ptr<Models::Draft> draft, int64_t began_us);
  Status follow(const Key& key, uint64_t id, Events& events, int64_t began_us, rpc::TrainDone& done);
  Status finish(const Key& key, const rpc::TrainDone& done, Models::Draft& draft, const Input& input);
  Model lineage_model(const TrainingJob& job, const rpc::TrainDone& done, const Input& input);
  Result<Applied> apply(const Key& key, const JobEvent& event,
                        const std::function<Status(store::Txn&, const TrainingJob&)>& more = {});
  Status store_job(store::Txn& txn, const TrainingJob& job, const std::string& before);
  void save_note(const Key& key);
  void note(const Key& key, const std::vector<rpc::TrainProgress>& progress, int64_t began_us);
  Status save_progress(const Key& key);
  bool stopping() {
    std::lock_guard lock(mutex_);
    return stopping_;
  }
  bool asked_to_stop(const Key& key);

  const Site site_;
  const JobsOptions options_;
  std::unique_ptr<Deployments> deployments_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<Key> queue_;                           // what waits, oldest first
  std::map<Key, std::shared_ptr<Events>> running_;  // null until its worker trains
  std::map<Key, Live> live_;                        // of running jobs
  std::vector<os::Thread> threads_;
};

// ---- the records

Status JobsImpl::prepare() {
  deployments_ = TRY(Deployments::open(site_.clock, site_.db, site_.ledger, site_.fleet));
  TRY(site_.fs.make_dirs(options_.scratch));
  std::vector<TrainingJob> jobs;
  TRY(site_.db.read([&](store::Txn& txn) -> Status {
    jobs.clear();
    for (const store::Record& r : TRY(store::list_records(txn, kJobs, "", "", kListLimit))) {
      // One record that cannot be read must not keep the site from starting. Who asks for that job is told.
      auto job = TrainingJob::from_json(r.body);
      if (job.ok()) jobs.push_back(std::move(*job));
    }
    return {};
  }));
  std::set<std::string> kept;
  for (const TrainingJob& job : jobs)
    if (!job.over())
      for (std::string& name : checkpoint_names(job)) kept.insert(std::move(name));
  for (const std::string& name : TRY(site_.fs.list(options_.scratch)))
    if (!kept.contains(name)) TRY(site_.fs.remove_tree(options_.scratch + "/" + name));
  std::sort(jobs.begin(), jobs.end(), [](const auto& a, const auto& b) { return a.created() < b.created(); });
  for (const TrainingJob& job : jobs) {
    if (job.over()) continue;
    const Key key{job.spec().account, job.spec().name};
    const bool waits = job.queued() || TRY(apply(key, {JobEvent::Kind::site_restarted})).job.queued();
    if (waits) {
      queue_.push_back(key);
    } else {
      remove_checkpoints(site_, options_, job);
    }
  }
  for (int i = 0; i < options_.max_running; ++i)
    threads_.emplace_back("hf-job-" + std::to_string(i), [this] { work(); });
  return {};
}

// The job's row, and the ledger's entry where its state changed.
Status JobsImpl::store_job(store::Txn& txn, const TrainingJob& job, const std::string& before) {
  const JobSpec& spec = job.spec();
  const Micros now = site_.clock.now();
  TRY(store::put_record(txn, record(kJobs, {spec.account, spec.name}, job.created(), now, job.to_json())));
  const std::string after = job.status() + "/" + job.secondary();
  if (after == before) return {};
  if (job.over()) {
    Usage more;
    more.account = spec.account;
    more.principal = spec.principal;
    more.jobs = 1;
    more.job_us = job.ran_us();
    TRY(add_usage(txn, now, more));
  }
  security::Entry entry;
  entry.time = now;
  entry.account = spec.account;
  entry.principal = spec.principal;
  entry.action = "sagemaker:TrainingJobStateChange";
  entry.resource = spec.arn;
  entry.decision = "allow";
  entry.reason = "training job of the principal";
  entry.detail = "{\"secondary\":\"" + job.secondary() + "\",\"status\":\"" + job.status() + "\"}";
  (void)TRY(site_.ledger.append(txn, entry));  // its own error: a full disk is tried again by the store
  return {};
}

Result<Applied> JobsImpl::apply(const Key& key, const JobEvent& event,
                                const std::function<Status(store::Txn&, const TrainingJob&)>& more) {
  std::optional<Applied> out;
  TRY(site_.db.write([&](store::Txn& txn) -> Status {
    auto job = TRY(find(txn, key.first, key.second));
    if (!job) return fail(Code::not_found, "training job " + key.second + " is gone");
    const std::string before = job->status() + "/" + job->secondary();
    auto actions = job->step(site_.clock.now(), event);
    if (more) TRY(more(txn, *job));
    TRY(store_job(txn, *job, before));
    out.emplace(Applied{std::move(*job), std::move(actions)});
    return {};
  }));
  return std::move(*out);
}

Status JobsImpl::create(store::Txn& txn, const JobSpec& spec) {
  if (options_.check_hyperparameters)
    if (Status good = options_.check_hyperparameters(worker_hyperparameters(spec)); !good.ok())
      return fail(Code::invalid, "ValidationException", "HyperParameters: " + good.error().message);
  if (TRY(find(txn, spec.account, spec.name)))
    return fail(Code::conflict, "ResourceInUse",
                "Training job names must be unique within an account: " + spec.name + " exists");
  if (TRY(find_model(txn, spec.account, spec.name)))
    return fail(Code::conflict, "ResourceInUse",
                "A model named " + spec.name +
                    " exists, and the job would register "
                    "what it trains under its own name");
  TrainingJob job(spec, site_.clock.now());
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= options_.max_queued)
      return fail(Code::exhausted, "ResourceLimitExceeded",
                  std::to_string(queue_.size()) + " training jobs wait already; try again later");
    if (running_.size() + queue_.size() >= static_cast<size_t>(options_.max_running))
      job.step(site_.clock.now(), {JobEvent::Kind::no_slot});
  }
  return store::insert_record(txn,
                              record(kJobs, {spec.account, spec.name}, job.created(), job.created(), job.to_json()));
}

Status JobsImpl::request_stop(store::Txn& txn, const std::string& account, const std::string& name) {
  auto job = TRY(find(txn, account, name));
  if (!job) return fail(Code::not_found, "ResourceNotFound", "Requested resource not found: training job " + name);
  if (job->over()) return {};
  job->step(site_.clock.now(), {JobEvent::Kind::stop_requested});
  // The caller's own entry tells of the stop: none is added here.
  return store_job(txn, *job, job->status() + "/" + job->secondary());
}

void JobsImpl::wake(const std::string& account, const std::string& name) {
  const Key key{account, name};
  std::optional<TrainingJob> job;
  const Status read = site_.db.read([&](store::Txn& txn) -> Status {
    job = TRY(find(txn, account, name));
    return {};
  });
  {
    std::lock_guard lock(mutex_);
    auto running = running_.find(key);
    if (running != running_.end()) {
      if (running->second) running->second->poke();
    } else if (read.ok() && job && job->queued() && std::find(queue_.begin(), queue_.end(), key) == queue_.end()) {
      queue_.push_back(key);
    }
  }
  changed_.notify_one();
}

Result<JobProgress> JobsImpl::progress(const std::string& account, const std::string& name) {
  {
    std::lock_guard lock(mutex_);
    auto at = live_.find({account, name});
    if (at != live_.end()) {
      JobProgress out = at->second.progress;
      out.points = at->second.curve.points();
      return out;
    }
  }
  JobProgress out;
  TRY(site_.db.read([&](store::Txn& txn) -> Status {
    auto r = TRY(store::get_record(txn, kProgress, account, name));
    if (r) out = TRY(progress_of(r->body));
    return {};
  }));
  return out;
}

// ---- the threads

void JobsImpl::work() {
  for (;;) {
    Key key;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      key = queue_.front();
      queue_.pop_front();
      running_[key] = nullptr;
    }
    run(key);
    tidy(key);
    std::lock_guard lock(mutex_);
    running_.erase(key);
    live_.erase(key);
  }
}

// Of a job that is over, nothing stays in the scratch folder; what cannot be removed now goes at the next start.
void JobsImpl::tidy(const Key& key) {
  (void)site_.db.read([&](store::Txn& txn) -> Status {
    auto job = TRY(find(txn, key.first, key.second));
    if (job && job->over()) remove_checkpoints(site_, options_, *job);
    return {};
  });
}

void JobsImpl::run(const Key& key) {
  Status result;
  try {
    result = run_steps(key);
  } catch (const std::exception& e) {  // of a library, or no memory: the job's end, not the site's
    result = fail(Code::internal, std::string("an exception in the job: ") + e.what());
  }
  if (result.ok()) return;
  for (;;) {
    // Where the site is stopping, the job says so. What cannot even be written then is found at the next start.
    const bool last = stopping();
    const JobEvent::Kind kind = last ? JobEvent::Kind::site_restarted : JobEvent::Kind::failed;
    const auto written = apply(key, {.kind = kind, .text = result.error().message});
    if (written.ok() || written.error().code != Code::exhausted || last) return;
    // A full disk: the job keeps its place until its end can be written, or it would seem to run for ever.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(kTickMs), [this] { return stopping_; });
  }
}

Status JobsImpl::run_steps(const Key& key) {
  const int64_t began_us = site_.clock.monotonic_us();
  Applied started = TRY(apply(key, {JobEvent::Kind::slot}));
  if (!has(started.actions, JobAction::download)) return {};  // stopped while it waited
  return train(key, started.job, began_us);
}

bool JobsImpl::asked_to_stop(const Key& key) {
  if (stopping()) return true;
  bool stop = false;
  (void)site_.db.read([&](store::Txn& txn) -> Status {
    auto job = TRY(find(txn, key.first, key.second));
    stop = !job || job->status() != "InProgress";
    return {};
  });
  return stop;
}

Result<JobsImpl::Input> JobsImpl::download(const TrainingJob& job) {
  const Key key{job.spec().account, job.spec().name};
  Input input;
  int64_t asked_us = site_.clock.monotonic_us();
  auto stop = [&] {  // the record is asked once a second, not for each piece
    if (site_.clock.monotonic_us() - asked_us < 1'000'000) return false;
    asked_us = site_.clock.monotonic_us();
    return asked_to_stop(key);
  };
  uint64_t budget = job.spec().volume_bytes > 0 ? std::min(job.spec().volume_bytes, options_.max_data_bytes)
                                                : options_.max_data_bytes;
  for (const JobChannel& channel : job.spec().channels)
    (channel.name == "train" ? input.train : input.validation) =
        TRY(read_channel(site_, options_, channel, budget, stop));
  return input;
}

Status JobsImpl::train(const Key& key, const TrainingJob& job, int64_t began_us) {
  Input input = TRY(download(job));
  Applied ready = TRY(apply(key, {JobEvent::Kind::data_ready}));
  if (!has(ready.actions, JobAction::train)) return {};
  const Files checkpoints = TRY(open_checkpoints(site_, options_, job));
  for (;;) {
    std::shared_ptr<Models::Draft> draft = TRY(site_.models.draft());
    auto done = train_once(key, job, input, checkpoints, draft, began_us);
    (void)save_progress(key);  // the curve is worth less than the job
    if (done.ok()) {
      Applied trained = TRY(apply(key, {.kind = JobEvent::Kind::trained, .done = *done}));
      if (!has(trained.actions, JobAction::upload)) return {};
      return finish(key, *done, *draft, input);
    }
    if (done.error().code != Code::unavailable || stopping())
      return with_uris(with_uris(done.error(), input.train, "train"), input.validation, "validation");
    JobEvent died{.kind = JobEvent::Kind::interrupted, .text = done.error().message};
    died.step = TRY(progress(key.first, key.second)).last.step;
    if (!has(TRY(apply(key, died)).actions, JobAction::train)) return {};
  }
}

Result<rpc::TrainDone> JobsImpl::train_once(const Key& key, const TrainingJob& job, const Input& input,
                                            const Files& checkpoints, std::shared_ptr<Models::Draft> draft,
                                            int64_t began_us) {
  auto events = std::make_shared<Events>();
  Fleet::Training training;
  training.task.hyperparameters = worker_hyperparameters(job.spec());
  training.task.seed = job.spec().seed;
  training.task.outputs = options_.outputs;
  training.train_files = input.train.files;
  training.validation_files = input.validation.files;
  training.checkpoints = checkpoints;
  training.output = std::move(draft);
  const uint64_t id = TRY(site_.fleet.train(std::move(training), events));
  {
    std::lock_guard lock(mutex_);
    running_[key] = events;
    live_[key];
  }
  rpc::TrainDone done;
  TRY(follow(key, id, *events, began_us, done));
  return done;
}

// Until the worker is done. Stops and limits are acted on here.
Status JobsImpl::follow(const Key& key, uint64_t id, Events& events, int64_t began_us, rpc::TrainDone& done) {
  const int64_t trains_us = site_.clock.monotonic_us();
  int64_t saved_us = trains_us;
  bool stop_sent = false;
  std::vector<rpc::TrainProgress> progress;
  for (;;) {
    auto end = events.wait(kTickMs, progress);
    note(key, progress, trains_us);
    save_note(key);
    if (end) {
      done = TRY(std::move(*end));
      return {};
    }
    if (stopping()) {
      site_.fleet.kill_training(id);
      return fail(Code::unavailable, "the site is stopping");
    }
    std::optional<TrainingJob> job;
    TRY(site_.db.read([&](store::Txn& txn) -> Status {
      job = TRY(find(txn, key.first, key.second));
      return {};
    }));
    if (!job) return fail(Code::internal, "the job's record is gone");
    const JobEvent tick{.kind = JobEvent::Kind::tick, .elapsed_us = site_.clock.monotonic_us() - began_us};
    const std::string before = job->to_json();
    std::vector<JobAction> actions = job->step(site_.clock.now(), tick);
    if (job->to_json() != before) {
      Applied applied = TRY(apply(key, tick));
      job = std::move(applied.job);
      actions = std::move(applied.actions);
    }
    if (job->status() == "Stopping" && !std::exchange(stop_sent, true)) site_.fleet.stop_training(id);
    if (has(actions, JobAction::kill_training)) site_.fleet.kill_training(id);
    if (site_.clock.monotonic_us() - saved_us >= kSaveProgressUs) {
      saved_us = site_.clock.monotonic_us();
      (void)save_progress(key);
    }
  }
}

void JobsImpl::note(const Key& key, const std::vector<rpc::TrainProgress>& progress, int64_t began_us) {
  const double seconds = static_cast<double>(site_.clock.monotonic_us() - began_us) / 1e6;
  std::lock_guard lock(mutex_);
  Live& live = live_[key];
  for (const rpc::TrainProgress& p : progress) {
    live.progress.last = p;
    if (!p.note.empty()) live.note = p.note;
    if (p.phase == "training") live.curve.add({p.step, p.tokens, p.loss, p.validation_loss, seconds});
  }
}

// What the worker wants known, as the message of the job's state. Where that cannot be written now, later.
void JobsImpl::save_note(const Key& key) {
  std::string text;
  {
    std::lock_guard lock(mutex_);
    text = live_[key].note;
  }
  if (text.empty() || !apply(key, {.kind = JobEvent::Kind::note, .text = text}).ok()) return;
  std::lock_guard lock(mutex_);
  if (live_[key].note == text) live_[key].note.clear();
}

Status JobsImpl::save_progress(const Key& key) {
  JobProgress p = TRY(progress(key.first, key.second));
  const Micros now = site_.clock.now();
  return site_.db.write(
      [&](store::Txn& txn) { return store::put_record(txn, record(kProgress, key, now, now, progress_json(p))); });
}

Model JobsImpl::lineage_model(const TrainingJob& job, const rpc::TrainDone& done, const Input& input) {
  Model model;
  model.account = job.spec().account;
  model.name = job.spec().name;
  model.id = new_model_id(site_.random);
  model.source = "trained";
  model.created = site_.clock.now();
  model.arn = model_arn(model, options_.region);
  Lineage& l = model.lineage;
  l.training_job = job.spec().arn;
  l.data_digest = done.data_digest;
  l.data = input.train.uris;
  l.code_version = options_.code_version;
  l.isa = site_.fleet.status().isa;
  l.hyperparameters = job.spec().hyperparameters;
  l.seed = job.spec().seed;
  l.metrics = job.metrics();
  l.stopped = done.stopped;
  return model;
}

// Seal, inspect, upload; then one transaction: the objects, what they hold, the model's name, the job's end.
Status JobsImpl::finish(const Key& key, const rpc::TrainDone& done, Models::Draft& draft, const Input& input) {
  for (const std::string& name : options_.outputs)
    if (std::find(done.files_written.begin(), done.files_written.end(), name) == done.files_written.end())
      TRY(draft.remove(name));
  const std::string digest = TRY(draft.seal());
  std::optional<TrainingJob> job;
  TRY(site_.db.read([&](store::Txn& txn) -> Status {
    job = TRY(find(txn, key.first, key.second));
    return {};
  }));
  if (!job) return fail(Code::internal, "the job's record is gone");
  Model model = lineage_model(*job, done, input);
  model.digest = digest;
  model.card = TRY(site_.fleet.inspect(digest));
  ArtifactUpload upload = TRY(write_artifacts(site_, job->spec(), digest));
  (void)TRY(apply(key, {.kind = JobEvent::Kind::uploaded, .text = upload.uri},
                  [&](store::Txn& txn, const TrainingJob&) -> Status {
                    TRY(commit_artifacts(txn, site_.objects, upload));
                    return register_model(txn, model);
                  }));
  return {};
}

}  // namespace

void Curve::add(const JobPoint& point) {
  while (!points_.empty() && points_.back().step > point.step) points_.pop_back();
  if (seen_++ % every_ != 0 && point.validation_loss < 0) return;
  points_.push_back(point);
  if (points_.size() < kMost) return;
  std::vector<JobPoint> kept;
  for (size_t i = 0; i < points_.size(); i += 2) kept.push_back(points_[i]);
  points_ = std::move(kept);
  every_ *= 2;
}

Result<std::unique_ptr<Jobs>> Jobs::open(const Site& site, JobsOptions options) {
  auto jobs = std::make_unique<JobsImpl>(site, std::move(options));
  TRY(jobs->prepare());
  return jobs;
}

}  // namespace hf::fleet
