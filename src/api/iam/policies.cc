// Managed policies and their versions.
#include "api/iam/iam.h"

namespace hf::api::iam_api {

VersionView version_view(const Entity& e, const Document& d, bool whole) {
  VersionView v;
  if (whole) v.document = percent_encode(d.text);
  v.id = d.name;
  v.is_default = d.name == "v" + std::to_string(e.default_version);
  v.created.us = d.created;
  return v;
}

namespace {

constexpr const char* kPolicyPath = "((/[A-Za-z0-9.,+@=_-]+)*)/";
constexpr const char* kVersion = "v[1-9][0-9]*";

struct CreatePolicy {
  std::string name, document;
  std::optional<std::string> path, description;
  std::vector<TagView> tags;
  static void fields(wire::Fields<CreatePolicy>& f) {
    f("PolicyName", &CreatePolicy::name).required().length(1, 128).pattern(kName);
    f("Path", &CreatePolicy::path).length(1, 512).pattern(kPolicyPath);
    f("PolicyDocument", &CreatePolicy::document).required().length(1, 131072);
    f("Description", &CreatePolicy::description).length(0, 1000);
    f("Tags", &CreatePolicy::tags).length(0, 50);
  }
};
struct OnePolicy {
  PolicyView policy;
  static void fields(wire::Fields<OnePolicy>& f) { f("Policy", &OnePolicy::policy); }
};

Result<OnePolicy> create_policy(Call& call, const CreatePolicy& in) {
  TRY(may_tag(call, "iam:TagPolicy", in.tags));
  Entity e;
  e.kind = Kind::policy;
  e.account = call.account();
  e.name = in.name;
  e.path = in.path.value_or("/");
  e.created = e.updated = call.now();
  e.description = in.description.value_or("");
  e.default_version = e.versions = 1;
  e.tags = TRY(tags_of(in.tags));
  OnePolicy out;
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity made = TRY(store_of::insert(txn, call.site().random, e));
    TRY(store_of::put_document(txn, made, {"v1", in.document, e.created}));
    out.policy = TRY(view_of<Kind::policy>(txn, made));
    return {};
  }));
  return out;
}

std::string create_policy_arn(const Call& call, const CreatePolicy& in) {
  return arn_for(call, Kind::policy, in.name, in.path.value_or("/"));
}

struct ByArn {
  std::string arn;
  static void fields(wire::Fields<ByArn>& f) { f("PolicyArn", &ByArn::arn).required().length(20, 2048); }
};

Result<OnePolicy> get_policy(Call& call, const ByArn& in) {
  OnePolicy out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.policy = TRY(view_of<Kind::policy>(txn, TRY(find_policy(txn, call, in.arn))));
    return {};
  }));
  return out;
}

Result<Nothing> delete_policy(Call& call, const ByArn& in) {
  TRY(change(call, in,
             [&](store::Txn& txn) -> Status { return store_of::erase(txn, TRY(find_policy(txn, call, in.arn))); }));
  return Nothing{};
}

struct ListPolicies : Paged {
  std::optional<std::string> scope, prefix, usage;
  std::optional<bool> only_attached;
  static void fields(wire::Fields<ListPolicies>& f) {
    f("Scope", &ListPolicies::scope).one_of({"All", "AWS", "Local"});
    f("OnlyAttached", &ListPolicies::only_attached);
    f("PathPrefix", &ListPolicies::prefix).length(1, 512).pattern(kPathPrefix);
    f("PolicyUsageFilter", &ListPolicies::usage).one_of({"PermissionsPolicy", "PermissionsBoundary"});
    page_fields(f);
  }
};
struct ListPoliciesResponse : Page {
  std::vector<PolicyView> policies;
  static void fields(wire::Fields<ListPoliciesResponse>& f) {
    f("Policies", &ListPoliciesResponse::policies);
    paged_fields(f);
  }
};

// "AWS" is a list of none: all policies here are an account's own.
Result<ListPoliciesResponse> list_policies(Call& call, const ListPolicies& in) {
  ListPoliciesResponse out;
  if (in.scope == "AWS") return out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    std::vector<PolicyView> all;
    for (const Entity& e : TRY(store_of::list(txn, Kind::policy, call.account(), in.prefix.value_or("/")))) {
      PolicyView v = TRY(view_of<Kind::policy>(txn, e, true));
      v.description.reset();
      const bool permits = v.attached.value_or(0) > 0, bounds = v.bounds.value_or(0) > 0;
      if (in.usage == "PermissionsBoundary" ? !bounds && in.only_attached.value_or(false)
                                            : !permits && in.only_attached.value_or(false))
        continue;
      if (in.usage == "PermissionsBoundary" && !bounds) continue;
      if (in.usage == "PermissionsPolicy" && !permits) continue;
      all.push_back(std::move(v));
    }
    TRY(take(all, in, out, [](const PolicyView& v) { return v.name; }));
    out.policies = std::move(all);
    return {};
  }));
  return out;
}

