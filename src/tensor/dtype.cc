#include "tensor/dtype.h"

#include <cstring>
#include <string>

#include "tensor/quant.h"

namespace hf::tensor {

int64_t block_elements(DType type) {
  switch (type) {
    case DType::q8_0:
    case DType::q4_0:
      return 32;
    case DType::q4_k:
    case DType::q6_k:
      return 256;
    default:
      return 1;
  }
}

int64_t row_bytes(DType type, int64_t count) {
  switch (type) {
    case DType::f32:
      return count * 4;
    case DType::f16:
    case DType::bf16:
      return count * 2;
    case DType::q8_0:
      return count / 32 * 34;
    case DType::q4_0:
      return count / 32 * 18;
    case DType::q4_k:
      return count / 256 * 144;
    case DType::q6_k:
      return count / 256 * 210;
  }
  check(false, "unknown dtype");
  return 0;
}

std::string_view name_of(DType type) {
  switch (type) {
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::q8_0:
      return "Q8_0";
    case DType::q4_0:
      return "Q4_0";
    case DType::q4_k:
      return "Q4_K";
    case DType::q6_k:
      return "Q6_K";
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

uint16_t f16_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u, size = bits & 0x7fffffffu;
  uint32_t out = 0;
  if (size > 0x7f800000u) {
    out = 0x7e00u;
  } else if (size >= 0x477ff000u) {  // 65,520: rounds to what half has no exponent for
    out = 0x7c00u;
  } else if (size < 0x38800000u) {  // subnormal: the last bit of half is that of floats from 0.5 to 1
    out = std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3f000000u;
  } else {
    out = (size - (112u << 23) + 0xfffu + ((size >> 13) & 1u)) >> 13;
  }
  return static_cast<uint16_t>(sign | out);
}

namespace {

// By way of the packed form, whose meaning is tested: speed is of no account here.
void quantised_to_floats(const View& view, int64_t first, int64_t count, float* out) {
  const int64_t block = block_elements(view.type);
  check(first % block == 0 && count % block == 0, "whole blocks");
  Buffer<uint8_t> packed(static_cast<size_t>(packed_bytes(view.type, block, 1)));
  for (int64_t i = 0; i < count; i += block) {
    const View one{view.type, {1, block}, view.data + row_bytes(view.type, first + i)};
    pack_quant({&one, 1}, packed.data());
    unpack_row({view.type, block, 1, packed.data()}, 0, out + i);
  }
}

}  // namespace

void to_floats(const View& view, int64_t first, int64_t count, float* out) {
  check(first >= 0 && count >= 0 && first + count <= view.elements(), "range within the tensor");
  if (block_elements(view.type) > 1) return quantised_to_floats(view, first, count, out);
  const char* from = view.data + row_bytes(view.type, first);
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
