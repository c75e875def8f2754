#include "api/errors.h"
#include "api/s3/s3.h"
#include "base/bytes.h"

namespace hf::api::s3_ops {

std::string bucket_arn(const std::string& bucket) { return "arn:aws:s3:::" + bucket; }

std::string object_arn(const std::string& bucket, const std::string& key) { return bucket_arn(bucket) + "/" + key; }

Result<store::Bucket> own_bucket(Call& call, store::Txn& txn, const std::string& name,
                                 const std::optional<std::string>& expected_owner) {
  auto bucket = TRY(call.site().objects.bucket(txn, name));
  if (!bucket || name == kPartsBucket)
    return fail(Code::not_found, "NoSuchBucket", "The specified bucket does not exist: " + name);
  if (bucket->account != call.account() && !call.who().administrator &&
      !call.let_in(bucket_arn(name), bucket->account)) {
    return fail(Code::denied, kAccessDenied, "The bucket " + name + " belongs to another account");
  }
  if (expected_owner && *expected_owner != bucket->account) {
    return fail(Code::denied, kAccessDenied,
                "x-amz-expected-bucket-owner: expected the owner of " + name + ", found '" + *expected_owner + "'");
  }
  return std::move(*bucket);
}

Result<store::Bucket> own_bucket(Call& call, const std::string& name,
                                 const std::optional<std::string>& expected_owner) {
  store::Bucket out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out = TRY(own_bucket(call, txn, name, expected_owner));
    return {};
  }));
  return out;
}

Status check_key(const std::string& key) {
  if (key.size() <= kMaxKeyBytes) return {};
  return fail(Code::invalid, "KeyTooLongError",
              "Key: expected at most " + std::to_string(kMaxKeyBytes) + " bytes, found " + std::to_string(key.size()));
}

Status check_version(const std::optional<std::string>& version_id) {
  if (!version_id || *version_id == "null") return {};
  return fail(Code::invalid, "InvalidArgument",
              "Invalid version id specified: buckets here are unversioned, so it can "
              "only be 'null'");
}

Error of_storage(Error error) {
  if (!error.name.empty()) return error;
  if (error.code == Code::not_found || error.code == Code::conflict) {  // denied: the gate
    error.code = Code::unavailable;
  }
  return error;
}

std::string quoted(const std::string& etag) { return "\"" + etag + "\""; }

bool etag_matches(const std::string& condition, const std::string& etag) {
  for (auto part : split(condition, ',')) {
    std::string_view tag = trim(part);
    if (tag == "*") return true;
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
    if (tag == etag) return true;
  }
  return false;
}

void collect_if_due(Call& call) {
  if (call.site().objects.collect_due()) call.site().objects.collect();
}

void Owner::fields(wire::Fields<Owner>& f) {
  f("DisplayName", &Owner::display_name);
  f("ID", &Owner::id);
}

Owner owner_of(const store::Bucket& bucket) { return {bucket.account, bucket.account}; }

}  // namespace hf::api::s3_ops
