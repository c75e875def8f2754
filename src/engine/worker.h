// The worker process: a sandbox around an engine, led by frames over one socket (rpc/messages.h).
// Threads: "main" does all work; "rpc-reader" only receives, so that a cancel or stop is seen while main computes;
// "math-N" are the pool's.
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace hf::engine {

struct WorkerOptions {
  bool tell_refusals = false;  // the hello carries the listener of os/refusals.h, and its receiver watches it
  std::string isa;             // "": the best that the machine has
  int threads = 0;             // 0: all cores
  uint64_t kv_bytes = uint64_t{256} << 20;
  uint64_t memory_bytes = 0;  // of data at most; 0: what the machine has
};

// Enters the sandbox, says hello, and serves until the site closes the socket (0), or a frame or the socket is broken
// (2, with a line on stderr). Takes the socket over. Call it before any thread is started.
int run_worker(int socket, const WorkerOptions& options);

// `holdfast worker --socket FD [--threads N] [--kv-bytes N]`, HOLDFAST_ISA from the environment. 64: wrong usage.
int worker_entry(int argc, char** argv);

// `holdfast ways-out [--port N] [--socket PATH]`, for use in a job: tries them (engine/probe.h) and prints the report
// as one JSON object. 0 where all were refused, else 1; 64: wrong usage.
int ways_out_entry(int argc, char** argv);

}  // namespace hf::engine
