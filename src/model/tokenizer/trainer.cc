#include "model/tokenizer/trainer.h"

#include <algorithm>
#include <deque>
#include <queue>
#include <set>
#include <unordered_map>

#include "model/tokenizer/splitter.h"
#include "model/tokenizer/tokenizer.h"

namespace hf::model {
namespace {

constexpr size_t kMaxPieces = size_t{1} << 31;
constexpr size_t kMaxLearntBytes = 64;  // of one token: longer ones are memorised data, not language

uint64_t key_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

struct KeyHash {
  size_t operator()(uint64_t key) const { return static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> 20); }
};

struct Piece {
  std::vector<int32_t> ids;
  int64_t count = 0;
};

struct Pair {
  int64_t count = 0;
  std::vector<uint32_t> pieces;  // that held it when it came to be: may repeat, may be out of date
};

struct Candidate {
  int64_t count;
  uint64_t key;
  bool operator<(const Candidate& other) const { return count != other.count ? count < other.count : key > other.key; }
};

// The state of the merging: every count is exact after each step.
class Learner {
 public:
  Learner(std::vector<Piece> pieces, int64_t min_count) : pieces_(std::move(pieces)), min_count_(min_count) {
    for (int byte = 0; byte < 256; byte++) add_token(std::string(1, static_cast<char>(byte)));
    for (uint32_t p = 0; p < pieces_.size(); p++) {
      const auto& ids = pieces_[p].ids;
      for (size_t i = 0; i + 1 < ids.size(); i++) change(key_of(ids[i], ids[i + 1]), pieces_[p].count, p);
    }
    for (const auto& [key, pair] : pairs_) heap_.push({pair.count, key});
  }

  // Learns one merge. False: no pair is left that is frequent enough.
  bool step(format::TokenizerFile& file) {
    while (!heap_.empty()) {
      Candidate best = heap_.top();
      heap_.pop();
      auto found = pairs_.find(best.key);
      if (found == pairs_.end()) continue;
      if (found->second.count != best.count) {  // counts only sink after a push: look again at its new place
        if (found->second.count >= min_count_) heap_.push({found->second.count, best.key});
        continue;
      }
      if (best.count < min_count_) return false;
      auto left = static_cast<int32_t>(best.key >> 32), right = static_cast<int32_t>(best.key & 0xffffffffu);
      std::string bytes = tokens_[static_cast<size_t>(left)] + tokens_[static_cast<size_t>(right)];
      if (bytes.size() > kMaxLearntBytes) {
        pairs_.erase(found);
        continue;
      }
      int32_t merged = add_token(std::move(bytes));
      file.merges.push_back({left, right, merged});
      merge(left, right, merged);
      return true;
    }
    return false;
  }

  const std::vector<std::string>& tokens() const { return tokens_; }

 private:
  // Two different pairs can have the same bytes: then both merge to the same token.
  int32_t add_token(std::string bytes) {
    auto [at, fresh] = id_of_.emplace(bytes, static_cast<int32_t>(tokens_.size()));
    if (fresh) tokens_.push_back(std::move(bytes));
    return at->second;
  }

  void change(uint64_t key, int64_t by, uint32_t piece) {
    Pair& pair = pairs_[key];
    pair.count += by;
    if (by > 0 && (pair.pieces.empty() || pair.pieces.back() != piece)) pair.pieces.push_back(piece);
    if (by > 0) grown_.push_back(key);
  }

  void merge(int32_t left, int32_t right, int32_t merged) {
    auto node = pairs_.extract(key_of(left, right));
    auto& touched = node.mapped().pieces;
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    grown_.clear();
    for (uint32_t p : touched) rewrite(p, left, right, merged);
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (uint64_t key : grown_) {
      if (auto found = pairs_.find(key); found != pairs_.end() && found->second.count >= min_count_) {
        heap_.push({found->second.count, key});
      }
    }
  }

  // Merges within a piece from left to right; each merge changes the pairs with its two neighbours.
  void rewrite(uint32_t p, int32_t left, int32_t right, int32_t merged) {
    auto& ids = pieces_[p].ids;
    int64_t count = pieces_[p].count;
    size_t to = 0;
    for (size_t from = 0; from < ids.size();) {
      if (from + 1 >= ids.size() || ids[from] != left || ids[from + 1] != right) {
        ids[to++] = ids[from++];
        continue;
      }
      if (to > 0) {
        lower(key_of(ids[to - 1], left), count);
        change(key_of(ids[to - 1], merged), count, p);
      }
      if (from + 2 < ids.size()) {
        lower(key_of(right, ids[from + 2]), count);
        change(key_of(merged, ids[from + 2]), count, p);
      }
      ids[to++] = merged;
      from += 2;
    }
    ids.resize(to);
  }

