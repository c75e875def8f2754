// Speed of the decoder on random weights of a real shape, made in memory: prefill, decode, decode at a depth, batches.
//   engine_speed SHAPE TYPE [--threads N] [--isa NAME] [--layers N]
// SHAPE: llama1b (Llama-3.2-1B) or qwen06b (Qwen3-0.6B). TYPE: q8_0, q4_0, q4_k_m, bf16, f32. One JSON object.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "model/llama.h"
#include "os/thread.h"

namespace {

using namespace hf;

struct Dice {
  uint64_t state = 1;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
};

model::LlamaConfig shape_of(const std::string& name) {
  model::LlamaConfig c;
  c.tied = true;
  c.context = 4096;
  if (name == "llama1b") {
    c.layers = 16, c.width = 2048, c.heads = 32, c.kv_heads = 8, c.head_dim = 64, c.ffn = 8192, c.vocabulary = 128256;
    c.rope_theta = 500000;
  } else if (name == "qwen06b") {
    c.layers = 28, c.width = 1024, c.heads = 16, c.kv_heads = 8, c.head_dim = 128, c.ffn = 3072, c.vocabulary = 151936;
    c.rope_theta = 1000000;
    c.qk_norm = true;
  } else {
    c.layers = 0;
  }
  return c;
}

// The types of llama.cpp's Q4_K_M: half of the layers keep attn_v and ffn_down in Q6_K.
tensor::DType type_of(const std::string& type, const std::string& tensor, int64_t layers) {
  const bool embedding = tensor == "model.embed_tokens.weight";
  if (type == "q8_0") return tensor::DType::q8_0;
  if (type == "q4_0") return embedding ? tensor::DType::q6_k : tensor::DType::q4_0;
  if (type == "bf16") return tensor::DType::bf16;
  if (type == "f32") return tensor::DType::f32;
  if (embedding) return tensor::DType::q6_k;
  if (tensor.find("v_proj") != tensor.npos || tensor.find("down_proj") != tensor.npos) {
    const int64_t l = std::atoi(tensor.c_str() + std::strlen("model.layers."));
    if (l < layers / 8 || l >= 7 * layers / 8 || (l - layers / 8) % 3 == 2) return tensor::DType::q6_k;
  }
  return tensor::DType::q4_k;
}

class Weights {
 public:
  Weights(const model::LlamaConfig& c, std::string type) : config_(c), type_(std::move(type)) {}
  Result<tensor::View> view(const std::string& name) {
    for (const auto& spec : tensor_specs(config_)) {
      if (spec.name != name) continue;
      const bool vector = spec.shape.size() == 1;
      const tensor::DType type = vector ? tensor::DType::f32 : type_of(type_, name, config_.layers);
      tensor::View v{type, spec.shape, nullptr};
      std::string& bytes = kept_[name];
      bytes.resize(static_cast<size_t>(tensor::row_bytes(type, v.elements())));
      fill(type, bytes);
      v.data = bytes.data();
      return v;
    }
    return fail(Code::not_found, name);
  }
  void forget() { kept_.clear(); }

 private:
  void fill(tensor::DType type, std::string& bytes) {
    auto* words = reinterpret_cast<uint64_t*>(bytes.data());
    if (type == tensor::DType::f32) {
      auto* floats = reinterpret_cast<float*>(bytes.data());
      for (size_t i = 0; i < bytes.size() / 4; ++i) floats[i] = static_cast<float>(dice_.next() % 1000) * 4e-5f - 0.02f;
      if (bytes.size() < 65536)
        for (size_t i = 0; i < bytes.size() / 4; ++i) floats[i] = 1;
      return;
    }
    for (size_t i = 0; i < bytes.size() / 8; ++i) words[i] = dice_.next();
    const auto block = static_cast<size_t>(tensor::row_bytes(type, tensor::block_elements(type)));
    const uint16_t scale = type == tensor::DType::q8_0 ? 0x0c00 : 0x1800;  // 2^-12, 2^-9
    if (type == tensor::DType::bf16) {
      auto* halves = reinterpret_cast<uint16_t*>(bytes.data());
      for (size_t i = 0; i < bytes.size() / 2; ++i) halves[i] = static_cast<uint16_t>((halves[i] & 0x807f) | 0x3c80);
      return;
    }
    for (size_t at = 0; at + block <= bytes.size(); at += block) {
      std::memcpy(bytes.data() + at + (type == tensor::DType::q6_k ? 208 : 0), &scale, 2);
      if (type == tensor::DType::q4_k) std::memcpy(bytes.data() + at + 2, &scale, 2);
    }
  }
  const model::LlamaConfig config_;
  std::string type_;
  Dice dice_;
  std::map<std::string, std::string> kept_;
};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

class Bench {
 public:
  Bench(const model::LlamaModel& m, tensor::Pool& pool) : m_(m), pool_(pool) {}

