#include "http/h1_head.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <limits>

#include "base/text.h"
#include "http/message.h"

namespace hf::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;
using ErrorCode = beast::error_code;

constexpr size_t kHeaderCountLimit = 256;  // 64 KiB of head could hold 16,000 names, each with its own allocations

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// "http://authority/path" is the same request as "/path" with that Host, and nothing else (RFC 9112, 3.2.2).
bool strip_absolute_form(std::string& target, std::string_view authority) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    std::string_view rest = std::string_view(target).substr(scheme.size());
    size_t slash = rest.find('/');
    if (slash == std::string_view::npos || !iequal(rest.substr(0, slash), authority)) return false;
    target = std::string(rest.substr(slash));
    return true;
  }
  return true;
}

class RequestParser final : public beast::http::basic_parser<true> {
 public:
  explicit RequestParser(RequestHead& head) : head_(&head) {
    header_limit((std::numeric_limits<uint32_t>::max)());  // find_head has its own limit
    body_limit(boost::none);                               // and so has the stream
  }

  RequestHead* head_;
  Refusal refusal_;
  int version_ = 0;
  int hosts_ = 0, lengths_ = 0, encodings_ = 0;
  bool chunked_ = false, expect_ = false;

 private:
  void refuse(int status, std::string_view why, ErrorCode& ec) {
    refusal_ = {status, why};
    ec = beast::http::error::bad_value;
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       ErrorCode& ec) override {
    if (version != 10 && version != 11) return refuse(505, "expected HTTP/1.1 or HTTP/1.0", ec);
    version_ = version;
    head_->method = view(method);
    head_->target = view(target);
  }

  void on_field_impl(field name, beast::string_view name_text, beast::string_view value_text, ErrorCode& ec) override {
    std::string_view value = view(value_text);
    if (!valid_header_value(value)) return refuse(400, "a header's value holds a control character", ec);
    if (head_->headers.all().size() >= kHeaderCountLimit) return refuse(431, "too many headers", ec);
    if (name == field::host && ++hosts_ > 1) return refuse(400, "more than one Host header", ec);
    if (name == field::content_length) {
      head_->content_length = parse_content_length(value);
      if (++lengths_ > 1) return refuse(400, "more than one Content-Length header", ec);
      if (head_->content_length < 0) return refuse(400, "Content-Length is not a number", ec);
    }
    if (name == field::transfer_encoding) {
      if (++encodings_ > 1) return refuse(400, "more than one Transfer-Encoding header", ec);
      if (!iequal(value, "chunked")) return refuse(501, "the only Transfer-Encoding known is chunked", ec);
      chunked_ = true;
    }
    if (name == field::expect) {
      if (!iequal(value, "100-continue")) return refuse(417, "the only Expect known is 100-continue", ec);
      expect_ = true;
    }
    head_->headers.add(std::string(view(name_text)), std::string(value));
  }

  // The body is BodyReader's.
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(boost::optional<uint64_t> const&, ErrorCode&) override {}
  size_t on_body_impl(beast::string_view, ErrorCode&) override { return 0; }
  void on_chunk_header_impl(uint64_t, beast::string_view, ErrorCode&) override {}
  size_t on_chunk_body_impl(uint64_t, beast::string_view, ErrorCode&) override { return 0; }
  void on_finish_impl(ErrorCode&) override {}
  void on_response_impl(int, beast::string_view, int, ErrorCode&) override {}
};

Refusal explain(const RequestParser& parser, const ErrorCode& ec) {
  using beast::http::error;
  if (parser.refusal_.status) return parser.refusal_;
  if (ec == error::bad_method) return {400, "the method is not a token"};
  if (ec == error::bad_target) return {400, "the target holds a character that must be percent-encoded"};
  if (ec == error::bad_version) return {505, "expected HTTP/1.1 or HTTP/1.0"};
  if (ec == error::bad_content_length) return {400, "Content-Length with Transfer-Encoding, or not a number"};
  if (ec == error::multiple_content_length) return {400, "Content-Length says different things"};
  if (ec == error::bad_transfer_encoding) return {400, "Transfer-Encoding with Content-Length, or twice"};
  if (ec == error::bad_line_ending) return {400, "a line does not end in CR LF"};
  return {400, "the request is not HTTP/1.1"};
}

Refusal check_head(const RequestParser& parser, RequestHead& head) {
  head.authority = head.headers.get("host");
  bool http10 = parser.version_ == 10;
  if (head.authority.empty() && (!http10 || parser.hosts_ > 0)) return {400, "the Host header is missing or empty"};
  if (!head.authority.empty() && !valid_authority(head.authority)) return {400, "Host is not a host and port"};
  if (!strip_absolute_form(head.target, head.authority)) return {400, "the target's authority is not the Host"};
  if (!valid_target(head.method, head.target)) return {400, "expected a target of the form /path?query"};
  if (parser.chunked_ && http10) return {400, "Transfer-Encoding in HTTP/1.0"};
  return {};
}

}  // namespace

size_t find_head(std::string_view data, size_t limit, Refusal& refusal, size_t& line) {
  std::string_view seen = data.substr(0, limit);
  for (;;) {
    const void* found = line < seen.size() ? std::memchr(seen.data() + line, '\n', seen.size() - line) : nullptr;
    if (!found) {
      if (data.size() >= limit) refusal = {431, "the head is over the limit"};
      return 0;
    }
    size_t at = static_cast<size_t>(static_cast<const char*>(found) - seen.data());
    if (at == line || seen[at - 1] != '\r' || std::memchr(seen.data() + line, '\r', at - 1 - line)) {
      refusal = {400, "a line does not end in CR LF"};
      return 0;
    }
    if (at == line + 1) return at + 1;  // the empty line
    if (line > 0 && (seen[line] == ' ' || seen[line] == '\t')) {
      refusal = {400, "a folded header line"};
      return 0;
    }
    line = at + 1;
  }
}

Refusal parse_head(std::string_view data, RequestHead& head, H1Head& about) {
  RequestParser parser(head);
  ErrorCode ec;
  size_t used = parser.put(boost::asio::const_buffer(data.data(), data.size()), ec);
  if (ec) return explain(parser, ec);
  if (!parser.is_header_done() || used != data.size()) return {400, "the request is not HTTP/1.1"};
  if (Refusal refusal = check_head(parser, head); refusal.status) return refusal;
  about.http10 = parser.version_ == 10;
  about.keep_alive = !about.http10 && parser.keep_alive();
  about.body = parser.chunked_ ? BodyReader::chunked()
                               : BodyReader::counted(static_cast<uint64_t>(std::max<int64_t>(0, head.content_length)));
  about.expects_continue = parser.expect_ && !about.http10 && !about.body.done();
  return {};
}

}  // namespace hf::http
