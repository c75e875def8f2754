// The account as a whole, for who has to see what stands in it: every entity with what hangs on it, and on whom a
// policy hangs.
#include "api/iam/iam.h"

namespace hf::api::iam_api {
namespace {

constexpr Kind kKinds[] = {Kind::user, Kind::group, Kind::role, Kind::policy};

// Pages go over all kinds, one after the other.
std::string page_key(const Entity& e) { return std::to_string(static_cast<int>(e.kind)) + e.name; }

bool wanted(const std::vector<std::string>& filter, const char* name) {
  return filter.empty() || std::find(filter.begin(), filter.end(), name) != filter.end();
}
const char* filter_name(Kind k) { return k == Kind::policy ? "LocalManagedPolicy" : title(k); }

// ---- GetAccountAuthorizationDetails

struct PolicyDetail {
  std::string name, document;
  static void fields(wire::Fields<PolicyDetail>& f) {
    f("PolicyName", &PolicyDetail::name);
    f("PolicyDocument", &PolicyDetail::document);
  }
};

// A user, group or role with its policies.
template <Kind K>
struct Detail {
  std::string path, name, id, arn;
  wire::Timestamp created;
  std::optional<std::string> trust;
  std::vector<PolicyDetail> documents;
  std::vector<std::string> groups, instance_profiles;  // no instance profiles are here
  std::vector<AttachedView> attached;
  std::optional<BoundaryView> boundary;
  std::vector<TagView> tags;
  static void fields(wire::Fields<Detail>& f) {
    f("Path", &Detail::path);
    f(name_member(K), &Detail::name);
    f(std::string(title(K)) + "Id", &Detail::id);
    f("Arn", &Detail::arn);
    f("CreateDate", &Detail::created);
    if (K == Kind::role) {
      f("AssumeRolePolicyDocument", &Detail::trust);
      f("InstanceProfileList", &Detail::instance_profiles);
    }
    f(std::string(title(K)) + "PolicyList", &Detail::documents);
    if (K == Kind::user) f("GroupList", &Detail::groups);
    f("AttachedManagedPolicies", &Detail::attached);
    if (K == Kind::group) return;
    f("PermissionsBoundary", &Detail::boundary);
    f("Tags", &Detail::tags);
  }
};

template <Kind K>
Result<Detail<K>> detail_of_entity(store::Txn& txn, const Entity& e) {
  View<K> v = TRY(view_of<K>(txn, e));
  Detail<K> out;
  out.path = std::move(v.path);
  out.name = std::move(v.name);
  out.id = std::move(v.id);
  out.arn = std::move(v.arn);
  out.created = v.created;
  out.trust = std::move(v.trust);
  out.boundary = std::move(v.boundary);
  out.tags = std::move(v.tags);
  for (const Document& d : TRY(store_of::documents(txn, e))) out.documents.push_back({d.name, percent_encode(d.text)});
  for (const Entity& p : TRY(store_of::linked(txn, e, Kind::policy)))
    out.attached.push_back({p.name, store_of::arn_of(p)});
  if (K == Kind::user)
    for (const Entity& g : TRY(store_of::linked(txn, e, Kind::group))) out.groups.push_back(g.name);
  return out;
}

struct ManagedDetail {
  std::string path, name, id, arn;
  wire::Timestamp created, updated;
  std::optional<std::string> description, default_version;
  int64_t attached = 0, bounds = 0;
  bool attachable = true;
  std::vector<VersionView> versions;
  static void fields(wire::Fields<ManagedDetail>& f) {
    f("PolicyName", &ManagedDetail::name);
    f("PolicyId", &ManagedDetail::id);
    f("Arn", &ManagedDetail::arn);
    f("Path", &ManagedDetail::path);
    f("DefaultVersionId", &ManagedDetail::default_version);
    f("AttachmentCount", &ManagedDetail::attached);
    f("PermissionsBoundaryUsageCount", &ManagedDetail::bounds);
    f("IsAttachable", &ManagedDetail::attachable);
    f("Description", &ManagedDetail::description);
    f("CreateDate", &ManagedDetail::created);
    f("UpdateDate", &ManagedDetail::updated);
    f("PolicyVersionList", &ManagedDetail::versions);
  }
};

Result<ManagedDetail> managed_detail(store::Txn& txn, const Entity& e) {
  PolicyView v = TRY(view_of<Kind::policy>(txn, e, true));
  ManagedDetail out;
  out.path = std::move(v.path);
  out.name = std::move(v.name);
  out.id = std::move(v.id);
  out.arn = std::move(v.arn);
  out.created = v.created;
  out.updated = v.updated.value_or(v.created);
  out.description = std::move(v.description);
  out.default_version = std::move(v.default_version);
  out.attached = v.attached.value_or(0);
  out.bounds = v.bounds.value_or(0);
  for (const Document& d : TRY(store_of::documents(txn, e))) out.versions.push_back(version_view(e, d, true));
  return out;
}

struct DetailsRequest : Paged {
  std::vector<std::string> filter;
  static void fields(wire::Fields<DetailsRequest>& f) {
    f("Filter", &DetailsRequest::filter)
        .length(0, 5)
        .one_of({"User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"});
    page_fields(f);
  }
};
struct DetailsResponse : Page {
  std::vector<Detail<Kind::user>> users;
  std::vector<Detail<Kind::group>> groups;
  std::vector<Detail<Kind::role>> roles;
  std::vector<ManagedDetail> policies;
  static void fields(wire::Fields<DetailsResponse>& f) {
    f("UserDetailList", &DetailsResponse::users);
    f("GroupDetailList", &DetailsResponse::groups);
    f("RoleDetailList", &DetailsResponse::roles);
    f("Policies", &DetailsResponse::policies);
    paged_fields(f);
  }
};

Status add_detail(store::Txn& txn, const Entity& e, DetailsResponse& out) {
  switch (e.kind) {
    case Kind::user:
      out.users.push_back(TRY(detail_of_entity<Kind::user>(txn, e)));
      break;
    case Kind::group:
      out.groups.push_back(TRY(detail_of_entity<Kind::group>(txn, e)));
      break;
    case Kind::role:
      out.roles.push_back(TRY(detail_of_entity<Kind::role>(txn, e)));
      break;
    case Kind::policy:
      out.policies.push_back(TRY(managed_detail(txn, e)));
      break;
  }
  return {};
}

// "AWSManagedPolicy" is a list of none: all policies here are an account's own.
Result<DetailsResponse> authorization_details(Call& call, const DetailsRequest& in) {
  DetailsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out = {};
    std::vector<Entity> all;
    for (Kind kind : kKinds) {
      if (!wanted(in.filter, filter_name(kind))) continue;
      for (Entity& e : TRY(store_of::list(txn, kind, call.account(), "/"))) all.push_back(std::move(e));
    }
    TRY(take(all, in, out, page_key));
    for (const Entity& e : all) TRY(add_detail(txn, e, out));
    return {};
  }));
  return out;
}

