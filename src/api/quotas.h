// Quotas of identities, as they are kept, and what an inference takes of them. A quota is of a user, of a role (all of
// its sessions together), or of an account (all of it together): both of who asks and of its account count.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/call.h"

namespace hf::api {

// The user's ARN; of a role's session the role's.
std::string identity_arn(const security::Identity& who);
std::string account_arn(const std::string& account);  // arn:aws:iam::ACCOUNT:root, which stands for all of it

struct QuotaRow {
  std::string principal;  // one of the above
  security::Quota quota;
};
Result<std::optional<QuotaRow>> find_quota(store::Txn& txn, const std::string& account, const std::string& principal);
Result<std::vector<QuotaRow>> list_quotas(store::Txn& txn, const std::string& account);
// A quota of nothing removes the row.
Status set_quota(store::Txn& txn, const std::string& account, Micros now, const QuotaRow& row);

// What a running inference holds of the quotas. end() once, with the tokens that were computed; the destructor ends it
// with none.
class QuotaHold {
 public:
  // exhausted, with retry_after_s: over a quota. `most`: tokens that it may generate.
  static Result<QuotaHold> take(Call& call, int64_t most);
  QuotaHold(QuotaHold&& other) noexcept : site_(std::exchange(other.site_, nullptr)), most_(other.most_) {
    held_ = std::move(other.held_);
  }
  QuotaHold& operator=(QuotaHold&&) = delete;
  ~QuotaHold() { end(0); }
  void end(int64_t used);

 private:
  QuotaHold(Site& site, int64_t most) : site_(&site), most_(most) {}
  Site* site_;
  int64_t most_;
  std::vector<std::string> held_;  // principals
};

}  // namespace hf::api
