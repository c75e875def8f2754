// Showback: what each identity has used, by day and model. Rows are records of kind "usage", written in the transaction
// of what they count, so that their sums are exactly what was done.
#pragma once

#include <string>

#include "store/db.h"

namespace hf::fleet {

struct Usage {
  std::string account;
  std::string principal;  // ARN; of a role's session the role's
  std::string model;      // "": of a job
  int64_t requests = 0, errors = 0, input_tokens = 0, output_tokens = 0;
  int64_t jobs = 0, job_us = 0;  // jobs that ended, and how long they ran (not: waited)
};
Status add_usage(store::Txn& txn, Micros now, const Usage& more);

// What lies in the account's buckets now.
struct Storage {
  int64_t objects = 0, bytes = 0;
};
Result<Storage> storage_of(store::Txn& txn, const std::string& account);

}  // namespace hf::fleet
