#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/text.h"
#include "model/tokenizer/merger.h"
#include "model/tokenizer/splitter.h"

namespace hf::model {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

std::string quoted_id(int32_t id) { return "token " + std::to_string(id); }

Status check_file(const format::TokenizerFile& file) {
  auto size = static_cast<int32_t>(file.vocabulary.size());
  auto inside = [&](int32_t id) { return id >= 0 && id < size; };
  for (size_t i = 0; i < file.merges.size(); i++) {
    const auto& merge = file.merges[i];
    if (!inside(merge.left) || !inside(merge.right) || !inside(merge.merged)) {
      return fail(Code::invalid,
                  "merge " + std::to_string(i) + " names an id outside [0, " + std::to_string(size) + ")");
    }
    const auto& vocabulary = file.vocabulary;
    auto at = [&](int32_t id) -> const std::string& { return vocabulary[static_cast<size_t>(id)]; };
    if (at(merge.left) + at(merge.right) != at(merge.merged)) {
      return fail(Code::invalid, "merge " + std::to_string(i) + ": the bytes of its parts are not those of " +
                                     quoted_id(merge.merged));
    }
  }
  for (const auto& added : file.added) {
    if (!inside(added.id) || added.text.empty()) {
      return fail(Code::invalid, "added " + quoted_id(added.id) + ": expected an id inside [0, " +
                                     std::to_string(size) + ") and a text");
    }
  }
  return {};
}

}  // namespace

struct Tokenizer::State {
  format::TokenizerFile file;
  Splitter splitter;
  Merger merger;
  std::array<int32_t, 256> byte_ids;
  std::vector<char> special;                            // by id
  std::unordered_map<std::string_view, int32_t> whole;  // into file.vocabulary; only if ignore_merges
  std::array<std::vector<size_t>, 256> added_by_byte;   // indices into file.added by first byte, longest text first

  State(format::TokenizerFile f, Splitter s) : file(std::move(f)), splitter(std::move(s)), merger(file.merges) {
    byte_ids.fill(-1);
    special.resize(file.vocabulary.size(), 0);
  }
  const format::AddedToken* added_at(std::string_view text, size_t at, bool with_special) const;
  Status append_plain(std::string_view text, std::vector<int32_t>& out) const;
  Result<std::vector<int32_t>> encode(std::string_view text, bool with_special) const;
};

Tokenizer::Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::make(format::TokenizerFile file) {
  if (file.vocabulary.size() > format::kMaxVocabulary) {
    return fail(Code::invalid, "a vocabulary of " + std::to_string(file.vocabulary.size()) + " tokens: at most " +
                                   std::to_string(format::kMaxVocabulary));
  }
  TRY(check_file(file));
  auto splitter = TRY(Splitter::make(file.patterns));
  Tokenizer tokenizer;
  tokenizer.state_ = std::make_unique<State>(std::move(file), std::move(splitter));
  State& state = *tokenizer.state_;
  std::vector<char> is_added(state.file.vocabulary.size(), 0);
  for (size_t i = 0; i < state.file.added.size(); i++) {
    const auto& added = state.file.added[i];
    is_added[static_cast<size_t>(added.id)] = 1;
    state.special[static_cast<size_t>(added.id)] = added.special;
    state.added_by_byte[static_cast<unsigned char>(added.text[0])].push_back(i);
  }
  for (auto& indices : state.added_by_byte) {
    std::stable_sort(indices.begin(), indices.end(), [&](size_t a, size_t b) {
      return state.file.added[a].text.size() > state.file.added[b].text.size();
    });
  }
  for (size_t id = 0; id < state.file.vocabulary.size(); id++) {
    const std::string& bytes = state.file.vocabulary[id];
    if (is_added[id]) continue;
    if (bytes.size() == 1) state.byte_ids[static_cast<unsigned char>(bytes[0])] = static_cast<int32_t>(id);
    if (state.file.ignore_merges) state.whole.emplace(bytes, static_cast<int32_t>(id));
  }
  // Some published vocabularies lack the bytes that no UTF-8 text has (C0, C1, F5 to FF): those alone may be missing.
  for (size_t byte = 0; byte < 256; byte++) {
    bool in_utf8 = byte < 0xc0 || (byte >= 0xc2 && byte < 0xf5);
    if (in_utf8 && state.byte_ids[byte] < 0) {
      return fail(Code::invalid, "the vocabulary has no token for the byte " + std::to_string(byte));
    }
  }
  return tokenizer;
}

