#include "format/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "os/fake.h"

namespace hf::format {
namespace {

using testing::HasSubstr;

std::string sample() {
  const std::vector<std::pair<std::string, GgufNew>> metadata = {
      {"general.architecture", std::string("llama")},
      {"llama.block_count", uint32_t{2}},
      {"llama.rope.freq_base", 10000.0f},
      {"tokenizer.ggml.add_bos_token", true},
      {"tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab"}},
      {"tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 3}},
      {"rope.factors", std::vector<float>{1.0f, 2.5f}}};
  const std::string norm(32 * 4, 'n'), matrix(34 * 3, 'm');
  const std::vector<GgufTensorToWrite> tensors = {{"norm.weight", tensor::DType::f32, {32}, norm},
                                                  {"matrix.weight", tensor::DType::q8_0, {3, 32}, matrix}};
  os::FakeFs fs;
  auto file = fs.open("f", os::Open::create);
  EXPECT_TRUE(write_gguf(**file, metadata, tensors).ok());
  return *fs.read_file("f", 1 << 20);
}

Result<Gguf> open(std::string bytes) { return Gguf::open(os::Mapping::of_bytes(std::move(bytes))); }

TEST(GgufTest, WhatIsWrittenIsRead) {
  const auto file = open(sample());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*file->text("general.architecture"), "llama");
  EXPECT_EQ(*file->integer("llama.block_count"), 2);
  EXPECT_EQ(*file->integer("absent", 7), 7);
  EXPECT_EQ(*file->number("llama.rope.freq_base", 0), 10000.0);
  EXPECT_TRUE(*file->boolean("tokenizer.ggml.add_bos_token", false));
  EXPECT_THAT((*file->array("tokenizer.ggml.tokens"))->texts, testing::ElementsAre("a", "b", "ab"));
  EXPECT_THAT((*file->array("tokenizer.ggml.token_type"))->integers, testing::ElementsAre(1, 1, 3));
  EXPECT_THAT((*file->array("rope.factors"))->numbers, testing::ElementsAre(1.0, 2.5));
  EXPECT_THAT(file->integer("general.architecture").error().message,
              HasSubstr("'general.architecture' must be an integer"));
  EXPECT_THAT(file->text("absent").error().message, HasSubstr("'absent' must be present"));
  ASSERT_EQ(file->tensors().size(), 2u);
  const auto view = file->view(file->tensors().at("matrix.weight"));
  EXPECT_EQ(view.type, tensor::DType::q8_0);
  EXPECT_THAT(view.shape, testing::ElementsAre(3, 32));
  EXPECT_EQ(std::string(view.data, 34 * 3), std::string(34 * 3, 'm'));
}

TEST(GgufTest, ACutFileIsAnErrorWhereverItIsCut) {
  const std::string whole = sample();
  for (size_t n = 0; n + 32 < whole.size(); ++n) {  // the last tensor's padding may be missing
    const auto file = open(whole.substr(0, n));
    ASSERT_FALSE(file.ok()) << n;
    EXPECT_EQ(file.error().code, Code::corrupt) << n;
  }
}

// Each four and eight bytes of the head become each of the numbers that break readers: an error or a sound file.
TEST(GgufTest, NoNumberOfTheHeadBreaksIt) {
  const std::string whole = sample();
  int refused = 0;
  for (size_t at = 4; at + 8 <= whole.size() - 34 * 3 - 128; ++at) {
    for (const uint64_t value : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, uint64_t{1} << 31, uint64_t{1} << 63}) {
      for (const size_t width : {size_t{4}, size_t{8}}) {
        std::string bytes = whole;
        std::memcpy(bytes.data() + at, &value, width);
        const auto file = open(std::move(bytes));
        refused += file.ok() ? 0 : 1;
        if (!file.ok()) continue;
        for (const auto& [name, tensor] : file->tensors()) ASSERT_LE(tensor.begin + tensor.bytes, whole.size()) << name;
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos);
  return text.replace(at, from.size(), to);
}

TEST(GgufTest, WhatIsNotReadIsNamed) {
  std::string bytes = sample();
  bytes[4] = 2;
  EXPECT_EQ(open(bytes).error().message, "GGUF: version 2; only version 3 is read");
  bytes = sample();
  bytes[0] = 'g';
  EXPECT_THAT(open(bytes).error().message, HasSubstr("expected the letters GGUF"));
  EXPECT_THAT(open(replaced(sample(), "norm.weight", "norm.weighs")).ok(), true);
  EXPECT_THAT(open(replaced(sample(), "rope.factors", "llama.rope.f")).ok(), true);
  bytes = sample();
  const size_t type = bytes.find("matrix.weight") + 13 + 4 + 16;
  bytes[type] = 10;  // Q2_K
  EXPECT_THAT(open(bytes).error().message, HasSubstr("tensor 'matrix.weight' is of type 10; read are F32"));
  bytes = sample();
  bytes[type + 4] = 0;  // its data begins where the other's does
  EXPECT_THAT(open(bytes).error().message, HasSubstr("overlaps"));
  bytes = sample();
  bytes[type + 4] = 7;
  EXPECT_THAT(open(bytes).error().message, HasSubstr("not a multiple of 32"));
  bytes = sample();
  bytes[type + 6] = 7;
  EXPECT_THAT(open(bytes).error().message, HasSubstr("lies outside the file"));
  EXPECT_THAT(open(replaced(sample(), "llama.block_count", "general.alignment")).error().message,
              HasSubstr("'general.alignment' must be a power of two"));
}

}  // namespace
}  // namespace hf::format
