// The site itself: its status, what was used, and the hostile minute.
#include <boost/json.hpp>

#include "api/holdfast/operations.h"
#include "fleet/fleet.h"
#include "fleet/usage.h"
#include "wire/json.h"

namespace hf::api::holdfast_api {
namespace {

namespace json = boost::json;

struct DocumentResponse {
  wire::Document document;
  static void fields(wire::Fields<DocumentResponse>& f) { f("document", &DocumentResponse::document).payload(); }
};

Result<DocumentResponse> get_status(Call& call, const Nothing&) {
  if (!call.site().status_json) return fail(Code::unavailable, "this site has no status to tell");
  return DocumentResponse{TRY(wire::parse_json(call.site().status_json()))};
}

struct UsageRequest {
  std::optional<std::string> account, from, to, after;
  std::optional<int64_t> limit;
  static void fields(wire::Fields<UsageRequest>& f) {
    f("account", &UsageRequest::account).query("account").pattern("[0-9]{12}");
    f("from", &UsageRequest::from).query("from").pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}");
    f("to", &UsageRequest::to).query("to").pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}");
    f("after", &UsageRequest::after).query("after").length(0, 1024);
    f("limit", &UsageRequest::limit).query("limit").range(1, 1000);
  }
};

struct StorageView {
  int64_t objects = 0, bytes = 0;
  static void fields(wire::Fields<StorageView>& f) {
    f("objects", &StorageView::objects);
    f("bytes", &StorageView::bytes);
  }
};
struct UsageResponse {
  StorageView storage;                // now
  std::vector<wire::Document> usage;  // {"day","principal","model","requests","errors","input_tokens","output_tokens",
                                      //  "jobs","job_microseconds"}
  std::optional<std::string> next;    // pass as `after`
  static void fields(wire::Fields<UsageResponse>& f) {
    f("next", &UsageResponse::next);
    f("usage", &UsageResponse::usage);
    f("storage", &UsageResponse::storage);
  }
};

// Rows are named DAY/PRINCIPAL/MODEL, so days are ranges of names; `to` is the last day that is in.
Result<UsageResponse> get_usage(Call& call, const UsageRequest& in) {
  const int64_t limit = in.limit.value_or(1000);
  std::vector<store::Record> page;
  UsageResponse out;
  std::string after = in.after.value_or(in.from.value_or(""));
  TRY(call.read([&](store::Txn& txn) -> Status {
    page = TRY(store::list_records(txn, "usage", account_or_own(call, in.account), after, limit));
    const auto stored = TRY(fleet::storage_of(txn, account_or_own(call, in.account)));
    out.storage = {stored.objects, stored.bytes};
    return {};
  }));
  for (const auto& row : page) {
    if (in.to && row.name.substr(0, 10) > *in.to) return out;
    json::value v = TRY(wire::parse_json(row.body));
    if (v.is_object()) v.get_object()["account"] = row.account;
    out.usage.push_back(std::move(v));
  }
  if (static_cast<int64_t>(page.size()) >= limit) out.next = page.back().name;
  return out;
}

struct Attempt {
  std::string name, tried, outcome;
  bool refused = false;
  static void fields(wire::Fields<Attempt>& f) {
    f("name", &Attempt::name);
    f("outcome", &Attempt::outcome);
    f("refused", &Attempt::refused);
    f("tried", &Attempt::tried);
  }
};

struct ProbeResponse {
  std::vector<Attempt> attempts;
  std::map<std::string, int64_t> counters;
  bool all_refused = false;
  std::string isolation;
  static void fields(wire::Fields<ProbeResponse>& f) {
    f("all_refused", &ProbeResponse::all_refused);
    f("attempts", &ProbeResponse::attempts);
    f("counters", &ProbeResponse::counters);
    f("isolation", &ProbeResponse::isolation);
  }
};

Result<ProbeResponse> probe(Call& call, const Nothing&) {
  auto report = TRY(call.site().fleet.probe());
  ProbeResponse out;
  out.all_refused = !report.attempts.empty();
  int64_t refused = 0;
  for (const auto& a : report.attempts) {
    out.attempts.push_back({a.name, a.tried, a.outcome, a.refused});
    refused += a.refused;
    out.all_refused = out.all_refused && a.refused;
  }
  out.counters = report.counters;
  out.isolation = call.site().fleet.status().isolation;
  TRY(call.record("{\"attempts\":" + std::to_string(report.attempts.size()) +
                  ",\"refused\":" + std::to_string(refused) + "}"));
  return out;
}

}  // namespace

void add_site(Service& s) {
  s.add<Nothing, DocumentResponse>("GetStatus", {"GET", "/holdfast/v1/status"}, Effect::read, get_status,
                                   [](const Call& call, const Nothing&) { return own_arn(call, "status"); });
  s.add<UsageRequest, UsageResponse>(
      "GetUsage", {"GET", "/holdfast/v1/usage"}, Effect::read, get_usage,
      [](const Call& call, const UsageRequest& in) { return own_arn(call, "usage", in.account.value_or("")); });
  s.add<Nothing, ProbeResponse>("Probe", {"POST", "/holdfast/v1/probe"}, Effect::write, probe,
                                [](const Call& call, const Nothing&) { return site_arn(call, "worker"); })
      .pool = http::Pool::data;
}

}  // namespace hf::api::holdfast_api
