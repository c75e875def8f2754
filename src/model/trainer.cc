#include "model/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "model/trainer_parts.h"

namespace hf::model {
namespace {

using tensor::Gemm;
using tensor::kPanel;
using training::Chunk;
using training::LayerParams;
using training::LayerStore;
using training::Param;
using training::Weights;

// What phase 1 keeps for phase 2 should stay within a share of the last-level cache.
constexpr int64_t kStoreBytes = 32 << 20;

// A generator of our own, so that a seed gives the same weights everywhere. Source: splitmix64 (Steele, Lea, Flood
// 2014).
class Normal {
 public:
  explicit Normal(uint64_t seed) : state_(seed) {}
  float next() {  // Box-Muller
    const double radius = std::sqrt(-2 * tensor::exact_log(uniform()));
    return static_cast<float>(radius * tensor::exact_cos(6.28318530717958647692 * uniform()));
  }

 private:
  double uniform() {  // (0, 1]
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return static_cast<double>((z >> 11) + 1) * 0x1p-53;
  }
  uint64_t state_;
};

// gradient (k, n) of a matrix = x^T . dy over `rows` rows.
struct Product {
  size_t param;
  const float* x;
  const float* dy;
  int64_t rows;
  const uint32_t* x_pairs;  // Compute::bf16 instead, as PairRows keeps them
  const uint32_t* dy_pairs;
  int64_t pair_rows;
};

int64_t store_bytes_per_row(const LlamaConfig& c) {
  return 4 *
         (c.layers * (4 * c.width + 2 * c.q_width() + 2 * c.kv_width() + 3 * c.ffn) + 2 * c.width + c.vocabulary / 3);
}

}  // namespace

struct LlamaTrainer::State {
  State(const LlamaConfig& c, const AdamWSettings& s, const tensor::Kernels& k, tensor::Pool& p, os::Clock* clk,
        Compute compute)
      : config(c),
        settings(s),
        kernels(k),
        pool(p),
        clock(clk),
        weights(c, compute),
        gains(gain_params(weights)),
        scratch(static_cast<size_t>(p.lanes())) {
    rope_tables(config, &cosine, &sine);
  }

  LlamaConfig config;
  AdamWSettings settings;
  const tensor::Kernels& kernels;
  tensor::Pool& pool;
  os::Clock* clock;
  Weights weights;
  std::vector<size_t> gains;
  std::vector<training::Scratch> scratch;  // by lane
  training::Store store;
  tensor::Floats cosine, sine;
  tensor::Floats gain_gradients;  // (chunks, gains, C)
  int64_t steps = 0;
  double beta1_power = 1, beta2_power = 1;
  std::vector<TrainerTimes> times{static_cast<size_t>(pool.lanes())};

  int64_t now() const { return clock != nullptr ? clock->monotonic_us() : 0; }

