// The hostile minute, and what an auditor can check: each attack must be refused or found, by name.
#include <boost/json.hpp>

#include "app/json_path.h"
#include "app/quickstart/program.h"
#include "app/quickstart/run.h"
#include "app/training.h"
#include "base/text.h"
#include "crypto/crypto.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr uint64_t kMaxEvidenceFile = 1ull << 30;

std::string outcome_of(const http::Response& response) {
  return std::to_string(response.status) + " " + error_of(response).name;
}

Status copy_folder(os::Fs& fs, const std::string& from, const std::string& to) {
  TRY(fs.remove_tree(to));
  TRY(fs.make_dirs(to));
  for (const auto& name : TRY(fs.list(from))) {
    TRY(fs.write_file_atomic(to + "/" + name, TRY(fs.read_file(from + "/" + name, kMaxEvidenceFile))));
  }
  return {};
}

// Changes one bit of a letter or digit in the middle of the file, and its digest in the manifest with it, as a forger
// would: what is left to find it are the tree, the proofs and the signatures. Where it is.
Result<size_t> flip(os::Fs& fs, const std::string& folder, const std::string& file) {
  const std::string path = folder + "/" + file;
  std::string bytes = TRY(fs.read_file(path, kMaxEvidenceFile));
  const std::string before = crypto::sha256_hex(bytes);
  size_t at = bytes.size() / 2;
  auto plain = [&](char c) { return (c >= 'a' && c <= 'y') || (c >= '0' && c <= '8'); };
  while (at < bytes.size() && !plain(bytes[at])) at++;
  if (at >= bytes.size()) return fail(Code::internal, path + ": nothing in it to change");
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  TRY(fs.write_file_atomic(path, bytes));
  std::string manifest = TRY(fs.read_file(folder + "/manifest.json", kMaxEvidenceFile));
  const size_t digest = manifest.find(before);
  if (digest == manifest.npos) return fail(Code::corrupt, folder + "/manifest.json: expected the SHA-256 of " + file);
  manifest.replace(digest, before.size(), crypto::sha256_hex(bytes));
  TRY(fs.write_file_atomic(folder + "/manifest.json", manifest));
  return at;
}

}  // namespace

Status QuickstartRun::attack() {
  heading("The hostile minute: each of these must be refused, or found");
  TRY(attack_from_worker());
  TRY(attack_with_wrong_signature());
  TRY(attack_without_right());
  for (const auto& a : report_.attacks) {
    tell(std::string(a.refused ? "  refused  " : "  ALLOWED  ") + a.name + ": " + a.tried + " -> " + a.outcome);
  }
  for (const auto& [name, value] : report_.counters) tell("  kernel   " + name + " = " + std::to_string(value));
  return {};
}

Status QuickstartRun::attack_from_worker() {
  json::value none = json::object();
  json::value probe = TRY(client_->holdfast("POST", "/probe", &none));
  if (const auto* attempts = at_path(probe, {"attempts"}); attempts && attempts->is_array()) {
    for (const auto& a : attempts->get_array()) {
      report_.attacks.push_back({"from the worker: " + text_at(a, {"name"}), text_at(a, {"tried"}),
                                 text_at(a, {"outcome"}), true_at(a, {"refused"})});
    }
  }
  if (report_.attacks.empty())
    report_.attacks.push_back({"from the worker", "nothing", "the probe did not run", false});
  if (const auto* counters = at_path(probe, {"counters"}); counters && counters->is_object()) {
    for (const auto& counter : counters->get_object()) {
      if (counter.value().is_number())
        report_.counters.emplace_back(counter.key(), counter.value().to_number<int64_t>());
    }
  }
  return {};
}

Status QuickstartRun::attack_with_wrong_signature() {
  Connection connection = client_->connection();
  std::string secret(connection.credentials.secret.reveal());
  secret.back() = secret.back() == 'A' ? 'B' : 'A';
  connection.credentials.secret = crypto::Secret(secret);
  auto thief = TRY(ApiClient::make(std::move(connection), context_.clock));
  ApiClient::Request request;
  request.service = "s3";
  auto response = TRY(thief->send(request));
  report_.attacks.push_back({"wrong signature", "ListBuckets with one character of the secret key changed",
                             outcome_of(response), response.status == 403});
  return {};
}

Status QuickstartRun::attack_without_right() {
  json::value body =
      json::object{{"name", "quickstart-visitor"}, {"kind", "api"}, {"actions", json::array{"s3:ListAllMyBuckets"}}};
  json::value made = TRY(client_->holdfast("POST", "/keys", &body));
  const std::string id = text_at(made, {"key", "id"});
  Connection connection = client_->connection();
  connection.api_key = crypto::Secret(text_at(made, {"secret"}));
  auto visitor = TRY(ApiClient::make(std::move(connection), context_.clock));
  ApiClient::Request request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers.set("content-type", "application/json");
  request.body = json::serialize(json::object{
      {"model", name_}, {"messages", json::array{json::object{{"role", "user"}, {"content", "Let me in."}}}}});
  auto response = TRY(visitor->send(request));
  report_.attacks.push_back({"key without the right", "a chat with a key that may only list buckets",
                             outcome_of(response), response.status == 403});
  TRY(client_->holdfast("DELETE", "/keys/" + percent_encode(id)));
  response = TRY(visitor->send(request));
  report_.attacks.push_back({"removed key", "the same key after it was removed", outcome_of(response),
                             response.status == 401 || response.status == 403});
  return {};
}

