// STS: who am I. The rest needs roles and temporary keys, which this site does not have.
#include "api/service.h"

namespace hf::api {
namespace {

struct GetCallerIdentityRequest {
  static void fields(wire::Fields<GetCallerIdentityRequest>&) {}
};

struct GetCallerIdentityResponse {
  std::string user_id, account, arn;
  static void fields(wire::Fields<GetCallerIdentityResponse>& f) {
    f("UserId", &GetCallerIdentityResponse::user_id);
    f("Account", &GetCallerIdentityResponse::account);
    f("Arn", &GetCallerIdentityResponse::arn);
  }
};

Result<GetCallerIdentityResponse> get_caller_identity(Call& call, const GetCallerIdentityRequest&) {
  return GetCallerIdentityResponse{call.who().user_id, call.account(), call.who().arn};
}

}  // namespace

Service sts() {
  Service s;
  s.name = "sts";
  s.signing_name = "sts";
  s.protocol = Protocol::aws_query;
  s.version = "2011-06-15";
  s.xml_namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
  s.add<GetCallerIdentityRequest, GetCallerIdentityResponse>(
      "GetCallerIdentity", {}, Effect::read, get_caller_identity,
      [](const Call&, const GetCallerIdentityRequest&) -> std::string { return "*"; });
  for (const char* name :
       {"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "DecodeAuthorizationMessage",
        "GetAccessKeyInfo", "GetDelegatedAccessToken", "GetFederationToken", "GetSessionToken", "GetWebIdentityToken"})
    s.missing(name);
  return s;
}

}  // namespace hf::api
