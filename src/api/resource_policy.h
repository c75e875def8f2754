// Whose a resource is, and what its own policy says: asked in the one place where it is decided who may do what, so
// that every operation that touches a bucket (S3's, a training job's data) or a key is judged by its policy alike.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "security/policy.h"
#include "store/db.h"

namespace hf::api {

inline constexpr const char* kBucketPolicy =
    "bucket-policy";  // records: of the bucket's account and name; body: the text

struct ResourceFacts {
  std::string owner;                       // account; "": nobody's, or of a kind that has no owner of its own
  std::optional<security::Policy> policy;  // of a key with what its grants allow `who`
  bool policy_rules = false;               // without it nobody may (keys)
  security::Context context = {};          // what policies are told of the resource
};
// Of "arn:aws:s3:::BUCKET" and what lies below it, and of keys "arn:aws:kms:REGION:ACCOUNT:key/ID"; of other ARNs
// nothing. corrupt: a policy that does not parse.
Result<ResourceFacts> resource_facts(store::Txn& txn, std::string_view arn, const security::Identity& who, Micros now);
bool has_facts(std::string_view arn);  // whether it is of such a kind

// The bucket of such an ARN; "" of others, and of patterns.
std::string_view bucket_of_arn(std::string_view arn);
// Account and id of a key's ARN.
std::optional<std::pair<std::string, std::string>> key_of_arn(std::string_view arn);

}  // namespace hf::api
