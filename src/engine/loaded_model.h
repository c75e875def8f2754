// A model folder's files, made ready to serve: everything in them is checked on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/weight_cache.h"
#include "format/gguf.h"
#include "model/chat.h"
#include "model/llama.h"
#include "model/tokenizer/tokenizer.h"
#include "os/mapping.h"
#include "rpc/messages.h"
#include "tensor/kernels.h"

namespace hf::engine {

struct ModelFile {
  std::string name;  // "config.json", "tokenizer.json", "*.safetensors"; or one "*.gguf"; others are passed over
  os::Mapping bytes;
};

// Read-only once loaded.
struct LoadedModel {
  explicit LoadedModel(model::Tokenizer t) : tokenizer(std::move(t)) {}

  rpc::ModelCard card;
  std::unique_ptr<format::Gguf> source;  // where the weights read from it: an embedding of its own
  std::unique_ptr<model::LlamaModel> weights;
  model::Tokenizer tokenizer;
  model::ChatFormat chat = model::ChatFormat::plain;
  std::vector<int32_t> ends;  // tokens that end an answer, ascending
  int64_t page_bytes = 0;     // of one page of keys and values
  size_t longest_token = 1;   // bytes

  // Ids of a prompt. invalid: longer than the model's context leaves room for an answer of one token.
  Result<std::vector<int32_t>> render(const rpc::Prompt& prompt) const;
  bool is_end(int32_t id) const;
};

inline constexpr uint64_t kMaxModelFile = uint64_t{1} << 40;

// The files' memory may go afterwards: weights are put into the kernels' layout, as bfloat16 if the file's matrices
// are, quantised if they are, else as floats; `cache` (may be null) keeps that for the next time. corrupt, invalid,
// not_found: which file or tensor is wrong, missing or left over.
Result<std::shared_ptr<const LoadedModel>> load_model(const std::string& digest, std::vector<ModelFile> files,
                                                      const tensor::Kernels& kernels, WeightCache* cache = nullptr);

// A model folder's files as one GGUF file (model::write_model_gguf).
Status write_gguf_of(const std::string& name, std::vector<ModelFile> files, std::optional<tensor::DType> matrices,
                     os::File& out);

}  // namespace hf::engine
