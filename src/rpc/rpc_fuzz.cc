// The first byte chooses what the rest is taken for: the body of one message, or raw bytes on a channel's socket.
// What decodes must encode to the very same bytes (one form for each value).
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "rpc/channel.h"

namespace {

template <class T>
void try_body(std::string_view body) {
  auto message = hf::rpc::decode<T>(body);
  if (message.ok()) hf::check(hf::rpc::encode(*message) == body, "a message has two encodings");
}

template <class... T>
void try_one(size_t which, std::string_view body) {
  size_t i = 0;
  ((i++ == which ? try_body<T>(body) : void()), ...);
}

void try_channel(std::string_view bytes) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  hf::rpc::Channel channel{hf::os::Fd(ends[0])};
  const size_t n = std::min(bytes.size(), size_t{64} << 10);  // fits the socket's buffer
  if (write(ends[1], bytes.data(), n) < 0) hf::check(false, "write to a socket pair");
  close(ends[1]);
  for (size_t frames = 0; frames <= n / 14; ++frames) {
    auto frame = channel.receive();
    if (!frame.ok() || !frame->has_value()) return;
  }
  hf::check(false, "more frames than bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::rpc;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  const size_t which = data[0] % 17;
  if (which == 16) {
    try_channel(body);
  } else {
    try_one<Hello, LoadTask, UnloadTask, CountTask, GenerateRequest, TrainTask, ProbeTask, Text, TrainProgress,
            ModelCard, Counted, Finished, TrainDone, ProbeReport, EngineCounters, Failed>(which, body);
  }
  return 0;
}
