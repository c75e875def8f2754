// Models from GGUF files: what they compute against an independent calculation in double precision, the cache of their
// weights, and what is refused.
#include "engine/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/test_device.h"

namespace hf::engine {
namespace {

using testing::HasSubstr;
using Rows = std::vector<double>;

const tensor::Kernels& kernels(const std::string& isa = "") {
  return isa == "cuda" ? *device_kernels() : **tensor::choose_kernels(isa, os::cpu_info());
}

Result<std::shared_ptr<const LoadedModel>> load(const std::string& bytes, const char* isa = "",
                                                WeightCache* cache = nullptr) {
  std::vector<ModelFile> files;
  files.push_back({"model.gguf", os::Mapping::of_bytes(bytes)});
  return load_model("digest", std::move(files), kernels(isa), cache);
}

std::vector<float> logits_of(const LoadedModel& m, const std::vector<int32_t>& ids, int threads = 1,
                             size_t chunk = 99) {
  tensor::Pool pool(threads);
  std::vector<model::Page> pages;
  std::vector<float*> pointers;
  for (size_t p = 0; p <= ids.size() / 16; ++p) pointers.push_back(pages.emplace_back(*m.weights->new_page()).get());
  model::Workspace workspace;
  const auto vocabulary = static_cast<size_t>(m.weights->config.vocabulary);
  std::vector<float> all(ids.size() * vocabulary);
  const model::Sequence sequence{pointers};
  for (size_t first = 0; first < ids.size(); first += chunk) {
    std::vector<model::TokenRow> rows;
    for (size_t i = first; i < std::min(ids.size(), first + chunk); ++i)
      rows.push_back({ids[i], static_cast<int32_t>(i), 0, true});
    const Status done = forward(*m.weights, pool, rows, {&sequence, 1}, workspace,
                                std::span(all).subspan(first * vocabulary, rows.size() * vocabulary));
    EXPECT_TRUE(done.ok()) << done.error().message;
  }
  return all;
}

// ---- The same in double precision, from the tensors' definitions, with none of the product's arithmetic.
class Reference {
 public:
  Reference(const GgufModelOptions& o) : c_(gguf_model_config(o)), options_(o) {
    std::vector<std::string> bytes;
    const auto tensors = gguf_tensors(o, bytes);
    for (const auto& t : tensors) {
      int64_t n = 1;
      for (int64_t d : t.shape) n *= d;
      std::vector<float> values(static_cast<size_t>(n));
      tensor::to_floats({t.type, t.shape, t.bytes.data()}, 0, n, values.data());
      tensors_[t.name] = {Rows(values.begin(), values.end()), t.shape.back()};
    }
  }
  Rows logits(const std::vector<int32_t>& ids) {
    const auto n = ids.size(), w = static_cast<size_t>(c_.width);
    std::vector<Rows> x(n);
    for (size_t i = 0; i < n; ++i) {
      const auto begin =
          tensors_["token_embd.weight"].first.begin() + static_cast<int64_t>(static_cast<size_t>(ids[i]) * w);
      x[i] = Rows(begin, begin + c_.width);
    }
    for (int64_t l = 0; l < c_.layers; ++l) layer("blk." + std::to_string(l) + ".", x);
    Rows out;
    for (size_t i = 0; i < n; ++i) {
      const Rows y = product(c_.tied ? "token_embd.weight" : "output.weight", norm(x[i], "output_norm.weight"));
      out.insert(out.end(), y.begin(), y.end());
    }
    return out;
  }

