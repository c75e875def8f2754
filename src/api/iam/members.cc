// Members of groups.
#include "api/iam/iam.h"

namespace hf::api::iam_api {
namespace {

struct Membership {
  std::string group, user;
  static void fields(wire::Fields<Membership>& f) {
    f("GroupName", &Membership::group).required().length(1, 128).pattern(kName);
    f("UserName", &Membership::user).required().length(1, 128).pattern(kName);
  }
};

std::string group_arn(const Call& call, const Membership& in) { return arn_for(call, Kind::group, in.group); }

Result<Nothing> add_member(Call& call, const Membership& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return store_of::link(txn, TRY(find(txn, call, Kind::user, in.user)),
                          TRY(target(txn, call, Kind::group, in.group)));
  }));
  return Nothing{};
}

Result<Nothing> remove_member(Call& call, const Membership& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return store_of::unlink(txn, TRY(find(txn, call, Kind::user, in.user)),
                            TRY(target(txn, call, Kind::group, in.group)));
  }));
  return Nothing{};
}

template <Kind K>
struct PagedName : Paged {
  std::string name;
  static void fields(wire::Fields<PagedName>& f) {
    f(name_member(K), &PagedName::name).required().length(1, 128).pattern(kName);
    page_fields(f);
  }
};
struct GetGroupResponse : Page {
  GroupView group;
  std::vector<UserView> users;
  static void fields(wire::Fields<GetGroupResponse>& f) {
    f("Group", &GetGroupResponse::group);
    f("Users", &GetGroupResponse::users);
    paged_fields(f);
  }
};

Result<GetGroupResponse> get_group(Call& call, const PagedName<Kind::group>& in) {
  GetGroupResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.users.clear();
    const Entity group = TRY(target(txn, call, Kind::group, in.name));
    out.group = TRY(view_of<Kind::group>(txn, group));
    auto users = TRY(store_of::linking(txn, group, Kind::user));
    TRY(take(users, in, out, [](const Entity& e) { return e.name; }));
    for (const Entity& e : users) out.users.push_back(TRY(view_of<Kind::user>(txn, e, true)));
    return {};
  }));
  return out;
}

struct GroupsResponse : Page {
  std::vector<GroupView> groups;
  static void fields(wire::Fields<GroupsResponse>& f) {
    f("Groups", &GroupsResponse::groups);
    paged_fields(f);
  }
};

Result<GroupsResponse> groups_for_user(Call& call, const PagedName<Kind::user>& in) {
  GroupsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.groups.clear();
    auto groups = TRY(store_of::linked(txn, TRY(target(txn, call, Kind::user, in.name)), Kind::group));
    TRY(take(groups, in, out, [](const Entity& e) { return e.name; }));
    for (const Entity& e : groups) out.groups.push_back(TRY(view_of<Kind::group>(txn, e, true)));
    return {};
  }));
  return out;
}

}  // namespace

void add_members(Service& s) {
  s.add<Membership, Nothing>("AddUserToGroup", {}, Effect::write, add_member, group_arn);
  s.add<Membership, Nothing>("RemoveUserFromGroup", {}, Effect::write, remove_member, group_arn);
  s.add<PagedName<Kind::group>, GetGroupResponse>("GetGroup", {}, Effect::read, get_group,
                                                  named_arn<Kind::group, PagedName<Kind::group>>);
  s.add<PagedName<Kind::user>, GroupsResponse>("ListGroupsForUser", {}, Effect::read, groups_for_user,
                                               named_arn<Kind::user, PagedName<Kind::user>>);
}

}  // namespace hf::api::iam_api
