// The job role: a user's own program in a bubblewrap container with SageMaker's folders below /opt/ml, no network, and
// nothing of the machine but what it is handed. Layers: bubblewrap's namespaces (user, network, process ids, mounts,
// IPC, host name, control groups), then those of os/job_sandbox.h, laid by this program as `holdfast job-init` in the
// container before the user's program replaces it. A layer that cannot be laid: the program is not started.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/fs.h"
#include "os/job_sandbox.h"
#include "os/refusals.h"

namespace hf::fleet {

struct SandboxJob {
  std::string program;                   // this program's path; "": /proc/self/exe's
  std::string folder;                    // absolute: becomes /opt/ml, its input/ and code/ to read only
  std::vector<std::string> command;      // as found in the container; without a '/': looked for in /usr/bin
  std::vector<std::string> environment;  // NAME=value, for the program alone; beside PATH, HOME, TMPDIR, LANG
  os::JobLimits limits;
  uint64_t scratch_bytes = uint64_t{1} << 30;  // of /tmp and of /dev/shm each: memory
  int64_t seconds = 3600;                      // of wall clock; then everything in it is killed
  size_t output_bytes = 1 << 20;               // of standard output and error that are kept; the rest is dropped
  std::shared_ptr<os::RefusalSink> refusals;   // told of each refused system call
};

struct SandboxJobEnd {
  int status = 0;          // of exit(), or 128 and the signal's number
  bool timed_out = false;  // killed at its time's end
  bool no_room = false;    // killed because the disk was nearly full
  bool stopped = false;    // killed because `stopped` said so
  std::string output;      // standard output and error as they came; bytes that are no UTF-8 among them
  bool output_cut = false;
  std::string isolation;  // os::Sandbox::words() and the container's
  int64_t microseconds = 0;
};

// Makes what of /opt/ml's folders is missing in `folder`: input/config, input/data, code, model, output/data,
// checkpoints, doors.
Status prepare_job_folder(os::Fs& fs, const std::string& folder);

// The container's program, "" where it is not installed.
std::string bubblewrap_path(os::Fs& fs);

// Runs it to its end, in the caller's thread; `stopped` is asked ten times a second. invalid: an empty command.
// unavailable: no bubblewrap, or a layer does not hold: what and why. Threads: one for the refusals, while it runs.
Result<SandboxJobEnd> run_sandbox_job(os::Fs& fs, os::Clock& clock, const SandboxJob& job,
                                      const std::function<bool()>& stopped);

// `holdfast job-init --socket FD --memory N --files N --processes N --descriptors N -- PROGRAM ARGUMENT...`: process 1
// of the container. Gives PROGRAM's exit status, or 128 and the number of the signal that ended it; 126: a layer does
// not hold, 127: PROGRAM cannot be executed, both told through the socket; 64: wrong usage.
int job_init_entry(int argc, char** argv);

}  // namespace hf::fleet
