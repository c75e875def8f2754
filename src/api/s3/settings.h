// What is said of an object when it is made, by PutObject or CreateMultipartUpload: the members of both, what is
// refused of them, and what is stored. Also what both need to make one. Internal to api/s3.
#pragma once

#include "api/s3/s3.h"

namespace hf::api::s3_ops {

// T has these members, all std::optional<std::string> but metadata (a map).
template <class T>
void setting_fields(wire::Fields<T>& f) {
  // With these two nothing is given to anyone but the owner, who has it already.
  f("ACL", &T::acl).header("x-amz-acl").one_of({"private", "bucket-owner-full-control"});
  f("CacheControl", &T::cache_control).header("cache-control");
  f("ContentDisposition", &T::disposition).header("content-disposition");
  f("ContentEncoding", &T::encoding).header("content-encoding");
  f("ContentLanguage", &T::language).header("content-language");
  f("ContentType", &T::type).header("content-type");
  f("Expires", &T::expires).header("expires");
  f("Metadata", &T::metadata).prefix_headers("x-amz-meta-");
  f("StorageClass", &T::storage_class).header("x-amz-storage-class").one_of({"STANDARD"});
  f("ExpectedBucketOwner", &T::expected_owner).header("x-amz-expected-bucket-owner");
  const char* grants = "access control lists are not offered: policies decide";
  f.refused("GrantFullControl", grants).header("x-amz-grant-full-control");
  f.refused("GrantRead", grants).header("x-amz-grant-read");
  f.refused("GrantReadACP", grants).header("x-amz-grant-read-acp");
  f.refused("GrantWriteACP", grants).header("x-amz-grant-write-acp");
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
}

Status check_metadata(const std::map<std::string, std::string>& metadata);
std::string stored_encoding(const std::string& header);  // without aws-chunked: it tells how the body travelled

template <class T>
store::ObjectInfo info_of(const T& in) {
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

// If-Match and If-None-Match of an object that is to be written. Looked at before the body is read, to refuse early,
// and again in the transaction, to be sure.
Status write_conditions(Call& call, store::Txn& txn, const std::string& bucket, const std::string& key,
                        const std::optional<std::string>& if_match, const std::optional<std::string>& if_none_match);

Status read_body(const wire::Body& body, store::Upload& upload, Checksums& checksums);

// The seven checksums as optional members crc32 ... md5 of an answer: headers, or elements.
template <class T>
void checksum_headers(wire::Fields<T>& f) {
  f("ChecksumCRC32", &T::crc32).header("x-amz-checksum-crc32");
  f("ChecksumCRC32C", &T::crc32c).header("x-amz-checksum-crc32c");
  f("ChecksumCRC64NVME", &T::crc64nvme).header("x-amz-checksum-crc64nvme");
  f("ChecksumSHA1", &T::sha1).header("x-amz-checksum-sha1");
  f("ChecksumSHA256", &T::sha256).header("x-amz-checksum-sha256");
  f("ChecksumSHA512", &T::sha512).header("x-amz-checksum-sha512");
  f("ChecksumMD5", &T::md5).header("x-amz-checksum-md5");
}
template <class T>
void checksum_elements(wire::Fields<T>& f) {
  f("ChecksumCRC32", &T::crc32);
  f("ChecksumCRC32C", &T::crc32c);
  f("ChecksumCRC64NVME", &T::crc64nvme);
  f("ChecksumSHA1", &T::sha1);
  f("ChecksumSHA256", &T::sha256);
  f("ChecksumSHA512", &T::sha512);
  f("ChecksumMD5", &T::md5);
}
template <class T>
std::map<std::string, std::optional<std::string> T::*> checksum_members() {
  return {{"crc32", &T::crc32}, {"crc32c", &T::crc32c}, {"crc64nvme", &T::crc64nvme},
          {"sha1", &T::sha1},   {"sha256", &T::sha256}, {"sha512", &T::sha512},
          {"md5", &T::md5}};
}
template <class T>
void give_checksums(const std::map<std::string, std::string>& stored, T& out) {
  for (const auto& [name, member] : checksum_members<T>()) {
    if (auto it = stored.find(name); it != stored.end()) out.*member = it->second;
  }
}
// "value-N" is over the parts' checksums, else it is over the bytes.
inline const char* checksum_type(const std::map<std::string, std::string>& stored) {
  for (const auto& [name, value] : stored) {
    if (value.find('-') != value.npos) return "COMPOSITE";
  }
  return "FULL_OBJECT";
}

}  // namespace hf::api::s3_ops
