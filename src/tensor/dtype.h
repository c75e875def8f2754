// Number types of stored tensors, and a read-only view of one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::tensor {

// The quantised ones are GGUF's blocks (quant.h): only of serving, never of safetensors.
enum class DType : uint8_t { f32, f16, bf16, q8_0, q4_0, q4_k, q6_k };

int64_t block_elements(DType type);             // numbers of one block: 1, 32 or 256
int64_t row_bytes(DType type, int64_t count);   // of `count` numbers, a multiple of block_elements()
std::string_view name_of(DType type);           // as safetensors or GGUF spells it: "F32", "F16", "BF16", "Q8_0", ...
Result<DType> dtype_of(std::string_view name);  // of safetensors; invalid: not F32, F16 or BF16

// bfloat16 is the upper half of a float. Rounds to nearest even; a NaN stays a (quiet) NaN.
inline uint16_t bf16_of(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
inline float float_of_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
float float_of_f16(uint16_t bits);  // IEEE half, exact
uint16_t f16_of(float value);       // to nearest, ties to even; a NaN stays a quiet NaN

// A tensor in someone else's memory, row-major, little-endian; `data` may be unaligned.
struct View {
  DType type = DType::f32;
  std::vector<int64_t> shape;
  const char* data = nullptr;
  // Above 0: the rows of each `paired` of them lie in another order, row i * (paired / 2) + j (i of 0, 1) at 2 j + i.
  int64_t paired = 0;

  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
};
// Where row `row` of a matrix lies, counted in rows.
inline int64_t stored_row(const View& view, int64_t row) {
  if (view.paired == 0) return row;
  const int64_t half = view.paired / 2, in = row % view.paired;
  return row - in + in % half * 2 + in / half;
}
// Copies `count` elements as they lie, starting at element `first` of `view` into floats, exactly (of quantised types:
// scale times number, rounded; whole blocks).
void to_floats(const View& view, int64_t first, int64_t count, float* out);

}  // namespace hf::tensor
