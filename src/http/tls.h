// TLS 1.2 and 1.3 for the server, between two buffers: ciphertext in, plain text out, and back. No sockets.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace hf::http {

// The certificate and what all connections share (ticket keys: a session resumes on any loop). Immutable, thread-safe.
class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> make(const std::string& certificate_pem, const std::string& key_pem);
  ~TlsContext();
  ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

class Tls {
 public:
  explicit Tls(std::shared_ptr<TlsContext> context);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  void feed(std::string_view ciphertext);  // borrowed until read() returned 0 or less
  // Plain text: its bytes; 0: needs more ciphertext; -1: the client ended the session; -2: broken.
  int read(char* out, int size);
  bool write(std::string_view plain);  // false: broken, or the handshake is not complete
  void close();                        // appends the closing alert to output
  bool ready() const;                  // the handshake is complete
  bool chose_http1() const;            // ALPN said http/1.1

  std::string output;  // ciphertext for the client; the caller takes it

 private:
  friend struct TlsBio;
  std::shared_ptr<TlsContext> context_;
  ssl_st* ssl_;
  std::string_view input_;
};

}  // namespace hf::http
