#include <cstdint>
#include <string>

#include "format/safetensors.h"

// What opens has every tensor inside the file, with the bytes that its shape says.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file =
      hf::format::Safetensors::open(hf::os::Mapping::of_bytes(std::string(reinterpret_cast<const char*>(data), size)));
  if (!file.ok()) return 0;
  uint64_t sum = 0;
  for (const auto& [name, tensor] : file->header().tensors) {
    const auto bytes = file->data(tensor);
    hf::check(bytes.size() == static_cast<size_t>(tensor.elements()) * dtype_bytes(tensor.dtype), "bytes of a tensor");
    for (const char c : bytes) sum += static_cast<unsigned char>(c);
  }
  hf::check(sum <= 255 * size, "tensors overlap");
  return 0;
}
