// AVX2 with FMA: V is two registers. 6 rows x 1 panel: 12 sums, 2 right operands and 1 left of 16 registers.
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

struct V {
  __m256 a, b;  // lanes 0-7, 8-15
};
struct Whole {};
struct Part {
  int64_t n;  // 1 to 15
};
constexpr int kRows = 6;
constexpr int kWide = 1;

// Lanes below n: all bits set.
inline __m256i first(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline V zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline V set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline V load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline V load_n(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, first(n)), _mm256_maskload_ps(p + 8, first(n - 8))};
}
inline V load_bf16(const uint16_t* p) {
  const __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i high = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}
inline void store(float* p, V x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline void store_n(float* p, V x, int64_t n) {
  _mm256_maskstore_ps(p, first(n), x.a);
  _mm256_maskstore_ps(p + 8, first(n - 8), x.b);
}
inline V get(const float* p, Whole) { return load(p); }
inline V get(const float* p, Part part) { return load_n(p, part.n); }
inline void put(float* p, V x, Whole) { store(p, x); }
inline void put(float* p, V x, Part part) { store_n(p, x, part.n); }
inline V clear_beyond(V x, Whole) { return x; }
inline V clear_beyond(V x, Part part) {
  return {_mm256_and_ps(x.a, _mm256_castsi256_ps(first(part.n))),
          _mm256_and_ps(x.b, _mm256_castsi256_ps(first(part.n - 8)))};
}
inline V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)}; }
inline V add(V a, V b) { return {_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)}; }
inline V sub(V a, V b) { return {_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)}; }
inline V mul(V a, V b) { return {_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
inline V div(V a, V b) { return {_mm256_div_ps(a.a, b.a), _mm256_div_ps(a.b, b.b)}; }
inline V sqrt(V a) { return {_mm256_sqrt_ps(a.a), _mm256_sqrt_ps(a.b)}; }
inline V min(V a, V b) { return {_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)}; }
inline V max(V a, V b) { return {_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)}; }
inline V round(V a) {
  return {_mm256_round_ps(a.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(a.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline __m256 power_of_two(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
inline V power_of_two(V n) { return {power_of_two(n.a), power_of_two(n.b)}; }
// v where x >= low (or x is not a number), else 0.
inline V keep_at_least(V x, V low, V v) {
  return {_mm256_and_ps(_mm256_cmp_ps(x.a, low.a, _CMP_NLT_UQ), v.a),
          _mm256_and_ps(_mm256_cmp_ps(x.b, low.b, _CMP_NLT_UQ), v.b)};
}
inline float reduce_add(V x) {
  const __m256 eight = _mm256_add_ps(x.a, x.b);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float reduce_max(V x) {
  const __m256 eight = _mm256_max_ps(x.a, x.b);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#include "tensor/cpu/kernels.inc"

}  // namespace

constinit const Kernels kAvx2Kernels = make_table("avx2");

}  // namespace hf::tensor
