// What becomes of a model's folder when a name that pointed at it is gone.
#pragma once

#include <string>

#include "api/call.h"

namespace hf::api {

// Whether anything of any account still names the folder: registry, artifacts, SageMaker's models and packages,
// endpoints, deployments.
Result<bool> digest_in_use(store::Txn& txn, const std::string& digest);
// After such a name was deleted and that committed: unloads what is not deployed, removes what is not in use. What
// fails here is left for the next deletion.
void release_model(Call& call, const std::string& digest);

}  // namespace hf::api
