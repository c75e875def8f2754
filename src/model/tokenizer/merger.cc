#include "model/tokenizer/merger.h"

#include <algorithm>
#include <queue>

namespace hf::model {
namespace {

// Up to here looking at every pair again after each merge (n * n / 2 look-ups at worst, all in cache) costs less than a
// heap.
constexpr size_t kShort = 24;

uint64_t key_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

Merger::Merger(std::span<const format::TokenizerFile::Merge> merges) {
  size_t size = 2;
  for (; size < merges.size() * 2; size *= 2) shift_--;
  slots_.resize(size);
  int32_t rank = 0;
  for (const auto& merge : merges) {
    uint64_t key = key_of(merge.left, merge.right);
    size_t i = slot_of(key);
    while (slots_[i].key != kEmpty && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
    if (slots_[i].key == kEmpty) slots_[i] = {key, {rank, merge.merged}};
    rank++;
  }
}

Merger::Found Merger::find(int32_t left, int32_t right) const {
  uint64_t key = key_of(left, right);
  for (size_t i = slot_of(key); slots_[i].key != kEmpty; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].key == key) return slots_[i].found;
  }
  return {};
}

void Merger::apply(std::vector<int32_t>& ids) const {
  if (ids.size() <= kShort) {
    apply_short(ids);
  } else {
    apply_long(ids);
  }
}

void Merger::apply_short(std::vector<int32_t>& ids) const {
  while (ids.size() > 1) {
    Found best;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); i++) {
      Found found = find(ids[i], ids[i + 1]);
      if (found.rank >= 0 && (best.rank < 0 || found.rank < best.rank)) {
        best = found;
        at = i;
      }
    }
    if (best.rank < 0) return;
    ids[at] = best.merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

// A list linked both ways, and a heap of candidates. One that is no longer there is known by its ids.
void Merger::apply_long(std::vector<int32_t>& ids) const {
  struct Candidate {
    int32_t rank;
    uint32_t at;
    int32_t left, right, merged;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  const auto count = static_cast<uint32_t>(ids.size());
  std::vector<uint32_t> next(count), previous(count);
  for (uint32_t i = 0; i < count; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;  // of the first: wraps, never followed
  }
  std::vector<Candidate> first;
  auto candidate = [&](uint32_t i, auto&& add) {
    uint32_t j = next[i];
    if (j >= count) return;
    Found found = find(ids[i], ids[j]);
    if (found.rank >= 0) add(Candidate{found.rank, i, ids[i], ids[j], found.merged});
  };
  for (uint32_t i = 0; i + 1 < count; i++) candidate(i, [&](Candidate c) { first.push_back(c); });
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap(std::greater<>{}, std::move(first));
  // Each merge adds at most two candidates and there are at most count - 1 merges: at most 3 count turns.
  while (!heap.empty()) {
    Candidate best = heap.top();
    heap.pop();
    uint32_t right = next[best.at];
    if (ids[best.at] != best.left || right >= count || ids[right] != best.right) continue;
    ids[best.at] = best.merged;
    ids[right] = -1;
    next[best.at] = next[right];
    if (next[right] < count) previous[next[right]] = best.at;
    auto push = [&](Candidate c) { heap.push(c); };
    candidate(best.at, push);
    if (best.at > 0) candidate(previous[best.at], push);
  }
  ids.erase(std::remove(ids.begin(), ids.end(), -1), ids.end());
}

}  // namespace hf::model
