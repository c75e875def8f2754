// Session: one connection's protocol without its socket. Bytes in, bytes out, the clock as an argument: driven by the
// server's loop, and by tests and fuzzers from memory. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/http.h"
#include "http/stream.h"

namespace hf::http {

// What a session needs from the server (or from a test).
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const ServerOptions& options() const = 0;
  virtual Route route(const RequestHead& head) = 0;
  // Hands the exchange to its pool. Pool::loop: the handler ran when this returns. False: the pool's queue is full, and
  // the exchange has its answer (answer_busy).
  virtual bool dispatch(Pool pool, const std::shared_ptr<Stream>& stream) = 0;
  // `bytes` more (or less) are held for requests that wait for the rest of their body. False: over held_limit; they
  // are counted all the same.
  virtual bool hold(int64_t bytes) = 0;
  virtual const std::shared_ptr<Waker>& waker() = 0;
  virtual std::string_view date() = 0;  // IMF-fixdate of this second
  virtual int64_t now_us() = 0;         // monotonic
  virtual void* connection() = 0;       // goes into Stream::owner
  virtual void count_request() = 0;
  virtual void count_active(int delta) = 0;
  virtual void count_refused() = 0;
  virtual void count_reset() = 0;
};

void answer_busy(Stream& stream);  // 503 with Retry-After

constexpr int64_t kHeldOverhead = 1 << 10;  // what a request costs beside its head and body, about
inline bool waits_for_body(Pool pool) { return pool == Pool::control || pool == Pool::generate; }

class Session {
 public:
  virtual ~Session() = default;
  // Takes all of `bytes`; what cannot be used yet is kept (bounded: see wants_bytes).
  virtual void receive(std::string_view bytes) = 0;
  virtual void receive_end() = 0;  // the client closed its side
  // A stream of this session has something: an answer, room for the client, a wish for 100 Continue.
  virtual void service(Stream& stream) = 0;
  // Appends what is to be sent until `out` holds `limit` bytes or nothing is left.
  virtual void produce(std::string& out, size_t limit) = 0;
  virtual bool wants_bytes() const = 0;  // false: leave the socket alone until produce() or service() changed that
  // Everything that will ever be produced was: close when it is written. hard(): cut, so that the client cannot take
  // half an answer for a whole one.
  virtual bool done() const = 0;
  virtual bool hard() const = 0;
  virtual void tick(int64_t now_us) = 0;  // timeouts; called some times within the shortest of them
  virtual void drain() = 0;               // finish what runs, take nothing new
  virtual void gone() = 0;                // the socket is dead: every stream is told, nothing is produced any more
};

}  // namespace hf::http
