#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <functional>
#include <limits>
#include <optional>

#include "base/text.h"
#include "http/client_wire.h"
#include "http/h1_head.h"
#include "http/http.h"
#include "http/message.h"

namespace hf::http {
namespace {

namespace beast = boost::beast;
using ErrorCode = beast::error_code;

constexpr size_t kHeadLimit = 64 << 10;
constexpr size_t kBodyLimit = 64 << 20;  // of request(): more wants stream()
constexpr size_t kHeaderCountLimit = 256;
constexpr int kInterimLimit = 16;  // 1xx answers before the real one

// Beast reads the head; the body is BodyReader's.
class HeadParser final : public beast::http::basic_parser<false> {
 public:
  explicit HeadParser(Response& response) : response_(response) {
    header_limit((std::numeric_limits<uint32_t>::max)());
    body_limit(boost::none);
  }

 private:
  void on_request_impl(beast::http::verb, beast::string_view, beast::string_view, int, ErrorCode&) override {}
  void on_response_impl(int code, beast::string_view, int, ErrorCode&) override { response_.status = code; }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value, ErrorCode& ec) override {
    std::string_view text(value.data(), value.size());
    if (response_.headers.all().size() >= kHeaderCountLimit || !valid_header_value(text)) {
      ec = beast::http::error::bad_value;
      return;
    }
    response_.headers.add(std::string(name.data(), name.size()), std::string(text));
  }
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(boost::optional<uint64_t> const&, ErrorCode&) override {}
  size_t on_body_impl(beast::string_view, ErrorCode&) override { return 0; }
  void on_chunk_header_impl(uint64_t, beast::string_view, ErrorCode&) override {}
  size_t on_chunk_body_impl(uint64_t, beast::string_view, ErrorCode&) override { return 0; }
  void on_finish_impl(ErrorCode&) override {}

  Response& response_;
};

using Piece = std::function<bool(std::string_view)>;

class PieceSink final : public BodySink {
 public:
  explicit PieceSink(const Piece& piece) : piece_(piece) {}
  void body(std::string_view bytes) override { stopped = stopped || !piece_(bytes); }
  bool stopped = false;  // piece said: no more

 private:
  const Piece& piece_;
};

class ClientImpl final : public Client {
 public:
  ClientImpl(Endpoint endpoint, std::shared_ptr<ClientTls> tls, int timeout_ms, std::string unix_path)
      : endpoint_(std::move(endpoint)),
        tls_(std::move(tls)),
        timeout_ms_(timeout_ms),
        unix_path_(std::move(unix_path)) {}

  const std::string& authority() const override { return endpoint_.authority; }
  Result<Response> request(const std::string& method, const std::string& target, const Headers& headers,
                           std::string_view body) override;
  Result<Response> upload(const std::string& method, const std::string& target, const Headers& headers,
                          uint64_t content_length, const std::function<Result<size_t>(std::span<char>)>& body) override;
  Result<Response> stream(const std::string& method, const std::string& target, const Headers& headers,
                          std::string_view body, const std::function<bool(std::string_view)>& piece) override;

 private:
  using Sender = std::function<Status(Wire&)>;
  Result<std::string> write_head(const std::string& method, const std::string& target, const Headers& headers,
                                 uint64_t length) const;
  Result<Response> exchange(const std::string& method, const Sender& send, const Piece& piece);
  Result<Response> attempt(const std::string& method, const Sender& send, const Piece& piece, bool& answered);
  Status receive_head(std::string& buffer, size_t& size, bool& answered);
  Status receive_body(BodyReader& body, PieceSink& sink, std::string_view first);

