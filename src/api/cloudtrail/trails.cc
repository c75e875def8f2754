// Trails: what is delivered to a bucket (fleet/trails.h).
#include <algorithm>
#include <boost/json.hpp>

#include "api/cloudtrail/cloudtrail.h"
#include "security/json.h"
#include "store/objects.h"

namespace hf::api::cloudtrail_api {
namespace json = boost::json;
namespace {

using fleet::Trail;

constexpr size_t kMostTrails = 5, kMostTags = 50;

Error bad(const char* name, std::string message) { return fail(Code::invalid, name, std::move(message)); }

// CreateTrail: a letter or digit first and last, and of . _ - no two together.
Status check_name(const std::string& name) {
  const auto letter = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  bool good = name.size() >= 3 && name.size() <= 128 && letter(name.front()) && letter(name.back());
  for (size_t i = 0; good && i < name.size(); ++i)
    good = letter(name[i]) || (std::string_view("._-").find(name[i]) != std::string_view::npos && letter(name[i + 1]));
  if (good) return {};
  return bad("InvalidTrailNameException",
             "Name: expected 3 to 128 letters, digits and single ., _ and -, found " + clip_utf8(name, 200));
}

struct Tag {
  std::string key;
  std::optional<std::string> value;
  static void fields(wire::Fields<Tag>& f) {
    f("Key", &Tag::key).required().length(1, 128);
    f("Value", &Tag::value).length(0, 256);
  }
};

template <class T>
void setting_fields(wire::Fields<T>& f) {
  f("S3KeyPrefix", static_cast<std::optional<std::string> T::*>(&T::prefix)).length(0, 200);
  f("IncludeGlobalServiceEvents", static_cast<std::optional<bool> T::*>(&T::global_events));
  // A site has one region: its trails are of all.
  f("IsMultiRegionTrail", static_cast<std::optional<bool> T::*>(&T::multi_region));
  f.refused("SnsTopicName", "there are no notifications: ask for GetTrailStatus");
  f.refused("EnableLogFileValidation",
            "files have no digests of their own: the ledger's proofs show what happened "
            "('holdfast evidence export')");
  f.refused("CloudWatchLogsLogGroupArn", "a trail is delivered to a bucket");
  f.refused("CloudWatchLogsRoleArn", "a trail is delivered to a bucket");
  f.refused("KmsKeyId", "files are not encrypted with a key of their own");
  f.refused("IsOrganizationTrail", "there are no organisations");
}
struct Settings {
  std::optional<std::string> prefix;
  std::optional<bool> global_events, multi_region;
};

struct Create : Settings {
  std::string name, bucket;
  std::vector<Tag> tags;
  static void fields(wire::Fields<Create>& f) {
    f("Name", &Create::name).required();
    f("S3BucketName", &Create::bucket).required();
    setting_fields(f);
    f("TagsList", &Create::tags);
  }
};
struct Update : Settings {
  std::string name;
  std::optional<std::string> bucket;
  static void fields(wire::Fields<Update>& f) {
    f("Name", &Update::name).required();
    f("S3BucketName", &Update::bucket);
    setting_fields(f);
  }
};
struct TrailView {
  std::string name, bucket, arn, region;
  std::optional<std::string> prefix;
  bool global_events = true, multi_region = false, validation = false, organization = false, custom = false,
       insights = false;
  static void fields(wire::Fields<TrailView>& f) {
    f("Name", &TrailView::name);
    f("S3BucketName", &TrailView::bucket);
    f("S3KeyPrefix", &TrailView::prefix);
    f("IncludeGlobalServiceEvents", &TrailView::global_events);
    f("IsMultiRegionTrail", &TrailView::multi_region);
    f("HomeRegion", &TrailView::region);
    f("TrailARN", &TrailView::arn);
    f("LogFileValidationEnabled", &TrailView::validation);
    f("HasCustomEventSelectors", &TrailView::custom);
    f("HasInsightSelectors", &TrailView::insights);
    f("IsOrganizationTrail", &TrailView::organization);
  }
};
TrailView view_of(const Call& call, const Trail& t) {
  TrailView v;
  v.name = t.name;
  v.bucket = t.bucket;
  v.arn = fleet::trail_arn(call.site().region, t);
  v.region = call.site().region;
  if (!t.prefix.empty()) v.prefix = t.prefix;
  v.global_events = t.global_events;
  v.multi_region = t.multi_region;
  v.custom = !t.selectors_json.empty();
  return v;
}
struct SettingsView {  // of CreateTrail and UpdateTrail: without the rest of TrailView
  std::string name, bucket, arn;
  std::optional<std::string> prefix;
  bool global_events = true, multi_region = false, validation = false, organization = false;
  static void fields(wire::Fields<SettingsView>& f) {
    f("Name", &SettingsView::name);
    f("S3BucketName", &SettingsView::bucket);
    f("S3KeyPrefix", &SettingsView::prefix);
    f("IncludeGlobalServiceEvents", &SettingsView::global_events);
    f("IsMultiRegionTrail", &SettingsView::multi_region);
    f("TrailARN", &SettingsView::arn);
    f("LogFileValidationEnabled", &SettingsView::validation);
    f("IsOrganizationTrail", &SettingsView::organization);
  }
};
SettingsView settings_view(const Call& call, const Trail& t) {
  const TrailView v = view_of(call, t);
  return {v.name, v.bucket, v.arn, v.prefix, v.global_events, v.multi_region, false, false};
}

// Where the files go: a bucket of the account's own, which the caller may write to there.
Status check_bucket(Call& call, const Trail& t) {
  const std::string below =
      "arn:aws:s3:::" + t.bucket + "/" + (t.prefix.empty() ? "" : t.prefix + "/") + "AWSLogs/" + t.account + "/";
  TRY(call.may_all("s3:PutObject", below));
  return call.read([&](store::Txn& txn) -> Status {
    const auto bucket = TRY(call.site().objects.bucket(txn, t.bucket));
    if (!bucket || bucket->account != t.account)
      return fail(Code::not_found, "S3BucketDoesNotExistException",
                  "S3BucketName: expected a bucket of account " + t.account + ", found " + clip_utf8(t.bucket, 100));
    return {};
  });
}

Status take_settings(const Settings& in, Trail& t) {
  if (in.prefix) {
    if (in.prefix->starts_with('/') || in.prefix->ends_with('/') || !valid_utf8(*in.prefix))
      return bad("InvalidS3PrefixException", "S3KeyPrefix: expected text without a slash at its ends");
    t.prefix = *in.prefix;
  }
  t.global_events = in.global_events.value_or(t.global_events);
  t.multi_region = in.multi_region.value_or(t.multi_region);
  return {};
}

Status take_tags(const std::vector<Tag>& given, Trail& t) {
  for (const Tag& tag : given) {
    auto it = std::find_if(t.tags.begin(), t.tags.end(), [&](const auto& have) { return have.first == tag.key; });
    if (it == t.tags.end()) it = t.tags.insert(t.tags.end(), {tag.key, ""});
    it->second = tag.value.value_or("");
  }
  if (t.tags.size() > kMostTags) return bad("TagsLimitExceededException", "TagsList: expected at most 50 tags a trail");
  return {};
}

std::string detail_of(const Trail& t) {
  return security::canonical_json(json::object{{"bucket", t.bucket}, {"prefix", t.prefix}});
}

Result<SettingsView> create(Call& call, const Create& in) {
  TRY(check_name(in.name));
  Trail t;
  t.account = call.account();
  t.name = in.name;
  t.bucket = in.bucket;
  t.created = call.now();
  t.selectors = fleet::default_selectors();
  TRY(take_settings(in, t));
  TRY(take_tags(in.tags, t));
  TRY(check_bucket(call, t));
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        if (TRY(fleet::find_trail(txn, t.account, t.name)))
          return fail(Code::conflict, "TrailAlreadyExistsException", "there is a trail " + t.name + " already");
        if (TRY(fleet::list_trails(txn, t.account)).size() >= kMostTrails)
          return fail(Code::conflict, "MaximumNumberOfTrailsExceededException", "expected at most 5 trails an account");
        return fleet::put_trail(txn, t, call.now());
      },
      detail_of(t)));
  return settings_view(call, t);
}

