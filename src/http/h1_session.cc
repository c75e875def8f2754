#include "http/h1_session.h"

#include "http/h1_head.h"
#include "http/message.h"
#include "http/transfer.h"

namespace hf::http {
namespace {

constexpr size_t kStashBound = 64 << 10;  // bytes of pipelined requests that wait while one is answered
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr size_t kDiscardBound = 256 << 10;  // of an unread body, to keep the connection; beyond it is cheaper to close

class H1Session final : public Session, private BodySink {
 public:
  H1Session(SessionHost& host, std::string peer, bool tls)
      : host_(host), peer_(std::move(peer)), tls_(tls), last_us_(host.now_us()) {}
  ~H1Session() override { gone(); }

  void receive(std::string_view bytes) override;
  void receive_end() override;
  void service(Stream& stream) override;
  void produce(std::string& out, size_t limit) override;
  bool wants_bytes() const override;
  bool done() const override { return done_ && early_.empty(); }
  bool hard() const override { return hard_; }
  void tick(int64_t now_us) override;
  void drain() override;
  void gone() override;

 private:
  TransferMeter meter() const {
    return {host_.options().body_timeout_ms * int64_t{1000}, host_.options().min_rate, host_.now_us()};
  }
  size_t process(std::string_view data);
  size_t take_head(std::string_view data);
  size_t take_body(std::string_view data);
  void begin(RequestHead&& head);
  // More of the body is wanted: by the handler, to have it whole, or to read it away.
  bool awaited() const { return waiting_ || answer_out_ || current_->buffered() < Stream::kInBound; }
  void wait_for_body();
  void release();
  void hand_over();
  void refuse(const Refusal& refusal);
  void write_head(std::string& out);
  bool pump(std::string& out, size_t limit);
  void end_if_over();
  void forget_current();
  void cut();
  void body(std::string_view bytes) override;

