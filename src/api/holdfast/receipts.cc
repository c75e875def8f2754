// Receipts: what each answer was made of; and the replay, which makes it once more and compares.
#include <boost/json.hpp>

#include "api/holdfast/replay.h"
#include "security/json.h"
#include "security/receipt.h"
#include "wire/json.h"

namespace hf::api::holdfast_api {
namespace {

Result<wire::Document> document_of(const security::Receipt& receipt) {
  return security::parse_json(security::to_json(receipt), 64 << 10, "receipt");
}

struct ListReceiptsRequest {
  std::optional<std::string> account, after;
  std::optional<int64_t> limit;
  static void fields(wire::Fields<ListReceiptsRequest>& f) {
    f("account", &ListReceiptsRequest::account).query("account").pattern("[0-9]{12}");
    f("after", &ListReceiptsRequest::after).query("after").length(0, 64);
    f("limit", &ListReceiptsRequest::limit).query("limit").range(1, 1000);
  }
};

struct ListReceiptsResponse {
  std::vector<wire::Document> receipts;
  std::optional<std::string> next;  // pass as `after`
  static void fields(wire::Fields<ListReceiptsResponse>& f) {
    f("next", &ListReceiptsResponse::next);
    f("receipts", &ListReceiptsResponse::receipts);
  }
};

Result<ListReceiptsResponse> list_receipts(Call& call, const ListReceiptsRequest& in) {
  const int64_t limit = in.limit.value_or(100);
  std::vector<security::Receipt> page;
  TRY(call.read([&](store::Txn& txn) -> Status {
    page = TRY(security::list_receipts(txn, account_or_own(call, in.account), in.after.value_or(""), limit));
    return {};
  }));
  ListReceiptsResponse out;
  for (const auto& receipt : page) out.receipts.push_back(TRY(document_of(receipt)));
  if (static_cast<int64_t>(page.size()) >= limit) out.next = page.back().id;
  return out;
}

struct ReceiptRequest {
  std::string id;
  std::optional<std::string> account;
  static void fields(wire::Fields<ReceiptRequest>& f) {
    f("id", &ReceiptRequest::id).path().required().pattern("rcpt-[0-9a-f]{32}");
    f("account", &ReceiptRequest::account).query("account").pattern("[0-9]{12}");
  }
};

struct ReceiptResponse {
  wire::Document receipt;
  std::string public_key;
  static void fields(wire::Fields<ReceiptResponse>& f) {
    f("public_key", &ReceiptResponse::public_key);
    f("receipt", &ReceiptResponse::receipt);
  }
};

Result<security::Receipt> find(Call& call, const std::string& id, const std::optional<std::string>& account) {
  std::optional<security::Receipt> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(security::find_receipt(txn, account_or_own(call, account), id));
    return {};
  }));
  if (!found) return not_found("there is no receipt " + id);
  return *found;
}

Result<ReceiptResponse> get_receipt(Call& call, const ReceiptRequest& in) {
  auto receipt = TRY(find(call, in.id, in.account));
  return ReceiptResponse{TRY(document_of(receipt)), call.site().signing_key.public_pem()};
}

struct ReplayRequest {
  std::string id;
  wire::Document request;  // the body of the request that the receipt is of
  static void fields(wire::Fields<ReplayRequest>& f) {
    f("id", &ReplayRequest::id).path().required().pattern("rcpt-[0-9a-f]{32}");
    f("request", &ReplayRequest::request).required();
  }
};

struct ReplayResponse {
  bool replayed = false;
  std::vector<std::string> differences;
  std::string receipt;  // of the replay itself
  static void fields(wire::Fields<ReplayResponse>& f) {
    f("differences", &ReplayResponse::differences);
    f("receipt", &ReplayResponse::receipt);
    f("replayed", &ReplayResponse::replayed);
  }
};

Result<ReplayResponse> replay_receipt(Call& call, const ReplayRequest& in) {
  security::Receipt receipt = TRY(find(call, in.id, std::nullopt));
  if (!security::verify_receipt(receipt, call.site().signing_key.public_raw()))
    return fail(Code::corrupt, "the signature of receipt " + in.id + " does not verify");
  Replay result = TRY(replay(call, receipt, in.request));
  return ReplayResponse{result.differences.empty(), result.differences, result.receipt_id};
}

}  // namespace

void add_receipts(Service& s) {
  s.add<ListReceiptsRequest, ListReceiptsResponse>("ListReceipts", {"GET", "/holdfast/v1/receipts"}, Effect::read,
                                                   list_receipts, [](const Call& call, const ListReceiptsRequest& in) {
                                                     return own_arn(call, "receipt/*", in.account.value_or(""));
                                                   });
  s.add<ReceiptRequest, ReceiptResponse>("GetReceipt", {"GET", "/holdfast/v1/receipts/{id}"}, Effect::read, get_receipt,
                                         [](const Call& call, const ReceiptRequest& in) {
                                           return own_arn(call, "receipt/" + in.id, in.account.value_or(""));
                                         });
  auto& replay = s.add<ReplayRequest, ReplayResponse>(
      "ReplayReceipt", {"POST", "/holdfast/v1/receipts/{id}/replay"}, Effect::inference, replay_receipt,
      [](const Call& call, const ReplayRequest& in) { return own_arn(call, "receipt/" + in.id); });
  replay.pool = http::Pool::generate;
  replay.body_limit = 25 << 20;
}

}  // namespace hf::api::holdfast_api
