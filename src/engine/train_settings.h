// Hyperparameters of a training job: names, ranges, defaults. The table in train_settings.cc is what parsing and
// docs/training.md follow (a test compares them).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/result.h"
#include "model/llama.h"
#include "model/trainer.h"

namespace hf::engine {

struct TrainSettings {
  // Model
  int64_t layers = 4, width = 128, heads = 4, kv_heads = 0, ffn = 0, vocabulary = 2048, context = 512;
  double rope_theta = 10000;
  int64_t digits = 1;  // of a number in one token
  bool tied = true;
  // Data
  int64_t batch_tokens = 2048;
  double prompt_weight = 0;  // of the loss of a prompt's tokens; a completion's have 1
  double prompt_drop = 0;    // probability that a token of the prompt is left out while training
  // Time: `steps` if not 0, else `epochs`
  int64_t steps = 0;
  double epochs = 1;
  int64_t max_seconds = 0;  // 0: none
  // Optimiser
  double learning_rate = 2e-3, min_learning_rate = 0, warmup = 0.05;  // warm-up and the rest by share of the whole
  double beta1 = 0.9, beta2 = 0.98, weight_decay = 0.1, clip = 1, init_deviation = 0.05;
  // Output
  int64_t validation_every = 0;  // steps; 0: at the end only
  int64_t checkpoint_every = 0;  // steps; 0: none
  bool bf16 = false;             // stored weights
  std::string compute = "f32";   // "f32" | "bf16" | "auto"; a job that runs has one of the first two

  int64_t head_dim() const { return width / heads; }
};

struct SettingRow {
  const char* name;
  const char* standard;  // what it is when not given, as text
  const char* range;     // in words
  const char* meaning;
};
std::span<const SettingRow> setting_rows();

// invalid: an unknown name, a value out of its range, or values that do not fit together; says which and what was
// expected.
Result<TrainSettings> parse_settings(const std::map<std::string, std::string>& hyperparameters);
// All of them, the defaults included, as parse_settings takes them.
std::map<std::string, std::string> describe_settings(const TrainSettings& settings);

model::LlamaConfig llama_config(const TrainSettings& settings, int64_t vocabulary);
model::AdamWSettings adamw_settings(const TrainSettings& settings);

// Warm-up, then a cosine down to min_learning_rate. `done` in [0, 1]: the share of the whole that is behind us.
double learning_rate_at(const TrainSettings& settings, double done);

}  // namespace hf::engine
