// GetObject and HeadObject.
#include <algorithm>
#include <cstring>

#include "api/s3/settings.h"

namespace hf::api::s3_ops {
namespace {

// Both operations have the same members.
struct ReadRequest {
  std::string bucket, key;
  std::optional<std::string> if_match, if_none_match, range, version_id, expected_owner, checksum_mode;
  std::optional<wire::Timestamp> if_modified_since, if_unmodified_since;
  std::optional<std::string> cache_control, disposition, encoding, language, type, expires;  // response-*
  std::optional<int32_t> part_number;
  static void fields(wire::Fields<ReadRequest>& f) {
    f("Bucket", &ReadRequest::bucket).path().required();
    f("Key", &ReadRequest::key).path().required();
    f("IfMatch", &ReadRequest::if_match).header("if-match");
    f("IfNoneMatch", &ReadRequest::if_none_match).header("if-none-match");
    f("IfModifiedSince", &ReadRequest::if_modified_since).header("if-modified-since");
    f("IfUnmodifiedSince", &ReadRequest::if_unmodified_since).header("if-unmodified-since");
    f("Range", &ReadRequest::range).header("range");
    f("ResponseCacheControl", &ReadRequest::cache_control).query("response-cache-control");
    f("ResponseContentDisposition", &ReadRequest::disposition).query("response-content-disposition");
    f("ResponseContentEncoding", &ReadRequest::encoding).query("response-content-encoding");
    f("ResponseContentLanguage", &ReadRequest::language).query("response-content-language");
    f("ResponseContentType", &ReadRequest::type).query("response-content-type");
    f("ResponseExpires", &ReadRequest::expires).query("response-expires");
    f("VersionId", &ReadRequest::version_id).query("versionId");
    f("PartNumber", &ReadRequest::part_number).query("partNumber").range(1, 10000);
    f("ExpectedBucketOwner", &ReadRequest::expected_owner).header("x-amz-expected-bucket-owner");
    f("ChecksumMode", &ReadRequest::checksum_mode).header("x-amz-checksum-mode").one_of({"ENABLED"});
    f.refused("RequestPayer", "requester pays is not offered").header("x-amz-request-payer");
    const char* keys = "encryption with the customer's keys is not offered";
    f.refused("SSECustomerAlgorithm", keys).header("x-amz-server-side-encryption-customer-algorithm");
    f.refused("SSECustomerKey", keys).header("x-amz-server-side-encryption-customer-key");
    f.refused("SSECustomerKeyMD5", keys).header("x-amz-server-side-encryption-customer-key-MD5");
  }
};

struct ReadResponse {
  int32_t status = 200;
  std::optional<wire::Body> body;
  std::string accept_ranges = "bytes", etag, content_type;
  std::optional<wire::Timestamp> modified;
  std::optional<int64_t> length;
  std::optional<std::string> range, cache_control, disposition, encoding, language, expires, checksum_type;
  std::optional<std::string> crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5;
  std::map<std::string, std::string> metadata;
  static void fields(wire::Fields<ReadResponse>& f) {
    f("StatusCode", &ReadResponse::status).status();
    f("Body", &ReadResponse::body).payload();
    f("AcceptRanges", &ReadResponse::accept_ranges).header("accept-ranges");
    f("LastModified", &ReadResponse::modified).header("last-modified");
    f("ContentLength", &ReadResponse::length).header("content-length");
    f("ETag", &ReadResponse::etag).header("etag");
    checksum_headers(f);
    f("ChecksumType", &ReadResponse::checksum_type).header("x-amz-checksum-type");
    f("CacheControl", &ReadResponse::cache_control).header("cache-control");
    f("ContentDisposition", &ReadResponse::disposition).header("content-disposition");
    f("ContentEncoding", &ReadResponse::encoding).header("content-encoding");
    f("ContentLanguage", &ReadResponse::language).header("content-language");
    f("ContentRange", &ReadResponse::range).header("content-range");
    f("ContentType", &ReadResponse::content_type).header("content-type");
    f("Expires", &ReadResponse::expires).header("expires");
    f("Metadata", &ReadResponse::metadata).prefix_headers("x-amz-meta-");
  }
};

// Bytes [from, to) of an object. Holds one block, because that is what is checked at a time.
class ObjectBody final : public wire::BodySource {
 public:
  ObjectBody(std::unique_ptr<store::Reader> reader, uint64_t from, uint64_t to)
      : reader_(std::move(reader)), at_(from), end_(to) {}
  Result<size_t> read(std::span<char> out) override {
    if (at_ == end_ || out.empty()) return size_t{0};
    if (at_ < begin_ || at_ >= begin_ + block_.size()) {
      begin_ = at_ / store::kObjectBlockBytes * store::kObjectBlockBytes;
      block_.resize(std::min(store::kObjectBlockBytes, reader_->info().size - begin_));
      const size_t n = TRY(reader_->read_at(begin_, {block_.data(), block_.size()}));
      if (n != block_.size()) return fail(Code::corrupt, "an object ended before its size");
    }
    const uint64_t n = std::min({uint64_t{out.size()}, end_ - at_, begin_ + block_.size() - at_});
    std::memcpy(out.data(), block_.data() + (at_ - begin_), n);
    at_ += n;
    if (at_ == begin_ + block_.size()) std::string().swap(block_);  // it may be long until the client wants the next
    return static_cast<size_t>(n);
  }

