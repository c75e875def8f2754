// Multipart uploads: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload, ListParts,
// ListMultipartUploads. A part is an object in kPartsBucket until the upload is completed: then its bytes are copied,
// checked on the way, into the one file of the new object, and everything changes in one transaction.
#include <algorithm>
#include <boost/json.hpp>

#include "api/s3/settings.h"
#include "base/bytes.h"

namespace hf::api::s3_ops {
namespace {

namespace json = boost::json;

// ---- the upload's record

struct Pending {
  store::ObjectInfo info;  // key, metadata, system
  std::string algorithm;   // "crc32", ...; "": none was asked for
  bool composite = false;  // the checksum is over the parts' checksums
  Micros created = 0;
};

json::object to_json(const std::map<std::string, std::string>& m) {
  json::object o;
  for (const auto& [k, v] : m) o.emplace(k, v);
  return o;
}

std::string to_text(const Pending& p) {
  return json::serialize(json::object{{"algorithm", p.algorithm},
                                      {"composite", p.composite},
                                      {"key", p.info.key},
                                      {"metadata", to_json(p.info.metadata)},
                                      {"system", to_json(p.info.system)}});
}

Result<Pending> from_record(const store::Record& record) {
  boost::system::error_code ec;
  json::value v = json::parse(record.body, ec);
  auto broken = [&] { return fail(Code::corrupt, "the record of upload " + record.name + " is not what was written"); };
  const json::object* o = ec ? nullptr : v.if_object();
  if (!o) return broken();
  auto text = [&](const char* name) -> const json::string* {
    const json::value* member = o->if_contains(name);
    return member ? member->if_string() : nullptr;
  };
  Pending p;
  const json::value* composite = o->if_contains("composite");
  if (!text("key") || !text("algorithm") || !composite || !composite->is_bool()) return broken();
  p.info.bucket = record.account;
  p.info.key = *text("key");
  p.algorithm = *text("algorithm");
  p.composite = composite->get_bool();
  p.created = record.created;
  for (auto [name, map] : {std::pair{"metadata", &p.info.metadata}, std::pair{"system", &p.info.system}}) {
    const json::value* member = o->if_contains(name);
    if (!member || !member->is_object()) return broken();
    for (const auto& [k, e] : member->get_object()) {
      if (!e.is_string()) return broken();
      map->emplace(std::string(k), std::string(e.get_string()));
    }
  }
  return p;
}

Error no_such_upload(const std::string& id) {
  return fail(
      Code::not_found, "NoSuchUpload",
      "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
      "completed: " +
          id.substr(0, 64));
}

Result<Pending> find(store::Txn& txn, const std::string& bucket, const std::string& key, const std::string& id) {
  auto record = TRY(store::get_record(txn, kUploadKind, bucket, id));
  if (!record) return no_such_upload(id);
  Pending p = TRY(from_record(*record));
  if (p.info.key != key) return no_such_upload(id);
  return p;
}

std::string part_key(const std::string& id, int32_t number) {
  std::string digits = std::to_string(number);
  return id + "/" + std::string(5 - digits.size(), '0') + digits;
}

Result<int32_t> number_of(const std::string& key) {
  return static_cast<int32_t>(TRY(parse_int(std::string_view(key).substr(key.rfind('/') + 1), "part number")));
}

Result<store::Objects::Listing> parts_of(Call& call, store::Txn& txn, const std::string& id, int32_t after,
                                         int64_t limit) {
  if (!TRY(call.site().objects.bucket(txn, kPartsBucket))) return store::Objects::Listing{};
  return call.site().objects.list(txn, kPartsBucket, id + "/", "", after > 0 ? part_key(id, after) : "", limit);
}

// ---- CreateMultipartUpload

struct CreateRequest {
  std::string bucket, key;
  std::optional<std::string> acl, cache_control, disposition, encoding, language, type, expires, storage_class,
      expected_owner, algorithm, checksum_kind;
  std::map<std::string, std::string> metadata;
  static void fields(wire::Fields<CreateRequest>& f) {
    f("Bucket", &CreateRequest::bucket).path().required();
    f("Key", &CreateRequest::key).path().required();
    f("ChecksumAlgorithm", &CreateRequest::algorithm)
        .header("x-amz-checksum-algorithm")
        .one_of({"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"});
    f("ChecksumType", &CreateRequest::checksum_kind).header("x-amz-checksum-type").one_of({"COMPOSITE", "FULL_OBJECT"});
    setting_fields(f);
  }
};

struct CreateResponse {
  std::string bucket, key, upload_id;
  std::optional<std::string> algorithm, kind;
  static void fields(wire::Fields<CreateResponse>& f) {
    f.root("InitiateMultipartUploadResult");
    f("ChecksumAlgorithm", &CreateResponse::algorithm).header("x-amz-checksum-algorithm");
    f("ChecksumType", &CreateResponse::kind).header("x-amz-checksum-type");
    f("Bucket", &CreateResponse::bucket);
    f("Key", &CreateResponse::key);
    f("UploadId", &CreateResponse::upload_id);
  }
};

bool is_crc(const std::string& algorithm) { return algorithm.starts_with("crc"); }

Result<CreateResponse> create(Call& call, const CreateRequest& in) {
  TRY(check_key(in.key));
  TRY(check_metadata(in.metadata));
  Pending p;
  p.info = info_of(in);
  p.algorithm = lower(in.algorithm.value_or(""));
  p.composite = !p.algorithm.empty() && p.algorithm != "crc64nvme";
  if (in.checksum_kind) {
    const bool composite = *in.checksum_kind == "COMPOSITE";
    const bool possible = composite ? p.composite : is_crc(p.algorithm);
    if (!possible) {
      return fail(Code::invalid, "InvalidRequest",
                  "The " + *in.checksum_kind + " checksum type cannot be used with the " +
                      (p.algorithm.empty() ? "missing" : upper_name(p.algorithm)) + " checksum algorithm.");
    }
    p.composite = composite;
  }
  const std::string id = hex(call.site().random.bytes(16));
  TRY(call.commit([&](store::Txn& txn) -> Status {
    TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    return store::insert_record(txn, {kUploadKind, in.bucket, id, call.now(), call.now(), to_text(p)});
  }));
  CreateResponse out{in.bucket, in.key, id, in.algorithm, {}};
  if (in.algorithm) out.kind = p.composite ? "COMPOSITE" : "FULL_OBJECT";
  return out;
}

// ---- UploadPart

struct PartRequest {
  std::string bucket, key, upload_id;
  int32_t number = 0;
  wire::Body body;
  std::optional<std::string> expected_owner;
  static void fields(wire::Fields<PartRequest>& f) {
    f("Bucket", &PartRequest::bucket).path().required();
    f("Key", &PartRequest::key).path().required();
    f("PartNumber", &PartRequest::number).query("partNumber").required().range(1, kMaxParts);
    f("UploadId", &PartRequest::upload_id).query("uploadId").required().length(1, 64);
    f("Body", &PartRequest::body).payload();
    f("ExpectedBucketOwner", &PartRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    const char* keys = "encryption with the customer's keys is not offered";
    f.refused("SSECustomerAlgorithm", keys).header("x-amz-server-side-encryption-customer-algorithm");
    f.refused("SSECustomerKey", keys).header("x-amz-server-side-encryption-customer-key");
    f.refused("SSECustomerKeyMD5", keys).header("x-amz-server-side-encryption-customer-key-MD5");
    f.refused("CopySource", "UploadPartCopy is not offered").header("x-amz-copy-source").even_default();
  }
};

struct PartResponse {
  std::string etag;
  std::optional<std::string> crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5;
  static void fields(wire::Fields<PartResponse>& f) {
    f("ETag", &PartResponse::etag).header("etag");
    checksum_headers(f);
  }
};

// The bucket of the parts, made with the first of them.
Status ensure_parts_bucket(Call& call, store::Txn& txn) {
  if (TRY(call.site().objects.bucket(txn, kPartsBucket))) return {};
  return call.site().objects.create_bucket(txn, {kPartsBucket, "", call.now()});
}

Result<PartResponse> upload_part(Call& call, const PartRequest& in) {
  Checksums checksums = TRY(Checksums::expected(call.head()));
  Pending pending;
  TRY(call.read([&](store::Txn& txn) -> Status {
    TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    pending = TRY(find(txn, in.bucket, in.key, in.upload_id));
    return {};
  }));
  auto made = call.site().objects.upload();
  if (!made.ok()) return of_storage(made.error());
  store::Upload& upload = **made;
  TRY(read_body(in.body, upload, checksums));
  store::ObjectInfo info;
  info.bucket = kPartsBucket;
  info.key = part_key(in.upload_id, in.number);
  info.checksums = TRY(checksums.finish(in.body.source->trailers()));
  if (pending.composite && !info.checksums.count(pending.algorithm)) {
    return fail(Code::invalid, "InvalidRequest",
                "The upload was created using the " + pending.algorithm + " checksum mode. The part must include it.");
  }
  if (auto ok = upload.seal(); !ok.ok()) return of_storage(ok.error());
  info.etag = hex(upload.md5());
  info.modified = call.now();
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
        TRY(find(txn, in.bucket, in.key, in.upload_id));
        TRY(ensure_parts_bucket(call, txn));
        return call.site().objects.commit(txn, upload, info);
      },
      "{\"etag\":\"" + info.etag + "\",\"part\":" + std::to_string(in.number) +
          ",\"size\":" + std::to_string(upload.size()) + "}"));
  collect_if_due(call);
  PartResponse out;
  out.etag = quoted(info.etag);
  if (checksums.any_sent()) give_checksums(info.checksums, out);
  return out;
}

