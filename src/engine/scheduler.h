// Which rows the next step computes: continuous batching over paged keys and values. Decides only, without threads,
// clock or memory of its own: the engine carries out what step() says, and tells it of tokens and ends.
//
// A request has `length` tokens (its prompt, then what was generated), of which `computed` have their keys and values
// in pages. A step computes some of the others; when it reaches the last one, a token can be sampled. Prompts are
// computed in chunks, between which the running requests go on. Pages are taken when a request is admitted and as it
// grows; when none is left, the request that was admitted last gives its pages back and is computed again later (to
// the same bits: model/llama.h), so the oldest always gets to its end.
// Between tenants: each has a counter of the rows computed for it; who waits with the least counter is admitted
// first, and gets its prompt computed first. A tenant that comes back from idleness starts at the least counter of
// those that are active, so idleness saves nothing up (Sheng et al., Fairness in serving large language models, 2024).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace hf::engine {

struct SchedulerLimits {
  int64_t rows = 256;   // of one step, over all requests
  int64_t chunk = 128;  // rows of one prompt in one step
  size_t running = 64;  // requests that hold pages
  size_t waiting = 1024;
  int64_t cache_bytes = 256 << 20;  // pages of all models together
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits) : limits_(limits) {}

  // page_bytes: of one page, which holds page_positions positions.
  void add_model(int model, int64_t page_bytes, int64_t page_positions);
  void remove_model(int model);  // its requests must have been removed

  struct Request {
    uint64_t id = 0;
    int model = 0;
    std::string tenant;
    int64_t prompt = 0;  // tokens, at least 1
    int64_t most = 0;    // positions that it may need in all
  };
  // exhausted: the queue is full; too_large: it can never have the pages it may need.
  Status add(const Request& request);
  void remove(uint64_t id);  // finished, failed or cancelled: its pages are free; unknown ids are fine
  void pause(uint64_t id);   // no rows until resume(); keeps its pages while nobody needs them
  void resume(uint64_t id);
  void sampled(uint64_t id);  // one token longer

  struct Work {
    uint64_t id = 0;
    int64_t first = 0, count = 0;  // positions to compute: tokens first .. first + count - 1
    bool sample = false;           // the last of them is the last token
  };
  struct Step {
    int model = 0;
    std::vector<Work> work;           // empty: nothing can be done now
    std::vector<uint64_t> admitted;   // for the first time or again
    std::vector<uint64_t> preempted;  // their pages are gone
  };
  // One model a step, in turns. Takes for granted that the step will be carried out.
  Step step();

  size_t running() const { return running_.size(); }
  size_t waiting() const { return requests_.size() - running_.size(); }
  int64_t cache_used() const { return used_; }  // bytes
  int64_t pages_used() const { return pages_; }
  int64_t preemptions() const { return preemptions_; }
  const SchedulerLimits& limits() const { return limits_; }

 private:
  struct Entry {
    Request request;
    int64_t length = 0, computed = 0, pages = 0;
    bool running = false, paused = false;
  };
  struct Model {
    int64_t page_bytes = 0, page_positions = 1;
  };
  struct Tenant {
    int64_t counter = 0;  // rows computed
    std::deque<uint64_t> waiting;
    size_t requests = 0;  // waiting and running
  };

  int64_t pages_for(const Entry& entry, int64_t positions) const;
  bool take(Entry& entry, int64_t pages);  // up to so many in all
  void release(Entry& entry);
  void preempt(uint64_t id, Step& step);
  bool preempt_paused(Step& step);
  bool grow(Entry& entry, Step& step);
  uint64_t* next_waiting(int model);
  void admit(int model, Step& step);
  void plan(int model, Step& step);
  bool plan_model(int model, Step& step);
  Tenant& tenant_of(const std::string& name);

  SchedulerLimits limits_;
  std::map<int, Model> models_;
  std::map<uint64_t, Entry> requests_;
  std::map<std::string, Tenant> tenants_;
  std::vector<uint64_t> running_;  // in order of admission
  int last_model_ = -1;
  int64_t used_ = 0, pages_ = 0, preemptions_ = 0;
};

}  // namespace hf::engine
