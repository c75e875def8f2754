// A model folder written as a GGUF file is the same model: its config, its tokenizer, and what it computes.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/gguf_model.h"

namespace hf::engine {
namespace {

std::string exported(std::vector<ModelFile> files, std::optional<tensor::DType> type = {}) {
  os::FakeFs fs;
  auto file = std::move(*fs.open("f", os::Open::create));
  const Status written = write_gguf_of("m", std::move(files), type, *file);
  EXPECT_TRUE(written.ok()) << written.error().message;
  return *fs.read_file("f", 1 << 28);
}

Result<std::shared_ptr<const LoadedModel>> load(const std::string& bytes) {
  std::vector<ModelFile> files;
  files.push_back({"model.gguf", os::Mapping::of_bytes(bytes)});
  return load_model("digest", std::move(files), **tensor::choose_kernels("", os::cpu_info()));
}

std::vector<float> logits_of(const LoadedModel& m) {
  tensor::Pool pool(1);
  tensor::Floats page(static_cast<size_t>(model::page_floats(m.weights->config)));
  std::vector<float*> pages{page.data()};
  const model::Sequence sequence{pages};
  std::vector<model::TokenRow> rows;
  for (int32_t i = 0; i < 12; ++i) rows.push_back({7 * i, i, 0, true});
  std::vector<float> out(rows.size() * static_cast<size_t>(m.weights->config.vocabulary));
  model::Workspace workspace;
  forward_tokens(*m.weights, pool, rows, {&sequence, 1}, workspace, out);
  return out;
}

TEST(GgufExport, ComputesTheSameBits) {
  for (const bool bf16 : {false, true}) {
    TestModelOptions o;
    o.bf16 = bf16;
    const auto want = load_model("digest", test_model(o), **tensor::choose_kernels("", os::cpu_info()));
    const auto got = load(exported(test_model(o)));
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(logits_of(**got), logits_of(**want));
    EXPECT_EQ((*got)->chat, (*want)->chat);
    EXPECT_EQ((*got)->card.architecture, (*want)->card.architecture);
  }
}

TEST(GgufExport, TokensStayTheSame) {
  const auto want = model::Tokenizer::make(test_tokenizer());
  const auto got = load(exported(test_model()));
  ASSERT_TRUE(want.ok() && got.ok());
  for (const char* text : {R"({"order":"12","a":3})", "It's  42 \xc3\xa9\n\n x", "\x01\x7f ab12cd"})
    EXPECT_EQ(*(*got)->tokenizer.encode(text), *want->encode(text)) << text;
}

TEST(GgufExport, AWidthThatBlocksDoNotDivideKeepsItsType) {
  const std::string bytes = exported(test_model(), tensor::DType::q8_0);
  const auto file = format::Gguf::open(os::Mapping::of_bytes(bytes));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->tensors().at("blk.0.ffn_down.weight").type, tensor::DType::f32);  // 48 inputs
  EXPECT_EQ(file->tensors().at("blk.0.ffn_up.weight").type, tensor::DType::q8_0);   // 32
  EXPECT_TRUE(load(bytes).ok());
}

// Random weights of the shapes of gguf_model_config(), by Hugging Face's names.
struct Weights {
  explicit Weights(const model::LlamaConfig& c) {
    std::mt19937 dice(3);
    for (const auto& spec : model::tensor_specs(c)) {
      auto& values = all[spec.name];
      int64_t n = 1;
      for (int64_t d : spec.shape) n *= d;
      for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<float>(dice() % 20001) / 1e4f - 1);
      shapes[spec.name] = spec.shape;
    }
  }
  Result<tensor::View> operator()(const std::string& name) const {
    return tensor::View{tensor::DType::f32, shapes.at(name), reinterpret_cast<const char*>(all.at(name).data())};
  }
  std::map<std::string, std::vector<float>> all;
  std::map<std::string, std::vector<int64_t>> shapes;
};

format::Gguf written(const model::ModelConfig& config, const Weights& weights, tensor::DType type) {
  os::FakeFs fs;
  auto file = std::move(*fs.open("f", os::Open::create));
  const Status done = model::write_model_gguf(
      "m", config, test_tokenizer(), [&](const std::string& name) { return weights(name); }, type, *file);
  EXPECT_TRUE(done.ok()) << done.error().message;
  auto opened = format::Gguf::open(os::Mapping::of_bytes(*fs.read_file("f", 1 << 28)));
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return std::move(*opened);
}

