// Bedrock's control plane: models and their deployments.
#include "api/bedrock/deployments.h"
#include "api/bedrock/missing.h"
#include "api/bedrock/models.h"

namespace hf::api {

Service bedrock() {
  Service s;
  s.name = "bedrock";
  s.signing_name = "bedrock";
  s.protocol = Protocol::rest_json;
  s.bearer = true;
  bedrock_api::add_models(s);
  bedrock_api::add_deployments(s);
  bedrock_api::add_missing(s);
  return s;
}

}  // namespace hf::api
