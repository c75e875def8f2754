// The site's side of its workers: starts them sandboxed, hands them models and tasks, survives their death.
// One serving worker holds the loaded models; each training job has a worker of its own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/fs.h"
#include "os/refusals.h"
#include "rpc/messages.h"
#include "store/db.h"

namespace hf::fleet {

using rpc::Finished;
using rpc::GenerateRequest;
using rpc::ModelCard;

// ---- Model folders: STATE/models/<sha256 of the manifest>/ {config.json, model.safetensors, tokenizer.json, ...}
// Immutable once named. Never parsed here: a worker inspects them. The manifest is the text that names the folder, one
// line a file, sorted: "NAME SHA256 SIZE\n"; it lies beside the files as MANIFEST. Thread-safe.
class Models {
 public:
  static Result<std::unique_ptr<Models>> open(os::Fs& fs, os::Random& random, const std::string& folder);
  virtual ~Models() = default;
  // A temporary folder to write files into (by name: [A-Za-z0-9._-]+), then seal() names it by its digest.
  class Draft {
   public:
    virtual ~Draft() = default;  // removes it unless sealed; while it lives, what it sealed cannot be removed
    virtual Result<std::unique_ptr<os::File>> create(const std::string& file) = 0;
    virtual Status remove(const std::string& file) = 0;  // one that was created and is not wanted after all
    virtual Result<std::string> seal() = 0;  // syncs, hashes; the digest (64 hex). The same content: the same folder
  };
  virtual Result<std::unique_ptr<Draft>> draft() = 0;
  virtual Result<std::vector<std::string>> files(const std::string& digest) = 0;
  virtual Result<std::unique_ptr<os::File>> open_file(const std::string& digest, const std::string& file) = 0;
  virtual Status verify(const std::string& digest) = 0;  // corrupt: which file
  // The file where a worker keeps the kernels' form of the model's weights: made if it is not there, of no worth to
  // anyone else, gone with the model. Null for models of less than kCachedBytes.
  virtual Result<std::unique_ptr<os::File>> open_cache(const std::string& digest) = 0;
  static constexpr uint64_t kCachedBytes = 64 << 20;
  virtual Status remove(const std::string& digest) = 0;  // conflict: a Draft that sealed it lives
};

// text() comes on the worker's reader thread and must not block. done() or failed() comes last and once, after the last
// text() returned, on one of the fleet's finishing threads: it may wait for a commit, and for nothing slower.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual bool text(std::string piece) = 0;  // whole UTF-8 characters; false: pause until Fleet::resume(id)
  virtual void done(const Finished& finished) = 0;
  virtual void failed(const Error& error) = 0;
};

// All on the training worker's reader thread, done/failed last and once: must not block.
class TrainSink {
 public:
  virtual ~TrainSink() = default;
  virtual void progress(const rpc::TrainProgress& progress) = 0;
  virtual void done(const rpc::TrainDone& done) = 0;
  virtual void failed(const Error& error) = 0;
};

struct FleetOptions {
  std::string program;                              // "" : this program (/proc/self/exe)
  std::string isa;                                  // HOLDFAST_ISA for workers, "" : best
  int threads = 0;                                  // 0: all cores
  uint64_t kv_bytes = 256u << 20;                   // pages of keys and values
  size_t queue_limit = 1024;                        // requests that run or wait in the worker; beyond: exhausted
  std::shared_ptr<os::RefusalSink> refusals;        // told of each refused system call of a worker; null: nobody
  rpc::ProbeTask probe;                             // what of the site's a probe tries to reach
  std::vector<std::string> arguments = {"worker"};  // before --socket FD ...
};

class Fleet {
 public:
  static Result<std::unique_ptr<Fleet>> start(os::Clock& clock, Models& models, const FleetOptions& options);
  virtual ~Fleet() = default;

  virtual Result<ModelCard> load(const std::string& digest) = 0;  // idempotent; blocks until it can serve
  virtual Status unload(const std::string& digest) = 0;
  virtual Result<ModelCard> inspect(const std::string& digest) = 0;  // parses and checks in a fresh worker
  virtual Result<int64_t> count(const std::string& digest, const rpc::Prompt& prompt) = 0;
  // exhausted (ThrottlingException): queue full. The id is for cancel and resume.
  virtual Result<uint64_t> generate(const GenerateRequest& request, std::shared_ptr<Sink> sink) = 0;
  virtual void cancel(uint64_t id) = 0;
  virtual void resume(uint64_t id) = 0;

  struct Training {
    rpc::TrainTask task;
    std::vector<std::shared_ptr<os::File>> train_files, validation_files;  // JSON lines
    std::vector<std::shared_ptr<os::File>> checkpoints;  // none or two, to read and to write (docs/training.md)
    std::shared_ptr<Models::Draft> output;  // made into files named task.outputs; the worker writes through descriptors
  };
  virtual Result<uint64_t> train(Training training, std::shared_ptr<TrainSink> sink) = 0;
  virtual void stop_training(uint64_t id) = 0;  // gracefully: what was learnt is written
  virtual void kill_training(uint64_t id) = 0;  // at once: failed() with Code::unavailable follows

  virtual Result<rpc::ProbeReport> probe() = 0;  // the hostile minute, from inside a worker
  struct Status_ {
    pid_t serving_pid = 0;
    uint64_t restarts = 0;
    std::vector<std::string> loaded;
    std::string isolation;   // in plain words, from the worker's hello
    std::string build, isa;  // of the serving worker, from its hello
    rpc::EngineCounters counters;
  };
  virtual Status_ status() = 0;
};

}  // namespace hf::fleet
