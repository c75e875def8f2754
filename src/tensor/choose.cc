#include <array>
#include <string>

#include "tensor/cpu/sets.h"

namespace hf::tensor {
namespace {

struct Set {
  const char* isa;
  const Kernels* table;
  const PairKernels* pairs;
  const QuantKernels* quant;
  bool (*runs)(const os::CpuInfo& cpu);
};

bool runs_avx512(const os::CpuInfo& cpu) { return cpu.avx2 && cpu.avx512; }
bool runs_vnni(const os::CpuInfo& cpu) { return runs_avx512(cpu) && cpu.avx512_vnni; }
bool runs_bf16(const os::CpuInfo& cpu) { return runs_vnni(cpu) && cpu.avx512_bf16; }

// Slowest first. A set may leave an entry null: then the next slower set's is used. Several rows may have one name: not
// every AVX-512 machine multiplies bytes or bfloat16.
constexpr std::array<Set, 6> kSets{{
    {"scalar", &kScalarKernels, &kScalarPairs, &kScalarQuant, [](const os::CpuInfo&) { return true; }},
    {"avx2", &kAvx2Kernels, &kAvx2Pairs, &kAvx2Quant, [](const os::CpuInfo& cpu) { return cpu.avx2; }},
    {"avx512", &kAvx512Kernels, &kAvx2Pairs, &kAvx2Quant, runs_avx512},
    {"avx512", &kAvx512Kernels, &kAvx2Pairs, &kAvx512Quant, runs_vnni},
    {"avx512", &kAvx512Kernels, &kAvx512Pairs, &kAvx512Quant, runs_bf16},
    {"amx", &kAvx512Kernels, &kAvx512Pairs, &kAmxQuant,
     [](const os::CpuInfo& cpu) { return runs_bf16(cpu) && cpu.amx_int8; }},
}};

template <class Function>
void fill(Function& to, const Function& from) {
  if (to == nullptr) to = from;
}

Kernels completed(size_t index) {
  Kernels t = *kSets[index].table;
  t.isa = kSets[index].isa;
  t.pairs = kSets[index].pairs;
  t.quant = kSets[index].quant;
  for (size_t i = index; i-- > 0;) {
    const Kernels& slow = *kSets[i].table;
    fill(t.gemm, slow.gemm);
    fill(t.pack_transposed, slow.pack_transposed);
    fill(t.norm, slow.norm);
    fill(t.norm_backward, slow.norm_backward);
    fill(t.rope, slow.rope);
    fill(t.softmax, slow.softmax);
    fill(t.softmax_again, slow.softmax_again);
    fill(t.softmax_backward, slow.softmax_backward);
    fill(t.swiglu, slow.swiglu);
    fill(t.swiglu_backward, slow.swiglu_backward);
    fill(t.cross_entropy, slow.cross_entropy);
    fill(t.dot, slow.dot);
    fill(t.add, slow.add);
    fill(t.exp, slow.exp);
    fill(t.sum, slow.sum);
    fill(t.max, slow.max);
    fill(t.sum_squares, slow.sum_squares);
    fill(t.adamw, slow.adamw);
  }
  return t;
}

}  // namespace

Kernels with_device(const Kernels& host, Device& device) {
  Kernels out = host;
  out.isa = "cuda";
  out.device = &device;
  return out;
}

Result<const Kernels*> choose_kernels(std::string_view forced, const os::CpuInfo& cpu) {
  static const std::array<Kernels, kSets.size()> tables{completed(0), completed(1), completed(2),
                                                        completed(3), completed(4), completed(5)};
  if (forced.empty()) {
    size_t best = 0;
    for (size_t i = 0; i < kSets.size(); ++i) {
      if (kSets[i].runs(cpu)) best = i;
    }
    return &tables[best];
  }
  bool known = false;
  for (size_t i = kSets.size(); i-- > 0;) {
    if (forced != kSets[i].isa) continue;
    if (kSets[i].runs(cpu)) return &tables[i];
    known = true;
  }
  if (known) {
    return fail(Code::unavailable, "instruction set '" + std::string(forced) + "' was asked for; this machine (" +
                                       cpu.model + ") cannot run it");
  }
  return fail(Code::invalid,
              "instruction set must be scalar, avx2, avx512 or amx, found '" + std::string(forced.substr(0, 32)) + "'");
}

}  // namespace hf::tensor
