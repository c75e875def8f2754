#include "crypto/password.h"

#include <argon2.h>

#include "base/bytes.h"
#include "base/check.h"

namespace hf::crypto {
namespace {
constexpr uint32_t kPasses = 3, kMemoryKib = 64 << 10, kLanes = 1;
constexpr size_t kTag = 32, kEncoded = 160;
}  // namespace

Result<std::string> hash_password(const Secret& password, std::string_view salt) {
  check(salt.size() == 16, "a salt has 16 bytes");
  std::string encoded(kEncoded, '\0');
  const std::string_view p = password.reveal();
  const int rc = argon2id_hash_encoded(kPasses, kMemoryKib, kLanes, p.data(), p.size(), salt.data(), salt.size(), kTag,
                                       encoded.data(), encoded.size());
  if (rc == ARGON2_MEMORY_ALLOCATION_ERROR) return fail(Code::exhausted, "no memory to hash a password; try again");
  if (rc != ARGON2_OK)
    return fail(Code::internal, std::string("a password was not hashed: ") + argon2_error_message(rc));
  encoded.resize(encoded.find('\0'));
  return encoded;
}

Result<bool> verify_password(const std::string& encoded, const Secret& password) {
  const std::string_view p = password.reveal();
  const int rc = argon2id_verify(encoded.c_str(), p.data(), p.size());
  if (rc == ARGON2_MEMORY_ALLOCATION_ERROR) return fail(Code::exhausted, "no memory to hash a password; try again");
  if (rc == ARGON2_OK || rc == ARGON2_VERIFY_MISMATCH) return rc == ARGON2_OK;
  return fail(Code::corrupt, std::string("the hash of a password is none: ") + argon2_error_message(rc));
}

std::string one_time_code(std::string_view key, int64_t step) {
  std::string counter;
  put_u64be(counter, static_cast<uint64_t>(step));
  const std::string mac = hmac_sha1(key, counter);
  const size_t at = static_cast<uint8_t>(mac.back()) & 15;  // RFC 4226, 5.3
  const uint32_t number = (get_u32be(mac.data() + at) & 0x7fffffff) % 1'000'000;
  std::string digits = std::to_string(number);
  return std::string(6 - digits.size(), '0') + digits;
}

}  // namespace hf::crypto
