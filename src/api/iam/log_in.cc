// How people log in (holdfast log-in, api/holdfast/log_in.cc): login profiles and virtual MFA devices. Passwords and
// codes are in no entry of the ledger.
#include <boost/json.hpp>

#include "api/errors.h"
#include "api/iam/iam.h"
#include "security/denials.h"
#include "security/json.h"
#include "security/people.h"

namespace hf::api::iam_api {
namespace json = boost::json;
namespace {

using security::Device;

std::string told(json::object members) { return security::canonical_json(members); }

// ---- login profiles

struct ProfileView {
  std::string user;
  wire::Timestamp created;
  bool must_change = false;
  static void fields(wire::Fields<ProfileView>& f) {
    f("UserName", &ProfileView::user);
    f("CreateDate", &ProfileView::created);
    f("PasswordResetRequired", &ProfileView::must_change);
  }
};
struct ProfileResponse {
  ProfileView profile;
  static void fields(wire::Fields<ProfileResponse>& f) { f("LoginProfile", &ProfileResponse::profile); }
};

template <class T>
void user_field(wire::Fields<T>& f) {
  f("UserName", &T::user).length(1, 64).pattern(kName);
}
template <class T>
void password_field(wire::Fields<T>& f) {
  f("Password", &T::password).length(1, 128).secret();
}
template <class In>
std::string user_arn(const Call& call, const In& in) {
  return in.user ? arn_for(call, Kind::user, *in.user) : call.who().arn;
}

Error no_profile(const Entity& user) {
  return fail(Code::not_found, "NoSuchEntity", "the user " + user.name + " has no login profile");
}

struct CreateProfile {
  std::optional<std::string> user;
  std::string password;
  std::optional<bool> must_change;
  static void fields(wire::Fields<CreateProfile>& f) {
    user_field(f);
    f("Password", &CreateProfile::password).required().length(1, 128).secret();
    f("PasswordResetRequired", &CreateProfile::must_change);
  }
};

Result<ProfileResponse> create_profile(Call& call, const CreateProfile& in) {
  auto& people = call.site().people;
  const std::string hash = TRY(people.hash(crypto::Secret(in.password)));
  ProfileResponse out;
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        const Entity user = TRY(user_of(txn, call, in.user));
        if (TRY(people.profile(txn, user.id)))
          return fail(Code::conflict, "EntityAlreadyExists", "the user " + user.name + " has a login profile already");
        TRY(people.set_password(txn, user, hash, in.must_change.value_or(false)));
        out.profile = {user.name, {call.now()}, in.must_change.value_or(false)};
        return {};
      },
      told({{"PasswordResetRequired", in.must_change.value_or(false)}})));
  return out;
}

struct UserOnly {
  std::optional<std::string> user;
  static void fields(wire::Fields<UserOnly>& f) { user_field(f); }
};

Result<ProfileResponse> get_profile(Call& call, const UserOnly& in) {
  ProfileResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    const Entity user = TRY(user_of(txn, call, in.user));
    auto found = TRY(call.site().people.profile(txn, user.id));
    if (!found) return no_profile(user);
    out.profile = {user.name, {found->created}, found->must_change};
    return {};
  }));
  return out;
}

struct UpdateProfile {
  std::optional<std::string> user, password;
  std::optional<bool> must_change;
  static void fields(wire::Fields<UpdateProfile>& f) {
    f("UserName", &UpdateProfile::user).required().length(1, 64).pattern(kName);
    password_field(f);
    f("PasswordResetRequired", &UpdateProfile::must_change);
  }
};

Result<Nothing> update_profile(Call& call, const UpdateProfile& in) {
  auto& people = call.site().people;
  std::string hash;
  if (in.password) hash = TRY(people.hash(crypto::Secret(*in.password)));
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        const Entity user = TRY(user_of(txn, call, in.user));
        auto found = TRY(people.profile(txn, user.id));
        if (!found) return no_profile(user);
        const bool must_change = in.must_change.value_or(found->must_change);
        if (in.password) return people.set_password(txn, user, hash, must_change);
        return people.set_must_change(txn, user.id, must_change);
      },
      told({{"NewPassword", in.password.has_value()}})));
  return Nothing{};
}

Result<Nothing> delete_profile(Call& call, const UserOnly& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return call.site().people.erase_profile(txn, TRY(user_of(txn, call, in.user)));
  }));
  return Nothing{};
}

struct ChangePassword {
  std::string old_password, new_password;
  static void fields(wire::Fields<ChangePassword>& f) {
    f("OldPassword", &ChangePassword::old_password).required().length(1, 128).secret();
    f("NewPassword", &ChangePassword::new_password).required().length(1, 128).secret();
  }
};

