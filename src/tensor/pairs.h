// Products of bfloat16 with sums in float, for training: about twice the speed of floats where the machine multiplies
// bfloat16 itself and quickly (os::CpuInfo::fast_bf16), and the same bits everywhere else.
//
// A pair is two bfloat16 that are neighbours along K, in one uint32: element 2p in the lower half, 2p + 1 in the upper
// one. An odd K ends with a zero. The arithmetic is that of VDPBF16PS, written out:
//   sum = fma(a.upper, b.upper, sum), then sum = fma(a.lower, b.lower, sum); to nearest, ties to even; subnormal inputs
//   and results are zeros.
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, VDPBF16PS; that AMD's processors do the same
// was found by comparing 44 million sums, subnormal ones among them. Rounding a float to bfloat16 is VCVTNEPS2BF16's:
// to nearest, ties to even, subnormal floats to zero, NaN stays NaN.
// All functions are single-threaded, allocate nothing, and take any alignment and any sizes >= 0.
#pragma once

#include <cstdint>

namespace hf::tensor {

constexpr int64_t pairs(int64_t n) { return (n + 1) / 2; }

// As Gemm (kernels.h) with pairs for numbers: k, a_k and b_k count pairs, strides are in uint32.
struct PairGemm {
  int64_t m = 0, n = 0, k = 0;
  const uint32_t* a = nullptr;
  int64_t a_row = 0, a_k = 1;
  const uint32_t* b = nullptr;
  int64_t b_k = 16, b_panel = 0;
  float* c = nullptr;
  int64_t c_row = 0, c_panel = 16;
  bool accumulate = false;
};

struct PairKernels {
  bool native;  // by the machine's own instruction

  void (*gemm)(const PairGemm& g);

  // Pairs along rows: dst[r * dst_row + c / 2] holds columns c and c + 1 of row r.
  void (*along)(int64_t rows, int64_t cols, const float* src, int64_t src_row, uint32_t* dst, int64_t dst_row);

  // Pairs across rows: dst[(c / 16) * dst_panel + (r / 2) * dst_row + c % 16] holds rows r and r + 1 of column c.
  // The last panel's lanes beyond `cols` become zero.
  void (*across)(int64_t rows, int64_t cols, const float* src, int64_t src_row, uint32_t* dst, int64_t dst_row,
                 int64_t dst_panel);
};

}  // namespace hf::tensor
