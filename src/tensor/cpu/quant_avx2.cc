// Products of quantised weights with AVX2: W, I and V are two registers each.
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_avx2.inc"

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int kQuantRows = 4;
constexpr bool kCentred = true;

struct W {
  __m256i a, b;
};
struct I {
  __m256i a, b;
};
inline __m256i load256(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline W load_w(const uint8_t* p) { return {load256(p), load256(p + 32)}; }
inline W low4(W w) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(w.a, mask), _mm256_and_si256(w.b, mask)};
}
inline W high4(W w) { return low4({_mm256_srli_epi32(w.a, 4), _mm256_srli_epi32(w.b, 4)}); }
inline __m256i add2(__m256i low, __m256i bits, int shift) {
  // Shifts are of 32 bits; the mask keeps what belongs to each byte.
  const __m256i up = shift <= 4 ? _mm256_slli_epi32(bits, 4 - shift) : _mm256_srli_epi32(bits, shift - 4);
  return _mm256_or_si256(low, _mm256_and_si256(up, _mm256_set1_epi8(0x30)));
}
inline W add2(W low, W bits, int shift) { return {add2(low.a, bits.a, shift), add2(low.b, bits.b, shift)}; }
inline I splat(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
// VPMADDUBSW takes one unsigned operand: the magnitude of the byte less 128; its sign goes to the other. At most
// 2 * 128 * 127, which fits into 16 bits.
inline __m256i dot(__m256i sum, __m256i w, __m256i a) {
  const __m256i centred = _mm256_xor_si256(w, _mm256_set1_epi8(static_cast<char>(0x80)));
  const __m256i two = _mm256_maddubs_epi16(_mm256_abs_epi8(centred), _mm256_sign_epi8(a, centred));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(two, _mm256_set1_epi16(1)));
}
inline I dot(I sum, W w, int32_t a) {
  const __m256i all = _mm256_set1_epi32(a);
  return {dot(sum.a, w.a, all), dot(sum.b, w.b, all)};
}
inline __m256i dot_small(__m256i sum, __m256i w, __m256i a) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), _mm256_set1_epi16(1)));
}
inline I dot_small(I sum, W w, int32_t a) {
  const __m256i all = _mm256_set1_epi32(a);
  return {dot_small(sum.a, w.a, all), dot_small(sum.b, w.b, all)};
}
inline I plus(I a, I b) { return {_mm256_add_epi32(a.a, b.a), _mm256_add_epi32(a.b, b.b)}; }
inline V to_float(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline __m128i load128(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline V halves(const uint8_t* p) { return {_mm256_cvtph_ps(load128(p)), _mm256_cvtph_ps(load128(p + 16))}; }
inline V bytes_u(const uint8_t* p) {
  const __m128i all = load128(p);
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(all)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(all, all)))};
}
inline V bytes_s(const uint8_t* p) {
  const __m128i all = load128(p);
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(all, all)))};
}
inline __m128i words(__m256 x) {  // of eight whole numbers, their lower bytes as 16 bits
  const __m256i bytes = _mm256_and_si256(_mm256_cvtps_epi32(x), _mm256_set1_epi32(255));
  return _mm_packus_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}
inline void round_to(V x, int8_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words(x.a), words(x.b)));
}

#include "tensor/cpu/quant.inc"

}  // namespace

constinit const QuantKernels kAvx2Quant{quantise, quant_gemm, kQuantRows};

}  // namespace hf::tensor
