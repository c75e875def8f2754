#include "api/service.h"

namespace hf::api {

bool is_rest(Protocol protocol) {
  switch (protocol) {
    case Protocol::rest_json:
    case Protocol::rest_xml:
    case Protocol::openai:
    case Protocol::holdfast:
      return true;
    case Protocol::aws_json_1_0:
    case Protocol::aws_json_1_1:
    case Protocol::aws_query:
      return false;
  }
  return false;
}

Operation& Service::row(std::string name_, Route route, Effect effect) {
  Operation o;
  o.name = std::move(name_);
  o.action = (iam_prefix.empty() ? signing_name : iam_prefix) + ":" + o.name;
  o.method = route.method;
  o.path = route.path;
  o.query = route.query;
  o.effect = effect;
  return operations.emplace_back(std::move(o));
}

void Service::missing(std::string name_, Route route) { row(std::move(name_), route, Effect::read); }

}  // namespace hf::api
