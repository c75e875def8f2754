#include <cstdint>
#include <string>

#include "format/gguf.h"

// What opens has every tensor inside the file, with the bytes that its shape says, and no two of them overlap.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = hf::format::Gguf::open(hf::os::Mapping::of_bytes(std::string(reinterpret_cast<const char*>(data), size)));
  if (!file.ok()) return 0;
  uint64_t sum = 0, bytes = 0;
  for (const auto& [name, tensor] : file->tensors()) {
    const hf::tensor::View view = file->view(tensor);
    hf::check(static_cast<uint64_t>(hf::tensor::row_bytes(view.type, view.elements())) == tensor.bytes,
              "bytes of a tensor");
    for (uint64_t i = 0; i < tensor.bytes; ++i) sum += static_cast<unsigned char>(view.data[i]);
    bytes += tensor.bytes;
  }
  hf::check(bytes <= size && sum <= 255 * size, "tensors overlap");
  return 0;
}
