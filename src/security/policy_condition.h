// Conditions of a policy statement: operators, and what they compare.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "security/policy_pattern.h"

namespace hf::security {

struct Operator {
  enum class Type { string, string_ignore_case, like, numeric, date, boolean, binary, ip, arn, null };
  enum class Compare { equal, less, less_equal, greater, greater_equal };
  std::string_view name;
  Type type = Type::string;
  Compare compare = Compare::equal;
  bool negated = false;
};
struct Condition {
  enum class Quantifier { none, all, any };  // ForAllValues:, ForAnyValue:
  Operator op;
  Quantifier quantifier = Quantifier::none;
  bool if_exists = false;
  std::string key;                  // in lower case
  std::string name;                 // the same, as the document spells it
  std::vector<std::string> values;  // one of them is enough
};

// "ForAllValues:StringLikeIfExists" without key and values. invalid: no such operator.
Result<Condition> parse_operator(std::string_view name);
// Is it a value that the operator can compare with? invalid: what was expected.
Status check_value(const Operator& op, std::string_view value, bool variables);
// `allow`: of the statement. What cannot be compared is never equal; under a Not it makes an Allow not apply.
bool holds(const Condition& condition, bool allow, bool variables, const Context& context);

}  // namespace hf::security
