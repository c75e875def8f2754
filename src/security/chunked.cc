// aws-chunked:  hex-size [;chunk-signature=hex] CRLF data CRLF ... 0 [;chunk-signature=hex] CRLF [trailers] CRLF
// Signed chunks form a chain: each signature covers the one before it, the first one the request's own.
#include <algorithm>

#include "base/bytes.h"
#include "security/sigv4_canonical.h"

namespace hf::security {
namespace {

using namespace sigv4;

constexpr size_t kMaxSizeLine = 256, kMaxTrailerLine = 8 << 10, kMaxTrailers = 32;
constexpr uint64_t kMaxSignedChunk = 16 << 20;     // held until its signature was checked
constexpr uint64_t kMaxChunk = uint64_t{5} << 30;  // S3's largest single upload
constexpr std::string_view kSignatureIs = "chunk-signature=", kTrailerSignature = "x-amz-trailer-signature";

Error broken(std::string message) {
  return fail(Code::invalid, "IncompleteBody", "aws-chunked body: " + std::move(message));
}

}  // namespace

struct ChunkedDecoder::State {
  enum class At { size_line, data, data_end, trailer, end, failed } at = At::size_line;
  bool signed_chunks = false, trailer_allowed = false;
  std::string date, scope, previous;  // of the signatures' chain
  crypto::Secret key;
  std::string line;             // of a size line or trailer, up to its CRLF
  uint64_t left = 0;            // bytes of this chunk still to come
  std::string held, signature;  // signed: this chunk's bytes and what they must have
  HeaderList trailers;
  std::string trailer_signature;
  Error error;

