// The first byte picks the mode. However the rest is cut, the outcome is the same, and a signed body gives no byte out
// that the secret did not sign.
#include <algorithm>
#include <cstdlib>

#include "security/sigv4.h"

namespace {

using namespace hf;

struct Outcome {
  bool ok = true, done = false;
  std::string bytes;
  security::HeaderList trailers;
  bool operator==(const Outcome&) const = default;
};

Outcome decode(const security::Claim& claim, std::string_view raw, size_t cut) {
  security::ChunkedDecoder decoder(claim, crypto::Secret("not in the corpus"));
  Outcome o;
  while (!raw.empty() && o.ok) {
    o.ok = decoder.feed(raw.substr(0, cut), o.bytes).ok();
    raw.remove_prefix(std::min(cut, raw.size()));
  }
  o.done = decoder.done();
  o.trailers = decoder.trailers();
  return o;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  security::Claim claim;
  claim.amz_date = "20261122T074925Z";
  claim.date = "20261122";
  claim.signature = std::string(64, 'a');
  using Mode = security::PayloadMode;
  claim.mode = data[0] % 3 == 0   ? Mode::streaming_unsigned_trailer
               : data[0] % 3 == 1 ? Mode::streaming_signed
                                  : Mode::streaming_signed_trailer;
  std::string_view raw(reinterpret_cast<const char*>(data + 1), size - 1);
  Outcome whole = decode(claim, raw, raw.size() + 1);
  if (!(decode(claim, raw, 1) == whole) || !(decode(claim, raw, 7) == whole)) std::abort();
  if (claim.mode != Mode::streaming_unsigned_trailer && (!whole.bytes.empty() || whole.done)) std::abort();
  return 0;
}
