#include "http/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "http/h2_meter.h"
#include "http/message.h"
#include "http/transfer.h"

namespace hf::http {
namespace {

constexpr int32_t kConnectionWindow = 1 << 20;
constexpr size_t kDiscardBound = 256 << 10;
constexpr size_t kHeaderOverhead = 32;  // RFC 9113, 6.5.2: what a header costs beside its bytes
constexpr size_t kHeaderCountLimit = 256;
// All requests of a connection may hold this many times header_limit of heads: HPACK makes 64 KiB of 20 bytes, and 128
// streams of that kept open would cost 8 MiB a connection.
constexpr size_t kHeadsOfAConnection = 8;

// Frames of ours that wait for the socket, at most (and what one read more adds): a client that provokes them and reads
// none (refused streams cost it 10 bytes each) is not read on. A busy connection has some for each of its streams.
constexpr size_t kQueuedFrames = 1024;

// One request, from its first header to the end of its stream.
struct H2Stream {
  explicit H2Stream(const TransferMeter& meter) : sender(meter), reader(meter) {}
  int32_t id = 0;
  RequestHead head;                // until it is dispatched
  std::shared_ptr<Stream> stream;  // from then on
  size_t header_bytes = 0;
  size_t discarded = 0;  // of a body that came after its answer was out
  int refusal = 0;       // status for a head that cannot be served
  std::string_view why;
  bool expecting = false;    // Expect: 100-continue, not answered yet
  bool body_done = false;    // the client's END_STREAM came
  bool submitted = false;    // the answer's head was given to nghttp2
  bool deferred = false;     // its body waits for the handler
  bool sent = false;         // END_STREAM of ours is out
  bool reset_by_us = false;  // for a reason of our own, not the client's fault
  bool timed_out = false;
  bool counted = false;   // among the active ones
  bool bodiless = false;  // HEAD, 204, 304: what the handler pushes is not sent
  Pool pool = Pool::loop;
  bool waiting = false;          // not handed over: its body comes first
  int64_t held = 0;              // bytes told to the host for that
  TransferMeter sender, reader;  // of the client
};

class H2Session final : public Session {
 public:
  H2Session(SessionHost& host, std::string peer, bool tls);
  ~H2Session() override;

  void receive(std::string_view bytes) override;
  void receive_end() override { closing_ = true; }  // nobody half-closes HTTP/2
  void service(Stream& stream) override;
  void produce(std::string& out, size_t limit) override;
  bool wants_bytes() const override {
    return !done() && nghttp2_session_get_outbound_queue_size(session_) < kQueuedFrames;
  }
  bool done() const override;
  bool hard() const override { return false; }
  void tick(int64_t now_us) override;
  void drain() override;
  void gone() override;

 private:
  static nghttp2_session* open(H2Session* self);
  static H2Session& self(void* user) { return *static_cast<H2Session*>(user); }
  H2Stream* find(int32_t id) {
    auto* found = nghttp2_session_get_stream_user_data(session_, id);
    return static_cast<H2Stream*>(found);
  }
  int on_begin_headers(const nghttp2_frame& frame);
  void on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int on_frame(const nghttp2_frame& frame);
  void on_sent(const nghttp2_frame& frame);
  void on_data(int32_t id, std::string_view bytes);
  void on_close(int32_t id);
  ssize_t read_body(H2Stream& h, char* out, size_t length, uint32_t& flags);

  TransferMeter meter() const {
    return {host_.options().body_timeout_ms * int64_t{1000}, host_.options().min_rate, host_.now_us()};
  }
  void check_pace(H2Stream& h, int64_t now_us);
  void dispatch(H2Stream& h);
  void wait_for_body(H2Stream& h);
  void release(H2Stream& h);
  void hand_over(H2Stream& h);
  void refuse_head(H2Stream& h);
  void answer_ourselves(H2Stream& h, int status, std::string_view why);
  void attend(H2Stream& h);
  void submit_continue(H2Stream& h);
  void submit_answer(H2Stream& h);
  void reset(H2Stream& h, uint32_t code);
  void terminate(uint32_t code);
  void judge(H2Meter::Verdict verdict);
  void forget(H2Stream& h);