 private:
  Rows product(const std::string& name, const Rows& x) {
    const auto& [w, k] = tensors_.at(name);
    Rows out(w.size() / static_cast<size_t>(k));
    for (size_t o = 0; o < out.size(); ++o)
      for (size_t i = 0; i < x.size(); ++i) out[o] += w[o * x.size() + i] * x[i];
    return out;
  }
  Rows norm(const Rows& x, const std::string& gain) {
    double squares = 0;
    for (double v : x) squares += v * v;
    Rows out = x;
    for (size_t i = 0; i < x.size(); ++i)
      out[i] *= tensors_.at(gain).first[i] / std::sqrt(squares / static_cast<double>(x.size()) + 1e-6);
    return out;
  }
  // Llama's files hold pairs (2i, 2i + 1), Qwen's (i, i + D/2).
  void rotate(Rows& head, size_t position) {
    const size_t half = head.size() / 2;
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) *
                           std::pow(500000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head.size()));
      const bool pairs = options_.architecture == "llama";
      double& a = head[pairs ? 2 * i : i];
      double& b = head[pairs ? 2 * i + 1 : i + half];
      const double a0 = a, b0 = b;
      a = a0 * std::cos(angle) - b0 * std::sin(angle);
      b = b0 * std::cos(angle) + a0 * std::sin(angle);
    }
  }
  std::vector<Rows> heads(const Rows& all, size_t position, const std::string& gain, bool turn) {
    std::vector<Rows> out;
    const auto d = c_.head_dim;
    for (auto at = all.begin(); at != all.end(); at += d) {
      Rows head(at, at + d);
      if (c_.qk_norm && turn) head = norm(head, gain);
      if (turn) rotate(head, position);
      out.push_back(head);
    }
    return out;
  }
  void layer(const std::string& p, std::vector<Rows>& x) {
    std::vector<std::vector<Rows>> keys, values;
    for (size_t i = 0; i < x.size(); ++i) {
      const Rows n = norm(x[i], p + "attn_norm.weight");
      const auto q = heads(product(p + "attn_q.weight", n), i, p + "attn_q_norm.weight", true);
      keys.push_back(heads(product(p + "attn_k.weight", n), i, p + "attn_k_norm.weight", true));
      values.push_back(heads(product(p + "attn_v.weight", n), i, "", false));
      Rows joined;
      for (size_t h = 0; h < q.size(); ++h) {
        const size_t kv = h / (q.size() / keys[0].size());
        Rows weight(i + 1);
        double total = 0;
        for (size_t j = 0; j <= i; ++j) {
          double dot = 0;
          for (size_t d = 0; d < q[h].size(); ++d) dot += q[h][d] * keys[j][kv][d];
          weight[j] = std::exp(dot / std::sqrt(static_cast<double>(q[h].size())));
          total += weight[j];
        }
        for (size_t d = 0; d < q[h].size(); ++d) {
          double sum = 0;
          for (size_t j = 0; j <= i; ++j) sum += weight[j] / total * values[j][kv][d];
          joined.push_back(sum);
        }
      }
      add(x[i], product(p + "attn_output.weight", joined));
    }
    for (Rows& row : x) {
      const Rows n = norm(row, p + "ffn_norm.weight");
      Rows gate = product(p + "ffn_gate.weight", n);
      const Rows up = product(p + "ffn_up.weight", n);
      for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
      add(row, product(p + "ffn_down.weight", gate));
    }
  }
  static void add(Rows& x, const Rows& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }
  model::LlamaConfig c_;
  GgufModelOptions options_;
  std::map<std::string, std::pair<Rows, int64_t>> tensors_;
};

std::vector<int32_t> some_ids(size_t n) {
  std::vector<int32_t> out;
  for (size_t i = 0; i < n; ++i) out.push_back(static_cast<int32_t>(i * 37 % 251));
  return out;
}

// Root of the mean square of the difference, over that of what is expected.
double relative(const std::vector<float>& got, const Rows& want) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (static_cast<double>(got[i]) - want[i]) * (static_cast<double>(got[i]) - want[i]);
    size += want[i] * want[i];
  }
  return std::sqrt(difference / size);
}

TEST(GgufModel, ComputesWhatItsTensorsSay) {
  // Floating-point weights: sums in float, 512 terms, two layers. Quantised ones: activations are rounded to 8 bits, a
  // relative error of about 1/250 in each of the seven products on the way.
  const std::vector<std::pair<tensor::DType, double>> types = {{tensor::DType::f32, 1e-5},  {tensor::DType::f16, 1e-5},
                                                               {tensor::DType::bf16, 1e-5}, {tensor::DType::q8_0, 0.03},
                                                               {tensor::DType::q4_0, 0.03}, {tensor::DType::q4_k, 0.03},
                                                               {tensor::DType::q6_k, 0.03}};
  for (const char* architecture : {"llama", "qwen3"}) {
    for (const auto& [type, tolerance] : types) {
      for (const bool tied : {true, false}) {
        const GgufModelOptions o{architecture, type, tied, 7};
        const auto m = load(gguf_model(o));
        ASSERT_TRUE(m.ok()) << m.error().message;
        const auto ids = some_ids(20);
        const double error = relative(logits_of(**m, ids), Reference(o).logits(ids));
        EXPECT_LT(error, tolerance) << architecture << " " << tensor::name_of(type) << " tied " << tied;
        EXPECT_EQ((*m)->card.dtype, tensor::name_of(type));
      }
    }
  }
}

