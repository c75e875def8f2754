// Quantised weights for serving, and their products with activations that are quantised on the way.
//
// Weights come in GGUF's blocks (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; the blocks as llama.cpp
// defines them) and are kept in panels of 16 outputs, so that one register holds four inputs of sixteen outputs and a
// sum never crosses lanes. The blocks' scales and numbers stay exactly what they were:
//   q8_0  32 inputs: f16 scale; 8 bits, value = scale * q
//   q4_0  32 inputs: f16 scale; 4 bits, value = scale * (q - 8)
//   q4_k  256 inputs: f16 d and m; each 32: 6-bit s and t; 4 bits, value = d * s * q - m * t
//   q6_k  256 inputs: f16 d; each 16: 8-bit s; 6 bits, value = d * s * (q - 32)
//
// Every kernel set computes the same bits. Activations: each 32 of a row get a scale = largest magnitude / 127 and
// 8-bit q = round-to-even(x * (127 / largest)). A product is a sum over blocks of 32 inputs, in order:
//   sum = fma(float(integer sum of q * a), scale of the weights * scale of the activations, sum)
// (q6_k: each 16, with one activation scale for both; q4_k: then sum = fma(m * t, -(activation scale * sum of a),
// sum)). Integer sums are exact, so nothing depends on the instruction set, the number of rows, or the threads.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"

namespace hf::tensor {

inline constexpr int64_t kQuantBlock = 32;  // inputs that share an activation's scale

bool quantised(DType type);

// A right operand (k inputs, n outputs) in panels. What the bytes mean is the same for every kernel set, so they can be
// kept in a file and mapped. Panel p: scales, then numbers; where, and how many bytes: QuantLayout.
struct QuantMatrix {
  DType type = DType::q8_0;
  int64_t k = 0, n = 0;           // k: a multiple of the type's block
  const uint8_t* data = nullptr;  // 64-byte aligned, packed_bytes() of them; not owned
};

// Of one panel, in bytes; every part begins at a multiple of 64.
//   super  [k / 256][16] f16: d (q4_k: 32 of them, d then m); none for q8_0 and q4_0
//   scales [k / 32][16] f16 (q8_0, q4_0), [k / 32][2][16] u8 (q4_k: s, then t), [k / 32][2][16] i8 (q6_k: of both 16s)
//   quants [k / 32][bytes of a block]: q8_0 8 x 64 bytes, vector g holds inputs 4g .. 4g + 3 of each output, as q +
//   128;
//          q4_0, q4_k 4 x 64 bytes, inputs of vector g in the low and of vector g + 4 in the high halves;
//          q6_k so, then 2 x 64 bytes with the upper two bits: of vector g in byte [g & 1] at bits 2 * (g >> 1)
struct QuantLayout {
  int64_t scales, quants;            // where they begin
  int64_t scale_block, quant_block;  // bytes for 32 inputs
  int64_t panel;                     // bytes of the whole panel
};
QuantLayout quant_layout(DType type, int64_t k);
inline constexpr uint32_t kQuantLayoutVersion = 1;  // changes with the above: packed files of another are made again

int64_t packed_bytes(DType type, int64_t k, int64_t n);
// invalid: k is not a multiple of the type's block, or a type that is not quantised.
Status check_quant(DType type, int64_t k);
// `rows`: of one type and width k, one after the other the outputs; n is their sum. `out` has packed_bytes() bytes and
// is overwritten; outputs beyond n in the last panel are zero.
void pack_quant(std::span<const View> rows, uint8_t* out);
// Output `index`'s k weights.
void unpack_row(const QuantMatrix& m, int64_t index, float* out);

// Activations of `rows` rows, quantised: what a product reads.
struct QuantRows {
  int64_t rows = 0, k = 0;
  Buffer<int8_t> q;     // (rows, k)
  Floats scale;         // (rows, k / 32)
  Buffer<int32_t> sum;  // (rows, k / 16): of q
  // The same once more for sets that multiply sixteen rows at once, of each whole sixteen rows: [rows / 16][k / 32] of
  // [16][32] numbers, of [16] scales, and of [16] -(scale * sum over the 32).
  Buffer<int8_t> tiles;
  Floats tile_scale, tile_sum;
  void need(int64_t rows, int64_t k);  // room for; content is lost
};

struct QuantGemm {
  const QuantMatrix* w = nullptr;
  const QuantRows* x = nullptr;
  int64_t row = 0, rows = 0;      // of x
  int64_t panel = 0, panels = 0;  // of w
  float* y = nullptr;             // (x's rows, w.n), of which `rows` and `panels` are written
  int64_t y_row = 0;              // floats between two rows of y: at least w.n
  bool accumulate = false;
};

struct QuantKernels {
  // Rows [first, first + count) of x (row stride x_row), into the same rows of `out`. k is a multiple of 32.
  void (*quantise)(const float* x, int64_t x_row, int64_t first, int64_t count, QuantRows* out);
  void (*gemm)(const QuantGemm& g);
  int64_t row_step;  // rows are best cut at multiples of it
};

}  // namespace hf::tensor
