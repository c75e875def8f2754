// Any bytes as text: what is encoded decodes to the same bytes, and no special token comes out of plain text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/trainer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size < 1 || size > 4096) return 0;
  auto trainer = hf::model::TokenizerTrainer::make(
      {.vocabulary = 300, .special = {"<|end|>"}, .digits = 1 + data[0] % 9, .min_count = 1});
  if (!trainer.ok() || !trainer->add(text.substr(0, size / 2)).ok()) return 0;
  auto file = trainer->train();
  if (!file.ok()) return 0;
  auto tokenizer = hf::model::Tokenizer::make(std::move(*file));
  if (!tokenizer.ok()) std::abort();
  auto ids = tokenizer->encode(text);
  if (!ids.ok()) return 0;
  for (int32_t id : *ids) {
    if (tokenizer->special(id)) std::abort();
  }
  auto back = tokenizer->decode(*ids);
  if (!back.ok() || *back != text) std::abort();
  hf::model::StreamDecoder decoder(*tokenizer);
  std::string streamed;
  for (int32_t id : *ids) streamed += decoder.push(id);
  if (streamed + decoder.finish() != hf::model::to_utf8(text)) std::abort();
  return 0;
}