// ---- CompleteMultipartUpload

struct CompletedPart {
  int32_t number = 0;
  std::string etag;
  std::optional<std::string> crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5;
  static void fields(wire::Fields<CompletedPart>& f) {
    f("PartNumber", &CompletedPart::number).required().range(1, kMaxParts);
    f("ETag", &CompletedPart::etag).required();
    checksum_elements(f);
  }
};

struct CompletedUpload {
  std::vector<CompletedPart> parts;
  static void fields(wire::Fields<CompletedUpload>& f) {
    f("Parts", &CompletedUpload::parts).xml("Part").flattened().required().length(1, kMaxParts);
  }
};

struct CompleteRequest {
  std::string bucket, key, upload_id;
  CompletedUpload upload;
  std::optional<std::string> expected_owner, if_match, if_none_match, kind;
  std::optional<int64_t> size;
  std::optional<std::string> crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5;
  static void fields(wire::Fields<CompleteRequest>& f) {
    f("Bucket", &CompleteRequest::bucket).path().required();
    f("Key", &CompleteRequest::key).path().required();
    f("UploadId", &CompleteRequest::upload_id).query("uploadId").required().length(1, 64);
    f("MultipartUpload", &CompleteRequest::upload).xml("CompleteMultipartUpload").payload();
    f("ChecksumType", &CompleteRequest::kind).header("x-amz-checksum-type").one_of({"COMPOSITE", "FULL_OBJECT"});
    f("MpuObjectSize", &CompleteRequest::size).header("x-amz-mp-object-size").range(0, 9e18);
    f("ExpectedBucketOwner", &CompleteRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f("IfMatch", &CompleteRequest::if_match).header("if-match");
    f("IfNoneMatch", &CompleteRequest::if_none_match).header("if-none-match");
    checksum_headers(f);
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    const char* keys = "encryption with the customer's keys is not offered";
    f.refused("SSECustomerAlgorithm", keys).header("x-amz-server-side-encryption-customer-algorithm");
    f.refused("SSECustomerKey", keys).header("x-amz-server-side-encryption-customer-key");
    f.refused("SSECustomerKeyMD5", keys).header("x-amz-server-side-encryption-customer-key-MD5");
  }
};

struct CompleteResponse {
  std::string location, bucket, key, etag;
  std::optional<std::string> kind, crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5;
  static void fields(wire::Fields<CompleteResponse>& f) {
    f.root("CompleteMultipartUploadResult");
    f("Location", &CompleteResponse::location);
    f("Bucket", &CompleteResponse::bucket);
    f("Key", &CompleteResponse::key);
    f("ETag", &CompleteResponse::etag);
    checksum_elements(f);
    f("ChecksumType", &CompleteResponse::kind);
  }
};

Error invalid_part(int32_t number, const char* why) {
  return fail(Code::invalid, "InvalidPart",
              "One or more of the specified parts could not be found: part " + std::to_string(number) + ": " + why);
}

// The named parts as they are stored, in order, each what the caller believes it to be.
Result<std::vector<store::ObjectInfo>> chosen(Call& call, store::Txn& txn, const CompleteRequest& in) {
  std::vector<store::ObjectInfo> out;
  const auto& parts = in.upload.parts;
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].number <= parts[i - 1].number) {
      return fail(Code::invalid, "InvalidPartOrder", "The list of parts was not in ascending order");
    }
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const CompletedPart& part = parts[i];
    auto found = TRY(call.site().objects.head(txn, kPartsBucket, part_key(in.upload_id, part.number)));
    if (!found) return invalid_part(part.number, "it was not uploaded");
    if (!etag_matches(part.etag, found->etag)) return invalid_part(part.number, "its ETag is another");
    for (const auto& [name, member] : checksum_members<CompletedPart>()) {
      auto stored = found->checksums.find(name);
      if (part.*member && (stored == found->checksums.end() || *(part.*member) != stored->second)) {
        return invalid_part(part.number, "its checksum is another");
      }
    }
    if (i + 1 < parts.size() && found->size < kMinPartBytes) {
      return fail(Code::invalid, "EntityTooSmall",
                  "Your proposed upload is smaller than the minimum allowed size: part " + std::to_string(part.number) +
                      " has " + std::to_string(found->size) + " bytes of at least " + std::to_string(kMinPartBytes));
    }
    out.push_back(std::move(*found));
  }
  return out;
}

