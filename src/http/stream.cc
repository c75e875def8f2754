#include "http/stream.h"

#include <cstring>

#include "http/message.h"
#include "http/pool.h"
#include "http/session.h"

namespace hf::http {
namespace {
constexpr size_t kConsumedStep = 32 << 10;  // the loop is told of room for the client after this many bytes
}

void Stream::wake() {
  if (!woken_.exchange(true, std::memory_order_acq_rel)) waker_->wake(shared_from_this());
}

std::shared_ptr<Exchange> Stream::handle() {
  return std::shared_ptr<Exchange>(this, [self = shared_from_this()](Exchange*) { self->abandon(); });
}

// ---- the request's body

Result<size_t> Stream::read(std::span<char> out) {
  if (out.empty()) return fail(Code::invalid, "read() into an empty buffer");
  std::unique_lock lock(mutex_);
  if (!read_called_) {
    read_called_ = true;
    if (in_at_ == in_.size() && !in_end_ && !in_failed_) {
      continue_wanted_ = true;
      lock.unlock();
      wake();
      lock.lock();
    }
  }
  while (in_at_ == in_.size() && !in_end_ && !in_failed_ && !closed()) {
    if (waker_->on_loop()) return fail(Code::invalid, "read() would block, and this handler runs on the loop");
    changed_.wait(lock);
  }
  size_t n = std::min(out.size(), in_.size() - in_at_);
  if (n == 0) {
    if (in_failed_) return in_error_;
    if (in_end_) return size_t{0};
    return fail(Code::unavailable, "the client went away before the end of the body");
  }
  std::memcpy(out.data(), in_.data() + in_at_, n);
  in_at_ += n;
  if (in_at_ == in_.size()) {
    in_.clear();
    in_at_ = 0;
  }
  size_t before = consumed_;
  consumed_ += n;
  // Told at steps only: what is left untold is a fraction of the bound, so a client is never held back for it.
  bool tell = !in_end_ && before / kConsumedStep != consumed_ / kConsumedStep;
  lock.unlock();
  if (tell) wake();
  return n;
}

void Stream::deliver(std::string_view bytes) {
  {
    std::lock_guard lock(mutex_);
    in_total_ += bytes.size();
    if (in_total_ > body_limit_ && !in_failed_) {
      in_failed_ = true;
      in_error_ = fail(Code::too_large, "the body is over the limit of " + std::to_string(body_limit_) + " bytes");
    }
    if (in_failed_ || gone_ || finished_ || aborted_) {  // nobody will read them: the client may go on all the same
      consumed_ += bytes.size();
    } else {
      if (in_at_ > kInBound / 2) {
        in_.erase(0, in_at_);
        in_at_ = 0;
      }
      in_.append(bytes);
    }
  }
  changed_.notify_all();
}

void Stream::deliver_end() {
  {
    std::lock_guard lock(mutex_);
    in_end_ = true;
  }
  changed_.notify_all();
}

void Stream::deliver_error(Error error) {
  {
    std::lock_guard lock(mutex_);
    if (in_failed_ || in_end_) return;
    in_failed_ = true;
    in_error_ = std::move(error);
  }
  changed_.notify_all();
}

size_t Stream::buffered() const {
  std::lock_guard lock(mutex_);
  return in_.size() - in_at_;
}

bool Stream::body_over() const {
  std::lock_guard lock(mutex_);
  return in_end_ || in_failed_;
}

size_t Stream::take_consumed() {
  std::lock_guard lock(mutex_);
  return std::exchange(consumed_, 0);
}

bool Stream::take_continue() {
  std::lock_guard lock(mutex_);
  return std::exchange(continue_wanted_, false);
}

// ---- the answer

void Stream::begin(int status, Headers&& headers) {
  started_ = true;
  status_ = status;
  headers_ = std::move(headers);
  if (status < 200 || status > 599 || !valid_headers(headers_)) {
    // A value with a line break would let its author write headers of their own: refused whole.
    status_ = 500;
    headers_ = {};
    headers_.add("content-type", "text/plain");
    out_ = "the answer's head was not well-formed\n";
    pushed_ = out_.size();
    declared_ = static_cast<int64_t>(out_.size());
    whole_ = finished_ = true;
  }
}

void Stream::respond(int status, Headers headers, std::string body) {
  {
    std::lock_guard lock(mutex_);
    if (started_ || gone_) return;
    begin(status, std::move(headers));
    if (!finished_) {
      // A HEAD's answer announces the length of what GET would give, if the handler says it.
      int64_t said = head_.method == "HEAD" ? parse_content_length(headers_.get("content-length")) : -1;
      declared_ = said >= 0 ? said : static_cast<int64_t>(body.size());
      pushed_ = body.size();
      out_ = std::move(body);
      whole_ = finished_ = true;
    }
  }
  wake();
}

void Stream::start(int status, Headers headers) {
  {
    std::lock_guard lock(mutex_);
    if (started_ || gone_) return;
    begin(status, std::move(headers));
    if (!finished_) declared_ = parse_content_length(headers_.get("content-length"));
    if (closed()) aborted_ = true;
  }
  wake();
}

void Stream::append(std::string&& data) {
  pushed_ += data.size();
  if (out_at_ == out_.size()) {
    out_ = std::move(data);
    out_at_ = 0;
    return;
  }
  if (out_at_ > kOutBound / 2) {
    out_.erase(0, out_at_);
    out_at_ = 0;
  }
  out_.append(data);
}

Exchange::Push Stream::push(std::string data) {
  Push result = Push::ok;
  {
    std::lock_guard lock(mutex_);
    if (gone_ || closed() || finished_ || aborted_ || !started_) return Push::closed;
    if (declared_ >= 0 && pushed_ + data.size() > static_cast<uint64_t>(declared_) && head_.method != "HEAD") {
      aborted_ = true;  // more than was announced: the client must not take it for the next answer
    } else if (!data.empty()) {
      append(std::move(data));
    }
    if (aborted_) result = Push::closed;
    if (out_.size() - out_at_ > kOutBound) {
      full_ = true;
      result = Push::full;
    }
  }
  wake();
  return result;
}

Status Stream::write(std::string data) {
  Push pushed = push(std::move(data));
  std::unique_lock lock(mutex_);
  if (pushed == Push::full && !waker_->on_loop()) {
    changed_.wait(lock, [&] { return !full_ || gone_ || closed() || aborted_; });
  }
  if (pushed == Push::closed || closed() || aborted_) return fail(Code::unavailable, "the client went away");
  return {};
}

void Stream::finish() {
  {
    std::lock_guard lock(mutex_);
    if (finished_ || aborted_) return;
    // Half an answer must not look whole.
    bool short_of =
        declared_ >= 0 && pushed_ != static_cast<uint64_t>(declared_) && head_.method != "HEAD" && !bodiless(status_);
    if (!started_ || closed() || short_of) {
      aborted_ = true;
    } else {
      finished_ = true;
    }
  }
  wake();
}

void Stream::abort() {
  {
    std::lock_guard lock(mutex_);
    if (finished_ || aborted_) return;
    aborted_ = true;
  }
  changed_.notify_all();
  wake();
}

void Stream::abandon() {
  bool unanswered;
  {
    std::lock_guard lock(mutex_);
    if (finished_ || aborted_) return;
    unanswered = !started_;
  }
  if (!unanswered) return abort();
  Headers headers;
  headers.add("content-type", "text/plain");
  respond(500, std::move(headers), "internal error\n");
}

void Stream::on_room(std::function<void()> callback) {
  {
    std::lock_guard lock(mutex_);
    if (!closed() && !finished_) {
      on_room_.swap(callback);
      return;
    }
  }
  if (callback && closed()) callback();  // the client went before it was set
}

bool Stream::answerable() const {
  std::lock_guard lock(mutex_);
  return !gone_;
}

void Stream::on_pool(std::function<void()> work) {
  if (pool) return pool->resume(std::move(work));
  work();
}

Stream::Answer Stream::answer() const {
  std::lock_guard lock(mutex_);
  return {started_, finished_, aborted_, out_.size() - out_at_};
}

int Stream::take_head(Headers& headers, int64_t& length) {
  std::lock_guard lock(mutex_);
  headers = std::move(headers_);
  length = declared_;
  return status_;
}

// Room is announced once each time the outbox falls below half its bound after it was full.
void Stream::after_take(std::unique_lock<std::mutex>& lock) {
  if (out_at_ == out_.size()) {
    if (out_.capacity() > kOutBound) {
      std::string().swap(out_);
    } else {
      out_.clear();
    }
    out_at_ = 0;
  }
  if (!full_ || out_.size() - out_at_ > kOutBound / 2) return;
  full_ = false;
  auto callback = finished_ ? nullptr : on_room_;
  lock.unlock();
  changed_.notify_all();
  if (callback) callback();
}

template <class Sink>
size_t Stream::take_into(size_t most, Sink&& sink) {
  std::unique_lock lock(mutex_);
  size_t n = std::min(most, out_.size() - out_at_);
  sink(out_.data() + out_at_, n);
  out_at_ += n;
  after_take(lock);
  return n;
}

size_t Stream::take(std::string& out, size_t most) {
  return take_into(most, [&](const char* data, size_t n) { out.append(data, n); });
}

size_t Stream::take(char* out, size_t most) {
  return take_into(most, [&](const char* data, size_t n) { std::memcpy(out, data, n); });
}

void Stream::lost(bool keep_whole_answer) {
  std::function<void()> callback;  // called and destroyed unlocked: it often holds the last handle of this exchange
  bool tell;
  {
    std::lock_guard lock(mutex_);
    tell = !closed_.exchange(true, std::memory_order_acq_rel);
    if (!keep_whole_answer || (started_ && !whole_)) {
      gone_ = true;
      aborted_ = aborted_ || !finished_;
      out_.clear();
      out_at_ = 0;
    }
    callback.swap(on_room_);
  }
  changed_.notify_all();
  if (tell && callback) callback();
}

void Stream::retire() {
  std::function<void()> dropped;
  {
    std::lock_guard lock(mutex_);
    dropped.swap(on_room_);
    gone_ = true;
    consumed_ += in_.size() - in_at_;
    in_.clear();
    in_at_ = 0;
    in_failed_ = true;
    in_error_ = fail(Code::invalid, "the answer is already out");
    full_ = false;
  }
  changed_.notify_all();
}

void answer_busy(Stream& stream) {
  Headers headers;
  headers.add("content-type", "text/plain");
  headers.add("retry-after", "1");
  stream.respond(503, std::move(headers), "too many requests are waiting\n");
}

void Stream::client_gone() { lost(false); }
void Stream::client_left() { lost(true); }

}  // namespace hf::http
