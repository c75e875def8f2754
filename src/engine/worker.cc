#include "engine/worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <new>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "engine/inbox.h"
#include "engine/probe.h"
#include "engine/train.h"
#include "os/fs.h"
#include "os/sandbox.h"
#include "os/thread.h"
#include "rpc/channel.h"

namespace hf::engine {
namespace {

using rpc::Frame;
using rpc::Type;

void say(const std::string& line) { std::fprintf(stderr, "holdfast worker: %s\n", line.c_str()); }

// Also the first use of the hash library, which reads its own files then: the sandbox has none.
Result<std::string> program_digest() {
  auto file = TRY(os::real_fs().open("/proc/self/exe", os::Open::read));
  crypto::Hasher hasher(crypto::Hash::sha256);
  std::string piece(1 << 20, '\0');
  for (uint64_t at = 0;;) {
    const size_t n = TRY(file->read_at(at, {piece.data(), piece.size()}));
    if (n == 0) return hex(hasher.finish());
    hasher.update(std::string_view(piece).substr(0, n));
    at += n;
  }
}

uint64_t peak_bytes() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<uint64_t>(usage.ru_maxrss) * 1024 : 0;
}

Result<std::vector<ModelFile>> map_files(const rpc::LoadTask& task, const Frame& frame) {
  std::vector<ModelFile> out;
  for (size_t i = 0; i < task.files.size(); ++i)
    out.push_back({task.files[i], TRY(os::Mapping::of_fd(frame.descriptors[i].get(), kMaxModelFile, task.files[i]))});
  return out;
}

class Worker {
 public:
  Worker(rpc::Channel& channel, Inbox& inbox, const os::Sandbox& sandbox, const tensor::Kernels& kernels,
         const EngineOptions& options)
      : channel_(channel),
        inbox_(inbox),
        sandbox_(sandbox),
        kernels_(kernels),
        build_(options.build),
        engine_(os::real_clock(), kernels, options) {}

  int run() {
    bool working = false;
    for (;;) {
      while (auto frame = inbox_.take(!working)) {
        working = true;  // what it started may have something to do
        if (const Status handled = handle(*frame); !handled.ok()) {
          say(std::string(rpc::type_name(frame->type)) + ": " + handled.error().message);
          return 2;
        }
      }
      if (const auto why = inbox_.ended()) {
        if (!why->empty()) say(*why);
        return why->empty() ? 0 : 2;
      }
      working = engine_.step();
      if (const Status sent = send_events(); !sent.ok()) {
        say(sent.error().message);
        return 2;
      }
    }
  }

 private:
  // An error ends the worker: the frame is broken, or the site is gone. A task that fails is an answer.
  Status handle(Frame& frame) {
    try {
      return dispatch(frame);
    } catch (const std::bad_alloc&) {
      return refuse(frame.id, fail(Code::exhausted, "the worker is out of memory"));
    } catch (const std::exception& e) {
      return refuse(frame.id, fail(Code::internal, std::string("the worker failed: ") + e.what()));
    }
  }

  Status dispatch(Frame& frame) {
    const bool takes_descriptors = frame.type == Type::load || frame.type == Type::inspect || frame.type == Type::train;
    if (!takes_descriptors && !frame.descriptors.empty()) return fail(Code::invalid, "descriptors with the wrong task");
    switch (frame.type) {
      case Type::load:
      case Type::inspect:
        return load(frame);
      case Type::unload:
        return unload(frame);
      case Type::count:
        return count(frame);
      case Type::generate:
        engine_.submit(frame.id, TRY(rpc::decode<rpc::GenerateRequest>(frame.body)));
        return send_events();
      case Type::train:
        return train(frame);
      case Type::probe:
        return channel_.send_message(Type::report, frame.id,
                                     probe(TRY(rpc::decode<rpc::ProbeTask>(frame.body)), sandbox_, allowed()));
      case Type::counters:
        return channel_.send_message(Type::counted_all, frame.id, engine_.counters());
      case Type::cancel:
        return engine_.cancel(frame.id), send_events();
      case Type::pause:
        return engine_.pause(frame.id), Status();
      case Type::resume:
        return engine_.resume(frame.id), Status();
      case Type::stop:
        return {};  // of a training that is over
      default:
        return fail(Code::invalid, "not a frame that a site sends");
    }
  }

