#include "http/client_wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "http/message.h"

namespace hf::http {
namespace {

std::string system_error(int code) { return std::strerror(code); }

std::string tls_error() {
  char text[256] = "unknown";
  if (unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// As OpenSSL's own socket BIO, but a closed connection is an error to handle, never a SIGPIPE.
int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  auto fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  ssize_t n = ::send(fd, data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}
int bio_read(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  auto fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  ssize_t n = ::recv(fd, out, static_cast<size_t>(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}
long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}
const BIO_METHOD* bio_method() {
  static const BIO_METHOD* made = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
    check(m != nullptr, "OpenSSL: out of memory");
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    BIO_meth_set_create(m, bio_create);
    return m;
  }();
  return made;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view url) {
  Endpoint out;
  auto bad = [&](std::string_view why) {
    return fail(Code::invalid, "expected an endpoint such as https://host:8443, found '" + std::string(url) +
                                   "': " + std::string(why));
  };
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    out.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad("it begins with neither http:// nor https://");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (!valid_authority(rest)) return bad("no host and port");
  out.authority = rest;
  size_t colon = rest.rfind(':');
  if (rest[0] == '[') {
    size_t end = rest.find(']');
    if (end == std::string_view::npos) return bad("no ']' after the address");
    out.host = rest.substr(1, end - 1);
    if (end + 1 < rest.size() && rest[end + 1] != ':') return bad("no ':' after ']'");
    if (colon < end) colon = std::string_view::npos;
  } else {
    out.host = rest.substr(0, colon);
  }
  out.port = colon == std::string_view::npos ? (out.tls ? "443" : "80") : std::string(rest.substr(colon + 1));
  auto port = parse_int(out.port, "port");
  if (!port || *port < 1 || *port > 65535 || out.host.empty()) return bad("no host, or the port is not 1 to 65535");
  return out;
}

Result<std::shared_ptr<ClientTls>> ClientTls::make(const std::string& ca_pem) {
  ERR_clear_error();
  SSL_CTX* raw = SSL_CTX_new(TLS_client_method());
  if (!raw) return fail(Code::internal, "TLS: " + tls_error());
  std::shared_ptr<ClientTls> context(new ClientTls(raw));
  X509_STORE* store = SSL_CTX_get_cert_store(raw);
  BIO* bio = BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size()));
  int count = 0;
  while (X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    count += X509_STORE_add_cert(store, certificate);
    X509_free(certificate);
  }
  BIO_free(bio);
  ERR_clear_error();
  if (count == 0) return fail(Code::invalid, "TLS: expected the authority's certificate as PEM");
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  static constexpr unsigned char kAlpn[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(raw, kAlpn, sizeof kAlpn - 1);
  return context;
}

ClientTls::~ClientTls() { SSL_CTX_free(context_); }

Result<std::unique_ptr<Wire>> Wire::connect_file(const std::string& path, int timeout_ms) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path) return fail(Code::invalid, "a socket's path is too long: " + path);
  std::memcpy(to.sun_path, path.data(), path.size());
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    return fail(Code::unavailable, "cannot connect to " + path + ": " + system_error(errno));
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Wire>(new Wire(std::move(socket), timeout_ms));
}

Result<std::unique_ptr<Wire>> Wire::connect(const Endpoint& endpoint, std::shared_ptr<ClientTls> tls, int timeout_ms,
                                            const std::string& unix_path) {
  if (!unix_path.empty()) {
    auto wire = TRY(connect_file(unix_path, timeout_ms));
    if (!tls) return wire;
    wire->tls_ = tls;
    TRY(wire->handshake(endpoint, *tls));
    return wire;
  }
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (is_address(endpoint.host) ? AI_NUMERICHOST : 0);
  if (int error = ::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found)) {
    return fail(Code::unavailable, "cannot resolve '" + endpoint.host + "': " + ::gai_strerror(error));
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  std::string problem = "no address";
  for (addrinfo* at = found; at; at = at->ai_next) {
    os::Fd socket(::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) continue;
    int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::unique_ptr<Wire> wire(new Wire(std::move(socket), timeout_ms));
    if (::connect(wire->socket_.get(), at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
      problem = system_error(errno);
      continue;
    }
    if (auto waited = wire->wait(POLLOUT, "connecting"); !waited) {
      problem = waited.error().message;
      continue;
    }
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(wire->socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      problem = system_error(error);
      continue;
    }
    if (tls) {
      wire->tls_ = tls;
      TRY(wire->handshake(endpoint, *tls));
    }
    return wire;
  }
  return fail(Code::unavailable, "cannot connect to " + endpoint.authority + ": " + problem);
}

Wire::~Wire() {
  if (!ssl_) return;
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  ERR_clear_error();
  SSL_free(ssl_);
}

Status Wire::handshake(const Endpoint& endpoint, ClientTls& tls) {
  ssl_ = SSL_new(tls.get());
  BIO* bio = BIO_new(bio_method());
  check(ssl_ != nullptr && bio != nullptr, "OpenSSL: out of memory");
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket_.get())));
  SSL_set_bio(ssl_, bio, bio);
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_);
  int named;
  if (is_address(endpoint.host)) {
    named = X509_VERIFY_PARAM_set1_ip_asc(verify, endpoint.host.c_str());
  } else {
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    named = X509_VERIFY_PARAM_set1_host(verify, endpoint.host.c_str(), endpoint.host.size());
    SSL_set_tlsext_host_name(ssl_, endpoint.host.c_str());
  }
  if (named != 1) return fail(Code::internal, "TLS: the host name cannot be checked");
  for (;;) {
    ERR_clear_error();
    int n = SSL_connect(ssl_);
    if (n == 1) return {};
    bool again = false;
    Status failed = tls_failed(n, "the TLS handshake", again);
    if (again) continue;
    long reason = SSL_get_verify_result(ssl_);
    if (reason == X509_V_OK) return failed;
    return fail(Code::denied, "the certificate of " + endpoint.authority +
                                  " is not trusted: " + X509_verify_cert_error_string(reason));
  }
}

