// Patterns of policies: '*' and '?', and policy variables, whose values are plain text whatever is in them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::security {

// What is known of a request: keys in lower case ("aws:sourceip"), none, one or several values each.
using Context = std::map<std::string, std::vector<std::string>>;

// Bytes, and two that no byte is: a wildcard that came from the document is told from a '*' of a variable's value.
using Pattern = std::u16string;
constexpr char16_t kAnyText = 0x100, kAnyOne = 0x101;

// ${key} or ${key, 'default'} of a document that check_variables() lets through; ${*}, ${?} and ${$} are no keys.
struct Variable {
  std::string name;
  std::optional<std::string> otherwise;
};
std::vector<Variable> variables_in(std::string_view text);

Pattern compile(std::string_view text);  // '*' and '?' are wildcards
// Malformed variables are refused by what they are. ${key}, ${key, 'default'}, ${*}, ${?}, ${$}.
Status check_variables(std::string_view text);
// Nothing: a variable has no value, or more than one. `wildcards`: those of the document count (not of StringEquals).
// `variables`: false leaves "${" as it is.
std::optional<Pattern> expand(std::string_view text, bool wildcards, bool variables, const Context& context);
// Time |text| * |pattern| / 64. `whole`: the text ends where the pattern does; else something of it may be left over.
bool pattern_match(const Pattern& pattern, std::string_view text, bool ignore_case, bool whole);

}  // namespace hf::security
