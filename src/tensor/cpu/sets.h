// The tables of the kernel sets: for choose.cc only.
#pragma once

#include "tensor/kernels.h"

namespace hf::tensor {

extern const Kernels kScalarKernels;  // the specification: plain loops
extern const Kernels kAvx2Kernels;    // needs AVX2, FMA
extern const Kernels kAvx512Kernels;  // needs AVX-512 F, BW, VL, DQ

}  // namespace hf::tensor
