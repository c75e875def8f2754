#include "engine/train.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "engine/checkpoint.h"
#include "engine/train_data.h"
#include "engine/train_outputs.h"
#include "engine/train_settings.h"
#include "model/tokenizer/trainer.h"
#include "model/trainer.h"
#include "tensor/pairs.h"

namespace hf::engine {
namespace {

constexpr int64_t kProgressEveryUs = 250'000;
constexpr size_t kTokenizerBytes = 64 << 20;  // of text that the tokenizer learns from: counts change little beyond
constexpr int64_t kValidationExamples = 512;  // at most: a validation should cost about as much as some steps

// Ends a run that goes nowhere: a loss that is not a number, or whose running mean rose far above its lowest.
class DivergenceWatch {
 public:
  DivergenceWatch() = default;
  explicit DivergenceWatch(const RunState& s) : mean_(s.mean_loss), lowest_(s.lowest_loss), seen_(s.losses_seen) {}
  void keep(RunState& s) const {
    s.mean_loss = mean_;
    s.lowest_loss = lowest_;
    s.losses_seen = seen_;
  }
  Status see(int64_t step, double loss, double gradient_norm) {
    if (!std::isfinite(loss) || !std::isfinite(gradient_norm)) return diverged(step, "is not a finite number");
    mean_ = seen_++ == 0 ? loss : 0.95 * mean_ + 0.05 * loss;
    lowest_ = std::min(lowest_, mean_);
    // A fresh model's loss is log(vocabulary) < 12; a rise by 3 is far beyond the noise of batches.
    if (seen_ > 20 && mean_ > lowest_ + 3) return diverged(step, "rose far above what it was");
    return {};
  }

 private:
  static Error diverged(int64_t step, const std::string& how) {
    return fail(Code::invalid, "training diverged: at step " + std::to_string(step) + " the loss " + how +
                                   "; a lower learning_rate or a longer warmup may help");
  }
  double mean_ = 0, lowest_ = 1e300;
  int64_t seen_ = 0;
};

class Job {
 public:
  Job(const rpc::TrainTask& task, TrainFiles files, const TrainHooks& hooks, const TrainEnvironment& environment)
      : task_(task), files_(std::move(files)), hooks_(hooks), env_(environment) {}

  Result<rpc::TrainDone> run() {
    started_us_ = env_.clock.monotonic_us();
    settings_ = TRY(parse_settings(task_.hyperparameters));
    if (files_.train.empty()) return fail(Code::invalid, "a training job needs at least one file to train on");
    TRY(check_outputs(files_));
    TRY(learn_tokenizer());
    TRY(encode());
    TRY(train());
    TRY(write());
    return done_;
  }

 private:
  void report(const char* phase, bool always = false) {
    const int64_t now = env_.clock.monotonic_us();
    if (!hooks_.progress || (!always && now - reported_us_ < kProgressEveryUs)) return;
    reported_us_ = now;
    rpc::TrainProgress p;
    p.phase = phase;
    p.step = done_.steps;
    p.steps = steps_;
    p.tokens = done_.tokens;
    p.loss = done_.loss;
    p.validation_loss = done_.validation_loss;
    p.learning_rate = learning_rate_;
    const double spent = trained_seconds(now);
    p.tokens_per_second = spent > 0 ? static_cast<double>(done_.tokens) / spent : 0;
    const double share = share_done(now);
    p.seconds_left = share > 0 ? spent * (1 - share) / share : 0;
    p.peak_bytes = hooks_.peak_bytes ? hooks_.peak_bytes() : 0;
    p.note = std::exchange(note_, "");
    hooks_.progress(p);
  }

  bool stopped() {
    if (!done_.stopped && hooks_.stop && hooks_.stop()) done_.stopped = true;
    return done_.stopped;
  }

  template <class Use>
  Status each_example(const std::vector<std::unique_ptr<os::File>>& files, const char* kind, const Use& use,
                      crypto::Hasher* hasher) {
    const std::function<Status(TextExample)> use_or_stop = [&](TextExample example) -> Status {
      if (stopped()) return nothing_to_write();
      return use(std::move(example));
    };
    for (size_t i = 0; i < files.size(); ++i) {
      Status read = read_lines(*files[i], std::string(kind) + " file " + std::to_string(i + 1), use_or_stop,
                               [&](std::string_view bytes) {
                                 if (hasher != nullptr) hasher->update(bytes);
                               });
      if (done_.stopped) return nothing_to_write();  // no line is at fault
      TRY(std::move(read));
    }
    return {};
  }