Status copy(Call& call, const std::vector<store::ObjectInfo>& parts, store::Upload& upload, Checksums& checksums) {
  std::string block(store::kObjectBlockBytes, '\0');
  for (const auto& part : parts) {
    auto reader = TRY(call.site().objects.get(part.bucket, part.key));
    for (uint64_t at = 0; at < part.size;) {
      const size_t n = TRY(reader->read_at(at, block));
      if (n == 0) return invalid_part(TRY(number_of(part.key)), "it was replaced meanwhile");
      checksums.update({block.data(), n});
      if (auto ok = upload.write({block.data(), n}); !ok.ok()) return of_storage(ok.error());
      at += n;
    }
  }
  return {};
}

// "etag of etags"-N, and the checksum of checksums where that is what was asked for.
Result<std::string> combined_etag(const std::vector<store::ObjectInfo>& parts) {
  std::string all;
  for (const auto& part : parts) all += TRY(unhex(part.etag));
  return hex(crypto::digest(crypto::Hash::md5, all)) + "-" + std::to_string(parts.size());
}

Result<std::string> combined_checksum(const std::string& algorithm, const std::vector<store::ObjectInfo>& parts) {
  std::string all;
  for (const auto& part : parts) {
    auto it = part.checksums.find(algorithm);
    if (it == part.checksums.end()) return invalid_part(TRY(number_of(part.key)), "it has no such checksum");
    all += TRY(unbase64(it->second));
  }
  Checksums over = TRY(Checksums::of(algorithm));
  over.update(all);
  auto sums = TRY(over.finish({}));
  return sums.begin()->second + "-" + std::to_string(parts.size());
}