// On a device products read activations of 8 significant bits: about 1/500 in each.
TEST(GgufModel, ADeviceComputesTheSameWithAnyChunks) {
  if (!device_kernels()) GTEST_SKIP() << tensor::open_cuda().error().message;
  for (const char* architecture : {"llama", "qwen3"}) {
    for (const tensor::DType type : {tensor::DType::f32, tensor::DType::f16, tensor::DType::bf16, tensor::DType::q8_0,
                                     tensor::DType::q4_0, tensor::DType::q4_k, tensor::DType::q6_k}) {
      for (const bool tied : {true, false}) {
        const GgufModelOptions o{architecture, type, tied, 7};
        const auto m = load(gguf_model(o), "cuda");
        ASSERT_TRUE(m.ok()) << m.error().message;
        const auto ids = some_ids(70);
        const auto want = logits_of(**m, ids);
        EXPECT_LT(relative(want, Reference(o).logits(ids)), 0.01)
            << architecture << " " << tensor::name_of(type) << " tied " << tied;
        for (const size_t chunk : {size_t{1}, size_t{7}, size_t{16}, size_t{35}, size_t{70}})
          EXPECT_EQ(logits_of(**m, ids, 1, chunk), want) << tensor::name_of(type) << " " << chunk;
      }
    }
  }
}

TEST(GgufModel, QuantisedModelsGiveTheSameBitsOnEverySetWithAnyThreadsAndChunks) {
  for (tensor::DType type : {tensor::DType::q8_0, tensor::DType::q4_0, tensor::DType::q4_k, tensor::DType::q6_k}) {
    const std::string bytes = gguf_model({"qwen3", type, true, 3});
    const auto ids = some_ids(70);
    const auto want = logits_of(**load(bytes, "scalar"), ids);
    for (const char* isa : {"avx2", "avx512", "amx"}) {
      if (!tensor::choose_kernels(isa, os::cpu_info()).ok()) continue;
      const auto m = load(bytes, isa);
      for (const size_t chunk : {size_t{1}, size_t{7}, size_t{16}, size_t{50}, size_t{70}})
        EXPECT_EQ(logits_of(**m, ids, chunk % 2 == 0 ? 2 : 1, chunk), want) << isa << " " << chunk;
    }
  }
}

TEST(GgufModel, ItsWeightsAreMadeOnceAndMappedAgain) {
  const std::string bytes = gguf_model();
  const auto ids = some_ids(9);
  const auto want = logits_of(**load(bytes), ids);
  os::FakeFs fs;
  const auto with_cache = [&] {
    WeightCache cache(std::move(*fs.open("weights", os::Open::create)), "digest");
    const auto m = load(bytes, "", &cache);
    EXPECT_TRUE(m.ok());
    EXPECT_EQ(logits_of(**m, ids), want);
    return cache.written();
  };
  EXPECT_TRUE(with_cache());
  EXPECT_FALSE(with_cache()) << "made a second time";
  const uint64_t size = fs.stat("weights")->size;
  for (const uint64_t bit : {uint64_t{3}, uint64_t{100}, (size - 5) * 8, size * 4}) {
    ASSERT_TRUE(fs.flip_bit("weights", bit).ok());
    EXPECT_TRUE(with_cache()) << "bit " << bit << " was not noticed";
    EXPECT_FALSE(with_cache());
  }
  ASSERT_TRUE((*fs.open("weights", os::Open::write))->truncate(size / 2).ok());
  EXPECT_TRUE(with_cache());
  // A full disk: it goes without.
  ASSERT_TRUE((*fs.open("weights", os::Open::write))->truncate(0).ok());
  fs.fail_at(1, os::FakeFs::Fault::enospc, true);
  EXPECT_FALSE(with_cache());
  fs.fail_at(0, os::FakeFs::Fault::enospc);
  EXPECT_TRUE(with_cache());
}

