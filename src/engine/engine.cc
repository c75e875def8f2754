#include "engine/engine.h"

#include <algorithm>
#include <new>
#include <utility>

namespace hf::engine {
namespace {

void put_u32le(std::string& out, uint32_t v) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(v >> (8 * i)));
}

crypto::Hasher salted(std::string_view salt) {
  crypto::Hasher hasher(crypto::Hash::sha256);
  hasher.update(salt);
  return hasher;
}

std::string ids_digest(std::string_view salt, std::span<const int32_t> ids) {
  std::string bytes;
  for (const int32_t id : ids) put_u32le(bytes, static_cast<uint32_t>(id));
  crypto::Hasher hasher = salted(salt);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace

Engine::Engine(os::Clock& clock, const tensor::Kernels& kernels, const EngineOptions& options)
    : clock_(clock), kernels_(kernels), options_(options), pool_(options.threads), scheduler_(options.scheduler) {}

Result<rpc::ModelCard> Engine::load(const std::string& digest, std::vector<ModelFile> files,
                                    std::unique_ptr<os::File> cache_file) {
  if (const auto it = models_.find(digest); it != models_.end()) return it->second.model->card;
  if (models_.size() >= options_.models)
    return fail(Code::exhausted, std::to_string(models_.size()) + " models are loaded, which is the most; unload one");
  Slot slot;
  WeightCache cache(std::move(cache_file), digest);
  slot.model = TRY(load_model(digest, std::move(files), kernels_, &cache));
  slot.number = next_model_++;
  scheduler_.add_model(slot.number, slot.model->page_bytes, model::kPagePositions);
  models_[digest] = slot;
  return slot.model->card;
}

Status Engine::unload(const std::string& digest) {
  const Slot slot = TRY(find(digest));
  for (const auto& [id, run] : runs_)
    if (run.slot.number == slot.number) return fail(Code::conflict, "model " + digest + " is answering requests");
  scheduler_.remove_model(slot.number);
  models_.erase(digest);
  return {};
}

Result<Engine::Slot> Engine::find(const std::string& digest) const {
  const auto it = models_.find(digest);
  if (it == models_.end()) return fail(Code::not_found, "model " + digest.substr(0, 64) + " is not loaded");
  return it->second;
}

Result<int64_t> Engine::count(const std::string& digest, const rpc::Prompt& prompt) const {
  const Slot slot = TRY(find(digest));
  return static_cast<int64_t>(TRY(slot.model->render(prompt)).size());
}

void Engine::submit(uint64_t id, const rpc::GenerateRequest& request) {
  ++counters_.requests;
  const Status started = start(id, request);
  if (!started.ok()) events_.push_back({id, started.error()});
}

Status Engine::start(uint64_t id, const rpc::GenerateRequest& request) {
  if (runs_.contains(id)) return fail(Code::conflict, "request id " + std::to_string(id) + " is in use");
  const Slot slot = TRY(find(request.digest));
  TRY(check_sampling(request.sampling));
  auto tokens = TRY(slot.model->render(request.prompt));
  const auto prompt = static_cast<int64_t>(tokens.size());
  const int64_t most = std::min(prompt + request.sampling.max_tokens, slot.model->weights->config.context);
  TRY(scheduler_.add({id, slot.number, request.tenant, prompt, most}));
  counters_.input_tokens += prompt;

  rpc::Finished finished;
  finished.input_tokens = prompt;
  finished.input_digest = ids_digest(request.salt, tokens);
  finished.build = options_.build;
  finished.isa = kernels_.isa;
  runs_.emplace(id, Run{.slot = slot,
                        .sampling = request.sampling,
                        .tokens = std::move(tokens),
                        .prompt = prompt,
                        .most = most,
                        .text = TextStream(slot.model->tokenizer, request.sampling.stop),
                        .output_ids = salted(request.salt),
                        .output_text = salted(request.salt),
                        .pages = {},
                        .finished = std::move(finished),
                        .submitted_us = clock_.monotonic_us()});
  return {};
}

void Engine::cancel(uint64_t id) {
  const auto it = runs_.find(id);
  if (it != runs_.end()) finish(id, "cancelled");
}

bool Engine::step() {
  const Scheduler::Step step = scheduler_.step();
  for (const uint64_t id : step.preempted) runs_.at(id).pages.clear();
  for (const uint64_t id : step.admitted) {
    Run& run = runs_.at(id);
    if (!std::exchange(run.admitted, true)) run.finished.queued_us = since(run.submitted_us);
  }
  if (step.work.empty()) return false;
  ++counters_.batches;
  // Which of them needed too much cannot be told: all of the batch end, the worker goes on.
  const auto fail_all = [&](const Error& error) {
    for (const auto& work : step.work)
      if (runs_.contains(work.id)) fail_request(work.id, error);
  };
  try {
    if (const Status done = carry_out(step); !done.ok()) fail_all(done.error());
  } catch (const std::bad_alloc&) {
    fail_all(fail(Code::exhausted, "the worker is out of memory"));
  }
  return true;
}

Status Engine::carry_out(const Scheduler::Step& step) {
  TRY(forward(step));
  const auto vocabulary = static_cast<size_t>(runs_.at(step.work[0].id).slot.model->weights->config.vocabulary);
  size_t row = 0;
  for (const auto& work : step.work) {
    if (!work.sample) continue;
    Run& run = runs_.at(work.id);
    // Rows beyond the tokenizer pad the matrix and stand for no token.
    const auto known = static_cast<size_t>(run.slot.model->tokenizer.size());
    sample(work.id, run, {logits_.data() + row++ * vocabulary, known});
  }
  return {};
}

Status Engine::forward(const Scheduler::Step& step) {
  std::vector<model::TokenRow> rows;
  std::vector<std::vector<float*>> pages(step.work.size());
  std::vector<model::Sequence> sequences;
  int64_t wanted = 0;
  const LoadedModel& model = *runs_.at(step.work[0].id).slot.model;
  for (size_t i = 0; i < step.work.size(); ++i) {
    const Scheduler::Work& work = step.work[i];
    Run& run = runs_.at(work.id);
    const int64_t need = (work.first + work.count + model::kPagePositions - 1) / model::kPagePositions;
    while (static_cast<int64_t>(run.pages.size()) < need) run.pages.push_back(TRY(model.weights->new_page()));
    for (const model::Page& page : run.pages) pages[i].push_back(page.get());
    sequences.push_back({pages[i]});
    for (int64_t p = work.first; p < work.first + work.count; ++p) {
      const bool last = work.sample && p + 1 == work.first + work.count;
      rows.push_back({run.tokens[static_cast<size_t>(p)], static_cast<int32_t>(p), static_cast<int32_t>(i), last});
      wanted += last;
    }
  }
  const auto floats = static_cast<size_t>(wanted * model.weights->config.vocabulary);
  logits_.need(floats);
  return model::forward(*model.weights, pool_, rows, sequences, workspace_, {logits_.data(), floats});
}

void Engine::sample(uint64_t id, Run& run, std::span<const float> logits) {
  const auto index = run.tokens.size() - static_cast<size_t>(run.prompt);
  const auto chosen = sampler_.choose(logits, run.sampling, index);
  if (!chosen.ok()) return fail_request(id, chosen.error());
  if (index == 0) run.finished.first_token_us = since(run.submitted_us);
  run.tokens.push_back(*chosen);
  scheduler_.sampled(id);
  ++counters_.output_tokens;
  std::string bytes;
  put_u32le(bytes, static_cast<uint32_t>(*chosen));
  run.output_ids.update(bytes);
  if (run.slot.model->is_end(*chosen)) return finish(id, "end_turn");
  emit(id, run, run.text.push(*chosen));
  if (run.text.stopped()) return finish(id, "stop_sequence");
  if (static_cast<int64_t>(run.tokens.size()) >= run.most) finish(id, "max_tokens");
}

void Engine::emit(uint64_t id, Run& run, const std::string& piece) {
  if (piece.empty()) return;
  run.output_text.update(piece);
  events_.push_back({id, rpc::Text{piece}});
}

void Engine::finish(uint64_t id, const std::string& reason) {
  Run& run = runs_.at(id);
  rpc::Finished& finished = run.finished;
  finished.stop_reason = reason;
  if (!run.text.stopped()) emit(id, run, run.text.finish());
  if (run.text.stopped()) {
    finished.stop_reason = "stop_sequence";
    finished.stop_sequence = run.text.stop_sequence();
  }
  finished.output_tokens = static_cast<int64_t>(run.tokens.size()) - run.prompt;
  finished.output_digest = run.output_ids.finish();
  finished.text_digest = run.output_text.finish();
  finished.total_us = since(run.submitted_us);
  events_.push_back({id, std::move(finished)});
  scheduler_.remove(id);
  runs_.erase(id);
}

void Engine::fail_request(uint64_t id, Error error) {
  events_.push_back({id, std::move(error)});
  scheduler_.remove(id);
  runs_.erase(id);
}

std::vector<Event> Engine::take_events() { return std::exchange(events_, {}); }

rpc::EngineCounters Engine::counters() const {
  rpc::EngineCounters out = counters_;
  out.running = static_cast<int64_t>(scheduler_.running());
  out.queued = static_cast<int64_t>(scheduler_.waiting());
  out.preemptions = scheduler_.preemptions();
  out.kv_pages_used = scheduler_.pages_used();
  // Pages differ in size between models; what is free is counted in the largest.
  int64_t largest = 0;
  for (const auto& [digest, slot] : models_) largest = std::max(largest, slot.model->page_bytes);
  const int64_t free = options_.scheduler.cache_bytes - scheduler_.cache_used();
  out.kv_pages = out.kv_pages_used + (largest > 0 ? free / largest : 0);
  return out;
}

}  // namespace hf::engine