  SessionHost& host_;
  const std::string peer_;
  const bool tls_;
  H2Meter meter_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, std::unique_ptr<H2Stream>> streams_;
  bool terminated_ = false;  // GOAWAY with an error is queued: nothing more is read
  bool closing_ = false;     // the client left, or the session is broken: nothing more is sent
  bool served_ = false;
  int64_t quiet_since_us_ = host_.now_us();  // the last stream ended; frames that are no request buy no time
  int64_t block_since_us_ = 0;               // an incomplete header block began; 0: none
  TransferMeter reader_ = meter();           // of the window that all streams share
  size_t heads_bytes_ = 0;                   // of all streams_
  std::vector<int32_t> fresh_;               // streams that began with the bytes in hand and wait for their body
};

H2Limits limits_of(const ServerOptions& options) {
  H2Limits limits;
  limits.resets_per_minute = options.max_resets_per_minute;
  limits.header_block = options.header_limit;
  return limits;
}

std::string_view view(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// nghttp2 copies both; its pointers are not const for the sake of C.
nghttp2_nv pair(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

H2Session::H2Session(SessionHost& host, std::string peer, bool tls)
    : host_(host), peer_(std::move(peer)), tls_(tls), meter_(limits_of(host.options())) {
  session_ = open(this);
  const ServerOptions& options = host_.options();
  nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, static_cast<uint32_t>(options.max_streams)},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(Stream::kInBound)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(options.header_limit)},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

H2Session::~H2Session() {
  gone();
  nghttp2_session_del(session_);
}

nghttp2_session* H2Session::open(H2Session* session) {
  // One table for all sessions would be shared state; building it costs less than a system call.
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  check(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0, "nghttp2: out of memory");
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, void* user) { return self(user).on_begin_headers(*frame); });
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void* user) {
        self(user).on_header(*frame, view(name, name_size), view(value, value_size));
        return 0;
      });
  // Without this one nghttp2 drops a malformed header in silence and serves the rest.
  nghttp2_session_callbacks_set_on_invalid_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t*, size_t, const uint8_t*, size_t,
                    uint8_t, void* user) {
        if (H2Stream* h = self(user).find(frame->hd.stream_id)) {
          h->refusal = 400;
          h->why = "a header is malformed";
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) { return self(user).on_frame(*frame); });
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks,
                                                       [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                                                         self(user).on_sent(*frame);
                                                         return 0;
                                                       });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
        self(user).on_data(id, view(data, size));
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                         [](nghttp2_session*, int32_t id, uint32_t, void* user) {
                                                           self(user).on_close(id);
                                                           return 0;
                                                         });
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_session* made = nullptr;
  check(nghttp2_session_server_new2(&made, callbacks, session, option) == 0, "nghttp2: out of memory");
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  return made;
}

// ---- from the client

void H2Session::receive(std::string_view bytes) {
  if (terminated_ || closing_) return;
  const int64_t now = host_.now_us();
  auto verdict = meter_.take(bytes, now);
  if (verdict == H2Meter::Verdict::ok) {
    ssize_t used = nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    if (used < 0) {
      // Too many queued acknowledgements, or not HTTP/2 at all. Protocol errors proper queue a GOAWAY by themselves.
      terminate(used == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    verdict = meter_.take({}, now);
  }
  block_since_us_ = !meter_.in_header_block() ? 0 : block_since_us_ > 0 ? block_since_us_ : now;
  for (int32_t id : std::exchange(fresh_, {})) {
    if (H2Stream* h = find(id); h && h->waiting) wait_for_body(*h);
  }
  judge(verdict);
}

void H2Session::judge(H2Meter::Verdict verdict) {
  if (verdict == H2Meter::Verdict::ok || terminated_) return;
  host_.count_refused();
  terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

void H2Session::terminate(uint32_t code) {
  terminated_ = true;
  if (nghttp2_session_terminate_session(session_, code) != 0) closing_ = true;
}

int H2Session::on_begin_headers(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS || frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  auto h = std::make_unique<H2Stream>(meter());
  h->id = frame.hd.stream_id;
  h->head.http2 = true;
  h->head.tls = tls_;
  nghttp2_session_set_stream_user_data(session_, h->id, h.get());
  streams_[h->id] = std::move(h);
  return 0;
}

void H2Session::on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value) {
  H2Stream* h = find(frame.hd.stream_id);
  if (!h) return;
  const size_t bytes = name.size() + value.size() + kHeaderOverhead, limit = host_.options().header_limit;
  h->header_bytes += bytes;
  heads_bytes_ += bytes;
  if (h->header_bytes > limit || h->head.headers.all().size() >= kHeaderCountLimit) {
    h->refusal = 431;
    h->why = "the head is over the limit";
  } else if (heads_bytes_ > kHeadsOfAConnection * limit) {
    h->refusal = 431;
    h->why = "the heads of this connection's requests are together over the limit";
  }
  if (h->stream || h->refusal) return;  // a trailer, or already refused: nothing is kept
  if (!valid_header_value(value)) {
    h->refusal = 400;
    h->why = "a header's value holds a control character";
  } else if (name == ":method") {
    h->head.method = value;
  } else if (name == ":path") {
    h->head.target = value;
  } else if (name == ":authority") {
    h->head.authority = value;
  } else if (name[0] != ':') {
    h->head.headers.add(std::string(name), std::string(value));
  }
}

int H2Session::on_frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_RST_STREAM) host_.count_reset();
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return 0;
  H2Stream* h = find(frame.hd.stream_id);
  if (!h) return 0;
  if (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) h->body_done = true;
  if (frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    dispatch(*h);
  } else if (h->body_done && h->stream) {
    h->stream->deliver_end();
    if (h->waiting) hand_over(*h);
  }
  return 0;
}

