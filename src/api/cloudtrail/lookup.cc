// LookupEvents: the account's entries of the ledger by one of eight attributes, newest first. Data events are found
// too: here every object, inference and use of a key is an entry, and nothing is kept back.
#include "api/cloudtrail/cloudtrail.h"

namespace hf::api::cloudtrail_api {
namespace {

using security::TrailKey;

struct Attribute {
  std::string key, value;
  static void fields(wire::Fields<Attribute>& f) {
    f("AttributeKey", &Attribute::key)
        .required()
        .one_of({"EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource",
                 "AccessKeyId"});
    f("AttributeValue", &Attribute::value).required().length(1, 2000);
  }
};
struct LookupEvents {
  std::vector<Attribute> attributes;
  std::optional<wire::Timestamp> from, to;
  std::optional<std::string> token;
  std::optional<int64_t> most;
  static void fields(wire::Fields<LookupEvents>& f) {
    f("LookupAttributes", &LookupEvents::attributes);
    f("StartTime", &LookupEvents::from);
    f("EndTime", &LookupEvents::to);
    f("MaxResults", &LookupEvents::most);
    f("NextToken", &LookupEvents::token);
    f.refused("EventCategory", "this site has no Insights events");
  }
};
struct ResourceView {
  std::optional<std::string> type;
  std::string name;
  static void fields(wire::Fields<ResourceView>& f) {
    f("ResourceType", &ResourceView::type);
    f("ResourceName", &ResourceView::name);
  }
};
struct EventView {
  std::string id, name, read_only, source, event;
  std::optional<std::string> access_key, user;
  wire::Timestamp time;
  std::vector<ResourceView> resources;
  static void fields(wire::Fields<EventView>& f) {
    f("EventId", &EventView::id);
    f("EventName", &EventView::name);
    f("ReadOnly", &EventView::read_only);
    f("AccessKeyId", &EventView::access_key);
    f("EventTime", &EventView::time);
    f("EventSource", &EventView::source);
    f("Username", &EventView::user);
    f("Resources", &EventView::resources);
    f("CloudTrailEvent", &EventView::event);
  }
};
struct LookupEventsResponse {
  std::vector<EventView> events;
  std::optional<std::string> token;
  static void fields(wire::Fields<LookupEventsResponse>& f) {
    f("Events", &LookupEventsResponse::events);
    f("NextToken", &LookupEventsResponse::token);
  }
};

EventView view_of(const security::TrailEvent& e, const std::string& region) {
  EventView v;
  v.id = security::event_id(e.index);
  v.name = e.name;
  v.read_only = e.read_only ? "true" : "false";
  v.source = e.source;
  v.time.us = e.entry.time;
  if (!e.entry.credential.empty()) v.access_key = e.entry.credential;
  if (!e.user.empty()) v.user = e.user;
  if (!e.entry.resource.empty()) {
    ResourceView r;
    r.name = e.entry.resource;
    if (!e.resource_type.empty()) r.type = e.resource_type;
    v.resources.push_back(std::move(r));
  }
  v.event = security::event_json(e, region);
  return v;
}

constexpr std::pair<const char*, TrailKey> kNames[] = {
    {"EventName", TrailKey::name},        {"ReadOnly", TrailKey::read_only},
    {"Username", TrailKey::user},         {"ResourceType", TrailKey::resource_type},
    {"ResourceName", TrailKey::resource}, {"EventSource", TrailKey::source},
    {"AccessKeyId", TrailKey::access_key}};

Result<security::TrailIndex::Question> question_of(const Call& call, const LookupEvents& in) {
  security::TrailIndex::Question q;
  q.account = call.account();
  if (in.attributes.size() > 1)
    return fail(Code::invalid, "InvalidLookupAttributesException", "LookupAttributes: expected at most one");
  for (const auto& [name, key] : kNames)
    if (!in.attributes.empty() && in.attributes[0].key == name) {
      q.key = key;
      q.value = in.attributes[0].value;
    }
  if (in.from) q.from = in.from->us;
  if (in.to) q.to = in.to->us;
  if (q.from > q.to) return fail(Code::invalid, "InvalidTimeRangeException", "StartTime: expected one before EndTime");
  if (in.most && (*in.most < 1 || *in.most > 50))
    return fail(Code::invalid, "InvalidMaxResultsException", "MaxResults: expected 1 to 50");
  q.limit = static_cast<size_t>(in.most.value_or(50));
  if (!in.token) return q;
  const auto parts = split(*in.token, '-');
  auto second = parse_int(parts[0]), index = parse_int(parts.size() == 2 ? parts[1] : "x");
  if (!second.ok() || !index.ok() || *index < 0)
    return fail(Code::invalid, "InvalidNextTokenException", "NextToken: expected one that this operation gave");
  q.before = {*second, static_cast<uint64_t>(*index)};
  return q;
}

// By its id: it says where the entry is.
Status add_by_id(Call& call, const std::string& id, LookupEventsResponse& out) {
  const auto index = security::index_of_event_id(id);
  if (!index) return {};
  auto line = call.site().ledger.entry_json(*index);
  if (!line.ok()) return line.error().code == Code::not_found ? Status() : Status(line.error());
  const auto e = TRY(security::parse_event(std::move(*line)));
  if (e.entry.account == call.account()) out.events.push_back(view_of(e, call.site().region));
  return {};
}

Result<LookupEventsResponse> lookup_events(Call& call, const LookupEvents& in) {
  const auto question = TRY(question_of(call, in));
  LookupEventsResponse out;
  if (!in.attributes.empty() && in.attributes[0].key == "EventId") {
    TRY(add_by_id(call, in.attributes[0].value, out));
    return out;
  }
  if (!call.site().trails) return fail(Code::unavailable, "this site keeps no index of events");
  security::TrailIndex& index = call.site().trails->index();
  (void)TRY(index.step(5'000));  // the newest are here; more than these the thread takes up
  const auto page = TRY(index.lookup(question));
  for (const auto& e : page.events) out.events.push_back(view_of(e, call.site().region));
  if (page.next) out.token = std::to_string(page.next->first) + "-" + std::to_string(page.next->second);
  return out;
}

std::string anything(const Call&, const LookupEvents&) { return "*"; }

}  // namespace

void add_lookup(Service& s) {
  s.add<LookupEvents, LookupEventsResponse>("LookupEvents", {}, Effect::read, lookup_events, anything);
}

}  // namespace hf::api::cloudtrail_api
