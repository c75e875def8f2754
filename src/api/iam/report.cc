// The credential report: who can prove who they are, by what, since when, and when they last did. It is made at once
// and kept, so that what is read later is what was so then; the ledger has its digest.
#include <boost/json.hpp>
#include <map>

#include "api/iam/iam.h"
#include "crypto/crypto.h"
#include "security/json.h"
#include "security/people.h"

namespace hf::api::iam_api {
namespace json = boost::json;
namespace {

constexpr const char* kReport = "credential-report";
constexpr Micros kValid = 4 * 3'600'000'000;
constexpr size_t kMaxReport = 64 << 20;
constexpr const char* kHeader =
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated";
constexpr const char* kNone = "N/A";

struct Person {
  std::string name, arn;
  Micros created = 0;
  std::string password = "false", device = "false";
  std::vector<security::KeyInfo> keys;
};

// Names may hold commas.
std::string cell(const std::string& text) { return text.find(',') == text.npos ? text : "\"" + text + "\""; }

Result<std::string> key_cells(Call& call, const security::KeyInfo* key) {
  if (!key) return std::string(",false,N/A,N/A,N/A,N/A");
  const auto use = TRY(call.site().keys.last_use(key->id));
  const bool used = use.time > 0;
  return std::string(key->active ? ",true," : ",false,") + iso8601(key->created) + "," +
         (used ? iso8601(use.time) : kNone) + "," + (used ? call.site().region : kNone) + "," +
         (used ? use.service : kNone);
}

// A line for two keys each; one at least. When a password was last used or changed is not kept.
Result<std::string> lines_of(Call& call, const Person& p) {
  std::string out;
  const bool password = p.password == "true";
  size_t at = 0;
  do {
    out += cell(p.name) + "," + cell(p.arn) + "," + iso8601(p.created) + "," + p.password + "," +
           (password ? "no_information,no_information" : "N/A,N/A") + ",N/A," + p.device;
    for (size_t i = at; i < at + 2; ++i) out += TRY(key_cells(call, i < p.keys.size() ? &p.keys[i] : nullptr));
    out += ",false,N/A,false,N/A\n";
    at += 2;
  } while (at < p.keys.size());
  return out;
}

Result<std::vector<Person>> users_of(store::Txn& txn, const Call& call) {
  std::vector<Person> out;
  auto& people = call.site().people;
  for (const Entity& e : TRY(store_of::list(txn, Kind::user, call.account(), "/"))) {
    Person p;
    p.name = e.name;
    p.arn = store_of::arn_of(e);
    p.created = e.created;
    if (TRY(people.profile(txn, e.id))) p.password = "true";
    if (!TRY(people.devices_of(txn, e.id)).empty()) p.device = "true";
    for (const auto& k : TRY(store_of::keys_of(txn, e.id)))
      if (auto info = TRY(call.site().keys.find(txn, k.id)); info && info->kind == "access")
        p.keys.push_back(std::move(*info));
    out.push_back(std::move(p));
  }
  return out;
}

// First the account itself, which has no credentials here, then who has keys of the site's own, then IAM's users.
Result<std::vector<Person>> persons(Call& call) {
  std::vector<Person> out;
  const std::string prefix = "arn:aws:iam::" + call.account() + ":";
  Person root;
  root.name = "<root_account>";
  root.arn = prefix + "root";
  root.password = "not_supported";
  for (const auto& a : TRY(call.site().keys.accounts()))
    if (a.id == call.account()) root.created = a.created;
  out.push_back(std::move(root));
  std::map<std::string, Person> own;
  for (auto& key : TRY(call.site().keys.list(call.account()))) {
    if (!key.user_id.empty()) continue;
    Person& p = own[key.name];
    p.name = key.name;
    p.arn = prefix + "user/" + key.name;
    if (p.keys.empty() || key.created < p.created) p.created = key.created;
    p.keys.push_back(std::move(key));
  }
  for (auto& [name, p] : own) out.push_back(std::move(p));
  std::vector<Person> users;
  TRY(call.read([&](store::Txn& txn) -> Status {
    users = TRY(users_of(txn, call));
    return {};
  }));
  for (Person& p : users) out.push_back(std::move(p));
  return out;
}

struct GenerateResponse {
  std::string state = "COMPLETE", description = "the report is ready";
  static void fields(wire::Fields<GenerateResponse>& f) {
    f("State", &GenerateResponse::state);
    f("Description", &GenerateResponse::description);
  }
};

Result<GenerateResponse> generate(Call& call, const Nothing&) {
  std::string text = std::string(kHeader) + "\n";
  for (const Person& p : TRY(persons(call))) text += TRY(lines_of(call, p));
  store::Record row;
  row.kind = kReport;
  row.account = call.account();
  row.name = "report";
  row.created = row.updated = call.now();
  row.body = security::canonical_json(json::object{{"made", call.now()}, {"text", text}});
  TRY(call.commit([&](store::Txn& txn) { return store::put_record(txn, row); },
                  security::canonical_json(json::object{{"ContentSha256", crypto::sha256_hex(text)}})));
  return GenerateResponse{};
}

struct ReportResponse {
  wire::Blob content;
  std::string format = "text/csv";
  wire::Timestamp made;
  static void fields(wire::Fields<ReportResponse>& f) {
    f("Content", &ReportResponse::content);
    f("ReportFormat", &ReportResponse::format);
    f("GeneratedTime", &ReportResponse::made);
  }
};

Result<ReportResponse> get_report(Call& call, const Nothing&) {
  std::optional<store::Record> row;
  TRY(call.read([&](store::Txn& txn) -> Status {
    row = TRY(store::get_record(txn, kReport, call.account(), "report"));
    return {};
  }));
  if (!row) return fail(Code::not_found, "ReportNotPresent", "there is no report; GenerateCredentialReport makes one");
  const json::value body = TRY(security::parse_json(row->body, kMaxReport, "the credential report"));
  const json::object* o = body.if_object();
  if (!o || !o->contains("made") || !o->at("made").is_int64() || !o->contains("text") || !o->at("text").is_string())
    return fail(Code::corrupt, "the credential report of " + call.account() + ": expected 'made' and 'text'");
  ReportResponse out;
  out.made.us = o->at("made").get_int64();
  out.content.bytes = std::string(o->at("text").get_string());
  if (call.now() > out.made.us + kValid)
    return fail(
        Code::not_found, "ReportExpired",
        "the report of " + iso8601(out.made.us) + " is more than 4 hours old; GenerateCredentialReport makes one");
  return out;
}

std::string whole_account(const Call&, const Nothing&) { return "*"; }

}  // namespace

void add_report(Service& s) {
  s.add<Nothing, GenerateResponse>("GenerateCredentialReport", {}, Effect::write, generate, whole_account);
  s.add<Nothing, ReportResponse>("GetCredentialReport", {}, Effect::read, get_report, whole_account);
}

}  // namespace hf::api::iam_api
