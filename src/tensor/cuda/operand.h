// One lane's share of a tile of weights (16 outputs x 32 inputs), and its product with 8 rows of activations by
// mma.sync m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16"). Internal to tensor/cuda/.
//
// Lane 4 r + t holds outputs r and r + 8; of its inputs, half h (of 16) has 16 h + 4 t .. + 3 as the two pairs of one
// mma. The instruction names other inputs, but activations lie in the same order, so that the sum is over the same
// products. Whole numbers of up to 8 bits are exact in bfloat16: a quantised tile's sum is exact up to float's sums.
#pragma once

#include "tensor/cuda/launch.h"

namespace hf::tensor::cuda {

constexpr int kTilesOfSlice = static_cast<int>(kDeviceSlice / kDeviceTile);

template <DType T>
struct Operand;  // bytes of a tile; Raw: what a lane loads of it

struct Scales {
  uint32_t tile = 0;  // of the tile
  uint2 slice{0, 0};  // of the slice's 256 inputs
};

__device__ inline void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline float half_of(uint32_t pair, int which) {
  return __half2float(__ushort_as_half(static_cast<uint16_t>(which ? pair >> 16 : pair & 0xffff)));
}
__device__ inline uint32_t minus(uint32_t a, uint32_t b) {  // pairs of bfloat16; exact where it is used
  const __nv_bfloat162 d =
      __hsub2(*reinterpret_cast<const __nv_bfloat162*>(&a), *reinterpret_cast<const __nv_bfloat162*>(&b));
  return *reinterpret_cast<const uint32_t*>(&d);
}
// Bytes 2 which and 2 which + 1 of `bytes` below the upper byte of 128 as bfloat16: 128 + byte, for bytes below 128.
__device__ inline uint32_t widened(uint32_t bytes, int which) {
  return __byte_perm(bytes, 0x43u, which ? 0x4342 : 0x4140);
}
// Four small numbers to the pairs that a[0] and a[2] (or 1 and 3) take: each less `zero`.
template <uint32_t kZero>
__device__ inline void small_numbers(uint32_t bytes, uint32_t& low, uint32_t& high) {
  constexpr uint32_t kPair = kZero << 16 | kZero;
  low = minus(widened(bytes, 0), kPair);
  high = minus(widened(bytes, 1), kPair);
}
// The same of q + 128: below 128 the number is (128 + byte) - 256, else (128 + (byte - 128)) - 128.
__device__ inline void byte_numbers(uint32_t bytes, uint32_t& low, uint32_t& high) {
#pragma unroll
  for (int which = 0; which < 2; ++which) {
    const uint32_t x = widened(bytes, which);
    const uint32_t d = minus(x & 0xff7fff7fu, (x ^ 0x00800080u) & 0xff80ff80u);
    (which ? high : low) = d;
  }
}

// ---- Each type: Raw, load(), numbers() of half h
template <>
struct Operand<DType::bf16> {
  static constexpr int kBytes = 1024, kHighBytes = 0;
  static constexpr bool kScaled = false;
  struct Raw {
    uint4 half[2];
  };
  __device__ static Raw load(const void* tile, const void*, int lane) {
    const uint4* p = static_cast<const uint4*>(tile) + lane;
    return {{p[0], p[32]}};
  }
  __device__ static void numbers(const Raw& r, int h, int, uint32_t (&a)[4]) {
    a[0] = r.half[h].x, a[1] = r.half[h].y, a[2] = r.half[h].z, a[3] = r.half[h].w;
  }
};
template <>
struct Operand<DType::f32> {  // upper and lower part
  static constexpr int kBytes = 2048, kHighBytes = 0;
  static constexpr bool kScaled = false;
  struct Raw {
    uint4 half[4];
  };
  __device__ static Raw load(const void* tile, const void*, int lane) {
    const uint4* p = static_cast<const uint4*>(tile) + lane;
    return {{p[0], p[32], p[64], p[96]}};
  }
  __device__ static void numbers(const Raw& r, int h, int, uint32_t (&a)[4]) {
    a[0] = r.half[h].x, a[1] = r.half[h].y, a[2] = r.half[h].z, a[3] = r.half[h].w;
  }
};
template <>
struct Operand<DType::q8_0> {
  static constexpr int kBytes = 512, kHighBytes = 0;
  static constexpr bool kScaled = true;
  using Raw = uint4;  // outputs r, r + 8 of the first half, then of the second
  __device__ static Raw load(const void* tile, const void*, int lane) { return static_cast<const uint4*>(tile)[lane]; }
  __device__ static void numbers(const Raw& r, int h, int, uint32_t (&a)[4]) {
    byte_numbers(h ? r.z : r.x, a[0], a[2]);
    byte_numbers(h ? r.w : r.y, a[1], a[3]);
  }
};
struct Nibbles {  // the first half's in the lower four bits
  static constexpr int kBytes = 256, kHighBytes = 0;
  static constexpr bool kScaled = true;
  using Raw = uint2;  // outputs r, r + 8
  __device__ static Raw load(const void* tile, const void*, int lane) { return static_cast<const uint2*>(tile)[lane]; }
};
template <>
struct Operand<DType::q4_0> : Nibbles {
  __device__ static void numbers(const Raw& r, int h, int, uint32_t (&a)[4]) {
    small_numbers<0x4308>(r.x >> 4 * h & 0x0f0f0f0fu, a[0], a[2]);  // 128 + 8
    small_numbers<0x4308>(r.y >> 4 * h & 0x0f0f0f0fu, a[1], a[3]);
  }
};
template <>
struct Operand<DType::q4_k> : Nibbles {
  __device__ static void numbers(const Raw& r, int h, int, uint32_t (&a)[4]) {
    small_numbers<0x4300>(r.x >> 4 * h & 0x0f0f0f0fu, a[0], a[2]);
    small_numbers<0x4300>(r.y >> 4 * h & 0x0f0f0f0fu, a[1], a[3]);
  }
};
template <>
struct Operand<DType::q6_k> {
  static constexpr int kBytes = 256, kHighBytes = 128;
  static constexpr bool kScaled = true;
  struct Raw {
    uint2 low, high;  // of the high ones, lanes t and t + 2 take different bits
  };
  __device__ static Raw load(const void* tile, const void* high, int lane) {
    return {static_cast<const uint2*>(tile)[lane], static_cast<const uint2*>(high)[(lane & 1) * 8 + lane / 4]};
  }
  __device__ static uint32_t joined(uint32_t low, uint32_t high, int h, int lane) {
    const int shift = (lane & 2) + 4 * h;
    return (low >> 4 * h & 0x0f0f0f0fu) | (high >> shift & 0x03030303u) << 4;
  }
  __device__ static void numbers(const Raw& r, int h, int lane, uint32_t (&a)[4]) {
    small_numbers<0x4320>(joined(r.low.x, r.high.x, h, lane), a[0], a[2]);  // 128 + 32
    small_numbers<0x4320>(joined(r.low.y, r.high.y, h, lane), a[1], a[3]);
  }
};

__device__ inline float byte_of(uint32_t word, int which) { return static_cast<float>(word >> 8 * which & 0xffu); }
__device__ inline float signed_byte_of(uint32_t word, int which) {
  return static_cast<float>(static_cast<int8_t>(word >> 8 * which & 0xffu));
}

// sum[n] += the tile's product with 8 rows b[n], for outputs r (elements 0, 1: rows 2 t, 2 t + 1) and r + 8 (2, 3). The
// one place where the order of a sum is written.
template <DType T, int N>
__device__ inline void add_tile(const typename Operand<T>::Raw& raw, const Scales& scales, int lane,
                                const uint4 (&b)[N], float (&sum)[N][4]) {
  uint32_t a[2][4];
  Operand<T>::numbers(raw, 0, lane, a[0]);
  Operand<T>::numbers(raw, 1, lane, a[1]);
  if constexpr (T == DType::bf16 || T == DType::f32) {
#pragma unroll
    for (int n = 0; n < N; ++n) {
      mma(sum[n], a[0], b[n].x, b[n].y);
      mma(sum[n], a[1], b[n].z, b[n].w);
    }
    if constexpr (T == DType::f32) {
      uint32_t lower[2][4];
      Operand<T>::numbers(raw, 2, lane, lower[0]);
      Operand<T>::numbers(raw, 3, lane, lower[1]);
#pragma unroll
      for (int n = 0; n < N; ++n) {
        mma(sum[n], lower[0], b[n].x, b[n].y);
        mma(sum[n], lower[1], b[n].z, b[n].w);
      }
    }
  } else if constexpr (T == DType::q6_k) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float s0 = half_of(scales.slice.x, 0) * signed_byte_of(scales.tile, 2 * h);
      const float s1 = half_of(scales.slice.x, 1) * signed_byte_of(scales.tile, 2 * h + 1);
#pragma unroll
      for (int n = 0; n < N; ++n) {
        float part[4] = {0, 0, 0, 0};
        mma(part, a[h], h ? b[n].z : b[n].x, h ? b[n].w : b[n].y);
        sum[n][0] = fmaf(part[0], s0, sum[n][0]);
        sum[n][1] = fmaf(part[1], s0, sum[n][1]);
        sum[n][2] = fmaf(part[2], s1, sum[n][2]);
        sum[n][3] = fmaf(part[3], s1, sum[n][3]);
      }
    }
  } else {
    float s0, s1, t0 = 0, t1 = 0;
    if constexpr (T == DType::q4_k) {
      s0 = half_of(scales.slice.x, 0) * byte_of(scales.tile, 0);
      s1 = half_of(scales.slice.x, 1) * byte_of(scales.tile, 1);
      t0 = half_of(scales.slice.y, 0) * byte_of(scales.tile, 2);
      t1 = half_of(scales.slice.y, 1) * byte_of(scales.tile, 3);
    } else {
      s0 = half_of(scales.tile, 0);
      s1 = half_of(scales.tile, 1);
    }
#pragma unroll
    for (int n = 0; n < N; ++n) {
      float part[4] = {0, 0, 0, 0};
      mma(part, a[0], b[n].x, b[n].y);
      mma(part, a[1], b[n].z, b[n].w);
      sum[n][0] = fmaf(part[0], s0, sum[n][0]);
      sum[n][1] = fmaf(part[1], s0, sum[n][1]);
      sum[n][2] = fmaf(part[2], s1, sum[n][2]);
      sum[n][3] = fmaf(part[3], s1, sum[n][3]);
      if constexpr (T == DType::q4_k) {
        const uint32_t ones[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
        float all[4] = {0, 0, 0, 0};  // the activations' sum, the same for every output
        mma(all, ones, b[n].x, b[n].y);
        mma(all, ones, b[n].z, b[n].w);
        sum[n][0] = fmaf(-t0, all[0], sum[n][0]);
        sum[n][1] = fmaf(-t0, all[1], sum[n][1]);
        sum[n][2] = fmaf(-t1, all[2], sum[n][2]);
        sum[n][3] = fmaf(-t1, all[3], sum[n][3]);
      }
    }
  }
}

