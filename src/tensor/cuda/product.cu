// Products. Few rows: each panel of 16 outputs is a block, whose warps take slices in turn, straight from memory. Many:
// 128 outputs x 64 or 128 rows a block, tiles on the way through shared memory. Both add an output's slices in order.
#include "tensor/cuda/operand.h"

namespace hf::tensor::cuda {
namespace {

constexpr int kWarps = kThreads / 32;
constexpr int kFewRows = 32;

struct Product {
  DeviceMatrix w;
  const uint16_t* x;
  float* y;
  int64_t rows, y_row;
  bool accumulate;
};

__device__ inline void store(const Product& p, int64_t row, int64_t output, float sum) {
  if (row >= p.rows || output >= p.w.n) return;
  float* y = p.y + row * p.y_row + output;
  *y = p.accumulate ? *y + sum : sum;
}

// ---- Few rows
template <DType T>
struct Slice {  // of a panel, on its way
  static constexpr int kAhead = T == DType::f32 ? 2 : kTilesOfSlice;
  typename Operand<T>::Raw raw[kAhead];
  uint32_t scale[kAhead];
  uint2 super;
};

template <DType T>
__device__ inline void fetch(const Tiles<T>& w, int64_t panel, int64_t first, int lane, Slice<T>& s) {
#pragma unroll
  for (int i = 0; i < Slice<T>::kAhead; ++i) {
    if (first + i < w.tiles) {
      s.raw[i] = w.raw(panel, first + i, lane);
      s.scale[i] = w.scale(panel, first + i, lane);
    }
  }
  s.super = w.super(panel, first / kTilesOfSlice, lane);
}

// N x 8 rows.
template <DType T, int N>
__global__ void __launch_bounds__(kThreads) few_rows(const Product p) {
  constexpr int kStride = 20;  // floats of a row of 16 outputs: no two lanes of a store in one bank
  constexpr int kEach = (N * 128 + kThreads - 1) / kThreads;
  __shared__ float parts[2][kWarps][N * 8 * kStride];
  let_next_start();
  const Tiles<T> w(p.w);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t panel = blockIdx.x;
  const uint4* x = reinterpret_cast<const uint4*>(p.x);
  Slice<T> ahead;
  if (warp < w.slices) fetch(w, panel, warp * kTilesOfSlice, lane, ahead);
  wait_for_previous();
  float total[kEach] = {};
  for (int64_t round = 0; round * kWarps < w.slices; ++round) {
    const int64_t slice = round * kWarps + warp;
    float(&part)[kWarps][N * 8 * kStride] = parts[round % 2];
    if (slice < w.slices) {
      float sum[N][4] = {};
      for (int from = 0; from < kTilesOfSlice; from += Slice<T>::kAhead) {
        const int64_t first = slice * kTilesOfSlice + from;
        if (round > 0 || from > 0) fetch(w, panel, first, lane, ahead);
#pragma unroll
        for (int i = 0; i < Slice<T>::kAhead; ++i) {
          if (first + i >= w.tiles) break;
          uint4 b[N];
#pragma unroll
          for (int n = 0; n < N; ++n) b[n] = x[(n * w.tiles + first + i) * 32 + lane];
          add_tile<T, N>(ahead.raw[i], {ahead.scale[i], ahead.super}, lane, b, sum);
        }
      }
      const int r = lane / 4, t = lane % 4;
#pragma unroll
      for (int n = 0; n < N; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) part[warp][(n * 8 + 2 * t + e % 2) * kStride + r + e / 2 * 8] = sum[n][e];
      }
    }
    __syncthreads();
    const int count = static_cast<int>(min(static_cast<int64_t>(kWarps), w.slices - round * kWarps));
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int e = i * kThreads + static_cast<int>(threadIdx.x);
      if (e >= N * 128) continue;
      for (int s = 0; s < count; ++s) total[i] += part[s][e / 16 * kStride + e % 16];
    }
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int e = i * kThreads + static_cast<int>(threadIdx.x);
    if (e < N * 128) store(p, e / 16, panel * 16 + e % 16, total[i]);
  }
}

