#include "model/ops/ops.h"

#include <array>
#include <string>

namespace hf::model {

std::span<const Op* const> ops() {
  static constexpr std::array<const Op*, 7> all{&kMatmul, &kNorm,      &kRope,        &kAttention,
                                                &kSwiglu, &kEmbedding, &kCrossEntropy};
  return all;
}

Error shape_error(const Op& op, const char* rule) {
  return fail(Code::invalid, std::string(op.name) + " needs " + rule);
}

}  // namespace hf::model