 private:
  std::unique_ptr<store::Reader> reader_;
  uint64_t at_, end_, begin_ = 0;
  std::string block_;
};

struct Range {
  uint64_t from = 0, to = 0;  // to: exclusive
  bool part = false;
};

Result<Range> range_of(const ReadRequest& in, const store::ObjectInfo& info, std::string_view if_range) {
  Range whole{0, info.size, false};
  if (in.part_number) {
    if (in.range) {
      return fail(Code::invalid, "InvalidRequest", "Cannot specify both Range header and partNumber query parameter");
    }
    if (*in.part_number != 1) {
      return fail(Code::invalid, "InvalidPartNumber",
                  "The requested partnumber is not satisfiable: the object has one "
                  "part");
    }
    whole.part = info.size > 0;
    return whole;
  }
  if (!in.range) return whole;
  if (!if_range.empty() && !etag_matches(std::string(if_range), info.etag)) return whole;  // RFC 9110, 13.1.5
  const std::string_view text = *in.range;
  const Error malformed =
      fail(Code::invalid, "InvalidArgument",
           "Range: expected one range as bytes=FIRST-LAST, found '" + in.range->substr(0, 80) + "'");
  const size_t dash = text.find('-');
  if (!text.starts_with("bytes=") || dash == text.npos || text.find(',') != text.npos) return malformed;
  const std::string_view first = trim(text.substr(6, dash - 6)), last = trim(text.substr(dash + 1));
  auto a = parse_int(first), b = parse_int(last);
  if ((first.empty() && last.empty()) || (!first.empty() && (!a.ok() || *a < 0)) ||
      (!last.empty() && (!b.ok() || *b < 0)) || (!first.empty() && !last.empty() && *b < *a)) {
    return malformed;
  }
  Range r{0, info.size, true};
  if (first.empty()) {
    r.from = static_cast<uint64_t>(*b) >= info.size ? 0 : info.size - static_cast<uint64_t>(*b);
  } else {
    r.from = static_cast<uint64_t>(*a);
    if (!last.empty()) r.to = std::min(info.size, static_cast<uint64_t>(*b) + 1);
  }
  if (r.from >= r.to) {
    return fail(Code::invalid, "InvalidRange",
                "The requested range is not satisfiable: " + *in.range + " of " + std::to_string(info.size) + " bytes");
  }
  return r;
}

// RFC 9110, 13.2.2. The status that the conditions ask for: 200, 304; or PreconditionFailed.
Result<int32_t> conditions(const ReadRequest& in, const store::ObjectInfo& info) {
  constexpr Micros kSecond = 1'000'000;  // dates in headers have no fraction
  const Micros modified = info.modified / kSecond * kSecond;
  if (in.if_match) {
    if (!etag_matches(*in.if_match, info.etag)) {
      return fail(Code::conflict, "PreconditionFailed",
                  "At least one of the pre-conditions you specified did not "
                  "hold: If-Match");
    }
  } else if (in.if_unmodified_since && modified > in.if_unmodified_since->us) {
    return fail(Code::conflict, "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold: "
                "If-Unmodified-Since");
  }
  if (in.if_none_match) return etag_matches(*in.if_none_match, info.etag) ? 304 : 200;
  if (in.if_modified_since && modified <= in.if_modified_since->us) return 304;
  return 200;
}

// The answer without its body.
Result<ReadResponse> describe(const ReadRequest& in, const store::ObjectInfo& info, std::string_view if_range,
                              Range& range) {
  ReadResponse out;
  out.etag = quoted(info.etag);
  out.modified = wire::Timestamp{info.modified};
  out.status = TRY(conditions(in, info));
  if (out.status == 304) return out;
  range = TRY(range_of(in, info, if_range));
  if (range.part) {
    out.status = 206;
    out.range =
        "bytes " + std::to_string(range.from) + "-" + std::to_string(range.to - 1) + "/" + std::to_string(info.size);
  }
  out.length = static_cast<int64_t>(range.to - range.from);
  auto header = [&](const std::optional<std::string>& wanted, const char* name) -> std::optional<std::string> {
    if (wanted) return wanted;
    auto it = info.system.find(name);
    return it == info.system.end() ? std::optional<std::string>() : it->second;
  };
  out.content_type = header(in.type, "content-type").value_or("binary/octet-stream");
  out.cache_control = header(in.cache_control, "cache-control");
  out.disposition = header(in.disposition, "content-disposition");
  out.encoding = header(in.encoding, "content-encoding");
  out.language = header(in.language, "content-language");
  out.expires = header(in.expires, "expires");
  out.metadata = info.metadata;
  const bool whole = range.from == 0 && range.to == info.size;
  if (in.checksum_mode && whole && !info.checksums.empty()) {  // they are of the whole object
    give_checksums(info.checksums, out);
    out.checksum_type = checksum_type(info.checksums);
  }
  return out;
}

Status check(Call& call, const ReadRequest& in) {
  TRY(check_key(in.key));
  TRY(check_version(in.version_id));
  TRY(own_bucket(call, in.bucket, in.expected_owner));
  return {};
}

Result<ReadResponse> get_object(Call& call, const ReadRequest& in) {
  TRY(check(call, in));
  auto reader = call.site().objects.get(in.bucket, in.key);
  if (!reader.ok()) return of_storage(reader.error());
  Range range;
  ReadResponse out = TRY(describe(in, (*reader)->info(), call.head().headers.get("if-range"), range));
  if (out.status == 304) return out;
  const std::string detail = "{\"bytes\":" + std::to_string(range.to - range.from) + ",\"etag\":\"" +
                             (*reader)->info().etag + "\",\"offset\":" + std::to_string(range.from) + "}";
  TRY(call.record(detail));
  const int64_t length = *out.length;
  out.body = wire::Body{std::make_shared<ObjectBody>(std::move(*reader), range.from, range.to), length};
  return out;
}

Result<ReadResponse> head_object(Call& call, const ReadRequest& in) {
  TRY(check(call, in));
  std::optional<store::ObjectInfo> info;
  TRY(call.read([&](store::Txn& txn) -> Status {
    info = TRY(call.site().objects.head(txn, in.bucket, in.key));
    return {};
  }));
  if (!info) return fail(Code::not_found, "NoSuchKey", "The specified key does not exist: " + in.key);
  Range range;
  return describe(in, *info, call.head().headers.get("if-range"), range);
}

std::string of_object(const Call&, const ReadRequest& in) { return object_arn(in.bucket, in.key); }

}  // namespace

void add_reads(Service& s) {
  auto& get = s.add("GetObject", {"GET", "/{Bucket}/{Key+}"}, Effect::read_data, get_object, of_object);
  get.pool = http::Pool::data;
  auto& head = s.add("HeadObject", {"HEAD", "/{Bucket}/{Key+}"}, Effect::read, head_object, of_object);
  head.action = "s3:GetObject";
}

}  // namespace hf::api::s3_ops
