// For the tests of this folder: a server with a few routes, a raw client socket, and running other programs.
#pragma once

#include <string>
#include <string_view>

#include "http/http.h"

namespace hf::http::testing {

// GET /health                200 "ok\n", on the loop
// ANY /echo                  the request's body, or the error of reading it as 4xx (control)
// GET /head                  method, target, authority and version as text (control)
// GET /stream?PIECES         that many pieces of 1,000 bytes by write() (data)
// GET /throw                 an exception
// GET /silent                returns without an answer
// GET /half                  two pieces, then abort()
// GET /headers               an answer whose header holds a line break
// ANY /small                 as /echo, at most 1,000 bytes
// ANY /unread                answers 403 without reading
void handle(std::shared_ptr<Exchange> exchange);
Route route(const RequestHead& head);

std::unique_ptr<Server> serve(ServerOptions options = {});

class RawClient {  // a socket, blocking, with a limit on every wait
 public:
  explicit RawClient(uint16_t port, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  bool send(std::string_view bytes);            // false: the server closed
  std::string receive(std::string_view until);  // through the first `until`, or to the end
  std::string receive_all();                    // to the end
  std::string receive_some(size_t most);        // at least a byte, or "" at the end
  void half_close();
  void reset();  // closes with RST
  bool ended() const { return ended_; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  bool ended_ = false;
  std::string buffer_;
};

// What curl says to ARGUMENTS: exit status and standard output.
struct Ran {
  int status;
  std::string out;
};
Ran run(const std::string& shell_command);

}  // namespace hf::http::testing
