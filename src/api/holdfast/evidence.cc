// Evidence: written into the site's state folder, and its files given out one by one.
#include "security/evidence.h"

#include <algorithm>
#include <boost/json.hpp>

#include "api/holdfast/files.h"
#include "base/bytes.h"
#include "fleet/fleet.h"
#include "fleet/registry.h"
#include "security/json.h"
#include "security/keys.h"

namespace hf::api::holdfast_api {
namespace {

namespace json = boost::json;

Result<std::string> folder_of(const Call& call) {
  if (!call.site().fs || call.site().state.empty())
    return fail(Code::unavailable, "this site has no state folder to write evidence into");
  return call.site().state + "/evidence";
}

// What runs here, and which models it may have answered with.
Result<std::string> software(Call& call) {
  json::array models;
  for (const auto& account : TRY(call.site().keys.accounts())) {
    for (std::string after;;) {
      std::vector<fleet::Model> page;
      TRY(call.read([&](store::Txn& txn) -> Status {
        page = TRY(fleet::models_of(txn, account.id, after, 500));
        return {};
      }));
      if (page.empty()) break;
      for (const auto& m : page)
        models.push_back(json::object{{"account", m.account}, {"arn", m.arn}, {"digest", m.digest}, {"name", m.name}});
      after = page.back().name;
    }
  }
  auto worker = call.site().fleet.status();
  return security::canonical_json(json::object{{"engine_build", worker.build},
                                               {"isa", worker.isa},
                                               {"isolation", worker.isolation},
                                               {"models", models},
                                               {"program", call.site().version}});
}

struct ExportRequest {
  std::optional<int64_t> from, to;  // microseconds since 1970
  static void fields(wire::Fields<ExportRequest>& f) {
    f("from", &ExportRequest::from).range(0, 9e15);
    f("to", &ExportRequest::to).range(0, 9e15);
  }
};

struct ExportResponse {
  std::string folder;
  std::vector<std::string> files;
  int64_t first = 0, entries = 0, heads = 0, receipts = 0, proofs = 0, bytes = 0;
  wire::Document head;
  static void fields(wire::Fields<ExportResponse>& f) {
    f("bytes", &ExportResponse::bytes);
    f("entries", &ExportResponse::entries);
    f("files", &ExportResponse::files);
    f("first", &ExportResponse::first);
    f("folder", &ExportResponse::folder);
    f("head", &ExportResponse::head);
    f("heads", &ExportResponse::heads);
    f("proofs", &ExportResponse::proofs);
    f("receipts", &ExportResponse::receipts);
  }
};

Result<ExportResponse> export_evidence(Call& call, const ExportRequest& in) {
  Site& site = call.site();
  std::string folder = TRY(folder_of(call));
  if (in.from && in.to && *in.from > *in.to) return invalid("from: expected a time that is not after to");
  auto lock = site.fs->lock(folder + ".lock");
  if (!lock.ok()) return fail(Code::conflict, "BusyException", "evidence is being written by another request");
  TRY(call.record());  // first, so that the evidence tells of itself
  security::EvidenceSource source{site.db, site.ledger, site.signing_key, site.id, TRY(software(call))};
  auto report = TRY(security::export_evidence(*site.fs, source, call.now(), folder, {in.from, in.to}));
  ExportResponse out;
  out.folder = folder;
  out.files = report.files;
  out.first = static_cast<int64_t>(report.first);
  out.entries = static_cast<int64_t>(report.entries);
  out.heads = static_cast<int64_t>(report.heads);
  out.receipts = static_cast<int64_t>(report.receipts);
  out.proofs = static_cast<int64_t>(report.proofs);
  out.bytes = static_cast<int64_t>(report.bytes);
  out.head = TRY(security::parse_json(security::head_json(site.id, report.head), 4096, "head"));
  return out;
}

struct FileRequest {
  std::string file;
  static void fields(wire::Fields<FileRequest>& f) {
    f("file", &FileRequest::file).path().required().pattern("[A-Za-z0-9-]{1,64}\\.(jsonl|json|pem|txt)");
  }
};

Result<FileResponse> get_file(Call& call, const FileRequest& in) {
  std::string folder = TRY(folder_of(call));
  auto file = call.site().fs->open(folder + "/" + in.file, os::Open::read);
  if (!file.ok() && file.error().code == Code::not_found)
    return not_found("there is no evidence file " + in.file + ": export first");
  return file_response(TRY(std::move(file)), "application/octet-stream");
}

}  // namespace

void add_evidence(Service& s) {
  auto site = [](const Call& call, const auto&) { return site_arn(call, "evidence"); };
  s.add<ExportRequest, ExportResponse>("ExportEvidence", {"POST", "/holdfast/v1/evidence"}, Effect::write,
                                       export_evidence, site)
      .pool = http::Pool::data;
  s.add<FileRequest, FileResponse>("GetEvidenceFile", {"GET", "/holdfast/v1/evidence/{file}"}, Effect::read_data,
                                   get_file, site)
      .pool = http::Pool::data;
}

}  // namespace hf::api::holdfast_api
