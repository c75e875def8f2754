#include "wire/path_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::wire;
  static const PathTemplate templates[] = {PathTemplate("/"), PathTemplate("/{Bucket}"),
                                           PathTemplate("/{Bucket}/{Key+}"), PathTemplate("/model/{modelId}/converse"),
                                           PathTemplate("/agents/{id}/")};
  std::string_view path(reinterpret_cast<const char*>(data), size);
  for (const auto& t : templates) {
    for (bool slash : {false, true}) {
      auto labels = t.match(path, slash);
      if (!labels) continue;
      for (const auto& [name, raw] : *labels) {
        hf::check(!raw.empty(), "a label is empty");
        (void)decode_label(raw, name);
      }
    }
  }
  (void)decode_query(path, true, 100);
  return 0;
}
