// Requests in, tokens out: the scheduler's decisions carried out on real models and pages. One thread calls it; it has
// no thread of its own but the pool's. Every answer is the same bits whatever else runs beside it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "crypto/crypto.h"
#include "engine/loaded_model.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "engine/text_stream.h"
#include "os/clock.h"
#include "tensor/pool.h"

namespace hf::engine {

struct EngineOptions {
  std::string build;  // sha256 of the program, hex
  int threads = 1;
  SchedulerLimits scheduler;
  size_t models = 64;  // loaded at a time
};

// What the site is told. Finished and Failed end their request.
struct Event {
  uint64_t id = 0;
  std::variant<rpc::Text, rpc::Finished, Error> what;
};

class Engine {
 public:
  Engine(os::Clock& clock, const tensor::Kernels& kernels, const EngineOptions& options);

  // Idempotent. The card's digest is the name that requests use.
  // `cache_file` (may be null): where the kernels' form of the weights is kept (weight_cache.h).
  Result<rpc::ModelCard> load(const std::string& digest, std::vector<ModelFile> files,
                              std::unique_ptr<os::File> cache_file = nullptr);
  // conflict: requests of it are running or waiting. not_found.
  Status unload(const std::string& digest);
  Result<int64_t> count(const std::string& digest, const rpc::Prompt& prompt) const;

  // The request's events come from take_events(). A refusal (invalid, not_found, exhausted, too_large) is one of them.
  void submit(uint64_t id, const rpc::GenerateRequest& request);
  void cancel(uint64_t id);
  void pause(uint64_t id) { scheduler_.pause(id); }
  void resume(uint64_t id) { scheduler_.resume(id); }

  // One batch. False: there was nothing to do.
  bool step();
  std::vector<Event> take_events();
  rpc::EngineCounters counters() const;
  tensor::Pool& pool() { return pool_; }  // for work between steps

 private:
  struct Slot {  // a loaded model
    int number = 0;
    std::shared_ptr<const LoadedModel> model;
  };
  struct Run {  // a request
    Slot slot;
    rpc::Sampling sampling;
    std::vector<int32_t> tokens;   // prompt, then answer
    int64_t prompt = 0, most = 0;  // tokens; tokens and answer at most
    TextStream text;
    crypto::Hasher output_ids, output_text;
    std::vector<model::Page> pages;  // as many as its computed positions need
    rpc::Finished finished;          // filled as it goes
    int64_t submitted_us = 0;
    bool admitted = false;
  };

  Result<Slot> find(const std::string& digest) const;
  Status start(uint64_t id, const rpc::GenerateRequest& request);
  Status carry_out(const Scheduler::Step& step);
  Status forward(const Scheduler::Step& step);
  void sample(uint64_t id, Run& run, std::span<const float> logits);
  void emit(uint64_t id, Run& run, const std::string& piece);
  void finish(uint64_t id, const std::string& reason);
  void fail_request(uint64_t id, Error error);
  int64_t since(int64_t start_us) { return clock_.monotonic_us() - start_us; }

  os::Clock& clock_;
  const tensor::Kernels& kernels_;
  EngineOptions options_;
  tensor::Pool pool_;
  Scheduler scheduler_;
  Sampler sampler_;
  model::Workspace workspace_;
  tensor::Floats logits_;
  std::map<std::string, Slot> models_;  // by digest
  int next_model_ = 0;
  std::map<uint64_t, Run> runs_;
  std::vector<Event> events_;
  rpc::EngineCounters counters_;
};

}  // namespace hf::engine
