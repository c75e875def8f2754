// The hostile minute, from inside: the worker tries everything that code which had taken it over would try first, and
// reports what the kernel said to each. Nothing here asks whether it is allowed; it does the call. Where a layer does
// not hold and an attempt succeeds, the report says that too. Addresses are those set aside for documentation
// (RFC 5737, RFC 3849) and loopback, so that even a success reaches nobody outside.
#pragma once

#include <vector>

#include "os/sandbox.h"
#include "rpc/messages.h"

namespace hf::engine {

// `allowed`: descriptors that the worker is meant to have.
rpc::ProbeReport probe(const rpc::ProbeTask& task, const os::Sandbox& sandbox, const std::vector<int>& allowed);

}  // namespace hf::engine
