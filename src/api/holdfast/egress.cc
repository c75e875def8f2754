// The ways out: doors, who opened them, and what went through.
#include <boost/json.hpp>

#include "api/holdfast/operations.h"
#include "fleet/doors.h"
#include "security/json.h"

namespace hf::api::holdfast_api {
namespace {

namespace json = boost::json;

struct DoorView {
  std::string account, address, arn, created_by, name, purpose;
  int64_t bytes_in = 0, bytes_out = 0, connections = 0, open_connections = 0, port = 0;
  wire::Timestamp created;
  static void fields(wire::Fields<DoorView>& f) {
    f("account", &DoorView::account);
    f("address", &DoorView::address);
    f("arn", &DoorView::arn);
    f("bytes_in", &DoorView::bytes_in);
    f("bytes_out", &DoorView::bytes_out);
    f("connections", &DoorView::connections);  // that have ended
    f("created", &DoorView::created);
    f("created_by", &DoorView::created_by);
    f("name", &DoorView::name);
    f("open_connections", &DoorView::open_connections);
    f("port", &DoorView::port);
    f("purpose", &DoorView::purpose);
  }
};

Result<fleet::Doors*> doors_of(const Call& call) {
  if (!call.site().doors) return fail(Code::unavailable, "this site has no egress doors");
  return call.site().doors;
}

DoorView view_of(const Call& call, fleet::Doors& doors, const fleet::Door& d) {
  const fleet::DoorCounters now = doors.now(d.account, d.name);
  DoorView v;
  v.account = d.account;
  v.name = d.name;
  v.arn = fleet::door_arn(call.site().region, d.account, d.name);
  v.address = d.to.address;
  v.port = d.to.port;
  v.purpose = d.purpose;
  v.created_by = d.created_by;
  v.created.us = d.created;
  v.connections = d.connections;
  v.open_connections = now.connections;
  v.bytes_out = d.bytes_out + now.bytes_out;
  v.bytes_in = d.bytes_in + now.bytes_in;
  return v;
}

struct AllowRequest {
  std::string name, address;
  int64_t port = 0;
  std::optional<std::string> account, purpose;
  static void fields(wire::Fields<AllowRequest>& f) {
    f("account", &AllowRequest::account).pattern("[0-9]{12}");
    f("address", &AllowRequest::address).required().length(2, 45);
    f("name", &AllowRequest::name).path().required().pattern("[a-z0-9](-*[a-z0-9]){0,62}");
    f("port", &AllowRequest::port).required().range(1, 65535);
    f("purpose", &AllowRequest::purpose).length(0, 256);
  }
};

struct DoorResponse {
  DoorView door;
  static void fields(wire::Fields<DoorResponse>& f) { f("door", &DoorResponse::door); }
};

std::string detail_of(const fleet::Door& d) {
  return security::canonical_json(json::object{{"account", d.account},
                                               {"address", d.to.address},
                                               {"door", d.name},
                                               {"port", d.to.port},
                                               {"purpose", d.purpose}});
}

Result<DoorResponse> allow(Call& call, const AllowRequest& in) {
  fleet::Doors& doors = *TRY(doors_of(call));
  fleet::Door door;
  door.account = account_or_own(call, in.account);
  door.name = in.name;
  door.to = {in.address, static_cast<uint16_t>(in.port)};
  door.purpose = in.purpose.value_or("");
  door.created_by = call.who().arn;
  door.created = call.now();
  TRY(fleet::check_address(door.to));
  TRY(call.commit([&](store::Txn& txn) { return doors.add(txn, door); }, detail_of(door)));
  TRY(doors.opened(door));
  return DoorResponse{view_of(call, doors, door)};
}

struct DoorsQuery {
  std::optional<std::string> account;
  static void fields(wire::Fields<DoorsQuery>& f) {
    f("account", &DoorsQuery::account).query("account").pattern("[0-9]{12}");
  }
};

struct ListResponse {
  std::vector<DoorView> doors;
  static void fields(wire::Fields<ListResponse>& f) { f("doors", &ListResponse::doors); }
};

Result<ListResponse> list(Call& call, const DoorsQuery& in) {
  fleet::Doors& doors = *TRY(doors_of(call));
  ListResponse out;
  for (const auto& door : TRY(doors.list(account_or_own(call, in.account))))
    out.doors.push_back(view_of(call, doors, door));
  return out;
}

struct RemoveRequest {
  std::string name;
  std::optional<std::string> account;
  static void fields(wire::Fields<RemoveRequest>& f) {
    f("account", &RemoveRequest::account).query("account").pattern("[0-9]{12}");
    f("name", &RemoveRequest::name).path().required().pattern("[a-z0-9](-*[a-z0-9]){0,62}");
  }
};

Result<Nothing> remove(Call& call, const RemoveRequest& in) {
  fleet::Doors& doors = *TRY(doors_of(call));
  std::optional<fleet::Door> door;
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        door = TRY(doors.remove(txn, account_or_own(call, in.account), in.name));
        return {};
      },
      security::canonical_json(json::object{{"account", account_or_own(call, in.account)}, {"door", in.name}})));
  doors.closed(*door);
  return Nothing{};
}

struct StatusResponse {
  bool sealed = false;
  std::string words;
  int64_t bytes_in = 0, bytes_out = 0, connections = 0, doors = 0, open_connections = 0;
  static void fields(wire::Fields<StatusResponse>& f) {
    f("bytes_in", &StatusResponse::bytes_in);
    f("bytes_out", &StatusResponse::bytes_out);
    f("connections", &StatusResponse::connections);
    f("doors", &StatusResponse::doors);
    f("open_connections", &StatusResponse::open_connections);
    f("sealed", &StatusResponse::sealed);
    f("words", &StatusResponse::words);
  }
};

Result<StatusResponse> status(Call& call, const Nothing&) {
  fleet::Doors& doors = *TRY(doors_of(call));
  StatusResponse out;
  out.sealed = doors.sealed();
  out.words = doors.words();
  for (const auto& door : TRY(doors.list(call.who().administrator ? "" : call.account()))) {
    const DoorView v = view_of(call, doors, door);
    out.doors += 1;
    out.connections += v.connections;
    out.open_connections += v.open_connections;
    out.bytes_out += v.bytes_out;
    out.bytes_in += v.bytes_in;
  }
  return out;
}

}  // namespace

// Who may open and close a door is the site's matter: these have resources of nobody's account. To use one
// (holdfast:UseEgressDoor) is a right of the door's own account.
void add_egress(Service& s) {
  s.add<AllowRequest, DoorResponse>(
      "AllowEgressDoor", {"PUT", "/holdfast/v1/egress/doors/{name}"}, Effect::write, allow,
      [](const Call& call, const AllowRequest& in) { return site_arn(call, "egress-door/" + in.name); });
  s.add<RemoveRequest, Nothing>(
      "RemoveEgressDoor", {"DELETE", "/holdfast/v1/egress/doors/{name}"}, Effect::write, remove,
      [](const Call& call, const RemoveRequest& in) { return site_arn(call, "egress-door/" + in.name); });
  s.add<DoorsQuery, ListResponse>(
      "ListEgressDoors", {"GET", "/holdfast/v1/egress/doors"}, Effect::read, list,
      [](const Call& call, const DoorsQuery& in) { return own_arn(call, "egress-door/*", in.account.value_or("")); });
  s.add<Nothing, StatusResponse>("GetEgressStatus", {"GET", "/holdfast/v1/egress"}, Effect::read, status,
                                 [](const Call& call, const Nothing&) { return own_arn(call, "egress"); });
}

}  // namespace hf::api::holdfast_api
