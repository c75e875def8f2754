#pragma once

#include "api/service.h"

namespace hf::api::sagemaker_api {

void add_missing(Service& s);

}  // namespace hf::api::sagemaker_api