  SessionHost& host_;
  const std::string peer_;
  const bool tls_;
  H1Head about_;       // the request of current_
  std::string in_;     // what could not be used yet
  std::string early_;  // answers of our own: 100 Continue, refusals
  std::shared_ptr<Stream> current_;
  bool body_done_ = true;   // of current_
  bool expecting_ = false;  // the client waits for 100 Continue before it sends the body
  bool keep_ = true;        // after current_
  bool head_sent_ = false, chunked_ = false, no_body_ = false;
  bool answer_out_ = false;  // all of it was produced
  bool timed_out_ = false;   // the body did not come
  Pool pool_ = Pool::loop;   // of current_
  bool waiting_ = false;     // current_ is not handed over: its body comes first
  int64_t held_ = 0;         // bytes told to the host for that
  size_t head_bytes_ = 0;    // of current_
  TransferMeter sender_ = meter();
  bool draining_ = false, done_ = false, hard_ = false;
  size_t discarded_ = 0;  // bytes of the body after the answer was out
  int answered_ = 0;
  const int64_t born_us_ = host_.now_us();
  int64_t last_us_;            // begin of the connection, then the last bytes in either direction
  int64_t head_since_us_ = 0;  // the first byte of an incomplete head came; 0: none
  size_t head_seen_ = 0;       // of it: where its last line begins
};

void H1Session::receive(std::string_view bytes) {
  if (done_) return;
  last_us_ = host_.now_us();
  if (in_.empty()) {
    size_t used = process(bytes);
    if (!done_ && used < bytes.size()) in_.assign(bytes.substr(used));
  } else {
    in_.append(bytes);
    in_.erase(0, process(in_));
  }
}

// Heads and bodies until one request is complete: it is answered before the next one is looked at.
size_t H1Session::process(std::string_view data) {
  size_t used = 0;
  while (!done_ && used < data.size()) {
    bool head = !current_;
    if (!head && body_done_) break;
    size_t n = head ? take_head(data.substr(used)) : take_body(data.substr(used));
    used += n;
    if (!head) end_if_over();
    if (n == 0) break;
  }
  if (waiting_) wait_for_body();
  return used;
}

size_t H1Session::take_head(std::string_view data) {
  size_t skipped = answered_ > 0 && data.starts_with("\r\n") ? 2 : 0;  // RFC 9112, 2.2: after an old client's POST
  Refusal refusal;
  size_t n = find_head(data.substr(skipped), host_.options().header_limit, refusal, head_seen_);
  if (n == 0 && !refusal.status) {
    if (head_since_us_ == 0) head_since_us_ = host_.now_us();
    return 0;
  }
  RequestHead head;
  if (!refusal.status) refusal = parse_head(data.substr(skipped, n), head, about_);
  if (refusal.status) {
    refuse(refusal);
    return 0;
  }
  head_since_us_ = 0;
  head_seen_ = 0;
  head_bytes_ = n;
  begin(std::move(head));
  return skipped + n;
}

void H1Session::begin(RequestHead&& head) {
  head.peer = peer_;
  head.tls = tls_;
  Route route = host_.route(head);
  if (head.content_length >= 0 && static_cast<uint64_t>(head.content_length) > route.body_limit) {
    return refuse({413, "the body is over this route's limit"});
  }
  host_.count_request();
  host_.count_active(1);
  body_done_ = about_.body.done();
  expecting_ = about_.expects_continue;
  keep_ = about_.keep_alive && !draining_;
  no_body_ = head.method == "HEAD";
  head_sent_ = chunked_ = answer_out_ = timed_out_ = false;
  discarded_ = 0;
  current_ = std::make_shared<Stream>(host_.waker(), std::move(head), route.body_limit);
  current_->owner = host_.connection();
  sender_ = meter();
  pool_ = route.pool;
  waiting_ = !body_done_ && waits_for_body(pool_);
  if (body_done_) current_->deliver_end();
  if (!waiting_) hand_over();
}

// What came did not end the body. The handler would read all of it, so a client that waits for 100 Continue gets it.
void H1Session::wait_for_body() {
  if (std::exchange(expecting_, false)) early_ += kContinue;
  const int64_t held = kHeldOverhead + static_cast<int64_t>(head_bytes_ + current_->buffered());
  if (host_.hold(held - std::exchange(held_, held))) return;
  host_.count_refused();
  release();
  answer_busy(*current_);
}

void H1Session::release() {
  waiting_ = false;
  if (held_ != 0) host_.hold(-std::exchange(held_, 0));
}

void H1Session::hand_over() {
  release();
  if (!host_.dispatch(pool_, current_)) host_.count_refused();
}

size_t H1Session::take_body(std::string_view data) {
  Refusal refusal;
  expecting_ = false;  // it did not wait
  size_t n = about_.body.take(data, *this, refusal);
  if (refusal.status) {
    keep_ = false;
    body_done_ = true;  // nothing that follows can be understood
    current_->deliver_error(fail(Code::invalid, std::string(refusal.why)));
    n = data.size();
  } else if (about_.body.done()) {
    body_done_ = true;
    current_->deliver_end();
  }
  if (waiting_ && current_->body_over()) hand_over();
  return n;
}

void H1Session::body(std::string_view bytes) {
  sender_.moved(bytes.size());
  if (answer_out_) {
    discarded_ += bytes.size();
  } else {
    current_->deliver(bytes);
  }
}

void H1Session::service(Stream& stream) {
  if (&stream != current_.get()) return;
  if (stream.take_continue() && expecting_ && !head_sent_) {
    expecting_ = false;
    early_ += kContinue;
  }
  stream.take_consumed();
}

void H1Session::produce(std::string& out, size_t limit) {
  for (;;) {
    // 100 Continue (of current_, before its answer), or a refusal (then there is no current_ any more).
    out += early_;
    early_.clear();
    if (!current_ || answer_out_ || out.size() >= limit || !pump(out, limit)) return;
    answer_out_ = true;
    current_->retire();
    end_if_over();
    if (!done_ && !in_.empty()) in_.erase(0, process(in_));
  }
}

// False: not finished yet.
bool H1Session::pump(std::string& out, size_t limit) {
  auto answer = current_->answer();
  if (answer.aborted) {
    // Bytes that were pushed before are of no use without their end. Nothing sent yet: the client may ask again.
    cut();
    return false;
  }
  if (!answer.started) return false;
  last_us_ = host_.now_us();
  if (!head_sent_) write_head(out);
  while (answer.pending > 0 && out.size() < limit) {
    size_t n = std::min(answer.pending, limit - out.size());
    if (no_body_) {
      std::string dropped;
      current_->take(dropped, n);
    } else if (chunked_) {
      append_hex(out, n);
      out += "\r\n";
      current_->take(out, n);
      out += "\r\n";
    } else {
      current_->take(out, n);
    }
    answer = current_->answer();
  }
  if (!answer.finished || answer.pending > 0) return false;
  if (chunked_ && !no_body_) out += "0\r\n\r\n";
  return true;
}

void H1Session::write_head(std::string& out) {
  head_sent_ = true;
  Headers headers;
  int64_t length = -1;
  int status = current_->take_head(headers, length);
  if (bodiless(status)) no_body_ = true;
  // What the client still sends of its body may be more than is worth reading away: then it must know by the head.
  bool unread = !body_done_;
  if (unread && (expecting_ || current_->head().content_length > static_cast<int64_t>(kDiscardBound))) keep_ = false;
  if (draining_) keep_ = false;
  out += "HTTP/1.1 ";
  append_decimal(out, static_cast<uint64_t>(status));
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
  for (const auto& [name, value] : headers.all()) {
    if (connection_header(name) || name == "date" || name == "content-length") continue;
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  out += "date: ";
  out += host_.date();
  if (length >= 0 && status != 204) {
    out += "\r\ncontent-length: ";
    append_decimal(out, static_cast<uint64_t>(length));
  } else if (!bodiless(status)) {
    if (about_.http10) {
      keep_ = false;  // the end of the connection is the end of the body
    } else {
      chunked_ = true;
      out += "\r\ntransfer-encoding: chunked";
    }
  }
  out += keep_ ? "\r\n\r\n" : "\r\nconnection: close\r\n\r\n";
}

// The answer is out; the exchange ends when its body came to the end too (read away, if the handler did not want it).
void H1Session::end_if_over() {
  if (!current_ || !answer_out_) return;
  if (!body_done_ && keep_ && discarded_ <= kDiscardBound) return;
  if (!body_done_) keep_ = false;
  if (!keep_) done_ = true;
  forget_current();
  ++answered_;
  last_us_ = host_.now_us();
}

void H1Session::forget_current() {
  release();
  current_->owner = nullptr;
  current_ = nullptr;
  host_.count_active(-1);
}

void H1Session::refuse(const Refusal& refusal) {
  host_.count_refused();
  std::string text(refusal.why);
  text += '\n';
  early_ += "HTTP/1.1 ";
  append_decimal(early_, static_cast<uint64_t>(refusal.status));
  early_ += ' ';
  early_ += reason_phrase(refusal.status);
  early_ += "\r\ncontent-type: text/plain\r\ndate: ";
  early_ += host_.date();
  early_ += "\r\ncontent-length: ";
  append_decimal(early_, text.size());
  early_ += "\r\nconnection: close\r\n\r\n";
  early_ += text;
  done_ = true;
}

// The answer will never be whole. Cut hard: the end of an HTTP/1.0 body is told by the connection's end alone.
void H1Session::cut() {
  hard_ = done_ = true;
  auto stream = current_;
  forget_current();
  stream->client_gone();
}

void H1Session::gone() {
  early_.clear();
  done_ = true;
  if (current_) cut();
}

void H1Session::receive_end() {
  if (done_) return;
  keep_ = false;
  if (!current_) {
    done_ = true;
    return;
  }
  if (!body_done_) {
    body_done_ = true;
    current_->deliver_error(fail(Code::unavailable, "the client closed before the end of the body"));
  }
  if (waiting_) hand_over();
  current_->client_left();
  end_if_over();
}

bool H1Session::wants_bytes() const {
  if (done_) return false;
  if (!current_) return true;
  if (!body_done_) return awaited();
  return in_.size() < kStashBound;
}

void H1Session::tick(int64_t now_us) {
  if (done_) return;
  const ServerOptions& options = host_.options();
  if (!current_) {
    // A head that began, or the first one of a connection, must come soon; between two requests there is more time.
    if (head_since_us_ > 0 || answered_ == 0) {
      int64_t since = answered_ > 0 ? head_since_us_ : born_us_;
      if (now_us - since <= options.head_timeout_ms * int64_t{1000}) return;
      if (head_since_us_ > 0) return refuse({408, "the head took too long"});
      done_ = true;
    } else if (now_us - last_us_ > options.idle_timeout_ms * int64_t{1000}) {
      done_ = true;
    }
    return;
  }
  const bool its_turn = !body_done_ && !expecting_ && !timed_out_ && awaited();
  if (!sender_.step(now_us, its_turn)) return;
  timed_out_ = true;
  keep_ = false;
  current_->deliver_error(fail(Code::unavailable, "the client sent the body too slowly, or stopped"));
  if (waiting_) hand_over();
  end_if_over();
}

void H1Session::drain() {
  draining_ = true;
  if (!head_sent_) keep_ = false;
  if (!current_) done_ = true;
}

}  // namespace

std::unique_ptr<Session> make_h1_session(SessionHost& host, std::string peer, bool tls) {
  return std::make_unique<H1Session>(host, std::move(peer), tls);
}

}  // namespace hf::http
