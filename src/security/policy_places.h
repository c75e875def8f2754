// Where the statements of a policy stand in its document: what simulation shows beside a decision.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace hf::security {

struct Place {
  int64_t line = 1, column = 1;  // both from 1; a column is a character
};
struct StatementPlace {
  Place start, end;  // its first character, and what comes right behind its last
};
// One for each statement, in order, of a document that parse_policy() takes; of others none, or some.
std::vector<StatementPlace> statement_places(std::string_view document);

}  // namespace hf::security
