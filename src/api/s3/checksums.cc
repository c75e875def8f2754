#include <algorithm>

#include "api/s3/s3.h"
#include "base/bytes.h"
#include "wire/json.h"

namespace hf::api::s3_ops {
namespace {

struct Kind {
  const char* name;
  size_t bytes;
  std::optional<crypto::Hash> hash;  // none: a CRC
};

const Kind* kind_of(std::string_view name) {
  static const Kind kKinds[] = {
      {"crc32", 4, {}},
      {"crc32c", 4, {}},
      {"crc64nvme", 8, {}},
      {"sha1", 20, crypto::Hash::sha1},
      {"sha256", 32, crypto::Hash::sha256},
      {"sha512", 64, crypto::Hash::sha512},
      {"md5", 16, crypto::Hash::md5},
  };
  for (const Kind& k : kKinds) {
    if (name == k.name) return &k;
  }
  return nullptr;
}

constexpr std::string_view kPrefix = "x-amz-checksum-";
// Headers that begin like a checksum and are none.
bool is_about(std::string_view name) { return name == "mode" || name == "type" || name == "algorithm"; }

Error bad_digest(const std::string& what) {
  return fail(Code::invalid, "BadDigest", "The " + what + " you specified did not match what we received");
}

}  // namespace

std::string upper_name(const std::string& checksum) {
  std::string out = checksum;
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}

Status Checksums::add(Checksums& out, const std::string& name, const std::string& value, bool trailer) {
  const std::string header = std::string(kPrefix) + name;
  const Kind* kind = kind_of(name);
  if (!kind) {
    return fail(
        Code::invalid, wire::kRefused,
        header + ": expected one of crc32, crc32c, crc64nvme, sha1, sha256, sha512 and md5, found '" + name + "'");
  }
  if (!trailer) {
    auto bytes = unbase64(value);
    if (!bytes.ok() || bytes->size() != kind->bytes) {
      return fail(
          Code::invalid, "InvalidRequest",
          "Value for " + header + " header is invalid: expected base64 of " + std::to_string(kind->bytes) + " bytes");
    }
  }
  for (const One& o : out.all_) {
    if (o.name == name) return fail(Code::invalid, "InvalidRequest", "Expecting a single " + header + " header");
  }
  One one;
  one.name = name;
  one.value = value;
  one.trailer = trailer;
  if (kind->hash) one.hasher.emplace(*kind->hash);
  out.all_.push_back(std::move(one));
  out.sent_ = true;
  return {};
}

Result<Checksums> Checksums::of(const std::string& name) {
  Checksums out;
  TRY(add(out, name, "", true));
  out.all_.back().trailer = out.sent_ = false;
  return out;
}

Result<Checksums> Checksums::expected(const http::RequestHead& head) {
  Checksums out;
  for (const auto& [name, value] : head.headers.all()) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string kind = name.substr(kPrefix.size());
    if (!is_about(kind)) TRY(add(out, kind, value, false));
  }
  for (auto part : split(head.headers.get("x-amz-trailer"), ',')) {
    const std::string name = lower(trim(part));
    if (name.empty()) continue;
    if (!std::string_view(name).starts_with(kPrefix)) {
      return fail(Code::invalid, "InvalidRequest", "x-amz-trailer: expected x-amz-checksum-*, found '" + name + "'");
    }
    TRY(add(out, name.substr(kPrefix.size()), "", true));
  }
  const std::string algorithm(head.headers.get("x-amz-sdk-checksum-algorithm"));
  if (!algorithm.empty()) {
    const std::string wanted = lower(algorithm);
    const bool there = std::any_of(out.all_.begin(), out.all_.end(), [&](const One& o) { return o.name == wanted; });
    if (!kind_of(wanted)) {
      return fail(Code::invalid, "InvalidRequest",
                  "x-amz-sdk-checksum-algorithm: expected one of CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512 and "
                  "MD5, found '" +
                      algorithm + "'");
    }
    const bool md5 = wanted == "md5" && head.headers.has("content-md5");
    if (!there && !md5) {
      return fail(Code::invalid, "InvalidRequest",
                  "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
                  "headers were found.");
    }
  }
  if (head.headers.has("content-md5")) {
    out.md5_value_ = std::string(head.headers.get("content-md5"));
    auto bytes = unbase64(out.md5_value_);
    if (!bytes.ok() || bytes->size() != 16) {
      return fail(Code::invalid, "InvalidDigest",
                  "Content-MD5: expected base64 of 16 bytes, found '" + out.md5_value_.substr(0, 64) + "'");
    }
    out.md5_.emplace(crypto::Hash::md5);
    out.sent_ = true;
  }
  for (const char* kind : {"algorithm", "type", "mode"}) {
    const std::string header = std::string(kPrefix) + kind;
    if (head.headers.has(header)) TRY(out.about(kind, std::string(head.headers.get(header))));
  }
  if (out.all_.empty()) {
    out.all_.emplace_back();
    out.all_.back().name = "crc64nvme";
  }
  return out;
}

