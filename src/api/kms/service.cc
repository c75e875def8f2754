// The key management service over aws-json: keys that never leave, by policies, grants and encryption contexts.
#include "api/kms/kms.h"

namespace hf::api {

Service kms() {
  Service s;
  s.name = "kms";
  s.signing_name = "kms";
  s.protocol = Protocol::aws_json_1_1;
  s.version = "2014-11-01";
  s.target_prefix = "TrentService";
  kms_api::add_keys(s);
  kms_api::add_states(s);
  kms_api::add_aliases(s);
  kms_api::add_policies(s);
  kms_api::add_grants(s);
  kms_api::add_rotation(s);
  kms_api::add_import(s);
  kms_api::add_tags_of_keys(s);
  kms_api::add_encryption(s);
  kms_api::add_data_keys(s);
  kms_api::add_signatures(s);
  for (const char* name :
       {"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores",
        "DisconnectCustomKeyStore", "GetKeyLastUsage", "ReplicateKey", "UpdateCustomKeyStore", "UpdatePrimaryRegion"})
    s.missing(name);
  return s;
}

}  // namespace hf::api
