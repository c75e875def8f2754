// What stands in for tensor/cuda/ where it is not built in.
#include "tensor/device.h"

namespace hf::tensor {

Result<std::unique_ptr<Device>> open_cuda() {
  return fail(Code::unavailable, "this build has no CUDA (it is configured with -DHOLDFAST_CUDA=ON)");
}

}  // namespace hf::tensor
