// Whose a resource is, what its own policy says, and its tags: asked in the one place where it is decided who may do
// what, so that every operation that touches a bucket (S3's, a training job's data) or a key is judged by its policy
// alike, and every one that touches a key, user, role, policy or provider by its tags.
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
  std::string owner;                       // account; "": the ARN says it, or nobody's
  std::optional<security::Policy> policy;  // of a key with what its grants allow `who`
  bool policy_rules = false;               // without it nobody may (keys)
  security::Context context = {};          // what policies are told of the resource, in lower case: tags, a key's spec
};
// Of "arn:aws:s3:::BUCKET" and what lies below it, owner and policy; of keys "arn:aws:kms:REGION:ACCOUNT:key/ID" these
// and the context; of what IAM has, tags; of other ARNs nothing. corrupt: a policy that does not parse.
Result<ResourceFacts> resource_facts(store::Txn& txn, std::string_view arn, const security::Identity& who, Micros now);

// Is there anything to ask resource_facts() for?
bool has_facts(std::string_view arn);

// The bucket of such an ARN; "" of others, and of patterns.
std::string_view bucket_of_arn(std::string_view arn);
// Account and id of a key's ARN.
std::optional<std::pair<std::string, std::string>> key_of_arn(std::string_view arn);

}  // namespace hf::api