std::string list_policies_arn(const Call& call, const ListPolicies& in) {
  return "arn:aws:iam::" + call.account() + ":policy" + in.prefix.value_or("/");
}

// ---- versions
struct CreateVersion {
  std::string arn, document;
  std::optional<bool> set_default;
  static void fields(wire::Fields<CreateVersion>& f) {
    f("PolicyArn", &CreateVersion::arn).required().length(20, 2048);
    f("PolicyDocument", &CreateVersion::document).required().length(1, 131072);
    f("SetAsDefault", &CreateVersion::set_default);
  }
};
struct OneVersion {
  VersionView version;
  static void fields(wire::Fields<OneVersion>& f) { f("PolicyVersion", &OneVersion::version); }
};

Result<OneVersion> create_version(Call& call, const CreateVersion& in) {
  OneVersion out;
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(find_policy(txn, call, in.arn));
    const Document d{"v" + std::to_string(++e.versions), in.document, call.now()};
    TRY(store_of::put_document(txn, e, d));
    if (in.set_default.value_or(false)) e.default_version = e.versions;
    e.updated = call.now();
    TRY(store_of::update(txn, e));
    out.version = version_view(e, d, false);
    return {};
  }));
  return out;
}

struct ByVersion {
  std::string arn, version;
  static void fields(wire::Fields<ByVersion>& f) {
    f("PolicyArn", &ByVersion::arn).required().length(20, 2048);
    f("VersionId", &ByVersion::version).required().pattern(kVersion);
  }
};

Result<OneVersion> get_version(Call& call, const ByVersion& in) {
  OneVersion out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    const Entity e = TRY(find_policy(txn, call, in.arn));
    out.version = version_view(e, TRY(store_of::get_document(txn, e, in.version)), true);
    return {};
  }));
  return out;
}

Result<Nothing> delete_version(Call& call, const ByVersion& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity e = TRY(find_policy(txn, call, in.arn));
    if (in.version == "v" + std::to_string(e.default_version))
      return fail(Code::conflict, "DeleteConflict", "the default version of a policy cannot be deleted");
    return store_of::erase_document(txn, e, in.version);
  }));
  return Nothing{};
}

Result<Nothing> set_default(Call& call, const ByVersion& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(find_policy(txn, call, in.arn));
    TRY(store_of::get_document(txn, e, in.version));
    e.default_version = TRY(parse_int(std::string_view(in.version).substr(1), "VersionId"));
    e.updated = call.now();
    return store_of::update(txn, e);
  }));
  return Nothing{};
}

struct ListVersions : Paged {
  std::string arn;
  static void fields(wire::Fields<ListVersions>& f) {
    f("PolicyArn", &ListVersions::arn).required().length(20, 2048);
    page_fields(f);
  }
};
struct ListVersionsResponse : Page {
  std::vector<VersionView> versions;
  static void fields(wire::Fields<ListVersionsResponse>& f) {
    f("Versions", &ListVersionsResponse::versions);
    paged_fields(f);
  }
};

Result<ListVersionsResponse> list_versions(Call& call, const ListVersions& in) {
  ListVersionsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.versions.clear();
    const Entity e = TRY(find_policy(txn, call, in.arn));
    for (const Document& d : TRY(store_of::documents(txn, e))) out.versions.push_back(version_view(e, d, false));
    return take(out.versions, in, out, [](const VersionView& v) {
      const size_t digits = v.id.size() - 1;  // by number
      return std::string(digits < 20 ? 20 - digits : 0, '0') + v.id.substr(1);
    });
  }));
  return out;
}

}  // namespace

void add_policies(Service& s) {
  s.add<CreatePolicy, OnePolicy>("CreatePolicy", {}, Effect::write, create_policy, create_policy_arn).tells =
      tells_tags<CreatePolicy>;
  s.add<ByArn, OnePolicy>("GetPolicy", {}, Effect::read, get_policy, policy_arn<ByArn>);
  s.add<ListPolicies, ListPoliciesResponse>("ListPolicies", {}, Effect::read, list_policies, list_policies_arn);
  s.add<ByArn, Nothing>("DeletePolicy", {}, Effect::write, delete_policy, policy_arn<ByArn>);
  s.add<CreateVersion, OneVersion>("CreatePolicyVersion", {}, Effect::write, create_version, policy_arn<CreateVersion>);
  s.add<ByVersion, OneVersion>("GetPolicyVersion", {}, Effect::read, get_version, policy_arn<ByVersion>);
  s.add<ByVersion, Nothing>("DeletePolicyVersion", {}, Effect::write, delete_version, policy_arn<ByVersion>);
  s.add<ByVersion, Nothing>("SetDefaultPolicyVersion", {}, Effect::write, set_default, policy_arn<ByVersion>);
  s.add<ListVersions, ListVersionsResponse>("ListPolicyVersions", {}, Effect::read, list_versions,
                                            policy_arn<ListVersions>);
}

}  // namespace hf::api::iam_api
