#include <boost/json.hpp>

#include "api/iam/iam.h"
#include "security/json.h"
#include "security/policy_context.h"
#include "wire/codec.h"

namespace hf::api::iam_api {
namespace json = boost::json;

template <Kind K>
Result<View<K>> view_of(store::Txn& txn, const Entity& e, bool brief) {
  View<K> v;
  v.path = e.path;
  v.name = e.name;
  v.id = e.id;
  v.arn = store_of::arn_of(e);
  v.created.us = e.created;
  if (K == Kind::role) {
    v.trust = percent_encode(e.trust);
    v.max_session = e.max_session;
  }
  if ((K == Kind::role || K == Kind::policy) && !e.description.empty()) v.description = e.description;
  if (K == Kind::policy) {
    int64_t attached = 0, bounds = 0;
    for (Kind from : {Kind::user, Kind::group, Kind::role}) {
      attached += static_cast<int64_t>(TRY(store_of::linking(txn, e, from)).size());
      bounds += static_cast<int64_t>(TRY(store_of::bounded_by(txn, e, from)).size());
    }
    v.default_version = "v" + std::to_string(e.default_version);
    v.attached = attached;
    v.bounds = bounds;
    v.attachable = true;
    v.updated = wire::Timestamp{e.updated};
  }
  if (brief) return v;
  v.tags = tags_view(e.tags);
  if (!e.boundary.empty()) {
    auto boundary = TRY(store_of::by_id(txn, e.boundary));
    if (boundary) v.boundary = BoundaryView{.arn = store_of::arn_of(*boundary)};
  }
  return v;
}
template Result<UserView> view_of<Kind::user>(store::Txn&, const Entity&, bool);
template Result<GroupView> view_of<Kind::group>(store::Txn&, const Entity&, bool);
template Result<RoleView> view_of<Kind::role>(store::Txn&, const Entity&, bool);
template Result<PolicyView> view_of<Kind::policy>(store::Txn&, const Entity&, bool);

std::string arn_for(const Call& call, Kind kind, const std::string& name, const std::string& path) {
  Entity e;
  e.kind = kind;
  e.account = call.account();
  e.name = name;
  if (!path.empty()) {
    e.path = path;
    return store_of::arn_of(e);
  }
  (void)call.site().db.read([&](store::Txn& txn) -> Status {
    auto found = store_of::get(txn, kind, e.account, name);
    if (found.ok()) e = *found;
    return {};
  });
  return store_of::arn_of(e);
}

Result<Entity> find(store::Txn& txn, const Call& call, Kind kind, const std::string& name) {
  return store_of::get(txn, kind, call.account(), name);
}

Result<Entity> still_authorised(const Call& call, Entity e) {
  const std::string arn = store_of::arn_of(e);
  if (arn == call.resource()) return e;
  return fail(
      Code::conflict, "ConcurrentModification",
      "expected " + call.resource() + ", as it was when the right to it was checked, found " + arn + "; try again");
}

Result<Entity> target(store::Txn& txn, const Call& call, Kind kind, const std::string& name) {
  return still_authorised(call, TRY(find(txn, call, kind, name)));
}

Result<Entity> user_of(store::Txn& txn, const Call& call, const std::optional<std::string>& name) {
  if (name) return target(txn, call, Kind::user, *name);
  auto entity = TRY(store_of::by_id(txn, call.who().user_id));
  if (!entity || entity->kind != Kind::user)
    return fail(Code::invalid, "ValidationError", "UserName: expected one, as the caller is no IAM user");
  return still_authorised(call, std::move(*entity));
}

Result<Entity> find_policy(store::Txn& txn, const Call& call, const std::string& arn) {
  Entity e = TRY(store_of::policy_by_arn(txn, arn));
  if (e.account != call.account()) return fail(Code::not_found, "NoSuchEntity", "there is no policy " + arn);
  return e;
}

Result<store_of::Tags> tags_of(const std::vector<TagView>& given) {
  store_of::Tags tags;
  for (const TagView& t : given) tags.emplace_back(t.key, t.value);
  std::sort(tags.begin(), tags.end());
  for (size_t i = 1; i < tags.size(); ++i)
    if (iequal(tags[i].first, tags[i - 1].first))
      return fail(Code::invalid, "InvalidInput", "Tags: expected each key once, found " + tags[i].first + " twice");
  if (tags.size() > 50) return fail(Code::conflict, "LimitExceeded", "Tags: expected at most 50");
  return tags;
}

std::vector<TagView> tags_view(const store_of::Tags& tags) {
  std::vector<TagView> out;
  for (const auto& [k, v] : tags) out.push_back({k, v});
  return out;
}

security::Context told_tags(const std::vector<TagView>& tags) {
  security::Context out;
  for (const TagView& t : tags) security::tell_tag(out, t.key, t.value);
  return out;
}

security::Context told_keys(const std::vector<std::string>& keys) {
  security::Context out;
  if (!keys.empty()) out["aws:tagkeys"] = keys;
  return out;
}

Status may_tag(Call& call, const std::string& action, const std::vector<TagView>& tags) {
  if (tags.empty()) return {};
  return call.may(security::Question{.action = action, .resource = call.resource(), .context = told_tags(tags)});
}

std::string with_member(const std::string& detail, const char* name, const std::string& value) {
  json::object out;
  if (!detail.empty()) out = json::parse(detail).as_object();
  out[name] = value;
  return security::canonical_json(out);
}

std::string detail_of(const wire::Shape& shape, const void* in) {
  json::value document = wire::to_document(shape, wire::TimeFormat::iso8601, in);
  json::object out;
  for (auto& [name, value] : document.as_object()) {
    if (std::string_view(name).ends_with("Document") && value.is_string())
      out[std::string(name) + "Sha256"] = crypto::sha256_hex(std::string_view(value.get_string()));
    else
      out[name] = std::move(value);
  }
  return out.empty() ? std::string() : security::canonical_json(out);
}

}  // namespace hf::api::iam_api
