// Stream: the one implementation of Exchange. It is the meeting place of two threads: the handler's (Exchange's
// members) and the loop's (the rest), each under one mutex, never held while anything else is called.
//
//   socket -> Session -> [in: at most kInBound + one read] -> handler.read()
//   handler.push() -> [out: at most kOutBound + one piece] -> Session -> socket
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "http/http.h"

namespace hf::http {

class Stream;
class WorkPool;

// How a stream tells its loop that there is something to do. Outlives every stream (shared).
class Waker {
 public:
  virtual ~Waker() = default;
  virtual void wake(std::shared_ptr<Stream> stream) = 0;  // any thread; the loop then calls Session::service
  virtual bool on_loop() const = 0;                       // the calling thread is the loop: it must never block
};

class Stream final : public Exchange, public std::enable_shared_from_this<Stream> {
 public:
  static constexpr size_t kInBound = 128 << 10;   // over it the client is held back
  static constexpr size_t kOutBound = 256 << 10;  // over it push() says full

  Stream(std::shared_ptr<Waker> waker, RequestHead head, uint64_t body_limit)
      : head_(std::move(head)), waker_(std::move(waker)), body_limit_(body_limit) {}

  // ---- the handler's side: see Exchange
  const RequestHead& head() const override { return head_; }
  Result<size_t> read(std::span<char> out) override;
  void respond(int status, Headers headers, std::string body) override;
  void start(int status, Headers headers) override;
  Push push(std::string data) override;
  Status write(std::string data) override;
  void finish() override;
  void abort() override;
  bool closed() const override { return closed_.load(std::memory_order_acquire); }
  void on_room(std::function<void()> callback) override;
  void on_pool(std::function<void()> work) override;

  // The last handle of a handler is gone, or it threw: what has no answer gets a 500, half an answer is aborted.
  void abandon();

  // ---- the loop's side
  // The handler's handle: when its last copy goes, abandon() is called.
  std::shared_ptr<Exchange> handle();
  void deliver(std::string_view bytes);  // of the body; counts towards the limit
  void deliver_end();
  void deliver_error(Error error);  // what read() returns once the bytes before it are read
  size_t buffered() const;          // bytes delivered and not read
  bool body_over() const;           // its end came, or an error in place of it
  size_t take_consumed();           // bytes read by the handler since the last call
  bool take_continue();             // true once: the first read asks for 100 Continue
  // The client went away (both sides wake up, on_room is called). The answer is dropped.
  void client_gone();
  // The client closed its side: as client_gone(), but an answer that comes whole by respond() is still wanted.
  void client_left();
  void retire();            // the answer is out: the handler's callback goes, and with it what it holds
  bool answerable() const;  // somebody may still take a whole answer
  // While set, wake() is silent: before the loop looks at the stream it is cleared.
  void set_woken(bool woken) { woken_.store(woken, std::memory_order_release); }

  struct Answer {
    bool started = false;   // status and headers are there
    bool finished = false;  // and every byte of the body
    bool aborted = false;   // the rest will never come
    size_t pending = 0;     // bytes of the body that wait to be taken
  };
  Answer answer() const;
  // Status and headers, once, after `started`. length: of the body, -1 if not known; it replaces a content-length
  // header.
  int take_head(Headers& headers, int64_t& length);
  size_t take(std::string& out, size_t most);  // appends
  size_t take(char* out, size_t most);

  WorkPool* pool = nullptr;  // where its handler runs, set before that; null: on the loop
  void* owner = nullptr;     // the loop's: the connection that carries it, null once the exchange is over
  void* slot = nullptr;      // the session's own record of it

 private:
  void wake();
  void begin(int status, Headers&& headers);
  void append(std::string&& data);
  void after_take(std::unique_lock<std::mutex>& lock);
  void lost(bool keep_whole_answer);
  template <class Sink>
  size_t take_into(size_t most, Sink&& sink);

  const RequestHead head_;
  const std::shared_ptr<Waker> waker_;
  const uint64_t body_limit_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string in_;
  size_t in_at_ = 0;
  uint64_t in_total_ = 0;
  size_t consumed_ = 0;
  bool in_end_ = false, in_failed_ = false, read_called_ = false, continue_wanted_ = false;
  Error in_error_;

  int status_ = 0;
  Headers headers_;
  int64_t declared_ = -1;  // content-length of the answer
  uint64_t pushed_ = 0;
  std::string out_;
  size_t out_at_ = 0;
  bool started_ = false, whole_ = false, finished_ = false, aborted_ = false, full_ = false, gone_ = false;
  std::function<void()> on_room_;
  std::atomic<bool> closed_{false}, woken_{false};
};

}  // namespace hf::http
