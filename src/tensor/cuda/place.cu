// A matrix from the host's panels (kernels.h, quant.h) into the device's order (operand.h): words change places,
// nothing else; floats become two bfloat16.
#include "tensor/cuda/launch.h"
#include "tensor/kernels.h"
#include "tensor/quant.h"

namespace hf::tensor::cuda {
namespace {

struct Parts {  // bytes from the start; each begins at a multiple of 256
  size_t high, scales, supers, end;
};
constexpr size_t kSlack = 8192;  // product.cu fetches whole stages, which may end behind the last panel

Parts parts_of(DType type, int64_t k, int64_t n) {
  const auto up = [](size_t bytes) { return (bytes + 255) / 256 * 256; };
  const auto tiles = static_cast<size_t>(panels(n) * device_tiles(k));
  const auto slices = static_cast<size_t>(panels(n) * ((k + kDeviceSlice - 1) / kDeviceSlice));
  const size_t tile = type == DType::f32 ? 2048 : type == DType::bf16 ? 1024 : type == DType::q8_0 ? 512 : 256;
  Parts p{};
  p.high = up(tiles * tile + kSlack);
  p.scales = p.high + (type == DType::q6_k ? up(tiles * 128 + kSlack) : 0);
  p.supers = p.scales + (quantised(type) ? up(tiles * 32 + kSlack) : 0);
  p.end = p.supers + (type == DType::q4_k || type == DType::q6_k ? up(slices * 64 + kSlack) : 0);
  return p;
}

struct Target {
  uint32_t *quants, *high, *scales, *supers;
};

// A thread for each lane of a tile.
struct Where {
  int64_t panel, tile, at;  // at: the tile among all
  int lane, r, t;
};
__device__ inline bool where(int64_t tiles, int64_t all, Where& w) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  w.at = thread / 32;
  w.panel = w.at / tiles;
  w.tile = w.at % tiles;
  w.lane = static_cast<int>(thread % 32);
  w.r = w.lane / 4;
  w.t = w.lane % 4;
  return w.at < all;
}

__device__ inline float float_at(const void* panels_on, bool bf16, int64_t k, int64_t panel, int64_t input,
                                 int output) {
  if (input >= k) return 0;
  const int64_t i = (panel * k + input) * 16 + output;
  return bf16 ? __bfloat162float(static_cast<const __nv_bfloat16*>(panels_on)[i])
              : static_cast<const float*>(panels_on)[i];
}
__device__ inline uint32_t bits(__nv_bfloat16 a, __nv_bfloat16 b) {
  return static_cast<uint32_t>(__bfloat16_as_ushort(b)) << 16 | __bfloat16_as_ushort(a);
}

__global__ void place_floats(const void* from, bool bf16, int64_t k, int64_t all, Target to) {
  Where w;
  if (!where(device_tiles(k), all, w)) return;
  for (int word = 0; word < 8; ++word) {  // half, pair, upper output
    const int half = word / 4, pair = word / 2 % 2, upper = word % 2;
    const int64_t input = w.tile * 32 + half * 16 + w.t * 4 + pair * 2;
    __nv_bfloat16 high[2], low[2];
    for (int e = 0; e < 2; ++e) {
      const float v = float_at(from, bf16, k, w.panel, input + e, w.r + 8 * upper);
      high[e] = __float2bfloat16_rn(v);
      low[e] = __float2bfloat16_rn(v - __bfloat162float(high[e]));
    }
    const int64_t piece = w.at * (bf16 ? 2 : 4) + half;
    to.quants[piece * 128 + w.lane * 4 + pair * 2 + upper] = bits(high[0], high[1]);
    if (!bf16) to.quants[(piece + 2) * 128 + w.lane * 4 + pair * 2 + upper] = bits(low[0], low[1]);
  }
}

__device__ inline uint32_t two_halves(const uint8_t* row, int r) {
  const uint16_t* h = reinterpret_cast<const uint16_t*>(row);
  return static_cast<uint32_t>(h[r + 8]) << 16 | h[r];
}

__global__ void place_quants(const uint8_t* from, DType type, QuantLayout l, int64_t tiles, int64_t slices, int64_t all,
                             Target to) {
  Where w;
  if (!where(tiles, all, w)) return;
  const uint8_t* panel = from + w.panel * l.panel;
  const uint32_t* block = reinterpret_cast<const uint32_t*>(panel + l.quants + w.tile * l.quant_block);
  for (int upper = 0; upper < 2; ++upper) {
    const int output = w.r + 8 * upper;
    if (type == DType::q8_0) {
      for (int half = 0; half < 2; ++half)
        to.quants[w.at * 128 + w.lane * 4 + half * 2 + upper] = block[(w.t + 4 * half) * 16 + output];
      continue;
    }
    to.quants[w.at * 64 + w.lane * 2 + upper] = block[w.t * 16 + output];
    if (type == DType::q6_k && w.t < 2)
      to.high[(w.at * 2 + w.t) * 16 + w.r * 2 + upper] = block[64 + w.t * 16 + output];
  }
  if (w.t != 0) return;
  const uint8_t* scales = panel + l.scales + w.tile * l.scale_block;
  const bool supers = type == DType::q4_k || type == DType::q6_k;
  to.scales[w.at * 8 + w.r] =
      !supers ? two_halves(scales, w.r)
              : static_cast<uint32_t>(scales[w.r]) | static_cast<uint32_t>(scales[8 + w.r]) << 8 |
                    static_cast<uint32_t>(scales[16 + w.r]) << 16 | static_cast<uint32_t>(scales[24 + w.r]) << 24;
  if (!supers || w.tile % 8 != 0) return;
  const uint8_t* super = panel + w.tile / 8 * (type == DType::q4_k ? 64 : 32);
  const int64_t at = ((w.panel * slices + w.tile / 8) * 8 + w.r) * 2;
  to.supers[at] = two_halves(super, w.r);
  to.supers[at + 1] = type == DType::q4_k ? two_halves(super + 32, w.r) : 0;
}

}  // namespace

size_t matrix_bytes(const HostMatrix& m) { return parts_of(m.type, m.k, m.n).end; }

DeviceMatrix place_matrix(Queue& q, const HostMatrix& m, const void* panels_on, void* to) {
  const Parts parts = parts_of(m.type, m.k, m.n);
  char* at = static_cast<char*>(to);
  const auto words = [&](size_t offset) { return reinterpret_cast<uint32_t*>(at + offset); };
  const Target target{words(0), words(parts.high), words(parts.scales), words(parts.supers)};
  const int64_t tiles = device_tiles(m.k), all = panels(m.n) * tiles;
  const dim3 grid(static_cast<unsigned>((all * 32 + kThreads - 1) / kThreads));
  if (quantised(m.type)) {
    launch(q, place_quants, grid, kThreads, 0, static_cast<const uint8_t*>(panels_on), m.type,
           quant_layout(m.type, m.k), tiles, (m.k + kDeviceSlice - 1) / kDeviceSlice, all, target);
  } else {
    launch(q, place_floats, grid, kThreads, 0, panels_on, m.type == DType::bf16, m.k, all, target);
  }
  return {m.type, m.k, m.n, target.quants, target.high, target.scales, target.supers};
}

}  // namespace hf::tensor::cuda
