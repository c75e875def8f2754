// AVX-512: V is one register. 12 rows x 2 panels: 24 sums and 2 right operands of 32 registers; the left operand is a
// broadcast from memory within the multiply-add.
#if !defined(__clang__)  // GCC 12's own header starts from a register "whatever it holds" and then warns of it
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_avx512.inc"

constexpr int kRows = 12;
constexpr int kWide = 2;

#include "tensor/cpu/kernels.inc"

}  // namespace

constinit const Kernels kAvx512Kernels = make_table("avx512");

}  // namespace hf::tensor
