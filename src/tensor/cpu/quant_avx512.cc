// Products of quantised weights with AVX-512 VNNI. VPDPBUSD adds four products of unsigned and signed bytes exactly.
#if !defined(__clang__)  // GCC 12's own header starts from a register "whatever it holds" and then warns of it
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_avx512.inc"

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int kQuantRows = 12;  // 12 sums, 8 vectors of weights, scales
constexpr bool kCentred = false;

#include "tensor/cpu/quant_lanes_avx512.inc"

// After what it is written against.
#include "tensor/cpu/quant.inc"

}  // namespace

constinit const QuantKernels kAvx512Quant{quantise, quant_gemm, kQuantRows};

}  // namespace hf::tensor
