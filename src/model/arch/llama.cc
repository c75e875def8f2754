#include "model/arch/llama.h"

namespace hf::model {

LlamaConfig from_format(const format::LlamaConfig& f) {
  LlamaConfig c;
  c.layers = f.layers;
  c.width = f.width;
  c.heads = f.heads;
  c.kv_heads = f.kv_heads;
  c.head_dim = f.head_width;
  c.ffn = f.inner;
  c.vocabulary = f.vocabulary;
  c.context = f.context;
  c.norm_epsilon = static_cast<float>(f.norm_epsilon);
  c.rope_theta = f.rope_theta;
  c.tied = f.tied;
  if (f.rope_scaling) {
    c.rope_scaling = {f.rope_scaling->factor, f.rope_scaling->low_freq_factor, f.rope_scaling->high_freq_factor,
                      f.rope_scaling->original_context};
  }
  return c;
}

format::LlamaConfig to_format(const LlamaConfig& c) {
  format::LlamaConfig f;
  f.layers = c.layers;
  f.width = c.width;
  f.heads = c.heads;
  f.kv_heads = c.kv_heads;
  f.head_width = c.head_dim;
  f.inner = c.ffn;
  f.vocabulary = c.vocabulary;
  f.context = c.context;
  f.norm_epsilon = static_cast<double>(c.norm_epsilon);
  f.rope_theta = c.rope_theta;
  f.tied = c.tied;
  if (c.rope_scaling.factor != 1) {
    const RopeScaling& s = c.rope_scaling;
    f.rope_scaling = {s.factor, s.low_frequency, s.high_frequency, s.original_context};
  }
  return f;
}

TensorSource source_of(const format::Safetensors& file) {
  return [&file](const std::string& name) -> Result<tensor::View> {
    const format::TensorInfo* info = TRY(file.find(name));
    tensor::View view;
    view.type = TRY(tensor::dtype_of(format::dtype_name(info->dtype)));
    view.shape = info->shape;
    view.data = file.data(*info).data();
    return view;
  };
}

}  // namespace hf::model
