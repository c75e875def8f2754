// Whose a resource is, what its own policy says, and its tags: asked in the one place where it is decided who may do
// what, so that every operation that touches a bucket (S3's, a training job's data) is judged by the bucket's policy
// alike, and every one that touches a user, role, policy or provider by its tags.
#pragma once

#include <optional>
#include <string>

#include "security/policy.h"
#include "store/db.h"

namespace hf::api {

inline constexpr const char* kBucketPolicy =
    "bucket-policy";  // records: of the bucket's account and name; body: the text

struct ResourceFacts {
  std::string owner;  // account; "": nobody's, or of a kind that has no owner of its own
  std::optional<security::Policy> policy;
  security::Context tags;  // aws:ResourceTag/KEY and iam:ResourceTag/KEY, in lower case
};
// Of "arn:aws:s3:::BUCKET" and what lies below it, owner and policy; of what IAM has, tags; of other ARNs nothing.
// corrupt: a policy that does not parse.
Result<ResourceFacts> resource_facts(store::Txn& txn, std::string_view arn);

// Is there anything to ask resource_facts() for?
bool has_facts(std::string_view arn);

// The bucket of such an ARN; "" of others, and of patterns.
std::string_view bucket_of_arn(std::string_view arn);

}  // namespace hf::api
