// The merges of a vocabulary, and their application to one piece.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "format/tokenizer.h"

namespace hf::model {

class Merger {
 public:
  // `merges` in order of rank; of a pair that is listed twice the first counts.
  explicit Merger(std::span<const format::TokenizerFile::Merge> merges);

  // Merges `ids` in place to the end: always the pair of lowest rank, the leftmost among equals.
  void apply(std::vector<int32_t>& ids) const;

 private:
  struct Found {
    int32_t rank = -1, merged = -1;  // rank -1: the pair does not merge
  };
  Found find(int32_t left, int32_t right) const;
  void apply_short(std::vector<int32_t>& ids) const;
  void apply_long(std::vector<int32_t>& ids) const;

  // Open addressing, a power of two of slots, at most half full. Key: left << 32 | right.
  struct Slot {
    uint64_t key = kEmpty;
    Found found;
  };
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  size_t slot_of(uint64_t key) const { return static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> shift_); }
  std::vector<Slot> slots_;
  int shift_ = 63;
};

}  // namespace hf::model
