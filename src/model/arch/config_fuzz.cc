#include <cstdint>
#include <string_view>

#include "model/arch/arch.h"

// What is read is within check_config's limits, and reads back as it was written.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto config = hf::model::read_config({reinterpret_cast<const char*>(data), size});
  if (!config.ok()) return 0;
  hf::check(hf::model::check_config(config->llama).ok(), "a config out of range was read");
  hf::check(config->llama.parameters() > 0, "parameters");
  const std::string written = hf::model::write_config(*config, hf::tensor::DType::f32);
  auto again = hf::model::read_config(written);
  hf::check(again.ok(), "a config does not survive writing");
  return 0;
}
