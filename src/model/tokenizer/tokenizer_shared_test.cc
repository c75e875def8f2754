// Published vocabularies with texts and the ids that their authors' programs give. Skipped where the folder is absent.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <unordered_map>

#include "base/text.h"
#include "model/tokenizer/tokenizer.h"
#include "os/fs.h"

namespace hf::model {
namespace {

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Just enough of GGUF to take string lists and numbers out of a file that is known to be sound.
class Gguf {
 public:
  explicit Gguf(std::string_view data) : data_(data) {
    at_ = 8;
    take<uint64_t>();  // tensors
    auto pairs = take<uint64_t>();
    for (uint64_t i = 0; i < pairs; i++) {
      std::string name(text());
      value(name, take<uint32_t>());
    }
  }
  std::map<std::string, std::vector<std::string_view>> lists;
  std::map<std::string, std::vector<int32_t>> numbers;

 private:
  template <class T>
  T take() {
    T v;
    std::memcpy(&v, data_.data() + at_, sizeof v);
    at_ += sizeof v;
    return v;
  }
  std::string_view text() {
    auto n = take<uint64_t>();
    at_ += n;
    return data_.substr(at_ - n, n);
  }
  void value(const std::string& name, uint32_t type) {
    static constexpr size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) {
      lists[name].push_back(text());
    } else if (type == 9) {
      auto inner = take<uint32_t>();
      auto count = take<uint64_t>();
      for (uint64_t i = 0; i < count; i++) value(name, inner);
    } else if (type == 5) {
      numbers[name].push_back(take<int32_t>());
    } else {
      at_ += kSizes[type];
    }
  }
  std::string_view data_;
  size_t at_ = 0;
};

// GPT-2's printable stand-ins for bytes: those that print stand for themselves, the others for U+0100 on, in order.
std::map<std::string, char> stand_ins() {
  std::map<std::string, char> out;
  int next = 256;
  for (int b = 0; b < 256; b++) {
    bool prints = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    int code = prints ? b : next++;
    std::string text;
    if (code < 128) {
      text = static_cast<char>(code);
    } else {
      text = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
    }
    out[text] = static_cast<char>(b);
  }
  return out;
}

std::string to_bytes(std::string_view text, const std::map<std::string, char>& table) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t n = static_cast<unsigned char>(text[i]) < 128 ? 1 : 2;
    auto found = table.find(std::string(text.substr(i, n)));
    if (found == table.end()) return std::string(text);  // an added token: as it is
    out += found->second;
    i += n;
  }
  return out;
}

format::TokenizerFile file_of(std::string_view gguf, std::string_view pattern, bool ignore_merges) {
  Gguf data(gguf);
  auto table = stand_ins();
  format::TokenizerFile file;
  std::unordered_map<std::string, int32_t> ids;
  const auto& types = data.numbers["tokenizer.ggml.token_type"];
  for (auto token : data.lists["tokenizer.ggml.tokens"]) {
    auto id = static_cast<int32_t>(file.vocabulary.size());
    bool normal = types[static_cast<size_t>(id)] == 1;
    file.vocabulary.push_back(normal ? to_bytes(token, table) : std::string(token));
    if (normal) ids.emplace(file.vocabulary.back(), id);
    if (!normal) file.added.push_back({id, std::string(token), true});
  }
  for (auto merge : data.lists["tokenizer.ggml.merges"]) {
    size_t blank = merge.find(' ', 1);
    std::string left = to_bytes(merge.substr(0, blank), table), right = to_bytes(merge.substr(blank + 1), table);
    file.merges.push_back({ids.at(left), ids.at(right), ids.at(left + right)});
  }
  file.patterns = {std::string(pattern)};
  file.ignore_merges = ignore_merges;
  return file;
}

struct Case {
  const char* name;
  std::string_view pattern;
  bool ignore_merges;
};

class Published : public testing::TestWithParam<Case> {};

TEST_P(Published, IdsAreTheAuthors) {
  const char* set = std::getenv("HOLDFAST_SHARED");
  std::string folder = (set ? std::string(set) : std::string(HF_SOURCE_DIR) + "/../shared") + "/vectors/tokenizers/";
  std::string path = folder + "ggml-vocab-" + GetParam().name + ".gguf";
  auto& fs = os::real_fs();
  if (!fs.exists(path)) GTEST_SKIP() << path << " is absent";
  auto gguf = fs.read_file(path, 64 << 20), in = fs.read_file(path + ".inp", 1 << 20),
       out = fs.read_file(path + ".out", 1 << 20);
  ASSERT_TRUE(gguf.ok() && in.ok() && out.ok());
  auto tokenizer = Tokenizer::make(file_of(*gguf, GetParam().pattern, GetParam().ignore_merges));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  constexpr std::string_view kBetween = "\n__ggml_vocab_test__\n";
  std::string_view rest = *in;
  size_t cases = 0;
  for (auto line : split(*out, '\n')) {
    size_t end = rest.find(kBetween);
    std::string_view text = rest.substr(0, end);
    if (end == std::string_view::npos) break;  // what stands after the last separator
    rest.remove_prefix(end + kBetween.size());
    std::vector<int32_t> expected;
    for (auto word : split(trim(line), ' ')) {
      if (!word.empty()) expected.push_back(static_cast<int32_t>(*parse_int(word)));
    }
    auto ids = tokenizer->encode(text);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(*ids, expected) << GetParam().name << ": " << text;
    cases++;
  }
  EXPECT_GT(cases, 40u);
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, Published,
                         testing::Values(Case{"gpt-2", format::kGpt2Pattern, false},
                                         Case{"llama-bpe", kLlama3Pattern, true}, Case{"qwen2", kQwen2Pattern, false}));

}  // namespace
}  // namespace hf::model