// What the caller says of the whole: it is compared where we have it.
Status check_whole(const CompleteRequest& in, const Pending& pending, const store::ObjectInfo& info, uint64_t size) {
  if (in.size && static_cast<uint64_t>(*in.size) != size) {
    return fail(Code::invalid, "InvalidRequest",
                "The provided 'x-amz-mp-object-size' header does not match what was "
                "computed: " +
                    std::to_string(size));
  }
  const std::string kind = checksum_type(info.checksums);
  if (in.kind && !pending.algorithm.empty() && *in.kind != kind) {
    return fail(Code::invalid, "InvalidRequest",
                "ChecksumType: expected " + kind + " as it was created, found " + *in.kind);
  }
  for (const auto& [name, member] : checksum_members<CompleteRequest>()) {
    if (!(in.*member)) continue;
    auto it = info.checksums.find(name);
    if (it == info.checksums.end()) {
      return fail(Code::invalid, "InvalidRequest",
                  "x-amz-checksum-" + name +
                      ": expected the algorithm that the upload "
                      "was created with, found another");
    }
    if (it->second != *(in.*member) && it->second.substr(0, it->second.find('-')) != *(in.*member)) {
      return fail(Code::invalid, "BadDigest",
                  "The " + upper_name(name) + " you specified did not match what we received");
    }
  }
  return {};
}

