#include "engine/text_stream.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace hf::engine {
namespace {

// Bytes, then the tokens that are named.
model::Tokenizer tokenizer_with(const std::vector<std::string>& more) {
  format::TokenizerFile file;
  for (int b = 0; b < 256; ++b) file.vocabulary.push_back(std::string(1, static_cast<char>(b)));
  for (const std::string& text : more) {
    file.added.push_back({static_cast<int32_t>(file.vocabulary.size()), text, false});
    file.vocabulary.push_back(text);
  }
  auto tokenizer = model::Tokenizer::make(std::move(file));
  check(tokenizer.ok(), "tokenizer");
  return std::move(*tokenizer);
}

struct Given {
  std::vector<std::string> pieces;
  std::string text, stop;
};

Given give(const std::string& bytes, const std::vector<std::string>& stops) {
  const model::Tokenizer tokenizer = tokenizer_with({});
  TextStream stream(tokenizer, stops);
  Given out;
  for (const char c : bytes) {
    out.pieces.push_back(stream.push(static_cast<unsigned char>(c)));
    if (stream.stopped()) break;
  }
  if (!stream.stopped()) out.pieces.push_back(stream.finish());
  for (const std::string& piece : out.pieces) {
    EXPECT_TRUE(valid_utf8(piece)) << piece;
    out.text += piece;
  }
  if (stream.stopped()) out.stop = stream.stop_sequence();
  return out;
}

TEST(TextStream, GivesWholeCharacters) {
  EXPECT_EQ(give("gr\u00fc\u00df \u4f60 \U0001F600", {}).text, "gr\u00fc\u00df \u4f60 \U0001F600");
  EXPECT_EQ(give("a\xe4\xbd", {}).text, "a\ufffd\ufffd");
  EXPECT_EQ(give("a\xff"
                 "b",
                 {})
                .text,
            "a\ufffd"
            "b");
}

TEST(TextStream, StopsAcrossTokens) {
  const Given given = give("hello END world", {"END"});
  EXPECT_EQ(given.text, "hello ");
  EXPECT_EQ(given.stop, "END");
  EXPECT_EQ(given.pieces[4], "o");  // nothing is held back that begins no stop string
  EXPECT_EQ(give("E EN END", {"END"}).text, "E EN ");
  EXPECT_EQ(give("aab", {"ab"}).text, "a");
  EXPECT_EQ(give("E EN", {"END"}).text, "E EN");  // what was held back comes at the end
  EXPECT_EQ(give("END", {"END"}).text, "");
  EXPECT_EQ(give("stop at \u4f60\u597d!", {"\u597d"}).text, "stop at \u4f60");
}

TEST(TextStream, TheEarliestOfSeveralWins) {
  EXPECT_EQ(give("abcd", {"cd", "abc"}).stop, "abc");
  EXPECT_EQ(give("xyz", {"yz", "y"}).stop, "y");
  EXPECT_EQ(give("xyz", {"yz", "xyz"}).stop, "xyz");
}

TEST(TextStream, ATokenMayHoldMoreThanTheStop) {
  const model::Tokenizer tokenizer = tokenizer_with({"one\n\ntwo"});
  TextStream stream(tokenizer, {"\n\n"});
  EXPECT_EQ(stream.push(256), "one");
  EXPECT_TRUE(stream.stopped());
}

// However it is cut, the text is what stands before the first stop string.
TEST(TextStream, AgreesWithTheWholeText) {
  const std::vector<std::string> stops = {"aba", "bb", "aab"};
  for (unsigned n = 0; n < 3u * 3 * 3 * 3 * 3 * 3 * 3; ++n) {
    std::string text;
    for (unsigned rest = n, i = 0; i < 7; ++i, rest /= 3) text += "abc"[rest % 3];
    size_t cut = text.size();  // streaming: the stop string that is complete first, from where it begins
    for (size_t end = 1; end <= text.size() && cut == text.size(); ++end)
      for (const std::string& stop : stops) cut = std::min(cut, std::min(text.substr(0, end).find(stop), text.size()));
    EXPECT_EQ(give(text, stops).text, text.substr(0, cut)) << text;
  }
}

}  // namespace
}  // namespace hf::engine
