// Starting kernels, and what all of them use. Internal to tensor/cuda/.
//
// Where the device can (sm_90), a kernel starts while the one before it still runs: it calls let_next_start() first of
// all, reads what does not change (weights), and calls wait_for_previous() before it touches anything that another
// kernel writes or reads.
// The bits: -fmad=false, so that only what says fmaf() is fused.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/device.h"

namespace hf::tensor::cuda {

constexpr int kThreads = 256;

struct Queue {
  cudaStream_t stream = nullptr;
  bool overlaps = false;  // sm_90 and later
  int processors = 1;
  cudaError_t error = cudaSuccess;  // the first

  bool ok() const { return error == cudaSuccess; }
  void note(cudaError_t e) {
    if (error == cudaSuccess) error = e;
  }
};

template <class... P, class... A>
void launch(Queue& q, void (*kernel)(P...), dim3 grid, int threads, size_t shared, A... args) {
  if (!q.ok()) return;
  if (shared > 48 << 10)
    q.note(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared;
  config.stream = q.stream;
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &overlap;
  config.numAttrs = q.overlaps ? 1 : 0;
  q.note(cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...));
}

__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// In a fixed order, to all lanes.
__device__ inline float sum_of_warp(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = __fadd_rn(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}
__device__ inline float max_of_warp(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

// SwiGLU of one gate.
__device__ inline float gated(float gate, float up) { return gate / (1.0f + expf(-gate)) * up; }

// Four neighbours (i a multiple of 4) of a row of activations, rounded to nearest.
__device__ inline void put_activations(uint16_t* y, int64_t row, int64_t i, int64_t k, float4 v) {
  const __nv_bfloat162 low = __floats2bfloat162_rn(v.x, v.y), high = __floats2bfloat162_rn(v.z, v.w);
  uint2 bits;
  bits.x = *reinterpret_cast<const uint32_t*>(&low);
  bits.y = *reinterpret_cast<const uint32_t*>(&high);
  *reinterpret_cast<uint2*>(y + activation_index(row, i, k)) = bits;
}

// The ops, each in a file of its own.
void embed(Queue& q, const DeviceBatch& b, const DeviceMatrix& m, float* x);
void norm(Queue& q, int64_t rows, int64_t width, const float* x, const int32_t* which, const float* gain, float epsilon,
          uint16_t* y);
void multiply(Queue& q, int64_t rows, const DeviceMatrix& w, const uint16_t* x, float* y, int64_t y_row,
              bool accumulate);
void multiply_gated(Queue& q, int64_t rows, const DeviceMatrix& w, const uint16_t* x, uint16_t* y);
void turn_and_store(Queue& q, const DeviceBatch& b, const DeviceHeads& h, float* qkv);
void attend(Queue& q, const DeviceBatch& b, const DeviceHeads& h, const float* qkv, float* parts, uint16_t* y);
int64_t attention_floats(const DeviceBatch& b, const DeviceHeads& h);
void swiglu(Queue& q, int64_t rows, int64_t ffn, const float* gate_up, uint16_t* y);
// Bytes of the matrix in the device's order, and its making: `panels` are the host's bytes, on the device.
size_t matrix_bytes(const HostMatrix& m);
DeviceMatrix place_matrix(Queue& q, const HostMatrix& m, const void* panels, void* to);

}  // namespace hf::tensor::cuda
