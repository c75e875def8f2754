#include "engine/scheduler.h"

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace hf::engine {
namespace {

constexpr size_t kMaxTenants = 10'000;  // idle ones are forgotten beyond this

}  // namespace

void Scheduler::add_model(int model, int64_t page_bytes, int64_t page_positions) {
  check(page_bytes > 0 && page_positions > 0, "pages have a size");
  models_[model] = {page_bytes, page_positions};
}

void Scheduler::remove_model(int model) {
  for (const auto& [id, entry] : requests_) check(entry.request.model != model, "a model goes before its requests");
  models_.erase(model);
}

int64_t Scheduler::pages_for(const Entry& entry, int64_t positions) const {
  const int64_t each = models_.at(entry.request.model).page_positions;
  return (positions + each - 1) / each;
}

Scheduler::Tenant& Scheduler::tenant_of(const std::string& name) {
  const auto it = tenants_.find(name);
  if (it != tenants_.end() && it->second.requests > 0) return it->second;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const auto& [other, tenant] : tenants_)
    if (tenant.requests > 0) least = std::min(least, tenant.counter);
  if (it == tenants_.end() && tenants_.size() >= kMaxTenants)
    std::erase_if(tenants_, [](const auto& row) { return row.second.requests == 0; });
  Tenant& tenant = tenants_[name];
  if (least != std::numeric_limits<int64_t>::max()) tenant.counter = std::max(tenant.counter, least);
  return tenant;
}

Status Scheduler::add(const Request& request) {
  check(models_.contains(request.model) && !requests_.contains(request.id), "a new request of a loaded model");
  check(request.prompt > 0 && request.most >= request.prompt, "a request has tokens");
  if (waiting() >= limits_.waiting)
    return fail(Code::exhausted, "the engine's queue is full (" + std::to_string(limits_.waiting) + " requests)");
  Entry entry;
  entry.request = request;
  entry.length = request.prompt;
  const int64_t bytes = pages_for(entry, request.most) * models_.at(request.model).page_bytes;
  if (bytes > limits_.cache_bytes)
    return fail(Code::too_large, "prompt and answer of up to " + std::to_string(request.most) + " tokens need " +
                                     human_bytes(static_cast<uint64_t>(bytes)) + " of cache; there are " +
                                     human_bytes(static_cast<uint64_t>(limits_.cache_bytes)));
  Tenant& tenant = tenant_of(request.tenant);
  tenant.waiting.push_back(request.id);
  ++tenant.requests;
  requests_.emplace(request.id, std::move(entry));
  return {};
}

bool Scheduler::take(Entry& entry, int64_t pages) {
  const int64_t bytes = (pages - entry.pages) * models_.at(entry.request.model).page_bytes;
  if (bytes > limits_.cache_bytes - used_) return false;
  used_ += bytes;
  pages_ += pages - entry.pages;
  entry.pages = pages;
  return true;
}

void Scheduler::release(Entry& entry) {
  used_ -= entry.pages * models_.at(entry.request.model).page_bytes;
  pages_ -= entry.pages;
  entry.pages = 0;
  entry.computed = 0;
  entry.running = false;
  std::erase(running_, entry.request.id);
}

void Scheduler::remove(uint64_t id) {
  const auto it = requests_.find(id);
  if (it == requests_.end()) return;
  Tenant& tenant = tenants_.at(it->second.request.tenant);
  if (it->second.running) {
    release(it->second);
  } else {
    std::erase(tenant.waiting, id);
  }
  --tenant.requests;
  requests_.erase(it);
}

void Scheduler::pause(uint64_t id) {
  if (const auto it = requests_.find(id); it != requests_.end()) it->second.paused = true;
}

void Scheduler::resume(uint64_t id) {
  if (const auto it = requests_.find(id); it != requests_.end()) it->second.paused = false;
}

void Scheduler::sampled(uint64_t id) {
  Entry& entry = requests_.at(id);
  check(entry.computed == entry.length, "a token is sampled where all before it are computed");
  ++entry.length;
}

void Scheduler::preempt(uint64_t id, Step& step) {
  Entry& entry = requests_.at(id);
  release(entry);
  tenants_.at(entry.request.tenant).waiting.push_front(id);
  step.preempted.push_back(id);
  ++preemptions_;
}

