// IAM over aws-query: the rows of the other files, and what is not offered.
#include "api/iam/iam.h"

namespace hf::api {

Service iam() {
  Service s;
  s.name = "iam";
  s.signing_name = "iam";
  s.protocol = Protocol::aws_query;
  s.version = "2010-05-08";
  s.xml_namespace = "https://iam.amazonaws.com/doc/2010-05-08/";
  iam_api::add_entities(s);
  iam_api::add_policies(s);
  iam_api::add_attachments(s);
  iam_api::add_members(s);
  iam_api::add_keys(s);
  iam_api::add_credentials(s);
  iam_api::add_log_in(s);
  iam_api::add_providers(s);
  iam_api::add_simulation(s);
  iam_api::add_details(s);
  iam_api::add_account(s);
  iam_api::add_report(s);
  for (const char* name : {"AddRoleToInstanceProfile",
                           "CreateInstanceProfile",
                           "CreateSAMLProvider",
                           "CreateServiceLinkedRole",
                           "DeleteAccountPasswordPolicy",
                           "DeleteInstanceProfile",
                           "DeleteSAMLProvider",
                           "DeleteSSHPublicKey",
                           "DeleteServerCertificate",
                           "DeleteServiceLinkedRole",
                           "DeleteSigningCertificate",
                           "GenerateOrganizationsAccessReport",
                           "GenerateServiceLastAccessedDetails",
                           "GetAccountPasswordPolicy",
                           "GetInstanceProfile",
                           "GetOrganizationsAccessReport",
                           "GetSAMLProvider",
                           "GetSSHPublicKey",
                           "GetServerCertificate",
                           "GetServiceLastAccessedDetails",
                           "GetServiceLastAccessedDetailsWithEntities",
                           "GetServiceLinkedRoleDeletionStatus",
                           "ListInstanceProfileTags",
                           "ListInstanceProfiles",
                           "ListInstanceProfilesForRole",
                           "ListMFADeviceTags",
                           "ListPoliciesGrantingServiceAccess",
                           "ListSAMLProviderTags",
                           "ListSAMLProviders",
                           "ListSSHPublicKeys",
                           "ListServerCertificateTags",
                           "ListServerCertificates",
                           "ListSigningCertificates",
                           "RemoveRoleFromInstanceProfile",
                           "ResyncMFADevice",
                           "SetSecurityTokenServicePreferences",
                           "TagInstanceProfile",
                           "TagMFADevice",
                           "TagSAMLProvider",
                           "TagServerCertificate",
                           "UntagInstanceProfile",
                           "UntagMFADevice",
                           "UntagSAMLProvider",
                           "UntagServerCertificate",
                           "UpdateAccountPasswordPolicy",
                           "UpdateRoleDescription",
                           "UpdateSAMLProvider",
                           "UpdateSSHPublicKey",
                           "UpdateServerCertificate",
                           "UpdateSigningCertificate",
                           "UploadSSHPublicKey",
                           "UploadServerCertificate",
                           "UploadSigningCertificate"})
    s.missing(name);
  return s;
}

}  // namespace hf::api
