#include "api/holdfast/operations.h"

namespace hf::api {
namespace holdfast_api {

std::string site_arn(const Call& call, std::string_view what) {
  return "arn:aws:holdfast:" + call.site().region + ":site:" + std::string(what);
}

std::string own_arn(const Call& call, std::string_view what, const std::string& account) {
  return "arn:aws:holdfast:" + call.site().region + ":" + (account.empty() ? call.account() : account) + ":" +
         std::string(what);
}

}  // namespace holdfast_api

Service holdfast() {
  Service s;
  s.name = "holdfast";
  s.signing_name = "holdfast";
  s.protocol = Protocol::holdfast;
  s.version = "v1";
  s.bearer = true;
  holdfast_api::add_keys(s);
  holdfast_api::add_log_in(s);
  holdfast_api::add_oidc(s);
  holdfast_api::add_quotas(s);
  holdfast_api::add_ledger(s);
  holdfast_api::add_receipts(s);
  holdfast_api::add_evidence(s);
  holdfast_api::add_site(s);
  holdfast_api::add_models(s);
  holdfast_api::add_try_job(s);
  holdfast_api::add_egress(s);
  return s;
}

}  // namespace hf::api
