#include "api/service.h"

namespace hf::api {

// The order is the order in which routes are tried where a request does not say its service.
std::vector<Service> all_services() {
  std::vector<Service> services;
  services.push_back(openai());
  services.push_back(bedrock_runtime());
  services.push_back(bedrock());
  services.push_back(sagemaker());
  services.push_back(sagemaker_runtime());
  services.push_back(iam());
  services.push_back(sts());
  services.push_back(kms());
  services.push_back(cloudtrail());
  services.push_back(holdfast());
  services.push_back(s3());
  return services;
}

}  // namespace hf::api
