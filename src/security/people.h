// People: IAM users who log in with a password (AWS: a login profile) and, where they have one, a device that shows
// one-time codes (AWS: a virtual MFA device). Passwords lie as Argon2id hashes, the devices' seeds sealed under the
// site's root key. A code is used once.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "security/guess_limits.h"
#include "security/iam.h"
#include "security/sealer.h"

namespace hf::security {

struct LoginProfile {
  Micros created = 0;
  bool must_change = false;  // at the next log-in
};
struct Device {
  std::string serial;            // arn:aws:iam::ACCOUNT:mfa/PATHNAME
  std::string account, user_id;  // user_id "": nobody's yet
  Micros created = 0, enabled = 0;
};

class People {  // thread-safe
 public:
  // All must live longer. Tables: iam::make_tables.
  People(store::Db& db, os::Clock& clock, os::Random& random, const crypto::Secret& root_key);

  // ---- passwords. hash() blocks for some 0.1 s, so it is called before the transaction. PasswordPolicyViolation: not
  // 12 to 128 characters. exhausted: too many at once.
  Result<std::string> hash(const crypto::Secret& password);
  Status set_password(store::Txn& txn, const iam::Entity& user, const std::string& hash, bool must_change);
  Result<std::optional<LoginProfile>> profile(store::Txn& txn, const std::string& user_id);
  Status set_must_change(store::Txn& txn, const std::string& user_id, bool must_change);
  Status erase_profile(store::Txn& txn, const iam::Entity& user);  // NoSuchEntity

  // ---- devices. The seed, 32 characters of base32, is told once. EntityAlreadyExists.
  Result<std::pair<Device, crypto::Secret>> make_device(store::Txn& txn, const std::string& account,
                                                        const std::string& path, const std::string& name);
  Result<Device> device(store::Txn& txn, const std::string& account, const std::string& serial);  // NoSuchEntity
  Result<std::vector<Device>> devices(store::Txn& txn, const std::string& account);               // by serial
  Result<std::vector<Device>> devices_of(store::Txn& txn, const std::string& user_id);
  // InvalidAuthenticationCode: two codes, one after the other, show that it works. At most 8 a user (LimitExceeded).
  Status enable(store::Txn& txn, const iam::Entity& user, const Device& device, const std::string& first,
                const std::string& second);
  Status disable(store::Txn& txn, const Device& device);       // nobody's then
  Status erase_device(store::Txn& txn, const Device& device);  // DeleteConflict: somebody's
  // A code of one of the user's devices, at most 30 s early or late, that was not used yet; now it is. `serial` "":
  // whichever device. denied (InvalidAuthenticationCode): none, which counts like a wrong password. Throttling.
  Status use_code(store::Txn& txn, const std::string& user_id, const std::string& serial, const std::string& code,
                  const std::string& source);

  // ---- proof
  struct Proven {
    iam::Entity user;
    bool must_change = false, has_device = false;
  };
  // Who has the password. denied (LogInFailed): no such user, no password, another one; told alike, after the same
  // time. exhausted (Throttling): too many wrong ones, or too many at once. Blocks for some 0.1 s.
  Result<Proven> prove(const std::string& account, const std::string& name, const crypto::Secret& password,
                       const std::string& source);

 private:
  Status may_guess(const std::string& user_id, const std::string& source);
  void guessed(bool right, const std::string& user_id, const std::string& source);
  class Turn;
  struct Row {
    Device device;
    std::string seed;  // sealed
    int64_t last_step = 0;
  };
  Result<std::vector<Row>> rows(store::Txn& txn, const char* where, const std::string& value);
  Result<int64_t> step_of(const Row& row, const std::string& code, int64_t after) const;
  store::Db& db_;
  os::Clock& clock_;
  os::Random& random_;
  Sealer seeds_;
  std::mutex mutex_;
  std::condition_variable free_;
  int hashing_ = 0, waiting_ = 0;
  GuessLimits limits_;
};

}  // namespace hf::security
