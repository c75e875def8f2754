#include "api/resource_policy.h"

namespace hf::api {

std::string_view bucket_of_arn(std::string_view arn) {
  constexpr std::string_view kPrefix = "arn:aws:s3:::";
  if (!arn.starts_with(kPrefix)) return {};
  const std::string_view bucket = arn.substr(kPrefix.size(), arn.find('/') - kPrefix.size());
  return bucket.find_first_of("*?") == bucket.npos ? bucket : std::string_view();
}

Result<ResourceFacts> resource_facts(store::Txn& txn, std::string_view arn) {
  ResourceFacts out;
  const std::string_view bucket = bucket_of_arn(arn);
  if (bucket.empty()) return out;
  {
    auto q = TRY(txn.query("SELECT account FROM buckets WHERE name = ?"));
    q.bind(bucket);
    if (!TRY(q.step())) return out;
    out.owner = q.text(0);
  }
  auto row = TRY(store::get_record(txn, kBucketPolicy, out.owner, bucket));
  if (!row) return out;
  auto policy = security::parse_policy(row->body, "bucket-policy", security::PolicyKind::resource);
  if (!policy.ok()) return fail(Code::corrupt, "the policy of the bucket " + std::string(bucket) + " does not parse");
  out.policy = std::move(*policy);
  return out;
}

}  // namespace hf::api