Status Wire::wait(short events, std::string_view what) {
  pollfd poll{socket_.get(), events, 0};
  int n;
  do {
    n = ::poll(&poll, 1, timeout_ms_);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return {};
  return fail(Code::unavailable, std::string(what) + " made no progress in " + std::to_string(timeout_ms_) + " ms");
}

// Waits if that is all that is missing; `again` is then true.
Status Wire::tls_failed(int returned, std::string_view what, bool& again) {
  int error = SSL_get_error(ssl_, returned);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    TRY(wait(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, what));
    again = true;
    return {};
  }
  return fail(Code::unavailable, std::string(what) + " failed: " +
                                     (error == SSL_ERROR_SYSCALL ? "the connection was closed" : tls_error()));
}

Status Wire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n;
    if (ssl_) {
      ERR_clear_error();
      n = SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20)));
      if (n <= 0) {
        bool again = false;
        Status failed = tls_failed(static_cast<int>(n), "sending", again);
        if (!again) return failed;
        continue;
      }
    } else {
      n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        TRY(wait(POLLOUT, "sending"));
        continue;
      }
      if (n < 0) return fail(Code::unavailable, "sending failed: " + system_error(errno));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<size_t> Wire::receive(std::span<char> out) {
  for (;;) {
    if (ssl_) {
      ERR_clear_error();
      int n = SSL_read(ssl_, out.data(), static_cast<int>(out.size()));
      if (n > 0) return static_cast<size_t>(n);
      if (SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN) return size_t{0};
      bool again = false;
      Status failed = tls_failed(n, "receiving", again);
      if (!again) return std::move(failed).error();
      continue;
    }
    ssize_t n = ::recv(socket_.get(), out.data(), out.size(), 0);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EAGAIN && errno != EINTR) {
      return fail(Code::unavailable, "receiving failed: " + system_error(errno));
    }
    TRY(wait(POLLIN, "receiving"));
  }
}

bool Wire::speaks() {
  pollfd poll{socket_.get(), POLLIN, 0};
  if (::poll(&poll, 1, 0) <= 0) return ssl_ && SSL_has_pending(ssl_);
  if (!ssl_) return true;
  // What came may be TLS's own (a session ticket): only a byte of content, or the end, counts.
  char byte;
  ERR_clear_error();
  int n = SSL_peek(ssl_, &byte, 1);
  bool nothing = n <= 0 && SSL_get_error(ssl_, n) == SSL_ERROR_WANT_READ;
  ERR_clear_error();
  return !nothing;
}

}  // namespace hf::http