  void lower(uint64_t key, int64_t by) {
    if (auto found = pairs_.find(key); found != pairs_.end()) found->second.count -= by;
  }

  std::vector<Piece> pieces_;
  int64_t min_count_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> id_of_;
  std::unordered_map<uint64_t, Pair, KeyHash> pairs_;
  std::priority_queue<Candidate> heap_;
  std::vector<uint64_t> grown_;  // pairs whose count rose in this merge
};

}  // namespace

struct TokenizerTrainer::State {
  TrainerOptions options;
  Splitter splitter;
  std::deque<std::string> texts;  // of the pieces, in order of first sight; a deque does not move them
  std::vector<int64_t> counts;
  std::unordered_map<std::string_view, size_t> index;
};

TokenizerTrainer::TokenizerTrainer() = default;
TokenizerTrainer::TokenizerTrainer(TokenizerTrainer&&) noexcept = default;
TokenizerTrainer& TokenizerTrainer::operator=(TokenizerTrainer&&) noexcept = default;
TokenizerTrainer::~TokenizerTrainer() = default;

Result<TokenizerTrainer> TokenizerTrainer::make(TrainerOptions options) {
  auto special = static_cast<int32_t>(options.special.size());
  if (options.digits < 1 || options.digits > 9) {
    return fail(Code::invalid, "digits " + std::to_string(options.digits) + ": expected 1 to 9");
  }
  if (options.vocabulary < 256 + special || options.vocabulary > static_cast<int32_t>(format::kMaxVocabulary)) {
    return fail(Code::invalid, "vocabulary " + std::to_string(options.vocabulary) + ": expected " +
                                   std::to_string(256 + special) + " to " + std::to_string(format::kMaxVocabulary));
  }
  std::set<std::string> distinct(options.special.begin(), options.special.end());
  if (distinct.size() != options.special.size() || distinct.count("")) {
    return fail(Code::invalid, "special tokens: expected different texts that are not empty");
  }
  TokenizerTrainer trainer;
  auto splitter = TRY(Splitter::make({default_pattern(options.digits)}));
  trainer.state_ = std::make_unique<State>(State{std::move(options), std::move(splitter), {}, {}, {}});
  return trainer;
}

Status TokenizerTrainer::add(std::string_view text) {
  State& state = *state_;
  for (auto [begin, end] : TRY(state.splitter.split(text))) {
    std::string_view piece = text.substr(begin, end - begin);
    auto found = state.index.find(piece);
    if (found != state.index.end()) {
      state.counts[found->second]++;
      continue;
    }
    if (state.texts.size() >= kMaxPieces) return fail(Code::invalid, "a training text of over 2^31 different pieces");
    state.texts.emplace_back(piece);
    state.counts.push_back(1);
    state.index.emplace(state.texts.back(), state.texts.size() - 1);
  }
  return {};
}

Result<format::TokenizerFile> TokenizerTrainer::train() {
  const State& state = *state_;
  std::vector<Piece> pieces;
  for (size_t i = 0; i < state.texts.size(); i++) {
    Piece piece;
    piece.count = state.counts[i];
    for (char c : state.texts[i]) piece.ids.push_back(static_cast<unsigned char>(c));
    pieces.push_back(std::move(piece));
  }
  format::TokenizerFile file;
  file.patterns = {default_pattern(state.options.digits)};
  Learner learner(std::move(pieces), state.options.min_count);
  size_t limit = static_cast<size_t>(state.options.vocabulary) - state.options.special.size();
  // A merge that gives a token which is there already adds none: hence a limit on the merges too.
  size_t merges_left = 2 * limit;
  while (learner.tokens().size() < limit && merges_left-- > 0 && learner.step(file)) {
  }
  file.vocabulary = learner.tokens();
  for (const auto& text : state.options.special) {
    if (std::find(file.vocabulary.begin(), file.vocabulary.end(), text) != file.vocabulary.end()) {
      return fail(Code::invalid, "the special token \"" + text + "\" was also learnt as text: choose another");
    }
    file.added.push_back({static_cast<int32_t>(file.vocabulary.size()), text, true});
    file.vocabulary.push_back(text);
  }
  return file;
}

}  // namespace hf::model
