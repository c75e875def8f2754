#include "engine/inbox.h"

#include <utility>

namespace hf::engine {
namespace {

bool stops_a_task(const rpc::Frame& frame) { return frame.type == rpc::Type::stop || frame.type == rpc::Type::cancel; }

}  // namespace

bool Inbox::put(rpc::Frame frame) {
  std::unique_lock hold(mutex_);
  changed_.wait(hold, [&] { return frames_.size() < kFrames || stopped_; });
  if (stopped_) return false;
  if (stops_a_task(frame)) stops_.insert(frame.id);
  frames_.push_back(std::move(frame));
  changed_.notify_all();
  return true;
}

void Inbox::end(std::string why) {
  std::lock_guard hold(mutex_);
  end_ = std::move(why);
  changed_.notify_all();
}

void Inbox::stop() {
  std::lock_guard hold(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

std::optional<rpc::Frame> Inbox::take(bool wait) {
  std::unique_lock hold(mutex_);
  if (wait) changed_.wait(hold, [&] { return !frames_.empty() || end_; });
  if (frames_.empty()) return {};
  rpc::Frame frame = std::move(frames_.front());
  frames_.pop_front();
  if (stops_a_task(frame)) stops_.erase(stops_.find(frame.id));
  changed_.notify_all();
  return frame;
}

std::optional<std::string> Inbox::ended() {
  std::lock_guard hold(mutex_);
  return frames_.empty() ? end_ : std::nullopt;
}

bool Inbox::told_to_stop(uint64_t task) {
  std::lock_guard hold(mutex_);
  return end_ || stops_.contains(task);
}

}  // namespace hf::engine
