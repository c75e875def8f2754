// The tree of RFC 6962 section 2.1 over an append-only list, as arithmetic on stored nodes. Node (level, index) is the
// hash over the leaves [index << level, (index + 1) << level): only complete ones exist, and none ever changes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace hf::security::merkle {

using Lookup = std::function<Result<std::string>(int level, uint64_t index)>;  // 32 bytes

// The complete subtrees that make up a tree of `size` leaves, from left to right: one for each bit of size.
struct Node {
  int level;
  uint64_t index;
};
std::vector<Node> peaks(uint64_t size);

// Root over the first `size` leaves: at most 64 lookups. An empty tree's root is SHA-256 of nothing.
Result<std::string> root(const Lookup& lookup, uint64_t size);

// Proofs; at most 64 lookups for each of at most 64 parts. invalid if index >= size, or from > to.
Result<std::vector<std::string>> inclusion(const Lookup& lookup, uint64_t index, uint64_t size);  // 2.1.1
Result<std::vector<std::string>> consistency(const Lookup& lookup, uint64_t from, uint64_t to);   // 2.1.2

// A tree that grows leaf by leaf and keeps its peaks only. add() gives each complete node that the leaf finishes.
class Frontier {
 public:
  void add(std::string leaf_hash, const std::function<void(int level, uint64_t index, const std::string&)>& complete);
  uint64_t size() const { return size_; }
  std::string root() const;

 private:
  uint64_t size_ = 0;
  std::vector<std::string> peaks_;  // from left to right, as peaks(size)
};

}  // namespace hf::security::merkle
