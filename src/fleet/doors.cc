#include "fleet/doors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "fleet/door_relay.h"
#include "fleet/json_fields.h"
#include "security/json.h"

namespace hf::fleet {
namespace json = boost::json;
namespace {

constexpr const char* kKind = "egress-door";
constexpr int64_t kPage = 1000;
constexpr int kConnectMs = 10'000;

json::object body_of(const Door& d) {
  return {
      {"address", d.to.address},      {"port", d.to.port},        {"purpose", d.purpose},  {"created_by", d.created_by},
      {"connections", d.connections}, {"bytes_out", d.bytes_out}, {"bytes_in", d.bytes_in}};
}

Result<Door> door_of(const store::Record& row) {
  const auto f = TRY(JsonFields::parse(row.body, "door " + row.name));
  Door d;
  d.account = row.account;
  d.name = row.name;
  d.created = row.created;
  d.to.address = f.text("address");
  d.to.port = static_cast<uint16_t>(f.integer("port"));
  d.purpose = f.text("purpose");
  d.created_by = f.text("created_by");
  d.connections = f.integer("connections");
  d.bytes_out = f.integer("bytes_out");
  d.bytes_in = f.integer("bytes_in");
  return d;
}

bool good_name(const std::string& name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 63 || !plain(name.front()) || !plain(name.back())) return false;
  for (const char c : name)
    if (!plain(c) && c != '-') return false;
  return true;
}

// A path longer than a socket's address may be is reached through its folder's descriptor.
Result<os::Fd> listen_at(const std::string& path) {
  const size_t slash = path.rfind('/');
  const os::Fd folder(open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string name = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + path.substr(slash + 1);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto no = [&](int number) {
    return fail(Code::unavailable, "a door at " + path + ": " + std::strerror(number));
  };
  if (!folder) return no(errno);
  if (name.size() >= sizeof address.sun_path) return no(ENAMETOOLONG);
  std::memcpy(address.sun_path, name.data(), name.size());
  os::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), 16) != 0)
    return no(errno);
  return fd;
}

using Key = std::pair<std::string, std::string>;  // account, name

class DoorsImpl final : public Doors {
 public:
  DoorsImpl(os::Clock& clock, store::Db& db, security::Ledger& ledger, os::Doorkeeper* keeper, std::string region)
      : clock_(clock), db_(db), ledger_(ledger), keeper_(keeper), region_(std::move(region)) {}

  Status add(store::Txn& txn, const Door& door) override {
    if (!good_name(door.name))
      return fail(Code::invalid, "name: expected a-z, 0-9 and '-' in between, at most 63, found '" + door.name + "'");
    TRY(check_address(door.to));
    store::Record row;
    row.kind = kKind;
    row.account = door.account;
    row.name = door.name;
    row.created = row.updated = door.created;
    row.body = json::serialize(body_of(door));
    auto put = store::insert_record(txn, row);
    if (!put.ok() && put.error().code == Code::conflict)
      return fail(Code::conflict, "there is an egress door '" + door.name + "' already: remove it first");
    return put;
  }

  Result<Door> remove(store::Txn& txn, const std::string& account, const std::string& name) override {
    const auto row = TRY(store::get_record(txn, kKind, account, name));
    if (!row) return fail(Code::not_found, "there is no egress door '" + name + "'");
    Door door = TRY(door_of(*row));
    TRY(store::delete_record(txn, kKind, account, name));
    return door;
  }

  Status opened(const Door& door) override { return keeper_ ? keeper_->allow(door.to) : Status(); }

  void closed(const Door& door) override {
    if (keeper_) (void)keeper_->forget(door.to);
    std::lock_guard lock(mutex_);
    auto [from, to] = relays_.equal_range({door.account, door.name});
    for (auto it = from; it != to; ++it) it->second->cut();
  }

  Result<std::optional<Door>> find(const std::string& account, const std::string& name) override {
    std::optional<Door> out;
    TRY(db_.read([&](store::Txn& txn) -> Status {
      if (const auto row = TRY(store::get_record(txn, kKind, account, name))) out = TRY(door_of(*row));
      return {};
    }));
    return out;
  }

  Result<std::vector<Door>> list(const std::string& account) override {
    std::vector<Door> out;
    for (std::string after;;) {
      std::vector<store::Record> page;
      TRY(db_.read([&](store::Txn& txn) -> Status {
        page = TRY(store::list_records(txn, kKind, account, after, kPage));
        return {};
      }));
      for (const auto& row : page) out.push_back(TRY(door_of(row)));
      if (static_cast<int64_t>(page.size()) < kPage) return out;
      after = page.back().name;
    }
  }

  DoorCounters now(const std::string& account, const std::string& name) const override {
    std::lock_guard lock(mutex_);
    auto it = now_.find({account, name});
    return it == now_.end() ? DoorCounters() : it->second;
  }

  Result<std::unique_ptr<DoorServer>> serve(const Door& door, const std::string& path, security::Entry actor,
                                            std::function<Status()> may) override;
  bool sealed() const override { return keeper_ && keeper_->sealed(); }
  std::string words() const override {
    return keeper_ ? keeper_->words() : "this site has no doorkeeper: nothing connects through a door";
  }

 private:
  friend class Serving;
  Result<os::Fd> connect(const Door& door, const security::Entry& actor, const std::function<Status()>& may);
  void ended(const Door& door, security::Entry entry, const Carried& carried);
  void moved(const Key& key, int64_t connections, int64_t out, int64_t in) {
    std::lock_guard lock(mutex_);
    DoorCounters& c = now_[key];
    c.connections += connections;
    c.bytes_out += out;
    c.bytes_in += in;
  }

