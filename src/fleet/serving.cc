#include "fleet/serving.h"

#include <chrono>
#include <utility>

namespace hf::fleet {
namespace {

constexpr int kReadyMs = 30'000;  // how long a request waits for a worker that is being started
constexpr int kLoadMs = 600'000;  // reading a model of many GiB from a slow disk
constexpr int kCountMs = 60'000;
constexpr int kStatusMs = 1'000;
constexpr int kStrikes = 3;  // a model that ends the worker at load so often is left out

}  // namespace

void Serving::Reply::set(Result<rpc::Frame> r) {
  {
    std::lock_guard lock(mutex);
    if (!result) result.emplace(std::move(r));
  }
  changed.notify_all();
}

Result<rpc::Frame> Serving::Reply::wait(int timeout_ms) {
  std::unique_lock lock(mutex);
  if (!changed.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return result.has_value(); }))
    return fail(Code::unavailable, "the worker did not answer within " + std::to_string(timeout_ms / 1000) + " s");
  return std::move(*result);
}

Serving::Serving(os::Clock& clock, Models& models, const FleetOptions& options, Finisher& finisher)
    : clock_(clock), models_(models), options_(options), finisher_(finisher) {}

Serving::~Serving() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (channel_) channel_->close();
  }
  changed_.notify_all();
  thread_.join();
}

Status Serving::start() {
  thread_ = os::Thread("hf-fleet-0", [this] { run(); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ready_ || last_error_.has_value(); });  // start_worker has its own limit
  if (!ready_) return *last_error_;
  return {};
}

// ---- the thread

void Serving::run() {
  for (;;) {
    const int64_t born = clock_.monotonic_us();
    run_one();
    const int64_t wait = backoff_.after(clock_.monotonic_us() - born);
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::microseconds(wait), [this] { return stopping_; })) return;
  }
}

void Serving::run_one() {
  auto worker = start_worker(options_);
  std::shared_ptr<rpc::Channel> channel;
  {
    std::lock_guard lock(mutex_);
    if (!worker.ok()) {
      last_error_ = worker.error();
    } else if (!stopping_) {
      channel = channel_ = worker->channel;
      pid_ = worker->child->pid();
      hello_ = worker->hello;
    }
  }
  if (!channel) return changed_.notify_all();
  Status ended = reload(*channel);
  if (ended.ok()) {
    {
      std::lock_guard lock(mutex_);
      ready_ = true;
      ++starts_;
      last_error_.reset();
    }
    changed_.notify_all();
    ended = read_events(*channel);
  }
  fail_all(worker_ended());
}

// Before the worker serves, so nothing else is on the channel and the answers come in order.
Status Serving::reload(rpc::Channel& channel) {
  std::map<std::string, ModelCard> wanted;
  {
    std::lock_guard lock(mutex_);
    wanted = loaded_;
  }
  for (const auto& entry : wanted) {
    const std::string& digest = entry.first;
    Status result = [&]() -> Status {
      OpenModel model = TRY(open_model(models_, digest, true));
      TRY(channel.send_message(rpc::Type::load, 1, model.task, model.descriptors));
      rpc::Frame frame = TRY(receive_within(channel, kLoadMs));
      auto loaded = last_event<ModelCard>(frame, rpc::Type::card);
      std::lock_guard lock(mutex_);
      if (loaded.ok()) {
        strikes_.erase(digest);
      } else {
        loaded_.erase(digest);  // a load() says why
      }
      return {};
    }();
    if (result.ok()) continue;
    std::lock_guard lock(mutex_);
    if (++strikes_[digest] >= kStrikes) {
      loaded_.erase(digest);
      strikes_.erase(digest);
    }
    return result;
  }
  return {};
}

Status Serving::read_events(rpc::Channel& channel) {
  for (;;) {
    rpc::Frame frame = TRY(receive_within(channel, -1));
    TRY(dispatch(channel, std::move(frame)));
  }
}

