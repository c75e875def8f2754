// Pairs of bfloat16 with AVX2: each half is widened and multiplied as floats. 4 rows x 1 panel: 8 sums, 4 right
// operands and 2 left ones of 16 registers.
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_avx2.inc"

constexpr int kRows = 4;
constexpr int kWide = 1;

struct P {
  __m256i a, b;  // pairs 0-7, 8-15
};
inline P load_b(const uint32_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
}
inline P load_b_n(const uint32_t* p, int64_t n) {
  const V v = load_n(reinterpret_cast<const float*>(p), n);
  return {_mm256_castps_si256(v.a), _mm256_castps_si256(v.b)};
}
inline P set1(uint32_t pair) {
  const __m256i all = _mm256_set1_epi32(static_cast<int>(pair));
  return {all, all};
}
inline __m256 low_of(__m256i p) { return _mm256_castsi256_ps(_mm256_slli_epi32(p, 16)); }
inline __m256 high_of(__m256i p) {
  return _mm256_castsi256_ps(_mm256_and_si256(p, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
inline __m256 fma8(__m256i a, __m256i b, __m256 c) {
  return _mm256_fmadd_ps(low_of(a), low_of(b), _mm256_fmadd_ps(high_of(a), high_of(b), c));
}
inline V fma(P a, P b, V c) { return {fma8(a.a, b.a, c.a), fma8(a.b, b.b, c.b)}; }

// The bfloat16 of each lane, in its upper half; the lower half is zero.
inline __m256i rounded(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i near = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000));
  const __m256i none = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const __m256i sign = _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0x80000000u)));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  __m256i out = _mm256_blendv_epi8(near, sign, none);
  out = _mm256_blendv_epi8(out, _mm256_or_si256(bits, _mm256_set1_epi32(0x400000)), nan);
  return _mm256_and_si256(out, upper);
}
inline void put8(uint32_t* to, __m256i pairs) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), pairs); }
inline void put_pairs(uint32_t* to, V low, V high) {
  put8(to, _mm256_or_si256(_mm256_srli_epi32(rounded(low.a), 16), rounded(high.a)));
  put8(to + 8, _mm256_or_si256(_mm256_srli_epi32(rounded(low.b), 16), rounded(high.b)));
}
// Eight numbers to four pairs, in order.
inline __m128i along8(__m256 x) {
  const __m256i r = rounded(x);  // 64 bits: upper halves of an even and an odd number
  const __m256i pairs = _mm256_or_si256(_mm256_srli_epi64(r, 16), _mm256_srli_epi64(r, 32));
  const __m256i lower = _mm256_permutevar8x32_epi32(pairs, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
  return _mm256_castsi256_si128(lower);
}
inline void put_along(uint32_t* to, V a, V b) {
  put8(to, _mm256_set_m128i(along8(a.b), along8(a.a)));
  put8(to + 8, _mm256_set_m128i(along8(b.b), along8(b.a)));
}
struct Flush {
  Flush() { __builtin_ia32_ldmxcsr(before | 0x8040u); }
  ~Flush() { __builtin_ia32_ldmxcsr(before); }
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;
  unsigned before = __builtin_ia32_stmxcsr();
};

#include "tensor/cpu/pairs.inc"

}  // namespace

constinit const PairKernels kAvx2Pairs{false, gemm, along, across};

}  // namespace hf::tensor
