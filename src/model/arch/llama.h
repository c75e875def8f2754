// Between files and the decoder: config.json and safetensors of a Hugging Face folder, to and from llama.h's terms.
// Another architecture is another pair of files here and a row where model_type is looked at.
#pragma once

#include "format/config.h"
#include "format/safetensors.h"
#include "model/llama.h"

namespace hf::model {

LlamaConfig from_format(const format::LlamaConfig& config);
// Tokens and dtype are the caller's to fill in.
format::LlamaConfig to_format(const LlamaConfig& config);

// Views into `file`, which must outlive the source. invalid: a type that is not F32, F16 or BF16.
TensorSource source_of(const format::Safetensors& file);

}  // namespace hf::model
