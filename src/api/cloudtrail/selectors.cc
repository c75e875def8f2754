// Event selectors: the basic ones and the advanced ones, both as conditions on fields (fleet::Selector).
#include <boost/json.hpp>

#include "api/cloudtrail/cloudtrail.h"
#include "security/json.h"
#include "wire/codec.h"

namespace hf::api::cloudtrail_api {
namespace json = boost::json;
namespace {

using fleet::FieldSelector;
using fleet::Selector;

Error bad(std::string message) { return fail(Code::invalid, "InvalidEventSelectorsException", std::move(message)); }

struct DataResource {
  std::string type;
  std::vector<std::string> values;
  static void fields(wire::Fields<DataResource>& f) {
    f("Type", &DataResource::type).required();
    f("Values", &DataResource::values);
  }
};
struct EventSelector {
  std::optional<std::string> read_write;
  std::optional<bool> management;
  std::vector<DataResource> data;
  std::vector<std::string> excluded;
  static void fields(wire::Fields<EventSelector>& f) {
    f("ReadWriteType", &EventSelector::read_write).one_of({"All", "ReadOnly", "WriteOnly"});
    f("IncludeManagementEvents", &EventSelector::management);
    f("DataResources", &EventSelector::data);
    f("ExcludeManagementEventSources", &EventSelector::excluded);
  }
};
struct AdvancedField {
  std::string field;
  std::vector<std::string> equals, starts, ends, not_equals, not_starts, not_ends;
  static void fields(wire::Fields<AdvancedField>& f) {
    f("Field", &AdvancedField::field).required();
    f("Equals", &AdvancedField::equals).length(1, 500);
    f("StartsWith", &AdvancedField::starts).length(1, 500);
    f("EndsWith", &AdvancedField::ends).length(1, 500);
    f("NotEquals", &AdvancedField::not_equals).length(1, 500);
    f("NotStartsWith", &AdvancedField::not_starts).length(1, 500);
    f("NotEndsWith", &AdvancedField::not_ends).length(1, 500);
  }
};
struct AdvancedSelector {
  std::optional<std::string> name;
  std::vector<AdvancedField> selectors;
  static void fields(wire::Fields<AdvancedSelector>& f) {
    f("Name", &AdvancedSelector::name).length(0, 1000);
    f("FieldSelectors", &AdvancedSelector::selectors).required().length(1, 50);
  }
};
struct PutSelectors {
  std::string name;
  std::vector<EventSelector> basic;
  std::vector<AdvancedSelector> advanced;
  static void fields(wire::Fields<PutSelectors>& f) {
    f("TrailName", &PutSelectors::name).required();
    f("EventSelectors", &PutSelectors::basic);
    f("AdvancedEventSelectors", &PutSelectors::advanced);
  }
};
struct SelectorsResponse {
  std::string arn;
  std::optional<wire::Document> basic, advanced;
  static void fields(wire::Fields<SelectorsResponse>& f) {
    f("TrailARN", &SelectorsResponse::arn);
    f("EventSelectors", &SelectorsResponse::basic);
    f("AdvancedEventSelectors", &SelectorsResponse::advanced);
  }
};

FieldSelector equal(const char* field, std::vector<std::string> values) {
  FieldSelector f;
  f.field = field;
  f.equals = std::move(values);
  return f;
}

// "arn:aws:s3" and "arn:aws:s3:::" mean every bucket; "arn:aws:s3:::bucket/prefix" what begins so.
Result<Selector> of_data(const DataResource& data, const std::vector<FieldSelector>& base) {
  if (data.type != "AWS::S3::Object")
    return bad("DataResources.Type: expected AWS::S3::Object, found " + clip_utf8(data.type, 100) +
               "; for other data events use AdvancedEventSelectors");
  Selector s{"", base};
  s.fields.push_back(equal("eventCategory", {"Data"}));
  s.fields.push_back(equal("resources.type", {data.type}));
  FieldSelector arn;
  arn.field = "resources.ARN";
  for (const auto& value : data.values) {
    if (!value.starts_with("arn:aws:s3"))
      return bad("DataResources.Values: expected ARNs of s3, found " + clip_utf8(value, 200));
    arn.starts_with.push_back(value);
  }
  if (arn.starts_with.empty()) return bad("DataResources.Values: expected at least one");
  s.fields.push_back(std::move(arn));
  return s;
}

Status add_basic(const EventSelector& in, std::vector<Selector>& out) {
  std::vector<FieldSelector> base;
  const std::string type = in.read_write.value_or("All");
  if (type != "All") base.push_back(equal("readOnly", {type == "ReadOnly" ? "true" : "false"}));
  if (in.management.value_or(true)) {
    Selector s{"", base};
    s.fields.push_back(equal("eventCategory", {"Management"}));
    if (!in.excluded.empty()) {
      FieldSelector sources;
      sources.field = "eventSource";
      sources.not_equals = in.excluded;
      s.fields.push_back(std::move(sources));
    }
    out.push_back(std::move(s));
  }
  for (const DataResource& data : in.data) out.push_back(TRY(of_data(data, base)));
  return {};
}

Result<Selector> of_advanced(const AdvancedSelector& in) {
  static constexpr const char* kFields[] = {"eventCategory",  "readOnly",      "eventName",       "eventSource",
                                            "resources.type", "resources.ARN", "userIdentity.arn"};
  Selector s;
  s.name = in.name.value_or("");
  bool category = false;
  for (const AdvancedField& f : in.selectors) {
    if (std::find_if(std::begin(kFields), std::end(kFields), [&](const char* k) { return f.field == k; }) ==
        std::end(kFields))
      return bad(
          "FieldSelectors.Field: expected eventCategory, readOnly, eventName, eventSource, resources.type, "
          "resources.ARN or userIdentity.arn, found " +
          clip_utf8(f.field, 100));
    if (f.equals.empty() && f.starts.empty() && f.ends.empty() && f.not_equals.empty() && f.not_starts.empty() &&
        f.not_ends.empty())
      return bad("FieldSelectors: expected an operator for " + f.field);
    if (f.field == "eventCategory") {
      category = true;
      for (const auto& v : f.equals)
        if (v != "Management" && v != "Data")
          return bad("FieldSelectors: eventCategory: expected Management or Data, found " + clip_utf8(v, 100));
    }
    s.fields.push_back({f.field, f.equals, f.starts, f.ends, f.not_equals, f.not_starts, f.not_ends});
  }
  if (!category) return bad("FieldSelectors: expected one for eventCategory");
  return s;
}

Result<SelectorsResponse> view_of(const Call& call, const fleet::Trail& t) {
  SelectorsResponse out;
  out.arn = fleet::trail_arn(call.site().region, t);
  json::value v = json::parse(t.selectors_json.empty() ? R"({"EventSelectors":[{"ReadWriteType":"All",)"
                                                         R"("IncludeManagementEvents":true,"DataResources":[],)"
                                                         R"("ExcludeManagementEventSources":[]}]})"
                                                       : t.selectors_json);
  for (auto& [name, value] : v.as_object()) {
    if (name == "EventSelectors" && value.is_array() && !value.get_array().empty())
      out.basic = std::move(value);
    else if (name == "AdvancedEventSelectors" && value.is_array() && !value.get_array().empty())
      out.advanced = std::move(value);
  }
  return out;
}

Result<SelectorsResponse> put(Call& call, const PutSelectors& in) {
  if (in.basic.empty() == in.advanced.empty())
    return bad("expected EventSelectors or AdvancedEventSelectors, and not both");
  if (in.basic.size() > 5 || in.advanced.size() > 500) return bad("expected at most 5 basic or 500 advanced selectors");
  std::vector<Selector> selectors;
  for (const EventSelector& s : in.basic) TRY(add_basic(s, selectors));
  for (const AdvancedSelector& s : in.advanced) selectors.push_back(TRY(of_advanced(s)));
  json::value given = wire::to_document(wire::shape_of<PutSelectors>(), wire::TimeFormat::epoch, &in);
  given.as_object().erase("TrailName");
  const std::string text = json::serialize(given);
  if (text.size() > (48 << 10)) return bad("expected selectors of at most 49152 bytes together");
  fleet::Trail t;
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        t = TRY(find(txn, call, in.name));
        t.selectors = selectors;
        t.selectors_json = text;
        return fleet::put_trail(txn, t, call.now());
      },
      security::canonical_json(given)));
  return view_of(call, t);
}

struct GetSelectors {
  std::string name;
  static void fields(wire::Fields<GetSelectors>& f) { f("TrailName", &GetSelectors::name).required(); }
};
Result<SelectorsResponse> get(Call& call, const GetSelectors& in) {
  SelectorsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out = TRY(view_of(call, TRY(find(txn, call, in.name))));
    return {};
  }));
  return out;
}

template <class In>
std::string of_trail(const Call& call, const In& in) {
  return arn_for(call, in.name);
}

}  // namespace

void add_selectors(Service& s) {
  s.add<PutSelectors, SelectorsResponse>("PutEventSelectors", {}, Effect::write, put, of_trail<PutSelectors>);
  s.add<GetSelectors, SelectorsResponse>("GetEventSelectors", {}, Effect::read, get, of_trail<GetSelectors>);
}

}  // namespace hf::api::cloudtrail_api
