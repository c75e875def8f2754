#include "model/llama.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "model/llama_device.h"

namespace hf::model {
namespace {

using tensor::Kernels;
using tensor::kPanel;
using tensor::panels;

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

Result<tensor::View> find(const TensorSource& source, const std::string& name, const std::vector<int64_t>& shape) {
  tensor::View view = TRY(source(name));
  if (view.shape != shape) {
    return fail(Code::invalid, "tensor " + name + " must have shape " + shape_text(shape) + " by config.json, found " +
                                   shape_text(view.shape));
  }
  return view;
}

struct Part {
  std::string name;
  int64_t rows;
};

// A matrix to be made of the parts' rows, one after the other its columns.
struct Plan {
  Matrix* out;
  std::vector<tensor::View> parts;
  size_t at = 0;  // in the memory
};

constexpr size_t up64(size_t n) { return (n + 63) / 64 * 64; }

bool all_quantised(const Plan& plan) {
  return std::all_of(plan.parts.begin(), plan.parts.end(),
                     [](const tensor::View& v) { return tensor::quantised(v.type); });
}

// Neighbours of one type become one quantised matrix, if they begin at a panel's edge: their outputs are side by side.
std::vector<std::pair<size_t, size_t>> runs_of(const std::vector<tensor::View>& parts) {
  std::vector<std::pair<size_t, size_t>> out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (out.empty() || parts[out.back().first].type != parts[i].type) {
      out.emplace_back(i, i + 1);
    } else {
      out.back().second = i + 1;
    }
  }
  return out;
}

int64_t rows_of(std::span<const tensor::View> parts) {
  int64_t n = 0;
  for (const tensor::View& part : parts) n += part.shape[0];
  return n;
}

size_t bytes_of(const Plan& plan, bool bf16) {
  const int64_t k = plan.out->k;
  if (!all_quantised(plan)) return up64(static_cast<size_t>(tensor::panel_floats(k, plan.out->n)) * (bf16 ? 2 : 4));
  size_t bytes = 0;
  for (const auto& [first, end] : runs_of(plan.parts)) {
    const std::span<const tensor::View> run(plan.parts.data() + first, end - first);
    bytes += up64(static_cast<size_t>(tensor::packed_bytes(run[0].type, k, rows_of(run))));
  }
  return bytes;
}

// Rows of floating-point numbers (or of types that do not go together) into panels.
void fill_panels(const Plan& plan, bool bf16, const Kernels& kernels, uint8_t* to) {
  const int64_t k = plan.out->k, n = plan.out->n;
  tensor::Floats rows(static_cast<size_t>(kPanel * k)), panel(static_cast<size_t>(kPanel * k));
  size_t part = 0;
  int64_t next = 0;  // row within the part
  for (int64_t p = 0; p < panels(n); ++p) {
    const int64_t count = std::min(kPanel, n - p * kPanel);
    for (int64_t r = 0; r < count; ++r) {
      while (next == plan.parts[part].shape[0]) {
        ++part;
        next = 0;
      }
      to_floats(plan.parts[part], stored_row(plan.parts[part], next) * k, k, rows.data() + r * k);
      ++next;
    }
    float* floats = bf16 ? panel.data() : reinterpret_cast<float*>(to) + p * k * kPanel;
    kernels.pack_transposed(count, k, rows.data(), k, floats, k * kPanel);
    if (!bf16) continue;
    uint16_t* halves = reinterpret_cast<uint16_t*>(to) + p * k * kPanel;
    for (int64_t i = 0; i < k * kPanel; ++i) halves[i] = tensor::bf16_of(panel[static_cast<size_t>(i)]);
  }
}

// Points the matrix at its memory, and fills that where it is not.
void place(const Plan& plan, bool bf16, const Kernels& kernels, WeightMemory& memory) {
  uint8_t* to = memory.data + plan.at;
  Matrix& out = *plan.out;
  if (!all_quantised(plan)) {
    if (!memory.filled) fill_panels(plan, bf16, kernels, to);
    if (bf16) {
      out.bf16 = reinterpret_cast<const uint16_t*>(to);
    } else {
      out.f32 = reinterpret_cast<const float*>(to);
    }
    return;
  }
  int64_t column = 0;
  for (const auto& [first, end] : runs_of(plan.parts)) {
    const std::span<const tensor::View> run(plan.parts.data() + first, end - first);
    const int64_t n = rows_of(run);
    if (!memory.filled) tensor::pack_quant(run, to);
    out.quantised.push_back({{run[0].type, out.k, n, to}, column});
    to += up64(static_cast<size_t>(tensor::packed_bytes(run[0].type, out.k, n)));
    column += n;
  }
}

Result<WeightMemory> plain_memory(size_t bytes) {
  auto owned = std::make_shared<tensor::Buffer<uint8_t>>(bytes);
  return WeightMemory{owned->data(), false, owned, {}};
}

class Loader {
 public:
  Loader(LlamaModel& model, const TensorSource& source, const LoadOptions& options, const Kernels& kernels)
      : model_(model), source_(source), options_(options), kernels_(kernels) {}