Result<CompleteResponse> complete(Call& call, const CompleteRequest& in) {
  Pending pending;
  std::vector<store::ObjectInfo> parts;
  TRY(call.read([&](store::Txn& txn) -> Status {
    TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    pending = TRY(find(txn, in.bucket, in.key, in.upload_id));
    TRY(write_conditions(call, txn, in.bucket, in.key, in.if_match, in.if_none_match));
    parts = TRY(chosen(call, txn, in));
    return {};
  }));
  auto made = call.site().objects.upload();
  if (!made.ok()) return of_storage(made.error());
  store::Upload& upload = **made;
  // One full-object checksum is always computed: the one that was asked for, or AWS's default.
  const bool full = !pending.composite && !pending.algorithm.empty();
  Checksums checksums = TRY(Checksums::of(full ? pending.algorithm : "crc64nvme"));
  TRY(copy(call, parts, upload, checksums));
  store::ObjectInfo info = pending.info;
  info.checksums = TRY(checksums.finish({}));
  if (pending.composite) info.checksums = {{pending.algorithm, TRY(combined_checksum(pending.algorithm, parts))}};
  TRY(check_whole(in, pending, info, upload.size()));
  if (auto ok = upload.seal(); !ok.ok()) return of_storage(ok.error());
  info.etag = TRY(combined_etag(parts));
  info.modified = call.now();
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
        TRY(find(txn, in.bucket, in.key, in.upload_id));
        TRY(write_conditions(call, txn, in.bucket, in.key, in.if_match, in.if_none_match));
        TRY(chosen(call, txn, in));  // still what was copied: each ETag is compared again
        TRY(forget_upload(call, txn, in.bucket, in.upload_id));
        return call.site().objects.commit(txn, upload, info);
      },
      "{\"etag\":\"" + info.etag + "\",\"parts\":" + std::to_string(parts.size()) +
          ",\"size\":" + std::to_string(upload.size()) + "}"));
  collect_if_due(call);
  CompleteResponse out;
  out.location = "/" + in.bucket + "/" + percent_encode(in.key, true);
  out.bucket = in.bucket;
  out.key = in.key;
  out.etag = quoted(info.etag);
  give_checksums(info.checksums, out);
  out.kind = checksum_type(info.checksums);
  return out;
}

// ---- AbortMultipartUpload

