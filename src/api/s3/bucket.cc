// CreateBucket, DeleteBucket, HeadBucket, ListBuckets, GetBucketLocation, GetBucketVersioning.
#include "api/resource_policy.h"
#include "api/s3/s3.h"
#include "base/bytes.h"
#include "wire/codec.h"

namespace hf::api::s3_ops {
namespace {

// AWS's rules for general purpose buckets.
Status check_name(const std::string& name) {
  auto bad = [&](const char* expected) {
    return fail(Code::invalid, "InvalidBucketName",
                "Bucket: expected " + std::string(expected) + ", found '" + name.substr(0, 80) + "'");
  };
  if (name.size() < 3 || name.size() > 63) return bad("3 to 63 characters");
  bool digits_and_dots = true;
  for (char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'z') && c != '.' && c != '-')
      return bad("lower-case letters, digits, '.' and '-'");
    digits_and_dots = digits_and_dots && (digit || c == '.');
  }
  auto edge = [](char c) { return c == '.' || c == '-'; };
  if (edge(name.front()) || edge(name.back())) return bad("a letter or digit at both ends");
  if (name.find("..") != name.npos) return bad("no two dots beside each other");
  if (digits_and_dots && split(name, '.').size() == 4) return bad("a name that is not formed like an IP address");
  const std::string_view view = name;
  if (view.starts_with("xn--") || view.starts_with("sthree-") || view.starts_with("amzn-s3-demo-") ||
      view.ends_with("-s3alias") || view.ends_with("--ol-s3") || view.ends_with(".mrap") || view.ends_with("--x-s3")) {
    return bad("a name without S3's reserved prefixes and suffixes");
  }
  return {};
}

struct CreateBucketConfiguration {
  std::optional<std::string> location_constraint;
  static void fields(wire::Fields<CreateBucketConfiguration>& f) {
    f("LocationConstraint", &CreateBucketConfiguration::location_constraint);
    f.refused("Location", "directory buckets are not offered");
    f.refused("Bucket", "directory buckets are not offered");
    f.refused("Tags", "tags are not offered");
  }
};

struct CreateBucketRequest {
  std::string bucket;
  std::optional<CreateBucketConfiguration> configuration;
  std::optional<std::string> acl, ownership, name_space;
  static void fields(wire::Fields<CreateBucketRequest>& f) {
    f("Bucket", &CreateBucketRequest::bucket).path().required();
    f("CreateBucketConfiguration", &CreateBucketRequest::configuration).payload();
    f("ACL", &CreateBucketRequest::acl).header("x-amz-acl").one_of({"private"});
    f("ObjectOwnership", &CreateBucketRequest::ownership)
        .header("x-amz-object-ownership")
        .one_of({"BucketOwnerEnforced"});
    f("BucketNamespace", &CreateBucketRequest::name_space).header("x-amz-bucket-namespace").one_of({"global"});
    const char* grants = "access control lists are not offered: policies decide";
    f.refused("GrantFullControl", grants).header("x-amz-grant-full-control");
    f.refused("GrantRead", grants).header("x-amz-grant-read");
    f.refused("GrantReadACP", grants).header("x-amz-grant-read-acp");
    f.refused("GrantWrite", grants).header("x-amz-grant-write");
    f.refused("GrantWriteACP", grants).header("x-amz-grant-write-acp");
    f.refused("ObjectLockEnabledForBucket", "object lock is not offered").header("x-amz-bucket-object-lock-enabled");
  }
};

struct CreateBucketResponse {
  std::string location, arn;
  static void fields(wire::Fields<CreateBucketResponse>& f) {
    f("Location", &CreateBucketResponse::location).header("location");
    f("BucketArn", &CreateBucketResponse::arn).header("x-amz-bucket-arn");
  }
};

// The members of every request that names only a bucket.
struct BucketRequest {
  std::string bucket;
  std::optional<std::string> expected_owner;
  static void fields(wire::Fields<BucketRequest>& f) {
    f("Bucket", &BucketRequest::bucket).path().required();
    f("ExpectedBucketOwner", &BucketRequest::expected_owner).header("x-amz-expected-bucket-owner");
  }
};

template <class In>
std::string of_bucket(const Call&, const In& in) {
  return bucket_arn(in.bucket);
}

Result<CreateBucketResponse> create_bucket(Call& call, const CreateBucketRequest& in) {
  TRY(check_name(in.bucket));
  const std::string& region = call.site().region;
  if (in.configuration && in.configuration->location_constraint && !in.configuration->location_constraint->empty() &&
      *in.configuration->location_constraint != region) {
    return fail(Code::invalid, "IllegalLocationConstraintException",
                "LocationConstraint: expected '" + region + "' or none, found '" +
                    *in.configuration->location_constraint + "'");
  }
  const store::Bucket bucket{in.bucket, call.account(), call.now()};
  TRY(call.commit([&](store::Txn& txn) { return call.site().objects.create_bucket(txn, bucket); }));
  return CreateBucketResponse{"/" + in.bucket, bucket_arn(in.bucket)};
}

struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

Result<Nothing> delete_bucket(Call& call, const BucketRequest& in) {
  TRY(call.commit([&](store::Txn& txn) -> Status {
    const store::Bucket bucket = TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    TRY(store::delete_record(txn, kBucketPolicy, bucket.account, in.bucket));
    TRY(forget_uploads(call, txn, in.bucket));  // if it is not empty, this is taken back with the rest
    return call.site().objects.delete_bucket(txn, in.bucket);
  }));
  return Nothing{};
}

