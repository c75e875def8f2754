#include "api/event_sink.h"

#include <mutex>

#include "wire/eventstream.h"
#include "wire/sse.h"

namespace hf::api {
namespace {

class Sink : public EventSink {
 public:
  Sink(std::shared_ptr<http::Exchange> exchange, ErrorForm form, std::string request_id)
      : exchange_(std::move(exchange)), form_(std::move(form)), request_id_(std::move(request_id)) {
    const bool sse = form_.protocol == Protocol::openai;
    headers_.set("content-type", sse ? "text/event-stream" : "application/vnd.amazon.eventstream");
    if (sse) headers_.set("cache-control", "no-cache");
    add_request_id(form_, request_id_, headers_);
  }
  ~Sink() override { error(fail(Code::internal, "a stream was left without its end")); }

  http::Exchange::Push event(std::string_view type, std::string data, std::string_view content_type) override {
    std::lock_guard lock(mutex_);
    if (state_ == State::ended) return http::Exchange::Push::closed;
    begin();
    return exchange_->push(form_.protocol == Protocol::openai ? wire::sse_event(data)
                                                              : wire::event_message(type, content_type, data));
  }

  void header(std::string name, std::string value) override {
    std::lock_guard lock(mutex_);
    if (state_ == State::fresh) headers_.set(std::move(name), std::move(value));
  }

  void error(const Error& e) override {
    std::lock_guard lock(mutex_);
    if (state_ == State::ended) return;
    if (state_ == State::fresh) {
      Reply reply = error_reply(form_, e, request_id_, exchange_->head());
      exchange_->respond(reply.status, std::move(reply.headers), std::move(reply.body));
    } else {
      (void)exchange_->push(stream_error(form_, e, request_id_));
      exchange_->finish();
    }
    state_ = State::ended;
  }

  void finish() override {
    std::lock_guard lock(mutex_);
    if (state_ == State::ended) return;
    begin();
    if (form_.protocol == Protocol::openai) (void)exchange_->push(wire::sse_event("[DONE]"));
    exchange_->finish();
    state_ = State::ended;
  }

  bool closed() const override { return exchange_->closed(); }
  void on_room(std::function<void()> callback) override { exchange_->on_room(std::move(callback)); }

 private:
  enum class State { fresh, open, ended };
  void begin() {
    if (state_ != State::fresh) return;
    exchange_->start(200, std::move(headers_));
    state_ = State::open;
  }
  std::mutex mutex_;
  std::shared_ptr<http::Exchange> exchange_;
  ErrorForm form_;
  std::string request_id_;
  http::Headers headers_;
  State state_ = State::fresh;
};

}  // namespace

std::shared_ptr<EventSink> make_event_sink(std::shared_ptr<http::Exchange> exchange, ErrorForm form,
                                           std::string request_id) {
  return std::make_shared<Sink>(std::move(exchange), std::move(form), std::move(request_id));
}

}  // namespace hf::api
