// The training step against the serving path, against finite differences, and against itself: other threads, kernel
// sets and cuts give the same bits.
#include "model/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "model/llama.h"

namespace hf::model {
namespace {

LlamaConfig small_config(bool tied, int64_t kv_heads = 2) {
  LlamaConfig c;
  c.layers = 2;
  c.width = 24;
  c.heads = 4;
  c.kv_heads = kv_heads;
  c.head_dim = 6;
  c.ffn = 40;
  c.vocabulary = 37;
  c.context = 80;
  c.tied = tied;
  return c;
}

// Sequences of odd lengths; targets on the whole, on the end only, or nowhere.
Batch make_batch(const LlamaConfig& c, std::vector<int64_t> lengths, unsigned seed) {
  std::mt19937 random(seed);
  Batch b;
  for (size_t s = 0; s < lengths.size(); ++s) {
    for (int64_t i = 0; i < lengths[s]; ++i) {
      b.tokens.push_back(static_cast<int32_t>(random() % static_cast<unsigned>(c.vocabulary)));
      const bool target = s % 3 == 0 || (s % 3 == 1 && i >= lengths[s] / 2);
      b.targets.push_back(target ? static_cast<int32_t>(random() % static_cast<unsigned>(c.vocabulary)) : -1);
      b.weights.push_back(i % 2 == 0 ? 1.0f : 0.5f);
    }
    b.ends.push_back(static_cast<int64_t>(b.tokens.size()));
  }
  return b;
}

using Tensors = std::map<std::string, std::pair<std::vector<int64_t>, std::vector<float>>>;

Tensors tensors_of(const LlamaTrainer& trainer, bool gradients = false) {
  Tensors out;
  const Status saved = trainer.save(
      [&](const TensorSpec& spec, std::span<const float> values) -> Status {
        out[spec.name] = {spec.shape, std::vector<float>(values.begin(), values.end())};
        return {};
      },
      gradients);
  EXPECT_TRUE(saved.ok());
  return out;
}

TensorSource source_of(const Tensors& tensors) {
  return [&tensors](const std::string& name) -> Result<tensor::View> {
    const auto at = tensors.find(name);
    if (at == tensors.end()) return fail(Code::not_found, name);
    return tensor::View{tensor::DType::f32, at->second.first, reinterpret_cast<const char*>(at->second.second.data())};
  };
}

const tensor::Kernels& kernels(const char* isa = "") { return **tensor::choose_kernels(isa, os::cpu_info()); }

struct Machine {
  explicit Machine(const LlamaConfig& config, int threads = 1, const char* isa = "", AdamWSettings settings = {},
                   Compute compute = Compute::f32)
      : pool(threads), trainer(config, settings, kernels(isa), pool, nullptr, compute) {}
  tensor::Pool pool;
  LlamaTrainer trainer;
};

TEST(Trainer, LossIsWhatServingComputes) {
  for (bool tied : {true, false}) {
    const LlamaConfig c = small_config(tied);
    Machine m(c);
    m.trainer.init(3, 0.3f);
    const Batch batch = make_batch(c, {20, 33, 7}, 1);
    const StepResult got = m.trainer.evaluate(batch);

    const Tensors weights = tensors_of(m.trainer);
    auto model = LlamaModel::load(c, source_of(weights), false, kernels());
    ASSERT_TRUE(model.ok());
    double total = 0, weight = 0;
    int64_t begin = 0;
    for (int64_t end : batch.ends) {
      std::vector<tensor::Floats> memory;
      std::vector<float*> pages;
      for (int64_t p = 0; p <= (end - begin) / kPagePositions; ++p) {
        memory.emplace_back(static_cast<size_t>(page_floats(c)));
        pages.push_back(memory.back().data());
      }
      std::vector<TokenRow> rows;
      for (int64_t i = begin; i < end; ++i) {
        rows.push_back({batch.tokens[static_cast<size_t>(i)], static_cast<int32_t>(i - begin), 0, true});
      }
      const Sequence sequence{pages};
      std::vector<float> logits(rows.size() * static_cast<size_t>(c.vocabulary));
      Workspace workspace;
      forward_tokens(**model, m.pool, rows, {&sequence, 1}, workspace, logits);
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        if (batch.targets[at] < 0) continue;
        const float* row = logits.data() + (i - begin) * c.vocabulary;
        double sum = 0;
        for (int64_t v = 0; v < c.vocabulary; ++v) sum += std::exp(static_cast<double>(row[v]));
        total += static_cast<double>(batch.weights[at]) * (std::log(sum) - static_cast<double>(row[batch.targets[at]]));
        weight += static_cast<double>(batch.weights[at]);
      }
      begin = end;
    }
    EXPECT_NEAR(got.loss, total / weight, 1e-5);
  }
}

// The slope of the loss along the gradient of each tensor, by differences of losses.
TEST(Trainer, GradientsAreSlopesOfTheLoss) {
  for (bool tied : {true, false}) {
    const LlamaConfig c = small_config(tied);
    AdamWSettings still;
    Machine m(c, 1, "", still);
    m.trainer.init(5, 0.3f);
    const Tensors weights = tensors_of(m.trainer);
    const Batch batch = make_batch(c, {21, 30, 9, 26}, 2);
    m.trainer.step(batch, 0.0f);
    const Tensors gradients = tensors_of(m.trainer, true);
    for (const auto& [name, gradient] : gradients) {
      double square = 0;
      for (float g : gradient.second) square += static_cast<double>(g) * static_cast<double>(g);
      ASSERT_GT(square, 0) << name;
      const double norm = std::sqrt(square);
      const double h = 0.02;
      double loss[2];
      for (int side = 0; side < 2; ++side) {
        Tensors moved = weights;
        auto& values = moved[name].second;
        for (size_t i = 0; i < values.size(); ++i) {
          values[i] += static_cast<float>((side == 0 ? h : -h) * static_cast<double>(gradient.second[i]) / norm);
        }
        ASSERT_TRUE(m.trainer.load(source_of(moved)).ok());
        loss[side] = m.trainer.evaluate(batch).loss;
      }
      EXPECT_NEAR((loss[0] - loss[1]) / (2 * h) / norm, 1, 0.02) << name << " " << norm;
    }
  }
}

double norm_of(const std::vector<float>& values) {
  double square = 0;
  for (float v : values) square += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(square);
}

// bfloat16 rounds each operand by at most 2^-9: the gradient keeps its direction and its length.
TEST(Trainer, GradientsInBfloat16AreThoseInFloats) {
  for (bool tied : {true, false}) {
    const LlamaConfig c = small_config(tied);
    const Batch batch = make_batch(c, {21, 30, 9, 26, 1, 80, 53}, 2);
    Tensors gradients[2];
    double loss[2];
    for (Compute compute : {Compute::f32, Compute::bf16}) {
      Machine m(c, 1, "", {}, compute);
      m.trainer.init(5, 0.3f);
      const auto at = static_cast<size_t>(compute);
      loss[at] = m.trainer.step(batch, 0.0f).loss;
      gradients[at] = tensors_of(m.trainer, true);
    }
    EXPECT_NEAR(loss[0], loss[1], 0.02);
    EXPECT_NE(loss[0], loss[1]);
    for (const auto& [name, exact] : gradients[0]) {
      const auto& near = gradients[1].at(name).second;
      double dot = 0;
      for (size_t i = 0; i < near.size(); ++i) {
        dot += static_cast<double>(near[i]) * static_cast<double>(exact.second[i]);
      }
      EXPECT_GT(dot / (norm_of(near) * norm_of(exact.second)), 0.999) << name;
      EXPECT_NEAR(norm_of(near) / norm_of(exact.second), 1, 0.02) << name;
    }
  }
}

Tensors trained(const LlamaConfig& c, int threads, const char* isa, Compute compute) {
  Machine m(c, threads, isa, {}, compute);
  m.trainer.init(7, 0.1f);
  for (unsigned step = 0; step < 3; ++step) {
    m.trainer.step(make_batch(c, {40, 31, 80, 17, 5, 66, 23, 60, 75, 33, 41, 52}, step), 0.01f);
  }
  return tensors_of(m.trainer);
}

TEST(Trainer, TheSameBitsWithAnyThreadsAndKernelSet) {
  const LlamaConfig c = small_config(true);
  std::vector<const char*> sets{"scalar"};
  for (const char* isa : {"avx2", "avx512"}) {
    if (tensor::choose_kernels(isa, os::cpu_info()).ok()) sets.push_back(isa);
  }
  for (Compute compute : {Compute::f32, Compute::bf16}) {
    const Tensors want = trained(c, 1, "scalar", compute);
    for (const char* isa : sets) {
      for (int threads : {1, 2, 5}) {
        const Tensors got = trained(c, threads, isa, compute);
        for (const auto& [name, tensor] : want) {
          const auto& other = got.at(name).second;
          EXPECT_EQ(std::memcmp(other.data(), tensor.second.data(), other.size() * 4), 0)
              << name << " " << isa << threads << (compute == Compute::bf16 ? " bf16" : " f32");
        }
      }
    }
  }
}

TEST(Trainer, LearnsASmallTask) {
  LlamaConfig c = small_config(true, 4);
  for (Compute compute : {Compute::f32, Compute::bf16}) {
    Machine m(c, 2, "", {}, compute);
    m.trainer.init(1, 0.1f);
    // Each token is the one before plus the first: needs attention to position 0.
    std::mt19937 random(1);
    StepResult last;
    for (int step = 0; step < 300; ++step) {
      Batch b;
      for (int s = 0; s < 16; ++s) {
        const auto add = static_cast<int32_t>(1 + random() % 5);
        int32_t token = add;
        for (int i = 0; i < 12; ++i) {
          b.tokens.push_back(token);
          token = (token + add) % 37;
          b.targets.push_back(token);
          b.weights.push_back(1);
        }
        b.ends.push_back(static_cast<int64_t>(b.tokens.size()));
      }
      last = m.trainer.step(b, 0.01f);
    }
    EXPECT_LT(last.loss, 0.05);
  }
}

TEST(Llama, ARowDoesNotDependOnItsBatchOrOnHowThePromptIsCut) {
  LlamaConfig c = small_config(true);
  Machine m(c, 3);
  m.trainer.init(9, 0.3f);
  const Tensors weights = tensors_of(m.trainer);
  for (bool bf16 : {false, true}) {
    auto model = LlamaModel::load(c, source_of(weights), bf16, kernels());
    ASSERT_TRUE(model.ok());
    std::mt19937 random(4);
    const auto vocabulary = static_cast<size_t>(c.vocabulary);
    const std::vector<int64_t> lengths{50, 1, 17, 33};
    // All together with three threads, then each alone with one, cut at odd places.
    std::vector<std::vector<int32_t>> tokens;
    for (int64_t n : lengths) {
      auto& t = tokens.emplace_back();
      for (int64_t i = 0; i < n; ++i) t.push_back(static_cast<int32_t>(random() % 37));
    }
    std::vector<tensor::Floats> memory;
    const auto pages_for = [&](int64_t n) {
      std::vector<float*> pages;
      for (int64_t p = 0; p <= n / kPagePositions; ++p) {
        memory.emplace_back(static_cast<size_t>(page_floats(c)));
        for (size_t i = 0; i < memory.back().size(); ++i) memory.back()[i] = NAN;  // of a former owner
        pages.push_back(memory.back().data());
      }
      return pages;
    };
    std::vector<std::vector<float*>> pages;
    std::vector<Sequence> sequences;
    std::vector<TokenRow> rows;
    for (size_t s = 0; s < tokens.size(); ++s) pages.push_back(pages_for(lengths[s]));
    for (size_t s = 0; s < tokens.size(); ++s) {
      sequences.push_back({pages[s]});
      for (size_t i = 0; i < tokens[s].size(); ++i) {
        rows.push_back({tokens[s][i], static_cast<int32_t>(i), static_cast<int32_t>(s), true});
      }
    }
    std::vector<float> together(rows.size() * vocabulary);
    Workspace workspace;
    forward_tokens(**model, m.pool, rows, sequences, workspace, together);
    size_t offset = 0;
    tensor::Pool one(1);
    for (size_t s = 0; s < tokens.size(); ++s) {
      const auto own = pages_for(lengths[s]);
      const Sequence sequence{own};
      size_t at = 0;
      for (size_t piece = 1; at < tokens[s].size(); piece = piece * 2 + 1) {
        std::vector<TokenRow> part;
        for (size_t i = at; i < std::min(tokens[s].size(), at + piece); ++i) {
          part.push_back({tokens[s][i], static_cast<int32_t>(i), 0, true});
        }
        std::vector<float> alone(part.size() * vocabulary);
        forward_tokens(**model, one, part, {&sequence, 1}, workspace, alone);
        ASSERT_EQ(std::memcmp(alone.data(), together.data() + (offset + at) * vocabulary, alone.size() * 4), 0)
            << "sequence " << s << " from " << at;
        for (float v : alone) ASSERT_TRUE(std::isfinite(v));
        at += part.size();
      }
      offset += tokens[s].size();
    }
  }
}

TEST(Llama, AMissingOrMisshapenTensorIsNamed) {
  const LlamaConfig c = small_config(true);
  Machine m(c);
  m.trainer.init(1, 0.1f);
  Tensors weights = tensors_of(m.trainer);
  Tensors missing = weights;
  missing.erase("model.layers.1.mlp.up_proj.weight");
  auto loaded = LlamaModel::load(c, source_of(missing), false, kernels());
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message.find("model.layers.1.mlp.up_proj.weight"), std::string::npos);
  weights["model.norm.weight"].first = {5};
  loaded = LlamaModel::load(c, source_of(weights), false, kernels());
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().message, "tensor model.norm.weight must have shape (24) by config.json, found (5)");
}

}  // namespace
}  // namespace hf::model
