// Products of quantised weights by plain loops: the specification of the other sets.
#include <cmath>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_scalar.inc"

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int kQuantRows = 1;
constexpr bool kCentred = false;

struct W {
  uint8_t b[64];
};
struct I {
  int32_t v[16];
};
template <class F>
inline W each_byte(const F& f) {
  W out;
  for (int i = 0; i < 64; ++i) out.b[i] = static_cast<uint8_t>(f(i));
  return out;
}
inline W load_w(const uint8_t* p) {
  return each_byte([&](int i) { return p[i]; });
}
inline W low4(const W& w) {
  return each_byte([&](int i) { return w.b[i] & 15; });
}
inline W high4(const W& w) {
  return each_byte([&](int i) { return w.b[i] >> 4; });
}
inline W add2(const W& low, const W& bits, int shift) {
  return each_byte([&](int i) { return low.b[i] | ((bits.b[i] >> shift) & 3) << 4; });
}
inline I splat(int32_t x) {
  I out;
  for (int32_t& v : out.v) v = x;
  return out;
}
inline I dot(I sum, const W& w, int32_t a) {
  int8_t four_of[4];
  __builtin_memcpy(four_of, &a, 4);
  for (int i = 0; i < 64; ++i) sum.v[i / 4] += w.b[i] * four_of[i % 4];
  return sum;
}
inline I dot_small(const I& sum, const W& w, int32_t a) { return dot(sum, w, a); }
inline I plus(I a, const I& b) {
  for (int i = 0; i < 16; ++i) a.v[i] += b.v[i];
  return a;
}
inline V to_float(const I& x) {
  return each([&](int i) { return static_cast<float>(x.v[i]); });
}
inline V halves(const uint8_t* p) {
  return each([&](int i) {
    uint16_t bits;
    __builtin_memcpy(&bits, p + 2 * i, 2);
    return float_of_f16(bits);
  });
}
inline V bytes_u(const uint8_t* p) {
  return each([&](int i) { return static_cast<float>(p[i]); });
}
inline V bytes_s(const uint8_t* p) {
  return each([&](int i) { return static_cast<float>(static_cast<int8_t>(p[i])); });
}
inline void round_to(const V& x, int8_t* to) {
  for (int i = 0; i < 16; ++i) to[i] = x.v[i] >= -127 && x.v[i] <= 127 ? static_cast<int8_t>(x.v[i]) : int8_t{0};
}

#include "tensor/cpu/quant.inc"

}  // namespace

constinit const QuantKernels kScalarQuant{quantise, quant_gemm, 1};

}  // namespace hf::tensor