// ---- Many rows: eight warps, four along the outputs (two panels each) and two along the rows (N x 8 each).
__device__ inline void copy16(void* shared, const void* global) {
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global));
}
__device__ inline void end_group() { asm volatile("cp.async.commit_group;"); }
template <int kLeft>
__device__ inline void wait_groups() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft));
}

template <DType T, int N>
struct Stage {  // of kTiles tiles along the inputs
  static constexpr int kTiles = T == DType::f32 ? 1 : 2, kPanels = 8, kRowTiles = 2 * N;
  static constexpr int kQuants = kPanels * kTiles * Operand<T>::kBytes;
  static constexpr int kHigh = kPanels * kTiles * Operand<T>::kHighBytes;
  static constexpr int kScales = Operand<T>::kScaled ? kPanels * kTiles * 32 : 0;
  static constexpr int kSupers = T == DType::q4_k || T == DType::q6_k ? kPanels * 64 : 0;
  static constexpr int kX = kRowTiles * kTiles * 512;
  static constexpr int kAtHigh = kQuants, kAtScales = kAtHigh + kHigh, kAtSupers = kAtScales + kScales,
                       kAtX = kAtSupers + kSupers, kBytes = kAtX + kX;
};
constexpr int kStages = 4;

// `bytes` of each of `count` pieces `stride` apart, one after the other.
template <int kBytes, int kCount>
__device__ inline void copy_pieces(char* to, const char* from, int64_t stride, int64_t most) {
  constexpr int kEach = kBytes / 16;
  for (int i = static_cast<int>(threadIdx.x); i < kEach * kCount; i += kThreads) {
    const int64_t piece = min(static_cast<int64_t>(i / kEach), most);  // beyond the matrix: the last once more
    copy16(to + i * 16, from + piece * stride + i % kEach * 16);
  }
}

template <DType T, int N>
__device__ inline void fetch_stage(const Tiles<T>& w, const Product& p, int64_t panel, int64_t row_tile, int64_t tile,
                                   char* to) {
  using S = Stage<T, N>;
  using O = Operand<T>;
  if (tile < w.tiles) {
    const int64_t most = (p.w.n + 15) / 16 - 1 - panel;
    const int64_t at = panel * w.tiles + tile;
    copy_pieces<S::kTiles * O::kBytes, S::kPanels>(to, w.quants + at * O::kBytes, w.tiles * O::kBytes, most);
    if constexpr (S::kHigh > 0)
      copy_pieces<S::kTiles * O::kHighBytes, S::kPanels>(to + S::kAtHigh, w.high + at * O::kHighBytes,
                                                         w.tiles * O::kHighBytes, most);
    if constexpr (S::kScales > 0)
      copy_pieces<S::kTiles * 32, S::kPanels>(to + S::kAtScales, reinterpret_cast<const char*>(w.scales) + at * 32,
                                              w.tiles * 32, most);
    if constexpr (S::kSupers > 0)
      copy_pieces<64, S::kPanels>(
          to + S::kAtSupers, reinterpret_cast<const char*>(w.supers + (panel * w.slices + tile / kTilesOfSlice) * 8),
          w.slices * 64, most);
    copy_pieces<S::kTiles * 512, S::kRowTiles>(to + S::kAtX,
                                               reinterpret_cast<const char*>(p.x) + (row_tile * w.tiles + tile) * 512,
                                               w.tiles * 512, S::kRowTiles);
  }
  end_group();
}

