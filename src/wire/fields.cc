#include "wire/fields.h"

#include <re2/re2.h>

namespace hf::wire {

const std::vector<std::pair<std::string, std::string>>& BodySource::trailers() const {
  static const std::vector<std::pair<std::string, std::string>> none;
  return none;
}

Field& Field::pattern(std::string p) {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(8 << 20);
  auto compiled = std::make_shared<const re2::RE2>(p, options);
  check(compiled->ok(), "a field's pattern does not compile");
  regex = std::move(compiled);
  pattern_text = std::move(p);
  return *this;
}

}  // namespace hf::wire
