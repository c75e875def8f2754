// The one path: who? -> which operation? -> decode -> which resource? -> may they? -> handler -> answer.
// There is no other way to a handler, and no route without authentication but GET /health.
#pragma once

#include <memory>

#include "api/service.h"

namespace hf::api {

class Gate {
 public:
  Gate(Site& site, std::vector<Service> services);
  ~Gate();
  http::Route route(const http::RequestHead& head) const;  // on the loop
  void handle(std::shared_ptr<http::Exchange> exchange);   // on the route's pool
  const std::vector<Service>& services() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Rows for `holdfast coverage`.
struct CoverageRow {
  std::string service, operation, status;  // "implemented" | "not_implemented"
};
std::vector<CoverageRow> coverage(const std::vector<Service>& services);

}  // namespace hf::api
