#include "api/quotas.h"

#include <boost/json.hpp>

#include "security/json.h"

namespace hf::api {
namespace json = boost::json;
namespace {

constexpr const char* kKind = "quota";

Result<QuotaRow> row_of(const store::Record& record) {
  const json::value v = TRY(security::parse_json(record.body, 4096, "a quota"));
  const auto read = [&](const char* name) {
    const json::value* at = v.is_object() ? v.get_object().if_contains(name) : nullptr;
    return at && at->is_int64() ? at->get_int64() : 0;
  };
  return QuotaRow{record.name, {read("tokens_per_minute"), read("requests_at_once")}};
}

}  // namespace

std::string identity_arn(const security::Identity& who) { return who.role_arn.empty() ? who.arn : who.role_arn; }
std::string account_arn(const std::string& account) { return "arn:aws:iam::" + account + ":root"; }

Result<std::optional<QuotaRow>> find_quota(store::Txn& txn, const std::string& account, const std::string& principal) {
  auto record = TRY(store::get_record(txn, kKind, account, principal));
  if (!record) return std::optional<QuotaRow>();
  return std::optional(TRY(row_of(*record)));
}

Result<std::vector<QuotaRow>> list_quotas(store::Txn& txn, const std::string& account) {
  std::vector<QuotaRow> out;
  const auto records = TRY(store::list_records(txn, kKind, account, "", 10'000));
  for (const auto& record : records) out.push_back(TRY(row_of(record)));
  return out;
}

Status set_quota(store::Txn& txn, const std::string& account, Micros now, const QuotaRow& row) {
  if (row.quota.tokens_per_minute == 0 && row.quota.requests_at_once == 0) {
    TRY(store::delete_record(txn, kKind, account, row.principal));
    return {};
  }
  store::Record record;
  record.kind = kKind;
  record.account = account;
  record.name = row.principal;
  record.created = record.updated = now;
  record.body = security::canonical_json(json::object{{"requests_at_once", row.quota.requests_at_once},
                                                      {"tokens_per_minute", row.quota.tokens_per_minute}});
  return store::put_record(txn, record);
}

Result<QuotaHold> QuotaHold::take(Call& call, int64_t most) {
  QuotaHold hold(call.site(), most);
  std::vector<QuotaRow> rows;
  TRY(call.read([&](store::Txn& txn) -> Status {
    rows.clear();
    for (const std::string& principal : {identity_arn(call.who()), account_arn(call.account())})
      if (auto row = TRY(find_quota(txn, call.account(), principal))) rows.push_back(std::move(*row));
    return {};
  }));
  for (const QuotaRow& row : rows) {
    TRY(call.site().quotas.begin(call.site().clock.monotonic_us(), row.principal, row.quota, most));
    hold.held_.push_back(row.principal);
  }
  return hold;
}

void QuotaHold::end(int64_t used) {
  if (!site_) return;
  Site* site = std::exchange(site_, nullptr);
  for (const std::string& principal : held_) site->quotas.end(site->clock.monotonic_us(), principal, most_, used);
}

}  // namespace hf::api
