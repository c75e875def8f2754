// The client's connection: a socket, TLS over it if asked for, and a limit on every wait. Internal to http/.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/process.h"

struct ssl_ctx_st;
struct ssl_st;
struct bio_st;

namespace hf::http {

struct Endpoint {
  bool tls = false;
  std::string host;       // without brackets
  std::string port;       // digits
  std::string authority;  // as given: host[:port]
};
Result<Endpoint> parse_endpoint(std::string_view url);  // "http://host:port" or "https://..." without a path

// Trusts exactly the authorities of `ca_pem`.
class ClientTls {
 public:
  static Result<std::shared_ptr<ClientTls>> make(const std::string& ca_pem);
  ~ClientTls();
  ssl_ctx_st* get() const { return context_; }

 private:
  explicit ClientTls(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

class Wire {
 public:
  // Connects, and with `tls` (may be null) verifies the server's certificate for the endpoint's name or address.
  // `unix_path`: a socket file in place of the endpoint's address; "": none.
  static Result<std::unique_ptr<Wire>> connect(const Endpoint& endpoint, std::shared_ptr<ClientTls> tls, int timeout_ms,
                                               const std::string& unix_path = {});
  ~Wire();
  Status send(std::string_view bytes);
  Result<size_t> receive(std::span<char> out);  // 0: the server closed
  bool speaks();                                // without waiting: there is something to read, or the server closed

 private:
  static Result<std::unique_ptr<Wire>> connect_file(const std::string& path, int timeout_ms);
  Wire(os::Fd socket, int timeout_ms) : socket_(std::move(socket)), timeout_ms_(timeout_ms) {}
  Status handshake(const Endpoint& endpoint, ClientTls& tls);
  Status wait(short events, std::string_view what);
  Status tls_failed(int returned, std::string_view what, bool& again);

  os::Fd socket_;
  const int timeout_ms_;
  std::shared_ptr<ClientTls> tls_;
  ssl_st* ssl_ = nullptr;
};

}  // namespace hf::http
