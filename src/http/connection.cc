#include "http/connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>

#include "http/h1_session.h"
#include "http/h2_session.h"

namespace hf::http {
namespace {

constexpr size_t kProduceStep = 64 << 10;  // bytes of one send, and the most that waits for a slow client's socket
constexpr int kFlushRounds = 16;           // sends in a row for one connection before the others get their turn
constexpr int kReadRounds = 8;
constexpr int64_t kLingerUs = 2'000'000;
constexpr size_t kLingerBytes = 1 << 20;
constexpr std::string_view kTlsOnly =
    "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 32\r\nconnection: close\r\n\r\n"
    "this port speaks TLS only: https";

}  // namespace

Connection::Connection(Loop& loop, os::Fd socket, std::string peer)
    : loop_(loop),
      socket_(loop.context),
      peer_(std::move(peer)),
      born_us_(loop.now_us()),
      reader_(options().body_timeout_ms * int64_t{1000}, options().min_rate, born_us_) {
  boost::system::error_code error;
  bool v6 = peer_.starts_with('[');
  socket_.assign(v6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket.get(), error);
  if (error) {
    dead_ = true;
    loop_.shared.open.fetch_sub(1, std::memory_order_relaxed);
  } else {
    socket.release();
  }
}

Connection::~Connection() { die(); }

void Connection::start() {
  if (dead_) return loop_.remove(*this);
  socket_.native_non_blocking(true);
  arm_read();
}

bool Connection::wants_bytes() const {
  if (lingering_) return true;
  // What TLS says by itself (KeyUpdate, asked for without end) is not to pile up for a client that reads nothing.
  if (tls_ && tls_->output.size() > kProduceStep) return false;
  return !session_ || session_->wants_bytes();
}

void Connection::arm_read() {
  if (reading_ || ended_ || dead_ || !wants_bytes()) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(first_),
                          [self = shared_from_this()](boost::system::error_code error, size_t size) {
                            self->loop_.touch();
                            self->reading_ = false;
                            self->on_read(error, size);
                            self->loop_.after_event();
                          });
}

void Connection::on_read(boost::system::error_code error, size_t size) {
  if (dead_) return;
  if (error == asio::error::eof) {
    on_end();
    return settle();
  }
  if (error) return die();
  input({first_.data(), size});
  // It was filled: there is more. Take it through the shared buffer, without a wait in between.
  for (int i = 0; size == first_.size() && i < kReadRounds && !dead_ && wants_bytes(); ++i) {
    ssize_t n = ::recv(socket_.native_handle(), loop_.read_buffer.data(), loop_.read_buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (n < 0) return die();
    if (n == 0) {
      on_end();
      break;
    }
    input({loop_.read_buffer.data(), static_cast<size_t>(n)});
    if (static_cast<size_t>(n) < loop_.read_buffer.size()) break;
  }
  settle();
}

void Connection::on_end() {
  ended_ = true;
  if (lingering_ || !session_) return die();
  session_->receive_end();
}

void Connection::input(std::string_view bytes) {
  if (lingering_) {
    lingered_ += bytes.size();
    if (lingered_ > kLingerBytes) die();
    return;
  }
  if (!begun_ && !bytes.empty()) {
    begun_ = true;
    const bool hello = bytes[0] == 0x16;  // the record type of a ClientHello; no HTTP method begins with it
    if (hello && loop_.shared.tls) tls_ = std::make_unique<Tls>(loop_.shared.tls);
    if (!hello && !options().plain) {
      count_refused();
      pending_ = kTlsOnly;
      answer_lost_ = true;
      return;
    }
  }
  if (answer_lost_) return;
  if (tls_) return decrypt(bytes);
  plain_input(bytes);
}

void Connection::decrypt(std::string_view bytes) {
  tls_->feed(bytes);
  char plain[16 << 10];  // one record
  for (;;) {
    int n = tls_->read(plain, sizeof plain);
    if (n > 0) {
      plain_input({plain, static_cast<size_t>(n)});
      if (dead_ || lingering_) return;
      continue;
    }
    if (n == -1 && session_) session_->receive_end();
    if (n == -2 || (n == -1 && !session_)) {
      // The alert that says why is in the output; nothing after it can be read.
      send_all(tls_->output);
      die();
    }
    return;
  }
}

// HTTP/2 begins with 24 fixed bytes that are no request of HTTP/1: the first byte that differs decides.
void Connection::plain_input(std::string_view bytes) {
  if (session_) return session_->receive(bytes);
  sniffed_ += bytes;
  std::string_view seen = std::string_view(sniffed_).substr(0, kH2Preface.size());
  bool could_be_h2 = kH2Preface.starts_with(seen) && !(tls_ && tls_->chose_http1());
  if (could_be_h2 && seen.size() < kH2Preface.size()) return;
  session_ =
      could_be_h2 ? make_h2_session(*this, peer_, tls_ != nullptr) : make_h1_session(*this, peer_, tls_ != nullptr);
  if (loop_.draining) session_->drain();
  std::string first = std::move(sniffed_);
  sniffed_.clear();
  session_->receive(first);
}

bool Connection::dispatch(Pool pool, const std::shared_ptr<Stream>& stream) {
  Shared& shared = loop_.shared;
  std::shared_ptr<Exchange> exchange = stream->handle();
  if (pool == Pool::loop) {
    stream->set_woken(true);  // the session looks at it right after
    shared.run(std::move(exchange));
    stream->set_woken(false);
    return true;
  }
  WorkPool& workers = pool == Pool::control ? *shared.control : pool == Pool::data ? *shared.data : *shared.generate;
  stream->pool = &workers;
  if (workers.submit(exchange)) return true;
  answer_busy(*stream);
  return false;
}

// True: all was taken. What was not is kept in pending_, and the socket tells when it has room.
bool Connection::send_all(std::string_view bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    ssize_t n = ::send(socket_.native_handle(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) {
      die();
      return false;
    }
    if (n < 0) break;
    sent += static_cast<size_t>(n);
    written_ += static_cast<size_t>(n);
  }
  if (sent == bytes.size()) return true;
  std::string rest(bytes.substr(sent));
  pending_ = std::move(rest);
  pending_at_ = 0;
  wait_writable();
  return false;
}

void Connection::wait_writable() {
  if (writing_ || dead_) return;
  writing_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](boost::system::error_code error) {
    self->loop_.touch();
    self->writing_ = false;
    if (error) {
      self->die();
    } else if (!self->dead_) {
      self->settle();
    }
    self->loop_.after_event();
  });
}