  Status matrix(const std::vector<Part>& parts, int64_t k, Matrix* out) {
    Plan plan{out, {}};
    out->k = k;
    out->n = 0;
    for (const Part& part : parts) {
      plan.parts.push_back(TRY(find(source_, part.name, {part.rows, k})));
      const tensor::DType type = plan.parts.back().type;
      if (tensor::quantised(type))
        if (Status fits = tensor::check_quant(type, k); !fits.ok())
          return fail(Code::invalid, "tensor " + part.name + ": " + fits.error().message);
      out->n += part.rows;
    }
    plan.at = bytes_;
    bytes_ += bytes_of(plan, options_.bf16);
    plans_.push_back(std::move(plan));
    return {};
  }

  // After all matrices.
  Status finish() {
    const LlamaConfig& c = model_.config;
    const size_t angles = up64(static_cast<size_t>(c.context * (c.head_dim / 2)) * sizeof(float));
    WeightMemory memory = TRY((options_.memory ? options_.memory : plain_memory)(bytes_ + 2 * angles));
    for (const Plan& plan : plans_) place(plan, options_.bf16, kernels_, memory);
    float* cosine = reinterpret_cast<float*>(memory.data + bytes_);
    float* sine = reinterpret_cast<float*>(memory.data + bytes_ + angles);
    if (!memory.filled) {
      fill_rope(c, cosine, sine);
      if (memory.seal) TRY(memory.seal());
    }
    model_.cosine = cosine;
    model_.sine = sine;
    model_.memory = std::move(memory);
    return {};
  }

 private:
  static void fill_rope(const LlamaConfig& c, float* cosine, float* sine);
  LlamaModel& model_;
  const TensorSource& source_;
  const LoadOptions& options_;
  const Kernels& kernels_;
  std::vector<Plan> plans_;
  size_t bytes_ = 0;
};

Status load_vector(const TensorSource& source, const std::string& name, int64_t n, tensor::Floats* out) {
  const tensor::View view = TRY(find(source, name, {n}));
  out->reset(static_cast<size_t>(n));
  to_floats(view, 0, n, out->data());
  return {};
}

Status check_range(const char* what, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return fail(Code::invalid, std::string("model setting ") + what + " must be " + std::to_string(low) + " to " +
                                 std::to_string(high) + ", found " + std::to_string(value));
}

// Frequency of pair i, with Llama 3.1's scaling: long wavelengths are stretched by `factor`, short ones kept, the
// ones between blended.
double frequency(const LlamaConfig& config, int64_t i) {
  const double power = -2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
  const double plain = tensor::exact_exp(power * tensor::exact_log(config.rope_theta));
  const RopeScaling& s = config.rope_scaling;
  if (!s.divisors.empty()) return plain / static_cast<double>(s.divisors[static_cast<size_t>(i)]);
  if (s.factor == 1) return plain;
  const double turns = static_cast<double>(s.original_context) * plain / 6.28318530717958647692;
  if (turns < s.low_frequency) return plain / s.factor;
  if (turns > s.high_frequency) return plain;
  const double blend = (turns - s.low_frequency) / (s.high_frequency - s.low_frequency);
  return (1 - blend) * plain / s.factor + blend * plain;
}

}  // namespace

std::vector<float> rope_divisors(const LlamaConfig& config) {
  if (!config.rope_scaling.divisors.empty() || config.rope_scaling.factor == 1) return config.rope_scaling.divisors;
  LlamaConfig plain = config;
  plain.rope_scaling = {};
  std::vector<float> out;
  for (int64_t i = 0; i < config.head_dim / 2; ++i)
    out.push_back(static_cast<float>(frequency(plain, i) / frequency(config, i)));
  return out;
}