Result<Nothing> change_password(Call& call, const ChangePassword& in) {
  auto& people = call.site().people;
  Entity user;
  TRY(call.read([&](store::Txn& txn) -> Status {
    user = TRY(user_of(txn, call, std::nullopt));
    return {};
  }));
  auto proven =
      people.prove(user.account, user.name, crypto::Secret(in.old_password), security::host_of(call.head().peer));
  if (!proven.ok() && proven.error().code == Code::denied)
    return fail(Code::denied, kAccessDenied, "OldPassword: expected the user's password");
  TRY(proven);
  const std::string hash = TRY(people.hash(crypto::Secret(in.new_password)));
  TRY(call.commit([&](store::Txn& txn) -> Status {
    const Entity now = TRY(user_of(txn, call, std::nullopt));
    if (!TRY(people.profile(txn, now.id))) return no_profile(now);
    return people.set_password(txn, now, hash, false);
  }));
  return Nothing{};
}

// ---- devices

struct VirtualView {
  std::string serial;
  std::optional<wire::Blob> seed;
  std::optional<UserView> user;
  std::optional<wire::Timestamp> enabled;
  static void fields(wire::Fields<VirtualView>& f) {
    f("SerialNumber", &VirtualView::serial);
    f("Base32StringSeed", &VirtualView::seed).secret();
    f("User", &VirtualView::user);
    f("EnableDate", &VirtualView::enabled);
  }
};
struct VirtualResponse {
  VirtualView device;
  static void fields(wire::Fields<VirtualResponse>& f) { f("VirtualMFADevice", &VirtualResponse::device); }
};

struct CreateVirtual {
  std::optional<std::string> path;
  std::string name;
  static void fields(wire::Fields<CreateVirtual>& f) {
    f("Path", &CreateVirtual::path).length(1, 512).pattern(kPath);
    f("VirtualMFADeviceName", &CreateVirtual::name).required().length(1, 226).pattern(kName);
    f.refused("Tags", "MFA devices have no tags here");
  }
};
std::string new_device_arn(const Call& call, const CreateVirtual& in) {
  return "arn:aws:iam::" + call.account() + ":mfa" + in.path.value_or("/") + in.name;
}

Result<VirtualResponse> create_virtual(Call& call, const CreateVirtual& in) {
  VirtualResponse out;
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const auto [device, seed] =
        TRY(call.site().people.make_device(txn, call.account(), in.path.value_or("/"), in.name));
    out.device.serial = device.serial;
    out.device.seed = wire::Blob{std::string(seed.reveal())};
    return {};
  }));
  return out;
}

template <class T>
void serial_field(wire::Fields<T>& f) {
  f("SerialNumber", &T::serial).required().length(9, 256).pattern("[\\w+=/:,.@-]+");
}
struct EnableDevice {
  std::optional<std::string> user;
  std::string serial, first, second;
  static void fields(wire::Fields<EnableDevice>& f) {
    f("UserName", &EnableDevice::user).required().length(1, 64).pattern(kName);
    serial_field(f);
    f("AuthenticationCode1", &EnableDevice::first).required().pattern("[0-9]{6}").secret();
    f("AuthenticationCode2", &EnableDevice::second).required().pattern("[0-9]{6}").secret();
  }
};

Result<Nothing> enable_device(Call& call, const EnableDevice& in) {
  auto& people = call.site().people;
  auto done = call.commit(
      [&](store::Txn& txn) -> Status {
        const Entity user = TRY(user_of(txn, call, in.user));
        return people.enable(txn, user, TRY(people.device(txn, call.account(), in.serial)), in.first, in.second);
      },
      told({{"SerialNumber", in.serial}}));
  if (!done.ok() && done.error().name == "InvalidAuthenticationCode")
    return fail(
        Code::invalid, "InvalidAuthenticationCode",
        "AuthenticationCode1, AuthenticationCode2: expected two codes that the device shows now, one after the other");
  TRY(done);
  return Nothing{};
}

struct UserDevice {
  std::optional<std::string> user;
  std::string serial;
  static void fields(wire::Fields<UserDevice>& f) {
    user_field(f);
    serial_field(f);
  }
};

Result<Nothing> deactivate_device(Call& call, const UserDevice& in) {
  auto& people = call.site().people;
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    const Entity user = TRY(user_of(txn, call, in.user));
    const Device device = TRY(people.device(txn, call.account(), in.serial));
    if (device.user_id != user.id)
      return fail(Code::not_found, "NoSuchEntity", "the user " + user.name + " has no MFA device " + in.serial);
    return people.disable(txn, device);
  }));
  return Nothing{};
}

struct SerialOnly {
  std::string serial;
  static void fields(wire::Fields<SerialOnly>& f) { serial_field(f); }
};
std::string device_arn(const Call&, const SerialOnly& in) { return in.serial; }

