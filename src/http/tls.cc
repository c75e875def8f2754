#include "http/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>

namespace hf::http {

// OpenSSL's view of our two buffers: reading takes from Tls::input_, writing appends to Tls::output.
struct TlsBio {
  static int read(BIO* bio, char* out, int size) {
    auto* tls = static_cast<Tls*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (tls->input_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    size_t n = std::min(tls->input_.size(), static_cast<size_t>(size));
    std::memcpy(out, tls->input_.data(), n);
    tls->input_.remove_prefix(n);
    return static_cast<int>(n);
  }
  static int write(BIO* bio, const char* data, int size) {
    auto* tls = static_cast<Tls*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    tls->output.append(data, static_cast<size_t>(size));
    return size;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }
  static const BIO_METHOD* method() {
    static const BIO_METHOD* made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
      check(m != nullptr, "OpenSSL: out of memory");
      BIO_meth_set_read(m, read);
      BIO_meth_set_write(m, write);
      BIO_meth_set_ctrl(m, control);
      BIO_meth_set_create(m, create);
      return m;
    }();
    return made;
  }
};

namespace {

std::string last_error() {
  char text[256] = "unknown";
  if (unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

// h2 before http/1.1; a client that offers neither is told so by an alert.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned int in_size, void*) {
  static constexpr unsigned char kOurs[] = "\x02h2\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kOurs, sizeof kOurs - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

bool use_certificate(SSL_CTX* context, const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* leaf = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  bool ok = leaf && SSL_CTX_use_certificate(context, leaf) == 1;
  X509_free(leaf);
  while (ok) {
    X509* next = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    if (!next) break;
    ok = SSL_CTX_add0_chain_cert(context, next) == 1;
    if (!ok) X509_free(next);
  }
  BIO_free(bio);
  if (ok) ERR_clear_error();  // the end of the file is reported as an error
  return ok;
}

bool use_key(SSL_CTX* context, const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(
      bio, nullptr, [](char*, int, int, void*) { return 0; }, nullptr);
  bool ok = key && SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
  EVP_PKEY_free(key);
  BIO_free(bio);
  return ok;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::make(const std::string& certificate_pem, const std::string& key_pem) {
  ERR_clear_error();
  SSL_CTX* raw = SSL_CTX_new(TLS_server_method());
  if (!raw) return fail(Code::internal, "TLS: " + last_error());
  std::shared_ptr<TlsContext> context(new TlsContext(raw));
  if (!use_certificate(raw, certificate_pem)) {
    return fail(Code::invalid, "TLS: expected a PEM certificate (with its chain): " + last_error());
  }
  if (!use_key(raw, key_pem)) {
    return fail(Code::invalid,
                "TLS: expected the certificate's private key as PEM without a pass phrase: " + last_error());
  }
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Buffers go back while a connection is idle: 10,000 of them would hold 340 MB.
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  // Sessions resume from tickets alone (sealed with a key of this process): nothing is kept for a client.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 1);
  static constexpr unsigned char kContext[] = "holdfast";
  SSL_CTX_set_session_id_context(raw, kContext, sizeof kContext - 1);
  SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
  return context;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Tls::Tls(std::shared_ptr<TlsContext> context) : context_(std::move(context)), ssl_(SSL_new(context_->get())) {
  check(ssl_ != nullptr, "OpenSSL: out of memory");
  BIO* bio = BIO_new(TlsBio::method());
  check(bio != nullptr, "OpenSSL: out of memory");
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
}

Tls::~Tls() { SSL_free(ssl_); }

void Tls::feed(std::string_view ciphertext) { input_ = ciphertext; }

int Tls::read(char* out, int size) {
  ERR_clear_error();
  int n = SSL_read(ssl_, out, size);
  if (n > 0) return n;
  switch (SSL_get_error(ssl_, n)) {
    case SSL_ERROR_WANT_READ:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      return -1;
    default:
      ERR_clear_error();
      return -2;
  }
}

bool Tls::write(std::string_view plain) {
  ERR_clear_error();
  return plain.empty() ||
         SSL_write(ssl_, plain.data(), static_cast<int>(plain.size())) == static_cast<int>(plain.size());
}

void Tls::close() {
  ERR_clear_error();
  if (ready()) SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool Tls::ready() const { return SSL_is_init_finished(ssl_) == 1; }

bool Tls::chose_http1() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return size == 8;
}

}  // namespace hf::http