struct HeadBucketResponse {
  std::string region, arn;
  static void fields(wire::Fields<HeadBucketResponse>& f) {
    f("BucketRegion", &HeadBucketResponse::region).header("x-amz-bucket-region");
    f("BucketArn", &HeadBucketResponse::arn).header("x-amz-bucket-arn");
  }
};

Result<HeadBucketResponse> head_bucket(Call& call, const BucketRequest& in) {
  TRY(own_bucket(call, in.bucket, in.expected_owner));
  return HeadBucketResponse{call.site().region, bucket_arn(in.bucket)};
}

struct GetBucketLocationResponse {
  std::string content_type, body;
  static void fields(wire::Fields<GetBucketLocationResponse>& f) {
    f("ContentType", &GetBucketLocationResponse::content_type).header("content-type");
    // The one answer of S3 whose document element is the text itself.
    f("LocationConstraint", &GetBucketLocationResponse::body).payload();
  }
};

Result<GetBucketLocationResponse> get_bucket_location(Call& call, const BucketRequest& in) {
  TRY(own_bucket(call, in.bucket, in.expected_owner));
  return GetBucketLocationResponse{"application/xml",
                                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
                                   "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" +
                                       wire::xml_escape(call.site().region) + "</LocationConstraint>"};
}

struct GetBucketVersioningResponse {
  std::optional<std::string> status;  // absent: versioning was never enabled
  static void fields(wire::Fields<GetBucketVersioningResponse>& f) {
    f.root("VersioningConfiguration");
    f("Status", &GetBucketVersioningResponse::status);
  }
};

Result<GetBucketVersioningResponse> get_bucket_versioning(Call& call, const BucketRequest& in) {
  TRY(own_bucket(call, in.bucket, in.expected_owner));
  return GetBucketVersioningResponse{};
}

struct ListBucketsRequest {
  std::optional<int32_t> max_buckets;
  std::optional<std::string> token, prefix, region;
  static void fields(wire::Fields<ListBucketsRequest>& f) {
    f("MaxBuckets", &ListBucketsRequest::max_buckets).query("max-buckets").range(1, kMaxBuckets);
    f("ContinuationToken", &ListBucketsRequest::token).query("continuation-token").length(0, 1024);
    f("Prefix", &ListBucketsRequest::prefix).query("prefix");
    f("BucketRegion", &ListBucketsRequest::region).query("bucket-region");
  }
};

struct BucketItem {
  std::string name, region, arn;
  wire::Timestamp created;
  static void fields(wire::Fields<BucketItem>& f) {
    f("Name", &BucketItem::name);
    f("CreationDate", &BucketItem::created);
    f("BucketRegion", &BucketItem::region);
    f("BucketArn", &BucketItem::arn);
  }
};

struct ListBucketsResponse {
  std::vector<BucketItem> buckets;
  Owner owner;
  std::optional<std::string> token, prefix;
  static void fields(wire::Fields<ListBucketsResponse>& f) {
    f.root("ListAllMyBucketsResult");
    f("Buckets", &ListBucketsResponse::buckets).items("Bucket");
    f("Owner", &ListBucketsResponse::owner);
    f("ContinuationToken", &ListBucketsResponse::token);
    f("Prefix", &ListBucketsResponse::prefix);
  }
};

Result<ListBucketsResponse> list_buckets(Call& call, const ListBucketsRequest& in) {
  ListBucketsResponse out;
  out.owner = {call.account(), call.account()};
  out.prefix = in.prefix;
  std::string after;
  if (in.token && !in.token->empty()) {
    auto decoded = unhex(*in.token);
    if (!decoded.ok()) {
      return fail(Code::invalid, "InvalidArgument",
                  "ContinuationToken: expected one that this operation gave, found "
                  "another text");
    }
    after = *decoded;
  }
  if (in.region && !in.region->empty() && *in.region != call.site().region) return out;
  const int64_t limit = in.max_buckets.value_or(kMaxBuckets);
  TRY(call.read([&](store::Txn& txn) -> Status {
    auto found = TRY(call.site().objects.buckets(txn, call.account(), in.prefix.value_or(""), after, limit + 1));
    if (static_cast<int64_t>(found.size()) > limit) {
      found.pop_back();
      out.token = hex(found.back().name);
    }
    for (const auto& b : found) {
      out.buckets.push_back({b.name, call.site().region, bucket_arn(b.name), {b.created}});
    }
    return {};
  }));
  return out;
}

std::string of_all_buckets(const Call&, const ListBucketsRequest&) { return bucket_arn("*"); }

}  // namespace

void add_buckets(Service& s) {
  s.add("CreateBucket", {"PUT", "/{Bucket}"}, Effect::write, create_bucket, of_bucket<CreateBucketRequest>);
  auto& del = s.add("DeleteBucket", {"DELETE", "/{Bucket}"}, Effect::write, delete_bucket, of_bucket<BucketRequest>);
  del.success_status = 204;
  auto& head = s.add("HeadBucket", {"HEAD", "/{Bucket}"}, Effect::read, head_bucket, of_bucket<BucketRequest>);
  head.action = "s3:ListBucket";
  auto& list = s.add("ListBuckets", {"GET", "/"}, Effect::read, list_buckets, of_all_buckets);
  list.action = "s3:ListAllMyBuckets";
  s.add("GetBucketLocation", {"GET", "/{Bucket}", "location"}, Effect::read, get_bucket_location,
        of_bucket<BucketRequest>);
  s.add("GetBucketVersioning", {"GET", "/{Bucket}", "versioning"}, Effect::read, get_bucket_versioning,
        of_bucket<BucketRequest>);
}

}  // namespace hf::api::s3_ops