  // `streams` sequences at the same depth; appends `count` rows to each in one call.
  void open(int streams, int64_t positions) {
    pages_.clear();
    pointers_.assign(static_cast<size_t>(streams), {});
    for (auto& of : pointers_)
      for (int64_t p = 0; p <= positions / model::kPagePositions; ++p)
        of.push_back(pages_.emplace_back(static_cast<size_t>(model::page_floats(m_.config))).data());
  }
  void run(int64_t first, int64_t count) {
    std::vector<model::TokenRow> rows;
    std::vector<model::Sequence> sequences;
    for (size_t s = 0; s < pointers_.size(); ++s) {
      sequences.push_back({pointers_[s]});
      for (int64_t i = 0; i < count; ++i)
        rows.push_back({static_cast<int32_t>((first + i) * 7 % 1000 + 5), static_cast<int32_t>(first + i),
                        static_cast<int32_t>(s), i + 1 == count});
    }
    logits_.resize(pointers_.size() * static_cast<size_t>(m_.config.vocabulary));
    forward_tokens(m_, pool_, rows, sequences, workspace_, logits_);
  }
  double prefill(int64_t tokens) {
    open(1, tokens);
    run(0, tokens);
    const double start = now();
    for (int i = 0; i < 4; ++i) run(0, tokens);
    return static_cast<double>(4 * tokens) / (now() - start);
  }
  double decode(int streams, int64_t depth, int64_t steps) {
    open(streams, depth + steps);
    for (int64_t p = 0; p < depth; p += 512) run(p, std::min<int64_t>(512 / std::min(streams, 4), depth - p));
    run(depth, 1);
    const double start = now();
    for (int64_t i = 0; i < steps; ++i) run(depth + i, 1);
    return static_cast<double>(steps * streams) / (now() - start);
  }
  double sum() const {
    double s = 0;
    for (float x : logits_) s += static_cast<double>(x);
    return s;
  }

 private:
  const model::LlamaModel& m_;
  tensor::Pool& pool_;
  std::vector<tensor::Floats> pages_;
  std::vector<std::vector<float*>> pointers_;
  model::Workspace workspace_;
  std::vector<float> logits_;
};

Result<int> bench(const std::string& shape, const std::string& type, int threads, const std::string& isa,
                  const std::string& what) {
  const auto* kernels = TRY(tensor::choose_kernels(isa, os::cpu_info()));
  const model::LlamaConfig config = shape_of(shape);
  if (config.layers == 0) return fail(Code::invalid, "SHAPE must be llama1b or qwen06b");
  Weights weights(config, type);
  auto m = TRY(model::LlamaModel::load(
      config, [&](const std::string& name) { return weights.view(name); }, type == "bf16", *kernels));
  weights.forget();
  tensor::Pool pool(threads);
  Bench b(*m, pool);
  std::printf("{\"shape\": \"%s\", \"type\": \"%s\", \"isa\": \"%s\", \"threads\": %d", shape.c_str(), type.c_str(),
              kernels->isa, threads);
  const auto wants = [&](const char* name) { return what.empty() || what.find(name) != what.npos; };
  if (wants("prefill")) std::printf(", \"prefill512\": %.1f", b.prefill(512));
  if (wants("decode")) std::printf(", \"decode\": %.2f", b.decode(1, 0, 32));
  if (wants("deep")) std::printf(", \"decode2048\": %.2f", b.decode(1, 2048, 16));
  if (wants("batch")) std::printf(", \"batch16\": %.1f", b.decode(16, 128, 8));
  if (wants("batch")) std::printf(", \"batch32\": %.1f", b.decode(32, 128, 8));
  std::printf(", \"check\": %.6g}\n", b.sum());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string isa, what;
  int threads = 2;
  for (int i = 3; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--threads") threads = std::atoi(argv[i + 1]);
    if (std::string(argv[i]) == "--isa") isa = argv[i + 1];
    if (std::string(argv[i]) == "--only") what = argv[i + 1];
  }
  if (argc < 3) {
    std::fprintf(stderr,
                 "usage: engine_speed SHAPE TYPE [--threads N] [--isa NAME] [--only prefill,decode,deep,batch]\n");
    return 2;
  }
  const auto status = bench(argv[1], argv[2], threads, isa, what);
  if (!status.ok()) std::fprintf(stderr, "engine_speed: %s\n", status.error().message.c_str());
  return status.ok() ? 0 : 1;
}