// The trail as it is, changed and written, with its entry.
template <class Fn>
Result<Trail> edit(Call& call, const std::string& given, const std::string& detail, Fn fn) {
  Trail t;
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        t = TRY(find(txn, call, given));
        TRY(fn(txn, t));
        return fleet::put_trail(txn, t, call.now());
      },
      detail));
  return t;
}

Result<SettingsView> update(Call& call, const Update& in) {
  Trail wanted;
  TRY(call.read([&](store::Txn& txn) -> Status {
    wanted = TRY(find(txn, call, in.name));
    return {};
  }));
  if (in.bucket) wanted.bucket = *in.bucket;
  TRY(take_settings(in, wanted));
  TRY(check_bucket(call, wanted));
  const Trail t = TRY(edit(call, in.name, detail_of(wanted), [&](store::Txn&, Trail& now) -> Status {
    now.bucket = wanted.bucket;
    return take_settings(in, now);
  }));
  return settings_view(call, t);
}

// ---- by name

struct ByName {
  std::string name;
  static void fields(wire::Fields<ByName>& f) { f("Name", &ByName::name).required(); }
};
template <class In>
std::string of_name(const Call& call, const In& in) {
  return arn_for(call, in.name);
}

Result<Nothing> remove(Call& call, const ByName& in) {
  TRY(call.commit([&](store::Txn& txn) -> Status { return fleet::erase_trail(txn, TRY(find(txn, call, in.name))); }));
  return Nothing{};
}

