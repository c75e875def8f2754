// Plain loops over sixteen numbers: the specification of the other sets, and what runs where they cannot.
#include <cmath>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

struct V {
  float v[16];
};
struct Whole {};
struct Part {
  int64_t n;  // 1 to 15
};
constexpr int kRows = 1;
constexpr int kWide = 1;

template <class F>
inline V each(const F& f) {
  V out;
  for (int i = 0; i < 16; ++i) out.v[i] = f(i);
  return out;
}
inline V set1(float x) {
  return each([&](int) { return x; });
}
inline V zero() { return set1(0); }
inline V load(const float* p) {
  return each([&](int i) { return p[i]; });
}
inline V load_n(const float* p, int64_t n) {
  return each([&](int i) { return i < n ? p[i] : 0.0f; });
}
inline V load_bf16(const uint16_t* p) {
  return each([&](int i) {
    const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
    float wide;
    __builtin_memcpy(&wide, &bits, 4);
    return wide;
  });
}
inline void store_n(float* p, const V& x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = x.v[i];
}
inline void store(float* p, const V& x) { store_n(p, x, 16); }
inline V get(const float* p, Whole) { return load(p); }
inline V get(const float* p, Part part) { return load_n(p, part.n); }
inline void put(float* p, const V& x, Whole) { store(p, x); }
inline void put(float* p, const V& x, Part part) { store_n(p, x, part.n); }
inline V clear_beyond(const V& x, Whole) { return x; }
inline V clear_beyond(const V& x, Part part) {
  return each([&](int i) { return i < part.n ? x.v[i] : 0.0f; });
}
inline V fma(const V& a, const V& b, const V& c) {
  return each([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); });
}
inline V add(const V& a, const V& b) {
  return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline V sub(const V& a, const V& b) {
  return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline V mul(const V& a, const V& b) {
  return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline V div(const V& a, const V& b) {
  return each([&](int i) { return a.v[i] / b.v[i]; });
}
inline V sqrt(const V& a) {
  return each([&](int i) { return std::sqrt(a.v[i]); });
}
inline V min(const V& a, const V& b) {
  return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline V max(const V& a, const V& b) {
  return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline V round(const V& a) {
  return each([&](int i) { return std::nearbyint(a.v[i]); });
}
inline V power_of_two(const V& n) {
  return each([&](int i) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23;
    float out;
    __builtin_memcpy(&out, &bits, 4);
    return out;
  });
}
inline V keep_at_least(const V& x, const V& low, const V& v) {
  return each([&](int i) { return x.v[i] < low.v[i] ? 0.0f : v.v[i]; });
}
inline float reduce_add(V x) {
  for (int half = 8; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) x.v[i] += x.v[i + half];
  }
  return x.v[0];
}
inline float reduce_max(V x) {
  for (int half = 8; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) x.v[i] = x.v[i] > x.v[i + half] ? x.v[i] : x.v[i + half];
  }
  return x.v[0];
}

#include "tensor/cpu/kernels.inc"

}  // namespace

constinit const Kernels kScalarKernels = make_table("scalar");

}  // namespace hf::tensor
