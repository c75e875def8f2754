#include "security/trail.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/bytes.h"
#include "security/json.h"

namespace hf::security {
namespace json = boost::json;
namespace {

constexpr uint64_t kMostAStep = 5'000;
constexpr Micros kSecond = 1'000'000;
constexpr TrailKey kKeys[] = {TrailKey::all,       TrailKey::name,       TrailKey::source,   TrailKey::user,
                              TrailKey::read_only, TrailKey::access_key, TrailKey::resource, TrailKey::resource_type};

constexpr const char* kSchema[] = {
    "CREATE TABLE IF NOT EXISTS trail_index (key INTEGER NOT NULL, time INTEGER NOT NULL, idx INTEGER NOT NULL, "
    "PRIMARY KEY (key, time, idx)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS trail_state (id INTEGER PRIMARY KEY CHECK (id = 0), next INTEGER NOT NULL)",
};

// 64 bits of a digest stand for account, key and value: what collides is told apart by the ledger's line.
int64_t key_of(const std::string& account, TrailKey key, const std::string& value) {
  std::string text = account;
  text += static_cast<char>(key);
  text += value;
  return static_cast<int64_t>(get_u64be(crypto::sha256(text).data()));
}

struct TypeOf {
  std::string_view prefix, type;  // of the ARN's part behind the account; "" : whatever it is
};
struct ServiceTypes {
  std::string_view service;
  std::vector<TypeOf> types;
};
const std::vector<ServiceTypes>& resource_types() {
  static const std::vector<ServiceTypes> all = {
      {"iam",
       {{"user/", "AWS::IAM::User"},
        {"role/", "AWS::IAM::Role"},
        {"group/", "AWS::IAM::Group"},
        {"policy/", "AWS::IAM::ManagedPolicy"},
        {"mfa/", "AWS::IAM::VirtualMFADevice"},
        {"oidc-provider/", "AWS::IAM::OIDCProvider"}}},
      {"kms", {{"key/", "AWS::KMS::Key"}, {"alias/", "AWS::KMS::Alias"}}},
      {"sagemaker",
       {{"training-job/", "AWS::SageMaker::TrainingJob"},
        {"endpoint/", "AWS::SageMaker::Endpoint"},
        {"endpoint-config/", "AWS::SageMaker::EndpointConfig"},
        {"model/", "AWS::SageMaker::Model"},
        {"model-package", "AWS::SageMaker::ModelPackage"}}},
      {"bedrock",
       {{"custom-model-deployment/", "AWS::Bedrock::CustomModelDeployment"},
        {"custom-model/", "AWS::Bedrock::CustomModel"},
        {"foundation-model/", "AWS::Bedrock::FoundationModel"}}},
      {"cloudtrail", {{"trail/", "AWS::CloudTrail::Trail"}}},
      {"logs", {{"log-group:", "AWS::Logs::LogGroup"}}},
  };
  return all;
}

std::string type_of(std::string_view arn) {
  const auto parts = split(arn, ':');
  if (parts.size() < 6 || parts[0] != "arn") return {};
  size_t at = 0;
  for (int i = 0; i < 5; ++i) at = arn.find(':', at) + 1;
  const std::string_view rest = arn.substr(at);
  if (parts[2] == "s3") return rest.find('/') == rest.npos ? "AWS::S3::Bucket" : "AWS::S3::Object";
  for (const ServiceTypes& s : resource_types())
    if (s.service == parts[2])
      for (const TypeOf& t : s.types)
        if (rest.starts_with(t.prefix)) return std::string(t.type);
  return {};
}

// "Get", "List", ... : by the verb, as CloudTrail's own events show it.
bool reads(std::string_view service, std::string_view name) {
  if (service == "sts" && name.starts_with("Assume")) return true;
  for (std::string_view verb : {"Get", "List", "Describe", "Head", "Lookup", "Invoke", "Converse", "Count", "Verify",
                                "Simulate", "Decode", "Filter", "Export", "CreateChatCompletion"})
    if (name.starts_with(verb)) return true;
  return service == "kms" && (name == "Decrypt" || name == "Encrypt" || name.starts_with("Generate") ||
                              name == "ReEncrypt" || name == "Sign" || name == "DeriveSharedSecret");
}
bool is_data(std::string_view service, std::string_view name) {
  if (service == "s3")
    return name.find("Object") != name.npos || name.find("Upload") != name.npos || name.find("Part") != name.npos;
  if (service == "bedrock" || service == "sagemaker" || service == "holdfast")
    return name.starts_with("Invoke") || name.starts_with("Converse") || name == "CreateChatCompletion";
  return service == "egress";
}

std::string user_of(std::string_view principal) { return std::string(principal.substr(principal.rfind('/') + 1)); }

std::string text_of(const json::object& o, const char* name) {
  const json::value* v = o.if_contains(name);
  return v && v->is_string() ? std::string(v->get_string()) : std::string();
}
int64_t number_of(const json::object& o, const char* name) {
  const json::value* v = o.if_contains(name);
  return v && v->is_int64() ? v->get_int64() : -1;
}

json::object identity_json(const TrailEvent& e) {
  const std::string& arn = e.entry.principal;
  json::object out{{"type", "IAMUser"}, {"arn", arn}, {"accountId", e.entry.account}};
  if (!e.entry.credential.empty()) out["accessKeyId"] = e.entry.credential;
  if (arn.empty()) return {{"type", "Unknown"}};
  if (arn.find(":assumed-role/") != arn.npos) {
    const auto parts = split(arn, '/');
    const std::string role =
        "arn:aws:iam::" + e.entry.account + ":role/" + std::string(parts.size() > 1 ? parts[1] : "");
    out["type"] = "AssumedRole";
    out["sessionContext"] =
        json::object{{"sessionIssuer", json::object{{"type", "Role"}, {"arn", role}, {"accountId", e.entry.account}}}};
  } else if (arn.find(":oidc-provider/") != arn.npos) {
    out["type"] = "WebIdentityUser";
  } else if (arn.find(":user/") == arn.npos) {
    out["type"] = "AWSService";
    out["invokedBy"] = arn;
  } else {
    out["userName"] = e.user;
  }
  return out;
}

}  // namespace

Result<TrailEvent> parse_event(std::string line) {
  const json::value v = TRY(parse_json(line, 256 << 10, "an entry of the ledger"));
  if (!v.is_object()) return fail(Code::corrupt, "an entry of the ledger: expected an object");
  const json::object& o = v.get_object();
  TrailEvent e;
  e.index = static_cast<uint64_t>(number_of(o, "index"));
  e.entry.time = number_of(o, "time");
  e.entry.account = text_of(o, "account");
  e.entry.principal = text_of(o, "principal");
  e.entry.action = text_of(o, "action");
  e.entry.resource = text_of(o, "resource");
  e.entry.decision = text_of(o, "decision");
  e.entry.reason = text_of(o, "reason");
  e.entry.request_id = text_of(o, "request_id");
  e.entry.source = text_of(o, "source");
  e.entry.credential = text_of(o, "credential");
  if (const json::value* detail = o.if_contains("detail")) e.entry.detail = json::serialize(*detail);
  const size_t colon = e.entry.action.find(':');
  const std::string service = e.entry.action.substr(0, colon);
  e.name = colon == std::string::npos ? e.entry.action : e.entry.action.substr(colon + 1);
  e.source = service + ".amazonaws.com";
  e.user = user_of(e.entry.principal);
  e.resource_type = type_of(e.entry.resource);
  e.read_only = reads(service, e.name);
  e.management = !is_data(service, e.name);
  e.line = std::move(line);
  return e;
}

std::string event_id(uint64_t index) {
  std::string h;
  put_u64be(h, index);
  h = hex(h);
  // Version 8 of RFC 9562: what is in it is ours to say.
  return "686f6c64-6661-8374-8" + h.substr(1, 3) + "-" + h.substr(4);
}

std::optional<uint64_t> index_of_event_id(std::string_view id) {
  if (id.size() != 36 || !id.starts_with("686f6c64-6661-8374-8") || id[23] != '-') return {};
  auto bytes = unhex("0" + std::string(id.substr(20, 3)) + std::string(id.substr(24)));
  if (!bytes.ok()) return {};
  const uint64_t index = get_u64be(bytes->data());
  return event_id(index) == id ? std::optional(index) : std::nullopt;
}

std::string event_json(const TrailEvent& e, const std::string& region) {
  json::object out{{"eventVersion", "1.11"},
                   {"userIdentity", identity_json(e)},
                   {"eventTime", iso8601(e.entry.time)},
                   {"eventSource", e.source},
                   {"eventName", e.name},
                   {"awsRegion", region},
                   {"sourceIPAddress", e.entry.source.substr(0, e.entry.source.rfind(':'))},
                   {"requestID", e.entry.request_id},
                   {"eventID", event_id(e.index)},
                   {"readOnly", e.read_only},
                   {"eventType", "AwsApiCall"},
                   {"managementEvent", e.management},
                   {"recipientAccountId", e.entry.account},
                   {"eventCategory", e.management ? "Management" : "Data"}};
  if (e.entry.decision == "deny") {
    out["errorCode"] = "AccessDenied";
    out["errorMessage"] = e.entry.reason;
  }
  out["requestParameters"] = e.entry.detail.empty() ? json::value(nullptr) : json::parse(e.entry.detail);
  out["responseElements"] = nullptr;
  out["additionalEventData"] = json::object{
      {"decision", e.entry.decision}, {"reason", e.entry.reason}, {"ledgerIndex", static_cast<int64_t>(e.index)}};
  if (!e.entry.resource.empty()) {
    json::object resource{{"ARN", e.entry.resource}, {"accountId", e.entry.account}};
    if (!e.resource_type.empty()) resource["type"] = e.resource_type;
    out["resources"] = json::array{resource};
  }
  return json::serialize(out);
}

std::string value_of(const TrailEvent& e, TrailKey key) {
  switch (key) {
    case TrailKey::all:
      return "*";
    case TrailKey::name:
      return e.name;
    case TrailKey::source:
      return e.source;
    case TrailKey::user:
      return e.user;
    case TrailKey::read_only:
      return e.read_only ? "true" : "false";
    case TrailKey::access_key:
      return e.entry.credential;
    case TrailKey::resource:
      return e.entry.resource;
    case TrailKey::resource_type:
      return e.resource_type;
  }
  return {};
}

Result<TrailIndex> TrailIndex::open(store::Db& db, Ledger& ledger) {
  TRY(db.write([](store::Txn& txn) -> Status {
    for (const char* sql : kSchema) TRY(txn.run(sql));
    return {};
  }));
  return TrailIndex(db, ledger);
}

namespace {

Result<int64_t> next_of(store::Txn& txn) {
  auto q = TRY(txn.query("SELECT next FROM trail_state WHERE id = 0"));
  return TRY(q.step()) ? q.integer(0) : 0;
}

Status add_to_index(store::Txn& txn, const TrailEvent& e) {
  for (TrailKey key : kKeys) {
    const std::string value = value_of(e, key);
    if (value.empty()) continue;
    auto q = TRY(txn.query("INSERT OR IGNORE INTO trail_index (key, time, idx) VALUES (?, ?, ?)"));
    q.bind(key_of(e.entry.account, key, value)).bind(e.entry.time / kSecond).bind(static_cast<int64_t>(e.index));
    TRY(q.run());
  }
  return {};
}

}  // namespace

Result<bool> TrailIndex::step(uint64_t most) {
  most = std::min(most, kMostAStep);
  int64_t next = 0;
  TRY(db_->read([&](store::Txn& txn) -> Status {
    next = TRY(next_of(txn));
    return {};
  }));
  const auto lines = TRY(ledger_->entries(static_cast<uint64_t>(next), most));
  if (lines.empty()) return false;
  std::vector<TrailEvent> events;
  events.reserve(lines.size());
  for (const std::string& line : lines) events.push_back(TRY(parse_event(line)));
  TRY(db_->write([&](store::Txn& txn) -> Status {
    if (TRY(next_of(txn)) != next) return {};  // somebody else has taken them up
    for (const TrailEvent& e : events) TRY(add_to_index(txn, e));
    auto q = TRY(txn.query("INSERT OR REPLACE INTO trail_state (id, next) VALUES (0, ?)"));
    q.bind(next + static_cast<int64_t>(events.size()));
    return q.run();
  }));
  return lines.size() == most;
}

Result<TrailIndex::Page> TrailIndex::lookup(const Question& question) {
  const std::string value = question.key == TrailKey::all ? "*" : question.value;
  const int64_t key = key_of(question.account, question.key, value);
  const int64_t from = question.from / kSecond, to = question.to / kSecond;
  int64_t second = to, index = INT64_MAX;
  if (question.before && question.before->first <= to) {
    second = question.before->first;
    index = static_cast<int64_t>(question.before->second);
  }
  std::vector<std::pair<int64_t, uint64_t>> found;
  TRY(db_->read([&](store::Txn& txn) -> Status {
    found.clear();
    auto q =
        TRY(txn.query("SELECT time, idx FROM trail_index WHERE key = ? AND time >= ? AND (time, idx) < (?, ?) "
                      "ORDER BY time DESC, idx DESC LIMIT ?"));
    q.bind(key).bind(from).bind(second).bind(index).bind(static_cast<int64_t>(question.limit) + 1);
    while (TRY(q.step())) found.emplace_back(q.integer(0), static_cast<uint64_t>(q.integer(1)));
    return {};
  }));
  Page out;
  if (found.size() > question.limit) {
    found.pop_back();
    out.next = found.back();
  }
  for (const auto& [time, idx] : found) {
    TrailEvent e = TRY(parse_event(TRY(ledger_->entry_json(idx))));
    if (e.entry.account == question.account && value_of(e, question.key) == value) out.events.push_back(std::move(e));
  }
  return out;
}

}  // namespace hf::security
