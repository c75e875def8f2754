// Embedding, norms, rotation and storing of keys and values, SwiGLU.
#include "tensor/cuda/launch.h"

namespace hf::tensor::cuda {
namespace {

// ---- One weight of a matrix in the device's order (operand.h)
__device__ inline uint32_t word_at(const void* p, int64_t index) { return static_cast<const uint32_t*>(p)[index]; }
__device__ inline float half_at(const void* p, int64_t index) {
  return __half2float(static_cast<const __half*>(p)[index]);
}
__device__ inline float bf16_at(const void* p, int64_t index) {
  return __bfloat162float(static_cast<const __nv_bfloat16*>(p)[index]);
}

struct Place {  // of weight (output, input)
  int64_t tile, slice;
  int lane, half, byte, r, upper;
};
__device__ inline Place place_of(const DeviceMatrix& m, int64_t output, int64_t input) {
  const int64_t panel = output / 16, tile = input / 32;
  const int in = static_cast<int>(input % 32), r = static_cast<int>(output % 8);
  return {panel * device_tiles(m.k) + tile,
          panel * ((m.k + kDeviceSlice - 1) / kDeviceSlice) + tile / 8,
          r * 4 + in % 16 / 4,
          in / 16,
          in % 4,
          r,
          static_cast<int>(output % 16 / 8)};
}

__device__ float weight_at(const DeviceMatrix& m, int64_t output, int64_t input) {
  const Place p = place_of(m, output, input);
  if (m.type == DType::bf16 || m.type == DType::f32) {
    const int pieces = m.type == DType::f32 ? 4 : 2;
    const int64_t pair = (p.tile * pieces + p.half) * 128 + p.lane * 4 + p.byte / 2 * 2 + p.upper;
    const float value = bf16_at(m.quants_on, pair * 2 + p.byte % 2);
    return m.type == DType::bf16 ? value : value + bf16_at(m.quants_on, (pair + 256) * 2 + p.byte % 2);
  }
  const uint32_t scale = word_at(m.scales_on, p.tile * 8 + p.r);
  const __half2 pair = *reinterpret_cast<const __half2*>(&scale);
  const float of_tile = __half2float(p.upper ? __high2half(pair) : __low2half(pair));
  if (m.type == DType::q8_0) {
    const uint32_t q = word_at(m.quants_on, p.tile * 128 + p.lane * 4 + p.half * 2 + p.upper) >> 8 * p.byte & 0xff;
    return of_tile * static_cast<float>(static_cast<int>(q) - 128);
  }
  const uint32_t low = word_at(m.quants_on, p.tile * 64 + p.lane * 2 + p.upper) >> (8 * p.byte + 4 * p.half) & 15;
  if (m.type == DType::q4_0) return of_tile * static_cast<float>(static_cast<int>(low) - 8);
  const int64_t super = (p.slice * 8 + p.r) * 4 + p.upper;
  const float d = half_at(m.supers_on, super);
  if (m.type == DType::q4_k) {
    const float s = static_cast<float>(scale >> 8 * p.upper & 0xff);
    const float t = static_cast<float>(scale >> 8 * (2 + p.upper) & 0xff);
    return d * s * static_cast<float>(low) - half_at(m.supers_on, super + 2) * t;
  }
  const int t = p.lane % 4;
  const uint32_t high =
      word_at(m.high_on, (p.tile * 2 + t % 2) * 16 + p.r * 2 + p.upper) >> (8 * p.byte + 2 * (t / 2) + 4 * p.half) & 3;
  const float s = static_cast<float>(static_cast<int8_t>(scale >> 8 * (2 * p.half + p.upper) & 0xff));
  return d * s * static_cast<float>(static_cast<int>(low | high << 4) - 32);
}

__global__ void embed_rows(const DeviceRow* rows, const DeviceMatrix m, float* x) {
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  for (int64_t i = threadIdx.x; i < m.k; i += blockDim.x) x[row * m.k + i] = weight_at(m, rows[row].token, i);
}

// ---- Norm
__global__ void __launch_bounds__(kThreads)
    norm_rows(int64_t width, const float* x, const int32_t* which, const float* gain, float epsilon, uint16_t* y) {
  __shared__ float sums[kThreads / 32];
  constexpr int kKept = 4;  // vectors of a thread that are read once
  let_next_start();
  const int64_t row = blockIdx.x;
  const float4* gains = reinterpret_cast<const float4*>(gain);
  float4 kept[kKept], kept_gain[kKept];
#pragma unroll
  for (int n = 0; n < kKept; ++n) {
    const int64_t i = n * kThreads + static_cast<int64_t>(threadIdx.x);
    if (i < width / 4) kept_gain[n] = gains[i];
  }
  wait_for_previous();
  const float4* from = reinterpret_cast<const float4*>(x + (which ? which[row] : row) * width);
#pragma unroll
  for (int n = 0; n < kKept; ++n) {
    const int64_t i = n * kThreads + static_cast<int64_t>(threadIdx.x);
    if (i < width / 4) kept[n] = from[i];
  }
  float sum = 0;
  const auto add = [&](const float4& v) { sum = fmaf(v.w, v.w, fmaf(v.z, v.z, fmaf(v.y, v.y, fmaf(v.x, v.x, sum)))); };
#pragma unroll
  for (int n = 0; n < kKept; ++n)
    if (n * kThreads + static_cast<int64_t>(threadIdx.x) < width / 4) add(kept[n]);
  for (int64_t i = kKept * kThreads + static_cast<int64_t>(threadIdx.x); i < width / 4; i += kThreads) add(from[i]);
  sum = sum_of_warp(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  float all = 0;
  for (const float part : sums) all += part;
  const float scale = __frcp_rn(__fsqrt_rn(all / static_cast<float>(width) + epsilon));
  const auto put = [&](int64_t i, const float4& v, const float4& g) {
    put_activations(y, row, i * 4, width, {v.x * scale * g.x, v.y * scale * g.y, v.z * scale * g.z, v.w * scale * g.w});
  };
#pragma unroll
  for (int n = 0; n < kKept; ++n) {
    const int64_t i = n * kThreads + static_cast<int64_t>(threadIdx.x);
    if (i < width / 4) put(i, kept[n], kept_gain[n]);
  }
  for (int64_t i = kKept * kThreads + static_cast<int64_t>(threadIdx.x); i < width / 4; i += kThreads)
    put(i, from[i], gains[i]);
}

// ---- Queries, keys, values: a warp for each head of a row
constexpr int kHeadsOfBlock = 4;

__device__ float scale_of_head(const float* x, int dim, float epsilon, int lane) {
  float sum = 0;
  for (int d = lane; d < dim; d += 32) sum = fmaf(x[d], x[d], sum);
  return __frcp_rn(__fsqrt_rn(sum_of_warp(sum) / static_cast<float>(dim) + epsilon));
}

__global__ void turn_heads(const DeviceRow* rows, float* const* pages, const DeviceHeads h, float* qkv) {
  let_next_start();
  wait_for_previous();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y) * kHeadsOfBlock + static_cast<int>(threadIdx.x) / 32;
  const int heads = static_cast<int>(h.heads), kv_heads = static_cast<int>(h.kv_heads), dim = static_cast<int>(h.dim);
  if (head >= heads + 2 * kv_heads) return;
  const DeviceRow row = rows[blockIdx.x];
  float* x = qkv + (static_cast<int64_t>(blockIdx.x) * (heads + 2 * kv_heads) + head) * dim;
  const int slot = row.position % static_cast<int>(kDevicePositions);
  const int64_t kv_head = head < heads + kv_heads ? head - heads : head - heads - kv_heads;
  float* keys = nullptr;
  if (head >= heads) {
    keys = pages[row.pages + row.position / static_cast<int>(kDevicePositions)] +
           (h.layer * kv_heads + kv_head) * 2 * dim * kDevicePositions;
  }
  if (head >= heads + kv_heads) {
    float* values = keys + dim * kDevicePositions + slot * dim;
    for (int d = lane; d < dim; d += 32) values[d] = x[d];
    return;
  }
  const float* gain = head < heads ? h.q_gain_on : h.k_gain_on;
  const float scale = gain ? scale_of_head(x, dim, h.epsilon, lane) : 1.0f;
  const int half = dim / 2;
  for (int i = lane; i < half; i += 32) {
    const float a = gain ? x[i] * scale * gain[i] : x[i];
    const float b = gain ? x[i + half] * scale * gain[i + half] : x[i + half];
    const int64_t angle = static_cast<int64_t>(row.position) * half + i;
    const float c = h.cosine_on[angle], s = h.sine_on[angle];
    const float first = a * c - b * s, second = b * c + a * s;
    if (head < heads) {
      x[i] = first;
      x[i + half] = second;
    } else {
      keys[i * kDevicePositions + slot] = first;
      keys[(i + half) * kDevicePositions + slot] = second;
    }
  }
}

// ---- SwiGLU
__global__ void __launch_bounds__(kThreads) swiglu_rows(int64_t ffn, const float* gate_up, uint16_t* y) {
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.y, i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= ffn / 4) return;
  const float4* gates = reinterpret_cast<const float4*>(gate_up + row * 2 * ffn);
  const float4 g = gates[i], u = gates[ffn / 4 + i];
  put_activations(y, row, i * 4, ffn, {gated(g.x, u.x), gated(g.y, u.y), gated(g.z, u.z), gated(g.w, u.w)});
}

unsigned blocks(int64_t n) { return static_cast<unsigned>(n); }

}  // namespace

