// The head of an HTTP/1.1 request: found, checked, read. And the framing of its body. In memory, no I/O.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/http.h"

namespace hf::http {

struct Refusal {
  int status = 0;  // 0: none
  std::string_view why;
};

// Bytes of the head at the start of `data` with its empty line; 0: not complete yet; Refusal when it can never be one:
// over the limit, a bare LF or CR, a NUL, a folded line.
size_t find_head(std::string_view data, size_t limit, Refusal& refusal);

class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual void body(std::string_view bytes) = 0;
};

// One request after the other: the head in one piece, then the body's bytes as they come.
class H1Parser {
 public:
  H1Parser();
  ~H1Parser();
  H1Parser(const H1Parser&) = delete;
  H1Parser& operator=(const H1Parser&) = delete;

  // Starts a request. `data` is exactly one head as find_head saw it. peer and tls are left to the caller.
  Refusal parse_head(std::string_view data, RequestHead& head);
  bool keep_alive() const;  // of the head: 1.1 without Connection: close
  bool http10() const;
  bool expects_continue() const;  // Expect: 100-continue on a 1.1 request with a body
  bool body_done() const;

  // Uses what it can of `data`, hands the body's own bytes to `sink`, says how much was used. Trailers are checked and
  // dropped. Unused bytes (at most kFramingLimit, else a Refusal) are to be given again with more behind them.
  static constexpr size_t kFramingLimit = 8 << 10;
  size_t parse_body(std::string_view data, BodySink& sink, Refusal& refusal);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hf::http
