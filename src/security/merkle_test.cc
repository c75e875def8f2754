#include "security/merkle.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "security/ledger.h"

namespace hf::security {
namespace {

// The eight leaves that Certificate Transparency's own tests use, and their roots.
const char* const kLeaves[] = {
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
const char* const kRoots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                              "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                              "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                              "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                              "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                              "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                              "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                              "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

struct Tree {  // keeps each node, as the ledger does
  merkle::Frontier frontier;
  std::map<std::pair<int, uint64_t>, std::string> nodes;
  std::vector<std::string> leaves;
  mutable int lookups = 0;
  void add(const std::string& entry) {
    leaves.push_back(leaf_hash(entry));
    frontier.add(leaves.back(), [&](int level, uint64_t i, const std::string& h) { nodes[{level, i}] = h; });
  }
  merkle::Lookup lookup() const {
    return [this](int level, uint64_t i) -> Result<std::string> {
      ++lookups;
      auto found = nodes.find({level, i});
      if (found == nodes.end()) return fail(Code::corrupt, "no such node");
      return found->second;
    };
  }
};

// The definition of RFC 6962 section 2.1, word for word: slow.
std::string definition(const std::vector<std::string>& leaves, size_t from, size_t to) {
  if (from == to) return crypto::sha256("");
  if (to - from == 1) return leaves[from];
  size_t k = 1;
  while (k * 2 < to - from) k *= 2;
  return node_hash(definition(leaves, from, from + k), definition(leaves, from + k, to));
}

Tree tree_of(size_t n) {
  Tree t;
  for (size_t i = 0; i < n; ++i) t.add("entry " + std::to_string(i));
  return t;
}

TEST(Merkle, KnownRootsOfTheEightLeafTree) {
  EXPECT_EQ(hex(merkle_root({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Tree t;
  for (size_t n = 1; n <= 8; ++n) {
    t.add(*unhex(kLeaves[n - 1]));
    EXPECT_EQ(hex(t.frontier.root()), kRoots[n - 1]);
    EXPECT_EQ(hex(merkle_root(t.leaves)), kRoots[n - 1]);
    EXPECT_EQ(hex(*merkle::root(t.lookup(), n)), kRoots[n - 1]);
  }
}

TEST(Merkle, KnownProofsOfTheEightLeafTree) {
  Tree t;
  for (const char* leaf : kLeaves) t.add(*unhex(leaf));
  auto hexes = [](Result<std::vector<std::string>> proof) {
    std::vector<std::string> out;
    for (const auto& p : *proof) out.push_back(hex(p));
    return out;
  };
  EXPECT_EQ(hexes(merkle::inclusion(t.lookup(), 0, 1)), std::vector<std::string>{});
  EXPECT_EQ(hexes(merkle::inclusion(t.lookup(), 0, 8)),
            (std::vector<std::string>{"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                                      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                                      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}));
  EXPECT_EQ(hexes(merkle::inclusion(t.lookup(), 5, 8)),
            (std::vector<std::string>{"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                                      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                                      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
  EXPECT_EQ(hexes(merkle::consistency(t.lookup(), 6, 8)),
            (std::vector<std::string>{"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                                      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                                      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
}

TEST(Merkle, RootsAreTheDefinitionsAndProofsVerifyForEverySize) {
  const size_t most = 70;
  Tree t = tree_of(most);
  for (size_t n = 1; n <= most; ++n) {
    std::string root = definition(t.leaves, 0, n);
    ASSERT_EQ(*merkle::root(t.lookup(), n), root);
    for (size_t i = 0; i < n; ++i) {
      auto proof = *merkle::inclusion(t.lookup(), i, n);
      ASSERT_TRUE(verify_inclusion(t.leaves[i], i, n, proof, root)) << i << " of " << n;
      ASSERT_FALSE(verify_inclusion(t.leaves[(i + 1) % most], i, n, proof, root));
      if (n > 1) {
        ASSERT_FALSE(verify_inclusion(t.leaves[i], (i + 1) % n, n, proof, root));
      }
    }
    for (size_t m = 0; m <= n; ++m) {
      std::string old = definition(t.leaves, 0, m);
      auto proof = *merkle::consistency(t.lookup(), m, n);
      ASSERT_TRUE(verify_consistency(m, old, n, root, proof)) << m << " to " << n;
      if (m > 0 && m < n) {
        ASSERT_FALSE(verify_consistency(m, root, n, root, proof));
        ASSERT_FALSE(verify_consistency(m, old, n, old, proof));
      }
    }
  }
}

TEST(Merkle, AChangedProofIsRefused) {
  Tree t = tree_of(61);
  std::string root = *merkle::root(t.lookup(), 61), old = *merkle::root(t.lookup(), 23);
  auto inclusion = *merkle::inclusion(t.lookup(), 17, 61);
  auto consistency = *merkle::consistency(t.lookup(), 23, 61);
  auto each_change = [](const std::vector<std::string>& proof, auto refuse) {
    for (size_t i = 0; i < proof.size(); ++i) {
      for (size_t b = 0; b < 32; ++b) {
        auto changed = proof;
        changed[i][b] = static_cast<char>(changed[i][b] ^ 4);
        refuse(changed);
      }
      auto dropped = proof;
      dropped.erase(dropped.begin() + static_cast<std::ptrdiff_t>(i));
      refuse(dropped);
      auto doubled = proof;
      doubled.push_back(proof[i]);
      refuse(doubled);
    }
  };
  each_change(inclusion, [&](const auto& p) { EXPECT_FALSE(verify_inclusion(t.leaves[17], 17, 61, p, root)); });
  each_change(consistency, [&](const auto& p) { EXPECT_FALSE(verify_consistency(23, old, 61, root, p)); });
  EXPECT_FALSE(verify_consistency(61, root, 23, old, consistency));
  EXPECT_FALSE(verify_inclusion(t.leaves[17], 61, 61, inclusion, root));
}

TEST(Merkle, CostIsLogarithmic) {
  Tree t = tree_of(5000);
  t.lookups = 0;
  ASSERT_TRUE(merkle::inclusion(t.lookup(), 2500, 5000).ok());
  EXPECT_LE(t.lookups, 13 * 13);
  t.lookups = 0;
  ASSERT_TRUE(merkle::root(t.lookup(), 4999).ok());
  EXPECT_LE(t.lookups, 13);
  t.lookups = 0;
  ASSERT_TRUE(merkle::consistency(t.lookup(), 1234, 4999).ok());
  EXPECT_LE(t.lookups, 13 * 13);
}

TEST(Merkle, OutOfRangeIsAnError) {
  Tree t = tree_of(3);
  EXPECT_FALSE(merkle::inclusion(t.lookup(), 3, 3).ok());
  EXPECT_FALSE(merkle::consistency(t.lookup(), 4, 3).ok());
  EXPECT_TRUE(merkle::peaks(0).empty());
  EXPECT_EQ(merkle::peaks(6).size(), 2u);
}

}  // namespace
}  // namespace hf::security
