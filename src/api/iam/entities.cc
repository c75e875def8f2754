// Users, groups and roles: create, get, list, update, delete, tags.
#include "api/iam/iam.h"
#include "security/policy_context.h"

namespace hf::api::iam_api {
namespace {

constexpr int64_t kMaxTrust = 2048;  // characters without blanks

template <Kind K>
struct Create {
  std::string name;
  std::optional<std::string> path, boundary, trust, description;
  std::optional<int64_t> max_session;
  std::vector<TagView> tags;
  static void fields(wire::Fields<Create>& f) {
    f("Path", &Create::path).length(1, 512).pattern(kPath);
    f(name_member(K), &Create::name).required().length(1, longest_name(K)).pattern(kName);
    if (K == Kind::role) {
      f("AssumeRolePolicyDocument", &Create::trust).required().length(1, 131072);
      f("Description", &Create::description).length(0, 1000);
      f("MaxSessionDuration", &Create::max_session).range(3600, 43200);
    }
    if (K != Kind::group) {
      f("PermissionsBoundary", &Create::boundary).length(20, 2048);
      f("Tags", &Create::tags).length(0, 50);
    }
  }
};

template <Kind K>
struct One {
  View<K> entity;
  static void fields(wire::Fields<One>& f) { f(title(K), &One::entity); }
};

Status check_trust(const std::string& text) {
  auto policy = security::parse_policy(text, "trust", security::PolicyKind::trust);
  if (!policy.ok()) return fail(Code::invalid, "MalformedPolicyDocument", policy.error().message);
  TRY(security::check_trust_keys(*policy));
  if (static_cast<int64_t>(text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
                             return c == ' ' || c == '\n' || c == '\t' || c == '\r';
                           }))) > kMaxTrust)
    return fail(Code::conflict, "LimitExceeded", "expected a trust policy of at most 2048 characters");
  return {};
}

template <Kind K>
Result<One<K>> create(Call& call, const Create<K>& in) {
  TRY(may_tag(call, std::string("iam:Tag") + title(K), in.tags));
  Entity e;
  e.kind = K;
  e.account = call.account();
  e.name = in.name;
  e.path = in.path.value_or("/");
  e.created = e.updated = call.now();
  e.tags = TRY(tags_of(in.tags));
  e.description = in.description.value_or("");
  e.max_session = in.max_session.value_or(3600);
  if (in.trust) {
    TRY(check_trust(*in.trust));
    e.trust = *in.trust;
  }
  One<K> out;
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    if (in.boundary) e.boundary = TRY(find_policy(txn, call, *in.boundary)).id;
    out.entity = TRY(view_of<K>(txn, TRY(store_of::insert(txn, call.site().random, e))));
    return {};
  }));
  return out;
}

template <Kind K>
std::string create_arn(const Call& call, const Create<K>& in) {
  return arn_for(call, K, in.name, in.path.value_or("/"));
}

template <Kind K>
Result<One<K>> get(Call& call, const Named<K>& in) {
  One<K> out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.entity = TRY(view_of<K>(txn, TRY(target(txn, call, K, in.name))));
    return {};
  }));
  return out;
}

// GetUser without a name is about the caller; a key of the site's own has no more to tell than its identity.
struct MaybeUser {
  std::optional<std::string> name;
  static void fields(wire::Fields<MaybeUser>& f) { f("UserName", &MaybeUser::name).length(1, 128).pattern(kName); }
};

std::string caller_or_user_arn(const Call& call, const MaybeUser& in) {
  return in.name ? arn_for(call, Kind::user, *in.name) : call.who().arn;
}

Result<One<Kind::user>> get_user(Call& call, const MaybeUser& in) {
  if (in.name) return get<Kind::user>(call, {*in.name});
  One<Kind::user> out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    auto entity = TRY(store_of::by_id(txn, call.who().user_id));
    if (entity && entity->kind == Kind::user) {
      out.entity = TRY(view_of<Kind::user>(txn, *entity));
      return {};
    }
    const std::string& arn = call.who().arn;
    if (arn.find(":user/") == arn.npos)
      return fail(Code::invalid, "ValidationError", "UserName: expected one, as the caller is no user");
    auto key = TRY(call.site().keys.find(txn, call.who().access_key_id));
    out.entity.path = "/";
    out.entity.name = arn.substr(arn.rfind('/') + 1);
    out.entity.id = call.who().user_id;
    out.entity.arn = arn;
    if (key) out.entity.created.us = key->created;
    return {};
  }));
  return out;
}

struct ListRequest : Paged {
  std::optional<std::string> prefix;
  static void fields(wire::Fields<ListRequest>& f) {
    f("PathPrefix", &ListRequest::prefix).length(1, 512).pattern(kPathPrefix);
    page_fields(f);
  }
};
template <Kind K>
struct ListResponse : Page {
  std::vector<View<K>> items;
  static void fields(wire::Fields<ListResponse>& f) {
    f(std::string(title(K)) + "s", &ListResponse::items);
    paged_fields(f);
  }
};

