// Products of quantised weights with AMX: sixteen rows at once; fewer than sixteen go the way of AVX-512 VNNI.
//
// A panel's numbers become signed bytes once, in slabs that stay in the first- and second-level caches, and are used
// for all rows. Each block of 32 inputs is one tile product (exact, int32), whose sums join the float sums in registers
// as in quant.inc: the same bits.
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
constexpr int kQuantRows = 12;
constexpr bool kCentred = false;

#include "tensor/cpu/quant_lanes_avx512.inc"

// After what it is written against.
#include "tensor/cpu/quant.inc"

constexpr int64_t kTileRows = 16;
constexpr int64_t kSlab = 64;  // blocks: 32 KiB of numbers

// Tiles 0 to 3: sums (16 x 16 int32). 4, 5: 32 inputs of rows (16 x 32 bytes) and of outputs (8 x 64). 6, 7: 16 inputs.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 32, 64, 16, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 8, 16, 4};
};
constexpr TileConfig kConfig;

// Written out because GCC 12's own macros do not say that they read or write memory.
inline void configure() { asm volatile("ldtilecfg %0" ::"m"(kConfig) : "memory"); }
inline void release() { asm volatile("tilerelease" ::: "memory"); }
template <int Tile>
inline void load_tile(const void* p, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
inline void store_tile(void* p) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(int64_t{64}), "i"(Tile) : "memory");
}
template <int Sum, int A, int B>
inline void multiply_tiles() {
  asm volatile("tilezero %%tmm%c0\n\ttdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(A), "i"(B) : "memory");
}

struct Slab {
  alignas(64) uint8_t numbers[kSlab * 512];  // signed bytes, [block][4 inputs][output][4]
  alignas(64) float one[kSlab][16];
  alignas(64) float two[kSlab][16];
};

template <class T>
void fill(const uint8_t* panel, const QuantLayout& layout, int64_t first, int64_t count, Slab* slab) {
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(T::type == DType::q4_k ? 0 : T::offset));
  for (int64_t b = 0; b < count; ++b) {
    const uint8_t* block = panel + layout.quants + (first + b) * layout.quant_block;
    for (int64_t ahead = 0; ahead < layout.quant_block; ahead += 64) __builtin_prefetch(block + 4096 + ahead, 0, 2);
    for (int g = 0; g < 8; ++g)
      _mm512_store_si512(slab->numbers + b * 512 + g * 64, _mm512_sub_epi8(T::get(block, g).v, offset));
    const BlockScales s = scales_of<T>(panel, layout, first + b);
    _mm512_store_ps(slab->one[b], s.one.v);
    if constexpr (T::type == DType::q4_k || T::type == DType::q6_k) _mm512_store_ps(slab->two[b], s.two.v);
  }
}

struct alignas(64) Sums {
  int32_t v[16][16];
};

// One block of sixteen rows: the integer sums, of q6_k of each half.
template <class T, int Sum>
inline __attribute__((always_inline)) void block_sums(const int8_t* q, const uint8_t* numbers, Sums* low, Sums* high) {
  if constexpr (T::type == DType::q6_k) {
    load_tile<6>(q, 32);
    load_tile<7>(numbers, 64);
    multiply_tiles<Sum, 6, 7>();
    store_tile<Sum>(low);
    load_tile<6>(q + 16, 32);
    load_tile<7>(numbers + 256, 64);
    multiply_tiles<Sum + 2, 6, 7>();
    store_tile<Sum + 2>(high);
  } else {
    load_tile<4>(q, 32);
    load_tile<5>(numbers, 64);
    multiply_tiles<Sum, 4, 5>();
    store_tile<Sum>(low);
    (void)high;
  }
}

// The sums of one block join those of sixteen rows.
template <class T>
inline __attribute__((always_inline)) void take(V (&sum)[kTileRows], const Slab& slab, int64_t b, const float* scale,
                                                const float* totals, const Sums& low, const Sums& high) {
  const V one = load(slab.one[b]), two = load(slab.two[b]);
  HF_UNROLL for (int64_t m = 0; m < kTileRows; ++m) {
    const V a = set1(scale[m]);
    sum[m] = fma({_mm512_cvtepi32_ps(_mm512_load_si512(low.v[m]))}, mul(one, a), sum[m]);
    if constexpr (T::type == DType::q6_k) {
      sum[m] = fma({_mm512_cvtepi32_ps(_mm512_load_si512(high.v[m]))}, mul(two, a), sum[m]);
    } else if constexpr (T::type == DType::q4_k) {
      sum[m] = fma(two, set1(totals[m]), sum[m]);
    }
  }
  (void)high;
  (void)two;
  (void)totals;
}