// What is said of the checksums that come with a body. They are of all of its bytes.
Status Checksums::about(const std::string& kind, const std::string& value) const {
  const std::string header = std::string(kPrefix) + kind;
  if (kind == "mode") return fail(Code::invalid, wire::kRefused, header + ": expected none here, found one");
  if (kind == "type") {
    if (value == "FULL_OBJECT") return {};
    return fail(Code::invalid, "InvalidRequest",
                header + ": expected FULL_OBJECT, found '" + value.substr(0, 40) + "'");
  }
  const std::string wanted = lower(value);
  if (std::any_of(all_.begin(), all_.end(), [&](const One& o) { return o.name == wanted; })) return {};
  return fail(
      Code::invalid, "InvalidRequest",
      header + ": expected the algorithm of a checksum that comes with the body, found '" + value.substr(0, 40) + "'");
}

Status check_body(const http::RequestHead& head, const std::vector<std::string>& members, std::string_view body) {
  http::RequestHead digests;
  for (const auto& [name, value] : head.headers.all()) {
    const bool checksum = name.starts_with(kPrefix) && !is_about(std::string_view(name).substr(kPrefix.size())) &&
                          std::find(members.begin(), members.end(), name) == members.end();
    if (checksum || name == "content-md5") digests.headers.add(name, value);
  }
  if (digests.headers.all().empty()) return {};
  Checksums checksums = TRY(Checksums::expected(digests));
  checksums.update(body);
  TRY(checksums.finish({}));
  return {};
}

void Checksums::update(std::string_view data) {
  if (md5_) md5_->update(data);
  for (One& o : all_) {
    if (o.hasher) {
      o.hasher->update(data);
    } else if (o.name == "crc32") {
      o.crc = crypto::crc32(static_cast<uint32_t>(o.crc), data);
    } else if (o.name == "crc32c") {
      o.crc = crypto::crc32c(static_cast<uint32_t>(o.crc), data);
    } else {
      o.crc = crypto::crc64nvme(o.crc, data);
    }
  }
}

Result<std::map<std::string, std::string>> Checksums::finish(
    const std::vector<std::pair<std::string, std::string>>& trailers) {
  if (md5_ && base64(md5_->finish()) != md5_value_) return bad_digest("Content-MD5");
  std::map<std::string, std::string> out;
  for (One& o : all_) {
    std::string bytes;
    if (o.hasher) {
      bytes = o.hasher->finish();
    } else if (o.name == "crc64nvme") {
      put_u64be(bytes, o.crc);
    } else {
      put_u32be(bytes, static_cast<uint32_t>(o.crc));
    }
    const std::string found = base64(bytes);
    std::string wanted = o.value;
    if (o.trailer) {
      for (const auto& [name, value] : trailers) {
        if (lower(name) == std::string(kPrefix) + o.name) wanted = value;
      }
      if (wanted.empty()) {
        return fail(Code::invalid, "MalformedTrailerError",
                    "the trailer " + std::string(kPrefix) + o.name + " is missing");
      }
    }
    if (!wanted.empty() && wanted != found) return bad_digest(upper_name(o.name));
    out.emplace(o.name, found);
  }
  return out;
}

}  // namespace hf::api::s3_ops
