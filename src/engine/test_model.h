// A tiny model with random weights as the files of its folder, for tests.
#pragma once

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/loaded_model.h"
#include "format/safetensors.h"
#include "format/tokenizer.h"
#include "model/arch/arch.h"
#include "model/chat.h"
#include "model/llama.h"

namespace hf::engine {

struct TestModelOptions {
  uint32_t seed = 1;
  bool bf16 = false;
  int64_t context = 256;
  int64_t vocabulary = 272;  // of the matrices; the tokenizer has 260
  std::string leave_out;     // a tensor
  std::string extra;         // a tensor more, of one float
};

inline format::TokenizerFile test_tokenizer() {
  format::TokenizerFile file;
  for (int b = 0; b < 256; ++b) file.vocabulary.push_back(std::string(1, static_cast<char>(b)));
  for (const std::string& text : model::holdfast_special_tokens()) {
    file.added.push_back({static_cast<int32_t>(file.vocabulary.size()), text, true});
    file.vocabulary.push_back(text);
  }
  file.patterns = {model::default_pattern()};
  return file;
}

inline std::string test_weights(const model::LlamaConfig& config, const TestModelOptions& options) {
  std::mt19937 random(options.seed);
  std::normal_distribution<float> normal(0.0f, 0.4f);
  std::vector<std::string> bytes;
  std::vector<format::TensorToWrite> tensors;
  auto specs = model::tensor_specs(config);
  if (!options.extra.empty()) specs.push_back({options.extra, {1}});
  bytes.reserve(specs.size());
  for (const auto& spec : specs) {
    int64_t n = 1;
    for (const int64_t d : spec.shape) n *= d;
    std::string out;
    for (int64_t i = 0; i < n; ++i) {
      const float v = spec.shape.size() == 1 ? 1.0f : normal(random);
      const uint16_t half = tensor::bf16_of(v);
      out.append(options.bf16 ? reinterpret_cast<const char*>(&half) : reinterpret_cast<const char*>(&v),
                 options.bf16 ? 2 : 4);
    }
    if (spec.name == options.leave_out) continue;
    bytes.push_back(std::move(out));
    tensors.push_back({spec.name, options.bf16 ? format::Dtype::bf16 : format::Dtype::f32, spec.shape, bytes.back()});
  }
  auto start = format::safetensors_start(tensors, {});
  check(start.ok(), "a test model's header");
  std::string file = *start;
  for (const auto& tensor : tensors) file += tensor.bytes;
  return file;
}

inline model::ModelConfig test_config(const TestModelOptions& options) {
  model::ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.llama.layers = 2;
  config.llama.width = 32;
  config.llama.heads = 4;
  config.llama.kv_heads = 2;
  config.llama.head_dim = 8;
  config.llama.ffn = 48;
  config.llama.vocabulary = options.vocabulary;
  config.llama.context = options.context;
  config.llama.tied = true;
  return config;
}

struct TestFile {
  std::string name, bytes;
};
inline std::vector<TestFile> test_model_bytes(const TestModelOptions& options = {}) {
  const model::ModelConfig config = test_config(options);
  return {{"config.json", model::write_config(config, options.bf16 ? tensor::DType::bf16 : tensor::DType::f32)},
          {"tokenizer.json", format::write_tokenizer(test_tokenizer())},
          {"model.safetensors", test_weights(config.llama, options)}};
}
inline std::vector<ModelFile> test_model(const TestModelOptions& options = {}) {
  std::vector<ModelFile> out;
  for (TestFile& file : test_model_bytes(options))
    out.push_back({file.name, os::Mapping::of_bytes(std::move(file.bytes))});
  return out;
}

}  // namespace hf::engine