Status Serving::dispatch(rpc::Channel& channel, rpc::Frame frame) {
  // Before its task is taken off: where the worker's words make no sense, fail_all() tells whoever waits.
  std::optional<ModelCard> card;
  if (frame.type == rpc::Type::card) card = TRY(last_event<ModelCard>(frame, rpc::Type::card));
  Task task;
  {
    std::lock_guard lock(mutex_);
    auto at = tasks_.find(frame.id);
    if (at == tasks_.end()) return {};  // a call that no longer waits
    task = at->second;
    if (is_last(frame.type)) {
      if (task.sink) --generating_;
      tasks_.erase(at);
    }
    // Here, not where the load waits: by then another worker may live, which would not have been given the model.
    if (!task.loads.empty() && card) loaded_[task.loads] = std::move(*card);
  }
  if (task.reply) {
    if (is_last(frame.type)) task.reply->set(std::move(frame));
    return {};
  }
  if (frame.type == rpc::Type::text) {
    auto text = TRY(rpc::decode<rpc::Text>(frame.body));
    if (!task.sink->text(std::move(text.piece))) return pause(channel, frame.id, task.resumes);
    return {};
  }
  if (!is_last(frame.type)) return {};
  auto finished = last_event<Finished>(frame, rpc::Type::finished);
  finisher_.post([sink = std::move(task.sink), finished = std::move(finished)] {
    if (finished.ok()) return sink->done(*finished);
    sink->failed(finished.error());
  });
  return {};
}

Status Serving::pause(rpc::Channel& channel, uint64_t id, uint64_t resumes_before) {
  std::lock_guard in_order(pausing_);
  {
    std::lock_guard lock(mutex_);
    auto at = tasks_.find(id);
    if (at == tasks_.end() || at->second.resumes != resumes_before || at->second.paused) return {};
    at->second.paused = true;
  }
  return channel.send(rpc::Type::pause, id);
}

void Serving::fail_all(const Error& error) {
  std::unordered_map<uint64_t, Task> tasks;
  {
    std::lock_guard lock(mutex_);
    ready_ = false;
    channel_.reset();
    pid_ = 0;
    tasks.swap(tasks_);
    generating_ = 0;
  }
  for (auto& [id, task] : tasks) {
    if (task.reply) task.reply->set(error);
    if (task.sink) finisher_.post([sink = std::move(task.sink), error] { sink->failed(error); });
  }
}

// ---- any thread

Result<std::shared_ptr<rpc::Channel>> Serving::ready_channel() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(kReadyMs), [this] { return ready_ || stopping_; });
  if (stopping_) return fail(Code::unavailable, "the site is stopping");
  if (ready_) return channel_;
  std::string why = last_error_ ? ": " + last_error_->message : "";
  return fail(Code::unavailable, "no worker could be started within " + std::to_string(kReadyMs / 1000) + " s" + why);
}

// A task is entered before it is sent, so that its events find it. Where the send fails, either it is still entered
// (nobody will hear of it: the error is the caller's) or fail_all() took it and tells the sink or the reply.
Status Serving::submit(rpc::Type type, uint64_t id, const std::string& body, const std::vector<int>& descriptors,
                       Task task) {
  auto channel = TRY(ready_channel());
  {
    std::lock_guard lock(mutex_);
    if (channel_ != channel) return worker_ended();
    if (task.sink) {
      if (generating_ >= options_.queue_limit)
        return fail(Code::exhausted, "ThrottlingException",
                    "too many requests: " + std::to_string(generating_) + " run or wait; try again later");
      ++generating_;
    }
    tasks_[id] = std::move(task);
  }
  Status sent = channel->send(type, id, body, descriptors);
  if (sent.ok()) return {};
  std::lock_guard lock(mutex_);
  auto at = tasks_.find(id);
  if (at == tasks_.end()) return {};
  if (at->second.sink) --generating_;
  tasks_.erase(at);
  return sent.error().code == Code::too_large ? sent.error() : worker_ended();
}