template <class T>
void sixteen_rows(const QuantGemm& g, const Slab& slab, int64_t first, int64_t count, int64_t column, int64_t row) {
  const int64_t blocks = g.w->k / 32, n = least(16, g.w->n - column);
  const int64_t tile = row / kTileRows * blocks + first;
  const int8_t* q = g.x->tiles.data() + tile * 512;
  const float* scale = g.x->tile_scale.data() + tile * kTileRows;
  const float* totals = g.x->tile_sum.data() + tile * kTileRows;
  float* y = g.y + row * g.y_row + column;
  const bool fresh = first == 0 && !g.accumulate;
  // A product's latency, the store and the load of its sums are some hundred cycles: kAhead of them are under way.
  constexpr int kAhead = T::type == DType::q6_k ? 2 : 4;
  Sums low[kAhead], high[kAhead];
  V sum[kTileRows];
  HF_UNROLL for (int64_t m = 0; m < kTileRows; ++m) sum[m] = fresh ? zero() : load_n(y + m * g.y_row, n);
  const auto product = [&]<int Slot>(int64_t b) __attribute__((always_inline)) {
    if (b < count) block_sums<T, Slot>(q + b * 512, slab.numbers + b * 512, &low[Slot], &high[Slot]);
  };
  product.template operator()<0>(0);
  product.template operator()<1>(1);
  if constexpr (kAhead == 4) {
    product.template operator()<2>(2);
    product.template operator()<3>(3);
  }
  for (int64_t b = 0; b < count; b += kAhead) {
    take<T>(sum, slab, b, scale + b * 16, totals + b * 16, low[0], high[0]);
    product.template operator()<0>(b + kAhead);
    if (b + 1 == count) break;
    take<T>(sum, slab, b + 1, scale + b * 16 + 16, totals + b * 16 + 16, low[1], high[1]);
    product.template operator()<1>(b + kAhead + 1);
    if constexpr (kAhead == 4) {
      if (b + 2 == count) break;
      take<T>(sum, slab, b + 2, scale + b * 16 + 32, totals + b * 16 + 32, low[2], high[2]);
      product.template operator()<2>(b + kAhead + 2);
      if (b + 3 == count) break;
      take<T>(sum, slab, b + 3, scale + b * 16 + 48, totals + b * 16 + 48, low[3], high[3]);
      product.template operator()<3>(b + kAhead + 3);
    }
  }
  HF_UNROLL for (int64_t m = 0; m < kTileRows; ++m) store_n(y + m * g.y_row, sum[m], n);
}

// As quantise, and the arrangement by sixteen rows: a tile's lines lie together.
void quantise_tiles(const float* x, int64_t x_row, int64_t first, int64_t count, QuantRows* out) {
  quantise(x, x_row, first, count, out);
  const int64_t k = out->k, blocks = k / 32;
  for (int64_t r = first; r < first + count && r < out->rows / kTileRows * kTileRows; ++r) {
    const int8_t* q = out->q.data() + r * k;
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t tile = r / kTileRows * blocks + b, lane = r % kTileRows;
      __builtin_memcpy(out->tiles.data() + tile * 512 + lane * 32, q + b * 32, 32);
      const float scale = out->scale.data()[r * blocks + b];
      const int32_t* two = out->sum.data() + (r * blocks + b) * 2;
      out->tile_scale.data()[tile * kTileRows + lane] = scale;
      out->tile_sum.data()[tile * kTileRows + lane] = -(scale * static_cast<float>(two[0] + two[1]));
    }
  }
}

template <class T>
void amx_of_type(const QuantGemm& g) {
  const QuantLayout layout = quant_layout(T::type, g.w->k);
  const int64_t blocks = g.w->k / 32, whole = g.rows / kTileRows * kTileRows;
  Slab slab;
  configure();
  for (int64_t p = g.panel; p < g.panel + g.panels; ++p) {
    const uint8_t* panel = g.w->data + p * layout.panel;
    for (int64_t first = 0; first < blocks; first += kSlab) {
      const int64_t count = least(kSlab, blocks - first);
      fill<T>(panel, layout, first, count, &slab);
      for (int64_t r = 0; r < whole; r += kTileRows) sixteen_rows<T>(g, slab, first, count, p * 16, g.row + r);
    }
  }
  release();
}

// Rows before the first whole sixteen and after the last go the way of quant.inc.
void amx_gemm(const QuantGemm& all) {
  QuantGemm g = all;
  const int64_t head = least(g.rows, (kTileRows - g.row % kTileRows) % kTileRows);
  QuantGemm part = all;
  part.rows = head;
  if (head > 0) quant_gemm(part);
  g.row += head;
  g.rows -= head;
  if (g.rows < kTileRows) {
    if (g.rows > 0) quant_gemm(g);
    return;
  }
  switch (g.w->type) {
    case DType::q8_0:
      amx_of_type<Q8>(g);
      break;
    case DType::q4_0:
      amx_of_type<Q4>(g);
      break;
    case DType::q4_k:
      amx_of_type<Q4K>(g);
      break;
    case DType::q6_k:
      amx_of_type<Q6K>(g);
      break;
    default:
      return;
  }
  QuantGemm rest = g;
  rest.row = g.row + g.rows / kTileRows * kTileRows;
  rest.rows = g.rows % kTileRows;
  if (rest.rows > 0) quant_gemm(rest);
}

}  // namespace

constinit const QuantKernels kAmxQuant{quantise_tiles, amx_gemm, kTileRows};

}  // namespace hf::tensor