  Status step(std::string_view& raw, std::string& out);
  Status read_line(std::string_view& raw, size_t limit, bool& complete);
  Status size_line();
  Status chunk_complete(std::string& out);
  Status trailer_line();
  Status finish();
  std::string sign_chunk(std::string_view data) const;
};

std::string ChunkedDecoder::State::sign_chunk(std::string_view data) const {
  std::string text = "AWS4-HMAC-SHA256-PAYLOAD\n" + date + "\n" + scope + "\n" + previous + "\n";
  text.append(kEmptySha256).append("\n").append(crypto::sha256_hex(data));
  return hex(crypto::hmac_sha256(key.reveal(), text));
}

// Takes bytes up to and with CRLF; `line` is without it.
Status ChunkedDecoder::State::read_line(std::string_view& raw, size_t limit, bool& complete) {
  while (!raw.empty()) {
    char c = raw.front();
    raw.remove_prefix(1);
    line += c;
    if (line.size() > limit + 2) return broken("a line is longer than " + std::to_string(limit) + " bytes");
    if (c == '\n' && line.size() >= 2 && line[line.size() - 2] == '\r') {
      line.resize(line.size() - 2);
      complete = true;
      return {};
    }
  }
  return {};
}

Status ChunkedDecoder::State::size_line() {
  std::string_view text = line;
  size_t digits = std::min(text.find(';'), text.size());
  if (digits == 0 || digits > 16) return broken("expected a chunk's size in 1 to 16 hex digits");
  left = 0;
  for (char c : text.substr(0, digits)) {
    int d = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : -1;
    if (d < 0) return broken("expected a chunk's size in hex digits");
    left = left << 4 | static_cast<uint64_t>(d);
  }
  std::string_view extension = text.substr(digits);
  if (left > (signed_chunks ? kMaxSignedChunk : kMaxChunk))
    return fail(Code::too_large, "EntityTooLarge",
                "aws-chunked body: a chunk of " + std::to_string(left) + " bytes is over the limit");
  if (signed_chunks) {
    if (extension.size() != 1 + kSignatureIs.size() + 64 || extension.substr(1, kSignatureIs.size()) != kSignatureIs)
      return broken("expected ';chunk-signature=' and 64 hex digits after a chunk's size");
    signature = extension.substr(1 + kSignatureIs.size());
  } else if (!extension.empty()) {
    return broken("expected nothing after a chunk's size");
  }
  line.clear();
  held.clear();
  at = left ? At::data : At::trailer;
  if (left == 0 && signed_chunks) {
    std::string none;
    if (auto s = chunk_complete(none); !s.ok()) return s;
    at = At::trailer;
  }
  return {};
}

Status ChunkedDecoder::State::chunk_complete(std::string& out) {
  at = At::size_line;
  if (!signed_chunks) return {};
  if (!constant_time_equal(sign_chunk(held), signature))
    return fail(Code::denied, "SignatureDoesNotMatch", "the signature of a chunk does not match its bytes");
  previous = signature;
  out += held;
  held.clear();
  return {};
}

Status ChunkedDecoder::State::trailer_line() {
  if (line.empty()) return finish();
  if (!trailer_allowed) return broken("a trailer came, but the request announces none");
  if (line.back() == '\n') line.pop_back();  // one client ends a signed trailer with LF CRLF
  size_t colon = line.find(':');
  if (colon == 0 || colon == line.npos || line.find_first_of("\r\n") != line.npos)
    return broken("expected a trailer as name:value");
  if (trailers.size() == kMaxTrailers) return broken("more than " + std::to_string(kMaxTrailers) + " trailers");
  std::string name = lower(trim(std::string_view(line).substr(0, colon)));
  std::string value(trim(std::string_view(line).substr(colon + 1)));
  line.clear();
  if (!trailer_signature.empty()) return broken("a trailer came after the trailers' signature");
  if (name == kTrailerSignature) {
    if (!signed_chunks || value.empty()) return broken("a trailer signature was not expected");
    trailer_signature = value;
    return {};
  }
  for (const auto& [n, v] : trailers)
    if (n == name) return broken("the trailer '" + name + "' came twice");
  trailers.emplace_back(std::move(name), std::move(value));
  return {};
}

Status ChunkedDecoder::State::finish() {
  if (signed_chunks && trailer_allowed) {
    std::string lines;
    for (const auto& [name, value] : trailers) lines.append(name).append(":").append(value).append("\n");
    std::string text = "AWS4-HMAC-SHA256-TRAILER\n" + date + "\n" + scope + "\n" + previous + "\n";
    text += crypto::sha256_hex(lines);
    if (!constant_time_equal(hex(crypto::hmac_sha256(key.reveal(), text)), trailer_signature))
      return fail(Code::denied, "SignatureDoesNotMatch", "the signature of the trailers does not match them");
  }
  at = At::end;
  return {};
}

Status ChunkedDecoder::State::step(std::string_view& raw, std::string& out) {
  bool complete = false;
  switch (at) {
    case At::size_line:
      if (auto s = read_line(raw, kMaxSizeLine, complete); !s.ok()) return s;
      return complete ? size_line() : Status();
    case At::data: {
      auto part = raw.substr(0, static_cast<size_t>(std::min<uint64_t>(left, raw.size())));
      (signed_chunks ? held : out).append(part);
      raw.remove_prefix(part.size());
      left -= part.size();
      if (left == 0) at = At::data_end;
      return {};
    }
    case At::data_end:
      line += raw.front();
      raw.remove_prefix(1);
      if (line != "\r" && line != "\r\n") return broken("expected CRLF after a chunk's bytes");
      if (line.size() < 2) return {};
      line.clear();
      return chunk_complete(out);
    case At::trailer:
      if (auto s = read_line(raw, kMaxTrailerLine, complete); !s.ok()) return s;
      return complete ? trailer_line() : Status();
    case At::end:
      return broken("bytes after its end");
    case At::failed:
      break;
  }
  return error;
}

ChunkedDecoder::ChunkedDecoder(const Claim& claim, const crypto::Secret& secret) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.signed_chunks = claim.mode == PayloadMode::streaming_signed || claim.mode == PayloadMode::streaming_signed_trailer;
  s.trailer_allowed = claim.mode != PayloadMode::streaming_signed;
  check(s.signed_chunks || claim.mode == PayloadMode::streaming_unsigned_trailer, "this body is not aws-chunked");
  if (!s.signed_chunks) return;
  s.date = claim.amz_date;
  s.scope = claim.scope;
  s.previous = claim.signature;
  s.key = signing_key(secret, claim.date, claim.region, claim.service);
}

ChunkedDecoder::~ChunkedDecoder() = default;

Status ChunkedDecoder::feed(std::string_view raw, std::string& out) {
  while (!raw.empty()) {
    auto s = state_->step(raw, out);
    if (s.ok()) continue;
    state_->error = s.error();
    state_->at = State::At::failed;
    return s;
  }
  return {};
}

bool ChunkedDecoder::done() const { return state_->at == State::At::end; }
const HeaderList& ChunkedDecoder::trailers() const { return state_->trailers; }

}  // namespace hf::security
