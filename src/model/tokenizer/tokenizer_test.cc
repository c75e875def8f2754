#include "model/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "model/tokenizer/merger.h"
#include "model/tokenizer/splitter.h"
#include "model/tokenizer/trainer.h"

namespace hf::model {
namespace {

constexpr std::string_view kText =
    "The printer won't print. The printer is new, the order is 48213, and the printer's lamp is red. "
    "I'll call the office; they've got the same printer! {\"category\":\"repair\",\"product\":\"printer\"}";

format::TokenizerFile learn(std::string_view text, int32_t vocabulary, std::vector<std::string> special = {"<|end|>"},
                            int digits = 1) {
  auto trainer = TokenizerTrainer::make({.vocabulary = vocabulary, .special = std::move(special), .digits = digits});
  EXPECT_TRUE(trainer.ok());
  EXPECT_TRUE(trainer->add(text).ok());
  auto file = trainer->train();
  EXPECT_TRUE(file.ok());
  return std::move(*file);
}

// What the words of kind say, straight from the definition: all pieces again after each merge.
format::TokenizerFile learn_slowly(std::string_view text, size_t vocabulary) {
  auto splitter = Splitter::make({default_pattern(1)});
  std::map<std::string, int64_t> counts;
  auto ranges = splitter->split(text);
  for (auto [begin, end] : *ranges) counts[std::string(text.substr(begin, end - begin))]++;
  std::vector<std::pair<std::vector<int32_t>, int64_t>> pieces;
  for (const auto& [piece, count] : counts) {
    pieces.emplace_back();
    for (char c : piece) pieces.back().first.push_back(static_cast<unsigned char>(c));
    pieces.back().second = count;
  }
  format::TokenizerFile file;
  for (int b = 0; b < 256; b++) file.vocabulary.emplace_back(1, static_cast<char>(b));
  while (file.vocabulary.size() < vocabulary) {
    std::map<std::pair<int32_t, int32_t>, int64_t> pairs;  // ordered: the first of the best counts wins
    for (const auto& [ids, count] : pieces) {
      for (size_t i = 0; i + 1 < ids.size(); i++) pairs[{ids[i], ids[i + 1]}] += count;
    }
    auto best = pairs.end();
    for (auto it = pairs.begin(); it != pairs.end(); ++it) {
      if (it->second >= 2 && (best == pairs.end() || it->second > best->second)) best = it;
    }
    if (best == pairs.end()) break;
    auto [left, right] = best->first;
    auto merged = static_cast<int32_t>(file.vocabulary.size());
    file.vocabulary.push_back(file.vocabulary[static_cast<size_t>(left)] + file.vocabulary[static_cast<size_t>(right)]);
    file.merges.push_back({left, right, merged});
    for (auto& [ids, count] : pieces) {
      std::vector<int32_t> out;
      for (size_t i = 0; i < ids.size(); i++) {
        bool here = i + 1 < ids.size() && ids[i] == left && ids[i + 1] == right;
        out.push_back(here ? merged : ids[i]);
        i += here;
      }
      ids = out;
    }
  }
  return file;
}

std::string random_text(std::mt19937& random, std::string_view alphabet, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; i++) text += alphabet[random() % alphabet.size()];
  return text;
}

TEST(Splitter, KnowsItsOwnPatternByHeartForAscii) {
  std::mt19937 random(1);
  for (int digits : {1, 2, 3}) {
    auto pattern = format::Pattern::compile(default_pattern(digits));
    ASSERT_TRUE(pattern.ok());
    for (int i = 0; i < 3000; i++) {
      std::string text = random_text(random, "ab sdmtlvre''\"{}:,.!_-  \t\n\r0123456789XZ\x01\x7f", random() % 40);
      std::vector<Range> ours;
      split_ascii(text, digits, ours);
      auto theirs = pattern->split(text);
      ASSERT_TRUE(theirs.ok());
      EXPECT_EQ(ours, *theirs) << text;
    }
  }
}

TEST(Splitter, PiecesOfATicketAndItsJson) {
  auto splitter = Splitter::make({default_pattern(1)});
  ASSERT_TRUE(splitter.ok());
  std::string text = "it won't, {\"order\":\"48\"}{\"a_b\":\"c\",\"n\":5}";
  std::vector<std::string> pieces;
  auto ranges = splitter->split(text);
  for (auto [b, e] : *ranges) pieces.push_back(text.substr(b, e - b));
  EXPECT_EQ(pieces, (std::vector<std::string>{"it", " won", "'t", ",", " {\"", "order", "\":\"", "4", "8", "\"}{\"",
                                              "a", "_", "b", "\":\"", "c", "\",\"n\":", "5", "}"}));
}

TEST(Trainer, AgreesWithTheSlowDefinition) {
  std::mt19937 random(2);
  std::vector<std::string> texts = {std::string(kText) + " " + std::string(kText), "aaaa aaaa aaa aa a aaaaaaa aaaa",
                                    "abababab abab bababa ab ab"};
  for (int i = 0; i < 20; i++) texts.push_back(random_text(random, "aab bc ", 300));
  for (const auto& text : texts) {
    auto fast = learn(text, 300, {});
    auto slow = learn_slowly(text, 300);
    EXPECT_EQ(fast.merges, slow.merges) << text;
    EXPECT_EQ(fast.vocabulary, slow.vocabulary) << text;
  }
}

TEST(Trainer, DoesNotDependOnTheOrderOfTexts) {
  auto a = TokenizerTrainer::make({.vocabulary = 320}), b = TokenizerTrainer::make({.vocabulary = 320});
  std::vector<std::string> texts = {"the order is late", "the printer is late", "where is the order?",
                                    std::string(kText)};
  for (size_t i = 0; i < texts.size(); i++) {
    ASSERT_TRUE(a->add(texts[i]).ok());
    ASSERT_TRUE(b->add(texts[texts.size() - 1 - i]).ok());
  }
  auto x = a->train(), y = b->train();
  EXPECT_EQ(x->vocabulary, y->vocabulary);
  EXPECT_EQ(x->merges, y->merges);
}

TEST(Trainer, RefusesOptionsByName) {
  EXPECT_EQ(TokenizerTrainer::make({.vocabulary = 100}).error().code, Code::invalid);
  EXPECT_EQ(TokenizerTrainer::make({.digits = 0}).error().code, Code::invalid);
  EXPECT_EQ(TokenizerTrainer::make({.special = {"<|a|>", "<|a|>"}}).error().code, Code::invalid);
  EXPECT_EQ(TokenizerTrainer::make({.special = {""}}).error().code, Code::invalid);
}

TEST(Trainer, AnEmptyTextGivesTheBytes) {
  auto file = learn("", 4096);
  EXPECT_EQ(file.vocabulary.size(), 257u);
  auto tokenizer = Tokenizer::make(file);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(*tokenizer->decode(*tokenizer->encode("caf\xc3\xa9")), "caf\xc3\xa9");
}

TEST(Tokenizer, AnyBytesComeBack) {
  for (int digits : {1, 3}) {
    auto tokenizer = Tokenizer::make(learn(kText, 400, {"<|end|>"}, digits));
    ASSERT_TRUE(tokenizer.ok());
    std::mt19937 random(3);
    for (int i = 0; i < 2000; i++) {
      std::string text = i % 2 ? random_text(random, kText, random() % 60) : "";
      for (size_t n = random() % 40; i % 2 == 0 && n > 0; n--) text += static_cast<char>(random());
      auto ids = tokenizer->encode(text);
      ASSERT_TRUE(ids.ok());
      EXPECT_EQ(*tokenizer->decode(*ids), text);
    }
  }
}

TEST(Tokenizer, DigitsStandAloneWhateverStandsBeforeThem) {
  auto tokenizer = Tokenizer::make(learn("order 4821 order 4821 \"4821\" \"4821\" order 4821", 400));
  ASSERT_TRUE(tokenizer.ok());
  auto in_text = *tokenizer->encode(" 4821"), in_json = *tokenizer->encode("\"4821");
  ASSERT_GE(in_text.size(), 4u);
  EXPECT_EQ(std::vector<int32_t>(in_text.end() - 4, in_text.end()),
            std::vector<int32_t>(in_json.end() - 4, in_json.end()));
}

TEST(Tokenizer, SpecialTokensOnlyWhereAsked) {
  auto tokenizer = Tokenizer::make(learn(kText, 400, {"<|user|>", "<|end|>"}));
  ASSERT_TRUE(tokenizer.ok());
  int32_t end = tokenizer->special_id("<|end|>");
  ASSERT_EQ(end, tokenizer->size() - 1);
  EXPECT_TRUE(tokenizer->special(end));
  EXPECT_EQ(tokenizer->special_id("<|none|>"), -1);
  auto asked = *tokenizer->encode_with_special("a<|end|>b<|user|>");
  EXPECT_EQ(asked, (std::vector<int32_t>{'a', end, 'b', end - 1}));
  EXPECT_EQ(*tokenizer->decode(asked), "ab");
  auto plain = *tokenizer->encode("a<|end|>b");
  EXPECT_EQ(std::count(plain.begin(), plain.end(), end), 0);
  EXPECT_EQ(*tokenizer->decode(plain), "a<|end|>b");
}

TEST(Tokenizer, LongAndShortPiecesMergeAlike) {
  std::mt19937 random(4);
  auto file = learn(random_text(random, "aaab ", 4000), 340, {});
  Merger merger(file.merges);
  for (int i = 0; i < 300; i++) {
    std::string text = random_text(random, "aaab", 25 + random() % 200);
    std::vector<int32_t> ids(text.begin(), text.end()), slow = ids;
    merger.apply(ids);
    // The definition, without a heap.
    for (bool again = true; again;) {
      again = false;
      for (const auto& m : file.merges) {
        size_t at = 0;
        while (at + 1 < slow.size() && !(slow[at] == m.left && slow[at + 1] == m.right)) at++;
        if (at + 1 >= slow.size()) continue;
        slow[at] = m.merged;
        slow.erase(slow.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        again = true;
        break;
      }
    }
    EXPECT_EQ(ids, slow) << text;
  }
}

TEST(Tokenizer, AMegabyteWithoutABlankIsNoTrouble) {
  auto tokenizer = Tokenizer::make(learn("aaaaaaaa aaaaaaaa aaaa aaaa bb", 300));
  ASSERT_TRUE(tokenizer.ok());
  std::string text(1 << 20, 'a');
  auto ids = tokenizer->encode(text);
  ASSERT_TRUE(ids.ok());
  EXPECT_LE(ids->size(), text.size() / 4);
  EXPECT_EQ(*tokenizer->decode(*ids), text);
}

TEST(Tokenizer, RefusesWhatDoesNotFit) {
  auto good = learn(kText, 300);
  auto file = good;
  file.merges[0].merged = 100000;
  EXPECT_EQ(Tokenizer::make(file).error().code, Code::invalid);
  file = good;
  std::swap(file.merges[0].left, file.merges[0].right);
  EXPECT_EQ(Tokenizer::make(file).error().code, Code::invalid);
  file = good;
  file.patterns = {"(unclosed"};
  EXPECT_EQ(Tokenizer::make(file).error().code, Code::invalid);
  file = good;
  file.added[0].id = -1;
  EXPECT_EQ(Tokenizer::make(file).error().code, Code::invalid);
  file = good;
  file.vocabulary['a'] = "zz";
  EXPECT_EQ(Tokenizer::make(file).error().code, Code::invalid);
  auto tokenizer = Tokenizer::make(good);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{-1}).error().code, Code::invalid);
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{tokenizer->size()}).error().code, Code::invalid);
}

TEST(StreamDecoder, GivesWholeCharacters) {
  auto tokenizer = Tokenizer::make(learn("", 257));
  ASSERT_TRUE(tokenizer.ok());
  std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x99z";
  StreamDecoder decoder(*tokenizer);
  std::vector<std::string> pieces;
  auto ids = tokenizer->encode(text);
  for (int32_t id : *ids) {
    if (auto piece = decoder.push(id); !piece.empty()) pieces.push_back(piece);
  }
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x99", "z"}));
  EXPECT_EQ(decoder.finish(), "");
  EXPECT_EQ(decoder.push(0xe2), "");
  EXPECT_EQ(decoder.push(256), "");  // special
  EXPECT_EQ(decoder.finish(), "\xef\xbf\xbd");
  EXPECT_EQ(decoder.push(0xff), "\xef\xbf\xbd");
  EXPECT_EQ(to_utf8("a\xff\xc3\xa9\xe2\x82"), "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace hf::model
