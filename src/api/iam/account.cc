// The account: how much stands in it and may, and its alias, a name to log in with in place of twelve digits.
#include <map>

#include "api/iam/iam.h"
#include "security/people.h"
#include "security/providers.h"

namespace hf::api::iam_api {
namespace {

// ---- GetAccountSummary

struct SummaryResponse {
  std::map<std::string, int64_t> summary;
  static void fields(wire::Fields<SummaryResponse>& f) { f("SummaryMap", &SummaryResponse::summary); }
};

// What is the same for every account; certificates are not offered.
std::map<std::string, int64_t> limits() {
  const auto most = [](Kind k) { return store_of::kMaxOf[static_cast<size_t>(k)]; };
  const auto inlined = [](Kind k) { return static_cast<int64_t>(store_of::kMaxInline[static_cast<size_t>(k)]); };
  const int64_t versions = store_of::kMaxVersions;
  return {{"UsersQuota", most(Kind::user)},
          {"GroupsQuota", most(Kind::group)},
          {"RolesQuota", most(Kind::role)},
          {"PoliciesQuota", most(Kind::policy)},
          {"UserPolicySizeQuota", inlined(Kind::user)},
          {"GroupPolicySizeQuota", inlined(Kind::group)},
          {"RolePolicySizeQuota", inlined(Kind::role)},
          {"PolicySizeQuota", static_cast<int64_t>(store_of::kMaxManaged)},
          {"VersionsPerPolicyQuota", versions},
          {"PolicyVersionsInUseQuota", most(Kind::policy) * versions},
          {"GroupsPerUserQuota", store_of::kMaxLinks},
          {"AttachedPoliciesPerUserQuota", store_of::kMaxLinks},
          {"AttachedPoliciesPerGroupQuota", store_of::kMaxLinks},
          {"AttachedPoliciesPerRoleQuota", store_of::kMaxLinks},
          {"AccessKeysPerUserQuota", kMaxAccessKeys},
          {"ServerCertificates", 0},
          {"ServerCertificatesQuota", 0},
          {"SigningCertificatesPerUserQuota", 0},
          {"AccountSigningCertificatesPresent", 0},
          {"AccountMFAEnabled", 0},
          {"GlobalEndpointTokenVersion", 2}};
}

// The account's own keys are those of its administrators, who are no IAM users.
Result<SummaryResponse> summary(Call& call, const Nothing&) {
  int64_t own_keys = 0;
  for (const auto& k : TRY(call.site().keys.list(call.account()))) own_keys += k.administrator && k.active;
  SummaryResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.summary = limits();
    auto& n = out.summary;
    n["AccountAccessKeysPresent"] = own_keys > 0;
    for (auto [kind, name] : {std::pair{Kind::user, "Users"}, {Kind::group, "Groups"}, {Kind::role, "Roles"}})
      n[name] = static_cast<int64_t>(TRY(store_of::list(txn, kind, call.account(), "/")).size());
    const auto policies = TRY(store_of::list(txn, Kind::policy, call.account(), "/"));
    n["Policies"] = static_cast<int64_t>(policies.size());
    n["PolicyVersionsInUse"] = 0;
    for (const Entity& p : policies)
      n["PolicyVersionsInUse"] += static_cast<int64_t>(TRY(store_of::documents(txn, p)).size());
    const auto devices = TRY(call.site().people.devices(txn, call.account()));
    n["MFADevices"] = static_cast<int64_t>(devices.size());
    n["MFADevicesInUse"] =
        std::count_if(devices.begin(), devices.end(), [](const auto& d) { return !d.user_id.empty(); });
    n["Providers"] = static_cast<int64_t>(TRY(security::providers(txn, call.account())).size());
    return {};
  }));
  return out;
}

// ---- the alias

struct Alias {
  std::string alias;
  static void fields(wire::Fields<Alias>& f) {
    f("AccountAlias", &Alias::alias).required().length(3, 63).pattern("[a-z0-9]([a-z0-9]|-[a-z0-9])*");
  }
};

Result<Nothing> create_alias(Call& call, const Alias& in) {
  if (in.alias.size() == 12 && in.alias.find_first_not_of("0123456789") == std::string::npos)
    return fail(Code::invalid, "InvalidInput", "AccountAlias: expected a name, found the form of an account's number");
  TRY(change(call, in,
             [&](store::Txn& txn) { return store_of::set_alias(txn, call.account(), in.alias, call.now()); }));
  return Nothing{};
}

Result<Nothing> delete_alias(Call& call, const Alias& in) {
  TRY(change(call, in, [&](store::Txn& txn) { return store_of::erase_alias(txn, call.account(), in.alias); }));
  return Nothing{};
}

struct ListAliases : Paged {
  static void fields(wire::Fields<ListAliases>& f) { page_fields(f); }
};
struct ListAliasesResponse : Page {
  std::vector<std::string> aliases;
  static void fields(wire::Fields<ListAliasesResponse>& f) {
    f("AccountAliases", &ListAliasesResponse::aliases);
    paged_fields(f);
  }
};

Result<ListAliasesResponse> list_aliases(Call& call, const ListAliases& in) {
  ListAliasesResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.aliases.clear();
    const std::string alias = TRY(store_of::alias_of(txn, call.account()));
    if (!alias.empty()) out.aliases.push_back(alias);
    return take(out.aliases, in, out, [](const std::string& a) { return a; });
  }));
  return out;
}

template <class In>
std::string account_arn(const Call&, const In&) {
  return "*";
}

}  // namespace

void add_account(Service& s) {
  s.add<Nothing, SummaryResponse>("GetAccountSummary", {}, Effect::read, summary, account_arn<Nothing>);
  s.add<Alias, Nothing>("CreateAccountAlias", {}, Effect::write, create_alias, account_arn<Alias>);
  s.add<Alias, Nothing>("DeleteAccountAlias", {}, Effect::write, delete_alias, account_arn<Alias>);
  s.add<ListAliases, ListAliasesResponse>("ListAccountAliases", {}, Effect::read, list_aliases,
                                          account_arn<ListAliases>);
}

}  // namespace hf::api::iam_api
