// The tables of the kernel sets: for choose.cc only.
#pragma once

#include "tensor/kernels.h"
#include "tensor/pairs.h"
#include "tensor/quant.h"

namespace hf::tensor {

extern const Kernels kScalarKernels;  // the specification: plain loops
extern const Kernels kAvx2Kernels;    // needs AVX2, FMA
extern const Kernels kAvx512Kernels;  // needs AVX-512 F, BW, VL, DQ

extern const PairKernels kScalarPairs;
extern const PairKernels kAvx2Pairs;    // needs AVX2, FMA
extern const PairKernels kAvx512Pairs;  // needs AVX-512 F, BW, VL, DQ, BF16

extern const QuantKernels kScalarQuant;
extern const QuantKernels kAvx2Quant;    // needs AVX2, FMA, F16C
extern const QuantKernels kAvx512Quant;  // needs AVX-512 F, BW, VL, DQ, VNNI
extern const QuantKernels kAmxQuant;     // needs the same and AMX-INT8

}  // namespace hf::tensor
