// A session without a server, for tests and fuzzers: one thread, simulated time, exchanges that wait in a list.
#pragma once

#include <string>
#include <vector>

#include "http/session.h"

namespace hf::http {

class FakeWaker final : public Waker {
 public:
  void wake(std::shared_ptr<Stream> stream) override { woken.push_back(std::move(stream)); }
  bool on_loop() const override { return true; }  // read() says so instead of blocking
  std::vector<std::shared_ptr<Stream>> woken;
};

class FakeHost final : public SessionHost {
 public:
  ~FakeHost() {  // streams and their waker hold each other while one is woken
    exchanges.clear();
    fake_->woken.clear();
  }
  const ServerOptions& options() const override { return options_; }
  Route route(const RequestHead& head) override {
    Route route;
    route.pool = head.path() == "/health" ? Pool::loop : head.path() == "/whole" ? Pool::control : Pool::data;
    route.body_limit = body_limit;
    return route;
  }
  bool dispatch(Pool pool, const std::shared_ptr<Stream>& stream) override {
    std::shared_ptr<Exchange> exchange = stream->handle();
    if (pool == Pool::loop) {
      exchange->respond(200, {}, "ok\n");
    } else if (exchanges.size() >= options_.queue_limit) {
      answer_busy(*stream);
      return false;
    } else {
      exchanges.push_back(std::move(exchange));
    }
    return true;
  }
  bool hold(int64_t bytes) override { return (held += bytes) <= options_.held_limit; }
  const std::shared_ptr<Waker>& waker() override { return waker_; }
  std::string_view date() override { return "Sun, 22 Nov 2026 07:49:25 GMT"; }
  int64_t now_us() override { return now; }
  void* connection() override { return this; }
  void count_request() override { ++requests; }
  void count_active(int delta) override { active += delta; }
  void count_refused() override { ++refused; }
  void count_reset() override { ++resets; }

  // What the loop does after an event: woken streams are served, what there is to send is taken.
  std::string settle(Session& session, size_t limit = 1 << 20) {
    std::string out;
    for (int round = 0; round < 8; ++round) {
      auto woken = std::exchange(fake_->woken, {});
      for (auto& stream : woken) {
        stream->set_woken(false);
        if (stream->owner) session.service(*stream);
      }
      size_t before = out.size();
      session.produce(out, before + limit);
      if (out.size() == before && fake_->woken.empty()) break;
    }
    return out;
  }

  ServerOptions options_;
  uint64_t body_limit = 1 << 20;
  int64_t now = 1'000'000;
  std::vector<std::shared_ptr<Exchange>> exchanges;
  int64_t held = 0;
  int requests = 0, active = 0, refused = 0, resets = 0;

 private:
  std::shared_ptr<FakeWaker> fake_ = std::make_shared<FakeWaker>();
  std::shared_ptr<Waker> waker_ = fake_;
};

}  // namespace hf::http
