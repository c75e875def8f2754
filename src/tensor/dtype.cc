#include "tensor/dtype.h"

#include <cstring>
#include <string>

namespace hf::tensor {

size_t size_of(DType type) { return type == DType::f32 ? 4 : 2; }

std::string_view name_of(DType type) {
  switch (type) {
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
  }
  check(false, "unknown dtype");
  return {};
}

Result<DType> dtype_of(std::string_view name) {
  for (DType type : {DType::f32, DType::f16, DType::bf16}) {
    if (name == name_of(type)) return type;
  }
  return fail(Code::invalid, "tensor type must be F32, F16 or BF16, found '" + std::string(name.substr(0, 32)) + "'");
}

float float_of_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t fraction = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float tiny = static_cast<float>(fraction) * 0x1p-24f;  // subnormal or zero: exact in float
  return std::bit_cast<float>(std::bit_cast<uint32_t>(tiny) | sign);
}

void to_floats(const View& view, int64_t first, int64_t count, float* out) {
  check(first >= 0 && count >= 0 && first + count <= view.elements(), "range within the tensor");
  const char* from = view.data + static_cast<size_t>(first) * size_of(view.type);
  if (view.type == DType::f32) {
    std::memcpy(out, from, static_cast<size_t>(count) * 4);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, from + i * 2, 2);
    out[i] = view.type == DType::bf16 ? float_of_bf16(bits) : float_of_f16(bits);
  }
}

}  // namespace hf::tensor
