// PutObject.
#include "api/s3/settings.h"
#include "base/bytes.h"
#include "wire/json.h"

namespace hf::api::s3_ops {

Status check_metadata(const std::map<std::string, std::string>& metadata) {
  size_t bytes = 0;
  for (const auto& [name, value] : metadata) bytes += name.size() + value.size();
  if (bytes <= kMaxMetadataBytes) return {};
  return fail(Code::invalid, "MetadataTooLarge",
              "Your metadata headers exceed the maximum allowed metadata size: " + std::to_string(bytes) +
                  " bytes of at most " + std::to_string(kMaxMetadataBytes));
}

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

Status write_conditions(Call& call, store::Txn& txn, const std::string& bucket, const std::string& key,
                        const std::optional<std::string>& if_match, const std::optional<std::string>& if_none_match) {
  if (!if_match && !if_none_match) return {};
  if (if_none_match && *if_none_match != "*") {
    return fail(Code::invalid, wire::kRefused,
                "If-None-Match: expected '*' here, found '" + if_none_match->substr(0, 80) + "'");
  }
  auto old = TRY(call.site().objects.head(txn, bucket, key));
  if (if_none_match && old) {
    return fail(Code::conflict, "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold: If-None-Match");
  }
  if (!if_match) return {};
  if (!old) return fail(Code::not_found, "NoSuchKey", "The specified key does not exist: " + key);
  if (etag_matches(*if_match, old->etag)) return {};
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
    f("IfMatch", &PutRequest::if_match).header("if-match");
    f("IfNoneMatch", &PutRequest::if_none_match).header("if-none-match");
    setting_fields(f);
    f.refused("WriteOffsetBytes", "appending is not offered").header("x-amz-write-offset-bytes").even_default();
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
    checksum_headers(f);
  }
};

Result<PutResponse> put_object(Call& call, const PutRequest& in) {
  TRY(check_key(in.key));
  TRY(check_metadata(in.metadata));
  if (in.body.length > kMaxObjectBytes) {
    return fail(Code::too_large, "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size: expected at most " +
                    std::to_string(kMaxObjectBytes) + " bytes, found " + std::to_string(in.body.length));
  }
  Checksums checksums = TRY(Checksums::expected(call.head()));
  TRY(call.read([&](store::Txn& txn) -> Status {
    TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    return write_conditions(call, txn, in.bucket, in.key, in.if_match, in.if_none_match);
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
        TRY(write_conditions(call, txn, in.bucket, in.key, in.if_match, in.if_none_match));
        return call.site().objects.commit(txn, upload, info);
      },
      detail));
  collect_if_due(call);
  PutResponse out;
  out.etag = quoted(info.etag);
  give_checksums(info.checksums, out);
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
