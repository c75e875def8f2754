// Call::record with a mutation: the ledger's entry and what must know its index, in one transaction.
#include "api/call.h"

namespace hf::api {

Result<uint64_t> Call::record(const std::string& detail,
                              const std::function<Status(store::Txn&, uint64_t index)>& mutate) {
  security::Entry entry;
  entry.time = now();
  entry.account = who_.account;
  entry.principal = who_.arn;
  entry.action = action_;
  entry.resource = resource_;
  entry.decision = "allow";
  entry.reason = who_.administrator ? "administrator" : "policy";
  entry.request_id = request_id_;
  entry.source = head_.peer;
  entry.detail = detail;
  uint64_t index = 0;
  TRY(site_.db.write([&](store::Txn& txn) -> Status {
    index = TRY(site_.ledger.append(txn, entry));
    return mutate(txn, index);
  }));
  return index;
}

}  // namespace hf::api