struct AbortRequest {
  std::string bucket, key, upload_id;
  std::optional<std::string> expected_owner;
  static void fields(wire::Fields<AbortRequest>& f) {
    f("Bucket", &AbortRequest::bucket).path().required();
    f("Key", &AbortRequest::key).path().required();
    f("UploadId", &AbortRequest::upload_id).query("uploadId").required().length(1, 64);
    f("ExpectedBucketOwner", &AbortRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    f.refused("IfMatchInitiatedTime", "directory buckets are not offered")
        .header("x-amz-if-match-initiated-time")
        .even_default();
  }
};

struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

Result<Nothing> abort_upload(Call& call, const AbortRequest& in) {
  TRY(call.commit([&](store::Txn& txn) -> Status {
    TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    TRY(find(txn, in.bucket, in.key, in.upload_id));
    return forget_upload(call, txn, in.bucket, in.upload_id);
  }));
  call.site().objects.collect();  // parts are large
  return Nothing{};
}

// ---- ListParts

struct ListPartsRequest {
  std::string bucket, key, upload_id;
  std::optional<int32_t> max_parts, marker;
  std::optional<std::string> expected_owner;
  static void fields(wire::Fields<ListPartsRequest>& f) {
    f("Bucket", &ListPartsRequest::bucket).path().required();
    f("Key", &ListPartsRequest::key).path().required();
    f("UploadId", &ListPartsRequest::upload_id).query("uploadId").required().length(1, 64);
    f("MaxParts", &ListPartsRequest::max_parts).query("max-parts").range(0, INT32_MAX);
    f("PartNumberMarker", &ListPartsRequest::marker).query("part-number-marker").range(0, kMaxParts);
    f("ExpectedBucketOwner", &ListPartsRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    const char* keys = "encryption with the customer's keys is not offered";
    f.refused("SSECustomerAlgorithm", keys).header("x-amz-server-side-encryption-customer-algorithm");
    f.refused("SSECustomerKey", keys).header("x-amz-server-side-encryption-customer-key");
    f.refused("SSECustomerKeyMD5", keys).header("x-amz-server-side-encryption-customer-key-MD5");
  }
};

struct PartItem {
  int32_t number = 0;
  wire::Timestamp modified;
  std::string etag;
  int64_t size = 0;
  std::optional<std::string> crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5;
  static void fields(wire::Fields<PartItem>& f) {
    f("PartNumber", &PartItem::number);
    f("LastModified", &PartItem::modified);
    f("ETag", &PartItem::etag);
    f("Size", &PartItem::size);
    checksum_elements(f);
  }
};

struct ListPartsResponse {
  std::string bucket, key, upload_id, storage_class = "STANDARD";
  Owner initiator, owner;
  int32_t marker = 0, max_parts = 0;
  std::optional<int32_t> next_marker;
  bool truncated = false;
  std::vector<PartItem> parts;
  std::optional<std::string> algorithm, kind;
  static void fields(wire::Fields<ListPartsResponse>& f) {
    f.root("ListPartsResult");
    f("Bucket", &ListPartsResponse::bucket);
    f("Key", &ListPartsResponse::key);
    f("UploadId", &ListPartsResponse::upload_id);
    f("Initiator", &ListPartsResponse::initiator);
    f("Owner", &ListPartsResponse::owner);
    f("StorageClass", &ListPartsResponse::storage_class);
    f("PartNumberMarker", &ListPartsResponse::marker);
    f("NextPartNumberMarker", &ListPartsResponse::next_marker);
    f("MaxParts", &ListPartsResponse::max_parts);
    f("IsTruncated", &ListPartsResponse::truncated);
    f("ChecksumAlgorithm", &ListPartsResponse::algorithm);
    f("ChecksumType", &ListPartsResponse::kind);
    f("Parts", &ListPartsResponse::parts).xml("Part").flattened();
  }
};

Result<ListPartsResponse> list_parts(Call& call, const ListPartsRequest& in) {
  ListPartsResponse out;
  out.bucket = in.bucket;
  out.key = in.key;
  out.upload_id = in.upload_id;
  out.marker = in.marker.value_or(0);
  out.max_parts = std::min(in.max_parts.value_or(kMaxKeys), kMaxKeys);
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.owner = out.initiator = owner_of(TRY(own_bucket(call, txn, in.bucket, in.expected_owner)));
    const Pending pending = TRY(find(txn, in.bucket, in.key, in.upload_id));
    if (!pending.algorithm.empty()) {
      out.algorithm = upper_name(pending.algorithm);
      out.kind = pending.composite ? "COMPOSITE" : "FULL_OBJECT";
    }
    const auto listing = TRY(parts_of(call, txn, in.upload_id, out.marker, out.max_parts));
    for (const auto& part : listing.objects) {
      PartItem item;
      item.number = TRY(number_of(part.key));
      item.modified = {part.modified};
      item.etag = quoted(part.etag);
      item.size = static_cast<int64_t>(part.size);
      give_checksums(part.checksums, item);
      out.parts.push_back(std::move(item));
    }
    out.truncated = listing.truncated;
    if (!out.parts.empty()) out.next_marker = out.parts.back().number;
    return {};
  }));
  return out;
}

// ---- ListMultipartUploads

