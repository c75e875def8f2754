// The server and the client. One port speaks HTTP/1.1, HTTP/2 with prior knowledge, and (with TLS) both by ALPN.
// The event loop (Asio) lives in the .cc files only. A request becomes an Exchange; the handler runs as plain blocking
// code on a bounded pool, or, for a route that never blocks, on the loop itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/process.h"

namespace hf::http {

// Header names are lower case; order and repeats are kept as sent. HTTP/2's pseudo headers are not in here.
class Headers {
 public:
  void add(std::string name, std::string value);      // name is lowered
  void set(std::string name, std::string value);      // replaces all of that name
  std::string_view get(std::string_view name) const;  // the first, or ""; name in lower case
  bool has(std::string_view name) const;
  size_t count(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

struct RequestHead {
  std::string method;     // upper case as sent
  std::string target;     // origin form exactly as sent: path and query, still encoded
  std::string authority;  // :authority, or Host
  bool http2 = false;
  bool tls = false;
  Headers headers;
  std::string peer;                // "127.0.0.1:40000"
  int64_t content_length = -1;     // -1: not said (chunked, HTTP/2 without it)
  std::string_view path() const;   // target up to '?', encoded
  std::string_view query() const;  // after '?', encoded, or ""
};

// One request and its answer. Reading is for one thread at a time; every other member may be called from any thread.
// The exchange lives until both the answer is finished (or aborted) and the last shared_ptr is gone: a handler may
// return and leave a copy to whoever will push the answer.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const RequestHead& head() const = 0;

  // Blocks until bytes are there; 0 at the end of the body. Errors: too_large (over the route's limit), invalid (the
  // framing is broken, with the reason), unavailable (the client is gone or too slow). The first read of a request
  // with Expect: 100-continue sends the 100. Reading drives the client's flow-control window (back-pressure).
  virtual Result<size_t> read(std::span<char> out) = 0;
  Result<std::string> read_all(size_t limit);  // too_large beyond limit

  // The whole answer at once. Date and Content-Length are added.
  virtual void respond(int status, Headers headers, std::string body) = 0;

  // Or piece by piece: start, then push/write, then finish. Without a content-length header the body is chunked (h1).
  virtual void start(int status, Headers headers) = 0;
  enum class Push { ok, full, closed };
  // Never blocks. full: it was taken, but the outbox is over its bound (256 KiB): stop until on_room. closed: dropped.
  virtual Push push(std::string data) = 0;
  virtual Status write(std::string data) = 0;  // blocks while the outbox is full; unavailable: the client is gone
  virtual void finish() = 0;
  virtual void abort() = 0;  // h2: RST_STREAM; h1: close. For an answer that failed after start()
  virtual bool closed() const = 0;
  // Called once each time the outbox falls below half its bound after `full`, and once when the client goes away
  // (closed() is true then), from the loop: must not block. Set before the first push. A client of HTTP/1.1 that closes
  // its sending side is taken to be gone, as there is no telling the two apart before the answer is sent.
  virtual void on_room(std::function<void()> callback) = 0;
  // For on_room's callback: runs `work`, which may block and must not throw, on a thread of the route's pool. An answer
  // that is made piece by piece so holds no thread while its client reads slowly.
  virtual void on_pool(std::function<void()> work) = 0;
};

// Handlers of control and generate want the whole body, so they start when it is here (in memory: body_limit): a client
// that sends slowly holds no thread of theirs. Handlers of data start at the head and read as it comes.
enum class Pool { loop, control, data, generate };

// Chosen from the head, before any byte of the body is taken.
struct Route {
  Pool pool = Pool::control;
  uint64_t body_limit = 1 << 20;  // bytes; over it: 413 before the handler if announced, too_large in read() else
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;                     // 0: any free one
  bool plain = true;                     // clear text is accepted (loopback)
  std::string certificate_pem, key_pem;  // both set: TLS is accepted, on the same port (first byte 0x16)
  // Where a listening socket comes from; empty: made here. It is listening already.
  std::function<Result<os::Fd>(const std::string& address, uint16_t port)> listen = {};
  int loops = 2;  // event loop threads
  int control_threads = 8, data_threads = 16, generate_threads = 32;
  size_t header_limit = 64 << 10;  // bytes of a whole head: 431
  size_t queue_limit = 1024;       // exchanges waiting for a pool: 503 beyond
  int max_connections = 10'000;
  int max_streams = 128;         // concurrent h2 streams a connection
  int head_timeout_ms = 15'000;  // from accept or the last answer's end to a complete head (slow loris)
  int idle_timeout_ms = 75'000;
  // A client that moves nothing of a body this long, or less than min_rate over it, is cut: either way, counting only
  // the time in which it is the client's turn.
  int body_timeout_ms = 30'000;
  int min_rate = 500;                // bytes a second
  int64_t held_limit = 256ll << 20;  // bytes of requests that wait for the rest of their body before a handler: 503
  int max_resets_per_minute = 200;   // h2: RST_STREAMs of the client on one connection, then GOAWAY (rapid reset)
};

class Server {
 public:
  using Router = std::function<Route(const RequestHead&)>;         // on the loop: quick, never blocks
  using Handler = std::function<void(std::shared_ptr<Exchange>)>;  // on the route's pool; exceptions become 500
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, os::Clock& clock, Router router,
                                               Handler handler);
  virtual ~Server() = default;  // stops at once
  virtual uint16_t port() const = 0;
  // Stops accepting, sends GOAWAY / Connection: close, waits for what runs at most timeout_ms. True: nothing was cut.
  virtual bool drain(int timeout_ms) = 0;
  struct Counters {
    uint64_t connections, requests, active, refused, resets;
  };
  virtual Counters counters() const = 0;
};

// ---- client: blocking, HTTP/1.1 with keep-alive, one connection an object; one thread at a time.
struct ClientOptions {
  std::string ca_pem;       // trust exactly this authority; empty: no TLS allowed
  int timeout_ms = 60'000;  // without progress
  // A socket file to connect to in place of the endpoint's address (an egress door); TLS verifies the endpoint's name.
  std::string unix_path = {};
};
struct Response {
  int status = 0;
  Headers headers;
  std::string body;
};
class Client {
 public:
  // endpoint: "https://host:port" or "http://host:port". Connects at the first request, again after an idle close.
  static Result<std::unique_ptr<Client>> make(std::string endpoint, ClientOptions options);
  virtual ~Client() = default;
  virtual const std::string& authority() const = 0;  // host:port as it goes into Host
  virtual Result<Response> request(const std::string& method, const std::string& target, const Headers& headers,
                                   std::string_view body) = 0;
  // The body is read from `body` (returns 0 at the end), sent with content_length.
  virtual Result<Response> upload(const std::string& method, const std::string& target, const Headers& headers,
                                  uint64_t content_length,
                                  const std::function<Result<size_t>(std::span<char>)>& body) = 0;
  // Pieces of the answer's body as they come; return false to stop (closes the connection). status/headers in Response.
  virtual Result<Response> stream(const std::string& method, const std::string& target, const Headers& headers,
                                  std::string_view body, const std::function<bool(std::string_view)>& piece) = 0;
};

}  // namespace hf::http
