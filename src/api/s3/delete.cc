// DeleteObject and DeleteObjects.
#include "api/errors.h"
#include "api/s3/s3.h"
#include "wire/codec.h"

namespace hf::api::s3_ops {
namespace {

constexpr size_t kMaxDeleted = 1000;          // keys of one DeleteObjects
constexpr uint64_t kMaxDeleteBody = 8 << 20;  // 1000 keys of 1024 bytes, each character as an entity

struct DeleteRequest {
  std::string bucket, key;
  std::optional<std::string> version_id, expected_owner, if_match;
  static void fields(wire::Fields<DeleteRequest>& f) {
    f("Bucket", &DeleteRequest::bucket).path().required();
    f("Key", &DeleteRequest::key).path().required();
    f("VersionId", &DeleteRequest::version_id).query("versionId");
    f("ExpectedBucketOwner", &DeleteRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f("IfMatch", &DeleteRequest::if_match).header("if-match");
    f.refused("MFA", "multi-factor deletion is not offered").header("x-amz-mfa");
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    f.refused("BypassGovernanceRetention", "object lock is not offered").header("x-amz-bypass-governance-retention");
    const char* directory = "directory buckets are not offered";
    f.refused("IfMatchLastModifiedTime", directory).header("x-amz-if-match-last-modified-time");
    f.refused("IfMatchSize", directory).header("x-amz-if-match-size").even_default();
  }
};

struct DeleteResponse {
  std::optional<std::string> version_id;
  static void fields(wire::Fields<DeleteResponse>& f) {
    f("VersionId", &DeleteResponse::version_id).header("x-amz-version-id");
  }
};

// One key. Deleting what is not there is a success, unless a condition was given.
Status remove(Call& call, store::Txn& txn, const std::string& bucket, const std::string& key,
              const std::optional<std::string>& if_match) {
  if (if_match) {
    auto info = TRY(call.site().objects.head(txn, bucket, key));
    if (!info || !etag_matches(*if_match, info->etag)) {
      return fail(Code::conflict, "PreconditionFailed",
                  "At least one of the pre-conditions you specified did not hold: If-Match");
    }
  }
  TRY(call.site().objects.remove(txn, bucket, key));
  return {};
}

Result<DeleteResponse> delete_object(Call& call, const DeleteRequest& in) {
  TRY(check_key(in.key));
  TRY(check_version(in.version_id));
  TRY(call.commit([&](store::Txn& txn) -> Status {
    TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
    return remove(call, txn, in.bucket, in.key, in.if_match);
  }));
  collect_if_due(call);
  return DeleteResponse{in.version_id};
}

struct ObjectIdentifier {
  std::string key;
  std::optional<std::string> version_id, etag;
  static void fields(wire::Fields<ObjectIdentifier>& f) {
    f("Key", &ObjectIdentifier::key).required().length(1, kMaxKeyBytes);
    f("VersionId", &ObjectIdentifier::version_id);
    f("ETag", &ObjectIdentifier::etag);
    f.refused("LastModifiedTime", "directory buckets are not offered");
    f.refused("Size", "directory buckets are not offered").even_default();
  }
};

struct Delete {
  std::vector<ObjectIdentifier> objects;
  std::optional<bool> quiet;
  static void fields(wire::Fields<Delete>& f) {
    f("Objects", &Delete::objects).xml("Object").flattened().required().length(1, kMaxDeleted);
    f("Quiet", &Delete::quiet);
  }
};

struct DeleteObjectsRequest {
  std::string bucket;
  wire::Body body;  // a Delete: read by the handler, because the checksum is over its bytes
  std::optional<std::string> expected_owner;
  static void fields(wire::Fields<DeleteObjectsRequest>& f) {
    f("Bucket", &DeleteObjectsRequest::bucket).path().required();
    f("Delete", &DeleteObjectsRequest::body).payload();
    f("ExpectedBucketOwner", &DeleteObjectsRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f.refused("MFA", "multi-factor deletion is not offered").header("x-amz-mfa");
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    f.refused("BypassGovernanceRetention", "object lock is not offered").header("x-amz-bypass-governance-retention");
  }
};

struct Deleted {
  std::string key;
  std::optional<std::string> version_id;
  static void fields(wire::Fields<Deleted>& f) {
    f("Key", &Deleted::key);
    f("VersionId", &Deleted::version_id);
  }
};

struct Failed {
  std::string key, code, message;
  std::optional<std::string> version_id;
  static void fields(wire::Fields<Failed>& f) {
    f("Key", &Failed::key);
    f("VersionId", &Failed::version_id);
    f("Code", &Failed::code);
    f("Message", &Failed::message);
  }
};

struct DeleteObjectsResponse {
  std::vector<Deleted> deleted;
  std::vector<Failed> errors;
  static void fields(wire::Fields<DeleteObjectsResponse>& f) {
    f.root("DeleteResult");
    f("Deleted", &DeleteObjectsResponse::deleted).flattened();
    f("Errors", &DeleteObjectsResponse::errors).xml("Error").flattened();
  }
};

Result<Delete> read_delete(Call& call, const wire::Body& body) {
  Checksums checksums = TRY(Checksums::expected(call.head()));
  if (!checksums.any_sent()) {
    return fail(Code::invalid, "InvalidRequest",
                "Missing required header for this request: Content-MD5 or "
                "x-amz-checksum-*");
  }
  std::string text, piece(64 << 10, '\0');
  for (;;) {
    const size_t n = TRY(body.source->read(piece));
    if (n == 0) break;
    if (text.size() + n > kMaxDeleteBody) {
      return fail(Code::too_large, "MalformedXML",
                  "Delete: expected at most " + std::to_string(kMaxDeleteBody) + " bytes");
    }
    text.append(piece, 0, n);
  }
  checksums.update(text);
  TRY(checksums.finish(body.source->trailers()));
  Delete out;
  TRY(wire::decode_xml(wire::shape_of<Delete>(), "Delete", text, &out));
  return out;
}

Failed failed(const ObjectIdentifier& object, const Error& error) {
  const NamedError named = name_error({Protocol::rest_xml, "s3", ""}, error, "");
  return {object.key, named.name, named.message, object.version_id};
}

Result<DeleteObjectsResponse> delete_objects(Call& call, const DeleteObjectsRequest& in) {
  const Delete request = TRY(read_delete(call, in.body));
  std::vector<Failed> refused;
  std::vector<const ObjectIdentifier*> allowed;
  for (const auto& object : request.objects) {
    Status ok = call.may("s3:DeleteObject", object_arn(in.bucket, object.key));
    if (ok.ok()) ok = check_version(object.version_id);
    if (ok.ok()) {
      allowed.push_back(&object);
    } else {
      refused.push_back(failed(object, ok.error()));
    }
  }
  DeleteObjectsResponse out;
  // One transaction: all that may go, go; what its own condition keeps is an error of that key alone.
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        out = {};
        out.errors = refused;
        TRY(own_bucket(call, txn, in.bucket, in.expected_owner));
        for (const auto* object : allowed) {
          Status ok = remove(call, txn, in.bucket, object->key, object->etag);
          if (ok.ok()) {
            TRY(call.tell(txn, object_arn(in.bucket, object->key)));
            out.deleted.push_back({object->key, object->version_id});
          } else if (ok.error().name == "PreconditionFailed") {
            out.errors.push_back(failed(*object, ok.error()));
          } else {
            return ok;
          }
        }
        return {};
      },
      "{\"keys\":" + std::to_string(allowed.size()) + "}"));
  collect_if_due(call);
  if (request.quiet.value_or(false)) out.deleted.clear();
  return out;
}

std::string of_object(const Call&, const DeleteRequest& in) { return object_arn(in.bucket, in.key); }
std::string of_bucket(const Call&, const DeleteObjectsRequest& in) { return bucket_arn(in.bucket); }

}  // namespace

void add_deletes(Service& s) {
  auto& one = s.add("DeleteObject", {"DELETE", "/{Bucket}/{Key+}"}, Effect::write, delete_object, of_object);
  one.success_status = 204;
  auto& many = s.add("DeleteObjects", {"POST", "/{Bucket}", "delete"}, Effect::write, delete_objects, of_bucket);
  many.action = "s3:DeleteObject";
  many.streaming_input = true;
  many.body_limit = 2 * kMaxDeleteBody;
  many.asks_for_each = true;
}

}  // namespace hf::api::s3_ops