  Status refuse(uint64_t id, const Error& error) {
    return channel_.send_message(Type::failed, id, rpc::to_failed(error));
  }

  template <class T>
  Status answer(uint64_t id, Type type, const Result<T>& result) {
    return result.ok() ? channel_.send_message(type, id, *result) : refuse(id, result.error());
  }

  Result<rpc::ModelCard> load_files(const rpc::LoadTask& task, Frame& frame) {
    auto files = TRY(map_files(task, frame));
    std::unique_ptr<os::File> cache;
    if (task.cache) cache = os::file_of(std::move(frame.descriptors.back()), "the weights' file");
    if (frame.type == Type::load) return engine_.load(task.digest, std::move(files), std::move(cache));
    return TRY(load_model(task.digest, std::move(files), kernels_))->card;
  }

  Status load(Frame& frame) {
    const auto task = TRY(rpc::decode<rpc::LoadTask>(frame.body));
    if (task.files.size() + (task.cache ? 1 : 0) != frame.descriptors.size())
      return fail(Code::invalid, std::to_string(task.files.size()) + " files with " +
                                     std::to_string(frame.descriptors.size()) + " descriptors");
    return answer(frame.id, Type::card, load_files(task, frame));
  }

  Status unload(const Frame& frame) {
    const auto task = TRY(rpc::decode<rpc::UnloadTask>(frame.body));
    const Status done = engine_.unload(task.digest);
    return done.ok() ? channel_.send(Type::unloaded, frame.id) : refuse(frame.id, done.error());
  }

  Status count(const Frame& frame) {
    const auto task = TRY(rpc::decode<rpc::CountTask>(frame.body));
    const auto tokens = engine_.count(task.digest, task.prompt);
    if (!tokens.ok()) return refuse(frame.id, tokens.error());
    return channel_.send_message(Type::counted, frame.id, rpc::Counted{*tokens});
  }

  Status train(Frame& frame) {
    const auto task = TRY(rpc::decode<rpc::TrainTask>(frame.body));
    const int64_t inputs = int64_t{task.train_files} + task.validation_files;
    const size_t written = static_cast<size_t>(inputs) + task.outputs.size();
    if (task.train_files < 0 || task.validation_files < 0 ||
        (task.checkpoint_files != 0 && task.checkpoint_files != 2) ||
        written + static_cast<size_t>(task.checkpoint_files) != frame.descriptors.size())
      return fail(Code::invalid, "train: " + std::to_string(frame.descriptors.size()) + " descriptors do not fit");
    TrainFiles files;
    for (size_t i = 0; i < frame.descriptors.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      const std::string name = at < task.train_files ? "training file " + std::to_string(i + 1)
                               : at < inputs         ? "validation file " + std::to_string(at - task.train_files + 1)
                               : i >= written        ? "checkpoint " + std::to_string(i - written + 1)
                                                     : task.outputs[static_cast<size_t>(at - inputs)];
      auto file = os::file_of(std::move(frame.descriptors[i]), name);
      if (i >= written) {
        files.checkpoints.push_back(std::move(file));
      } else if (at >= inputs) {
        files.outputs.emplace_back(name, std::move(file));
      } else {
        (at < task.train_files ? files.train : files.validation).push_back(std::move(file));
      }
    }
    Status sent;
    TrainHooks hooks;
    hooks.progress = [&](const rpc::TrainProgress& progress) {
      if (sent.ok()) sent = channel_.send_message(Type::progress, frame.id, progress);
    };
    hooks.stop = [&] { return !sent.ok() || inbox_.told_to_stop(frame.id); };
    hooks.peak_bytes = peak_bytes;
    const auto done = run_training(task, std::move(files), hooks,
                                   {kernels_, engine_.pool(), os::real_clock(), build_, os::cpu_info().fast_bf16});
    TRY(std::move(sent));
    return answer(frame.id, Type::trained, done);
  }

  Status send_events() {
    for (const Event& event : engine_.take_events()) {
      if (const auto* text = std::get_if<rpc::Text>(&event.what)) {
        TRY(channel_.send_message(Type::text, event.id, *text));
      } else if (const auto* finished = std::get_if<rpc::Finished>(&event.what)) {
        TRY(channel_.send_message(Type::finished, event.id, *finished));
      } else {
        TRY(refuse(event.id, std::get<Error>(event.what)));
      }
    }
    return {};
  }