  const Endpoint endpoint_;
  const std::shared_ptr<ClientTls> tls_;
  const int timeout_ms_;
  const std::string unix_path_;
  std::unique_ptr<Wire> wire_;
};

Result<std::string> ClientImpl::write_head(const std::string& method, const std::string& target, const Headers& headers,
                                           uint64_t length) const {
  if (!valid_token(method) || !valid_target(method, target)) {
    return fail(Code::invalid, "expected a method and a target such as /path, found '" + method + " " + target + "'");
  }
  if (!valid_headers(headers)) return fail(Code::invalid, "a header of the request is not well-formed");
  std::string out = method + " " + target + " HTTP/1.1\r\n";
  if (!headers.has("host")) out += "host: " + endpoint_.authority + "\r\n";
  for (const auto& [name, value] : headers.all()) {
    if (name == "content-length" || name == "transfer-encoding" || name == "connection") continue;
    out += name + ": " + value + "\r\n";
  }
  bool announce = length > 0 || method == "POST" || method == "PUT" || method == "PATCH";
  if (announce) out += "content-length: " + std::to_string(length) + "\r\n";
  return out + "\r\n";
}

Result<Response> ClientImpl::request(const std::string& method, const std::string& target, const Headers& headers,
                                     std::string_view body) {
  std::string collected;
  bool over = false;
  auto response = stream(method, target, headers, body, [&](std::string_view piece) {
    over = collected.size() + piece.size() > kBodyLimit;
    if (!over) collected.append(piece);
    return !over;
  });
  if (over) return fail(Code::too_large, "the answer's body is over " + human_bytes(kBodyLimit));
  if (response) response->body = std::move(collected);
  return response;
}

Result<Response> ClientImpl::stream(const std::string& method, const std::string& target, const Headers& headers,
                                    std::string_view body, const std::function<bool(std::string_view)>& piece) {
  std::string head = TRY(write_head(method, target, headers, body.size()));
  bool together = body.size() <= 64 << 10;
  if (together) head += body;
  return exchange(
      method,
      [&](Wire& wire) -> Status {
        TRY(wire.send(head));
        for (size_t at = together ? body.size() : 0; at < body.size();) {
          if (wire.speaks()) return fail(Code::unavailable, "the server answered before the body was sent");
          std::string_view step = body.substr(at, 256 << 10);
          TRY(wire.send(step));
          at += step.size();
        }
        return {};
      },
      piece);
}

Result<Response> ClientImpl::upload(const std::string& method, const std::string& target, const Headers& headers,
                                    uint64_t content_length,
                                    const std::function<Result<size_t>(std::span<char>)>& body) {
  std::string head = TRY(write_head(method, target, headers, content_length));
  std::string collected;
  bool over = false;
  std::optional<Error> source_error;
  wire_ = nullptr;  // a body that was read once cannot be sent again: no old connection, no second try
  auto response = exchange(
      method,
      [&](Wire& wire) -> Status {
        TRY(wire.send(head));
        std::string buffer(256 << 10, '\0');
        uint64_t sent = 0;
        while (sent < content_length) {
          size_t most = static_cast<size_t>(std::min<uint64_t>(buffer.size(), content_length - sent));
          auto n = body({buffer.data(), most});
          if (!n || *n == 0) {
            source_error = n ? fail(Code::invalid, "the body ended after " + std::to_string(sent) + " of " +
                                                       std::to_string(content_length) + " bytes")
                             : n.error();
            return *source_error;
          }
          if (wire.speaks()) return fail(Code::unavailable, "the server answered before the body was sent");
          TRY(wire.send({buffer.data(), *n}));
          sent += *n;
        }
        return {};
      },
      [&](std::string_view piece) {
        over = collected.size() + piece.size() > kBodyLimit;
        if (!over) collected.append(piece);
        return !over;
      });
  if (source_error) {
    wire_ = nullptr;
    return *source_error;
  }
  if (over) return fail(Code::too_large, "the answer's body is over " + human_bytes(kBodyLimit));
  if (response) response->body = std::move(collected);
  return response;
}

Result<Response> ClientImpl::exchange(const std::string& method, const Sender& send, const Piece& piece) {
  // An old connection may have been closed by the server at any time: a request that may be repeated gets a new one.
  bool old = wire_ != nullptr;
  if (old && wire_->speaks()) {
    wire_ = nullptr;
    old = false;
  }
  bool answered = false;
  auto response = attempt(method, send, piece, answered);
  bool again =
      !response && old && !answered && (method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE");
  if (again) response = attempt(method, send, piece, answered);
  return response;
}

Result<Response> ClientImpl::attempt(const std::string& method, const Sender& send, const Piece& piece,
                                     bool& answered) {
  if (!wire_) wire_ = TRY(Wire::connect(endpoint_, tls_, timeout_ms_, unix_path_));
  auto give_up = [&](Error error) -> Result<Response> {
    wire_ = nullptr;
    return error;
  };
  Status sent = send(*wire_);
  if (!sent && sent.error().code != Code::unavailable) return give_up(sent.error());
  // A server that refuses a body answers before it has all of it: its answer says more than the broken pipe.
  std::string buffer;
  Response response;
  for (int interim = 0; interim < kInterimLimit; ++interim) {
    size_t size = 0;
    if (Status got = receive_head(buffer, size, answered); !got) return give_up(sent ? got.error() : sent.error());
    response = {};
    HeadParser parser(response);
    ErrorCode ec;
    parser.put(boost::asio::const_buffer(buffer.data(), size), ec);
    if (ec || !parser.is_header_done())
      return give_up(fail(Code::invalid, "the answer is not HTTP/1.1: " + ec.message()));
    buffer.erase(0, size);
    if (response.status >= 100 && response.status < 200) continue;
    const bool no_body = method == "HEAD" || bodiless(response.status);
    BodyReader body = no_body                   ? BodyReader::counted(0)
                      : parser.chunked()        ? BodyReader::chunked()
                      : parser.content_length() ? BodyReader::counted(*parser.content_length())
                                                : BodyReader::until_close();
    PieceSink sink(piece);
    if (Status got = receive_body(body, sink, buffer); !got) return give_up(got.error());
    if (!sent || sink.stopped || !body.done() || !parser.keep_alive()) wire_ = nullptr;
    return response;
  }
  return give_up(fail(Code::invalid, "too many interim answers"));
}

Status ClientImpl::receive_head(std::string& buffer, size_t& size, bool& answered) {
  char piece[16 << 10];
  size_t seen = 0;
  for (;;) {
    Refusal refusal;
    size = find_head(buffer, kHeadLimit, refusal, seen);
    if (size > 0) return {};
    if (refusal.status) return fail(Code::invalid, "the answer's head: " + std::string(refusal.why));
    size_t n = TRY(wire_->receive(piece));
    if (n == 0) return fail(Code::unavailable, "the server closed the connection without an answer");
    answered = true;
    buffer.append(piece, n);
  }
}

Status ClientImpl::receive_body(BodyReader& body, PieceSink& sink, std::string_view first) {
  char piece[64 << 10];
  for (std::string_view data = first;;) {
    Refusal refusal;
    body.take(data, sink, refusal);
    if (refusal.status) return fail(Code::invalid, "the answer's body: " + std::string(refusal.why));
    if (body.done() || sink.stopped) return {};
    size_t n = TRY(wire_->receive(piece));
    if (n == 0 && body.ends_with_connection()) return {};
    if (n == 0) return fail(Code::unavailable, "the server closed the connection before the end of the answer");
    data = {piece, n};
  }
}

}  // namespace

Result<std::unique_ptr<Client>> Client::make(std::string endpoint, ClientOptions options) {
  Endpoint parsed = TRY(parse_endpoint(endpoint));
  std::shared_ptr<ClientTls> tls;
  if (parsed.tls) {
    if (options.ca_pem.empty())
      return fail(Code::invalid, "TLS to " + parsed.authority + " needs the authority to trust");
    tls = TRY(ClientTls::make(options.ca_pem));
  }
  return std::unique_ptr<Client>(
      new ClientImpl(std::move(parsed), std::move(tls), options.timeout_ms, options.unix_path));
}

}  // namespace hf::http