  os::Clock& clock_;
  store::Db& db_;
  security::Ledger& ledger_;
  os::Doorkeeper* const keeper_;
  const std::string region_;
  mutable std::mutex mutex_;
  std::map<Key, DoorCounters> now_;
  std::multimap<Key, DoorRelay*> relays_;  // those that live
};

class Serving final : public DoorServer {
 public:
  Serving(DoorsImpl& doors, const Door& door, os::Fd listener, const security::Entry& actor,
          std::function<Status()> may)
      : doors_(doors), key_(door.account, door.name) {
    DoorRelay::Hooks hooks;
    hooks.connect = [&doors, door, actor, may = std::move(may)] { return doors.connect(door, actor, may); };
    hooks.ended = [&doors, door, actor](const Carried& carried) { doors.ended(door, actor, carried); };
    hooks.moved = [&doors, key = key_](int64_t connections, int64_t out, int64_t in) {
      doors.moved(key, connections, out, in);
    };
    relay_ = std::make_unique<DoorRelay>(std::move(listener), std::move(hooks));
    std::lock_guard lock(doors_.mutex_);
    doors_.relays_.emplace(key_, relay_.get());
  }
  ~Serving() override {
    std::lock_guard lock(doors_.mutex_);
    auto [from, to] = doors_.relays_.equal_range(key_);
    for (auto it = from; it != to; ++it)
      if (it->second == relay_.get()) {
        doors_.relays_.erase(it);
        break;
      }
    // The lock goes before relay_ does, whose end takes it.
  }

 private:
  DoorsImpl& doors_;
  const Key key_;
  std::unique_ptr<DoorRelay> relay_;
};

std::string detail_of(const Door& door, const std::string& user, json::object more) {
  if (!user.empty()) more["for"] = user;
  more["address"] = door.to.address;
  more["door"] = door.name;
  more["port"] = door.to.port;
  return security::canonical_json(more);
}

// Before the connection: whether it may be, and its entry. If that cannot be written, nothing is connected.
Result<os::Fd> DoorsImpl::connect(const Door& door, const security::Entry& actor, const std::function<Status()>& may) {
  TRY(may());
  const auto still = TRY(find(door.account, door.name));
  if (!still || still->created != door.created) return fail(Code::denied, "the door is closed");
  security::Entry entry = actor;  // whose resource is who uses the door
  entry.action = "egress:Connect";
  entry.resource = door_arn(region_, door.account, door.name);
  entry.decision = "allow";
  entry.reason = "door";
  entry.detail = detail_of(door, actor.resource, {});
  TRY(ledger_.append(entry));
  auto fd = keeper_->connect(door.to, kConnectMs);
  if (fd.ok()) return fd;
  entry.action = "egress:Close";
  entry.detail = detail_of(door, actor.resource, {{"failed", fd.error().message}});
  (void)ledger_.append(entry);
  return fd;
}

void DoorsImpl::ended(const Door& door, security::Entry entry, const Carried& carried) {
  const std::string user = std::exchange(entry.resource, door_arn(region_, door.account, door.name));
  entry.action = "egress:Close";
  entry.decision = "allow";
  entry.reason = "door";
  entry.detail = detail_of(door, user,
                           {{"bytes_in", carried.bytes_in},
                            {"bytes_out", carried.bytes_out},
                            {"kernel_bytes_in", carried.kernel_in},
                            {"kernel_bytes_out", carried.kernel_out}});
  // What the entry tells and the door's sums are one transaction. If it fails, the bytes have gone all the same: the
  // entry of the connection stands, and no close follows it.
  (void)db_.write([&](store::Txn& txn) -> Status {
    if (auto row = TRY(store::get_record(txn, kKind, door.account, door.name)); row) {
      Door sums = TRY(door_of(*row));
      if (sums.created == door.created) {
        sums.connections += 1;
        sums.bytes_out += carried.bytes_out;
        sums.bytes_in += carried.bytes_in;
        row->body = json::serialize(body_of(sums));
        row->updated = clock_.now();
        TRY(store::put_record(txn, *row));
      }
    }
    TRY(ledger_.append(txn, entry));
    return {};
  });
}

Result<std::unique_ptr<DoorServer>> DoorsImpl::serve(const Door& door, const std::string& path, security::Entry actor,
                                                     std::function<Status()> may) {
  if (!keeper_) return fail(Code::unavailable, words());
  auto listener = TRY(listen_at(path));
  return std::unique_ptr<DoorServer>(
      std::make_unique<Serving>(*this, door, std::move(listener), actor, std::move(may)));
}

}  // namespace

Status check_address(const os::DoorAddress& to) {
  unsigned char bytes[sizeof(in6_addr)];
  if (inet_pton(AF_INET, to.address.c_str(), bytes) != 1 && inet_pton(AF_INET6, to.address.c_str(), bytes) != 1)
    return fail(Code::invalid, "address: expected a numeric IPv4 or IPv6 address, found '" + to.address +
                                   "' (names are not looked up: a lookup would be a packet that leaves)");
  if (to.port == 0) return fail(Code::invalid, "port: expected 1 to 65535");
  return {};
}

std::string door_arn(const std::string& region, const std::string& account, const std::string& name) {
  return "arn:aws:holdfast:" + region + ":" + account + ":egress-door/" + name;
}

Result<std::unique_ptr<Doors>> Doors::open(os::Clock& clock, store::Db& db, security::Ledger& ledger,
                                           os::Doorkeeper* keeper, std::string region) {
  auto out = std::make_unique<DoorsImpl>(clock, db, ledger, keeper, std::move(region));
  for (const Door& door : TRY(out->list(""))) TRY(out->opened(door));
  return std::unique_ptr<Doors>(std::move(out));
}

}  // namespace hf::fleet