void embed(Queue& q, const DeviceBatch& b, const DeviceMatrix& m, float* x) {
  launch(q, embed_rows, dim3(blocks(b.rows)), kThreads, 0, b.rows_on, m, x);
}

void norm(Queue& q, int64_t rows, int64_t width, const float* x, const int32_t* which, const float* gain, float epsilon,
          uint16_t* y) {
  launch(q, norm_rows, dim3(blocks(rows)), kThreads, 0, width, x, which, gain, epsilon, y);
}

void turn_and_store(Queue& q, const DeviceBatch& b, const DeviceHeads& h, float* qkv) {
  const int64_t heads = h.heads + 2 * h.kv_heads;
  const dim3 grid(blocks(b.rows), blocks((heads + kHeadsOfBlock - 1) / kHeadsOfBlock));
  launch(q, turn_heads, grid, kHeadsOfBlock * 32, 0, b.rows_on, b.pages_on, h, qkv);
}

void swiglu(Queue& q, int64_t rows, int64_t ffn, const float* gate_up, uint16_t* y) {
  const dim3 grid(blocks((ffn / 4 + kThreads - 1) / kThreads), blocks(rows));
  launch(q, swiglu_rows, grid, kThreads, 0, ffn, gate_up, y);
}

}  // namespace hf::tensor::cuda
