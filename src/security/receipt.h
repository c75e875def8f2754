// Receipts: what an answer was made of, signed by the site. JSON (canonical), documented in docs/formats.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "crypto/crypto.h"
#include "store/db.h"

namespace hf::security {

struct Receipt {
  std::string id;  // "rcpt-" + 32 hex
  std::string site, account, principal, request_id;
  Micros time = 0;
  std::string model, model_digest, adapter;  // adapter "" : none
  std::string engine_build, isa;             // digest of the program; "avx2", "avx512", "scalar"
  std::string sampler;                       // canonical JSON: temperature, top_p, top_k, min_p, seed, max_tokens, stop
  uint64_t seed = 0;
  std::string salt;                         // 16 bytes
  std::string input_digest, output_digest;  // sha256(salt || u32le token ids)
  std::string text_digest;                  // sha256(salt || text given)
  int64_t input_tokens = 0, output_tokens = 0;
  std::string stop_reason;  // "end_turn", "max_tokens", "stop_sequence", "cancelled", "error"
  uint64_t ledger_index = 0;
  std::string signature;  // over canonical JSON without this member
};
std::string to_json(const Receipt& receipt);  // canonical: members sorted, no blanks
Result<Receipt> receipt_from_json(std::string_view json);
void sign_receipt(Receipt& receipt, const crypto::SigningKey& key);
bool verify_receipt(const Receipt& receipt, std::string_view public_raw);

// Receipts lie in the Db's records, kind "receipt", by account and id, as the JSON above. The ledger's entry at
// ledger_index names the receipt: its detail has the member "receipt" with the id (and no "phase":"start", which tells
// that a streamed answer began). Evidence is checked for this both ways.
inline constexpr std::string_view kReceiptKind = "receipt";
Status put_receipt(store::Txn& txn, const Receipt& receipt);
Result<std::optional<Receipt>> find_receipt(store::Txn& txn, const std::string& account, const std::string& id);
// By id, after `after`; account "": of all accounts.
Result<std::vector<Receipt>> list_receipts(store::Txn& txn, const std::string& account, const std::string& after,
                                           int64_t limit);

}  // namespace hf::security
