// What the files of IAM's operations share: shapes, the resource of an entity, pages, details for the ledger.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "api/listing.h"
#include "api/service.h"
#include "security/iam.h"
#include "security/keys.h"

namespace hf::api::iam_api {

namespace store_of = security::iam;
using store_of::Document;
using store_of::Entity;
using store_of::Kind;

inline constexpr const char* kName = "[A-Za-z0-9_+=,.@-]+";
inline constexpr const char* kPath = "/|/[!-~]+/";
inline constexpr size_t kMaxAccessKeys = 2;  // of a user
inline constexpr const char* kPathPrefix = "/[!-~]*";

struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

struct TagView {
  std::string key, value;
  static void fields(wire::Fields<TagView>& f) {
    f("Key", &TagView::key).required().length(1, 128).pattern("[\\pL\\pZ\\pN_.:/=+@-]+");
    f("Value", &TagView::value).required().length(0, 256).pattern("[\\pL\\pZ\\pN_.:/=+@-]*");
  }
};

struct BoundaryView {
  std::string type = "PermissionsBoundaryPolicy", arn;
  static void fields(wire::Fields<BoundaryView>& f) {
    f("PermissionsBoundaryType", &BoundaryView::type);
    f("PermissionsBoundaryArn", &BoundaryView::arn);
  }
};

// A user, group, role or policy as IAM shows it: the members that its kind has.
template <Kind K>
struct View {
  std::string path, name, id, arn;
  wire::Timestamp created;
  std::optional<BoundaryView> boundary;
  std::vector<TagView> tags;
  std::optional<std::string> trust, description, default_version;
  std::optional<int64_t> max_session, attached, bounds;
  std::optional<bool> attachable;
  std::optional<wire::Timestamp> updated;
  static void fields(wire::Fields<View>& f);
};
using UserView = View<Kind::user>;
using GroupView = View<Kind::group>;
using RoleView = View<Kind::role>;
using PolicyView = View<Kind::policy>;

// "User", "Group", "Role", "Policy"; "UserName", ...
constexpr const char* title(Kind k) {
  return k == Kind::user ? "User" : k == Kind::group ? "Group" : k == Kind::role ? "Role" : "Policy";
}
inline std::string name_member(Kind k) { return std::string(title(k)) + "Name"; }
constexpr int64_t longest_name(Kind k) { return k == Kind::user || k == Kind::role ? 64 : 128; }

template <Kind K>
void View<K>::fields(wire::Fields<View>& f) {
  f("Path", &View::path);
  f(name_member(K), &View::name);
  f(std::string(title(K)) + "Id", &View::id);
  f("Arn", &View::arn);
  f("CreateDate", &View::created);
  if (K == Kind::user || K == Kind::role) f("PermissionsBoundary", &View::boundary);
  if (K == Kind::role) {
    f("AssumeRolePolicyDocument", &View::trust);
    f("MaxSessionDuration", &View::max_session);
  }
  if (K == Kind::role || K == Kind::policy) f("Description", &View::description);
  if (K == Kind::policy) {
    f("DefaultVersionId", &View::default_version);
    f("AttachmentCount", &View::attached);
    f("PermissionsBoundaryUsageCount", &View::bounds);
    f("IsAttachable", &View::attachable);
    f("UpdateDate", &View::updated);
  }
  if (K != Kind::group) f("Tags", &View::tags);
}

// The views need the transaction for what hangs on an entity. `brief`: as lists show it, without tags and boundary.
template <Kind K>
Result<View<K>> view_of(store::Txn& txn, const Entity& e, bool brief = false);

// A version of a managed policy; `whole`: with its document.
struct VersionView {
  std::optional<std::string> document;
  std::string id;
  bool is_default = false;
  wire::Timestamp created;
  static void fields(wire::Fields<VersionView>& f) {
    f("Document", &VersionView::document);
    f("VersionId", &VersionView::id);
    f("IsDefaultVersion", &VersionView::is_default);
    f("CreateDate", &VersionView::created);
  }
};

VersionView version_view(const Entity& policy, const Document& document, bool whole);
struct AttachedView {
  std::string name, arn;
  static void fields(wire::Fields<AttachedView>& f) {
    f("PolicyName", &AttachedView::name);
    f("PolicyArn", &AttachedView::arn);
  }
};

// ---- names and what they stand for
template <Kind K>
struct Named {
  std::string name;
  static void fields(wire::Fields<Named>& f) {
    f(name_member(K), &Named::name).required().length(1, longest_name(K)).pattern(kName);
  }
};

// The ARN to authorise. An entity that there is none of has the path "/".
std::string arn_for(const Call& call, Kind kind, const std::string& name, const std::string& path = "");
// Of the caller's account.
Result<Entity> find(store::Txn& txn, const Call& call, Kind kind, const std::string& name);
// The same of the entity whose ARN was authorised, which was read before this transaction. ConcurrentModification: it
// has been moved, or made anew elsewhere, since then.
Result<Entity> target(store::Txn& txn, const Call& call, Kind kind, const std::string& name);
// Named, or the caller, who must be one of IAM's; of a request that is authorised on that user's ARN.
Result<Entity> user_of(store::Txn& txn, const Call& call, const std::optional<std::string>& name);
Result<Entity> find_policy(store::Txn& txn, const Call& call, const std::string& arn);

template <Kind K, class In>
std::string named_arn(const Call& call, const In& in) {
  return arn_for(call, K, in.name);
}
template <class In>
std::string policy_arn(const Call&, const In& in) {
  return in.arn;
}

// ---- pages
template <class In>
void page_fields(wire::Fields<In>& f) {
  f("Marker", static_cast<std::optional<std::string> In::*>(&In::marker)).length(1, 320);
  f("MaxItems", static_cast<std::optional<int64_t> In::*>(&In::max_items)).range(1, 1000);
}
struct Paged {
  std::optional<std::string> marker;
  std::optional<int64_t> max_items;
};
template <class Out>
void paged_fields(wire::Fields<Out>& f) {
  f("IsTruncated", static_cast<bool Out::*>(&Out::truncated));
  f("Marker", static_cast<std::optional<std::string> Out::*>(&Out::marker));
}
struct Page {
  bool truncated = false;
  std::optional<std::string> marker;
};
// key(item): unique. `items` becomes the page.
template <class T, class In, class Out, class Key>
Status take(std::vector<T>& items, const In& in, Out& out, Key key) {
  auto next = take_page(items, key, false, in.max_items.value_or(100), in.marker);
  if (!next.ok()) return fail(Code::invalid, "InvalidInput", "Marker: expected one that this operation gave");
  out.truncated = next->has_value();
  out.marker = std::move(*next);
  return {};
}

// ---- tags
Result<store_of::Tags> tags_of(const std::vector<TagView>& given);  // InvalidInput: a key twice, over 50
std::vector<TagView> tags_view(const store_of::Tags& tags);
// aws:RequestTag/KEY and aws:TagKeys: what requests that give tags, or take them away by their keys, tell policies.
security::Context told_tags(const std::vector<TagView>& tags);
security::Context told_keys(const std::vector<std::string>& keys);
// What is made with tags is tagged: the right to that is needed too ("iam:TagUser", ...).
Status may_tag(Call& call, const std::string& action, const std::vector<TagView>& tags);
template <class In>
security::Context tells_tags(const void* in) {
  return told_tags(static_cast<const In*>(in)->tags);
}
template <class In>
security::Context tells_keys(const void* in) {
  return told_keys(static_cast<const In*>(in)->keys);
}

// For the ledger: what was asked for, with digests in place of documents.
std::string detail_of(const wire::Shape& shape, const void* in);
// `detail` with one member more.
std::string with_member(const std::string& detail, const char* name, const std::string& value);
template <class In>
std::string detail(const In& in) {
  return detail_of(wire::shape_of<In>(), &in);
}
// A mutation, with its entry.
template <class In, class Fn>
Status change(Call& call, const In& in, Fn fn) {
  return call.commit([&](store::Txn& txn) -> Status { return fn(txn); }, detail(in));
}

// One that makes what its entry has to name: fn gives the name of it, which becomes the entry's `member`.
template <class In, class Fn>
Status change_making(Call& call, const In& in, const char* member, Fn fn) {
  const std::string asked = detail(in);
  std::string told = asked;
  return call.commit(
      [&](store::Txn& txn) -> Status {
        told = with_member(asked, member, TRY(fn(txn)));
        return {};
      },
      told);
}

inline constexpr const char* kNotHere = "this site does not offer it";

void add_entities(Service& s);     // users, groups, roles: create, get, list, update, delete, tags
void add_policies(Service& s);     // managed policies and their versions
void add_attachments(Service& s);  // inline and attached policies, boundaries
void add_members(Service& s);      // groups' members
void add_keys(Service& s);         // access keys
void add_credentials(Service& s);  // service-specific credentials
void add_log_in(Service& s);       // login profiles, MFA devices
void add_providers(Service& s);    // OpenID Connect providers
void add_simulation(Service& s);   // what policies would say
void add_details(Service& s);      // all that stands in an account
void add_account(Service& s);      // its summary, its alias
void add_report(Service& s);       // the credential report

}  // namespace hf::api::iam_api