  std::vector<Chunk> chunks_of(const Batch& batch) const;
  double weight_of(const Batch& batch, int64_t* targets) const;
  StepResult pass(const Batch& batch, bool backward);
  void run_micro_batch(const training::PassInput& in, std::span<Chunk> chunks, bool backward, std::span<double> losses);
  void add_gradients(const training::PassInput& in, std::span<const Chunk> chunks, bool first);
  std::vector<Product> products() const;
  void add_product(const Product& product, int64_t panel, int64_t count, bool first);
  void add_pair_product(const Product& product, int64_t panel, int64_t count, bool first);
  void add_head_gradient(int64_t v0, int64_t v1, bool first);
  void add_table_gradients(const training::PassInput& in, std::span<const Chunk> chunks, int64_t task, bool first);
  void reduce_gains(size_t chunks);
  double gradient_norm();
  void update(double norm, float learning_rate);
  void pack_all() {
    pool.run(static_cast<int64_t>(weights.blocks.size()),
             [&](int64_t i, int) { weights.pack(kernels, weights.blocks[static_cast<size_t>(i)]); });
  }
};

double LlamaTrainer::State::weight_of(const Batch& batch, int64_t* targets) const {
  const size_t n = batch.tokens.size();
  check(batch.targets.size() == n && batch.weights.size() == n, "a target and a weight for each token");
  check(!batch.ends.empty() && batch.ends.back() == static_cast<int64_t>(n), "sequences cover the batch");
  double total = 0;
  *targets = 0;
  for (size_t i = 0; i < n; ++i) {
    check(batch.tokens[i] >= 0 && batch.tokens[i] < config.vocabulary, "token within the vocabulary");
    check(batch.targets[i] < config.vocabulary, "target within the vocabulary");
    if (batch.targets[i] < 0) continue;
    total += static_cast<double>(batch.weights[i]);
    ++*targets;
  }
  check(total > 0, "a batch has a target");
  return total;
}

std::vector<Chunk> LlamaTrainer::State::chunks_of(const Batch& batch) const {
  // Larger chunks read the weights less often; they become smaller towards the end, so that all threads end together.
  const auto all = static_cast<int64_t>(batch.tokens.size());
  int64_t rows = 0;
  std::vector<Chunk> out;
  int64_t begin = 0;
  for (size_t q = 0; q < batch.ends.size(); ++q) {
    const int64_t end = batch.ends[q];
    check(end > begin && end - begin <= config.context, "1 to context rows in a sequence");
    if (out.empty() || out.back().r + (end - begin) / 2 >= rows) {
      Chunk chunk;
      chunk.first = static_cast<int64_t>(q);
      chunk.row = begin;
      chunk.index = out.size();
      out.push_back(chunk);
      rows = std::clamp<int64_t>((all - begin) / 8, 32, 192);
    }
    Chunk& chunk = out.back();
    chunk.end = static_cast<int64_t>(q) + 1;
    chunk.r += end - begin;
    bool wanted = false;
    for (int64_t i = begin; i < end; ++i) {
      const bool target = batch.targets[static_cast<size_t>(i)] >= 0;
      wanted = wanted || target;
      chunk.s += wanted ? 1 : 0;
      chunk.t += target ? 1 : 0;
    }
    begin = end;
  }
  return out;
}

StepResult LlamaTrainer::State::pass(const Batch& batch, bool backward) {
  StepResult result;
  const double weight = weight_of(batch, &result.targets);
  std::vector<Chunk> chunks = chunks_of(batch);
  const training::PassInput in{
      config, kernels, weights, batch, cosine.data(), sine.data(), static_cast<float>(1 / weight)};
  if (backward) gain_gradients.need(chunks.size() * gains.size() * static_cast<size_t>(config.width));
  std::vector<double> losses(chunks.size());
  // Micro-batches of about the same size: a last one of a single chunk would leave all threads but one idle.
  const int64_t most = std::clamp<int64_t>(kStoreBytes / store_bytes_per_row(config), 384, 4096);
  const auto all = static_cast<int64_t>(batch.tokens.size());
  const int64_t each = (all + (all + most - 1) / most - 1) / ((all + most - 1) / most);
  size_t begin = 0;
  while (begin < chunks.size()) {
    size_t end = begin;
    for (int64_t rows = 0; end < chunks.size() && rows + chunks[end].r / 2 < each; ++end) rows += chunks[end].r;
    const std::span<Chunk> part(chunks.data() + begin, end - begin);
    run_micro_batch(in, part, backward, losses);
    if (backward) add_gradients(in, part, begin == 0);
    begin = end;
  }
  if (backward) reduce_gains(chunks.size());
  for (double loss : losses) result.loss += loss;
  return result;
}

void LlamaTrainer::State::run_micro_batch(const training::PassInput& in, std::span<Chunk> chunks, bool backward,
                                          std::span<double> losses) {
  store.r = store.s = store.t = store.r_pairs = store.s_pairs = store.t_pairs = 0;
  for (Chunk& chunk : chunks) {
    chunk.r0 = std::exchange(store.r, store.r + chunk.r);
    chunk.s0 = std::exchange(store.s, store.s + chunk.s);
    chunk.t0 = std::exchange(store.t, store.t + chunk.t);
    chunk.r_pair = std::exchange(store.r_pairs, store.r_pairs + tensor::pairs(chunk.r));
    chunk.s_pair = std::exchange(store.s_pairs, store.s_pairs + tensor::pairs(chunk.s));
    chunk.t_pair = std::exchange(store.t_pairs, store.t_pairs + tensor::pairs(chunk.t));
  }
  store.need(config, backward);
  if (backward && weights.compute == Compute::bf16) store.need_pairs(config);
  pool.run(static_cast<int64_t>(chunks.size()), [&](int64_t i, int lane) {
    const Chunk& chunk = chunks[static_cast<size_t>(i)];
    TrainerTimes& time = times[static_cast<size_t>(lane)];
    training::Scratch& mine = scratch[static_cast<size_t>(lane)];
    const int64_t start = now();
    losses[chunk.index] = forward_chunk(in, chunk, store, mine);
    const int64_t middle = now();
    time.forward += middle - start;
    if (!backward) return;
    backward_chunk(in, chunk, store, mine,
                   gain_gradients.data() + chunk.index * gains.size() * static_cast<size_t>(config.width));
    time.backward += now() - middle;
  });
}

std::vector<Product> LlamaTrainer::State::products() const {
  std::vector<Product> out;
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    const LayerParams& p = weights.layers[l];
    const LayerStore& k = store.layers[l];
    const bool last = l + 1 == weights.layers.size();
    const int64_t n = last ? store.s : store.r;
    const int64_t pairs = last ? store.s_pairs : store.r_pairs;
    const auto add = [&](size_t param, const tensor::Floats& x, const tensor::Floats& dy, int64_t rows,
                         const training::PairRows& kept, const training::Pairs& x_pairs, int64_t pair_rows) {
      out.push_back({param, x.data(), dy.data(), rows, x_pairs.data(), kept.dy.data(), pair_rows});
    };
    add(p.q, last ? k.normed_q : k.normed, k.d_q, n, k.q_rows, last ? k.q_rows.x : k.kv_rows.x, pairs);
    add(p.kv, k.normed, k.d_kv, store.r, k.kv_rows, k.kv_rows.x, store.r_pairs);
    add(p.out, k.attention, k.d_out, n, k.out_rows, k.out_rows.x, pairs);
    add(p.gate_up, k.normed_ffn, k.gate_up, n, k.gate_up_rows, k.gate_up_rows.x, pairs);
    add(p.down, k.hidden, k.d_down, n, k.down_rows, k.down_rows.x, pairs);
  }
  return out;
}