void H2Session::refuse_head(H2Stream& h) {
  RequestHead& head = h.head;
  std::string_view host = head.headers.get("host");
  if (head.authority.empty()) head.authority = host;
  int64_t length = head.headers.has("content-length") ? parse_content_length(head.headers.get("content-length")) : -1;
  head.content_length = length >= 0 ? length : h.body_done ? 0 : -1;
  auto refuse = [&](int status, std::string_view why) {
    if (h.refusal) return;
    h.refusal = status;
    h.why = why;
  };
  if (!valid_token(head.method)) refuse(400, "the method is not a token");
  if (!valid_target(head.method, head.target)) refuse(400, "expected a :path of the form /path?query");
  if (!valid_authority(head.authority)) refuse(400, ":authority is missing, or not a host and port");
  if (head.headers.count("host") > 1 || (!host.empty() && !iequal(host, head.authority))) {
    refuse(400, "Host is not the :authority");
  }
  if (head.headers.has("expect")) {
    h.expecting = !h.body_done;
    if (!iequal(head.headers.get("expect"), "100-continue")) refuse(417, "the only Expect known is 100-continue");
  }
}

void H2Session::dispatch(H2Stream& h) {
  refuse_head(h);
  h.head.peer = peer_;
  served_ = true;
  if (h.refusal) {
    host_.count_refused();
    return answer_ourselves(h, h.refusal, h.why);
  }
  Route route = host_.route(h.head);
  if (h.head.content_length >= 0 && static_cast<uint64_t>(h.head.content_length) > route.body_limit) {
    host_.count_refused();
    return answer_ourselves(h, 413, "the body is over this route's limit");
  }
  host_.count_request();
  host_.count_active(1);
  h.stream = std::make_shared<Stream>(host_.waker(), std::move(h.head), route.body_limit);
  h.stream->owner = host_.connection();
  h.stream->slot = &h;
  h.counted = true;
  h.pool = route.pool;
  h.sender = h.reader = meter();
  if (h.body_done) h.stream->deliver_end();
  h.waiting = !h.body_done && waits_for_body(h.pool);
  if (!h.waiting) return hand_over(h);
  fresh_.push_back(h.id);
}

// More was read of the connection, and the body is not at its end. The handler would read all of it, so a client that
// waits for 100 Continue gets it.
void H2Session::wait_for_body(H2Stream& h) {
  if (std::exchange(h.expecting, false)) submit_continue(h);
  const int64_t held = kHeldOverhead + static_cast<int64_t>(h.header_bytes + h.stream->buffered());
  if (host_.hold(held - std::exchange(h.held, held))) return;
  host_.count_refused();
  release(h);
  h.stream->set_woken(true);  // attended right here
  answer_busy(*h.stream);
  attend(h);
}

void H2Session::release(H2Stream& h) {
  h.waiting = false;
  if (h.held != 0) host_.hold(-std::exchange(h.held, 0));
}

void H2Session::hand_over(H2Stream& h) {
  release(h);
  const bool taken = host_.dispatch(h.pool, h.stream);
  if (!taken) host_.count_refused();
  if (!taken || h.pool == Pool::loop) attend(h);
}

void H2Session::submit_continue(H2Stream& h) {
  nghttp2_nv status = pair(":status", "100");
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, h.id, nullptr, &status, 1, nullptr);
}

