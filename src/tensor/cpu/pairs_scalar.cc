// Pairs of bfloat16 by plain loops: the specification of the other sets.
#include <cmath>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_scalar.inc"

constexpr int kRows = 1;
constexpr int kWide = 1;

struct P {
  V low, high;
};
inline V widened(const uint32_t* p, int64_t n, uint32_t keep, int shift) {
  V out = zero();
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = (p[i] & keep) << shift;
    __builtin_memcpy(&out.v[i], &bits, 4);
  }
  return out;
}
inline P load_b_n(const uint32_t* p, int64_t n) { return {widened(p, n, 0xffffu, 16), widened(p, n, 0xffff0000u, 0)}; }
inline P load_b(const uint32_t* p) { return load_b_n(p, 16); }
inline P set1(uint32_t pair) {
  uint32_t all[16];
  for (uint32_t& p : all) p = pair;
  return load_b(all);
}
inline V fma(const P& a, const P& b, const V& c) { return fma(a.low, b.low, fma(a.high, b.high, c)); }

inline uint32_t rounded(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7f800000u) == 0) return (bits & 0x80000000u) >> 16;     // zero or subnormal
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;  // NaN
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
inline void put_pairs(uint32_t* to, const V& low, const V& high) {
  for (int i = 0; i < 16; ++i) to[i] = rounded(low.v[i]) | rounded(high.v[i]) << 16;
}
inline void put_along(uint32_t* to, const V& a, const V& b) {
  for (int i = 0; i < 8; ++i) to[i] = rounded(a.v[2 * i]) | rounded(a.v[2 * i + 1]) << 16;
  for (int i = 0; i < 8; ++i) to[8 + i] = rounded(b.v[2 * i]) | rounded(b.v[2 * i + 1]) << 16;
}
// Flush-to-zero and denormals-are-zero of the SSE control register: std::fma and plain sums are SSE or FMA code here.
struct Flush {
  Flush() { __builtin_ia32_ldmxcsr(before | 0x8040u); }
  ~Flush() { __builtin_ia32_ldmxcsr(before); }
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;
  unsigned before = __builtin_ia32_stmxcsr();
};

#include "tensor/cpu/pairs.inc"

}  // namespace

constinit const PairKernels kScalarPairs{false, gemm, along, across};

}  // namespace hf::tensor