  static Error nothing_to_write() {
    return fail(Code::unavailable, "stopped before training began: there is nothing to write");
  }

  Status learn_tokenizer() {
    report("reading", true);
    model::TrainerOptions options;
    options.vocabulary = static_cast<int32_t>(settings_.vocabulary);
    options.digits = static_cast<int>(settings_.digits);
    options.special = model::holdfast_special_tokens();
    auto trainer = TRY(model::TokenizerTrainer::make(options));
    crypto::Hasher hasher(crypto::Hash::sha256);
    size_t bytes = 0;
    TRY(each_example(
        files_.train, "train",
        [&](TextExample example) -> Status {
          ++done_.examples;
          bytes += example.prompt.size() + example.completion.size();
          report("reading");
          if (bytes > kTokenizerBytes) return {};
          TRY(trainer.add(example.prompt));
          return trainer.add(example.completion);
        },
        &hasher));
    if (done_.examples == 0) return fail(Code::invalid, "the training files hold no example");
    done_.data_digest = hex(hasher.finish());
    report("tokenizer", true);
    tokenizer_ = std::make_unique<model::Tokenizer>(TRY(model::Tokenizer::make(TRY(trainer.train()))));
    return {};
  }

  Status encode() {
    const auto into = [&](TokenData& data) {
      return [&](TextExample example) -> Status {
        report("tokenizer");
        return data.add(*tokenizer_, example, settings_.context);
      };
    };
    TRY(each_example(files_.train, "train", into(train_data_), nullptr));
    TRY(each_example(files_.validation, "validation", into(validation_data_), nullptr));
    if (stopped()) return nothing_to_write();
    return {};
  }

  // Those of the run's parts before a checkpoint included.
  double trained_seconds(int64_t now) const {
    return before_seconds_ + (begun_us_ > 0 ? static_cast<double>(now - begun_us_) * 1e-6 : 0);
  }

  // By steps, or by time where that is ahead: the schedule then ends when the time does.
  double share_done(int64_t now) const {
    double share = steps_ > 0 ? static_cast<double>(done_.steps) / static_cast<double>(steps_) : 0;
    if (settings_.max_seconds > 0 && begun_us_ > 0) {
      const double whole =
          static_cast<double>(settings_.max_seconds) - static_cast<double>(begun_us_ - started_us_) * 1e-6;
      share = std::max(share, whole > 0 ? trained_seconds(now) / whole : 1);
    }
    return std::min(share, 1.0);
  }

  Status train() {
    const model::LlamaConfig config = llama_config(settings_, tokenizer_->size());
    TRY(check_config(config));
    if (settings_.compute == "auto") settings_.compute = env_.fast_bf16 && env_.kernels.pairs->native ? "bf16" : "f32";
    trainer_ =
        std::make_unique<model::LlamaTrainer>(config, adamw_settings(settings_), env_.kernels, env_.pool, nullptr,
                                              settings_.compute == "bf16" ? model::Compute::bf16 : model::Compute::f32);
    trainer_->init(task_.seed, static_cast<float>(settings_.init_deviation));
    done_.parameters = config.parameters();
    Batcher batches(train_data_, settings_.batch_tokens, static_cast<float>(settings_.prompt_weight),
                    settings_.prompt_drop, task_.seed ^ 0x6261746368u);
    steps_ = settings_.steps > 0 ? settings_.steps : batches.steps_for(settings_.epochs);
    begun_us_ = env_.clock.monotonic_us();
    report("training", true);
    Checkpoints checkpoints(std::move(files_.checkpoints),
                            run_identity(env_.build, settings_, task_.seed, done_.data_digest));
    DivergenceWatch watch(TRY(go_on(checkpoints, batches)));
    double share = share_done(env_.clock.monotonic_us());
    while (done_.steps < steps_ && share < 1 && !stopped()) {
      TRY(one_step(batches, watch, share));
      checkpoint(checkpoints, watch);
      share = share_done(env_.clock.monotonic_us());
    }
    if (done_.steps == 0) return fail(Code::unavailable, "stopped before the first step: there is nothing to write");
    validate();
    const int64_t now = env_.clock.monotonic_us();
    done_.seconds = static_cast<double>(now - started_us_) * 1e-6;
    done_.tokens_per_second = trained_seconds(now) > 0 ? static_cast<double>(done_.tokens) / trained_seconds(now) : 0;
    report("training", true);
    return {};
  }