struct GetResponse {
  TrailView trail;
  static void fields(wire::Fields<GetResponse>& f) { f("Trail", &GetResponse::trail); }
};
Result<GetResponse> get(Call& call, const ByName& in) {
  GetResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.trail = view_of(call, TRY(find(txn, call, in.name)));
    return {};
  }));
  return out;
}

Result<Nothing> start(Call& call, const ByName& in) {
  const auto head = TRY(call.site().ledger.head());
  TRY(edit(call, in.name, "", [&](store::Txn&, Trail& t) -> Status {
    if (!t.logging) {  // from now on: what was before is not delivered
      t.next = static_cast<int64_t>(head.size);
      t.started = call.now();
    }
    t.logging = true;
    return {};
  }));
  return Nothing{};
}
Result<Nothing> stop(Call& call, const ByName& in) {
  TRY(edit(call, in.name, "", [&](store::Txn&, Trail& t) -> Status {
    if (t.logging) t.stopped = call.now();
    t.logging = false;
    return {};
  }));
  return Nothing{};
}

struct StatusView {
  bool logging = false;
  std::optional<wire::Timestamp> started, stopped, delivered;
  std::optional<std::string> error;
  std::string started_text, stopped_text, tried_text, succeeded_text;
  static void fields(wire::Fields<StatusView>& f) {
    f("IsLogging", &StatusView::logging);
    f("LatestDeliveryError", &StatusView::error);
    f("LatestDeliveryTime", &StatusView::delivered);
    f("StartLoggingTime", &StatusView::started);
    f("StopLoggingTime", &StatusView::stopped);
    f("LatestDeliveryAttemptTime", &StatusView::tried_text);
    f("LatestDeliveryAttemptSucceeded", &StatusView::succeeded_text);
    f("TimeLoggingStarted", &StatusView::started_text);
    f("TimeLoggingStopped", &StatusView::stopped_text);
  }
};
Result<StatusView> status(Call& call, const ByName& in) {
  StatusView v;
  TRY(call.read([&](store::Txn& txn) -> Status {
    const Trail t = TRY(find(txn, call, in.name));
    const auto time = [](Micros at) { return at ? std::optional(wire::Timestamp{at}) : std::nullopt; };
    const auto text = [](Micros at) { return at ? iso8601(at) : std::string(); };
    v.logging = t.logging;
    v.started = time(t.started);
    v.stopped = time(t.stopped);
    v.delivered = time(t.delivered);
    v.started_text = text(t.started);
    v.stopped_text = text(t.stopped);
    v.tried_text = text(t.tried);
    v.succeeded_text = text(t.delivered);
    if (!t.delivery_error.empty()) v.error = t.delivery_error;
    return {};
  }));
  return v;
}

