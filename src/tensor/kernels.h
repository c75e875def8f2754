// Kernel sets: what the model's ops are made of, one table of functions for each instruction set.
//
// Every set computes the same bits. Sums run in one written order: a matrix product adds its K terms one after the
// other with fused multiply-add; a sum over a row keeps 16 running sums (lane i takes elements i, i+16, ...) which are
// then halved: 8, 4, 2, 1. A set of 8-lane registers uses two of them for the 16. exp is our own polynomial. So the
// result depends neither on the machine, nor on which rows are computed together, nor on the number of threads.
//
// Panels: a matrix (k, n) that is a right operand is kept as [n/16][k][16]: 16 columns together, zeros beyond n. The
// strides below also reach row-major matrices: panel stride 16, row stride n.
// All functions are single-threaded, allocate nothing, and take any alignment and any sizes >= 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "os/thread.h"

namespace hf::tensor {

constexpr int64_t kPanel = 16;  // columns of a panel: one AVX-512 register, two AVX2 ones
constexpr int64_t panels(int64_t n) { return (n + kPanel - 1) / kPanel; }
constexpr int64_t panel_floats(int64_t k, int64_t n) { return panels(n) * k * kPanel; }

// C(i,j) = sum over p of A(i,p) * B(p,j), i < m, j < n, p < k; added to what C held if `accumulate`.
//   A(i,p) = a[i * a_row + p * a_k]     B(p,j) = b[(j / 16) * b_panel + p * b_k + j % 16]
//   C(i,j) = c[(j / 16) * c_panel + i * c_row + j % 16]
// Columns of the last panel beyond n are neither read from B nor written to C.
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_k = 1;
  const float* b = nullptr;
  int64_t b_k = kPanel, b_panel = 0;
  float* c = nullptr;
  int64_t c_row = 0, c_panel = kPanel;
  bool accumulate = false;
  const uint16_t* b16 = nullptr;  // B as bfloat16 instead of b, same strides in elements; each is widened exactly
};

struct AdamW {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  float correction1, correction2;  // 1 / (1 - beta^step)
  float gradient_scale;            // of clipping; 1: none
};

class Device;         // tensor/device.h
struct PairKernels;   // tensor/pairs.h
struct QuantKernels;  // tensor/quant.h

struct Kernels {
  const char* isa;  // "scalar" | "avx2" | "avx512" | "amx"; "cuda": models are served from `device`
  const PairKernels* pairs;
  const QuantKernels* quant;
  Device* device = nullptr;  // null: none; not owned

  void (*gemm)(const Gemm& g);

  // dst[(r / 16) * dst_panel + c * 16 + r % 16] = src[r * src_row + c]: the rows become columns of panels.
  // The last panel's lanes beyond `rows` become zero.
  void (*pack_transposed)(int64_t rows, int64_t cols, const float* src, int64_t src_row, float* dst, int64_t dst_panel);

  // y = x / sqrt(mean(x^2) + epsilon) * gain, row by row. scale[r] (may be null) gets 1 / sqrt(...).
  void (*norm)(int64_t rows, int64_t width, const float* x, int64_t x_row, const float* gain, float epsilon, float* y,
               int64_t y_row, float* scale);
  // dx += gradient of norm for dy; dgain += its part, rows in order. Rows of `width` floats, dense.
  void (*norm_backward)(int64_t rows, int64_t width, const float* x, const float* gain, const float* scale,
                        const float* dy, float* dx, float* dgain);

  // Rotates the pairs (i, i + dim/2) of each head of each row by the angles whose cosines and sines are the row's
  // dim/2 floats at cosine + angle[r] * dim/2 (and sine); backwards with inverse. dim is even.
  void (*rope)(int64_t rows, int64_t heads, int64_t dim, float* x, int64_t x_row, const float* cosine,
               const float* sine, const int32_t* angle, bool inverse);

  // Row r: elements [0, valid + r) become exp(scale * s - m) / sum, the others up to `width` zero. log_sum[r] (may be
  // null) gets m + log(sum) with m the largest scaled score.
  void (*softmax)(int64_t rows, int64_t valid, int64_t width, float scale, float* s, int64_t s_row, float* log_sum);
  // As softmax, from the log_sum that it gave: exp(scale * s - log_sum).
  void (*softmax_again)(int64_t rows, int64_t valid, int64_t width, float scale, float* s, int64_t s_row,
                        const float* log_sum);
  // ds = p * (ds - delta[r]) * scale, all `width` columns.
  void (*softmax_backward)(int64_t rows, int64_t width, float scale, const float* p, float* ds, int64_t row,
                           const float* delta);

  // h = silu(gate) * up; gate_up rows hold `ffn` gates, then `ffn` ups.
  void (*swiglu)(int64_t rows, int64_t ffn, const float* gate_up, int64_t gate_up_row, float* h, int64_t h_row);
  // gate_up becomes its gradient for dh (rows dense: 2 * ffn and ffn); h is written again.
  void (*swiglu_backward)(int64_t rows, int64_t ffn, float* gate_up, const float* dh, float* h);

  // loss[r] = -log softmax(logits[r])[target[r]]; then logits becomes weight[r] * (softmax - one_hot).
  void (*cross_entropy)(int64_t rows, int64_t n, float* logits, int64_t logits_row, const int32_t* target,
                        const float* weight, float* loss);

  float (*dot)(int64_t n, const float* a, const float* b);
  void (*add)(int64_t n, const float* x, float* y);  // y += x
  void (*exp)(int64_t n, const float* x, float* y);  // y = exp(x), within 2 ulp; below -87.3 zero, above 88.3 clamped
  float (*sum)(int64_t n, const float* x);           // in the row order above
  float (*max)(int64_t n, const float* x);           // n >= 1
  double (*sum_squares)(int64_t n, const float* x);  // blocks of 4096 in float, blocks in order in double
  void (*adamw)(int64_t n, const AdamW& how, float* weight, const float* gradient, float* first, float* second);
};

// A table of `host` whose models are served from the device: for what HOLDFAST_ISA=cuda asks for.
Kernels with_device(const Kernels& host, Device& device);

// The set named by `forced`, or the fastest that this machine can run if it is empty. invalid: an unknown name;
// unavailable: the machine (or this build) cannot run it. The reference stays for the whole program.
Result<const Kernels*> choose_kernels(std::string_view forced, const os::CpuInfo& cpu);

// Double precision functions whose bits do not depend on the C library: for tables and tests of one number at a time.
// Errors below 1e-14 relative (sine and cosine: 1e-12 absolute for |x| < 1e6).
double exact_exp(double x);
double exact_log(double x);  // x > 0
double exact_sin(double x);
double exact_cos(double x);

}  // namespace hf::tensor