// How far a number may be from its original: half a step of its type, and what rounding Q8_0's scale adds.
float tolerance(tensor::DType type, const float* block, float value) {
  if (type == tensor::DType::f32) return 0;
  if (type == tensor::DType::bf16) return std::fabs(value) / 256;
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(block[i]));
  return largest / 127 * 0.5001f + largest / 2048;
}

TEST(GgufExport, ReadingGivesBackConfigAndWeights) {
  for (const char* architecture : {"llama", "qwen3"}) {
    for (const auto type : {tensor::DType::f32, tensor::DType::bf16, tensor::DType::q8_0}) {
      model::ModelConfig config;
      config.llama = gguf_model_config({architecture, type, false, 1});
      config.architecture = config.llama.qk_norm ? "Qwen3ForCausalLM" : "LlamaForCausalLM";
      config.eos_tokens = {259, 258, 257};
      config.llama.rope_scaling.factor = config.llama.qk_norm ? 1 : 8;
      const Weights weights(config.llama);
      const format::Gguf file = written(config, weights, type);
      const auto read = model::read_gguf_config(file);
      ASSERT_TRUE(read.ok()) << read.error().message;
      EXPECT_EQ(read->architecture, config.architecture);
      EXPECT_EQ(read->eos_tokens, config.eos_tokens);
      EXPECT_EQ(read->llama.parameters(), config.llama.parameters());
      EXPECT_EQ(read->llama.context, config.llama.context);
      EXPECT_EQ(read->llama.rope_theta, config.llama.rope_theta);
      EXPECT_EQ(read->llama.norm_epsilon, config.llama.norm_epsilon);
      EXPECT_EQ(read->llama.rope_scaling.divisors, model::rope_divisors(config.llama));
      EXPECT_EQ(read->llama.rope_scaling.divisors.size(), config.llama.qk_norm ? 0u : 32u);
      for (const auto& [name, want] : weights.all) {
        const auto view = model::gguf_view(file, *read, name);
        ASSERT_TRUE(view.ok()) << view.error().message;
        ASSERT_EQ(view->shape, weights.shapes.at(name));
        const int64_t width = view->shape.back();
        std::vector<float> row(static_cast<size_t>(width));
        for (int64_t r = 0; r < view->elements() / width; ++r) {
          to_floats(*view, stored_row(*view, r) * width, width, row.data());
          for (size_t i = 0; i < row.size(); ++i) {
            const size_t at = static_cast<size_t>(r * width) + i;
            ASSERT_NEAR(row[i], want[at], tolerance(view->type, &want[at / 32 * 32], want[at])) << name << " " << at;
          }
        }
      }
    }
  }
}

TEST(GgufExport, LlamasQueriesLieInNeighbouringPairs) {
  model::ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.llama = gguf_model_config({"llama", tensor::DType::f32, true, 1});
  const Weights weights(config.llama);
  const format::Gguf file = written(config, weights, tensor::DType::f32);
  const tensor::View raw = file.view(file.tensors().at("blk.1.attn_q.weight"));
  const auto& want = weights.all.at("model.layers.1.self_attn.q_proj.weight");
  // Row 2 of the first head is the second pair's first half: row 1 of Hugging Face's; row 3 its other half, row 33.
  float value = 0;
  to_floats(raw, 2 * 256 + 5, 1, &value);
  EXPECT_EQ(value, want[1 * 256 + 5]);
  to_floats(raw, 3 * 256 + 5, 1, &value);
  EXPECT_EQ(value, want[33 * 256 + 5]);
}

TEST(F16, RoundsToTheNearestEven) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const float value = tensor::float_of_f16(h);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(tensor::float_of_f16(tensor::f16_of(value))));
      continue;
    }
    ASSERT_EQ(tensor::f16_of(value), h);
    const float next = tensor::float_of_f16(static_cast<uint16_t>(h + 1));
    if (!std::isfinite(next) || (h & 0x7fffu) == 0x7fffu) continue;
    const float middle = value + (next - value) / 2;  // exact
    ASSERT_EQ(tensor::f16_of(middle), (h & 1u) != 0 ? h + 1 : h) << bits;
    ASSERT_EQ(tensor::f16_of(std::nextafter(middle, next)), h + 1) << bits;
  }
  EXPECT_EQ(tensor::f16_of(65519.9f), 0x7bff);
  EXPECT_EQ(tensor::f16_of(65520.0f), 0x7c00);
}

}  // namespace
}  // namespace hf::engine
