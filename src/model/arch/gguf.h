// Models in GGUF files: their metadata as our config and tokenizer, their tensors by our names.
// Names of keys and tensors: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and llama.cpp's converters.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "format/gguf.h"
#include "format/tokenizer.h"
#include "model/arch/arch.h"

namespace hf::model {

// Architectures "llama" and "qwen3". invalid: another one, a key that is missing or out of range, or one that would
// change the result and that we do not compute (experts, another activation's scale, another rope scaling).
Result<ModelConfig> read_gguf_config(const format::Gguf& file);

// Byte-level BPE ("gpt2") with the splitting of Llama 3, Qwen 2 or GPT-2. invalid or corrupt: another kind, by name.
Result<format::TokenizerFile> read_gguf_tokenizer(const format::Gguf& file);

// The file's name of a tensor of tensor_specs(); "" for none.
std::string gguf_tensor_name(const std::string& hf_name);

// A tensor of tensor_specs() in the file: View::paired where its rows are stored the way llama.cpp's "llama" has them.
// not_found.
Result<tensor::View> gguf_view(const format::Gguf& file, const ModelConfig& config, const std::string& hf_name);

// Writes a model as a GGUF file from offset 0, one tensor in memory at a time; does not sync. Matrices keep their type
// (F32, F16 or BF16), or become `matrices`: one of these or Q8_0 (but where its blocks do not divide a row: these keep
// their type); vectors are F32. read_gguf_config() and read_gguf_tokenizer() give back what went in. invalid: what has
// no form in the file; not_found: a tensor; corrupt: a weight that is no number.
Status write_model_gguf(const std::string& name, const ModelConfig& config, const format::TokenizerFile& tokenizer,
                        const TensorSource& source, std::optional<tensor::DType> matrices, os::File& file);

}  // namespace hf::model
