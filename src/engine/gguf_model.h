// A tiny model with random weights as a GGUF file, for tests: quantised matrices, of either architecture.
#pragma once

#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/loaded_model.h"
#include "engine/test_model.h"
#include "format/gguf.h"
#include "model/arch/gguf.h"
#include "os/fake.h"

namespace hf::engine {

struct GgufModelOptions {
  std::string architecture = "qwen3";  // or "llama"
  tensor::DType type = tensor::DType::q8_0;
  bool tied = true;
  uint32_t seed = 1;
};

inline model::LlamaConfig gguf_model_config(const GgufModelOptions& o) {
  model::LlamaConfig c;
  c.layers = 2;
  c.width = 256;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 64;
  c.ffn = 512;
  c.vocabulary = 272;
  c.context = 256;
  c.norm_epsilon = 1e-6f;
  c.rope_theta = 500000;
  c.tied = o.tied;
  c.qk_norm = o.architecture == "qwen3";
  return c;
}

// A tensor's bytes as the file has them: whole blocks of random bits, with scales that make weights of about 0.05.
inline std::string gguf_bytes(tensor::DType type, int64_t count, std::mt19937& dice) {
  std::string out(static_cast<size_t>(tensor::row_bytes(type, count)), '\0');
  if (type == tensor::DType::f32) {
    for (int64_t i = 0; i < count; ++i) {
      const float random = static_cast<float>(dice() % 1000) / 1000;
      const float v = count <= 512 ? 0.5f + random : 0.2f * random - 0.1f;  // gains, matrices
      std::memcpy(out.data() + i * 4, &v, 4);
    }
    return out;
  }
  if (type == tensor::DType::bf16 || type == tensor::DType::f16) {
    for (int64_t i = 0; i < count; ++i) {
      const float v = (static_cast<float>(dice() % 2001) - 1000) * 1e-4f;
      uint16_t bits = tensor::bf16_of(v);
      if (type == tensor::DType::f16) bits = static_cast<uint16_t>((dice() & 0x83ffu) | 0x2000u);
      std::memcpy(out.data() + i * 2, &bits, 2);
    }
    return out;
  }
  for (char& c : out) c = static_cast<char>(dice());
  const auto block = static_cast<size_t>(tensor::row_bytes(type, tensor::block_elements(type)));
  uint16_t scale = 0x0c00;  // 2^-12
  if (type == tensor::DType::q4_0) scale = 0x1c00;
  if (type == tensor::DType::q4_k) scale = 0x0800;
  if (type == tensor::DType::q6_k) scale = 0x0080;
  for (size_t at = 0; at < out.size(); at += block) {
    std::memcpy(out.data() + at + (type == tensor::DType::q6_k ? 208 : 0), &scale, 2);
    if (type == tensor::DType::q4_k) std::memcpy(out.data() + at + 2, &scale, 2);
  }
  return out;
}

inline std::vector<std::pair<std::string, format::GgufNew>> gguf_metadata(const GgufModelOptions& o) {
  const model::LlamaConfig c = gguf_model_config(o);
  const std::string p = o.architecture + ".";
  const auto u = [](int64_t n) { return static_cast<uint32_t>(n); };
  // The bytes in GPT-2's alphabet, by way of our own writer of Hugging Face's form.
  std::vector<std::string> tokens;
  std::vector<int32_t> kinds;
  const format::TokenizerFile file = test_tokenizer();
  for (size_t id = 0; id < file.vocabulary.size(); ++id) {
    const auto b = static_cast<unsigned char>(file.vocabulary[id][0]);
    if (id >= 256) {
      tokens.push_back(file.vocabulary[id]);
      kinds.push_back(3);
      continue;
    }
    const auto prints = [](unsigned x) { return (x >= '!' && x <= '~') || (x >= 0xa1 && x <= 0xac) || x >= 0xae; };
    unsigned letter = b;
    if (!prints(b)) {
      letter = 256;
      for (unsigned x = 0; x < b; ++x) letter += prints(x) ? 0 : 1;
    }
    std::string text;
    if (letter < 0x80) {
      text = static_cast<char>(letter);
    } else {
      text = {static_cast<char>(0xc0 | letter >> 6), static_cast<char>(0x80 | (letter & 63))};
    }
    tokens.push_back(text);
    kinds.push_back(1);
  }
  return {{"general.architecture", o.architecture},
          {p + "block_count", u(c.layers)},
          {p + "embedding_length", u(c.width)},
          {p + "feed_forward_length", u(c.ffn)},
          {p + "attention.head_count", u(c.heads)},
          {p + "attention.head_count_kv", u(c.kv_heads)},
          {p + "attention.key_length", u(c.head_dim)},
          {p + "attention.layer_norm_rms_epsilon", c.norm_epsilon},
          {p + "context_length", u(c.context)},
          {p + "rope.freq_base", static_cast<float>(c.rope_theta)},
          {"tokenizer.ggml.model", std::string("gpt2")},
          {"tokenizer.ggml.pre", std::string(o.architecture == "qwen3" ? "qwen2" : "llama-bpe")},
          {"tokenizer.ggml.tokens", tokens},
          {"tokenizer.ggml.token_type", kinds},
          {"tokenizer.ggml.merges", std::vector<std::string>{}},
          {"tokenizer.ggml.add_bos_token", false},
          {"tokenizer.ggml.eos_token_id", u(259)}};
}

// The tensors by the file's names; `bytes` keeps them.
inline std::vector<format::GgufTensorToWrite> gguf_tensors(const GgufModelOptions& o, std::vector<std::string>& bytes) {
  std::mt19937 dice(o.seed);
  std::vector<format::GgufTensorToWrite> out;
  const auto specs = model::tensor_specs(gguf_model_config(o));
  bytes.reserve(specs.size());
  for (const auto& spec : specs) {
    int64_t n = 1;
    for (const int64_t d : spec.shape) n *= d;
    const tensor::DType type = spec.shape.size() == 1 ? tensor::DType::f32 : o.type;
    bytes.push_back(gguf_bytes(type, n, dice));
    out.push_back({model::gguf_tensor_name(spec.name), type, spec.shape, bytes.back()});
  }
  return out;
}

inline std::string gguf_model(const GgufModelOptions& o = {}) {
  std::vector<std::string> bytes;
  const auto tensors = gguf_tensors(o, bytes);
  os::FakeFs fs;
  auto file = std::move(*fs.open("f", os::Open::create));
  check(write_gguf(*file, gguf_metadata(o), tensors).ok(), "a file in memory");
  return *fs.read_file("f", 1 << 28);
}

}  // namespace hf::engine
