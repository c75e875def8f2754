// What needs no model: rules and counts that the trained model has to beat, scored on the same held-out examples.
//   keyword rule        tickets only: lists of words written by hand, the first product named, a rule for the order
//   number nearest neighbour   the completion of the most similar training prompt (TF-IDF of words, cosine) bag of
//   words        one softmax regression a field over the words of the prompt; tickets: the same rule for the order
// Deterministic; one thread.
#pragma once

#include <string>
#include <vector>

#include "app/quickstart/scoring.h"

namespace hf::app {

struct Baseline {
  std::string name;  // "keyword_rule", "nearest_neighbour", "bag_of_words"
  Score score;
};

// Those that apply to the data. At most 30,000 training examples are looked at (the first).
std::vector<Baseline> score_baselines(const Dataset& data);

std::string keyword_answer(std::string_view ticket);  // the keyword rule's completion
std::string order_by_rule(std::string_view ticket);   // the first six digits after the word "order", or ""

// Words in lower case, runs of letters and digits; numbers are left out.
std::vector<std::string> words_of(std::string_view text);

}  // namespace hf::app