void LlamaTrainer::State::add_product(const Product& product, int64_t panel, int64_t count, bool first) {
  const Param& p = weights.params[product.param];
  Gemm g;
  g.m = p.k;
  g.n = std::min(count * kPanel, p.n - panel * kPanel);
  g.k = product.rows;
  g.a = product.x;
  g.a_row = 1;
  g.a_k = p.k;
  g.b = product.dy + panel * kPanel;
  g.b_k = p.n;
  g.b_panel = kPanel;
  g.c = weights.gradient_of(product.param) + panel * p.k * kPanel;
  g.c_row = kPanel;
  g.c_panel = p.k * kPanel;
  g.accumulate = !first;
  kernels.gemm(g);
}

void LlamaTrainer::State::add_pair_product(const Product& product, int64_t panel, int64_t count, bool first) {
  const Param& p = weights.params[product.param];
  kernels.pairs->gemm({.m = p.k,
                       .n = std::min(count * kPanel, p.n - panel * kPanel),
                       .k = product.pair_rows,
                       .a = product.x_pairs,
                       .a_row = 1,
                       .a_k = training::whole_panels(p.k),
                       .b = product.dy_pairs + panel * product.pair_rows * kPanel,
                       .b_panel = product.pair_rows * kPanel,
                       .c = weights.gradient_of(product.param) + panel * p.k * kPanel,
                       .c_row = kPanel,
                       .c_panel = p.k * kPanel,
                       .accumulate = !first});
}