template <Kind K>
Result<ListResponse<K>> list(Call& call, const ListRequest& in) {
  ListResponse<K> out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.items.clear();
    auto all = TRY(store_of::list(txn, K, call.account(), in.prefix.value_or("/")));
    TRY(take(all, in, out, [](const Entity& e) { return e.name; }));
    for (const Entity& e : all) out.items.push_back(TRY(view_of<K>(txn, e, true)));
    return {};
  }));
  return out;
}

template <Kind K>
std::string list_arn(const Call& call, const ListRequest& in) {
  return "arn:aws:iam::" + call.account() + ":" + store_of::word(K) + in.prefix.value_or("/");
}

template <Kind K>
Result<Nothing> erase(Call& call, const Named<K>& in) {
  TRY(change(call, in,
             [&](store::Txn& txn) -> Status { return store_of::erase(txn, TRY(target(txn, call, K, in.name))); }));
  return Nothing{};
}

template <Kind K>
struct Rename {
  std::string name;
  std::optional<std::string> new_name, new_path;
  static void fields(wire::Fields<Rename>& f) {
    f(name_member(K), &Rename::name).required().length(1, longest_name(K)).pattern(kName);
    f("NewPath", &Rename::new_path).length(1, 512).pattern(kPath);
    f("New" + name_member(K), &Rename::new_name).length(1, longest_name(K)).pattern(kName);
  }
};

// AWS asks for the right on both names.
template <Kind K>
Result<Nothing> rename(Call& call, const Rename<K>& in) {
  TRY(call.may(call.action(), call.resource()));
  std::string path = in.new_path.value_or("");
  if (path.empty()) {
    TRY(call.read([&](store::Txn& txn) -> Status {
      path = TRY(find(txn, call, K, in.name)).path;
      return {};
    }));
  }
  TRY(call.may(call.action(), arn_for(call, K, in.new_name.value_or(in.name), path)));
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(target(txn, call, K, in.name));
    if (in.new_name) e.name = *in.new_name;
    e.path = path;
    e.updated = call.now();
    return store_of::update(txn, e);
  }));
  return Nothing{};
}

// ---- roles
struct UpdateRole {
  std::string name;
  std::optional<std::string> description;
  std::optional<int64_t> max_session;
  static void fields(wire::Fields<UpdateRole>& f) {
    f("RoleName", &UpdateRole::name).required().length(1, 64).pattern(kName);
    f("Description", &UpdateRole::description).length(0, 1000);
    f("MaxSessionDuration", &UpdateRole::max_session).range(3600, 43200);
  }
};

// UpdateRoleResult is there, and empty.
struct Empty {
  std::optional<std::string> nothing;
  static void fields(wire::Fields<Empty>& f) { f("Nothing", &Empty::nothing); }
};

Result<Empty> update_role(Call& call, const UpdateRole& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(target(txn, call, Kind::role, in.name));
    if (in.description) e.description = *in.description;
    if (in.max_session) e.max_session = *in.max_session;
    e.updated = call.now();
    return store_of::update(txn, e);
  }));
  return Empty{};
}

struct UpdateTrust {
  std::string name, document;
  static void fields(wire::Fields<UpdateTrust>& f) {
    f("RoleName", &UpdateTrust::name).required().length(1, 64).pattern(kName);
    f("PolicyDocument", &UpdateTrust::document).required().length(1, 131072);
  }
};

Result<Nothing> update_trust(Call& call, const UpdateTrust& in) {
  TRY(check_trust(in.document));
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(target(txn, call, Kind::role, in.name));
    e.trust = in.document;
    e.updated = call.now();
    return store_of::update(txn, e);
  }));
  return Nothing{};
}

// ---- tags. Policies are named by their ARN, the others by their name.
template <Kind K>
struct TagTarget {
  std::string name;
  template <class T>
  static void name_field(wire::Fields<T>& f) {
    const auto member = static_cast<std::string T::*>(&T::name);
    if (K == Kind::policy)
      f("PolicyArn", member).required().length(20, 2048);
    else
      f(name_member(K), member).required().length(1, longest_name(K)).pattern(kName);
  }
};
template <Kind K>
struct TagRequest : TagTarget<K> {
  std::vector<TagView> tags;
  static void fields(wire::Fields<TagRequest>& f) {
    TagTarget<K>::name_field(f);
    f("Tags", &TagRequest::tags).required().length(0, 50);
  }
};
template <Kind K>
struct UntagRequest : TagTarget<K> {
  std::vector<std::string> keys;
  static void fields(wire::Fields<UntagRequest>& f) {
    TagTarget<K>::name_field(f);
    f("TagKeys", &UntagRequest::keys).required().length(0, 50);
  }
};
template <Kind K>
struct ListTagsRequest : TagTarget<K>, Paged {
  static void fields(wire::Fields<ListTagsRequest>& f) {
    TagTarget<K>::name_field(f);
    page_fields(f);
  }
};
struct ListTagsResponse : Page {
  std::vector<TagView> tags;
  static void fields(wire::Fields<ListTagsResponse>& f) {
    f("Tags", &ListTagsResponse::tags);
    paged_fields(f);
  }
};