template <DType T, int N>
__global__ void __launch_bounds__(kThreads, N == 4 ? 2 : 1) many_rows(const Product p) {
  using S = Stage<T, N>;
  using O = Operand<T>;
  extern __shared__ char shared[];
  let_next_start();
  wait_for_previous();
  const Tiles<T> w(p.w);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int across = warp % 4 * 2, down = warp / 4 * N;  // first panel and row tile within the block
  const int64_t panel = static_cast<int64_t>(blockIdx.y) * S::kPanels;
  const int64_t row_tile = static_cast<int64_t>(blockIdx.x) * S::kRowTiles;
  float sum[2][N][4] = {}, total[2][N][4] = {};
  for (int s = 0; s < kStages - 1; ++s) fetch_stage<T, N>(w, p, panel, row_tile, s * S::kTiles, shared + s * S::kBytes);
  const int64_t steps = (w.tiles + S::kTiles - 1) / S::kTiles;
  for (int64_t step = 0; step < steps; ++step) {
    wait_groups<kStages - 2>();
    __syncthreads();
    fetch_stage<T, N>(w, p, panel, row_tile, (step + kStages - 1) * S::kTiles,
                      shared + (step + kStages - 1) % kStages * S::kBytes);
    const char* at = shared + step % kStages * S::kBytes;
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
      const int64_t tile = step * S::kTiles + i;
      if (tile >= w.tiles) break;
      uint4 b[N];
#pragma unroll
      for (int n = 0; n < N; ++n)
        b[n] = *reinterpret_cast<const uint4*>(at + S::kAtX + ((down + n) * S::kTiles + i) * 512 + lane * 16);
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const int which = (across + m) * S::kTiles + i;
        const auto raw = O::load(at + which * O::kBytes, at + S::kAtHigh + which * O::kHighBytes, lane);
        Scales scales;
        if constexpr (S::kScales > 0)
          scales.tile = reinterpret_cast<const uint32_t*>(at + S::kAtScales)[which * 8 + lane / 4];
        if constexpr (S::kSupers > 0)
          scales.slice = reinterpret_cast<const uint2*>(at + S::kAtSupers)[(across + m) * 8 + lane / 4];
        add_tile<T, N>(raw, scales, lane, b, sum[m]);
      }
      if (tile % kTilesOfSlice != kTilesOfSlice - 1 && tile + 1 != w.tiles) continue;
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int n = 0; n < N; ++n) {
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            total[m][n][e] += sum[m][n][e];
            sum[m][n][e] = 0;
          }
        }
      }
    }
  }
  const int r = lane / 4, t = lane % 4;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < N; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        store(p, (row_tile + down + n) * 8 + 2 * t + e % 2, (panel + across + m) * 16 + r + e / 2 * 8, total[m][n][e]);
      }
    }
  }
}

template <DType T, int N>
void launch_many(Queue& q, const Product& p) {
  using S = Stage<T, N>;
  const int64_t row_blocks = (p.rows + S::kRowTiles * 8 - 1) / (S::kRowTiles * 8);
  const int64_t blocks = ((p.w.n + 15) / 16 + S::kPanels - 1) / S::kPanels;
  launch(q, many_rows<T, N>, dim3(static_cast<unsigned>(row_blocks), static_cast<unsigned>(blocks)), kThreads,
         static_cast<size_t>(kStages * S::kBytes), p);
}

template <DType T>
void multiply_as(Queue& q, const Product& p) {
  const dim3 panels(static_cast<unsigned>((p.w.n + 15) / 16));
  if (p.rows <= 8) return launch(q, few_rows<T, 1>, panels, kThreads, 0, p);
  if (p.rows <= 16) return launch(q, few_rows<T, 2>, panels, kThreads, 0, p);
  if (p.rows <= kFewRows) return launch(q, few_rows<T, 4>, panels, kThreads, 0, p);
  // The larger block reads its weights for twice the rows, where there are blocks enough for all processors.
  const int64_t large = (p.rows + 127) / 128 * ((p.w.n + 127) / 128);
  if (T != DType::f32 && large >= 2 * q.processors) return launch_many < T, T == DType::f32 ? 4 : 8 > (q, p);
  launch_many<T, 4>(q, p);
}

}  // namespace

void multiply(Queue& q, int64_t rows, const DeviceMatrix& w, const uint16_t* x, float* y, int64_t y_row,
              bool accumulate) {
  const Product p{w, x, y, rows, y_row, accumulate};
  switch (w.type) {
    case DType::bf16:
      return multiply_as<DType::bf16>(q, p);
    case DType::q8_0:
      return multiply_as<DType::q8_0>(q, p);
    case DType::q4_0:
      return multiply_as<DType::q4_0>(q, p);
    case DType::q4_k:
      return multiply_as<DType::q4_k>(q, p);
    case DType::q6_k:
      return multiply_as<DType::q6_k>(q, p);
    default:
      return multiply_as<DType::f32>(q, p);
  }
}

}  // namespace hf::tensor::cuda
