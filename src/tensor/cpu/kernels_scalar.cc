// Plain loops over sixteen numbers: the specification of the other sets, and what runs where they cannot.
#include <cmath>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

#include "tensor/cpu/lanes_scalar.inc"

constexpr int kRows = 1;
constexpr int kWide = 1;

#include "tensor/cpu/kernels.inc"

}  // namespace

constinit const Kernels kScalarKernels = make_table("scalar");

}  // namespace hf::tensor
