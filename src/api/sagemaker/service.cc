// SageMaker's control plane.
#include "api/sagemaker/common.h"
#include "api/sagemaker/missing.h"

namespace hf::api {

Service sagemaker() {
  Service s;
  s.name = "sagemaker";
  s.signing_name = "sagemaker";
  s.protocol = Protocol::aws_json_1_1;
  s.target_prefix = "SageMaker";
  sagemaker_api::add_training(s);
  sagemaker_api::add_packages(s);
  sagemaker_api::add_models(s);
  sagemaker_api::add_endpoints(s);
  sagemaker_api::add_missing(s);
  return s;
}

}  // namespace hf::api
