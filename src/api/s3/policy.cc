// Policies of buckets: who else may, and what nobody may. They are judged with the caller's own
// (api/resource_policy.h).
#include "api/resource_policy.h"
#include "api/s3/s3.h"
#include "security/policy_context.h"

namespace hf::api::s3_ops {
namespace {

constexpr size_t kMaxPolicy = 20 << 10;  // bytes, as AWS's

Error malformed(const std::string& why) {
  return fail(Code::invalid, "MalformedPolicy", "the bucket's policy: " + why);
}

// Each statement speaks of this bucket and what is in it.
Status check_policy(const std::string& bucket, const std::string& text) {
  if (text.size() > kMaxPolicy) return malformed("expected at most 20480 bytes, found " + std::to_string(text.size()));
  auto policy = security::parse_policy(text, "policy", security::PolicyKind::resource);
  if (!policy.ok()) return malformed(policy.error().message);
  if (auto s = security::check_known_keys(*policy); !s.ok()) return malformed(s.error().message);
  const std::string own = bucket_arn(bucket);
  for (size_t i = 0; i < policy->statements.size(); ++i) {
    const security::Statement& s = policy->statements[i];
    const std::string where = "Statement[" + std::to_string(i) + "]";
    for (const auto& resource : s.resources)
      if (resource != own && !resource.starts_with(own + "/"))
        return malformed(where + ".Resource: expected " + own + " or " + own + "/..., found " +
                         clip_utf8(resource, 200));
    for (const auto& action : s.actions)
      if (action != "*" && !iequal(action.substr(0, 3), "s3:"))
        return malformed(where + ".Action: expected actions of s3, found " + clip_utf8(action, 100));
  }
  return {};
}

struct BucketOnly {
  std::string bucket;
  std::optional<std::string> expected_owner;
  static void fields(wire::Fields<BucketOnly>& f) {
    f("Bucket", &BucketOnly::bucket).path().required();
    f("ExpectedBucketOwner", &BucketOnly::expected_owner).header("x-amz-expected-bucket-owner");
  }
};
template <class In>
std::string of_bucket(const Call&, const In& in) {
  return bucket_arn(in.bucket);
}
struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

struct PutPolicy {
  std::string bucket, policy;
  std::optional<std::string> expected_owner, confirm;
  static void fields(wire::Fields<PutPolicy>& f) {
    f("Bucket", &PutPolicy::bucket).path().required();
    f("ExpectedBucketOwner", &PutPolicy::expected_owner).header("x-amz-expected-bucket-owner");
    // Nobody locks a bucket for good: the administrator's rights hang on no policy.
    f("ConfirmRemoveSelfBucketAccess", &PutPolicy::confirm)
        .header("x-amz-confirm-remove-self-bucket-access")
        .one_of({"true", "false"});
    f("Policy", &PutPolicy::policy).payload().required();
  }
};

Result<Nothing> put_policy(Call& call, const PutPolicy& in) {
  TRY(check_policy(in.bucket, in.policy));
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        const store::Bucket bucket = TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
        store::Record record;
        record.kind = kBucketPolicy;
        record.account = bucket.account;
        record.name = in.bucket;
        record.created = record.updated = call.now();
        record.body = in.policy;
        return store::put_record(txn, record);
      },
      "{\"policy_sha256\":\"" + crypto::sha256_hex(in.policy) + "\"}"));
  return Nothing{};
}

Result<std::string> policy_of(Call& call, const BucketOnly& in) {
  std::string out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    const store::Bucket bucket = TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    auto record = TRY(store::get_record(txn, kBucketPolicy, bucket.account, in.bucket));
    if (!record) return fail(Code::not_found, "NoSuchBucketPolicy", "the bucket " + in.bucket + " has no policy");
    out = std::move(record->body);
    return {};
  }));
  return out;
}

struct GetPolicyResponse {
  std::string content_type, policy;
  static void fields(wire::Fields<GetPolicyResponse>& f) {
    f("ContentType", &GetPolicyResponse::content_type).header("content-type");
    f("Policy", &GetPolicyResponse::policy).payload();
  }
};

Result<GetPolicyResponse> get_policy(Call& call, const BucketOnly& in) {
  return GetPolicyResponse{"application/json", TRY(policy_of(call, in))};
}

Result<Nothing> delete_policy(Call& call, const BucketOnly& in) {
  TRY(call.commit([&](store::Txn& txn) -> Status {
    const store::Bucket bucket = TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    TRY(store::delete_record(txn, kBucketPolicy, bucket.account, in.bucket));
    return {};
  }));
  return Nothing{};
}

struct PolicyStatus {
  bool is_public = false;
  static void fields(wire::Fields<PolicyStatus>& f) {
    f.root("PolicyStatus");
    f("IsPublic", &PolicyStatus::is_public);
  }
};

// Whether it names everyone without a condition. Everyone here has a key of this site: nobody gets in without one.
Result<PolicyStatus> policy_status(Call& call, const BucketOnly& in) {
  const auto policy = TRY(security::parse_policy(TRY(policy_of(call, in)), "policy", security::PolicyKind::resource));
  PolicyStatus out;
  for (const security::Statement& s : policy.statements)
    out.is_public |= s.allow && s.principals && (s.not_principal || s.principals->everyone) && s.conditions.empty();
  return out;
}

}  // namespace

void add_bucket_policies(Service& s) {
  Operation& put = s.add<PutPolicy, Nothing>("PutBucketPolicy", {"PUT", "/{Bucket}", "policy"}, Effect::write,
                                             put_policy, of_bucket<PutPolicy>);
  put.success_status = 204;
  put.body_limit = 64 << 10;
  s.add<BucketOnly, GetPolicyResponse>("GetBucketPolicy", {"GET", "/{Bucket}", "policy"}, Effect::read, get_policy,
                                       of_bucket<BucketOnly>);
  s.add<BucketOnly, Nothing>("DeleteBucketPolicy", {"DELETE", "/{Bucket}", "policy"}, Effect::write, delete_policy,
                             of_bucket<BucketOnly>)
      .success_status = 204;
  s.add<BucketOnly, PolicyStatus>("GetBucketPolicyStatus", {"GET", "/{Bucket}", "policyStatus"}, Effect::read,
                                  policy_status, of_bucket<BucketOnly>);
}

}  // namespace hf::api::s3_ops
