// ListObjectsV2, ListObjects and ListObjectVersions: three faces of store::Objects::list.
#include "api/s3/settings.h"
#include "base/bytes.h"

namespace hf::api::s3_ops {
namespace {

struct CommonPrefix {
  std::string prefix;
  static void fields(wire::Fields<CommonPrefix>& f) { f("Prefix", &CommonPrefix::prefix); }
};

struct Item {
  std::string key, etag, storage_class = "STANDARD";
  wire::Timestamp modified;
  std::vector<std::string> checksum_algorithms;
  std::optional<std::string> checksum_type;
  int64_t size = 0;
  std::optional<Owner> owner;
  static void fields(wire::Fields<Item>& f) {
    f("Key", &Item::key);
    f("LastModified", &Item::modified);
    f("ETag", &Item::etag);
    f("ChecksumAlgorithm", &Item::checksum_algorithms).flattened();
    f("ChecksumType", &Item::checksum_type);
    f("Size", &Item::size);
    f("Owner", &Item::owner);
    f("StorageClass", &Item::storage_class);
  }
};

struct Version {
  std::string key, version_id, etag, storage_class = "STANDARD";
  bool latest = true;
  wire::Timestamp modified;
  std::vector<std::string> checksum_algorithms;
  std::optional<std::string> checksum_type;
  int64_t size = 0;
  Owner owner;
  static void fields(wire::Fields<Version>& f) {
    f("Key", &Version::key);
    f("VersionId", &Version::version_id);
    f("IsLatest", &Version::latest);
    f("LastModified", &Version::modified);
    f("ETag", &Version::etag);
    f("ChecksumAlgorithm", &Version::checksum_algorithms).flattened();
    f("ChecksumType", &Version::checksum_type);
    f("Size", &Version::size);
    f("StorageClass", &Version::storage_class);
    f("Owner", &Version::owner);
  }
};

// What the three requests share.
template <class T>
void common_fields(wire::Fields<T>& f) {
  f("Bucket", &T::bucket).path().required();
  f("Delimiter", &T::delimiter).query("delimiter").length(0, kMaxKeyBytes);
  f("EncodingType", &T::encoding).query("encoding-type").one_of({"url"});
  f("MaxKeys", &T::max_keys).query("max-keys").range(0, INT32_MAX);
  f("Prefix", &T::prefix).query("prefix");
  f("ExpectedBucketOwner", &T::expected_owner).header("x-amz-expected-bucket-owner");
  // Nothing is archived here, so no object has a restore status to add.
  f("OptionalObjectAttributes", &T::attributes).header("x-amz-optional-object-attributes").one_of({"RestoreStatus"});
  f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
}

struct ListObjectsV2Request {
  std::string bucket;
  std::optional<std::string> delimiter, encoding, prefix, token, start_after, expected_owner;
  std::optional<int32_t> max_keys;
  std::optional<bool> fetch_owner;
  std::optional<std::vector<std::string>> attributes;
  static void fields(wire::Fields<ListObjectsV2Request>& f) {
    common_fields(f);
    f("ContinuationToken", &ListObjectsV2Request::token).query("continuation-token").length(0, 4096);
    f("FetchOwner", &ListObjectsV2Request::fetch_owner).query("fetch-owner");
    f("StartAfter", &ListObjectsV2Request::start_after).query("start-after");
  }
};

struct ListObjectsV2Response {
  std::string name, prefix;
  std::optional<std::string> start_after, token, next_token, delimiter, encoding;
  int32_t key_count = 0, max_keys = 0;
  bool truncated = false;
  std::vector<Item> contents;
  std::vector<CommonPrefix> common_prefixes;
  static void fields(wire::Fields<ListObjectsV2Response>& f) {
    f.root("ListBucketResult");
    f("Name", &ListObjectsV2Response::name);
    f("Prefix", &ListObjectsV2Response::prefix);
    f("StartAfter", &ListObjectsV2Response::start_after);
    f("ContinuationToken", &ListObjectsV2Response::token);
    f("NextContinuationToken", &ListObjectsV2Response::next_token);
    f("KeyCount", &ListObjectsV2Response::key_count);
    f("MaxKeys", &ListObjectsV2Response::max_keys);
    f("Delimiter", &ListObjectsV2Response::delimiter);
    f("EncodingType", &ListObjectsV2Response::encoding);
    f("IsTruncated", &ListObjectsV2Response::truncated);
    f("Contents", &ListObjectsV2Response::contents).flattened();
    f("CommonPrefixes", &ListObjectsV2Response::common_prefixes).flattened();
  }
};

struct ListObjectsRequest {
  std::string bucket;
  std::optional<std::string> delimiter, encoding, prefix, marker, expected_owner;
  std::optional<int32_t> max_keys;
  std::optional<std::vector<std::string>> attributes;
  static void fields(wire::Fields<ListObjectsRequest>& f) {
    common_fields(f);
    f("Marker", &ListObjectsRequest::marker).query("marker");
  }
};

struct ListObjectsResponse {
  std::string name, prefix, marker;
  std::optional<std::string> next_marker, delimiter, encoding;
  int32_t max_keys = 0;
  bool truncated = false;
  std::vector<Item> contents;
  std::vector<CommonPrefix> common_prefixes;
  static void fields(wire::Fields<ListObjectsResponse>& f) {
    f.root("ListBucketResult");
    f("Name", &ListObjectsResponse::name);
    f("Prefix", &ListObjectsResponse::prefix);
    f("Marker", &ListObjectsResponse::marker);
    f("NextMarker", &ListObjectsResponse::next_marker);
    f("MaxKeys", &ListObjectsResponse::max_keys);
    f("Delimiter", &ListObjectsResponse::delimiter);
    f("EncodingType", &ListObjectsResponse::encoding);
    f("IsTruncated", &ListObjectsResponse::truncated);
    f("Contents", &ListObjectsResponse::contents).flattened();
    f("CommonPrefixes", &ListObjectsResponse::common_prefixes).flattened();
  }
};

struct ListVersionsRequest {
  std::string bucket;
  std::optional<std::string> delimiter, encoding, prefix, key_marker, version_marker, expected_owner;
  std::optional<int32_t> max_keys;
  std::optional<std::vector<std::string>> attributes;
  static void fields(wire::Fields<ListVersionsRequest>& f) {
    common_fields(f);
    f("KeyMarker", &ListVersionsRequest::key_marker).query("key-marker");
    f("VersionIdMarker", &ListVersionsRequest::version_marker).query("version-id-marker");
  }
};

struct ListVersionsResponse {
  std::string name, prefix, key_marker, version_marker;
  std::optional<std::string> next_key_marker, next_version_marker, delimiter, encoding;
  int32_t max_keys = 0;
  bool truncated = false;
  std::vector<Version> versions;
  std::vector<CommonPrefix> common_prefixes;
  static void fields(wire::Fields<ListVersionsResponse>& f) {
    f.root("ListVersionsResult");
    f("Name", &ListVersionsResponse::name);
    f("Prefix", &ListVersionsResponse::prefix);
    f("KeyMarker", &ListVersionsResponse::key_marker);
    f("VersionIdMarker", &ListVersionsResponse::version_marker);
    f("NextKeyMarker", &ListVersionsResponse::next_key_marker);
    f("NextVersionIdMarker", &ListVersionsResponse::next_version_marker);
    f("MaxKeys", &ListVersionsResponse::max_keys);
    f("Delimiter", &ListVersionsResponse::delimiter);
    f("EncodingType", &ListVersionsResponse::encoding);
    f("IsTruncated", &ListVersionsResponse::truncated);
    f("Versions", &ListVersionsResponse::versions).xml("Version").flattened();
    f("CommonPrefixes", &ListVersionsResponse::common_prefixes).flattened();
  }
};

struct Page {
  store::Bucket bucket;
  store::Objects::Listing listing;
  int32_t max_keys = 0;  // as it was applied
};

template <class In>
Result<Page> list(Call& call, const In& in, const std::string& after) {
  Page page;
  page.max_keys = std::min(in.max_keys.value_or(kMaxKeys), kMaxKeys);
  TRY(call.read([&](store::Txn& txn) -> Status {
    page.bucket = TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    page.listing = TRY(call.site().objects.list(txn, in.bucket, in.prefix.value_or(""), in.delimiter.value_or(""),
                                                after, page.max_keys));
    return {};
  }));
  return page;
}

// encoding-type=url: keys may hold what XML cannot.
template <class In>
std::string encoded(const In& in, const std::string& text) {
  return in.encoding ? percent_encode(text, true) : text;
}

template <class In, class Out>
void fill_common(const In& in, const Page& page, Out& out) {
  out.name = in.bucket;
  out.prefix = encoded(in, in.prefix.value_or(""));
  if (in.delimiter && !in.delimiter->empty()) out.delimiter = encoded(in, *in.delimiter);
  out.encoding = in.encoding;
  out.max_keys = page.max_keys;
  out.truncated = page.listing.truncated;
  for (const auto& p : page.listing.common_prefixes) out.common_prefixes.push_back({encoded(in, p)});
}

template <class In, class Entry>
void fill_entry(const In& in, const store::ObjectInfo& o, Entry& e) {
  e.key = encoded(in, o.key);
  e.etag = quoted(o.etag);
  e.modified = {o.modified};
  e.size = static_cast<int64_t>(o.size);
  for (const auto& [name, value] : o.checksums) e.checksum_algorithms.push_back(upper_name(name));
  if (!o.checksums.empty()) e.checksum_type = checksum_type(o.checksums);
}

template <class In, class Out>
void fill_items(const In& in, const Page& page, bool with_owner, Out& out) {
  for (const auto& o : page.listing.objects) {
    Item item;
    fill_entry(in, o, item);
    if (with_owner) item.owner = owner_of(page.bucket);
    out.contents.push_back(std::move(item));
  }
}

Result<ListObjectsV2Response> list_objects_v2(Call& call, const ListObjectsV2Request& in) {
  std::string after = in.start_after.value_or("");
  if (in.token) {
    auto decoded = unhex(*in.token);
    if (!decoded.ok() || decoded->empty()) {
      return fail(Code::invalid, "InvalidArgument", "The continuation token provided is incorrect");
    }
    after = *decoded;
  }
  const Page page = TRY(list(call, in, after));
  ListObjectsV2Response out;
  fill_common(in, page, out);
  fill_items(in, page, in.fetch_owner.value_or(false), out);
  out.key_count = static_cast<int32_t>(out.contents.size() + out.common_prefixes.size());
  if (in.start_after) out.start_after = encoded(in, *in.start_after);
  out.token = in.token;
  if (out.truncated) out.next_token = hex(page.listing.next);
  return out;
}

Result<ListObjectsResponse> list_objects(Call& call, const ListObjectsRequest& in) {
  const Page page = TRY(list(call, in, in.marker.value_or("")));
  ListObjectsResponse out;
  fill_common(in, page, out);
  fill_items(in, page, true, out);
  out.marker = encoded(in, in.marker.value_or(""));
  // As AWS: only with a delimiter; without one the last key is the marker.
  if (out.truncated && out.delimiter) out.next_marker = encoded(in, page.listing.next);
  return out;
}

Result<ListVersionsResponse> list_versions(Call& call, const ListVersionsRequest& in) {
  const std::string version = in.version_marker.value_or(""), key = in.key_marker.value_or("");
  if (!version.empty() && key.empty()) {
    return fail(Code::invalid, "InvalidArgument", "A version-id marker cannot be specified without a key marker.");
  }
  if (!version.empty()) TRY(check_version(in.version_marker));
  const Page page = TRY(list(call, in, key));
  ListVersionsResponse out;
  fill_common(in, page, out);
  out.key_marker = encoded(in, key);
  out.version_marker = version;
  for (const auto& o : page.listing.objects) {
    Version v;
    fill_entry(in, o, v);
    v.version_id = "null";
    v.owner = owner_of(page.bucket);
    out.versions.push_back(std::move(v));
  }
  if (out.truncated) {
    out.next_key_marker = encoded(in, page.listing.next);
    const bool at_key = !page.listing.objects.empty() && page.listing.objects.back().key == page.listing.next;
    if (at_key) out.next_version_marker = "null";
  }
  return out;
}

template <class In>
std::string of_bucket(const Call&, const In& in) {
  return bucket_arn(in.bucket);
}

}  // namespace

void add_listings(Service& s) {
  auto& v2 = s.add("ListObjectsV2", {"GET", "/{Bucket}", "list-type=2"}, Effect::read, list_objects_v2,
                   of_bucket<ListObjectsV2Request>);
  v2.action = "s3:ListBucket";
  auto& v1 = s.add("ListObjects", {"GET", "/{Bucket}"}, Effect::read, list_objects, of_bucket<ListObjectsRequest>);
  v1.action = "s3:ListBucket";
  auto& versions = s.add("ListObjectVersions", {"GET", "/{Bucket}", "versions"}, Effect::read, list_versions,
                         of_bucket<ListVersionsRequest>);
  versions.action = "s3:ListBucketVersions";
}

}  // namespace hf::api::s3_ops
