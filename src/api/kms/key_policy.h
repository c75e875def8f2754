// Policies of keys.
#pragma once

#include <string>

#include "api/call.h"
#include "security/kms.h"

namespace hf::api::kms_api {

// AWS's default: the account's own policies decide.
std::string default_policy(const std::string& account);
// MalformedPolicyDocumentException: what and where; also, unless `bypass`, if the caller could not change it again.
Status check_key_policy(const Call& call, const security::kms::Key& key, const std::string& text, bool bypass);

}  // namespace hf::api::kms_api
