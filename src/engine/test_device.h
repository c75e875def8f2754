// The kernel table of this machine's device, for tests; null where there is none (or this build has no CUDA).
#pragma once

#include <memory>

#include "os/thread.h"
#include "tensor/device.h"
#include "tensor/kernels.h"

namespace hf::engine {

inline const tensor::Kernels* device_kernels() {
  static const std::unique_ptr<tensor::Device> device = [] {
    auto opened = tensor::open_cuda();
    return opened.ok() ? std::move(*opened) : nullptr;
  }();
  if (!device) return nullptr;
  static const tensor::Kernels table = with_device(**tensor::choose_kernels("", os::cpu_info()), *device);
  return &table;
}

}  // namespace hf::engine
