// A training job inside the worker: files in, a Hugging Face folder out.
//
// Phases: read and check every line, learn a byte-level BPE tokenizer from the texts, encode them, train a decoder from
// scratch, write. The same data, seed and hyperparameters give the same bytes of weights, whatever the number of
// threads and the instruction set (but with max_seconds, or when stopped).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/fs.h"
#include "rpc/messages.h"
#include "tensor/kernels.h"
#include "tensor/pool.h"

namespace hf::engine {

// Files that a job can write; TrainTask::outputs names those that are wanted. They make the model's folder.
//   config.json, model.safetensors, tokenizer.json, tokenizer_config.json, generation_config.json
//   holdfast.json           lineage: data digest, hyperparameters, seed, build, instruction set, figures
const std::vector<std::string>& training_outputs();

struct TrainFiles {
  std::vector<std::unique_ptr<os::File>> train, validation;                // JSON lines; at least one to train on
  std::vector<std::pair<std::string, std::unique_ptr<os::File>>> outputs;  // name, writable and empty
  std::vector<std::unique_ptr<os::File>> checkpoints;  // none or two: read at the start, written each checkpoint_every
};

struct TrainHooks {
  std::function<void(const rpc::TrainProgress&)> progress;  // on the calling thread, at most some 4 times a second
  std::function<bool()> stop;                               // asked before each step: true ends early and writes
  std::function<uint64_t()> peak_bytes;                     // of this process; may be null
};

struct TrainEnvironment {
  const tensor::Kernels& kernels;
  tensor::Pool& pool;
  os::Clock& clock;
  std::string build;  // goes into holdfast.json
  bool fast_bf16 =
      false;  // this machine's bfloat16 products are faster than those of floats: `compute` auto takes them
};

// Goes on from the newest whole checkpoint of the same task and program (checkpoint.h), to the same bits as a run that
// was never broken off. A checkpoint that cannot be written is no error: progress says so, and the run goes on.
// Blocks until done. invalid: hyperparameters, or a line of the data (named). internal/unavailable of the files as they
// say. A loss that is not finite, or far above what it was, is an error of code invalid that names the step.
Result<rpc::TrainDone> run_training(const rpc::TrainTask& task, TrainFiles files, const TrainHooks& hooks,
                                    const TrainEnvironment& environment);

}  // namespace hf::engine
