// Quotas of identities: who may have how many tokens computed in a minute, and how many requests at once.
#include "api/quotas.h"

#include <boost/json.hpp>

#include "api/holdfast/operations.h"
#include "security/json.h"

namespace hf::api::holdfast_api {
namespace json = boost::json;
namespace {

struct QuotaView {
  std::string principal;
  std::optional<int64_t> tokens, requests;
  static void fields(wire::Fields<QuotaView>& f) {
    f("principal", &QuotaView::principal);
    f("tokens_per_minute", &QuotaView::tokens);
    f("requests_at_once", &QuotaView::requests);
  }
};
QuotaView view_of(const QuotaRow& row) {
  QuotaView v{row.principal, {}, {}};
  if (row.quota.tokens_per_minute) v.tokens = row.quota.tokens_per_minute;
  if (row.quota.requests_at_once) v.requests = row.quota.requests_at_once;
  return v;
}

struct SetQuota {
  std::string principal;
  std::optional<std::string> account;
  std::optional<int64_t> tokens, requests;
  static void fields(wire::Fields<SetQuota>& f) {
    f("principal", &SetQuota::principal).required().length(1, 600);
    f("account", &SetQuota::account).pattern("[0-9]{12}");
    f("tokens_per_minute", &SetQuota::tokens).range(1, 1e9);
    f("requests_at_once", &SetQuota::requests).range(1, 1e6);
  }
};

// "account", or the ARN of a user or role of it.
Result<std::string> principal_of(const std::string& account, const std::string& given) {
  if (given == "account") return account_arn(account);
  const std::string prefix = "arn:aws:iam::" + account + ":";
  for (const char* kind : {"user/", "role/", "root"})
    if (given.starts_with(prefix + kind)) return given;
  return invalid("principal: expected 'account', or " + prefix + "user/NAME or " + prefix + "role/NAME, found " +
                 clip_utf8(given, 200));
}

Result<QuotaView> set_quota(Call& call, const SetQuota& in) {
  const std::string account = account_or_own(call, in.account);
  QuotaRow row{TRY(principal_of(account, in.principal)), {in.tokens.value_or(0), in.requests.value_or(0)}};
  TRY(call.commit([&](store::Txn& txn) { return api::set_quota(txn, account, call.now(), row); },
                  security::canonical_json(json::object{{"principal", row.principal},
                                                        {"requests_at_once", row.quota.requests_at_once},
                                                        {"tokens_per_minute", row.quota.tokens_per_minute}})));
  return view_of(row);
}

struct ListQuotas {
  std::optional<std::string> account;
  static void fields(wire::Fields<ListQuotas>& f) {
    f("account", &ListQuotas::account).query("account").pattern("[0-9]{12}");
  }
};
struct ListQuotasResponse {
  std::vector<QuotaView> quotas;
  static void fields(wire::Fields<ListQuotasResponse>& f) { f("quotas", &ListQuotasResponse::quotas); }
};

Result<ListQuotasResponse> list(Call& call, const ListQuotas& in) {
  ListQuotasResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.quotas.clear();
    const auto rows = TRY(list_quotas(txn, account_or_own(call, in.account)));
    for (const QuotaRow& row : rows) out.quotas.push_back(view_of(row));
    return {};
  }));
  return out;
}

template <class In>
std::string quota_arn(const Call& call, const In& in) {
  return own_arn(call, "quota", in.account.value_or(""));
}

}  // namespace

void add_quotas(Service& s) {
  s.add<SetQuota, QuotaView>("SetQuota", {"PUT", "/holdfast/v1/quotas"}, Effect::write, set_quota, quota_arn<SetQuota>);
  s.add<ListQuotas, ListQuotasResponse>("ListQuotas", {"GET", "/holdfast/v1/quotas"}, Effect::read, list,
                                        quota_arn<ListQuotas>);
}

}  // namespace hf::api::holdfast_api
