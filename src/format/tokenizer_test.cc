#include "format/tokenizer.h"

#include <gtest/gtest.h>

#include "format/pattern.h"

namespace hf::format {
namespace {

TokenizerFile some_file() {
  TokenizerFile file;
  file.vocabulary = {"<|end|>", "<|user|>"};
  for (int b = 0; b < 256; ++b) file.vocabulary.push_back(std::string(1, static_cast<char>(b)));
  file.vocabulary.push_back(" t");
  file.vocabulary.push_back(" th");
  file.merges = {{2 + ' ', 2 + 't', 258}, {258, 2 + 'h', 259}};
  file.added = {{0, "<|end|>", true}, {1, "<|user|>", true}};
  file.patterns = {std::string(kGpt2Pattern)};
  return file;
}

void expect_same(const TokenizerFile& a, const TokenizerFile& b) {
  EXPECT_EQ(a.vocabulary, b.vocabulary);
  EXPECT_EQ(a.merges, b.merges);
  EXPECT_EQ(a.added, b.added);
  EXPECT_EQ(a.patterns, b.patterns);
  EXPECT_EQ(a.add_prefix_space, b.add_prefix_space);
  EXPECT_EQ(a.ignore_merges, b.ignore_merges);
  EXPECT_EQ(a.begin_token, b.begin_token);
}

TEST(TokenizerFile, ReadsWhatItWrites) {
  TokenizerFile file = some_file();
  auto back = parse_tokenizer(write_tokenizer(file));
  ASSERT_TRUE(back.ok()) << back.error().message;
  expect_same(file, *back);
  file.patterns = {"\\p{N}{1,3}", std::string(kGpt2Pattern)};
  file.ignore_merges = true;
  file.begin_token = 0;
  back = parse_tokenizer(write_tokenizer(file));
  ASSERT_TRUE(back.ok()) << back.error().message;
  expect_same(file, *back);
}

TEST(TokenizerFile, WritesTheByteAlphabet) {
  const std::string json = write_tokenizer(some_file());
  EXPECT_NE(json.find("\"\u0120th\":259"), std::string::npos);  // a blank is U+0120
  EXPECT_NE(json.find("\"\u0120 t\""), std::string::npos);      // the merge
  EXPECT_NE(json.find("\"\u0100\":2"), std::string::npos);      // byte 0 is U+0100
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string json = write_tokenizer(some_file());
  const size_t at = json.find(from);
  check(at != std::string::npos, "nothing to replace");
  return json.replace(at, from.size(), to);
}
std::string error_of(const std::string& json) {
  auto file = parse_tokenizer(json);
  return file.ok() ? "parsed" : file.error().message;
}

TEST(TokenizerFile, Llama3Shape) {
  // Merges as pairs, patterns in a Sequence, a post-processor that puts a token first, and added tokens that are not
  // in the vocabulary but after it.
  std::string json = replaced("\"merges\":[\"\u0120 t\",", "\"merges\":[[\"\u0120\",\"t\"],");
  const size_t at = json.find("{\"id\":0,");
  json.insert(at, R"({"id":260,"content":"<|begin|>","special":true},)");
  json.replace(json.find("\"post_processor\":{"), 17, R"("post_processor":{"type":"Sequence","processors":[
    {"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true},{"type":"TemplateProcessing",
    "single":[{"SpecialToken":{"id":"<|begin|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]}]},"x":)");
  auto file = parse_tokenizer(json);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->vocabulary.size(), 261u);
  EXPECT_EQ(file->vocabulary[260], "<|begin|>");
  EXPECT_EQ(file->begin_token, 260);
  EXPECT_EQ(file->merges[0].merged, 258);
}

TEST(TokenizerFile, WhatWouldTokenizeOtherwiseIsRefusedByName) {
  EXPECT_NE(error_of(replaced("\"type\":\"BPE\"", "\"type\":\"Unigram\"")).find("BPE"), std::string::npos);
  EXPECT_NE(error_of(replaced("\"byte_fallback\":false", "\"byte_fallback\":true")).find("byte_fallback"),
            std::string::npos);
  EXPECT_NE(error_of(replaced("\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}")).find("normalizer"),
            std::string::npos);
  EXPECT_NE(error_of(replaced("\"lstrip\":false", "\"lstrip\":true")).find("lstrip"), std::string::npos);
  EXPECT_NE(error_of(replaced("\"type\":\"ByteLevel\"", "\"type\":\"Metaspace\"")).find("pre_tokenizer"),
            std::string::npos);
}

TEST(TokenizerFile, WrongIdsAndMergesAreRefused) {
  EXPECT_NE(error_of(replaced("\u0120th\":259", "\u0120th\":258")).find("twice"), std::string::npos);
  EXPECT_NE(error_of(replaced("\u0120th\":259", "\u0120th\":300")).find("below"), std::string::npos);
  EXPECT_NE(error_of(replaced("\u0120th\":259", "\u0120th\":-1")).find("below"), std::string::npos);
  EXPECT_NE(error_of(replaced("\u0120th\":259", "\u0120th\":260")).find("has id 259"), std::string::npos);
  EXPECT_NE(error_of(replaced("\"\u0120 t\"", "\"\u0120 zz\"")).find("merges"), std::string::npos);
  EXPECT_NE(error_of(replaced("\"\u0120 t\"", "\"\"")).find("merges"), std::string::npos);
  EXPECT_NE(error_of(replaced("\"a\":99", "\"\u4e00\":99")).find("alphabet"), std::string::npos);
  EXPECT_NE(error_of(replaced("\"a\":99", "\"aa\":99")).find("byte 97"), std::string::npos);
  EXPECT_NE(error_of(replaced("\"content\":\"<|end|>\"", "\"content\":\"<|user|>\"")).find("twice"), std::string::npos);
}

TEST(TokenizerFile, CutAnywhereIsRefused) {
  const std::string json = write_tokenizer(some_file());
  for (size_t n = 0; n + 2 < json.size(); n += 13) EXPECT_FALSE(parse_tokenizer(json.substr(0, n)).ok());
  EXPECT_FALSE(parse_tokenizer(std::string(100'000, '[')).ok());
}

std::vector<std::string> split(std::string_view pattern, std::string_view text) {
  auto compiled = Pattern::compile(pattern);
  check(compiled.ok(), "compile");
  auto pieces = compiled->split(text);
  std::vector<std::string> out;
  if (!pieces.ok()) return {"failed: " + pieces.error().message};
  for (const auto& [begin, end] : *pieces) out.emplace_back(text.substr(begin, end - begin));
  return out;
}
using Pieces = std::vector<std::string>;

TEST(Pattern, SplitsAsGpt2) {
  EXPECT_EQ(split(kGpt2Pattern, "It's  10 o'clock,\nnow"),
            (Pieces{"It", "'s", " ", " 10", " o", "'", "clock", ",", "\n", "now"}));
  EXPECT_EQ(split(kGpt2Pattern, "gr\u00fc\u00df dich \u4f60\u597d"),
            (Pieces{"gr\u00fc\u00df", " dich", " \u4f60\u597d"}));
  EXPECT_EQ(split(kGpt2Pattern, ""), Pieces{});
  EXPECT_EQ(split("\\p{N}", "a12b"), (Pieces{"a", "1", "2", "b"}));
}

TEST(Pattern, BytesThatAreNotUtf8ArePieces) {
  std::string joined;
  for (const auto& piece : split(kGpt2Pattern, "ab\xff\xfe cd\xe4\xbd")) joined += piece;
  EXPECT_EQ(joined, "ab\xff\xfe cd\xe4\xbd");
}

TEST(Pattern, HostilePatternsAreBounded) {
  EXPECT_FALSE(Pattern::compile("(").ok());
  EXPECT_FALSE(Pattern::compile("").ok());
  EXPECT_FALSE(Pattern::compile(std::string(kMaxPatternBytes + 1, 'a')).ok());
  EXPECT_FALSE(Pattern::compile(std::string(100, '(') + "a" + std::string(100, ')')).ok());
  const Pieces pieces = split("(a+)+$", std::string(200, 'a') + "b");
  ASSERT_FALSE(pieces.empty());  // in bounded steps: either split or refused
}

}  // namespace
}  // namespace hf::format