std::string whole_account(const Call&, const DetailsRequest&) { return "*"; }

// ---- ListEntitiesForPolicy

template <Kind K>
struct Bearer {
  std::string name, id;
  static void fields(wire::Fields<Bearer>& f) {
    f(name_member(K), &Bearer::name);
    f(std::string(title(K)) + "Id", &Bearer::id);
  }
};
struct EntitiesRequest : Paged {
  std::string arn;
  std::optional<std::string> kind, prefix, usage;
  static void fields(wire::Fields<EntitiesRequest>& f) {
    f("PolicyArn", &EntitiesRequest::arn).required().length(20, 2048);
    f("EntityFilter", &EntitiesRequest::kind)
        .one_of({"User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"});
    f("PathPrefix", &EntitiesRequest::prefix).length(1, 512).pattern(kPathPrefix);
    f("PolicyUsageFilter", &EntitiesRequest::usage).one_of({"PermissionsPolicy", "PermissionsBoundary"});
    page_fields(f);
  }
};
struct EntitiesResponse : Page {
  std::vector<Bearer<Kind::group>> groups;
  std::vector<Bearer<Kind::user>> users;
  std::vector<Bearer<Kind::role>> roles;
  static void fields(wire::Fields<EntitiesResponse>& f) {
    f("PolicyGroups", &EntitiesResponse::groups);
    f("PolicyUsers", &EntitiesResponse::users);
    f("PolicyRoles", &EntitiesResponse::roles);
    paged_fields(f);
  }
};

// Those of a kind that have the policy, each once, however they have it.
Result<std::vector<Entity>> bearers(store::Txn& txn, const Entity& policy, Kind kind, const EntitiesRequest& in) {
  std::vector<Entity> out;
  if (in.usage != "PermissionsBoundary") out = TRY(store_of::linking(txn, policy, kind));
  if (in.usage != "PermissionsPolicy")
    for (Entity& e : TRY(store_of::bounded_by(txn, policy, kind)))
      if (std::none_of(out.begin(), out.end(), [&](const Entity& o) { return o.id == e.id; }))
        out.push_back(std::move(e));
  std::erase_if(out, [&](const Entity& e) { return !e.path.starts_with(in.prefix.value_or("/")); });
  return out;
}

Result<EntitiesResponse> entities_for_policy(Call& call, const EntitiesRequest& in) {
  EntitiesResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out = {};
    const Entity policy = TRY(find_policy(txn, call, in.arn));
    std::vector<Entity> all;
    for (Kind kind : {Kind::user, Kind::group, Kind::role}) {
      if (in.kind && *in.kind != title(kind)) continue;
      for (Entity& e : TRY(bearers(txn, policy, kind, in))) all.push_back(std::move(e));
    }
    TRY(take(all, in, out, page_key));
    for (const Entity& e : all) {
      if (e.kind == Kind::user) out.users.push_back({e.name, e.id});
      if (e.kind == Kind::group) out.groups.push_back({e.name, e.id});
      if (e.kind == Kind::role) out.roles.push_back({e.name, e.id});
    }
    return {};
  }));
  return out;
}

}  // namespace

void add_details(Service& s) {
  s.add<DetailsRequest, DetailsResponse>("GetAccountAuthorizationDetails", {}, Effect::read, authorization_details,
                                         whole_account);
  s.add<EntitiesRequest, EntitiesResponse>("ListEntitiesForPolicy", {}, Effect::read, entities_for_policy,
                                           policy_arn<EntitiesRequest>);
}

}  // namespace hf::api::iam_api
