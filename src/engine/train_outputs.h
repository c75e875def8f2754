// What a training job writes; see train.h for the names.
#pragma once

#include <string>
#include <vector>

#include "engine/train.h"
#include "engine/train_settings.h"
#include "model/tokenizer/tokenizer.h"
#include "model/trainer.h"

namespace hf::engine {

struct Lineage {
  const rpc::TrainTask& task;
  const TrainSettings& settings;
  const rpc::TrainDone& done;
  const std::string& build;
  std::string isa;
};

Status check_outputs(const TrainFiles& files);  // invalid: a name that is not one of training_outputs()
// Each file is truncated, written and synced. Returns the names, in the order given.
Result<std::vector<std::string>> write_outputs(TrainFiles& files, const model::LlamaTrainer& trainer,
                                               const model::Tokenizer& tokenizer, const Lineage& lineage);

}  // namespace hf::engine