int64_t LlamaConfig::parameters() const {
  const int64_t layer = width * (qkv_width() + q_width()) + 3 * width * ffn + 2 * width + (qk_norm ? 2 * head_dim : 0);
  return layers * layer + width + vocabulary * width * (tied ? 1 : 2);
}

Status check_config(const LlamaConfig& c) {
  TRY(check_range("num_hidden_layers", c.layers, 1, 256));
  TRY(check_range("hidden_size", c.width, 1, 32768));
  TRY(check_range("num_attention_heads", c.heads, 1, 1024));
  TRY(check_range("num_key_value_heads", c.kv_heads, 1, c.heads));
  TRY(check_range("head_dim", c.head_dim, 2, 512));
  TRY(check_range("intermediate_size", c.ffn, 1, 131072));
  TRY(check_range("vocab_size", c.vocabulary, 1, 1 << 20));
  TRY(check_range("max_position_embeddings", c.context, 1, 1 << 20));
  if (c.heads % c.kv_heads != 0) {
    return fail(Code::invalid, "model setting num_attention_heads (" + std::to_string(c.heads) +
                                   ") must be a multiple of num_key_value_heads (" + std::to_string(c.kv_heads) + ")");
  }
  if (c.head_dim % 2 != 0) {
    return fail(Code::invalid, "model setting head_dim must be even, found " + std::to_string(c.head_dim));
  }
  if (!(c.norm_epsilon > 0 && c.norm_epsilon <= 0.1f)) {
    return fail(Code::invalid, "model setting rms_norm_eps must be in (0, 0.1]");
  }
  if (!(c.rope_theta >= 1 && c.rope_theta <= 1e12)) {
    return fail(Code::invalid, "model setting rope_theta must be in [1, 1e12]");
  }
  return {};
}

std::vector<TensorSpec> tensor_specs(const LlamaConfig& c) {
  std::vector<TensorSpec> out{{"model.embed_tokens.weight", {c.vocabulary, c.width}}};
  for (int64_t l = 0; l < c.layers; ++l) {
    const std::string p = "model.layers." + std::to_string(l) + ".";
    out.push_back({p + "input_layernorm.weight", {c.width}});
    out.push_back({p + "self_attn.q_proj.weight", {c.q_width(), c.width}});
    out.push_back({p + "self_attn.k_proj.weight", {c.kv_width(), c.width}});
    out.push_back({p + "self_attn.v_proj.weight", {c.kv_width(), c.width}});
    if (c.qk_norm) {
      out.push_back({p + "self_attn.q_norm.weight", {c.head_dim}});
      out.push_back({p + "self_attn.k_norm.weight", {c.head_dim}});
    }
    out.push_back({p + "self_attn.o_proj.weight", {c.width, c.q_width()}});
    out.push_back({p + "post_attention_layernorm.weight", {c.width}});
    out.push_back({p + "mlp.gate_proj.weight", {c.ffn, c.width}});
    out.push_back({p + "mlp.up_proj.weight", {c.ffn, c.width}});
    out.push_back({p + "mlp.down_proj.weight", {c.width, c.ffn}});
  }
  out.push_back({"model.norm.weight", {c.width}});
  if (!c.tied) out.push_back({"lm_head.weight", {c.vocabulary, c.width}});
  return out;
}

namespace {

Matrix shape_of(const Matrix& m) {
  Matrix out;
  out.k = m.k;
  out.n = m.n;
  return out;
}

// The host's copy of what the device has goes.
Status to_device(tensor::Device& device, LlamaModel& model) {
  model.device = TRY(DeviceLlama::make(device, model));
  for (LlamaLayer& layer : model.layers)
    for (Matrix* m : {&layer.qkv, &layer.out, &layer.gate_up, &layer.down}) *m = shape_of(*m);
  model.head = shape_of(model.head);
  model.cosine = model.sine = nullptr;
  model.memory = {nullptr, model.memory.filled, nullptr, {}};
  return {};
}

void write_rope(const LlamaConfig& config, float* cosine, float* sine) {
  const int64_t half = config.head_dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    const double f = frequency(config, i);
    for (int64_t p = 0; p < config.context; ++p) {
      cosine[p * half + i] = static_cast<float>(tensor::exact_cos(static_cast<double>(p) * f));
      sine[p * half + i] = static_cast<float>(tensor::exact_sin(static_cast<double>(p) * f));
    }
  }
}

}  // namespace