TEST(GgufModel, WhatIsNotComputedIsRefusedByName) {
  const GgufModelOptions o;
  const auto with = [&](const std::string& key, format::GgufNew value) {
    auto metadata = gguf_metadata(o);
    bool found = false;
    for (auto& [name, old] : metadata)
      if (name == key) old = value, found = true;
    if (!found) metadata.emplace_back(key, value);
    std::vector<std::string> bytes;
    const auto tensors = gguf_tensors(o, bytes);
    os::FakeFs fs;
    auto file = std::move(*fs.open("f", os::Open::create));
    EXPECT_TRUE(write_gguf(*file, metadata, tensors).ok());
    const auto m = load(*fs.read_file("f", 1 << 28));
    return m.ok() ? "" : m.error().message;
  };
  const auto text = [](const char* s) { return format::GgufNew(std::string(s)); };
  EXPECT_EQ(with("general.name", text("any")), "");
  EXPECT_THAT(with("general.architecture", text("bert")), HasSubstr("must be one of llama, qwen3; found 'bert'"));
  EXPECT_THAT(with("qwen3.expert_count", uint32_t{8}), HasSubstr("'qwen3.expert_count' must be 0"));
  EXPECT_THAT(with("qwen3.rope.scaling.type", text("yarn")), HasSubstr("'qwen3.rope.scaling.type' must be \"none\""));
  EXPECT_THAT(with("qwen3.block_count", text("two")), HasSubstr("'qwen3.block_count' must be an integer"));
  EXPECT_THAT(with("qwen3.block_count", uint32_t{3}), HasSubstr("has no tensor blk.2."));
  EXPECT_THAT(with("qwen3.block_count", uint32_t{1}), HasSubstr("tensor blk.1.attn_k.weight is not one of"));
  EXPECT_THAT(with("qwen3.attention.key_length", uint32_t{32}), HasSubstr("must have shape"));
  EXPECT_THAT(with("tokenizer.ggml.model", text("llama")), HasSubstr("must be gpt2 (byte-level BPE); found 'llama'"));
  EXPECT_THAT(with("tokenizer.ggml.pre", text("tekken")),
              HasSubstr("must be llama-bpe, qwen2 or gpt-2; found 'tekken'"));
  EXPECT_THAT(with("tokenizer.ggml.add_bos_token", true), HasSubstr("'tokenizer.ggml.bos_token_id' must be present"));
  EXPECT_THAT(with("tokenizer.ggml.merges", std::vector<std::string>{"a  b"}), HasSubstr("merges"));
  std::vector<ModelFile> two;
  for (const char* name : {"a.gguf", "b.gguf"}) two.push_back({name, os::Mapping::of_bytes(gguf_model())});
  EXPECT_THAT(load_model("d", std::move(two), kernels()).error().message, HasSubstr("two GGUF files"));
}

TEST(GgufModel, Llama3sDivisorsStretchTheAngles) {
  const GgufModelOptions o{"llama", tensor::DType::f32, true, 5};
  std::vector<std::string> bytes;
  auto tensors = gguf_tensors(o, bytes);
  std::string divisors;
  for (int i = 0; i < 32; ++i) {
    const float d = i < 16 ? 1.0f : 8.0f;
    divisors.append(reinterpret_cast<const char*>(&d), 4);
  }
  tensors.push_back({"rope_freqs.weight", tensor::DType::f32, {32}, divisors});
  os::FakeFs fs;
  auto file = std::move(*fs.open("f", os::Open::create));
  ASSERT_TRUE(write_gguf(*file, gguf_metadata(o), tensors).ok());
  const auto m = load(*fs.read_file("f", 1 << 28));
  ASSERT_TRUE(m.ok()) << m.error().message;
  const model::LlamaModel& w = *(*m)->weights;
  for (int i : {0, 15, 16, 31}) {
    const double f = std::pow(500000.0, -2.0 * i / 64) / (i < 16 ? 1 : 8);
    EXPECT_NEAR(w.cosine[100 * 32 + i], std::cos(100 * f), 1e-6) << i;
    EXPECT_NEAR(w.sine[100 * 32 + i], std::sin(100 * f), 1e-6) << i;
  }
}

}  // namespace
}  // namespace hf::engine
