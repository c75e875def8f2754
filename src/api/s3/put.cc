// PutObject.
#include "api/s3/s3.h"
#include "base/bytes.h"
#include "wire/json.h"

namespace hf::api::s3_ops {
namespace {

struct PutRequest {
  std::string bucket, key;
  wire::Body body;
  std::optional<std::string> acl, cache_control, disposition, encoding, language, type, expires, if_match,
      if_none_match, storage_class, expected_owner;
  std::map<std::string, std::string> metadata;
  static void fields(wire::Fields<PutRequest>& f) {
    f("Bucket", &PutRequest::bucket).path().required();
    f("Key", &PutRequest::key).path().required();
    f("Body", &PutRequest::body).payload();
    // With these two nothing is given to anyone but the owner, who has it already.
    f("ACL", &PutRequest::acl).header("x-amz-acl").one_of({"private", "bucket-owner-full-control"});
    f("CacheControl", &PutRequest::cache_control).header("cache-control");
    f("ContentDisposition", &PutRequest::disposition).header("content-disposition");
    f("ContentEncoding", &PutRequest::encoding).header("content-encoding");
    f("ContentLanguage", &PutRequest::language).header("content-language");
    f("ContentType", &PutRequest::type).header("content-type");
    f("Expires", &PutRequest::expires).header("expires");
    f("IfMatch", &PutRequest::if_match).header("if-match");
    f("IfNoneMatch", &PutRequest::if_none_match).header("if-none-match");
    f("Metadata", &PutRequest::metadata).prefix_headers("x-amz-meta-");
    f("StorageClass", &PutRequest::storage_class).header("x-amz-storage-class").one_of({"STANDARD"});
    f("ExpectedBucketOwner", &PutRequest::expected_owner).header("x-amz-expected-bucket-owner");
    refused_fields(f);
  }
  static void refused_fields(wire::Fields<PutRequest>& f) {
    const char* grants = "access control lists are not offered: policies decide";
    f.refused("GrantFullControl", grants).header("x-amz-grant-full-control");
    f.refused("GrantRead", grants).header("x-amz-grant-read");
    f.refused("GrantReadACP", grants).header("x-amz-grant-read-acp");
    f.refused("GrantWriteACP", grants).header("x-amz-grant-write-acp");
    f.refused("WriteOffsetBytes", "appending is not offered").header("x-amz-write-offset-bytes").even_default();
    const char* sealed = "encryption of objects is not offered: encrypt the disk";
    f.refused("ServerSideEncryption", sealed).header("x-amz-server-side-encryption");
    f.refused("SSECustomerAlgorithm", sealed).header("x-amz-server-side-encryption-customer-algorithm");
    f.refused("SSECustomerKey", sealed).header("x-amz-server-side-encryption-customer-key");
    f.refused("SSECustomerKeyMD5", sealed).header("x-amz-server-side-encryption-customer-key-MD5");
    f.refused("SSEKMSKeyId", sealed).header("x-amz-server-side-encryption-aws-kms-key-id");
    f.refused("SSEKMSEncryptionContext", sealed).header("x-amz-server-side-encryption-context");
    f.refused("BucketKeyEnabled", sealed).header("x-amz-server-side-encryption-bucket-key-enabled");
    f.refused("WebsiteRedirectLocation", "websites are not offered").header("x-amz-website-redirect-location");
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    f.refused("Tagging", "tags are not offered").header("x-amz-tagging");
    const char* lock = "object lock is not offered";
    f.refused("ObjectLockMode", lock).header("x-amz-object-lock-mode");
    f.refused("ObjectLockRetainUntilDate", lock).header("x-amz-object-lock-retain-until-date");
    f.refused("ObjectLockLegalHoldStatus", lock).header("x-amz-object-lock-legal-hold");
    f.refused("CopySource", "CopyObject is not offered").header("x-amz-copy-source").even_default();
    // x-amz-checksum-*, x-amz-sdk-checksum-algorithm and Content-MD5 are read by Checksums::expected.
  }
};

struct PutResponse {
  std::string etag;
  std::string checksum_type = "FULL_OBJECT";
  std::optional<std::string> crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5;
  static void fields(wire::Fields<PutResponse>& f) {
    f("ETag", &PutResponse::etag).header("etag");
    f("ChecksumType", &PutResponse::checksum_type).header("x-amz-checksum-type");
    f("ChecksumCRC32", &PutResponse::crc32).header("x-amz-checksum-crc32");
    f("ChecksumCRC32C", &PutResponse::crc32c).header("x-amz-checksum-crc32c");
    f("ChecksumCRC64NVME", &PutResponse::crc64nvme).header("x-amz-checksum-crc64nvme");
    f("ChecksumSHA1", &PutResponse::sha1).header("x-amz-checksum-sha1");
    f("ChecksumSHA256", &PutResponse::sha256).header("x-amz-checksum-sha256");
    f("ChecksumSHA512", &PutResponse::sha512).header("x-amz-checksum-sha512");
    f("ChecksumMD5", &PutResponse::md5).header("x-amz-checksum-md5");
  }
};

Status check_metadata(const PutRequest& in) {
  size_t bytes = 0;
  for (const auto& [name, value] : in.metadata) bytes += name.size() + value.size();
  if (bytes <= kMaxMetadataBytes) return {};
  return fail(Code::invalid, "MetadataTooLarge",
              "Your metadata headers exceed the maximum allowed metadata size: " + std::to_string(bytes) +
                  " bytes of at most " + std::to_string(kMaxMetadataBytes));
}

// "aws-chunked" tells how the body travelled, not what the object is.
std::string stored_encoding(const std::string& header) {
  std::string out;
  for (auto part : split(header, ',')) {
    const std::string_view one = trim(part);
    if (one.empty() || iequal(one, "aws-chunked")) continue;
    if (!out.empty()) out += ",";
    out += one;
  }
  return out;
}

store::ObjectInfo info_of(const PutRequest& in) {
  store::ObjectInfo info;
  info.bucket = in.bucket;
  info.key = in.key;
  info.metadata = in.metadata;
  auto keep = [&](const char* name, const std::optional<std::string>& value) {
    if (value && !value->empty()) info.system[name] = *value;
  };
  keep("content-type", in.type);
  keep("cache-control", in.cache_control);
  keep("content-disposition", in.disposition);
  keep("content-language", in.language);
  keep("expires", in.expires);
  if (in.encoding) keep("content-encoding", stored_encoding(*in.encoding));
  return info;
}

// Looked at before the body is read, to refuse early, and again in the transaction, to be sure.
Status conditions(Call& call, store::Txn& txn, const PutRequest& in) {
  if (!in.if_match && !in.if_none_match) return {};
  if (in.if_none_match && *in.if_none_match != "*") {
    return fail(Code::invalid, wire::kRefused,
                "If-None-Match: expected '*' for PutObject, found '" + in.if_none_match->substr(0, 80) + "'");
  }
  auto old = TRY(call.site().objects.head(txn, in.bucket, in.key));
  if (in.if_none_match && old) {
    return fail(Code::conflict, "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold: If-None-Match");
  }
  if (!in.if_match) return {};
  if (!old) return fail(Code::not_found, "NoSuchKey", "The specified key does not exist: " + in.key);
  if (etag_matches(*in.if_match, old->etag)) return {};
  return fail(Code::conflict, "PreconditionFailed",
              "At least one of the pre-conditions you specified did not hold: If-Match");
}

Status read_body(const wire::Body& body, store::Upload& upload, Checksums& checksums) {
  std::string piece(256 << 10, '\0');
  for (;;) {
    const size_t n = TRY(body.source->read(piece));
    if (n == 0) return {};
    if (upload.size() + n > static_cast<uint64_t>(kMaxObjectBytes)) {
      return fail(
          Code::too_large, "EntityTooLarge",
          "Your proposed upload exceeds the maximum allowed size: " + std::to_string(kMaxObjectBytes) + " bytes");
    }
    const std::string_view data(piece.data(), n);
    checksums.update(data);
    if (auto ok = upload.write(data); !ok.ok()) return of_storage(ok.error());
  }
}

Result<PutResponse> put_object(Call& call, const PutRequest& in) {
  TRY(check_key(in.key));
  TRY(check_metadata(in));
  if (in.body.length > kMaxObjectBytes) {
    return fail(Code::too_large, "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size: expected at most " +
                    std::to_string(kMaxObjectBytes) + " bytes, found " + std::to_string(in.body.length));
  }
  Checksums checksums = TRY(Checksums::expected(call.head()));
  TRY(call.read([&](store::Txn& txn) -> Status {
    TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    return conditions(call, txn, in);
  }));
  auto made = call.site().objects.upload();
  if (!made.ok()) return of_storage(made.error());
  store::Upload& upload = **made;
  TRY(read_body(in.body, upload, checksums));
  store::ObjectInfo info = info_of(in);
  info.checksums = TRY(checksums.finish(in.body.source->trailers()));
  if (auto ok = upload.seal(); !ok.ok()) return of_storage(ok.error());
  info.etag = hex(upload.md5());
  info.modified = call.now();
  const std::string detail = "{\"etag\":\"" + info.etag + "\",\"size\":" + std::to_string(upload.size()) + "}";
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
        TRY(conditions(call, txn, in));
        return call.site().objects.commit(txn, upload, info);
      },
      detail));
  collect_if_due(call);
  PutResponse out;
  out.etag = quoted(info.etag);
  for (const auto& [name, value] : info.checksums) {
    if (name == "crc32") out.crc32 = value;
    if (name == "crc32c") out.crc32c = value;
    if (name == "crc64nvme") out.crc64nvme = value;
    if (name == "sha1") out.sha1 = value;
    if (name == "sha256") out.sha256 = value;
    if (name == "sha512") out.sha512 = value;
    if (name == "md5") out.md5 = value;
  }
  return out;
}

std::string of_object(const Call&, const PutRequest& in) { return object_arn(in.bucket, in.key); }

}  // namespace

void add_writes(Service& s) {
  auto& put = s.add("PutObject", {"PUT", "/{Bucket}/{Key+}"}, Effect::write, put_object, of_object);
  put.pool = http::Pool::data;
  put.streaming_input = true;
  // The body as it travels: the object and, in aws-chunked, each chunk's line and the trailers.
  put.body_limit = static_cast<uint64_t>(kMaxObjectBytes) + (uint64_t{1} << 30);
}

}  // namespace hf::api::s3_ops