// ---- lists

struct Describe {
  std::vector<std::string> names;
  std::optional<bool> shadows;
  static void fields(wire::Fields<Describe>& f) {
    f("trailNameList", &Describe::names);
    f("includeShadowTrails", &Describe::shadows);  // of other regions, of which a site has none
  }
};
struct DescribeResponse {
  std::vector<TrailView> trails;
  static void fields(wire::Fields<DescribeResponse>& f) { f("trailList", &DescribeResponse::trails); }
};
Result<DescribeResponse> describe(Call& call, const Describe& in) {
  std::vector<std::string> names;
  for (const auto& given : in.names) names.push_back(TRY(trail_name(call, given)));
  DescribeResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.trails.clear();
    const auto all = TRY(fleet::list_trails(txn, call.account()));
    for (const Trail& t : all)
      if (names.empty() || std::find(names.begin(), names.end(), t.name) != names.end())
        out.trails.push_back(view_of(call, t));
    return {};
  }));
  return out;
}

struct List {
  std::optional<std::string> token;
  static void fields(wire::Fields<List>& f) { f("NextToken", &List::token); }
};
struct Info {
  std::string arn, name, region;
  static void fields(wire::Fields<Info>& f) {
    f("TrailARN", &Info::arn);
    f("Name", &Info::name);
    f("HomeRegion", &Info::region);
  }
};
struct ListResponse {
  std::vector<Info> trails;
  static void fields(wire::Fields<ListResponse>& f) { f("Trails", &ListResponse::trails); }
};
Result<ListResponse> list(Call& call, const List& in) {
  if (in.token) return bad("InvalidNextTokenException", "NextToken: expected none, as one page holds all");
  ListResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.trails.clear();
    const auto all = TRY(fleet::list_trails(txn, call.account()));
    for (const Trail& t : all)
      out.trails.push_back({fleet::trail_arn(call.site().region, t), t.name, call.site().region});
    return {};
  }));
  return out;
}

template <class In>
std::string any_trail(const Call& call, const In&) {
  return arn_for(call, "*");
}

// ---- tags

