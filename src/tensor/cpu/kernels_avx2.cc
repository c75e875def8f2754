// AVX2 with FMA: V is two registers. 6 rows x 1 panel: 12 sums, 2 right operands and 1 left of 16 registers.
#include <immintrin.h>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_avx2.inc"

constexpr int kRows = 6;
constexpr int kWide = 1;

#include "tensor/cpu/kernels.inc"

}  // namespace

constinit const Kernels kAvx2Kernels = make_table("avx2");

}  // namespace hf::tensor