  std::vector<int> allowed() const { return {0, 1, 2, channel_.fd(), sandbox_.net_dev.get(), sandbox_.net_snmp.get()}; }

  rpc::Channel& channel_;
  Inbox& inbox_;
  const os::Sandbox& sandbox_;
  const tensor::Kernels& kernels_;
  std::string build_;
  Engine engine_;
};

void read_frames(rpc::Channel& channel, Inbox& inbox) {
  for (;;) {
    auto frame = channel.receive();
    if (!frame.ok()) return inbox.end(frame.error().message);
    if (!frame->has_value()) return inbox.end("");
    if (!inbox.put(std::move(**frame))) return;
  }
}

rpc::Hello hello_of(const std::string& build, const tensor::Kernels& kernels, const os::Sandbox& sandbox) {
  rpc::Hello hello;
  hello.build = build;
  hello.isa = kernels.isa;
  hello.isolation = sandbox.words();
  hello.layers = sandbox.holding();
  return hello;
}

Result<int> serve(os::Fd socket, const WorkerOptions& options) {
  const std::string build = TRY(program_digest());
  const os::CpuInfo cpu = os::cpu_info();
  const tensor::Kernels& kernels = *TRY(tensor::choose_kernels(options.isa, cpu));
  os::SandboxOptions limits;
  limits.keep = {socket.get()};
  limits.memory_bytes = options.memory_bytes > 0 ? options.memory_bytes : os::total_memory_bytes();
  rpc::Channel channel(std::move(socket));
  limits.tell_refusals = options.tell_refusals;
  os::Sandbox sandbox = TRY(os::enter_sandbox(limits));
  std::vector<int> listener;
  if (sandbox.refusals) listener.push_back(sandbox.refusals.get());
  TRY(channel.send_message(Type::hello, 0, hello_of(build, kernels, sandbox), listener));
  sandbox.refusals = os::Fd();  // the site's alone: whoever holds it could let a call pass
  EngineOptions engine;
  engine.build = build;
  engine.threads = options.threads > 0 ? options.threads : cpu.cores;
  engine.scheduler.cache_bytes = static_cast<int64_t>(options.kv_bytes);
  Inbox inbox;
  const os::Thread reader("rpc-reader", [&] { read_frames(channel, inbox); });
  const int status = Worker(channel, inbox, sandbox, kernels, engine).run();
  inbox.stop();
  channel.close();
  return status;
}

Result<WorkerOptions> parse_arguments(int argc, char** argv, int& socket) {
  WorkerOptions options;
  for (int i = 2; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return fail(Code::invalid, std::string(name) + ": expected a value");
    const int64_t value = TRY(parse_int(argv[i + 1], name));
    if (name == "--socket" && value >= 0 && value < 1 << 20) {
      socket = static_cast<int>(value);
    } else if (name == "--threads" && value >= 0 && value <= 1024) {
      options.threads = static_cast<int>(value);
    } else if (name == "--kv-bytes" && value > 0 && value < int64_t{1} << 50) {
      options.kv_bytes = static_cast<uint64_t>(value);
    } else if (name == "--tell-refusals" && (value == 0 || value == 1)) {
      options.tell_refusals = value == 1;
    } else {
      return fail(Code::invalid, std::string(name) + " " + argv[i + 1] + ": unknown, or out of range");
    }
  }
  if (socket < 0) return fail(Code::invalid, "expected --socket FD");
  const char* isa = std::getenv("HOLDFAST_ISA");
  if (isa) options.isa = isa;
  return options;
}

}  // namespace

int run_worker(int socket, const WorkerOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto status = serve(os::Fd(socket), options);
  if (status.ok()) return *status;
  say(status.error().message);
  return 2;
}

int worker_entry(int argc, char** argv) {
  int socket = -1;
  const auto options = parse_arguments(argc, argv, socket);
  if (!options.ok()) {
    say(options.error().message);
    return 64;
  }
  return run_worker(socket, *options);
}

}  // namespace hf::engine
