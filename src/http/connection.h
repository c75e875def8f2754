// One accepted socket: finds out what is spoken on it, moves bytes between it and its session, and closes it. Internal.
#pragma once

#include <array>

#include "http/loop.h"
#include "http/transfer.h"
#include "os/process.h"

namespace hf::http {

class Connection final : public SessionHost, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, os::Fd socket, std::string peer);
  ~Connection() override;
  void start();
  void service(Stream& stream) { session_->service(stream); }
  void settle();  // sends what there is to send, then reads on or closes
  void tick();
  void drain();
  void die();  // at once

  bool settling = false;  // the loop's: already on the list of those to settle

  // ---- SessionHost
  const ServerOptions& options() const override { return loop_.shared.options; }
  Route route(const RequestHead& head) override { return loop_.shared.router(head); }
  bool dispatch(Pool pool, const std::shared_ptr<Stream>& stream) override;
  bool hold(int64_t bytes) override {
    return loop_.shared.held.fetch_add(bytes, std::memory_order_relaxed) + bytes <= options().held_limit;
  }
  const std::shared_ptr<Waker>& waker() override { return loop_.waker; }
  std::string_view date() override { return loop_.date(); }
  int64_t now_us() override { return loop_.now_us(); }
  void* connection() override { return this; }
  void count_request() override { loop_.shared.requests.fetch_add(1, std::memory_order_relaxed); }
  void count_active(int delta) override { loop_.shared.active.fetch_add(delta, std::memory_order_relaxed); }
  void count_refused() override { loop_.shared.refused.fetch_add(1, std::memory_order_relaxed); }
  void count_reset() override { loop_.shared.resets.fetch_add(1, std::memory_order_relaxed); }

 private:
  void arm_read();
  void on_read(boost::system::error_code error, size_t size);
  void on_end();
  void input(std::string_view bytes);
  void decrypt(std::string_view bytes);
  void plain_input(std::string_view bytes);
  bool flush();
  bool send_all(std::string_view bytes);
  void wait_writable();
  bool reads_too_slowly(int64_t now_us);
  void finish();
  bool wants_bytes() const;

  Loop& loop_;
  Socket socket_;
  const std::string peer_;
  std::unique_ptr<Tls> tls_;
  std::unique_ptr<Session> session_;
  std::string sniffed_;  // the first bytes, until they say what is spoken
  std::string pending_;  // produced, and not taken by the socket yet
  size_t pending_at_ = 0;
  int64_t born_us_, linger_until_us_ = 0;
  TransferMeter reader_;                // of the client: what it took of what waits for it
  uint64_t written_ = 0, reached_ = 0;  // bytes the socket took, and of them the client's side, when last looked at
  uint64_t mark_ = 0;                   // written_ when the meter was started again
  size_t lingered_ = 0;
  bool begun_ = false;  // the first byte came: TLS or not is decided
  bool reading_ = false, writing_ = false, ended_ = false, lingering_ = false, dead_ = false, answer_lost_ = false;
  std::array<char, 2048> first_;  // small, a connection: bulk goes through the loop's shared buffer
};

}  // namespace hf::http
