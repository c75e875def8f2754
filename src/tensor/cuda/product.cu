// Products. Few rows: each panel of 16 outputs is a block, whose warps take slices in turn, straight from memory. Many:
// 128 outputs x 64 or 128 rows a block, tiles on the way through shared memory. Both add an output's slices in order.
// With gates, a block has panels of gates and the ups that belong to them, and gives what SwiGLU makes of both.
#include <algorithm>

#include "tensor/cuda/operand.h"

namespace hf::tensor::cuda {
namespace {

constexpr int kFewRows = 32;

struct Product {
  DeviceMatrix w;
  const uint16_t* x;
  float* y;
  int64_t rows, y_row;
  bool accumulate;
  uint16_t* gated;  // instead of y: activations of width n / 2
  int64_t pair;     // with gates: panels from a gate's to its up's
};

__device__ inline void store(const Product& p, int64_t row, int64_t output, float sum) {
  if (row >= p.rows || output >= p.w.n) return;
  float* y = p.y + row * p.y_row + output;
  *y = p.accumulate ? *y + sum : sum;
}
__device__ inline float stored(const Product& p, int64_t row, int64_t output) {
  return row < p.rows && output < p.w.n ? p.y[row * p.y_row + output] : 0.0f;
}
__device__ inline void store_gated(const Product& p, int64_t row, int64_t output, float gate, float up) {
  if (row >= p.rows) return;
  p.gated[activation_index(row, output, p.w.n / 2)] = __bfloat16_as_ushort(__float2bfloat16_rn(gated(gate, up)));
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

// N x 8 rows; kWarps warps, with gates half of them for the ups. A block goes through its panels in turn; while it
// adds up one slice of each warp, the next ones are on their way.
template <DType T, int N, int kWarps, bool kGates>
__global__ void __launch_bounds__(kWarps * 32) few_rows(const Product p, int panels) {
  constexpr int kStride = 20;  // floats of a row of 16 outputs: no two lanes of a store in one bank
  constexpr int kSides = kGates ? 2 : 1, kEach = kWarps / kSides;
  constexpr int kSums = (N * 128 + kWarps * 32 - 1) / (kWarps * 32);
  constexpr bool kWhole = Slice<T>::kAhead == kTilesOfSlice;
  __shared__ float parts[2][kWarps][N * 8 * kStride];
  let_next_start();
  const Tiles<T> w(p.w);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int member = warp % kEach;
  const int64_t side = (warp / kEach) * p.pair;
  const int64_t rounds = (w.slices + kEach - 1) / kEach;
  const uint4* x = reinterpret_cast<const uint4*>(p.x);
  Slice<T> ahead;
  int64_t panel = blockIdx.x;
  if (member < w.slices) fetch(w, panel + side, member * kTilesOfSlice, lane, ahead);
  wait_for_previous();
  for (int64_t unit = 0; panel < panels; panel += gridDim.x) {
    float total[kSides][kSums] = {}, before[kSums] = {};
    if constexpr (!kGates) {
#pragma unroll
      for (int i = 0; i < kSums; ++i) {
        const int e = i * kWarps * 32 + static_cast<int>(threadIdx.x);
        if (p.accumulate && e < N * 128) before[i] = stored(p, e / 16, panel * 16 + e % 16);
      }
    }
    for (int64_t round = 0; round < rounds; ++round, ++unit) {
      const int64_t slice = round * kEach + member;
      float(&part)[kWarps][N * 8 * kStride] = parts[unit % 2];
      if (slice < w.slices) {
        float sum[N][4] = {};
        for (int from = 0; from < kTilesOfSlice; from += Slice<T>::kAhead) {
          const int64_t first = slice * kTilesOfSlice + from;
          if (!kWhole && (unit > 0 || from > 0)) fetch(w, panel + side, first, lane, ahead);
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
      if constexpr (kWhole) {
        const bool last = round + 1 == rounds;
        const int64_t next = last ? member : slice + kEach, of = last ? panel + gridDim.x : panel;
        if (of < panels && next < w.slices) fetch(w, of + side, next * kTilesOfSlice, lane, ahead);
      }
      __syncthreads();
      const int count = static_cast<int>(min(static_cast<int64_t>(kEach), w.slices - round * kEach));
#pragma unroll
      for (int i = 0; i < kSums; ++i) {
        const int e = i * kWarps * 32 + static_cast<int>(threadIdx.x);
        if (e >= N * 128) continue;
#pragma unroll
        for (int g = 0; g < kSides; ++g)
          for (int s = 0; s < count; ++s) total[g][i] += part[g * kEach + s][e / 16 * kStride + e % 16];
      }
    }
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      const int e = i * kWarps * 32 + static_cast<int>(threadIdx.x);
      if (e >= N * 128) continue;
      const int64_t output = panel * 16 + e % 16;
      if constexpr (kGates) {
        store_gated(p, e / 16, output, total[0][i], total[1][i]);
      } else if (e / 16 < p.rows && output < p.w.n) {
        p.y[e / 16 * p.y_row + output] = p.accumulate ? before[i] + total[0][i] : total[0][i];
      }
    }
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
  static constexpr int kTiles = T == DType::f32 ? 1 : T == DType::bf16 ? 2 : 4, kPanels = 8, kRowTiles = 2 * N;
  static constexpr int kQuants = kPanels * kTiles * Operand<T>::kBytes;
  static constexpr int kHigh = kPanels * kTiles * Operand<T>::kHighBytes;
  static constexpr int kScales = Operand<T>::kScaled ? kPanels * kTiles * 32 : 0;
  static constexpr int kSupers = T == DType::q4_k || T == DType::q6_k ? kPanels * 64 : 0;
  static constexpr int kX = kRowTiles * kTiles * 512;
  static constexpr int kAtHigh = kQuants, kAtScales = kAtHigh + kHigh, kAtSupers = kAtScales + kScales,
                       kAtX = kAtSupers + kSupers, kBytes = kAtX + kX;
};
constexpr int kStages = 4;

// The panel of the block's piece `which`; beyond the matrix, the last once more.
template <bool kGates>
__device__ inline int64_t panel_of(const Product& p, int which) {
  const int64_t first = static_cast<int64_t>(blockIdx.y) * (kGates ? 4 : 8);
  if (kGates) return min(first + which / 2, p.pair - 1) + which % 2 * p.pair;
  return min(first + which, (p.w.n + 15) / 16 - 1);
}

// kBytes of each of kCount pieces, one after the other; piece i begins at from(i).
template <int kBytes, int kCount, class From>
__device__ inline void copy_pieces(char* to, const From& from) {
  constexpr int kEach = kBytes / 16;
  for (int i = static_cast<int>(threadIdx.x); i < kEach * kCount; i += kThreads)
    copy16(to + i * 16, from(i / kEach) + i % kEach * 16);
}

template <DType T, int N, bool kGates>
__device__ inline void fetch_stage(const Tiles<T>& w, const Product& p, int64_t row_tile, int64_t tile, char* to) {
  using S = Stage<T, N>;
  using O = Operand<T>;
  if (tile < w.tiles) {
    const auto at = [&](int which) { return panel_of<kGates>(p, which) * w.tiles + tile; };
    copy_pieces<S::kTiles * O::kBytes, S::kPanels>(to, [&](int i) { return w.quants + at(i) * O::kBytes; });
    if constexpr (S::kHigh > 0)
      copy_pieces<S::kTiles * O::kHighBytes, S::kPanels>(to + S::kAtHigh,
                                                         [&](int i) { return w.high + at(i) * O::kHighBytes; });
    if constexpr (S::kScales > 0)
      copy_pieces<S::kTiles * 32, S::kPanels>(
          to + S::kAtScales, [&](int i) { return reinterpret_cast<const char*>(w.scales) + at(i) * 32; });
    if constexpr (S::kSupers > 0)
      copy_pieces<64, S::kPanels>(to + S::kAtSupers, [&](int i) {
        return reinterpret_cast<const char*>(w.supers) +
               (panel_of<kGates>(p, i) * w.slices + tile / kTilesOfSlice) * 64;
      });
    copy_pieces<S::kTiles * 512, S::kRowTiles>(to + S::kAtX, [&](int i) {
      return reinterpret_cast<const char*>(p.x) + ((row_tile + i) * w.tiles + tile) * 512;
    });
  }
  end_group();
}

template <DType T, int N, bool kGates>
__global__ void __launch_bounds__(kThreads, N == 4 ? 2 : 1) many_rows(const Product p) {
  using S = Stage<T, N>;
  using O = Operand<T>;
  extern __shared__ char shared[];
  let_next_start();
  wait_for_previous();
  const Tiles<T> w(p.w);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int across = warp % 4 * 2, down = warp / 4 * N;  // first panel and row tile within the block
  const int64_t row_tile = static_cast<int64_t>(blockIdx.x) * S::kRowTiles;
  float sum[2][N][4] = {}, total[2][N][4] = {};
  for (int s = 0; s < kStages - 1; ++s)
    fetch_stage<T, N, kGates>(w, p, row_tile, s * S::kTiles, shared + s * S::kBytes);
  const int64_t steps = (w.tiles + S::kTiles - 1) / S::kTiles;
  for (int64_t step = 0; step < steps; ++step) {
    wait_groups<kStages - 2>();
    __syncthreads();
    fetch_stage<T, N, kGates>(w, p, row_tile, (step + kStages - 1) * S::kTiles,
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
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int64_t row = (row_tile + down + n) * 8 + 2 * t + e % 2;
      const int output = r + e / 2 * 8;
      if constexpr (kGates) {
        const int64_t panel = static_cast<int64_t>(blockIdx.y) * 4 + across / 2;
        if (panel < p.pair) store_gated(p, row, panel * 16 + output, total[0][n][e], total[1][n][e]);
      } else {
        const int64_t panel = static_cast<int64_t>(blockIdx.y) * 8 + across;
        store(p, row, panel * 16 + output, total[0][n][e]);
        store(p, row, (panel + 1) * 16 + output, total[1][n][e]);
      }
    }
  }
}

template <DType T, int N, bool kGates>
void launch_many(Queue& q, const Product& p) {
  using S = Stage<T, N>;
  const int64_t row_blocks = (p.rows + S::kRowTiles * 8 - 1) / (S::kRowTiles * 8);
  const int64_t blocks = ((p.w.n + 15) / 16 + S::kPanels - 1) / S::kPanels;
  launch(q, many_rows<T, N, kGates>, dim3(static_cast<unsigned>(row_blocks), static_cast<unsigned>(blocks)), kThreads,
         static_cast<size_t>(kStages * S::kBytes), p);
}

template <DType T, int N, int kWarps, bool kGates>
void launch_few(Queue& q, const Product& p) {
  const auto panels = static_cast<int>((p.w.n + 15) / 16 / (kGates ? 2 : 1));
  // As many blocks as run at a time, each with the same number of panels.
  int fit = 1;
  q.note(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&fit, few_rows<T, N, kWarps, kGates>, kWarps * 32, 0));
  const int at_a_time = std::max(1, fit * q.processors);
  const int each = (panels + at_a_time - 1) / at_a_time;
  const auto blocks = static_cast<unsigned>((panels + each - 1) / each);
  launch(q, few_rows<T, N, kWarps, kGates>, dim3(blocks), kWarps * 32, 0, p, panels);
}

template <DType T, bool kGates>
void multiply_as(Queue& q, const Product& p) {
  // More warps than an output has slices would have nothing to do; more than fit one processor wait.
  const bool wide = p.w.k > 8 * kDeviceSlice;
  if (p.rows <= 8) return wide ? launch_few<T, 1, 16, kGates>(q, p) : launch_few<T, 1, 8, kGates>(q, p);
  if (p.rows <= 16) return wide ? launch_few<T, 2, 16, kGates>(q, p) : launch_few<T, 2, 8, kGates>(q, p);
  if (p.rows <= kFewRows) return launch_few<T, 4, 8, kGates>(q, p);
  // The larger block reads its weights for twice the rows, where there are blocks enough for all processors.
  const int64_t large = (p.rows + 127) / 128 * ((p.w.n + 127) / 128);
  if (T != DType::f32 && large >= 2 * q.processors) return launch_many < T, T == DType::f32 ? 4 : 8, kGates > (q, p);
  launch_many<T, 4, kGates>(q, p);
}

template <bool kGates>
void multiply_any(Queue& q, const Product& p) {
  switch (p.w.type) {
    case DType::bf16:
      return multiply_as<DType::bf16, kGates>(q, p);
    case DType::q8_0:
      return multiply_as<DType::q8_0, kGates>(q, p);
    case DType::q4_0:
      return multiply_as<DType::q4_0, kGates>(q, p);
    case DType::q4_k:
      return multiply_as<DType::q4_k, kGates>(q, p);
    case DType::q6_k:
      return multiply_as<DType::q6_k, kGates>(q, p);
    default:
      return multiply_as<DType::f32, kGates>(q, p);
  }
}

}  // namespace

void multiply(Queue& q, int64_t rows, const DeviceMatrix& w, const uint16_t* x, float* y, int64_t y_row,
              bool accumulate) {
  multiply_any<false>(q, {w, x, y, rows, y_row, accumulate, nullptr, 0});
}

void multiply_gated(Queue& q, int64_t rows, const DeviceMatrix& w, const uint16_t* x, uint16_t* y) {
  multiply_any<true>(q, {w, x, nullptr, rows, 0, false, y, w.n / 32});
}

}  // namespace hf::tensor::cuda
