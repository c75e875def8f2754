#include "format/config.h"

#include <gtest/gtest.h>

namespace hf::format {
namespace {

const std::string kSmall = R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":4096,
  "hidden_size":128,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":384,
  "max_position_embeddings":1024,"rms_norm_eps":1e-05,"rope_theta":10000.0,"tie_word_embeddings":true,
  "torch_dtype":"bfloat16","bos_token_id":1,"eos_token_id":[2,3],"use_cache":true,"attention_dropout":0.0})";

std::string with(const std::string& from, const std::string& to) {
  std::string out = kSmall;
  const size_t at = out.find(from);
  check(at != std::string::npos, "nothing to replace");
  return out.replace(at, from.size(), to);
}
std::string error_of(const std::string& json) {
  auto config = parse_config(json);
  return config.ok() ? "parsed" : config.error().message;
}

TEST(Config, ReadsAndWrites) {
  auto config = parse_config(kSmall);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->vocabulary, 4096);
  EXPECT_EQ(config->head_width, 32);
  EXPECT_EQ(config->kv_heads, 2);
  EXPECT_TRUE(config->tied);
  EXPECT_EQ(config->end_tokens, (std::vector<int64_t>{2, 3}));
  // 4096 * 128 + 4 * (128 * 128 * 2 + 128 * 64 * 2 + 3 * 128 * 384 + 2 * 128) + 128
  EXPECT_EQ(config->parameters(), 524288 + 4 * (32768 + 16384 + 147456 + 256) + 128);
  auto again = parse_config(write_config(*config));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(write_config(*again), write_config(*config));
}

TEST(Config, Llama3Rope) {
  auto config = parse_config(with(R"("use_cache":true)", R"("rope_scaling":{"rope_type":"llama3","factor":8.0,
    "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192})"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  ASSERT_TRUE(config->rope_scaling);
  EXPECT_EQ(config->rope_scaling->original_context, 8192);
  EXPECT_TRUE(parse_config(write_config(*config))->rope_scaling);
}

TEST(Config, WhatWeDoNotComputeIsRefusedByName) {
  EXPECT_NE(error_of(with("\"llama\"", "\"mistral\"")).find("model_type"), std::string::npos);
  EXPECT_NE(error_of(with("\"use_cache\":true", "\"hidden_act\":\"gelu\"")).find("hidden_act"), std::string::npos);
  EXPECT_NE(error_of(with("\"use_cache\":true", "\"attention_bias\":true")).find("attention_bias"), std::string::npos);
  EXPECT_NE(error_of(with("\"use_cache\":true", "\"rope_scaling\":{\"type\":\"yarn\"}")).find("rope_scaling"),
            std::string::npos);
  EXPECT_NE(error_of(with("\"use_cache\":true", "\"quantization_config\":{}")).find("quantization_config"),
            std::string::npos);
}

TEST(Config, WrongValuesAreNamed) {
  for (const char* wrong : {"0", "-1", "1e3", "\"128\"", "99999999999", "18446744073709551615", "[]", "null"})
    EXPECT_NE(error_of(with("\"hidden_size\":128", std::string("\"hidden_size\":") + wrong)).find("hidden_size"),
              std::string::npos)
        << wrong;
  EXPECT_NE(error_of(with("\"num_key_value_heads\":2", "\"num_key_value_heads\":3")).find("multiple"),
            std::string::npos);
  EXPECT_NE(error_of(with("\"rms_norm_eps\":1e-05", "\"rms_norm_eps\":-1")).find("rms_norm_eps"), std::string::npos);
  EXPECT_NE(error_of(with("[2,3]", "[2,-3]")).find("eos_token_id"), std::string::npos);
  EXPECT_NE(error_of("[]").find("object"), std::string::npos);
  EXPECT_NE(error_of(std::string(100'000, '[')).find("not JSON"), std::string::npos);
  for (size_t n = 0; n < kSmall.size(); n += 7) EXPECT_FALSE(parse_config(kSmall.substr(0, n)).ok());
}

}  // namespace
}  // namespace hf::format