Result<rpc::Frame> Serving::call(rpc::Type type, std::string body, const std::vector<int>& descriptors, int timeout_ms,
                                 const std::string& loads) {
  auto reply = std::make_shared<Reply>();
  uint64_t id;
  {
    std::lock_guard lock(mutex_);
    id = next_id_++;
  }
  TRY(submit(type, id, body, descriptors, Task{.reply = reply, .loads = loads}));
  auto frame = reply->wait(timeout_ms);
  if (!frame.ok()) {
    std::lock_guard lock(mutex_);
    tasks_.erase(id);
  }
  return frame;
}

Result<ModelCard> Serving::load(const std::string& digest) {
  auto known = [&]() -> std::optional<ModelCard> {
    std::lock_guard lock(mutex_);
    auto at = loaded_.find(digest);
    if (at == loaded_.end()) return {};
    return at->second;
  };
  if (auto card = known()) return *card;
  std::lock_guard one(loading_);
  if (auto card = known()) return *card;
  if (!verified_.contains(digest)) {
    TRY(models_.verify(digest));
    verified_.insert(digest);
  }
  OpenModel model = TRY(open_model(models_, digest, true));
  rpc::Frame frame = TRY(call(rpc::Type::load, rpc::encode(model.task), model.descriptors, kLoadMs, digest));
  return last_event<ModelCard>(frame, rpc::Type::card);
}

Status Serving::unload(const std::string& digest) {
  std::lock_guard one(loading_);
  {
    std::lock_guard lock(mutex_);
    if (loaded_.erase(digest) == 0) return {};
  }
  rpc::Frame frame = TRY(call(rpc::Type::unload, rpc::encode(rpc::UnloadTask{digest}), {}, kLoadMs));
  if (frame.type == rpc::Type::failed) return worker_error(TRY(rpc::decode<rpc::Failed>(frame.body)));
  return {};
}

Result<int64_t> Serving::count(const std::string& digest, const rpc::Prompt& prompt) {
  (void)TRY(load(digest));
  rpc::Frame frame = TRY(call(rpc::Type::count, rpc::encode(rpc::CountTask{digest, prompt}), {}, kCountMs));
  return TRY(last_event<rpc::Counted>(frame, rpc::Type::counted)).tokens;
}

Result<uint64_t> Serving::generate(const GenerateRequest& request, std::shared_ptr<Sink> sink) {
  uint64_t id;
  {
    std::lock_guard lock(mutex_);
    id = next_id_++;
  }
  TRY(submit(rpc::Type::generate, id, rpc::encode(request), {}, Task{.sink = std::move(sink)}));
  return id;
}

// The sends' errors: a worker that is gone has failed the task already.
void Serving::cancel(uint64_t id) {
  std::shared_ptr<rpc::Channel> channel;
  {
    std::lock_guard lock(mutex_);
    if (tasks_.contains(id)) channel = channel_;
  }
  if (channel) (void)channel->send(rpc::Type::cancel, id);
}

void Serving::resume(uint64_t id) {
  std::lock_guard in_order(pausing_);
  std::shared_ptr<rpc::Channel> channel;
  {
    std::lock_guard lock(mutex_);
    auto at = tasks_.find(id);
    if (at == tasks_.end()) return;
    ++at->second.resumes;
    if (!std::exchange(at->second.paused, false)) return;
    channel = channel_;
  }
  if (channel) (void)channel->send(rpc::Type::resume, id);
}

Fleet::Status_ Serving::status() {
  Fleet::Status_ out;
  bool ready;
  {
    std::lock_guard lock(mutex_);
    out.serving_pid = pid_;
    out.restarts = starts_ > 0 ? starts_ - 1 : 0;
    out.isolation = hello_.isolation;
    out.build = hello_.build;
    out.isa = hello_.isa;
    for (const auto& [digest, card] : loaded_) out.loaded.push_back(digest);
    ready = ready_;
  }
  if (!ready) return out;
  auto frame = call(rpc::Type::counters, {}, {}, kStatusMs);
  if (!frame.ok()) return out;
  auto counters = last_event<rpc::EngineCounters>(*frame, rpc::Type::counted_all);
  if (counters.ok()) out.counters = *counters;
  return out;
}

}  // namespace hf::fleet
