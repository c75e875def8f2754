#include "app/quickstart/scoring.h"

#include "base/check.h"
#include "base/text.h"

namespace hf::app {

void Scorer::add(std::string_view answer, std::string_view expected) {
  score_.total++;
  if (fields_.empty()) {
    bool right = trim(answer) == trim(expected);
    score_.decided += right;
    score_.whole += right;
    return;
  }
  std::vector<std::string> got, want;
  check(read_fields(expected, fields_, want), "an expected completion has the data's fields");
  if (!read_fields(answer, fields_, got)) {
    score_.invalid++;
    return;
  }
  bool all_decided = true, all = true;
  for (size_t i = 0; i < fields_.size(); i++) {
    bool right = got[i] == want[i];
    score_.by_field[i] += right;
    all &= right;
    if (i < decided_) all_decided &= right;
  }
  score_.decided += all_decided;
  score_.whole += all;
}

}  // namespace hf::app
