// The ledger, to read and to check. Heads and proofs hold hashes only, so a tenant may have the right to them (and keep
// a head off the machine); the entries are the administrator's.
#include <algorithm>
#include <boost/json.hpp>

#include "api/holdfast/operations.h"
#include "base/bytes.h"
#include "security/evidence.h"

namespace hf::api::holdfast_api {
namespace {

struct HeadView {
  std::string site, root, signature;
  int64_t size = 0, time = 0;  // time: microseconds since 1970, as it was signed
  static void fields(wire::Fields<HeadView>& f) {
    f("root", &HeadView::root).required();
    f("signature", &HeadView::signature).required();
    f("site", &HeadView::site).required();
    f("size", &HeadView::size).required();
    f("time", &HeadView::time).required();
  }
};

HeadView view_of(const Call& call, const security::Head& head) {
  return {call.site().id, hex(head.root), hex(head.signature), static_cast<int64_t>(head.size), head.time};
}

struct HeadResponse {
  HeadView head;
  std::string public_key;
  static void fields(wire::Fields<HeadResponse>& f) {
    f("head", &HeadResponse::head);
    f("public_key", &HeadResponse::public_key);
  }
};

Result<HeadResponse> get_head(Call& call, const Nothing&) {
  return HeadResponse{view_of(call, TRY(call.site().ledger.head())), call.site().signing_key.public_pem()};
}

struct EntriesRequest {
  std::optional<int64_t> from, limit;
  static void fields(wire::Fields<EntriesRequest>& f) {
    f("from", &EntriesRequest::from).query("from").range(0, 9e15);
    f("limit", &EntriesRequest::limit).query("limit").range(1, 1000);
  }
};

struct EntriesResponse {
  std::vector<std::string> lines;  // each exactly the bytes that were hashed
  int64_t from = 0, size = 0;
  static void fields(wire::Fields<EntriesResponse>& f) {
    f("from", &EntriesResponse::from);
    f("lines", &EntriesResponse::lines);
    f("size", &EntriesResponse::size);
  }
};

Result<EntriesResponse> get_entries(Call& call, const EntriesRequest& in) {
  EntriesResponse out;
  out.from = in.from.value_or(0);
  out.size = static_cast<int64_t>(TRY(call.site().ledger.head()).size);
  out.lines =
      TRY(call.site().ledger.entries(static_cast<uint64_t>(out.from), static_cast<uint64_t>(in.limit.value_or(100))));
  return out;
}

std::vector<std::string> hexes(const std::vector<std::string>& hashes) {
  std::vector<std::string> out;
  for (const auto& h : hashes) out.push_back(hex(h));
  return out;
}

struct ProofRequest {
  int64_t index = 0;
  std::optional<int64_t> size;
  static void fields(wire::Fields<ProofRequest>& f) {
    f("index", &ProofRequest::index).query("index").required().range(0, 9e15);
    f("size", &ProofRequest::size).query("size").range(1, 9e15);
  }
};

struct ProofResponse {
  int64_t index = 0, size = 0;
  std::string leaf;
  std::vector<std::string> proof;
  HeadView head;
  static void fields(wire::Fields<ProofResponse>& f) {
    f("head", &ProofResponse::head);
    f("index", &ProofResponse::index);
    f("leaf", &ProofResponse::leaf);
    f("proof", &ProofResponse::proof);
    f("size", &ProofResponse::size);
  }
};

Result<ProofResponse> get_proof(Call& call, const ProofRequest& in) {
  auto& ledger = call.site().ledger;
  security::Head head = TRY(ledger.head());
  ProofResponse out;
  out.index = in.index;
  out.size = in.size.value_or(static_cast<int64_t>(head.size));
  out.head = view_of(call, head);
  if (out.index >= out.size || out.size > out.head.size)
    return invalid("expected index < size <= " + std::to_string(out.head.size));
  out.leaf = hex(security::leaf_hash(TRY(ledger.entry_json(static_cast<uint64_t>(in.index)))));
  out.proof = hexes(TRY(ledger.inclusion_proof(static_cast<uint64_t>(in.index), static_cast<uint64_t>(out.size))));
  return out;
}

struct ConsistencyRequest {
  int64_t from = 0;
  std::optional<int64_t> to;
  static void fields(wire::Fields<ConsistencyRequest>& f) {
    f("from", &ConsistencyRequest::from).query("from").required().range(0, 9e15);
    f("to", &ConsistencyRequest::to).query("to").range(0, 9e15);
  }
};

struct ConsistencyResponse {
  int64_t from = 0, to = 0;
  std::vector<std::string> proof;
  HeadView head;
  static void fields(wire::Fields<ConsistencyResponse>& f) {
    f("from", &ConsistencyResponse::from);
    f("head", &ConsistencyResponse::head);
    f("proof", &ConsistencyResponse::proof);
    f("to", &ConsistencyResponse::to);
  }
};

Result<ConsistencyResponse> get_consistency(Call& call, const ConsistencyRequest& in) {
  security::Head head = TRY(call.site().ledger.head());
  ConsistencyResponse out;
  out.from = in.from;
  out.to = in.to.value_or(static_cast<int64_t>(head.size));
  out.head = view_of(call, head);
  if (out.from > out.to || out.to > out.head.size)
    return invalid("expected from <= to <= " + std::to_string(out.head.size));
  out.proof =
      hexes(TRY(call.site().ledger.consistency_proof(static_cast<uint64_t>(out.from), static_cast<uint64_t>(out.to))));
  return out;
}

struct VerifyRequest {
  std::optional<HeadView> head;
  static void fields(wire::Fields<VerifyRequest>& f) { f("head", &VerifyRequest::head); }
};

struct VerifyResponse {
  bool ok = false;
  std::string problem;
  int64_t entries = 0;
  HeadView head;
  static void fields(wire::Fields<VerifyResponse>& f) {
    f("entries", &VerifyResponse::entries);
    f("head", &VerifyResponse::head);
    f("ok", &VerifyResponse::ok);
    f("problem", &VerifyResponse::problem);
  }
};

Result<VerifyResponse> verify_ledger(Call& call, const VerifyRequest& in) {
  std::optional<security::Head> kept;
  if (in.head) {
    if (in.head->site != call.site().id) return invalid("head.site: expected this site, " + call.site().id);
    kept = security::Head{static_cast<uint64_t>(std::max<int64_t>(in.head->size, 0)), TRY(unhex(in.head->root)),
                          in.head->time, TRY(unhex(in.head->signature))};
  }
  auto report = TRY(call.site().ledger.verify(kept ? &*kept : nullptr));
  return VerifyResponse{report.ok, report.problem, static_cast<int64_t>(report.entries), view_of(call, report.head)};
}

}  // namespace

void add_ledger(Service& s) {
  auto own = [](const Call& call, const auto&) { return own_arn(call, "ledger"); };
  s.add<Nothing, HeadResponse>("GetLedgerHead", {"GET", "/holdfast/v1/ledger/head"}, Effect::read, get_head, own);
  s.add<EntriesRequest, EntriesResponse>(
      "GetLedgerEntries", {"GET", "/holdfast/v1/ledger/entries"}, Effect::read_data, get_entries,
      [](const Call& call, const EntriesRequest&) { return site_arn(call, "ledger"); });
  s.add<ProofRequest, ProofResponse>("GetLedgerProof", {"GET", "/holdfast/v1/ledger/proof"}, Effect::read, get_proof,
                                     own);
  s.add<ConsistencyRequest, ConsistencyResponse>("GetLedgerConsistency", {"GET", "/holdfast/v1/ledger/consistency"},
                                                 Effect::read, get_consistency, own);
  s.add<VerifyRequest, VerifyResponse>("VerifyLedger", {"POST", "/holdfast/v1/ledger/verify"}, Effect::read,
                                       verify_ledger, own)
      .pool = http::Pool::data;  // reads the whole log
}

}  // namespace hf::api::holdfast_api
