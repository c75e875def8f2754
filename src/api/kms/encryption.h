// What the operations that encrypt and decrypt share.
#pragma once

#include "api/kms/kms.h"

namespace hf::api::kms_api {

using keys::EncryptionContext;

inline constexpr size_t kMostPlain = 4096, kMostCipher = 6144;

// ValidationException: over 8,192 bytes, or two names that differ in case alone (policies could not tell them apart).
Status check_context(const char* member, const EncryptionContext& pairs);
// ValidationException: none of the key's algorithms. InvalidKeyUsageException: a key for something else.
Status check_algorithm(const Key& key, const char* usage, const std::string& member, const std::string& algorithm);
Status check_bytes(const char* member, const wire::Blob& blob, size_t most);
// For the ledger, as CloudTrail has it: the context is no secret.
json::object detail_of(const EncryptionContext& pairs);
// With the key's material under its algorithm; symmetric or RSA.
Result<std::string> encrypt(Call& call, const Key& key, const std::string& algorithm, std::string_view plain,
                            const EncryptionContext& pairs);

inline constexpr const char* kNoEnclaves = "there are no Nitro enclaves here: plaintext goes back over TLS";

}  // namespace hf::api::kms_api
