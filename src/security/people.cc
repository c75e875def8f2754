#include "security/people.h"

#include <algorithm>

#include "crypto/password.h"

namespace hf::security {
namespace {

constexpr int kAtOnce = 2, kWaiting = 4;  // hashes: 64 MiB and a core each; the threads that wait are not without end
constexpr int64_t kStep = 30'000'000;     // of a code, in microseconds
constexpr size_t kMaxDevices = 8;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr const char* kColumns = "serial, account, user_id, created, enabled, seed, last_step";
// Of no password (the tag is all zeros), to spend the time on that another would take.
constexpr const char* kNobodys =
    "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

std::string base32(std::string_view bytes) {
  std::string out;
  uint32_t bits = 0;
  int n = 0;
  for (unsigned char c : bytes) {
    bits = bits << 8 | c;
    for (n += 8; n >= 5; n -= 5) out += kAlphabet[bits >> (n - 5) & 31];
  }
  if (n > 0) out += kAlphabet[bits << (5 - n) & 31];
  return out;
}

Error none(const std::string& what) { return fail(Code::not_found, "NoSuchEntity", what); }
Error bad_code() {
  return fail(Code::denied, "InvalidAuthenticationCode",
              "expected a code that the device shows now and that was not used yet");
}

}  // namespace

// A place among those who hash at the same time.
class People::Turn {
 public:
  explicit Turn(People& people) : people_(people) {
    std::unique_lock lock(people_.mutex_);
    if (people_.hashing_ >= kAtOnce) {
      if (people_.waiting_ >= kWaiting) return;
      ++people_.waiting_;
      people_.free_.wait(lock, [&] { return people_.hashing_ < kAtOnce; });
      --people_.waiting_;
    }
    ++people_.hashing_;
    has_ = true;
  }
  ~Turn() {
    if (!has_) return;
    std::lock_guard lock(people_.mutex_);
    --people_.hashing_;
    people_.free_.notify_one();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  Status taken() const {
    return has_ ? Status() : fail(Code::exhausted, "Throttling", "too many are logging in; try again in a second");
  }

 private:
  People& people_;
  bool has_ = false;
};

People::People(store::Db& db, os::Clock& clock, os::Random& random, const crypto::Secret& root_key)
    : db_(db), clock_(clock), random_(random), seeds_(root_key, "mfa-seed", random) {}

// ---- passwords

Result<std::string> People::hash(const crypto::Secret& password) {
  const size_t n = password.reveal().size();
  if (n < 12 || n > 128 || !valid_utf8(password.reveal()))
    return fail(Code::invalid, "PasswordPolicyViolation", "Password: expected 12 to 128 bytes of text");
  Turn turn(*this);
  TRY(turn.taken());
  return crypto::hash_password(password, random_.bytes(16));
}

Status People::set_password(store::Txn& txn, const iam::Entity& user, const std::string& hash, bool must_change) {
  auto q = TRY(txn.query(
      "INSERT INTO iam_passwords (user_id, hash, must_change, created) VALUES (?, ?, ?, ?) ON CONFLICT(user_id) DO "
      "UPDATE SET hash = excluded.hash, must_change = excluded.must_change"));
  q.bind(std::string_view(user.id)).bind(std::string_view(hash)).bind(int64_t{must_change}).bind(clock_.now());
  TRY(q.run());
  return iam::changed(txn, user.account);
}

Result<std::optional<LoginProfile>> People::profile(store::Txn& txn, const std::string& user_id) {
  auto q = TRY(txn.query("SELECT created, must_change FROM iam_passwords WHERE user_id = ?"));
  q.bind(std::string_view(user_id));
  if (!TRY(q.step())) return std::optional<LoginProfile>();
  return std::optional(LoginProfile{q.integer(0), q.integer(1) != 0});
}

Status People::set_must_change(store::Txn& txn, const std::string& user_id, bool must_change) {
  auto q = TRY(txn.query("UPDATE iam_passwords SET must_change = ? WHERE user_id = ?"));
  q.bind(int64_t{must_change}).bind(std::string_view(user_id));
  return q.run();
}

Status People::erase_profile(store::Txn& txn, const iam::Entity& user) {
  if (!TRY(profile(txn, user.id))) return none("the user " + user.name + " has no login profile");
  auto q = TRY(txn.query("DELETE FROM iam_passwords WHERE user_id = ?"));
  q.bind(std::string_view(user.id));
  TRY(q.run());
  return iam::changed(txn, user.account);
}

// ---- devices

Result<std::vector<People::Row>> People::rows(store::Txn& txn, const char* where, const std::string& value) {
  std::vector<Row> out;
  auto q =
      TRY(txn.query(std::string("SELECT ") + kColumns + " FROM iam_devices WHERE " + where + " = ? ORDER BY serial"));
  q.bind(std::string_view(value));
  while (TRY(q.step()))
    out.push_back({{q.text(0), q.text(1), q.text(2), q.integer(3), q.integer(4)}, q.text(5), q.integer(6)});
  return out;
}

Result<std::pair<Device, crypto::Secret>> People::make_device(store::Txn& txn, const std::string& account,
                                                              const std::string& path, const std::string& name) {
  Device d;
  d.serial = "arn:aws:iam::" + account + ":mfa" + path + name;
  d.account = account;
  d.created = clock_.now();
  if (!TRY(rows(txn, "serial", d.serial)).empty())
    return fail(Code::conflict, "EntityAlreadyExists", "there is a device " + d.serial + " already");
  crypto::Secret seed(random_.bytes(20));  // RFC 4226, 4: 160 bits
  auto q =
      TRY(txn.query("INSERT INTO iam_devices (serial, account, user_id, created, enabled, seed, last_step) VALUES (?, "
                    "?, '', ?, 0, ?, 0)"));
  q.bind(std::string_view(d.serial)).bind(std::string_view(account)).bind(d.created);
  const std::string sealed = seeds_.seal(seed.reveal(), d.serial);
  q.bind(std::string_view(sealed));
  TRY(q.run());
  return std::pair{d, crypto::Secret(base32(seed.reveal()))};
}

Result<Device> People::device(store::Txn& txn, const std::string& account, const std::string& serial) {
  auto found = TRY(rows(txn, "serial", serial));
  if (found.empty() || found[0].device.account != account)
    return none("there is no MFA device " + clip_utf8(serial, 256));
  return found[0].device;
}

Result<std::vector<Device>> People::devices(store::Txn& txn, const std::string& account) {
  std::vector<Device> out;
  for (Row& row : TRY(rows(txn, "account", account))) out.push_back(std::move(row.device));
  return out;
}

Result<std::vector<Device>> People::devices_of(store::Txn& txn, const std::string& user_id) {
  std::vector<Device> out;
  if (user_id.empty()) return out;
  for (Row& row : TRY(rows(txn, "user_id", user_id))) out.push_back(std::move(row.device));
  return out;
}

// The step that the code is of: now, the one before or after it, and later than `after`.
Result<int64_t> People::step_of(const Row& row, const std::string& code, int64_t after) const {
  auto seed = seeds_.open(row.seed, row.device.serial);
  if (!seed.ok()) return fail(Code::corrupt, "the seed of " + row.device.serial + " does not open under the root key");
  const int64_t now = clock_.now() / kStep;
  for (int64_t step : {now, now - 1, now + 1})
    if (step > after && crypto::one_time_code(seed->reveal(), step) == code) return step;
  return bad_code();
}

Status People::enable(store::Txn& txn, const iam::Entity& user, const Device& device, const std::string& first,
                      const std::string& second) {
  if (!device.user_id.empty())
    return fail(Code::conflict, "EntityAlreadyExists", "the device " + device.serial + " is somebody's already");
  if (TRY(devices_of(txn, user.id)).size() >= kMaxDevices)
    return fail(Code::conflict, "LimitExceeded", "expected at most 8 devices a user");
  const auto found = TRY(rows(txn, "serial", device.serial));
  const int64_t one = TRY(step_of(found.at(0), first, 0)), two = TRY(step_of(found.at(0), second, one));
  if (two != one + 1) return bad_code();
  auto q = TRY(txn.query("UPDATE iam_devices SET user_id = ?, enabled = ?, last_step = ? WHERE serial = ?"));
  q.bind(std::string_view(user.id)).bind(clock_.now()).bind(two).bind(std::string_view(device.serial));
  TRY(q.run());
  return iam::changed(txn, user.account);
}

Status People::disable(store::Txn& txn, const Device& device) {
  auto q = TRY(txn.query("UPDATE iam_devices SET user_id = '', enabled = 0 WHERE serial = ?"));
  q.bind(std::string_view(device.serial));
  TRY(q.run());
  return iam::changed(txn, device.account);
}

Status People::erase_device(store::Txn& txn, const Device& device) {
  if (!device.user_id.empty())
    return fail(Code::conflict, "DeleteConflict",
                "the device " + device.serial + " is somebody's; deactivate it first");
  auto q = TRY(txn.query("DELETE FROM iam_devices WHERE serial = ?"));
  q.bind(std::string_view(device.serial));
  return q.run();
}

Status People::use_code(store::Txn& txn, const std::string& user_id, const std::string& serial, const std::string& code,
                        const std::string& source) {
  if (user_id.empty()) return bad_code();
  TRY(may_guess(user_id, source));
  for (const Row& row : TRY(rows(txn, "user_id", user_id))) {
    if (!serial.empty() && row.device.serial != serial) continue;
    auto step = step_of(row, code, row.last_step);
    if (!step.ok() && step.error().code != Code::denied) return step.error();
    if (!step.ok()) continue;
    guessed(true, user_id, source);
    auto q = TRY(txn.query("UPDATE iam_devices SET last_step = ? WHERE serial = ?"));
    q.bind(*step).bind(std::string_view(row.device.serial));
    return q.run();
  }
  guessed(false, user_id, source);
  return bad_code();
}

// ---- proof

Status People::may_guess(const std::string& user_id, const std::string& source) {
  std::lock_guard lock(mutex_);
  const int64_t wait = limits_.wait(clock_.monotonic_us() / 1'000'000, user_id, source);
  if (wait == 0) return {};
  return fail(Code::exhausted, "Throttling",
              "too many wrong passwords or codes; try again in " + std::to_string(wait) + " s");
}

void People::guessed(bool right, const std::string& user_id, const std::string& source) {
  std::lock_guard lock(mutex_);
  if (right)
    limits_.right(source);
  else
    limits_.wrong(clock_.monotonic_us() / 1'000'000, user_id, source);
}

Result<People::Proven> People::prove(const std::string& account, const std::string& name,
                                     const crypto::Secret& password, const std::string& source) {
  Proven out;
  std::string hash = kNobodys;
  bool known = false;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    auto user = iam::get(txn, iam::Kind::user, account, name);
    if (!user.ok()) return user.error().code == Code::not_found ? Status() : Status(user.error());
    auto q = TRY(txn.query("SELECT hash, must_change FROM iam_passwords WHERE user_id = ?"));
    q.bind(std::string_view(user->id));
    if (!TRY(q.step())) return {};
    hash = q.text(0);
    known = true;
    out.must_change = q.integer(1) != 0;
    out.has_device = !TRY(devices_of(txn, user->id)).empty();
    out.user = std::move(*user);
    return {};
  }));
  TRY(may_guess(out.user.id, source));
  Turn turn(*this);
  TRY(turn.taken());
  const bool right = TRY(crypto::verify_password(hash, password)) && known;
  // With a second factor to come, it is that one that forgives.
  if (!right || !out.has_device) guessed(right, out.user.id, source);
  if (!right) return fail(Code::denied, "LogInFailed", "expected the name and the password of a user who may log in");
  return out;
}

}  // namespace hf::security