// Rows [v0, v1) of d_logits^T . final_normed
void LlamaTrainer::State::add_head_gradient(int64_t v0, int64_t v1, bool first) {
  const int64_t width = config.width;
  float* to = weights.gradient_of(weights.head) + v0 * width;
  if (weights.compute == Compute::bf16) {
    kernels.pairs->gemm({.m = v1 - v0,
                         .n = width,
                         .k = store.t_pairs,
                         .a = store.head_rows.x.data() + v0,
                         .a_row = 1,
                         .a_k = training::whole_panels(config.vocabulary),
                         .b = store.head_rows.dy.data(),
                         .b_panel = store.t_pairs * kPanel,
                         .c = to,
                         .c_row = width,
                         .accumulate = !first});
    return;
  }
  kernels.gemm({.m = v1 - v0,
                .n = width,
                .k = store.t,
                .a = store.d_logits.data() + v0,
                .a_row = 1,
                .a_k = config.vocabulary,
                .b = store.final_normed.data(),
                .b_k = width,
                .b_panel = kPanel,
                .c = to,
                .c_row = width,
                .accumulate = !first});
}

// Rows of 256 tokens of the head, then (if it is another table) of the embedding.
void LlamaTrainer::State::add_table_gradients(const training::PassInput& in, std::span<const Chunk> chunks,
                                              int64_t task, bool first) {
  const int64_t width = config.width;
  const int64_t v0 = task * 256, v1 = std::min(config.vocabulary, v0 + 256);
  add_head_gradient(v0, v1, first);
  float* table = weights.gradient_of(weights.embedding);
  if (!config.tied && first) std::memset(table + v0 * width, 0, static_cast<size_t>((v1 - v0) * width) * sizeof(float));
  for (const Chunk& chunk : chunks) {
    for (int64_t i = 0; i < chunk.r; ++i) {
      const int64_t token = in.batch.tokens[static_cast<size_t>(chunk.row + i)];
      if (token < v0 || token >= v1) continue;
      kernels.add(width, store.d_embedded.data() + (chunk.r0 + i) * width, table + token * width);
    }
  }
}

void LlamaTrainer::State::add_gradients(const training::PassInput& in, std::span<const Chunk> chunks, bool first) {
  struct Task {
    int64_t product, panel, count;  // product -1: a block of tokens
  };
  const std::vector<Product> all = products();
  std::vector<Task> tasks;
  for (size_t i = 0; i < all.size(); ++i) {
    const int64_t n = tensor::panels(weights.params[all[i].param].n);
    for (int64_t p = 0; p < n; p += 6) tasks.push_back({static_cast<int64_t>(i), p, std::min<int64_t>(6, n - p)});
  }
  for (int64_t v = 0; v * 256 < config.vocabulary; ++v) tasks.push_back({-1, v, 0});
  pool.run(static_cast<int64_t>(tasks.size()), [&](int64_t i, int lane) {
    const int64_t start = now();
    const Task& task = tasks[static_cast<size_t>(i)];
    if (task.product < 0) {
      add_table_gradients(in, chunks, task.panel, first);
    } else if (weights.compute == Compute::bf16) {
      add_pair_product(all[static_cast<size_t>(task.product)], task.panel, task.count, first);
    } else {
      add_product(all[static_cast<size_t>(task.product)], task.panel, task.count, first);
    }
    times[static_cast<size_t>(lane)].gradients += now() - start;
  });
}

void LlamaTrainer::State::reduce_gains(size_t chunks) {
  const auto width = static_cast<size_t>(config.width);
  for (size_t g = 0; g < gains.size(); ++g) {
    float* to = weights.gradient_of(gains[g]);
    std::memset(to, 0, width * sizeof(float));
    for (size_t c = 0; c < chunks; ++c)
      kernels.add(config.width, gain_gradients.data() + (c * gains.size() + g) * width, to);
  }
}

double LlamaTrainer::State::gradient_norm() {
  std::vector<double> squares(weights.blocks.size());
  pool.run(static_cast<int64_t>(squares.size()), [&](int64_t i, int lane) {
    const int64_t start = now();
    const auto [at, count] = weights.range(weights.blocks[static_cast<size_t>(i)]);
    squares[static_cast<size_t>(i)] = kernels.sum_squares(count, weights.gradient.data() + at);
    times[static_cast<size_t>(lane)].optimiser += now() - start;
  });
  double total = 0;
  for (double s : squares) total += s;
  return std::sqrt(total);
}

