// Prints tickets as JSON lines: tickets COUNT [SEED [train|held_out]]
#include "app/quickstart/tickets.h"

#include <cstdio>
#include <string_view>

#include "base/text.h"

int main(int argc, char** argv) {
  auto count = hf::parse_int(argc > 1 ? argv[1] : "10", "COUNT");
  auto seed = hf::parse_int(argc > 2 ? argv[2] : "1", "SEED");
  std::string_view split = argc > 3 ? argv[3] : "train";
  if (!count || !seed || *count < 0 || (split != "train" && split != "held_out")) {
    std::fprintf(stderr, "usage: tickets COUNT [SEED [train|held_out]]\n");
    return 2;
  }
  for (int64_t i = 0; i < *count; i++) {
    auto ticket = hf::app::make_ticket(static_cast<uint64_t>(*seed),
                                       split == "train" ? hf::app::Split::train : hf::app::Split::held_out,
                                       static_cast<uint64_t>(i));
    std::puts(hf::app::training_line(ticket).c_str());
  }
  return 0;
}
