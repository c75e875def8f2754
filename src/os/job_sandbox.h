// What is laid round a user's own program, from inside of its bubblewrap container, in the moment before it starts. It
// is wider than a worker's (os/sandbox.h): programs, files and threads of its own are what it is for. What it has none
// of is a way out: no socket but a local stream, no other process's memory, no door into the kernel that a container
// does not need. What it asks for beyond is refused and told (os/refusals.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "os/sandbox.h"

namespace hf::os {

struct JobLimits {                           // of each process, but for `processes`
  uint64_t memory_bytes = 0;                 // of data (heap, private maps); 0: no limit
  uint64_t file_bytes = uint64_t{64} << 30;  // of one file that it writes
  uint64_t processes = 512;                  // and threads, all together
  uint64_t descriptors = 4096;
};

// The paths that a job may write below. It reads and runs what its container shows it.
inline constexpr const char* kJobWrites[] = {"/opt/ml", "/tmp", "/dev"};

// In a single-threaded process whose root is the container's. Sandbox::refusals is the listener, to be handed over
// before the program starts. invalid: other threads run. unavailable: a layer that a job is never started without
// (namespaces, seccomp with its listener, no new privileges) does not hold; says which and why. Where Landlock is not
// there, the report says so.
// In the container. Processes of a job are the first that the kernel ends where memory runs out.
Result<Sandbox> enter_job_sandbox(const JobLimits& limits, const std::vector<int>& keep);

// Removes a folder that a job has written, whatever its depth and whatever rights it took away; follows no link.
// Nothing of the job may run any more.
Status remove_job_folder(const std::string& path);

// Bytes that a job may still write on the disk of `path`: what is free, less what is kept for the site (512 MiB, or a
// twentieth of a small disk).
uint64_t room_left(const std::string& path);

}  // namespace hf::os