Result<Nothing> delete_virtual(Call& call, const SerialOnly& in) {
  auto& people = call.site().people;
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return people.erase_device(txn, TRY(people.device(txn, call.account(), in.serial)));
  }));
  return Nothing{};
}

struct DeviceView {
  std::string user, serial;
  wire::Timestamp enabled;
  static void fields(wire::Fields<DeviceView>& f) {
    f("UserName", &DeviceView::user);
    f("SerialNumber", &DeviceView::serial);
    f("EnableDate", &DeviceView::enabled);
  }
};
struct ListDevices : Paged {
  std::optional<std::string> user;
  static void fields(wire::Fields<ListDevices>& f) {
    user_field(f);
    page_fields(f);
  }
};
struct ListDevicesResponse : Page {
  std::vector<DeviceView> devices;
  static void fields(wire::Fields<ListDevicesResponse>& f) {
    f("MFADevices", &ListDevicesResponse::devices);
    paged_fields(f);
  }
};

Result<ListDevicesResponse> list_devices(Call& call, const ListDevices& in) {
  ListDevicesResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.devices.clear();
    const Entity user = TRY(user_of(txn, call, in.user));
    for (const Device& d : TRY(call.site().people.devices_of(txn, user.id)))
      out.devices.push_back({user.name, d.serial, {d.enabled}});
    return take(out.devices, in, out, [](const DeviceView& d) { return d.serial; });
  }));
  return out;
}

struct ListVirtual : Paged {
  std::optional<std::string> assignment;
  static void fields(wire::Fields<ListVirtual>& f) {
    f("AssignmentStatus", &ListVirtual::assignment).one_of({"Assigned", "Unassigned", "Any"});
    page_fields(f);
  }
};
struct ListVirtualResponse : Page {
  std::vector<VirtualView> devices;
  static void fields(wire::Fields<ListVirtualResponse>& f) {
    f("VirtualMFADevices", &ListVirtualResponse::devices);
    paged_fields(f);
  }
};

Status show(store::Txn& txn, const Device& device, VirtualView& v) {
  v.serial = device.serial;
  if (device.user_id.empty()) return {};
  v.enabled = wire::Timestamp{device.enabled};
  const auto user = TRY(store_of::by_id(txn, device.user_id));
  if (user) v.user = TRY(view_of<Kind::user>(txn, *user, true));
  return {};
}

Result<ListVirtualResponse> list_virtual(Call& call, const ListVirtual& in) {
  ListVirtualResponse out;
  const std::string want = in.assignment.value_or("Any");
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.devices.clear();
    const std::vector<Device> all = TRY(call.site().people.devices(txn, call.account()));
    for (const Device& device : all)
      if (want == "Any" || (want == "Assigned") != device.user_id.empty())
        TRY(show(txn, device, out.devices.emplace_back()));
    return take(out.devices, in, out, [](const VirtualView& d) { return d.serial; });
  }));
  return out;
}

std::string own_arn(const Call& call, const ChangePassword&) { return call.who().arn; }
std::string any_device(const Call& call, const ListVirtual&) { return "arn:aws:iam::" + call.account() + ":mfa/*"; }

}  // namespace

void add_log_in(Service& s) {
  s.add<CreateProfile, ProfileResponse>("CreateLoginProfile", {}, Effect::write, create_profile,
                                        user_arn<CreateProfile>);
  s.add<UserOnly, ProfileResponse>("GetLoginProfile", {}, Effect::read, get_profile, user_arn<UserOnly>);
  s.add<UpdateProfile, Nothing>("UpdateLoginProfile", {}, Effect::write, update_profile, user_arn<UpdateProfile>);
  s.add<UserOnly, Nothing>("DeleteLoginProfile", {}, Effect::write, delete_profile, user_arn<UserOnly>);
  s.add<ChangePassword, Nothing>("ChangePassword", {}, Effect::write, change_password, own_arn);
  s.add<CreateVirtual, VirtualResponse>("CreateVirtualMFADevice", {}, Effect::write, create_virtual, new_device_arn);
  s.add<EnableDevice, Nothing>("EnableMFADevice", {}, Effect::write, enable_device, user_arn<EnableDevice>);
  s.add<UserDevice, Nothing>("DeactivateMFADevice", {}, Effect::write, deactivate_device, user_arn<UserDevice>);
  s.add<SerialOnly, Nothing>("DeleteVirtualMFADevice", {}, Effect::write, delete_virtual, device_arn);
  s.add<ListDevices, ListDevicesResponse>("ListMFADevices", {}, Effect::read, list_devices, user_arn<ListDevices>);
  s.add<ListVirtual, ListVirtualResponse>("ListVirtualMFADevices", {}, Effect::read, list_virtual, any_device);
}

}  // namespace hf::api::iam_api
