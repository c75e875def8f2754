#include "api/payload.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace hf::api {

std::shared_ptr<Payload> Payload::plain(std::shared_ptr<http::Exchange> exchange) {
  auto p = std::make_shared<Payload>();
  p->length_ = exchange->head().content_length;
  p->exchange_ = std::move(exchange);
  return p;
}

std::shared_ptr<Payload> Payload::memory(std::string body) {
  auto p = std::make_shared<Payload>();
  p->length_ = static_cast<int64_t>(body.size());
  p->memory_ = std::move(body);
  return p;
}

std::shared_ptr<Payload> Payload::hashed(std::shared_ptr<http::Exchange> exchange, std::string sha256_hex) {
  auto p = plain(std::move(exchange));
  p->hasher_.emplace(crypto::Hash::sha256);
  p->expected_hash_ = std::move(sha256_hex);
  return p;
}

std::shared_ptr<Payload> Payload::chunked(std::shared_ptr<http::Exchange> exchange, const security::Claim& claim,
                                          const crypto::Secret& secret) {
  const http::Headers& headers = exchange->head().headers;
  auto p = std::make_shared<Payload>();
  auto said = parse_int(headers.get("x-amz-decoded-content-length"));
  if (said.ok() && *said >= 0) {
    p->length_ = *said;
  } else {
    p->failed_ = fail(Code::invalid, "MissingContentLength",
                      "x-amz-decoded-content-length: expected the body's length, found none or no number");
  }
  for (auto name : split(headers.get("x-amz-trailer"), ','))
    if (!trim(name).empty()) p->announced_.push_back(lower(trim(name)));
  p->decoder_ = std::make_unique<security::ChunkedDecoder>(claim, secret);
  p->exchange_ = std::move(exchange);
  return p;
}

Result<size_t> Payload::read_plain(std::span<char> out) {
  size_t n = TRY(exchange_->read(out));
  if (hasher_) hasher_->update({out.data(), n});
  return n;
}

Result<size_t> Payload::read_chunked(std::span<char> out) {
  char raw[16 << 10];
  while (given_ == memory_.size()) {
    memory_.clear();
    given_ = 0;
    size_t n = TRY(exchange_->read(raw));
    if (n == 0) {
      if (decoder_->done()) return size_t{0};
      return fail(Code::invalid, "IncompleteBody",
                  "the body: expected aws-chunked to its last chunk, found its end before");
    }
    TRY(decoder_->feed({raw, n}, memory_));
  }
  size_t n = std::min(out.size(), memory_.size() - given_);
  std::memcpy(out.data(), memory_.data() + given_, n);
  given_ += n;
  return n;
}

Status Payload::finish() {
  if (hasher_ && !constant_time_equal(hex(hasher_->finish()), expected_hash_))
    return fail(Code::invalid, "XAmzContentSHA256Mismatch",
                "the body does not have the hash that x-amz-content-sha256 says");
  if (length_ >= 0 && total_ != static_cast<uint64_t>(length_))
    return fail(Code::invalid, "IncompleteBody",
                "the body: expected " + std::to_string(length_) + " bytes, found " + std::to_string(total_));
  for (const auto& name : announced_) {
    bool came = false;
    for (const auto& [n, v] : decoder_->trailers()) came |= n == name;
    if (!came)
      return fail(Code::invalid, "MalformedTrailerError", "the trailer '" + name + "' was announced and did not come");
  }
  if (!decoder_) return {};
  for (const auto& [name, value] : decoder_->trailers())
    if (std::find(announced_.begin(), announced_.end(), name) == announced_.end())
      return fail(Code::invalid, "MalformedTrailerError",
                  "the trailer '" + name.substr(0, 100) + "' came, and x-amz-trailer does not announce it");
  return {};
}

Result<size_t> Payload::read(std::span<char> out) {
  if (failed_) return *failed_;
  if (ended_ || out.empty()) return size_t{0};
  Result<size_t> n = size_t{0};
  if (decoder_) {
    n = read_chunked(out);
  } else if (exchange_) {
    n = read_plain(out);
  } else {
    size_t take = std::min(out.size(), memory_.size() - given_);
    std::memcpy(out.data(), memory_.data() + given_, take);
    given_ += take;
    n = take;
  }
  if (n.ok()) {
    total_ += *n;
    bool over = length_ >= 0 && total_ > static_cast<uint64_t>(length_);
    if (*n > 0 && !over) return n;
    Status end = finish();
    if (end.ok()) {
      ended_ = true;
      return size_t{0};
    }
    n = end.error();
  }
  failed_ = n.error();
  return n;
}

const std::vector<std::pair<std::string, std::string>>& Payload::trailers() const {
  return decoder_ && ended_ ? decoder_->trailers() : BodySource::trailers();
}

Result<std::string> Payload::read_all(uint64_t limit) {
  std::string out;
  char piece[16 << 10];
  for (;;) {
    size_t n = TRY(read(piece));
    if (n == 0) return out;
    if (out.size() + n > limit)
      return fail(Code::too_large, "the body: expected at most " + std::to_string(limit) + " bytes, found more");
    out.append(piece, n);
  }
}

}  // namespace hf::api
