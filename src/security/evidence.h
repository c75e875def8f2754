// Evidence: a folder that someone else can check with none of our code (scripts/verify-evidence: Python's standard
// library and the openssl command). Formats: docs/formats.md.
//
//   entries.jsonl     the ledger, one entry a line, exactly the bytes that were hashed
//   heads.jsonl       every signed head, by size;  head.json: the newest one
//   receipts.jsonl    every receipt
//   proofs.jsonl      inclusion proofs of entries: of all of them, or of kProofs spread over the log
//   public-key.pem    the site's Ed25519 key
//   range.json        of a part of the log only: which part
//   consistency.jsonl of a part of the log only: proofs that its heads are the log's
//   software.json     what ran: the caller's words, digests of programs and models
//   README.txt        how to check all this
//   manifest.json     SHA-256 of each file above, signed
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/fs.h"
#include "security/ledger.h"

namespace hf::security {

struct EvidenceSource {
  store::Db& db;
  Ledger& ledger;
  const crypto::SigningKey& key;
  std::string site_id;
  std::string software_json;  // canonical JSON object
};

// Which entries: those from the first with time >= from to the last with time <= to, all that lie between, and one more
// on each side, which shows that nothing was left out there. The newest head and a proof to it for each entry come with
// them.
struct EvidenceRange {
  std::optional<Micros> from, to;  // neither: the whole log
  bool whole() const { return !from && !to; }
};

struct EvidenceReport {
  Head head;
  uint64_t first = 0;  // index of the first entry in it
  uint64_t entries = 0, heads = 0, receipts = 0, proofs = 0, bytes = 0;
  std::vector<std::string> files;  // names in the folder
};

inline constexpr uint64_t kProofs = 256;

// Replaces `folder` (written beside it as folder + ".new", synced, then renamed). One at a time for a folder: the
// caller sees to it. The site goes on meanwhile: what comes after the head that is newest at the start is left out.
Result<EvidenceReport> export_evidence(os::Fs& fs, const EvidenceSource& source, Micros now, const std::string& folder,
                                       const EvidenceRange& range = {});

// {"root":...,"signature":...,"site":...,"size":...,"time":...}, and back. For head.json and a head that is kept.
std::string head_json(const std::string& site_id, const Head& head);
Result<Head> head_from_json(std::string_view json);

}  // namespace hf::security
