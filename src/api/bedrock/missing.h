#pragma once

#include "api/service.h"

namespace hf::api::bedrock_api {

void add_missing(Service& s);

}  // namespace hf::api::bedrock_api
