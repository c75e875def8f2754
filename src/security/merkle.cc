#include "security/merkle.h"

#include <bit>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "security/ledger.h"

namespace hf::security {

std::string leaf_hash(std::string_view entry) { return crypto::sha256(std::string(1, '\0').append(entry)); }

std::string node_hash(std::string_view left, std::string_view right) {
  return crypto::sha256(std::string(1, '\1').append(left).append(right));
}

std::string merkle_root(const std::vector<std::string>& leaves) {
  merkle::Frontier tree;
  for (const auto& leaf : leaves) tree.add(leaf, [](int, uint64_t, const std::string&) {});
  return tree.root();
}

// Both as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say: walk up from the leaf (or from the old tree's last node), `fn` and
// `sn` being the position and the last position on each level.
bool verify_inclusion(std::string_view leaf, uint64_t index, uint64_t size, const std::vector<std::string>& proof,
                      std::string_view root) {
  if (index >= size) return false;
  uint64_t fn = index, sn = size - 1;
  std::string r(leaf);
  for (const auto& p : proof) {
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      r = node_hash(p, r);
      while (!(fn & 1) && fn) fn >>= 1, sn >>= 1;
    } else {
      r = node_hash(r, p);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && constant_time_equal(r, root);
}

bool verify_consistency(uint64_t from, std::string_view from_root, uint64_t to, std::string_view to_root,
                        const std::vector<std::string>& proof) {
  if (from > to) return false;
  if (from == to) return proof.empty() && from_root == to_root;
  if (from == 0) return proof.empty() && from_root == crypto::sha256("");
  std::vector<std::string> path = proof;
  if (std::has_single_bit(from)) path.insert(path.begin(), std::string(from_root));
  if (path.empty()) return false;
  uint64_t fn = from - 1, sn = to - 1;
  while (fn & 1) fn >>= 1, sn >>= 1;
  std::string fr = path[0], sr = path[0];
  for (size_t i = 1; i < path.size(); ++i) {
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      fr = node_hash(path[i], fr);
      sr = node_hash(path[i], sr);
      while (!(fn & 1) && fn) fn >>= 1, sn >>= 1;
    } else {
      sr = node_hash(sr, path[i]);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && constant_time_equal(fr, from_root) && constant_time_equal(sr, to_root);
}

namespace merkle {
namespace {

// Hash over the leaves [start, start + count), where a complete node has its place or the tree ends at its end.
Result<std::string> range(const Lookup& lookup, uint64_t start, uint64_t count) {
  if (std::has_single_bit(count)) {
    int level = std::countr_zero(count);
    return lookup(level, start >> level);
  }
  uint64_t k = std::bit_floor(count);
  std::string left = TRY(range(lookup, start, k));
  return node_hash(left, TRY(range(lookup, start + k, count - k)));
}

// The largest power of two below n (n > 1).
uint64_t split_at(uint64_t n) { return std::bit_floor(n - 1); }

}  // namespace

std::vector<Node> peaks(uint64_t size) {
  std::vector<Node> out;
  uint64_t start = 0;
  for (int level = 63; level >= 0; --level) {
    if (!(size >> level & 1)) continue;
    out.push_back({level, start >> level});
    start += uint64_t{1} << level;
  }
  return out;
}

Result<std::string> root(const Lookup& lookup, uint64_t size) {
  if (size == 0) return crypto::sha256("");
  return range(lookup, 0, size);
}

Result<std::vector<std::string>> inclusion(const Lookup& lookup, uint64_t index, uint64_t size) {
  if (index >= size)
    return fail(Code::invalid,
                "expected an index below the tree's size " + std::to_string(size) + ", found " + std::to_string(index));
  std::vector<std::string> up;  // from the root down; turned round at the end
  uint64_t start = 0;
  while (size > 1) {
    uint64_t k = split_at(size);
    if (index < k) {
      up.push_back(TRY(range(lookup, start + k, size - k)));
      size = k;
    } else {
      up.push_back(TRY(range(lookup, start, k)));
      start += k, index -= k, size -= k;
    }
  }
  return std::vector<std::string>(up.rbegin(), up.rend());
}

Result<std::vector<std::string>> consistency(const Lookup& lookup, uint64_t from, uint64_t to) {
  if (from > to)
    return fail(Code::invalid, "expected a size of at most " + std::to_string(to) + ", found " + std::to_string(from));
  if (from == 0 || from == to) return std::vector<std::string>();
  std::vector<std::string> up;
  uint64_t start = 0, m = from, n = to;
  bool whole = true;  // the old tree's root is this very subtree: the verifier has it
  while (m != n) {
    uint64_t k = split_at(n);
    if (m <= k) {
      up.push_back(TRY(range(lookup, start + k, n - k)));
      n = k;
    } else {
      up.push_back(TRY(range(lookup, start, k)));
      start += k, m -= k, n -= k;
      whole = false;
    }
  }
  if (!whole) up.push_back(TRY(range(lookup, start, n)));
  return std::vector<std::string>(up.rbegin(), up.rend());
}

void Frontier::add(std::string hash, const std::function<void(int, uint64_t, const std::string&)>& complete) {
  uint64_t index = size_++;
  int level = 0;
  complete(0, index, hash);
  for (; index & 1; index >>= 1) {
    hash = node_hash(peaks_.back(), hash);
    peaks_.pop_back();
    complete(++level, index >> 1, hash);
  }
  peaks_.push_back(std::move(hash));
}

std::string Frontier::root() const {
  if (peaks_.empty()) return crypto::sha256("");
  std::string hash = peaks_.back();
  for (size_t i = peaks_.size() - 1; i-- > 0;) hash = node_hash(peaks_[i], hash);
  return hash;
}

}  // namespace merkle
}  // namespace hf::security
