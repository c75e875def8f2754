// One step of training for the Llama family: forward, backward, clip, AdamW. Loops, data and schedules are engine's.
//
// Gradient convention: gradients of weights add up over a step's micro-batches (the first one overwrites); gradients of
// activations overwrite, except where a residual path joins, where they add.
//
// How a step is cut for threads (each line one Pool loop):
//   1  a chunk of whole sequences: forward and backward of all layers. Kept for 2: each matrix's input rows and the
//      gradients of its output rows, for all rows of the micro-batch.
//   2  a block of columns of one matrix: gradient = inputs^T . output gradients, the rows in order.
//   3  a block of one weight: sum of squares
//   4  a block of one weight: AdamW, and the forms of the weight that 1 reads
// Chunks depend on the batch alone and every sum has one order, so the bits depend neither on the threads nor on the
// instruction set nor on the size of micro-batches.
//
// In the last layer only keys and values are computed for the rows before a sequence's first target.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/llama.h"
#include "os/clock.h"
#include "tensor/kernels.h"
#include "tensor/pool.h"

namespace hf::model {

struct AdamWSettings {
  float beta1 = 0.9f, beta2 = 0.95f, epsilon = 1e-8f;
  float weight_decay = 0.1f;  // on matrices; never on gains, nor on the embedding
  float clip = 1.0f;          // of the gradient's norm; 0: none
};

// What the products of weights and activations, and their gradients, are computed with. Weights, sums, the optimiser,
// attention and everything else stay in floats. Each gives the same bits on every machine.
enum class Compute {
  f32,
  bf16,  // operands rounded to bfloat16 (tensor/pairs.h)
};

// Sequences end to end. Row i predicts targets[i] from the rows of its sequence up to i.
struct Batch {
  std::vector<int32_t> tokens;
  std::vector<int32_t> targets;  // -1: no loss here
  std::vector<float> weights;    // of the loss of each row, >= 0; read where there is a target
  std::vector<int64_t> ends;     // rows after each sequence's last; ascending, the last is tokens.size()
};

struct StepResult {
  double loss = 0;           // mean over targets, by weight
  double gradient_norm = 0;  // before clipping
  int64_t targets = 0;
};

// Microseconds summed over threads, since construction.
struct TrainerTimes {
  int64_t forward = 0, backward = 0, gradients = 0, optimiser = 0;
};

class LlamaTrainer {
 public:
  // `clock`: for times(), may be null. Memory is about 4 times the parameters, their two packed forms, and the rows of
  // a micro-batch.
  LlamaTrainer(const LlamaConfig& config, const AdamWSettings& settings, const tensor::Kernels& kernels,
               tensor::Pool& pool, os::Clock* clock, Compute compute = Compute::f32);
  ~LlamaTrainer();

  // Normal numbers of deviation `deviation` (matrices that write to the residual path: / sqrt(2 L)), gains 1.
  void init(uint64_t seed, float deviation);
  // Weights from a model, for going on with it.
  Status load(const TensorSource& source);

  // check()s the batch: the caller validates tokens. At least one target with a weight above 0.
  StepResult step(const Batch& batch, float learning_rate);
  // The loss alone; nothing changes.
  StepResult evaluate(const Batch& batch);

  // In the order and shapes of tensor_specs(config). `gradients`: those of the last step, after clipping is not
  // applied.
  Status save(const std::function<Status(const TensorSpec& spec, std::span<const float> values)>& sink,
              bool gradients = false) const;

  // All that step() carries from one call to the next, in the trainer's own layout: another trainer of the same
  // program, config and compute that restores it goes on with the same bits. The spans live as long as the trainer.
  struct Snapshot {
    int64_t steps = 0;
    std::span<const float> weights, first, second;  // AdamW's moments; all of one length
  };
  Snapshot snapshot() const;
  Status restore(const Snapshot& snapshot);  // copies. invalid: another length, or steps below 0

  const LlamaConfig& config() const;
  TrainerTimes times() const;
  uint64_t memory_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hf::model
