// AVX-512: V is one register. 12 rows x 2 panels: 24 sums and 2 right operands of 32 registers; the left operand is a
// broadcast from memory within the multiply-add.
#if !defined(__clang__)  // GCC 12's own header starts from a register "whatever it holds" and then warns of it
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

struct V {
  __m512 v;
};
struct Whole {};
struct Part {
  int64_t n;  // 1 to 15
};
constexpr int kRows = 12;
constexpr int kWide = 2;

inline __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
inline V zero() { return {_mm512_setzero_ps()}; }
inline V set1(float x) { return {_mm512_set1_ps(x)}; }
inline V load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline V load_n(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
inline V load_bf16(const uint16_t* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
}
inline void store(float* p, V x) { _mm512_storeu_ps(p, x.v); }
inline void store_n(float* p, V x, int64_t n) { _mm512_mask_storeu_ps(p, first(n), x.v); }
inline V get(const float* p, Whole) { return load(p); }
inline V get(const float* p, Part part) { return load_n(p, part.n); }
inline void put(float* p, V x, Whole) { store(p, x); }
inline void put(float* p, V x, Part part) { store_n(p, x, part.n); }
inline V clear_beyond(V x, Whole) { return x; }
inline V clear_beyond(V x, Part part) { return {_mm512_maskz_mov_ps(first(part.n), x.v)}; }
inline V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline V add(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
inline V sub(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline V mul(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline V div(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
inline V sqrt(V a) { return {_mm512_sqrt_ps(a.v)}; }
inline V min(V a, V b) { return {_mm512_min_ps(a.v, b.v)}; }
inline V max(V a, V b) { return {_mm512_max_ps(a.v, b.v)}; }
inline V round(V a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline V power_of_two(V n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}
// v where x >= low (or x is not a number), else 0.
inline V keep_at_least(V x, V low, V v) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, low.v, _CMP_NLT_UQ), v.v)};
}
inline float reduce_add(V x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float reduce_max(V x) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#include "tensor/cpu/kernels.inc"

}  // namespace

constinit const Kernels kAvx512Kernels = make_table("avx512");

}  // namespace hf::tensor
