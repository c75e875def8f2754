// The state folder: what is in it, and what a first start makes.
//   lock           held while a site runs on the folder; its text is what holds it: "site PID" or "check PID"
//   site.json      where the site is (endpoint, CA, region, id, pid); rewritten at each start
//   admin.json     the administrator's keys, mode 0600
//   settings.json  what was given to `holdfast up`
//   identity       the site's id and its first account
//   root.key       seals the access keys' secrets, mode 0600
//   signing.key    Ed25519, signs heads and receipts, mode 0600; signing.pub beside it
//   tls/           the site's authority and its server certificate
//   db/ objects/ models/ evidence/ log/
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crypto/crypto.h"
#include "os/clock.h"
#include "os/fs.h"

namespace hf::app {

struct StateKeys {
  std::string site_id;      // 16 hex digits
  std::string account;      // the first account, 12 digits
  crypto::Secret root_key;  // 32 bytes
  crypto::SigningKey signing_key;
};

// Takes the folder's lock and writes down for what: "site" (serves) or "check" (only looks). conflict: it is held.
Result<std::unique_ptr<os::File>> lock_state(os::Fs& fs, const std::string& state, const std::string& what);
// The process of the site that holds the lock; 0: none does.
int site_pid(os::Fs& fs, const std::string& state);

// Makes the folder and its keys where they are missing. Never replaces a key that is there.
Result<StateKeys> prepare_state(os::Fs& fs, os::Random& random, const std::string& state);

// The server's certificate for these names, from the site's own authority; renewed when names change or within 30 days
// of its end. The authority lives 10 years, the certificate 1.
Result<crypto::CertificateAndKey> prepare_tls(os::Fs& fs, os::Clock& clock, const std::string& state,
                                              const std::vector<std::string>& names);

}  // namespace hf::app
