#include "model/llama.h"

#include <algorithm>
#include <cstring>
#include <utility>

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

// The parts' rows, one after the other, become the columns of a right operand.
Status load_matrix(const TensorSource& source, const std::vector<Part>& parts, int64_t k, bool bf16,
                   const Kernels& kernels, Matrix* out) {
  std::vector<tensor::View> views;
  int64_t n = 0;
  for (const Part& part : parts) {
    views.push_back(TRY(find(source, part.name, {part.rows, k})));
    n += part.rows;
  }
  out->k = k;
  out->n = n;
  const auto floats = static_cast<size_t>(tensor::panel_floats(k, n));
  if (bf16) {
    out->bf16.reset(floats);
  } else {
    out->f32.reset(floats);
  }
  tensor::Floats rows(static_cast<size_t>(kPanel * k)), panel(static_cast<size_t>(kPanel * k));
  size_t part = 0;
  int64_t next = 0;  // row within the part
  for (int64_t p = 0; p < panels(n); ++p) {
    const int64_t count = std::min(kPanel, n - p * kPanel);
    for (int64_t r = 0; r < count; ++r) {
      while (next == parts[part].rows) {
        ++part;
        next = 0;
      }
      to_floats(views[part], next++ * k, k, rows.data() + r * k);
    }
    float* to = bf16 ? panel.data() : out->f32.data() + p * k * kPanel;
    kernels.pack_transposed(count, k, rows.data(), k, to, k * kPanel);
    if (bf16) {
      for (int64_t i = 0; i < k * kPanel; ++i) {
        out->bf16[static_cast<size_t>(p * k * kPanel + i)] = tensor::bf16_of(panel[static_cast<size_t>(i)]);
      }
    }
  }
  return {};
}

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
  if (s.factor == 1) return plain;
  const double turns = static_cast<double>(s.original_context) * plain / 6.28318530717958647692;
  if (turns < s.low_frequency) return plain / s.factor;
  if (turns > s.high_frequency) return plain;
  const double blend = (turns - s.low_frequency) / (s.high_frequency - s.low_frequency);
  return (1 - blend) * plain / s.factor + blend * plain;
}

}  // namespace

int64_t LlamaConfig::parameters() const {
  const int64_t layer = width * (qkv_width() + q_width()) + 3 * width * ffn + 2 * width;
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

void rope_tables(const LlamaConfig& config, tensor::Floats* cosine, tensor::Floats* sine) {
  const int64_t half = config.head_dim / 2;
  cosine->reset(static_cast<size_t>(config.context * half));
  sine->reset(static_cast<size_t>(config.context * half));
  for (int64_t i = 0; i < half; ++i) {
    const double f = frequency(config, i);
    for (int64_t p = 0; p < config.context; ++p) {
      const auto at = static_cast<size_t>(p * half + i);
      (*cosine)[at] = static_cast<float>(tensor::exact_cos(static_cast<double>(p) * f));
      (*sine)[at] = static_cast<float>(tensor::exact_sin(static_cast<double>(p) * f));
    }
  }
}

Result<std::unique_ptr<LlamaModel>> LlamaModel::load(const LlamaConfig& config, const TensorSource& source, bool bf16,
                                                     const Kernels& kernels) {
  TRY(check_config(config));
  auto model = std::make_unique<LlamaModel>();
  model->config = config;
  model->kernels = &kernels;
  const int64_t c = config.width;
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string p = "model.layers." + std::to_string(l) + ".";
    LlamaLayer& layer = model->layers.emplace_back();
    TRY(load_vector(source, p + "input_layernorm.weight", c, &layer.attention_gain));
    TRY(load_vector(source, p + "post_attention_layernorm.weight", c, &layer.ffn_gain));
    TRY(load_matrix(source,
                    {{p + "self_attn.q_proj.weight", config.q_width()},
                     {p + "self_attn.k_proj.weight", config.kv_width()},
                     {p + "self_attn.v_proj.weight", config.kv_width()}},
                    c, bf16, kernels, &layer.qkv));
    TRY(load_matrix(source, {{p + "self_attn.o_proj.weight", c}}, config.q_width(), bf16, kernels, &layer.out));
    TRY(load_matrix(source, {{p + "mlp.gate_proj.weight", config.ffn}, {p + "mlp.up_proj.weight", config.ffn}}, c, bf16,
                    kernels, &layer.gate_up));
    TRY(load_matrix(source, {{p + "mlp.down_proj.weight", c}}, config.ffn, bf16, kernels, &layer.down));
  }
  TRY(load_vector(source, "model.norm.weight", c, &model->final_gain));
  const std::string embedding = "model.embed_tokens.weight";
  TRY(load_matrix(source, {{config.tied ? embedding : "lm_head.weight", config.vocabulary}}, c, bf16, kernels,
                  &model->head));
  if (!config.tied) {
    const tensor::View view = TRY(find(source, embedding, {config.vocabulary, c}));
    model->embedding.reset(static_cast<size_t>(config.vocabulary * c));
    to_floats(view, 0, config.vocabulary * c, model->embedding.data());
  }
  rope_tables(config, &model->cosine, &model->sine);
  return model;
}

void LlamaModel::embed(int32_t token, float* out) const {
  check(token >= 0 && token < config.vocabulary, "token within the vocabulary");
  const int64_t c = config.width;
  if (embedding.size() > 0) {
    std::memcpy(out, embedding.data() + token * c, static_cast<size_t>(c) * 4);
    return;
  }
  const int64_t at = token / kPanel * c * kPanel + token % kPanel;
  if (head.bf16.size() > 0) {
    for (int64_t i = 0; i < c; ++i) out[i] = tensor::float_of_bf16(head.bf16[static_cast<size_t>(at + i * kPanel)]);
  } else {
    for (int64_t i = 0; i < c; ++i) out[i] = head.f32[static_cast<size_t>(at + i * kPanel)];
  }
}

int64_t page_floats(const LlamaConfig& config) {
  return config.layers * config.kv_heads * 2 * config.head_dim * kPagePositions;
}

}  // namespace hf::model
