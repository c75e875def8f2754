#include "fleet/worker_process.h"

#include <poll.h>

#include <cerrno>
#include <cmath>

#include "base/text.h"

namespace hf::fleet {
namespace {

constexpr size_t kMaxWord = 256;      // a name, a digest, an architecture
constexpr size_t kMaxMessage = 4096;  // what an error says
constexpr size_t kDigestBytes = 32;

// Goes through a message's members; the first that may not be so is the one that is told of.
class Words {
 public:
  Words& text(const char* name, const std::string& v, size_t most = kMaxWord) {
    return hold(v.size() <= most && valid_utf8(v), name, "is no text of at most " + std::to_string(most) + " bytes");
  }
  Words& digest(const char* name, const std::string& v) {
    return hold(v.size() == kDigestBytes, name, "is not " + std::to_string(kDigestBytes) + " bytes long");
  }
  Words& count(const char* name, int64_t v) { return hold(v >= 0, name, "is below zero"); }
  Words& number(const char* name, double v) { return hold(std::isfinite(v), name, "is not a finite number"); }
  Status status;

 private:
  Words& hold(bool good, const char* name, const std::string& why) {
    if (!good && status.ok())
      status = fail(Code::unavailable, std::string("the worker's answer is not sound: ") + name + " " + why);
    return *this;
  }
};

constexpr int kSocketInChild = 3;
constexpr int kHelloMs = 30'000;  // a start takes milliseconds; a machine that swaps takes seconds

}  // namespace

Error worker_ended() { return fail(Code::unavailable, "the worker ended before the answer was complete"); }

Error worker_error(const rpc::Failed& failed) {
  Error error = rpc::to_error(failed);
  error.name = clip_utf8(error.name, kMaxWord);
  error.message = clip_utf8(error.message, kMaxMessage);
  return error;
}

Status check_words(const ModelCard& c) {
  Words w;
  w.text("digest", c.digest).text("architecture", c.architecture).text("chat_format", c.chat_format);
  w.text("dtype", c.dtype).count("parameters", c.parameters).count("vocabulary", c.vocabulary);
  w.count("context", c.context).count("layers", c.layers).count("width", c.width).count("heads", c.heads);
  return w.count("kv_heads", c.kv_heads).status;
}

Status check_words(const Finished& f) {
  Words w;
  w.count("input_tokens", f.input_tokens).count("output_tokens", f.output_tokens);
  w.text("stop_reason", f.stop_reason).text("stop_sequence", f.stop_sequence);
  w.digest("input_digest", f.input_digest)
      .digest("output_digest", f.output_digest)
      .digest("text_digest", f.text_digest);
  w.text("build", f.build).text("isa", f.isa).count("queued_us", f.queued_us);
  return w.count("first_token_us", f.first_token_us).count("total_us", f.total_us).status;
}

Status check_words(const rpc::TrainDone& d) {
  Words w;
  w.count("steps", d.steps).count("tokens", d.tokens).count("examples", d.examples).count("parameters", d.parameters);
  w.number("loss", d.loss).number("validation_loss", d.validation_loss).number("seconds", d.seconds);
  w.number("tokens_per_second", d.tokens_per_second).text("data_digest", d.data_digest);
  for (const std::string& name : d.files_written) w.text("files_written", name);
  return w.status;
}

Status check_words(const rpc::TrainProgress& p) {
  Words w;
  w.text("phase", p.phase).text("note", p.note).count("step", p.step).count("steps", p.steps).count("tokens", p.tokens);
  w.number("loss", p.loss).number("validation_loss", p.validation_loss).number("learning_rate", p.learning_rate);
  return w.number("tokens_per_second", p.tokens_per_second).number("seconds_left", p.seconds_left).status;
}

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
  if (options.refusals) {
    spec.arguments.push_back("--tell-refusals");
    spec.arguments.push_back("1");
  }
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
  if (options.refusals && !frame->descriptors.empty())
    worker.refusals = std::make_unique<os::RefusalWatch>(std::move(frame->descriptors[0]), options.refusals);
  return worker;
}

Result<OpenModel> open_model(Models& models, const std::string& digest, bool cache) {
  OpenModel out;
  out.task.digest = digest;
  out.task.files = TRY(models.files(digest));
  if (out.task.files.size() >= rpc::kMaxDescriptors)
    return fail(Code::too_large, "model " + digest + " has " + std::to_string(out.task.files.size()) +
                                     " files; a worker takes at most " + std::to_string(rpc::kMaxDescriptors - 1));
  for (const std::string& name : out.task.files) {
    out.files.push_back(TRY(models.open_file(digest, name)));
    out.descriptors.push_back(out.files.back()->fd());
  }
  if (!cache) return out;
  if (auto file = models.open_cache(digest); file.ok() && *file) {
    out.task.cache = true;
    out.files.push_back(std::move(*file));
    out.descriptors.push_back(out.files.back()->fd());
  }
  return out;
}

}  // namespace hf::fleet
