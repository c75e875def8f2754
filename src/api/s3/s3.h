// S3: buckets and objects of api/service.h's table, on store::Objects. Buckets are unversioned: the only version of an
// object is "null". What is common to the files of this folder is here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/call.h"
#include "api/service.h"
#include "store/objects.h"

namespace hf::api::s3_ops {

constexpr int64_t kMaxObjectBytes = int64_t{5} << 30;  // of one PutObject, as AWS's
constexpr size_t kMaxKeyBytes = 1024;
constexpr size_t kMaxMetadataBytes = 2048;  // names and values of x-amz-meta-*
constexpr int32_t kMaxKeys = 1000;          // of a page of a listing
constexpr int32_t kMaxBuckets = 10000;

// Where the parts of unfinished uploads lie, as objects "<upload id>/<part number>". No name of a bucket looks like it,
// and own_bucket() does not find it.
inline constexpr const char* kPartsBucket = "!parts";
inline constexpr const char* kUploadKind = "s3-upload";  // records: account: the bucket, name: the upload's id
constexpr int32_t kMaxParts = 10000;
constexpr uint64_t kMinPartBytes = 5 << 20;  // of all parts but the last, as AWS's
// Takes away an upload's record and its parts.
Status forget_upload(Call& call, store::Txn& txn, const std::string& bucket, const std::string& upload_id);
Status forget_uploads(Call& call, store::Txn& txn, const std::string& bucket);  // all of a bucket

void add_multipart(Service& s);        // multipart.cc
void add_buckets(Service& s);          // bucket.cc
void add_bucket_policies(Service& s);  // policy.cc
void add_listings(Service& s);         // list.cc
void add_reads(Service& s);            // get.cc
void add_writes(Service& s);           // put.cc, and delete.cc
void add_deletes(Service& s);
void add_missing(Service& s);  // missing.cc: last, so that what is here wins where a route is shared

std::string bucket_arn(const std::string& bucket);
std::string object_arn(const std::string& bucket, const std::string& key);

// The bucket, if it is there (NoSuchBucket), the caller's or one whose policy let the caller in (AccessDenied), and the
// owner's that the request expects.
Result<store::Bucket> own_bucket(Call& call, store::Txn& txn, const std::string& name,
                                 const std::optional<std::string>& expected_owner);
Result<store::Bucket> own_bucket(Call& call, const std::string& name, const std::optional<std::string>& expected_owner);
Status check_key(const std::string& key);
// The only version is "null"; anything else is no version id of ours.
Status check_version(const std::optional<std::string>& version_id);
// The disk's own refusal (read-only, ...) is the site's fault, never "access denied" to the caller.
Error of_storage(Error error);
std::string quoted(const std::string& etag);
bool etag_matches(const std::string& condition, const std::string& etag);  // a list of tags, quoted or not, or *
void collect_if_due(Call& call);

struct Owner {
  std::string id, display_name;
  static void fields(wire::Fields<Owner>& f);
};
Owner owner_of(const store::Bucket& bucket);

// ---- Checksums that clients send: by name as in "x-amz-checksum-<name>".
class Checksums {
 public:
  // The names that x-amz-checksum-* and x-amz-trailer announce; those that we cannot compute are refused by name.
  // Values are base64 of the right length: InvalidRequest otherwise. Without any, crc64nvme is computed, as AWS does.
  static Result<Checksums> expected(const http::RequestHead& head);
  static Result<Checksums> of(const std::string& name);  // computes this one, and compares with nothing
  void update(std::string_view data);
  // After the last byte: compares with the headers, the trailers and Content-MD5. BadDigest names the one that differs.
  // What is stored with the object: name -> base64.
  Result<std::map<std::string, std::string>> finish(const std::vector<std::pair<std::string, std::string>>& trailers);
  bool any_sent() const { return sent_; }  // a checksum of either kind, Content-MD5 included

 private:
  struct One {
    std::string name, value;  // value: base64 as sent in a header; "" : comes in a trailer, or not at all
    bool trailer = false;
    uint64_t crc = 0;
    std::optional<crypto::Hasher> hasher;
  };
  static Status add(Checksums& out, const std::string& name, const std::string& value, bool trailer);
  Status about(const std::string& kind, const std::string& value) const;  // x-amz-checksum-algorithm, -type, -mode
  std::vector<One> all_;
  std::optional<crypto::Hasher> md5_;
  std::string md5_value_;
  bool sent_ = false;
};
std::string upper_name(const std::string& checksum);  // "crc64nvme" -> "CRC64NVME"
// Service::check_body: Content-MD5 and the checksums of a body that is read whole. Those that are the operation's
// members are of something else (CompleteMultipartUpload: of the object).
Status check_body(const http::RequestHead& head, const std::vector<std::string>& members, std::string_view body);

}  // namespace hf::api::s3_ops