struct ListUploadsRequest {
  std::string bucket;
  std::optional<std::string> delimiter, encoding, key_marker, prefix, id_marker, expected_owner;
  std::optional<int32_t> max_uploads;
  static void fields(wire::Fields<ListUploadsRequest>& f) {
    f("Bucket", &ListUploadsRequest::bucket).path().required();
    f("Delimiter", &ListUploadsRequest::delimiter).query("delimiter").length(0, kMaxKeyBytes);
    f("EncodingType", &ListUploadsRequest::encoding).query("encoding-type").one_of({"url"});
    f("KeyMarker", &ListUploadsRequest::key_marker).query("key-marker");
    f("MaxUploads", &ListUploadsRequest::max_uploads).query("max-uploads").range(0, INT32_MAX);
    f("Prefix", &ListUploadsRequest::prefix).query("prefix");
    f("UploadIdMarker", &ListUploadsRequest::id_marker).query("upload-id-marker");
    f("ExpectedBucketOwner", &ListUploadsRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
  }
};

struct UploadItem {
  std::string key, upload_id, storage_class = "STANDARD";
  Owner initiator, owner;
  wire::Timestamp initiated;
  std::optional<std::string> algorithm, kind;
  static void fields(wire::Fields<UploadItem>& f) {
    f("Key", &UploadItem::key);
    f("UploadId", &UploadItem::upload_id);
    f("Initiator", &UploadItem::initiator);
    f("Owner", &UploadItem::owner);
    f("StorageClass", &UploadItem::storage_class);
    f("Initiated", &UploadItem::initiated);
    f("ChecksumAlgorithm", &UploadItem::algorithm);
    f("ChecksumType", &UploadItem::kind);
  }
};

struct UploadPrefix {
  std::string prefix;
  static void fields(wire::Fields<UploadPrefix>& f) { f("Prefix", &UploadPrefix::prefix); }
};

struct ListUploadsResponse {
  std::string bucket, prefix, key_marker, id_marker;
  std::optional<std::string> next_key_marker, next_id_marker, delimiter, encoding;
  int32_t max_uploads = 0;
  bool truncated = false;
  std::vector<UploadItem> uploads;
  std::vector<UploadPrefix> common_prefixes;
  static void fields(wire::Fields<ListUploadsResponse>& f) {
    f.root("ListMultipartUploadsResult");
    f("Bucket", &ListUploadsResponse::bucket);
    f("KeyMarker", &ListUploadsResponse::key_marker);
    f("UploadIdMarker", &ListUploadsResponse::id_marker);
    f("NextKeyMarker", &ListUploadsResponse::next_key_marker);
    f("NextUploadIdMarker", &ListUploadsResponse::next_id_marker);
    f("Prefix", &ListUploadsResponse::prefix);
    f("Delimiter", &ListUploadsResponse::delimiter);
    f("MaxUploads", &ListUploadsResponse::max_uploads);
    f("EncodingType", &ListUploadsResponse::encoding);
    f("IsTruncated", &ListUploadsResponse::truncated);
    f("Uploads", &ListUploadsResponse::uploads).xml("Upload").flattened();
    f("CommonPrefixes", &ListUploadsResponse::common_prefixes).flattened();
  }
};

constexpr int64_t kMaxListedUploads = 100'000;  // of one bucket: their records are sorted in memory

Result<ListUploadsResponse> list_uploads(Call& call, const ListUploadsRequest& in) {
  const std::string prefix = in.prefix.value_or(""), delimiter = in.delimiter.value_or("");
  const std::string key_marker = in.key_marker.value_or(""), id_marker = in.id_marker.value_or("");
  std::vector<UploadItem> all;
  store::Bucket bucket;
  TRY(call.read([&](store::Txn& txn) -> Status {
    bucket = TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    for (const auto& record : TRY(store::list_records(txn, kUploadKind, in.bucket, "", kMaxListedUploads))) {
      const Pending p = TRY(from_record(record));
      UploadItem item;
      item.key = p.info.key;
      item.upload_id = record.name;
      item.initiator = item.owner = owner_of(bucket);
      item.initiated = {p.created};
      if (!p.algorithm.empty()) {
        item.algorithm = upper_name(p.algorithm);
        item.kind = p.composite ? "COMPOSITE" : "FULL_OBJECT";
      }
      all.push_back(std::move(item));
    }
    return {};
  }));
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return std::tie(a.key, a.upload_id) < std::tie(b.key, b.upload_id); });
  auto encoded = [&](const std::string& text) { return in.encoding ? percent_encode(text, true) : text; };
  ListUploadsResponse out;
  out.bucket = in.bucket;
  out.prefix = encoded(prefix);
  out.key_marker = encoded(key_marker);
  out.id_marker = id_marker;
  if (!delimiter.empty()) out.delimiter = encoded(delimiter);
  out.encoding = in.encoding;
  out.max_uploads = std::min(in.max_uploads.value_or(kMaxKeys), kMaxKeys);
  int32_t given = 0;
  std::string last_common;
  for (auto& item : all) {
    if (!item.key.starts_with(prefix)) continue;
    const size_t at = delimiter.empty() ? item.key.npos : item.key.find(delimiter, prefix.size());
    const std::string common = at == item.key.npos ? "" : item.key.substr(0, at + delimiter.size());
    // After the marker: a greater key, or the same key with a greater id where an id is given.
    const std::string& place = common.empty() ? item.key : common;
    const bool same_key = common.empty() && item.key == key_marker && !id_marker.empty() && item.upload_id > id_marker;
    if (!key_marker.empty() && place <= key_marker && !same_key) continue;
    if (!common.empty() && common == last_common) continue;
    if (given == out.max_uploads) {
      out.truncated = given > 0;
      break;
    }
    ++given;
    out.next_key_marker = encoded(place);
    if (common.empty()) {
      out.next_id_marker = item.upload_id;
      item.key = encoded(item.key);
      out.uploads.push_back(std::move(item));
    } else {
      out.next_id_marker.reset();
      last_common = common;
      out.common_prefixes.push_back({encoded(common)});
    }
  }
  if (!out.truncated) {
    out.next_key_marker.reset();
    out.next_id_marker.reset();
  }
  return out;
}