void H2Session::answer_ourselves(H2Stream& h, int status, std::string_view why) {
  Headers headers;
  headers.add("content-type", "text/plain");
  h.head.headers = {};  // nobody will look at them
  h.stream = std::make_shared<Stream>(host_.waker(), std::move(h.head), 0);
  h.stream->slot = &h;
  h.stream->set_woken(true);  // attended right here
  h.stream->respond(status, std::move(headers), std::string(why) + "\n");
  attend(h);
}

void H2Session::on_data(int32_t id, std::string_view bytes) {
  nghttp2_session_consume_connection(session_, bytes.size());
  H2Stream* h = find(id);
  if (!h || !h->stream) return;
  h->expecting = false;
  h->sender.moved(bytes.size());
  h->stream->deliver(bytes);
  if (h->waiting) {
    nghttp2_session_consume_stream(session_, id, bytes.size());  // held_limit is its bound, not the window
    if (h->stream->body_over()) {
      hand_over(*h);
    } else {
      fresh_.push_back(id);
    }
  }
  if (h->sent && (h->discarded += bytes.size()) > kDiscardBound) reset(*h, NGHTTP2_NO_ERROR);
  if (size_t dropped = h->stream->take_consumed()) nghttp2_session_consume_stream(session_, id, dropped);
}

void H2Session::on_close(int32_t id) {
  auto it = streams_.find(id);
  if (it == streams_.end()) return;
  auto h = std::move(it->second);
  streams_.erase(it);
  nghttp2_session_set_stream_user_data(session_, id, nullptr);
  quiet_since_us_ = host_.now_us();
  forget(*h);
}

void H2Session::forget(H2Stream& h) {
  release(h);
  heads_bytes_ -= h.header_bytes;
  if (!h.stream) return;
  h.stream->owner = h.stream->slot = nullptr;
  if (h.counted) host_.count_active(-1);
  if (h.sent) {
    h.stream->retire();
  } else {
    h.stream->client_gone();
  }
}

// ---- from the handler

void H2Session::service(Stream& stream) {
  auto* h = static_cast<H2Stream*>(stream.slot);
  if (!h || closing_) return;
  attend(*h);
}

void H2Session::attend(H2Stream& h) {
  if (size_t n = h.stream->take_consumed(); n > 0 && !h.body_done) nghttp2_session_consume_stream(session_, h.id, n);
  if (h.stream->take_continue() && h.expecting && !h.submitted) {
    h.expecting = false;
    submit_continue(h);
  }
  auto answer = h.stream->answer();
  if (answer.aborted) return reset(h, NGHTTP2_INTERNAL_ERROR);
  if (!answer.started) return;
  if (!h.submitted) return submit_answer(h);
  if (h.deferred && (answer.pending > 0 || answer.finished)) {
    h.deferred = false;
    nghttp2_session_resume_data(session_, h.id);
  }
}

void H2Session::reset(H2Stream& h, uint32_t code) {
  if (h.reset_by_us) return;
  h.reset_by_us = true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, h.id, code);
}

void H2Session::submit_answer(H2Stream& h) {
  h.submitted = true;
  Headers headers;
  int64_t length = -1;
  const int status = h.stream->take_head(headers, length);
  auto answer = h.stream->answer();
  std::string status_text, length_text;
  append_decimal(status_text, static_cast<uint64_t>(status));
  std::vector<nghttp2_nv> fields;
  fields.reserve(headers.all().size() + 3);
  fields.push_back(pair(":status", status_text));
  for (const auto& [name, value] : headers.all()) {
    if (connection_header(name) || name == "date" || name == "content-length") continue;
    fields.push_back(pair(name, value));
  }
  if (length >= 0 && status != 204) {
    append_decimal(length_text, static_cast<uint64_t>(length));
    fields.push_back(pair("content-length", length_text));
  }
  fields.push_back(pair("date", host_.date()));
  nghttp2_data_provider body;
  body.source.ptr = &h;
  body.read_callback = [](nghttp2_session*, int32_t, uint8_t* out, size_t size, uint32_t* flags,
                          nghttp2_data_source* source, void* user) {
    return self(user).read_body(*static_cast<H2Stream*>(source->ptr), reinterpret_cast<char*>(out), size, *flags);
  };
  h.bodiless = h.stream->head().method == "HEAD" || bodiless(status);
  bool empty = h.bodiless || (answer.finished && answer.pending == 0);
  if (nghttp2_submit_response(session_, h.id, fields.data(), fields.size(), empty ? nullptr : &body) != 0) {
    reset(h, NGHTTP2_INTERNAL_ERROR);
  }
}