void rope_tables(const LlamaConfig& config, tensor::Floats* cosine, tensor::Floats* sine) {
  cosine->reset(static_cast<size_t>(config.context * (config.head_dim / 2)));
  sine->reset(static_cast<size_t>(config.context * (config.head_dim / 2)));
  write_rope(config, cosine->data(), sine->data());
}

void Loader::fill_rope(const LlamaConfig& c, float* cosine, float* sine) { write_rope(c, cosine, sine); }

LlamaModel::LlamaModel() = default;
LlamaModel::~LlamaModel() = default;

Result<std::unique_ptr<LlamaModel>> LlamaModel::load(const LlamaConfig& config, const TensorSource& source,
                                                     const LoadOptions& options, const Kernels& kernels) {
  TRY(check_config(config));
  auto model = std::make_unique<LlamaModel>();
  model->config = config;
  model->kernels = &kernels;
  model->layers.resize(static_cast<size_t>(config.layers));  // plans point into it
  Loader loader(*model, source, options, kernels);
  const int64_t c = config.width;
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string p = "model.layers." + std::to_string(l) + ".";
    LlamaLayer& layer = model->layers[static_cast<size_t>(l)];
    TRY(load_vector(source, p + "input_layernorm.weight", c, &layer.attention_gain));
    TRY(load_vector(source, p + "post_attention_layernorm.weight", c, &layer.ffn_gain));
    if (config.qk_norm) {
      TRY(load_vector(source, p + "self_attn.q_norm.weight", config.head_dim, &layer.q_gain));
      TRY(load_vector(source, p + "self_attn.k_norm.weight", config.head_dim, &layer.k_gain));
    }
    TRY(loader.matrix({{p + "self_attn.q_proj.weight", config.q_width()},
                       {p + "self_attn.k_proj.weight", config.kv_width()},
                       {p + "self_attn.v_proj.weight", config.kv_width()}},
                      c, &layer.qkv));
    TRY(loader.matrix({{p + "self_attn.o_proj.weight", c}}, config.q_width(), &layer.out));
    TRY(loader.matrix({{p + "mlp.gate_proj.weight", config.ffn}, {p + "mlp.up_proj.weight", config.ffn}}, c,
                      &layer.gate_up));
    TRY(loader.matrix({{p + "mlp.down_proj.weight", c}}, config.ffn, &layer.down));
  }
  TRY(load_vector(source, "model.norm.weight", c, &model->final_gain));
  const std::string embedding = "model.embed_tokens.weight";
  TRY(loader.matrix({{config.tied ? embedding : "lm_head.weight", config.vocabulary}}, c, &model->head));
  if (!config.tied) {
    const tensor::View view = TRY(find(source, embedding, {config.vocabulary, c}));
    if (tensor::quantised(view.type)) TRY(tensor::check_quant(view.type, c));
    if (options.source_stays) {
      model->source_embedding = view;
    } else {
      model->embedding.reset(static_cast<size_t>(config.vocabulary * c));
      to_floats(view, 0, config.vocabulary * c, model->embedding.data());
    }
  }
  TRY(loader.finish());
  if (kernels.device != nullptr) TRY(to_device(*kernels.device, *model));
  return model;
}

void LlamaModel::embed(int32_t token, float* out) const {
  check(token >= 0 && token < config.vocabulary, "token within the vocabulary");
  const int64_t c = config.width;
  if (embedding.size() > 0) {
    std::memcpy(out, embedding.data() + token * c, static_cast<size_t>(c) * 4);
    return;
  }
  if (source_embedding.data != nullptr) return to_floats(source_embedding, token * c, c, out);
  if (!head.quantised.empty()) return tensor::unpack_row(head.quantised[0].m, token, out);
  const int64_t at = token / kPanel * c * kPanel + token % kPanel;
  for (int64_t i = 0; i < c; ++i) {
    out[i] = head.bf16 != nullptr ? tensor::float_of_bf16(head.bf16[at + i * kPanel]) : head.f32[at + i * kPanel];
  }
}

Result<Page> LlamaModel::new_page() const {
  if (device != nullptr) return device->new_page();
  auto page = std::make_shared<tensor::Floats>(static_cast<size_t>(page_floats(config)));
  return Page(page, page->data());
}

int64_t page_floats(const LlamaConfig& config) {
  return config.layers * config.kv_heads * 2 * config.head_dim * kPagePositions;
}

}  // namespace hf::model