// Pages for all tokens of a running request, others' if there are none left. False: it was preempted itself.
bool Scheduler::grow(Entry& entry, Step& step) {
  const int64_t need = pages_for(entry, entry.length);
  while (need > entry.pages && !take(entry, need)) {
    // Those that wait for their reader first, then who came last.
    auto victim =
        std::find_if(running_.rbegin(), running_.rend(), [&](uint64_t id) { return requests_.at(id).paused; });
    if (victim == running_.rend()) victim = running_.rbegin();
    const uint64_t id = *victim;
    preempt(id, step);
    if (id == entry.request.id) return false;
  }
  return true;
}

// The waiting request of the model that is next: of the tenant with the least counter, the oldest.
uint64_t* Scheduler::next_waiting(int model) {
  uint64_t* next = nullptr;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (auto& [name, tenant] : tenants_) {
    if (tenant.counter >= least) continue;
    const auto ready = std::find_if(tenant.waiting.begin(), tenant.waiting.end(), [&](uint64_t id) {
      const Entry& entry = requests_.at(id);
      return entry.request.model == model && !entry.paused;
    });
    if (ready == tenant.waiting.end()) continue;
    least = tenant.counter;
    next = &*ready;
  }
  return next;
}

// Who waits for its reader holds neither a place nor pages that someone else could use now.
bool Scheduler::preempt_paused(Step& step) {
  const auto idle =
      std::find_if(running_.rbegin(), running_.rend(), [&](uint64_t id) { return requests_.at(id).paused; });
  if (idle == running_.rend()) return false;
  preempt(*idle, step);
  return true;
}

void Scheduler::admit(int model, Step& step) {
  const int64_t page_bytes = models_.at(model).page_bytes;
  while (const uint64_t* next = next_waiting(model)) {
    Entry& entry = requests_.at(*next);
    const int64_t pages = pages_for(entry, entry.length);
    // A page to grow for everyone who runs already: else it would be thrown out at once.
    const auto fits = [&] {
      const int64_t spare = static_cast<int64_t>(running_.size());
      return running_.size() < limits_.running && (pages + spare) * page_bytes <= limits_.cache_bytes - used_;
    };
    while (!fits() && preempt_paused(step)) {
    }
    // Alone it needs nothing to spare: add() has seen that it fits.
    if (!fits() && !running_.empty()) return;
    check(take(entry, pages), "an admitted request fits");
    entry.running = true;
    std::erase(tenants_.at(entry.request.tenant).waiting, entry.request.id);
    running_.push_back(entry.request.id);
    step.admitted.push_back(entry.request.id);
  }
}

void Scheduler::plan(int model, Step& step) {
  int64_t left = limits_.rows;
  std::vector<Entry*> prompts;
  const auto add = [&](Entry& entry, int64_t count) {
    step.work.push_back({entry.request.id, entry.computed, count, entry.computed + count == entry.length});
    entry.computed += count;
    tenants_.at(entry.request.tenant).counter += count;
    left -= count;
  };
  for (const uint64_t id : running_) {
    Entry& entry = requests_.at(id);
    if (entry.request.model != model || entry.paused || entry.computed == entry.length) continue;
    if (entry.length - entry.computed > 1) {
      prompts.push_back(&entry);
    } else if (left > 0) {
      add(entry, 1);
    }
  }
  std::stable_sort(prompts.begin(), prompts.end(), [&](const Entry* a, const Entry* b) {
    return tenants_.at(a->request.tenant).counter < tenants_.at(b->request.tenant).counter;
  });
  for (Entry* entry : prompts) {
    const int64_t count = std::min({left, limits_.chunk, entry->length - entry->computed});
    if (count > 0) add(*entry, count);
  }
}

bool Scheduler::plan_model(int model, Step& step) {
  step.model = model;
  const std::vector<uint64_t> before = running_;
  for (const uint64_t id : before) {
    Entry& entry = requests_.at(id);
    if (entry.running && !entry.paused && entry.request.model == model) grow(entry, step);
  }
  admit(model, step);
  plan(model, step);
  return !step.work.empty();
}

Scheduler::Step Scheduler::step() {
  Step step;
  auto it = models_.upper_bound(last_model_);
  for (size_t i = 0; i < models_.size(); ++i, ++it) {
    if (it == models_.end()) it = models_.begin();
    if (plan_model(it->first, step)) {
      last_model_ = it->first;
      return step;
    }
  }
  return step;
}

}  // namespace hf::engine