Status QuickstartRun::replay() {
  heading("A receipt, replayed");
  json::error_code error;
  json::value body = json::object{{"request", json::parse(asked_.request, error)}};
  if (asked_.receipt.empty()) {
    tell("  NO receipt came with the answer");
    return {};
  }
  json::value answer = TRY(client_->holdfast("POST", "/receipts/" + percent_encode(asked_.receipt) + "/replay", &body));
  report_.receipt_replayed = true_at(answer, {"replayed"});
  const auto* differences = at_path(answer, {"differences"});
  tell(report_.receipt_replayed
           ? "  " + asked_.receipt + ": the same tokens, bit for bit"
           : "  NOT the same: " + (differences ? json::serialize(*differences) : "no reason given"));
  report_.made.emplace_back("receipt", asked_.receipt);
  return {};
}

Status QuickstartRun::keep_head() {
  heading("The ledger");
  json::value none = json::object();
  json::value verified = TRY(client_->holdfast("POST", "/ledger/verify", &none));
  report_.ledger_verified = true_at(verified, {"ok"});
  tell(report_.ledger_verified
           ? "  whole: " + std::to_string(integer_at(verified, {"entries"})) + " entries, recomputed one by one"
           : "  NOT what was written: " + text_at(verified, {"problem"}));
  json::value head = TRY(client_->holdfast("GET", "/ledger/head"));
  if (const auto* inner = at_path(head, {"head"})) report_.head = *inner;
  TRY(context_.fs.write_file_atomic(folder_ + "/head.json", json::serialize(report_.head) + "\n", 0644));
  tell("  its signed head -- keep it off this machine, and nobody can shorten or change the log unseen:");
  tell("  " + json::serialize(report_.head));
  report_.made.emplace_back("signed head", folder_ + "/head.json");
  return {};
}

Result<bool> QuickstartRun::verify_folder(const std::string& folder, const std::string& what) {
  const std::string script = evidence_verifier(context_.fs);
  if (script.empty()) {
    tell("  scripts/verify-evidence was not found beside this program: " + what + " was NOT checked");
    return false;
  }
  auto checked = TRY(run_program(context_, context_.state + "/quickstart", "/usr/bin/python3",
                                 {script, folder, "--head", folder_ + "/head.json", "--json"}, 300, 16 << 20));
  if (checked.status != 0 && checked.status != 1) {
    return fail(Code::internal, "verify-evidence ended with status " + std::to_string(checked.status) + ": " +
                                    std::string(trim(checked.err)));
  }
  json::error_code error;
  json::value answer = json::parse(checked.out, error);
  std::string first;
  if (const auto* problems = at_path(answer, {"problems"});
      problems && problems->is_array() && !problems->get_array().empty()) {
    const auto& problem = problems->get_array()[0];
    first = problem.is_string() ? std::string(std::string_view(problem.get_string())) : json::serialize(problem);
  }
  tell("  " + what + ": " + (checked.status == 0 ? "accepted" : "rejected, " + first));
  return checked.status == 0;
}

Status QuickstartRun::export_evidence() {
  heading("Evidence, checked by Python and openssl with none of our code");
  json::value exported = TRY(client_->holdfast("POST", "/evidence"));
  evidence_ = TRY(absolute_path(text_at(exported, {"folder"})));
  report_.evidence_verified = TRY(verify_folder(evidence_, "the evidence"));
  report_.made.emplace_back("evidence", evidence_);
  return {};
}

Status QuickstartRun::alter_evidence() {
  const std::string copy = folder_ + "/altered";
  bool rejected = true;
  for (const auto& file : {"entries.jsonl", "receipts.jsonl"}) {
    TRY(copy_folder(context_.fs, evidence_, copy));
    size_t at = TRY(flip(context_.fs, copy, file));
    const std::string what = std::string("a copy with one bit of ") + file + " changed, at byte " + std::to_string(at) +
                             " (and its digest in the manifest made to fit)";
    bool found = !TRY(verify_folder(copy, what)) && report_.evidence_verified;
    if (std::string_view(file) == "entries.jsonl") {
      report_.attacks.push_back({"flipped byte in the ledger", what, found ? "found" : "not found", found});
    }
    rejected = rejected && found;
  }
  report_.altered_evidence_rejected = rejected;
  return context_.fs.remove_tree(copy);
}

}  // namespace hf::app
