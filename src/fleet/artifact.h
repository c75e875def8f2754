// A model's folder as SageMaker's model.tar.gz: ustar with fixed times, owners and order, in one gzip member without a
// time, so that the same model is the same bytes wherever and whenever it is written.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "fleet/fleet.h"

namespace hf::fleet {

// Pieces of at most 1 MiB go to `out` in order; its error ends the writing.
Status write_tar_gz(Models& models, const std::string& digest, const std::function<Status(std::string_view)>& out);

}  // namespace hf::fleet
