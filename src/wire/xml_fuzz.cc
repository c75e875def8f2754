#include "wire/codec.h"
#include "wire/codec_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::wire;
  const Shape& shape = shape_of<testing::Everything>();
  std::string_view text(reinterpret_cast<const char*>(data), size);
  testing::Everything value;
  if (!decode_xml(shape, "Root", text, &value).ok()) return 0;
  std::string out;
  encode_xml(shape, "Root", "", &value, out);
  return 0;
}
