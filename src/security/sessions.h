// Temporary credentials: an access key ("ASIA..."), its secret and a session token. All that is known of a session is
// in its token, sealed (security/sealer.h): nothing is stored, so nothing has to be cleaned up, and a session lives
// through a restart. What its principal may is read anew for each request: a policy that is taken away is gone at once,
// and so is every session of a user, role or key that is removed (of a key: or made inactive).
// docs/decisions/0018-sessions.md
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "security/iam.h"
#include "security/keys.h"
#include "security/sealer.h"

namespace hf::security {

struct Session {
  enum class Kind {
    key,   // of an access key (GetSessionToken): may what the key may
    user,  // of an IAM user who has logged in
    role,  // assumed
  };
  Kind kind = Kind::role;
  std::string account;
  std::string principal;           // the key's id; the user's or role's id (AIDA..., AROA...)
  std::string name;                // of a role's session
  Micros issued = 0, expires = 0;  // issue() sets them
  bool limited = false;  // no IAM, and of STS AssumeRole and GetCallerIdentity alone: a key's without a second factor
  Micros second_factor = 0;  // when one was shown; 0: none was
  std::string source_identity, provider;
  std::string policy;                    // a session policy; "": none
  std::vector<std::string> policy_arns;  // managed policies as session policies
  iam::Tags tags;
  std::vector<std::string> transitive;  // keys of those tags that go on to the next role
};

class Sessions {  // thread-safe
 public:
  // All must live longer.
  Sessions(store::Db& db, os::Clock& clock, os::Random& random, Keys& keys, const crypto::Secret& root_key);

  struct Issued {
    std::string access_key_id;
    crypto::Secret secret;
    std::string token;
    Micros expires = 0;
    int64_t packed_percent = 0;  // of the room that session policies and tags may take, rounded up
  };
  // seconds: from now. PackedPolicyTooLarge: policies and tags take more than kRoom bytes.
  Result<Issued> issue(Session session, int64_t seconds);
  static constexpr size_t kRoom = 6144;

  // denied: InvalidToken (none of ours, altered, another key's; its principal is gone), ExpiredToken.
  Result<Keys::Found> open(const std::string& access_key_id, std::string_view token);

  // The account whose key it is, which the id of a temporary key holds (hidden, not signed: who asks checks that there
  // is such an account). "": no id of a temporary key.
  std::string account_of(std::string_view access_key_id) const;

 private:
  struct Opened {
    std::string access_key_id;
    crypto::Secret secret;
    Session session;
    int64_t generation = -1;  // of the account, when `identity` was read
    Identity identity;
  };
  std::string new_id(const std::string& account) const;
  std::string mask(std::string_view salt) const;
  Result<std::shared_ptr<const Opened>> opened(std::string_view token);
  Result<std::shared_ptr<const Opened>> current(std::shared_ptr<const Opened> known, const std::string& digest);
  Result<std::optional<Identity>> identity_of(store::Txn& txn, const Session& session);
  Result<Identity> of_key(const Session& session);
  void keep(const std::string& digest, std::shared_ptr<const Opened> one);

  store::Db& db_;
  os::Clock& clock_;
  os::Random& random_;
  Keys& keys_;
  Sealer sealer_;
  crypto::Secret id_key_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Opened>> cache_;  // by the token's digest
};

}  // namespace hf::security