void LlamaTrainer::State::update(double norm, float learning_rate) {
  ++steps;
  beta1_power *= static_cast<double>(settings.beta1);
  beta2_power *= static_cast<double>(settings.beta2);
  tensor::AdamW how{};
  how.learning_rate = learning_rate;
  how.beta1 = settings.beta1;
  how.beta2 = settings.beta2;
  how.epsilon = settings.epsilon;
  how.correction1 = static_cast<float>(1 / (1 - beta1_power));
  how.correction2 = static_cast<float>(1 / (1 - beta2_power));
  const auto clip = static_cast<double>(settings.clip);
  how.gradient_scale = clip > 0 && norm > clip ? static_cast<float>(clip / norm) : 1.0f;
  pool.run(static_cast<int64_t>(weights.blocks.size()), [&](int64_t i, int lane) {
    const int64_t start = now();
    const Weights::Block& block = weights.blocks[static_cast<size_t>(i)];
    const auto [at, count] = weights.range(block);
    tensor::AdamW mine = how;
    mine.weight_decay = weights.params[block.param].decays ? settings.weight_decay : 0;
    kernels.adamw(count, mine, weights.value.data() + at, weights.gradient.data() + at, weights.first.data() + at,
                  weights.second.data() + at);
    weights.pack(kernels, block);
    times[static_cast<size_t>(lane)].optimiser += now() - start;
  });
}

LlamaTrainer::LlamaTrainer(const LlamaConfig& config, const AdamWSettings& settings, const tensor::Kernels& kernels,
                           tensor::Pool& pool, os::Clock* clock, Compute compute)
    : state_(std::make_unique<State>(config, settings, kernels, pool, clock, compute)) {
  check(check_config(config).ok() && !config.qk_norm, "a checked config, without norms of queries and keys");
}
LlamaTrainer::~LlamaTrainer() = default;

StepResult LlamaTrainer::step(const Batch& batch, float learning_rate) {
  StepResult result = state_->pass(batch, true);
  result.gradient_norm = state_->gradient_norm();
  if (std::isfinite(result.loss) && std::isfinite(result.gradient_norm)) {
    state_->update(result.gradient_norm, learning_rate);
  }
  return result;
}

LlamaTrainer::Snapshot LlamaTrainer::snapshot() const {
  const Weights& w = state_->weights;
  const auto all = [](const tensor::Floats& f) { return std::span<const float>(f.data(), f.size()); };
  return {state_->steps, all(w.value), all(w.first), all(w.second)};
}

Status LlamaTrainer::restore(const Snapshot& snapshot) {
  State& s = *state_;
  const std::pair<std::span<const float>, tensor::Floats*> arrays[] = {
      {snapshot.weights, &s.weights.value}, {snapshot.first, &s.weights.first}, {snapshot.second, &s.weights.second}};
  for (const auto& [from, to] : arrays) {
    if (from.size() != to->size())
      return fail(Code::invalid,
                  "a snapshot of " + std::to_string(from.size()) + " numbers, expected " + std::to_string(to->size()));
  }
  if (snapshot.steps < 0) return fail(Code::invalid, "a snapshot of a negative step");
  for (const auto& [from, to] : arrays) std::copy(from.begin(), from.end(), to->data());
  s.steps = snapshot.steps;
  s.beta1_power = s.beta2_power = 1;
  for (int64_t i = 0; i < s.steps; ++i) {  // as update() does, for the same bits
    s.beta1_power *= static_cast<double>(s.settings.beta1);
    s.beta2_power *= static_cast<double>(s.settings.beta2);
  }
  s.pack_all();
  return {};
}

StepResult LlamaTrainer::evaluate(const Batch& batch) { return state_->pass(batch, false); }

const LlamaConfig& LlamaTrainer::config() const { return state_->config; }

TrainerTimes LlamaTrainer::times() const {
  TrainerTimes sum;
  for (const TrainerTimes& t : state_->times) {
    sum.forward += t.forward;
    sum.backward += t.backward;
    sum.gradients += t.gradients;
    sum.optimiser += t.optimiser;
  }
  return sum;
}

uint64_t LlamaTrainer::memory_bytes() const {
  const Weights& w = state_->weights;
  return 4 * (4 * w.value.size() + w.packed.size() + w.pairs.size() + state_->gain_gradients.size()) +
         state_->store.bytes();
}