struct TagRequest {
  std::string arn;
  std::vector<Tag> tags;
  static void fields(wire::Fields<TagRequest>& f) {
    f("ResourceId", &TagRequest::arn).required();
    f("TagsList", &TagRequest::tags).required();
  }
};
template <class In>
std::string of_arn(const Call& call, const In& in) {
  return arn_for(call, in.arn);
}
std::string told(const std::vector<Tag>& tags) {
  json::array keys;
  for (const Tag& t : tags) keys.emplace_back(t.key);
  return security::canonical_json(json::object{{"keys", std::move(keys)}});
}
Result<Nothing> add_tags(Call& call, const TagRequest& in) {
  TRY(edit(call, in.arn, told(in.tags), [&](store::Txn&, Trail& t) { return take_tags(in.tags, t); }));
  return Nothing{};
}
Result<Nothing> remove_tags(Call& call, const TagRequest& in) {
  TRY(edit(call, in.arn, told(in.tags), [&](store::Txn&, Trail& t) -> Status {
    for (const Tag& tag : in.tags) std::erase_if(t.tags, [&](const auto& have) { return have.first == tag.key; });
    return {};
  }));
  return Nothing{};
}
struct ListTags {
  std::vector<std::string> arns;
  std::optional<std::string> token;
  static void fields(wire::Fields<ListTags>& f) {
    f("ResourceIdList", &ListTags::arns).required().length(1, 20);
    f("NextToken", &ListTags::token);
  }
};
struct TagsOf {
  std::string arn;
  std::vector<Tag> tags;
  static void fields(wire::Fields<TagsOf>& f) {
    f("ResourceId", &TagsOf::arn);
    f("TagsList", &TagsOf::tags);
  }
};
struct ListTagsResponse {
  std::vector<TagsOf> resources;
  static void fields(wire::Fields<ListTagsResponse>& f) { f("ResourceTagList", &ListTagsResponse::resources); }
};
Result<ListTagsResponse> list_tags(Call& call, const ListTags& in) {
  if (in.token) return bad("InvalidNextTokenException", "NextToken: expected none, as one page holds all");
  ListTagsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.resources.clear();
    for (const auto& arn : in.arns) {
      TagsOf one{arn, {}};
      for (const auto& [key, value] : TRY(find(txn, call, arn)).tags) one.tags.push_back({key, value});
      out.resources.push_back(std::move(one));
    }
    return {};
  }));
  return out;
}

}  // namespace

std::string arn_for(const Call& call, const std::string& given) {
  if (given.starts_with("arn:")) return given;
  Trail t;
  t.account = call.account();
  t.name = given;
  return fleet::trail_arn(call.site().region, t);
}

Result<std::string> trail_name(const Call& call, const std::string& given) {
  std::string name = given;
  if (given.starts_with("arn:")) {
    const std::string prefix = arn_for(call, "");
    if (!given.starts_with(prefix))
      return bad("CloudTrailARNInvalidException", "expected " + prefix + "NAME, found " + clip_utf8(given, 200));
    name = given.substr(prefix.size());
  }
  TRY(check_name(name));
  return name;
}

Result<Trail> find(store::Txn& txn, const Call& call, const std::string& given) {
  const std::string name = TRY(trail_name(call, given));
  auto t = TRY(fleet::find_trail(txn, call.account(), name));
  if (!t) return fail(Code::not_found, "TrailNotFoundException", "there is no trail " + name);
  return std::move(*t);
}

void add_trails(Service& s) {
  s.add<Create, SettingsView>("CreateTrail", {}, Effect::write, create, of_name<Create>);
  s.add<Update, SettingsView>("UpdateTrail", {}, Effect::write, update, of_name<Update>);
  s.add<ByName, Nothing>("DeleteTrail", {}, Effect::write, remove, of_name<ByName>);
  s.add<ByName, GetResponse>("GetTrail", {}, Effect::read, get, of_name<ByName>);
  s.add<ByName, StatusView>("GetTrailStatus", {}, Effect::read, status, of_name<ByName>);
  s.add<ByName, Nothing>("StartLogging", {}, Effect::write, start, of_name<ByName>);
  s.add<ByName, Nothing>("StopLogging", {}, Effect::write, stop, of_name<ByName>);
  s.add<Describe, DescribeResponse>("DescribeTrails", {}, Effect::read, describe, any_trail<Describe>);
  s.add<List, ListResponse>("ListTrails", {}, Effect::read, list, any_trail<List>);
  s.add<TagRequest, Nothing>("AddTags", {}, Effect::write, add_tags, of_arn<TagRequest>);
  s.add<TagRequest, Nothing>("RemoveTags", {}, Effect::write, remove_tags, of_arn<TagRequest>);
  s.add<ListTags, ListTagsResponse>("ListTags", {}, Effect::read, list_tags, any_trail<ListTags>);
}

}  // namespace hf::api::cloudtrail_api