template <Kind K>
Result<Entity> tag_target(store::Txn& txn, const Call& call, const std::string& name) {
  return K == Kind::policy ? find_policy(txn, call, name) : target(txn, call, K, name);
}
template <Kind K, class In>
std::string tag_arn(const Call& call, const In& in) {
  return K == Kind::policy ? in.name : arn_for(call, K, in.name);
}

template <Kind K>
Result<Nothing> tag(Call& call, const TagRequest<K>& in) {
  TRY(tags_of(in.tags));
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(tag_target<K>(txn, call, in.name));
    std::vector<TagView> all = in.tags;
    for (const TagView& old : tags_view(e.tags))
      if (std::none_of(in.tags.begin(), in.tags.end(), [&](const TagView& t) { return t.key == old.key; }))
        all.push_back(old);
    e.tags = TRY(tags_of(all));
    return store_of::update(txn, e);
  }));
  return Nothing{};
}

template <Kind K>
Result<Nothing> untag(Call& call, const UntagRequest<K>& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(tag_target<K>(txn, call, in.name));
    std::erase_if(e.tags,
                  [&](const auto& t) { return std::find(in.keys.begin(), in.keys.end(), t.first) != in.keys.end(); });
    return store_of::update(txn, e);
  }));
  return Nothing{};
}

template <Kind K>
Result<ListTagsResponse> list_tags(Call& call, const ListTagsRequest<K>& in) {
  ListTagsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.tags = tags_view(TRY(tag_target<K>(txn, call, in.name)).tags);
    return take(out.tags, in, out, [](const TagView& t) { return t.key; });
  }));
  return out;
}

template <Kind K>
void add_kind(Service& s) {
  const std::string what = title(K);
  s.add<Create<K>, One<K>>("Create" + what, {}, Effect::write, create<K>, create_arn<K>).tells = tells_tags<Create<K>>;
  s.add<ListRequest, ListResponse<K>>("List" + what + "s", {}, Effect::read, list<K>, list_arn<K>);
  s.add<Named<K>, Nothing>("Delete" + what, {}, Effect::write, erase<K>, named_arn<K, Named<K>>);
}
template <Kind K>
void add_tags(Service& s) {
  const std::string what = title(K);
  s.add<TagRequest<K>, Nothing>("Tag" + what, {}, Effect::write, tag<K>, tag_arn<K, TagRequest<K>>).tells =
      tells_tags<TagRequest<K>>;
  s.add<UntagRequest<K>, Nothing>("Untag" + what, {}, Effect::write, untag<K>, tag_arn<K, UntagRequest<K>>).tells =
      tells_keys<UntagRequest<K>>;
  s.add<ListTagsRequest<K>, ListTagsResponse>("List" + what + "Tags", {}, Effect::read, list_tags<K>,
                                              tag_arn<K, ListTagsRequest<K>>);
}
template <Kind K>
void add_rename(Service& s) {
  s.add<Rename<K>, Nothing>(std::string("Update") + title(K), {}, Effect::write, rename<K>, named_arn<K, Rename<K>>)
      .asks_for_each = true;
}

}  // namespace

void add_entities(Service& s) {
  add_kind<Kind::user>(s);
  s.add<MaybeUser, One<Kind::user>>("GetUser", {}, Effect::read, get_user, caller_or_user_arn);
  add_rename<Kind::user>(s);
  add_kind<Kind::group>(s);
  add_rename<Kind::group>(s);
  add_kind<Kind::role>(s);
  s.add<Named<Kind::role>, One<Kind::role>>("GetRole", {}, Effect::read, get<Kind::role>,
                                            named_arn<Kind::role, Named<Kind::role>>);
  s.add<UpdateRole, Empty>("UpdateRole", {}, Effect::write, update_role, named_arn<Kind::role, UpdateRole>);
  s.add<UpdateTrust, Nothing>("UpdateAssumeRolePolicy", {}, Effect::write, update_trust,
                              named_arn<Kind::role, UpdateTrust>);
  add_tags<Kind::user>(s);
  add_tags<Kind::role>(s);
  add_tags<Kind::policy>(s);
}

}  // namespace hf::api::iam_api
