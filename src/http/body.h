// How long an HTTP/1.1 body is: counted, chunked (RFC 9112, 7.1), or to the end of the connection. Byte for byte, no
// look-ahead, and no state beyond one short line. Ours, because Beast 1.81 ends the process on a last chunk that comes
// in pieces (an assertion in parse_chunk_header).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hf::http {

struct Refusal {
  int status = 0;  // 0: none
  std::string_view why;
};

class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual void body(std::string_view bytes) = 0;
};

class BodyReader {
 public:
  static constexpr size_t kLineLimit = 1 << 10;     // a chunk's size and its extensions
  static constexpr size_t kTrailerLimit = 8 << 10;  // all trailers together; their fields are checked and dropped

  static BodyReader counted(uint64_t bytes) { return BodyReader(bytes > 0 ? State::data : State::done, bytes, false); }
  static BodyReader chunked() { return BodyReader(State::size, 0, true); }
  static BodyReader until_close() { return BodyReader(State::data, UINT64_MAX, false); }

  // Hands the body's own bytes to `sink` and says how much of `data` belongs to the body: all of it unless done() or a
  // refusal came first.
  size_t take(std::string_view data, BodySink& sink, Refusal& refusal);
  bool done() const { return state_ == State::done; }
  bool ends_with_connection() const { return left_ == UINT64_MAX; }

 private:
  enum class State { size, data, data_end, trailer, done };
  BodyReader(State state, uint64_t left, bool chunked) : state_(state), left_(left), chunked_(chunked) {}
  void end_of_line(Refusal& refusal);

  State state_;
  uint64_t left_;
  bool chunked_;
  std::string line_;  // without its CR LF
  size_t trailer_bytes_ = 0;
};

}  // namespace hf::http
