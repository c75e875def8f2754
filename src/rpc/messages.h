// What site and worker say to each other: plain data over a socket pair. A frame is
//   u32le length of what follows | u8 type | u64le request id | u8 number of descriptors | body
// with the descriptors as SCM_RIGHTS on the frame's first byte. A body is its struct's members in order: integers
// little-endian fixed width, bool one byte (0 or 1), strings and lists with a u32 count, maps as lists of key and value
// in strictly ascending order of keys, doubles as their bits. Limits: frame 64 MiB, list 1 << 20, descriptors 64.
// A frame that does not parse to its last byte ends the connection. codec.h encodes, channel.h carries.
//
// The conversation. The worker sends one hello (request id 0), then the site sends tasks, each with an id of its own
// that is not 0, and the worker answers each with any number of text/progress events and then exactly one last event:
//
//   task                      body             descriptors                        last event (or failed)
//   load                      LoadTask         one for each of LoadTask::files    card: ModelCard
//   unload                    UnloadTask       -                                  unloaded: no body
//   inspect                   LoadTask         as load                            card: ModelCard
//   count                     CountTask        -                                  counted: Counted
//   generate                  GenerateRequest  -                                  finished: Finished (text: Text
//   before) train                     TrainTask        see TrainTask                      trained: TrainDone (progress
//   before) probe                     ProbeTask        -                                  report: ProbeReport counters
//   no body          -                                  counted_all: EngineCounters
//
// cancel, pause, resume and stop carry no body and name a task by its id; one that is over (or never was) is ignored.
// A cancelled generate finishes with stop_reason "cancelled". pause holds a generate between tokens until resume;
// stop ends a train early, with what was learnt written. The site ends a worker by closing its socket.
//
// A worker is this program, started as `holdfast worker --socket FD [--threads N] [--kv-bytes N]` with HOLDFAST_ISA in
// its environment where an instruction set is forced, and no other descriptor than FD, 0, 1 and 2.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace hf::rpc {

enum class Type : uint8_t {
  hello = 1,
  // site -> worker
  load = 16,
  unload,
  inspect,
  count,
  generate,
  train,
  probe,
  counters,
  cancel = 32,
  pause,
  resume,
  stop,
  // worker -> site
  text = 48,
  progress,
  card = 64,
  unloaded,
  counted,
  finished,
  trained,
  report,
  counted_all,
  failed,  // the last event of a task
};
inline bool is_last(Type type) { return type >= Type::card; }

struct LoadTask {
  std::string digest;              // what the model is called from now on
  std::vector<std::string> files;  // names ("config.json", ...), one readable descriptor each, in this order
  bool cache = false;              // one more descriptor, to read and write: the kernels' form of the weights
};
struct UnloadTask {
  std::string digest;
};
struct ProbeTask {                 // what the worker is to try to reach, beside what it tries anyway
  std::vector<std::string> files;  // paths of the site's (state, keys, ledger)
  std::string unix_socket;         // a path of the site's, may be empty
  int32_t tcp_port = 0;            // the site's, on loopback; 0: port 80
};
struct Text {
  std::string piece;  // whole UTF-8 characters
};
struct Failed {      // hf::Error over the wire
  uint8_t code = 0;  // hf::Code
  std::string name, message;
};
struct Counted {
  int64_t tokens = 0;
};

struct Hello {                      // worker -> site, first
  std::string build;                // sha256 of the program file, hex
  std::string isa;                  // "scalar" | "avx2" | "avx512"
  std::string isolation;            // in plain words: what holds it
  std::vector<std::string> layers;  // "user namespace", "network namespace", "seccomp", "landlock", ... that hold
};

struct ModelCard {
  std::string digest, architecture, chat_format;
  int64_t parameters = 0, vocabulary = 0, context = 0, layers = 0, width = 0, heads = 0, kv_heads = 0;
  uint64_t bytes = 0;
  std::string dtype;
};

struct Turn {
  std::string role, text;  // "system" | "user" | "assistant"
};
struct Prompt {
  std::vector<Turn> turns;  // rendered with the model's chat format
  std::string raw;          // used when turns is empty
  std::string prefill;      // the start of the answer, part of the input
};

struct Sampling {
  double temperature = 0;  // 0: greedy; else (0, 2]
  double top_p = 1;        // (0, 1]
  double min_p = 0;        // [0, 1)
  int32_t top_k = 0;       // 0: all
  uint64_t seed = 0;
  int32_t max_tokens = 512;
  std::vector<std::string> stop;  // at most 16, each at most 256 bytes
};

struct CountTask {
  std::string digest;  // model
  Prompt prompt;
};

struct GenerateRequest {
  std::string digest;  // model
  std::string tenant;  // account: fairness and cache keys
  Prompt prompt;
  Sampling sampling;
  std::string salt;  // 16 bytes, for the digests
};

struct Finished {
  int64_t input_tokens = 0, output_tokens = 0;  // all that the engine computed, an end token included
  std::string stop_reason;                      // "end_turn" | "max_tokens" | "stop_sequence" | "cancelled"
  std::string stop_sequence;
  std::string input_digest, output_digest, text_digest;  // 32 bytes; sha256(salt || u32le ids), sha256(salt || text)
  std::string build, isa;
  int64_t queued_us = 0, first_token_us = 0, total_us = 0;
};

struct TrainTask {
  std::map<std::string, std::string> hyperparameters;  // names and ranges: docs/training.md
  uint64_t seed = 0;
  int32_t train_files = 0, validation_files = 0;  // so many descriptors follow, in this order, then outputs:
  std::vector<std::string> outputs;               // file names; one writable descriptor each; then
  int32_t checkpoint_files = 0;                   // 0 or 2: descriptors to read and to write
};
struct TrainProgress {
  std::string phase;  // "reading" | "tokenizer" | "training" | "writing"
  int64_t step = 0, steps = 0, tokens = 0;
  double loss = 0, validation_loss = -1, learning_rate = 0, tokens_per_second = 0, seconds_left = 0;
  uint64_t peak_bytes = 0;
  std::string note;  // what the one who asked should know: "goes on from the checkpoint of step 40"; else empty
};
struct TrainDone {
  int64_t steps = 0, tokens = 0, examples = 0, parameters = 0;
  double loss = 0, validation_loss = -1, seconds = 0, tokens_per_second = 0;
  uint64_t peak_bytes = 0;
  bool stopped = false;     // asked to stop before the last step
  std::string data_digest;  // sha256 over the training files' bytes, in order, hex
  std::vector<std::string> files_written;
};

struct ProbeAttempt {
  std::string name;     // "dns", "ipv6", "raw socket", "inherited descriptor", "site file", ...
  std::string tried;    // the call, in words
  std::string outcome;  // errno's name, or what was got
  bool refused = false;
};
struct ProbeReport {
  std::vector<ProbeAttempt> attempts;
  std::map<std::string, int64_t> counters;  // the kernel's: packets out of the namespace, seccomp refusals, ...
};

struct EngineCounters {
  int64_t requests = 0, input_tokens = 0, output_tokens = 0, running = 0, queued = 0;
  int64_t kv_pages = 0, kv_pages_used = 0, batches = 0, preemptions = 0;
};

}  // namespace hf::rpc
