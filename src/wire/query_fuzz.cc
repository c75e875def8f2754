#include "wire/codec.h"
#include "wire/codec_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::wire;
  auto pairs = decode_query({reinterpret_cast<const char*>(data), size}, true, 1000);
  if (!pairs.ok()) return 0;
  testing::Everything value;
  if (!decode_aws_query(shape_of<testing::Everything>(), *pairs, &value).ok()) return 0;
  encode_aws_query(&shape_of<testing::Everything>(), "Do", "urn:x", "id", &value);
  return 0;
}
