// CloudTrail over aws-json: what the ledger holds, in CloudTrail's words.
#include "api/cloudtrail/cloudtrail.h"

namespace hf::api {

Service cloudtrail() {
  Service s;
  s.name = "cloudtrail";
  s.signing_name = "cloudtrail";
  s.protocol = Protocol::aws_json_1_1;
  s.version = "2013-11-01";
  s.target_prefix = "CloudTrail_20131101";
  cloudtrail_api::add_lookup(s);
  cloudtrail_api::add_trails(s);
  cloudtrail_api::add_selectors(s);
  for (const char* name : {"CancelQuery",
                           "CreateChannel",
                           "CreateDashboard",
                           "CreateEventDataStore",
                           "DeleteChannel",
                           "DeleteDashboard",
                           "DeleteEventDataStore",
                           "DeleteResourcePolicy",
                           "DeregisterOrganizationDelegatedAdmin",
                           "DescribeQuery",
                           "DisableFederation",
                           "EnableFederation",
                           "GenerateQuery",
                           "GetChannel",
                           "GetDashboard",
                           "GetEventConfiguration",
                           "GetEventDataStore",
                           "GetImport",
                           "GetInsightSelectors",
                           "GetQueryResults",
                           "GetResourcePolicy",
                           "ListChannels",
                           "ListDashboards",
                           "ListEventDataStores",
                           "ListImportFailures",
                           "ListImports",
                           "ListInsightsData",
                           "ListInsightsMetricData",
                           "ListPublicKeys",
                           "ListQueries",
                           "PutEventConfiguration",
                           "PutInsightSelectors",
                           "PutResourcePolicy",
                           "RegisterOrganizationDelegatedAdmin",
                           "RestoreEventDataStore",
                           "SearchSampleQueries",
                           "StartDashboardRefresh",
                           "StartEventDataStoreIngestion",
                           "StartImport",
                           "StartQuery",
                           "StopEventDataStoreIngestion",
                           "StopImport",
                           "UpdateChannel",
                           "UpdateDashboard",
                           "UpdateEventDataStore"})
    s.missing(name);
  return s;
}

}  // namespace hf::api
