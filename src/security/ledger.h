// The ledger: an append-only Merkle log (RFC 6962 hashing: leaf 0x00, node 0x01, SHA-256) whose entries are rows
// written in the same transaction as the act they tell of, with a signed head (Ed25519) for each group commit. An entry
// is one canonical JSON object (members sorted, no blanks): no prompt, no answer, no secret; digests are salted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "crypto/crypto.h"
#include "store/db.h"

namespace hf::security {

struct Entry {
  Micros time = 0;                 // 0: the ledger's clock says
  std::string account;             // tenant
  std::string principal;           // ARN, or "" for one who could not be told
  std::string action;              // "s3:PutObject", "bedrock:InvokeModel", "holdfast:SiteStart"
  std::string resource;            // ARN, or ""
  std::string decision;            // "allow" | "deny"
  std::string reason;              // the statement or rule that decided, or the error's name
  std::string request_id, source;  // source: peer address
  std::string detail;           // canonical JSON object with what the action adds (digests, sizes, receipt id), or ""
  std::string credential = {};  // id of the access key or session that was used, or ""
};

struct Head {
  uint64_t size = 0;  // entries
  std::string root;   // 32 bytes
  Micros time = 0;
  std::string signature;  // over head_message()
};
// The entry's line, as it is hashed: {"account":...,"action":...,...,"index":N,...}. A field is cut at 4,096 bytes, and
// bytes of it that are no UTF-8 become %XX. invalid: detail is not one JSON object.
Result<std::string> entry_line(const Entry& entry, uint64_t index);

// "holdfast-ledger-head-v1\n<site id>\n<size>\n<hex root>\n<time us>\n"
std::string head_message(const std::string& site_id, const Head& head);

// Thread-safe. The Db and the key must live longer.
class Ledger {
 public:
  // Checks that the newest head's signature and root agree with the tree; corrupt otherwise (the site then refuses to
  // start, and says how to verify and export).
  static Result<std::unique_ptr<Ledger>> open(store::Db& db, os::Clock& clock, const crypto::SigningKey& key,
                                              const std::string& site_id);
  virtual ~Ledger() = default;
  virtual Result<uint64_t> append(store::Txn& txn, const Entry& entry) = 0;  // its index; commits with the txn
  virtual Status append(const Entry& entry) = 0;                             // in a transaction of its own
  virtual Result<Head> head() = 0;
  virtual Result<std::string> entry_json(uint64_t index) = 0;
  // At most `limit` (and 10,000) entries with index >= from, in order.
  virtual Result<std::vector<std::string>> entries(uint64_t from, uint64_t limit) = 0;
  // At most `limit` (and 10,000) heads with size > after, in order: one for each group commit.
  virtual Result<std::vector<Head>> heads(uint64_t after, uint64_t limit) = 0;
  virtual Result<std::vector<std::string>> inclusion_proof(uint64_t index, uint64_t size) = 0;  // RFC 6962 2.1.1
  virtual Result<std::vector<std::string>> consistency_proof(uint64_t from, uint64_t to) = 0;   // RFC 6962 2.1.2
  struct Report {
    uint64_t entries = 0;
    bool ok = false;
    std::string problem;  // what and where, when not ok
    Head head;
  };
  // Recomputes every leaf, node and head from the stored entries, compares each with what is stored, checks each
  // head's signature, and that the log still holds what this process has seen of it. `kept`: a head that was kept off
  // the machine; the log must be an extension of it. (Whoever has the signing key and the file can write another log
  // from the start: only a kept head shows that.)
  virtual Result<Report> verify(const Head* kept = nullptr) = 0;
};

// Pure functions over leaf hashes, for tests and the verifier.
std::string leaf_hash(std::string_view entry);
std::string node_hash(std::string_view left, std::string_view right);
std::string merkle_root(const std::vector<std::string>& leaves);
bool verify_inclusion(std::string_view leaf, uint64_t index, uint64_t size, const std::vector<std::string>& proof,
                      std::string_view root);
bool verify_consistency(uint64_t from, std::string_view from_root, uint64_t to, std::string_view to_root,
                        const std::vector<std::string>& proof);

}  // namespace hf::security
