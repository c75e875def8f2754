// Pairs of bfloat16 with AVX512-BF16. 12 rows x 2 panels, as for floats. VDPBF16PS and VCVTNEPS2BF16 take subnormal
// numbers for zeros whatever the control register says.
#if !defined(__clang__)  // GCC 12's own header starts from a register "whatever it holds" and then warns of it
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_avx512.inc"

constexpr int kRows = 12;
constexpr int kWide = 2;

struct P {
  __m512i v;
};
inline P load_b(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
inline P load_b_n(const uint32_t* p, int64_t n) { return {_mm512_maskz_loadu_epi32(first(n), p)}; }
inline P set1(uint32_t pair) { return {_mm512_set1_epi32(static_cast<int>(pair))}; }
inline __m512bh halves(__m512i v) {
  __m512bh out;
  __builtin_memcpy(&out, &v, sizeof out);
  return out;
}
inline V fma(P a, P b, V c) { return {_mm512_dpbf16_ps(c.v, halves(a.v), halves(b.v))}; }

inline __m256i rounded(V x) {
  const __m256bh half = _mm512_cvtneps_pbh(x.v);
  __m256i out;
  __builtin_memcpy(&out, &half, sizeof out);
  return out;
}
// Low numbers are the first 16 halves, high ones the last 16: they go to even and odd places.
inline void put_pairs(uint32_t* to, V low, V high) {
  const __m512bh both = _mm512_cvtne2ps_pbh(high.v, low.v);
  __m512i halves16;
  __builtin_memcpy(&halves16, &both, sizeof halves16);
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i places = _mm512_or_si512(lanes, _mm512_slli_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(16)), 16));
  _mm512_storeu_si512(to, _mm512_permutexvar_epi16(places, halves16));
}
inline void put_along(uint32_t* to, V a, V b) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), rounded(a));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8), rounded(b));
}
struct Flush {
  Flush() {}
};

#include "tensor/cpu/pairs.inc"

}  // namespace

constinit const PairKernels kAvx512Pairs{true, gemm, along, across};

}  // namespace hf::tensor
