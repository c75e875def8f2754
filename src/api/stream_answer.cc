#include "api/stream_answer.h"

namespace hf::api {

void StreamAnswer::begin(const StreamHandle& handle) {
  sink_->header("x-holdfast-receipt", handle.receipt_id);
  cancel_ = handle.cancel;
  // Weak: the sink keeps this function, and must not keep itself.
  sink_->on_room([sink = std::weak_ptr<EventSink>(sink_), cancel = handle.cancel, resume = handle.resume] {
    auto alive = sink.lock();
    if (!alive || alive->closed()) return cancel();
    resume();
  });
}

bool StreamAnswer::text(std::string piece_text) {
  const bool first = !started_;
  started_ = true;
  const Push push = piece(std::move(piece_text), first);
  if (push == Push::closed) cancel_();  // nobody reads: what is left is not worth computing
  return push != Push::full;
}

void StreamAnswer::done(const Answer& answer) {
  end(answer, !started_);
  sink_->finish();
}

void StreamAnswer::failed(const Error& error) {
  if (!started_) return sink_->error(error);
  Error named = error;
  if (named.code == Code::unavailable || named.code == Code::internal || named.code == Code::corrupt)
    named.name = "ModelStreamErrorException";
  sink_->error(named);
}

}  // namespace hf::api
