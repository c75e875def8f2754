// Checkpoints of a training run: two files that are written in turn, so that whatever happens while one is written, the
// other is whole. A file is a safetensors file of the trainer's snapshot (weights, first, second: F32, the trainer's
// own layout) whose metadata names the run, says how far it was, and holds a SHA-256 over all of it.
//
// A checkpoint belongs to one run: the same program, hyperparameters, seed and data. Another's is passed over, so that
// what goes on from one is bit-equal to a run that was never broken off, or begins anew.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/train_settings.h"
#include "model/trainer.h"
#include "os/fs.h"

namespace hf::engine {

// How far a run is, beside what the trainer holds.
struct RunState {
  int64_t steps = 0, tokens = 0;
  double loss = 0, validation_loss = -1;
  double seconds = 0;                         // trained, over all parts of the run
  double mean_loss = 0, lowest_loss = 1e300;  // of the watch for divergence
  int64_t losses_seen = 0;
  bool operator==(const RunState&) const = default;
};

// SHA-256, hex, of what the weights after n steps are a function of.
std::string run_identity(const std::string& build, const TrainSettings& settings, uint64_t seed,
                         const std::string& data_digest);

// Two files, or none: then nothing is restored and nothing written. Not thread-safe.
class Checkpoints {
 public:
  Checkpoints(std::vector<std::unique_ptr<os::File>> files, std::string identity)
      : files_(std::move(files)), identity_(std::move(identity)) {}

  // The newest whole checkpoint of this run, put into the trainer; steps 0: there was none. `note` gets what was found,
  // in words, where there was anything. An error is the trainer's or the disk's.
  Result<RunState> restore(model::LlamaTrainer& trainer, std::string& note);
  // Synced when it returns. After an error the checkpoint before is still whole, and the next one is written over the
  // one that failed.
  Status write(const model::LlamaTrainer& trainer, const RunState& state);

 private:
  struct Found;
  Result<Found> read(os::File& file, size_t numbers) const;
  std::vector<std::unique_ptr<os::File>> files_;
  std::string identity_;
  size_t next_ = 0;  // the file that is written next
};

}  // namespace hf::engine
