// The server alone with its health route, for bench/http: nothing but http/ between the socket and the answer.
//   http_server LOOPS [CERTIFICATE KEY]   prints the port, serves until standard input ends
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "http/http.h"
#include "os/clock.h"
#include "os/fs.h"

int main(int argc, char** argv) {
  hf::http::ServerOptions options;
  options.loops = argc > 1 ? std::atoi(argv[1]) : 1;
  if (argc > 3) {
    auto certificate = hf::os::real_fs().read_file(argv[2], 1 << 20);
    auto key = hf::os::real_fs().read_file(argv[3], 1 << 20);
    if (!certificate || !key) return std::fprintf(stderr, "cannot read the certificate and its key\n"), 1;
    options.certificate_pem = *certificate;
    options.key_pem = *key;
  }
  auto server = hf::http::Server::start(
      options, hf::os::real_clock(),
      [](const hf::http::RequestHead& head) {
        hf::http::Route route;
        if (head.path() == "/health") route.pool = hf::http::Pool::loop;
        return route;
      },
      [](std::shared_ptr<hf::http::Exchange> exchange) {
        hf::http::Headers headers;
        headers.add("content-type", "text/plain");
        exchange->respond(exchange->head().path() == "/health" ? 200 : 404, std::move(headers), "ok\n");
      });
  if (!server) return std::fprintf(stderr, "%s\n", server.error().message.c_str()), 1;
  std::printf("%d\n", (*server)->port());
  std::fflush(stdout);
  char byte;
  while (::read(0, &byte, 1) > 0) {
  }
  return 0;
}