// ---- Weights in and out
namespace {

// Where a file's tensor lies in our params: rows [row, row + rows) of the file's (outputs, inputs) form are columns.
struct Place {
  size_t param;
  int64_t column;  // first of the matrix's columns
};

Place place_of(const Weights& w, const LlamaConfig& c, size_t index) {
  // The order of tensor_specs().
  if (index == 0) return {w.embedding, 0};
  const size_t per_layer = 9;
  const size_t l = (index - 1) / per_layer;
  if (l >= w.layers.size()) return index == 1 + per_layer * w.layers.size() ? Place{w.final_gain, 0} : Place{w.head, 0};
  const LayerParams& p = w.layers[l];
  const Place places[per_layer] = {{p.attention_gain, 0}, {p.q, 0},           {p.kv, 0},
                                   {p.kv, c.kv_width()},  {p.out, 0},         {p.ffn_gain, 0},
                                   {p.gate_up, 0},        {p.gate_up, c.ffn}, {p.down, 0}};
  return places[(index - 1) % per_layer];
}

// One element of the file's form.
float* element(const Param& p, float* base, const Place& place, int64_t row, int64_t column) {
  if (p.kind == Param::Kind::vector) return base + row;
  if (p.kind == Param::Kind::table) return base + row * p.n + column;
  const int64_t n = place.column + row;
  return base + n / kPanel * p.k * kPanel + column * kPanel + n % kPanel;
}

}  // namespace

void LlamaTrainer::init(uint64_t seed, float deviation) {
  State& s = *state_;
  Normal normal(seed);
  const auto specs = tensor_specs(s.config);
  const float residual = deviation / std::sqrt(2 * static_cast<float>(s.config.layers));
  for (size_t i = 0; i < specs.size(); ++i) {
    const Place place = place_of(s.weights, s.config, i);
    const Param& p = s.weights.params[place.param];
    bool to_residual = false;
    for (const LayerParams& l : s.weights.layers)
      to_residual = to_residual || place.param == l.out || place.param == l.down;
    const int64_t columns = specs[i].shape.size() == 2 ? specs[i].shape[1] : 1;
    for (int64_t r = 0; r < specs[i].shape[0]; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        float* to = element(p, s.weights.of(place.param), place, r, c);
        *to = p.kind == Param::Kind::vector ? 1.0f : normal.next() * (to_residual ? residual : deviation);
      }
    }
  }
  s.pack_all();
}

Status LlamaTrainer::load(const TensorSource& source) {
  State& s = *state_;
  const auto specs = tensor_specs(s.config);
  std::vector<float> values;
  for (size_t i = 0; i < specs.size(); ++i) {
    const tensor::View view = TRY(source(specs[i].name));
    if (view.shape != specs[i].shape) return fail(Code::invalid, "tensor " + specs[i].name + " has another shape");
    values.resize(static_cast<size_t>(view.elements()));
    to_floats(view, 0, view.elements(), values.data());
    const Place place = place_of(s.weights, s.config, i);
    const int64_t columns = view.shape.size() == 2 ? view.shape[1] : 1;
    for (int64_t e = 0; e < view.elements(); ++e) {
      *element(s.weights.params[place.param], s.weights.of(place.param), place, e / columns, e % columns) =
          values[static_cast<size_t>(e)];
    }
  }
  s.pack_all();
  return {};
}

Status LlamaTrainer::save(const std::function<Status(const TensorSpec&, std::span<const float>)>& sink,
                          bool gradients) const {
  State& s = *state_;
  const auto specs = tensor_specs(s.config);
  std::vector<float> values;
  for (size_t i = 0; i < specs.size(); ++i) {
    const Place place = place_of(s.weights, s.config, i);
    const Param& p = s.weights.params[place.param];
    float* base = gradients ? s.weights.gradient_of(place.param) : s.weights.of(place.param);
    const int64_t columns = specs[i].shape.size() == 2 ? specs[i].shape[1] : 1;
    values.resize(static_cast<size_t>(specs[i].shape[0] * columns));
    for (size_t e = 0; e < values.size(); ++e) {
      const auto at = static_cast<int64_t>(e);
      values[e] = *element(p, base, place, at / columns, at % columns);
    }
    TRY(sink(specs[i], values));
  }
  return {};
}

}  // namespace hf::model
