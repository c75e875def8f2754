// For the matrices of routes: a request of any operation, without credentials.
#pragma once

#include "api/testing.h"

namespace hf::api::testing {

inline Request request_of(const Service& s, const Operation& o) {
  Request r;
  r.method = o.method;
  r.query = o.query;
  switch (s.protocol) {
    case Protocol::aws_json_1_0:
    case Protocol::aws_json_1_1:
      r.method = "POST";
      r.headers = {{"x-amz-target", s.target_prefix + "." + o.name}, {"content-type", "application/x-amz-json-1.1"}};
      r.body = "{}";
      return r;
    case Protocol::aws_query:
      r.method = "POST";
      r.headers = {{"content-type", "application/x-www-form-urlencoded"}};
      r.body = "Action=" + o.name + "&Version=" + s.version;
      return r;
    case Protocol::rest_json:
    case Protocol::rest_xml:
    case Protocol::openai:
    case Protocol::holdfast:
      break;
  }
  r.path.clear();
  for (auto part : split(std::string_view(o.path).substr(1), '/'))
    r.path += "/" + (part.starts_with("{") ? "label-1" : std::string(part));
  return r;
}

}  // namespace hf::api::testing
