#include <cstdint>
#include <string_view>

#include "format/config.h"

// What parses is within its ranges and reads back as it was written.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto config = hf::format::parse_config({reinterpret_cast<const char*>(data), size});
  if (!config.ok()) return 0;
  hf::check(config->parameters() > 0, "parameters");
  const std::string written = hf::format::write_config(*config);
  auto again = hf::format::parse_config(written);
  hf::check(again.ok() && hf::format::write_config(*again) == written, "a config does not survive writing");
  return 0;
}