const format::AddedToken* Tokenizer::State::added_at(std::string_view text, size_t at, bool with_special) const {
  for (size_t i : added_by_byte[static_cast<unsigned char>(text[at])]) {
    const auto& added = file.added[i];
    if ((with_special || !added.special) && text.substr(at).starts_with(added.text)) return &added;
  }
  return nullptr;
}

Status Tokenizer::State::append_plain(std::string_view text, std::vector<int32_t>& out) const {
  std::string spaced;
  if (file.add_prefix_space && !text.empty() && text[0] != ' ') {
    spaced = " " + std::string(text);
    text = spaced;
  }
  std::vector<int32_t> ids;
  for (auto [begin, end] : TRY(splitter.split(text))) {
    std::string_view piece = text.substr(begin, end - begin);
    if (file.ignore_merges) {
      if (auto found = whole.find(piece); found != whole.end()) {
        out.push_back(found->second);
        continue;
      }
    }
    ids.clear();
    for (char c : piece) {
      int32_t id = byte_ids[static_cast<unsigned char>(c)];
      if (id < 0) {
        return fail(Code::invalid, "the byte " + std::to_string(static_cast<unsigned char>(c)) +
                                       " of the text has no token in this vocabulary: expected UTF-8");
      }
      ids.push_back(id);
    }
    merger.apply(ids);
    out.insert(out.end(), ids.begin(), ids.end());
  }
  return {};
}

Result<std::vector<int32_t>> Tokenizer::State::encode(std::string_view text, bool with_special) const {
  std::vector<int32_t> out;
  size_t plain_from = 0;
  for (size_t i = 0; i < text.size();) {
    const auto* added = added_at(text, i, with_special);
    if (!added) {
      i++;
      continue;
    }
    TRY(append_plain(text.substr(plain_from, i - plain_from), out));
    out.push_back(added->id);
    i += added->text.size();
    plain_from = i;
  }
  TRY(append_plain(text.substr(plain_from), out));
  return out;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text) const { return state_->encode(text, false); }
Result<std::vector<int32_t>> Tokenizer::encode_with_special(std::string_view text) const {
  return state_->encode(text, true);
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string out;
  for (int32_t id : ids) {
    if (id < 0 || id >= size()) {
      return fail(Code::invalid, quoted_id(id) + ": expected an id inside [0, " + std::to_string(size()) + ")");
    }
    if (!special(id)) out += bytes(id);
  }
  return out;
}

int32_t Tokenizer::size() const { return static_cast<int32_t>(state_->file.vocabulary.size()); }

std::string_view Tokenizer::bytes(int32_t id) const {
  check(id >= 0 && id < size(), "a token id inside the vocabulary");
  return state_->file.vocabulary[static_cast<size_t>(id)];
}

bool Tokenizer::special(int32_t id) const {
  check(id >= 0 && id < size(), "a token id inside the vocabulary");
  return state_->special[static_cast<size_t>(id)] != 0;
}

int32_t Tokenizer::special_id(std::string_view text) const {
  for (const auto& added : state_->file.added) {
    if (added.text == text) return added.id;
  }
  return -1;
}

const format::TokenizerFile& Tokenizer::file() const { return state_->file; }

std::string to_utf8(std::string_view bytes) {
  if (valid_utf8(bytes)) return std::string(bytes);
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    size_t length = 0;
    for (size_t n = 1; n <= 4 && i + n <= bytes.size() && length == 0; n++) {
      if (valid_utf8(bytes.substr(i, n))) length = n;
    }
    out += length ? bytes.substr(i, length) : kReplacement;
    i += length ? length : 1;
  }
  return out;
}

std::string StreamDecoder::push(int32_t id) {
  if (tokenizer_->special(id)) return {};
  held_ += tokenizer_->bytes(id);
  size_t whole = held_.size() - incomplete_utf8_tail(held_);
  std::string out = to_utf8(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out = to_utf8(held_);
  held_.clear();
  return out;
}

}  // namespace hf::model
