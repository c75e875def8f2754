// Passwords: Argon2id (RFC 9106) over libargon2, with the RFC's second recommended option: 64 MiB, 3 passes, a salt of
// 128 bits, a tag of 256 (one lane, as a site's other work has the other cores). Blocks for some 0.1 s. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "crypto/crypto.h"

namespace hf::crypto {

// The PHC form: "$argon2id$v=19$m=65536,t=3,p=1$SALT$TAG". salt: 16 random bytes. exhausted: no memory for it.
Result<std::string> hash_password(const Secret& password, std::string_view salt);
// False: another password. corrupt: `encoded` is of no such form. exhausted: no memory for it.
Result<bool> verify_password(const std::string& encoded, const Secret& password);

// RFC 6238 with SHA-1, steps of 30 seconds and 6 digits: what authenticator apps speak. `key`: raw bytes.
std::string one_time_code(std::string_view key, int64_t step);

}  // namespace hf::crypto
