// Training and encoding speed of the tokenizer on help-desk tickets: tokenizer [TICKETS [VOCABULARY]]
#include "model/tokenizer/tokenizer.h"

#include <chrono>
#include <cstdio>

#include "app/quickstart/tickets.h"
#include "base/text.h"
#include "model/tokenizer/trainer.h"

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

int main(int argc, char** argv) {
  auto count = hf::parse_int(argc > 1 ? argv[1] : "20000", "TICKETS");
  auto vocabulary = hf::parse_int(argc > 2 ? argv[2] : "2048", "VOCABULARY");
  if (!count || !vocabulary || *count < 1) {
    std::fprintf(stderr, "usage: tokenizer [TICKETS [VOCABULARY]]\n");
    return 2;
  }
  auto tickets = hf::app::make_tickets(1, hf::app::Split::train, static_cast<uint64_t>(*count));
  auto trainer = hf::model::TokenizerTrainer::make({.vocabulary = static_cast<int32_t>(*vocabulary)});
  if (!trainer) return std::fprintf(stderr, "%s\n", trainer.error().message.c_str()), 1;
  double start = seconds();
  size_t bytes = 0;
  for (const auto& ticket : tickets) {
    for (const auto& text : {ticket.text, hf::app::completion(ticket.labels)}) {
      bytes += text.size();
      if (!trainer->add(text)) return 1;
    }
  }
  double counted = seconds();
  auto file = trainer->train();
  if (!file) return 1;
  double learnt = seconds();
  auto tokenizer = hf::model::Tokenizer::make(*file);
  if (!tokenizer) return 1;
  double made = seconds();
  size_t prompt_tokens = 0, completion_tokens = 0;
  for (const auto& ticket : tickets) {
    prompt_tokens += tokenizer->encode(ticket.text)->size();
    completion_tokens += tokenizer->encode(hf::app::completion(ticket.labels))->size();
  }
  double encoded = seconds();
  auto n = static_cast<double>(tickets.size());
  std::printf("%zu bytes: counted in %.3f s, %zu tokens learnt in %.3f s, encoded in %.3f s (%.1f MB/s)\n", bytes,
              counted - start, file->vocabulary.size(), learnt - counted, encoded - made,
              static_cast<double>(bytes) / 1e6 / (encoded - made));
  std::printf("tokens a ticket: %.1f of the prompt, %.1f of the completion\n", static_cast<double>(prompt_tokens) / n,
              static_cast<double>(completion_tokens) / n);
  return 0;
}