// True: nothing is left to send.
bool Connection::flush() {
  if (writing_) return false;
  if (!pending_.empty()) {
    std::string waiting = std::move(pending_);
    pending_.clear();
    if (!send_all(waiting)) return false;
  }
  for (int i = 0; i < kFlushRounds; ++i) {
    std::string& out = loop_.out;
    out.clear();
    if (session_) session_->produce(out, kProduceStep);
    std::string* bytes = &out;
    if (tls_) {
      if (!out.empty() && !tls_->write(out)) {
        die();
        return false;
      }
      loop_.cipher.clear();
      loop_.cipher.swap(tls_->output);
      bytes = &loop_.cipher;
    }
    if (bytes->empty()) return true;
    if (!send_all(*bytes)) return false;
    if (out.size() < kProduceStep && (!session_ || !session_->done())) return true;
  }
  wait_writable();  // it goes on from there, after the others
  return false;
}

void Connection::settle() {
  if (dead_) return;
  if (!lingering_) {
    bool empty = flush();
    if (dead_) return;
    if (empty && (answer_lost_ || (session_ && session_->done()))) return finish();
  }
  arm_read();
}

// Everything was sent. The client's last bytes are read away before the close: a close with unread bytes is a reset,
// and a reset takes the answer from the client's buffers too.
void Connection::finish() {
  if (session_ && session_->hard()) return die();
  if (session_) session_->gone();
  if (tls_) {
    tls_->close();
    std::string alert = std::move(tls_->output);
    if (!send_all(alert)) return die();
  }
  if (ended_) return die();
  ::shutdown(socket_.native_handle(), SHUT_WR);
  lingering_ = true;
  loop_.shared.lingering.fetch_add(1);
  linger_until_us_ = loop_.now_us() + kLingerUs;
  arm_read();
}

// By what the client's side acknowledged, not by what our socket takes: that is nothing for a long time, then a third
// of its buffer at once, and an honest slow reader would look dead in between.
// What the kernel holds counts too: a few small answers fit into it whole, and would be held for a client that takes a
// byte of them a second.
bool Connection::reads_too_slowly(int64_t now_us) {
  int unreached = 0;
  if (reached_ < written_ && ::ioctl(socket_.native_handle(), SIOCOUTQ, &unreached) == 0) {
    const uint64_t reached = written_ - std::min<uint64_t>(written_, static_cast<uint64_t>(unreached));
    if (reached > reached_) reader_.moved(reached - reached_);
    reached_ = std::max(reached, reached_);
  }
  // All that was there at the mark has arrived: a reader that keeps up with a slow answer of ours is not slow itself,
  // though over a long line something is always under way.
  if (reached_ >= mark_) {
    reader_.restart();
    mark_ = written_;
  }
  return reader_.step(now_us, writing_ || reached_ < written_);
}

void Connection::tick() {
  if (dead_) return;
  const int64_t now = loop_.now_us();
  if (lingering_) {
    if (now > linger_until_us_) die();
    return;
  }
  if (reads_too_slowly(now)) {
    // A plain close would leave what the kernel holds with it, for this very client.
    boost::system::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    return die();
  }
  if (!session_) {
    if (now - born_us_ > options().head_timeout_ms * int64_t{1000}) die();
    return;
  }
  session_->tick(now);
  settle();
}

void Connection::drain() {
  if (dead_ || lingering_) return;
  if (!session_) return die();
  session_->drain();
  settle();
}

void Connection::die() {
  if (dead_) return;
  dead_ = true;
  boost::system::error_code ignored;
  if (session_) {
    session_->gone();
    if (session_->hard()) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  }
  socket_.close(ignored);
  if (lingering_) loop_.shared.lingering.fetch_sub(1);
  loop_.shared.open.fetch_sub(1);
  loop_.remove(*this);
}

}  // namespace hf::http
