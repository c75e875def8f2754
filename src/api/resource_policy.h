// Whose a resource is, and what its own policy says: asked in the one place where it is decided who may do what, so
// that every operation that touches a bucket (S3's, a training job's data) is judged by the bucket's policy alike.
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
};
// Of "arn:aws:s3:::BUCKET" and what lies below it; of other ARNs nothing. corrupt: a policy that does not parse.
Result<ResourceFacts> resource_facts(store::Txn& txn, std::string_view arn);

// The bucket of such an ARN; "" of others, and of patterns.
std::string_view bucket_of_arn(std::string_view arn);

}  // namespace hf::api