template <class In>
std::string of_object(const Call&, const In& in) {
  return object_arn(in.bucket, in.key);
}
std::string of_bucket(const Call&, const ListUploadsRequest& in) { return bucket_arn(in.bucket); }

}  // namespace

Status forget_upload(Call& call, store::Txn& txn, const std::string& bucket, const std::string& upload_id) {
  TRY(store::delete_record(txn, kUploadKind, bucket, upload_id));
  for (const auto& part : TRY(parts_of(call, txn, upload_id, 0, kMaxParts)).objects) {
    TRY(call.site().objects.remove(txn, kPartsBucket, part.key));
  }
  return {};
}

Status forget_uploads(Call& call, store::Txn& txn, const std::string& bucket) {
  for (const auto& record : TRY(store::list_records(txn, kUploadKind, bucket, "", kMaxListedUploads))) {
    TRY(forget_upload(call, txn, bucket, record.name));
  }
  return {};
}

void add_multipart(Service& s) {
  constexpr const char* kKey = "/{Bucket}/{Key+}";
  auto& start =
      s.add("CreateMultipartUpload", {"POST", kKey, "uploads"}, Effect::write, create, of_object<CreateRequest>);
  start.action = "s3:PutObject";
  auto& part =
      s.add("UploadPart", {"PUT", kKey, "partNumber&uploadId"}, Effect::write, upload_part, of_object<PartRequest>);
  part.action = "s3:PutObject";
  part.pool = http::Pool::data;
  part.streaming_input = true;
  part.body_limit = static_cast<uint64_t>(kMaxObjectBytes) + (uint64_t{1} << 30);
  auto& end =
      s.add("CompleteMultipartUpload", {"POST", kKey, "uploadId"}, Effect::write, complete, of_object<CompleteRequest>);
  end.action = "s3:PutObject";
  end.pool = http::Pool::data;
  end.body_limit = 16 << 20;  // 10,000 parts with their checksums
  auto& abort =
      s.add("AbortMultipartUpload", {"DELETE", kKey, "uploadId"}, Effect::write, abort_upload, of_object<AbortRequest>);
  abort.success_status = 204;
  auto& parts = s.add("ListParts", {"GET", kKey, "uploadId"}, Effect::read, list_parts, of_object<ListPartsRequest>);
  parts.action = "s3:ListMultipartUploadParts";
  auto& uploads = s.add("ListMultipartUploads", {"GET", "/{Bucket}", "uploads"}, Effect::read, list_uploads, of_bucket);
  uploads.action = "s3:ListBucketMultipartUploads";
}

}  // namespace hf::api::s3_ops
