// What the files of CloudTrail's operations share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "fleet/trails.h"

namespace hf::api::cloudtrail_api {

struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

// "NAME" or the trail's ARN, of the caller's account. InvalidTrailNameException, TrailNotFoundException.
Result<std::string> trail_name(const Call& call, const std::string& given);
Result<fleet::Trail> find(store::Txn& txn, const Call& call, const std::string& given);
std::string arn_for(const Call& call, const std::string& given);

void add_lookup(Service& s);     // LookupEvents
void add_trails(Service& s);     // trails, their status and tags
void add_selectors(Service& s);  // event selectors

}  // namespace hf::api::cloudtrail_api
