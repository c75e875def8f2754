// The hostile minute, from inside: the worker tries everything that code which had taken it over would try first, and
// reports what the kernel said to each. Nothing here asks whether it is allowed; it does the call. Where a layer does
// not hold and an attempt succeeds, the report says that too. Addresses are those set aside for documentation
// (RFC 5737, RFC 3849), multicast and loopback, so that even a success reaches nobody outside.
//
// Before each attempt comes a mark: a socket of family 0 with protocol kMark and the attempt's number, which seccomp
// refuses like the rest. Where the refusals are recorded, what stands between two marks is what became of one attempt.
#pragma once

#include <vector>

#include "os/sandbox.h"
#include "rpc/messages.h"

namespace hf::engine {

// `allowed`: descriptors that the worker is meant to have.
rpc::ProbeReport probe(const rpc::ProbeTask& task, const os::Sandbox& sandbox, const std::vector<int>& allowed);

// The same by a user's program in a job's container, which may have files, processes and memory of its own: the ways
// out, less those three.
rpc::ProbeReport probe_job(const rpc::ProbeTask& task);

inline constexpr int kMark = 700'000;

}  // namespace hf::engine
