#include <cstdint>
#include <string>

#include "format/pattern.h"
#include "format/tokenizer.h"

namespace {

// First byte 0: a tokenizer.json. Else: that many bytes of pattern, and the rest a text to split by it.
void try_file(std::string_view json) {
  auto file = hf::format::parse_tokenizer(json);
  if (!file.ok()) return;
  for (const auto& merge : file->merges) {
    const auto at = [&](int32_t id) { return file->vocabulary.at(static_cast<size_t>(id)); };
    hf::check(at(merge.left) + at(merge.right) == at(merge.merged), "a merge is the sum of its pieces");
  }
  const std::string written = hf::format::write_tokenizer(*file);
  auto again = hf::format::parse_tokenizer(written);
  hf::check(again.ok() && again->vocabulary == file->vocabulary && again->merges == file->merges &&
                again->added == file->added && again->begin_token == file->begin_token,
            "a tokenizer does not survive writing");
}

void try_pattern(std::string_view pattern, std::string_view text) {
  auto compiled = hf::format::Pattern::compile(pattern);
  if (!compiled.ok()) return;
  auto pieces = compiled->split(text);
  if (!pieces.ok()) return;
  size_t at = 0;
  for (const auto& [begin, end] : *pieces) {
    hf::check(begin == at && end > begin, "pieces are not end to end");
    at = end;
  }
  hf::check(at == text.size(), "pieces do not cover the text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (size == 0) return 0;
  const size_t n = data[0];
  if (n == 0 || n == '{') {
    try_file(n == 0 ? input.substr(1) : input);
  } else if (n < size) {
    try_pattern(input.substr(1, n), input.substr(1 + n));
  }
  return 0;
}
