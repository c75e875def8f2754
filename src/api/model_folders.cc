#include "api/model_folders.h"

#include "fleet/deployments.h"
#include "fleet/jobs.h"

namespace hf::api {

Result<bool> digest_in_use(store::Txn& txn, const std::string& digest) {
  constexpr int64_t kLimit = 100'000;
  for (const char* kind :
       {"model-registry", "artifact", "sagemaker-model", "model-package", "endpoint", "custom-model-deployment"})
    for (const store::Record& r : TRY(store::list_records(txn, kind, "", "", kLimit)))
      if (r.body.find(digest) != std::string::npos) return true;  // 64 hex digits are nothing else by chance
  return false;
}

void release_model(Call& call, const std::string& digest) {
  call.site().jobs.deployments().gone(digest);
  bool used = true;
  const Status read = call.read([&](store::Txn& txn) -> Status {
    used = TRY(digest_in_use(txn, digest));
    return {};
  });
  if (!read.ok() || used) return;
  (void)call.site().fleet.unload(digest);
  (void)call.site().models.remove(digest);
}

}  // namespace hf::api
