// Foreign training data: a user's lines and apt's index. The first byte chooses.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "app/quickstart/dataset.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto dataset = data[0] % 2 ? hf::app::user_dataset("data", text, "", "") : hf::app::package_dataset(text, 1000, 1000);
  if (!dataset.ok()) return 0;
  if (dataset->train.empty() || dataset->held_out.empty()) std::abort();
  auto again = hf::app::user_dataset("a", hf::app::to_lines(dataset->train), "b", hf::app::to_lines(dataset->held_out));
  if (!again.ok() || again->train.size() != dataset->train.size()) std::abort();
  return 0;
}