// Where a panel's (or tile's) parts lie.
template <DType T>
struct Tiles {
  const char* quants;
  const char* high;
  const uint32_t* scales;
  const uint2* supers;
  int64_t tiles, slices;  // of a panel

  __device__ explicit Tiles(const DeviceMatrix& m)
      : quants(static_cast<const char*>(m.quants_on)),
        high(static_cast<const char*>(m.high_on)),
        scales(static_cast<const uint32_t*>(m.scales_on)),
        supers(static_cast<const uint2*>(m.supers_on)),
        tiles(device_tiles(m.k)),
        slices((m.k + kDeviceSlice - 1) / kDeviceSlice) {}
  __device__ typename Operand<T>::Raw raw(int64_t panel, int64_t tile, int lane) const {
    const int64_t at = panel * tiles + tile;
    return Operand<T>::load(quants + at * Operand<T>::kBytes, high + at * Operand<T>::kHighBytes, lane);
  }
  __device__ uint32_t scale(int64_t panel, int64_t tile, int lane) const {
    return Operand<T>::kScaled ? scales[(panel * tiles + tile) * 8 + lane / 4] : 0;
  }
  __device__ uint2 super(int64_t panel, int64_t slice, int lane) const {
    if (T != DType::q4_k && T != DType::q6_k) return {0, 0};
    return supers[(panel * slices + slice) * 8 + lane / 4];
  }
};

}  // namespace hf::tensor::cuda