  Status one_step(Batcher& batches, DivergenceWatch& watch, double share) {
    const model::Batch batch = batches.next();
    // The middle of the step: the first rate is above zero, and so is the last.
    learning_rate_ = learning_rate_at(settings_, std::min(1.0, share + 0.5 / static_cast<double>(steps_)));
    const model::StepResult result = trainer_->step(batch, static_cast<float>(learning_rate_));
    ++done_.steps;
    done_.tokens += static_cast<int64_t>(batch.tokens.size());
    done_.loss = result.loss;
    TRY(watch.see(done_.steps, result.loss, result.gradient_norm));
    if (settings_.validation_every > 0 && done_.steps % settings_.validation_every == 0) validate();
    report("training");
    return {};
  }

  // To where the newest checkpoint was written, if there is one.
  Result<RunState> go_on(Checkpoints& checkpoints, Batcher& batches) {
    const RunState state = TRY(checkpoints.restore(*trainer_, note_));
    done_.steps = state.steps;
    done_.tokens = state.tokens;
    done_.loss = state.loss;
    done_.validation_loss = state.validation_loss;
    before_seconds_ = state.seconds;
    for (int64_t i = 0; i < state.steps; ++i) (void)batches.next();
    begun_us_ = env_.clock.monotonic_us();
    if (!note_.empty()) report("training", true);
    return state;
  }

  void checkpoint(Checkpoints& checkpoints, const DivergenceWatch& watch) {
    if (settings_.checkpoint_every == 0 || done_.steps % settings_.checkpoint_every != 0) return;
    RunState state;
    state.steps = done_.steps;
    state.tokens = done_.tokens;
    state.loss = done_.loss;
    state.validation_loss = done_.validation_loss;
    state.seconds = trained_seconds(env_.clock.monotonic_us());
    watch.keep(state);
    const Status written = checkpoints.write(*trainer_, state);
    if (written.ok()) return;
    note_ =
        "the checkpoint of step " + std::to_string(done_.steps) + " could not be written: " + written.error().message;
    report("training", true);
  }

  void validate() {
    const int64_t count = std::min(validation_data_.examples(), kValidationExamples);
    if (count == 0) return;
    double loss = 0;
    int64_t targets = 0;
    Dice unused(0);
    for (int64_t i = 0; i < count;) {
      model::Batch batch;
      while (i < count && static_cast<int64_t>(batch.tokens.size()) < settings_.batch_tokens) {
        validation_data_.append_to(batch, i++, 0, 0, unused);
      }
      const model::StepResult part = trainer_->evaluate(batch);
      loss += part.loss * static_cast<double>(part.targets);
      targets += part.targets;
    }
    done_.validation_loss = loss / static_cast<double>(targets);
  }

  Status write() {
    report("writing", true);
    done_.peak_bytes = hooks_.peak_bytes ? hooks_.peak_bytes() : 0;
    const Lineage lineage{task_, settings_, done_, env_.build, env_.kernels.isa};
    done_.files_written = TRY(write_outputs(files_, *trainer_, *tokenizer_, lineage));
    return {};
  }

  const rpc::TrainTask& task_;
  TrainFiles files_;
  const TrainHooks& hooks_;
  const TrainEnvironment& env_;
  TrainSettings settings_;
  rpc::TrainDone done_;
  std::unique_ptr<model::Tokenizer> tokenizer_;
  std::unique_ptr<model::LlamaTrainer> trainer_;
  TokenData train_data_, validation_data_;
  int64_t started_us_ = 0, begun_us_ = 0, reported_us_ = 0, steps_ = 0;
  double learning_rate_ = 0;
  double before_seconds_ = 0;  // trained, before the checkpoint that this run goes on from
  std::string note_;           // for the next report
};

}  // namespace

Result<rpc::TrainDone> run_training(const rpc::TrainTask& task, TrainFiles files, const TrainHooks& hooks,
                                    const TrainEnvironment& environment) {
  return Job(task, std::move(files), hooks, environment).run();
}

}  // namespace hf::engine