ssize_t H2Session::read_body(H2Stream& h, char* out, size_t length, uint32_t& flags) {
  auto answer = h.stream->answer();
  if (answer.aborted) {
    h.reset_by_us = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  if (answer.pending == 0 && !answer.finished) {
    h.deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  size_t n = h.stream->take(out, std::min(length, answer.pending));
  h.reader.moved(n);
  reader_.moved(n);
  if (answer.finished && n == answer.pending) flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(n);
}

void H2Session::on_sent(const nghttp2_frame& frame) {
  H2Stream* h = find(frame.hd.stream_id);
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    // Reset by nghttp2 for a broken rule: as dear to us as one that the client resets itself.
    const uint32_t code = frame.rst_stream.error_code;
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM && !(h && h->reset_by_us)) {
      judge(meter_.count_reset(host_.now_us()));
    }
    return;
  }
  if (!h || (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA)) return;
  if (!(frame.hd.flags & NGHTTP2_FLAG_END_STREAM)) return;
  h->sent = true;
  h->stream->retire();
  if (size_t dropped = h->stream->take_consumed()) nghttp2_session_consume_stream(session_, h->id, dropped);
  if (std::exchange(h->counted, false)) host_.count_active(-1);
  // The client still sends: what is not much is read away (curl 7.88 takes a reset here for a failure, though the
  // answer is whole), the rest is stopped (on_data, tick). RFC 9113, 8.1. One that waits for a 100 will not send.
  if (h->expecting) reset(*h, NGHTTP2_NO_ERROR);
}

void H2Session::produce(std::string& out, size_t limit) {
  while (!closing_ && out.size() < limit) {
    const uint8_t* data = nullptr;
    ssize_t n = nghttp2_session_mem_send(session_, &data);
    if (n < 0) closing_ = true;
    if (n <= 0) return;
    out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(n));
  }
}

// ---- the connection

bool H2Session::done() const {
  return closing_ || (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

void H2Session::tick(int64_t now_us) {
  if (closing_ || terminated_) return;
  const ServerOptions& options = host_.options();
  const int64_t head_us = options.head_timeout_ms * int64_t{1000};
  const int64_t quiet_us = served_ ? options.idle_timeout_ms * int64_t{1000} : head_us;
  if (block_since_us_ > 0 && now_us - block_since_us_ > head_us) return terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  if (streams_.empty() && now_us - quiet_since_us_ > quiet_us) return terminate(NGHTTP2_NO_ERROR);
  bool waits_for_window = false;
  for (auto& [id, h] : streams_) {
    if (!h->stream) continue;
    check_pace(*h, now_us);
    waits_for_window |= h->submitted && !h->sent && h->stream->answer().pending > 0;
  }
  waits_for_window = waits_for_window && nghttp2_session_get_remote_window_size(session_) <= 0;
  if (reader_.step(now_us, waits_for_window)) terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

// By windows: with one that is open nothing waits for the client, but for our socket, which is Connection's to judge.
void H2Session::check_pace(H2Stream& h, int64_t now_us) {
  const bool sends =
      !h.body_done && !h.expecting && !h.timed_out && nghttp2_session_get_stream_local_window_size(session_, h.id) > 0;
  const bool reads = h.submitted && !h.sent && h.stream->answer().pending > 0 &&
                     nghttp2_session_get_stream_remote_window_size(session_, h.id) <= 0;
  if (h.reader.step(now_us, reads)) return reset(h, NGHTTP2_CANCEL);  // the handler is told when the stream closes
  if (!h.sender.step(now_us, sends)) return;
  if (h.sent) return reset(h, NGHTTP2_NO_ERROR);
  h.timed_out = true;
  h.stream->deliver_error(fail(Code::unavailable, "the client sent the body too slowly, or stopped"));
  if (h.waiting) hand_over(h);
}

void H2Session::drain() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void H2Session::gone() {
  closing_ = true;
  auto streams = std::move(streams_);
  streams_.clear();
  for (auto& [id, h] : streams) forget(*h);
}

}  // namespace

std::unique_ptr<Session> make_h2_session(SessionHost& host, std::string peer, bool tls) {
  return std::make_unique<H2Session>(host, std::move(peer), tls);
}

}  // namespace hf::http
