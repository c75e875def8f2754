#include "api/gate.h"

namespace hf::api {

std::vector<CoverageRow> coverage(const std::vector<Service>& services) {
  std::vector<CoverageRow> rows;
  for (const Service& s : services)
    for (const Operation& o : s.operations)
      rows.push_back({s.name, o.name, o.input ? "implemented" : "not_implemented"});
  return rows;
}

}  // namespace hf::api
