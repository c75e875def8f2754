#include "fleet/worker_process.h"

#include <poll.h>

#include <cerrno>

namespace hf::fleet {
namespace {

constexpr int kSocketInChild = 3;
constexpr int kHelloMs = 30'000;  // a start takes milliseconds; a machine that swaps takes seconds

}  // namespace

Error worker_ended() { return fail(Code::unavailable, "the worker ended before the answer was complete"); }

Result<rpc::Frame> receive_within(rpc::Channel& channel, int timeout_ms) {
  if (timeout_ms >= 0) {
    pollfd p{channel.fd(), POLLIN, 0};
    int n = 0;
    do {
      n = ::poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
      return fail(Code::unavailable, "the worker said nothing for " + std::to_string(timeout_ms / 1000) + " s");
  }
  auto frame = TRY(channel.receive());
  if (!frame) return worker_ended();
  return std::move(*frame);
}

Result<WorkerProcess> start_worker(const FleetOptions& options) {
  auto sockets = TRY(os::socket_pair());
  os::Spawn spec;
  spec.program = options.program;
  spec.arguments = options.arguments;
  for (std::string word :
       {std::string("--socket"), std::to_string(kSocketInChild), std::string("--threads"),
        std::to_string(options.threads), std::string("--kv-bytes"), std::to_string(options.kv_bytes)})
    spec.arguments.push_back(std::move(word));
  if (!options.isa.empty()) spec.environment.push_back("HOLDFAST_ISA=" + options.isa);
  spec.descriptors = {{sockets.second.get(), kSocketInChild}, {2, 2}};  // what it says of its end goes to our log
  spec.new_namespaces = true;
  WorkerProcess worker;
  worker.child = TRY(os::spawn(spec));
  sockets.second = os::Fd();  // so that its end is seen
  worker.channel = std::make_shared<rpc::Channel>(std::move(sockets.first));
  auto frame = receive_within(*worker.channel, kHelloMs);
  if (!frame.ok()) return fail(Code::unavailable, "the worker did not start: " + frame.error().message);
  if (frame->type != rpc::Type::hello)
    return fail(Code::unavailable, "the worker did not start: its first word was no hello");
  worker.hello = TRY(rpc::decode<rpc::Hello>(frame->body));
  return worker;
}

Result<OpenModel> open_model(Models& models, const std::string& digest) {
  OpenModel out;
  out.task.digest = digest;
  out.task.files = TRY(models.files(digest));
  if (out.task.files.size() > rpc::kMaxDescriptors)
    return fail(Code::too_large, "model " + digest + " has " + std::to_string(out.task.files.size()) +
                                     " files; a worker takes at most " + std::to_string(rpc::kMaxDescriptors));
  for (const std::string& name : out.task.files) {
    out.files.push_back(TRY(models.open_file(digest, name)));
    out.descriptors.push_back(out.files.back()->fd());
  }
  return out;
}

}  // namespace hf::fleet
