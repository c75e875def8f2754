// A developer's tool: trains the quickstart's model on the generated tickets through the library, without the site, and
// scores it on the held-out ones. For the search of the recipe.
// --known: scored on new tickets of the patterns it was trained on instead.
//   train_quick [--train N] [--eval N] [--seed S] [--threads T] [--show WRONG_ONES] [--known] [name=value ...]
//   HOLDFAST_ISA chooses the kernels
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "app/quickstart/dataset.h"
#include "app/quickstart/scoring.h"
#include "engine/train.h"
#include "format/safetensors.h"
#include "format/tokenizer.h"
#include "model/arch/arch.h"
#include "model/chat.h"
#include "model/llama.h"
#include "os/fs.h"

namespace hf {
namespace {

using Rows = std::vector<model::TokenRow>;

struct Answering {
  const app::Example* example;
  std::vector<int32_t> out;
  std::vector<tensor::Floats> memory;
  std::vector<float*> pages;
  int32_t position = 0;
  bool ended = false;
};

class Answerer {
 public:
  Answerer(const model::LlamaModel& model, const model::Tokenizer& tokenizer, tensor::Pool& pool)
      : model_(model), tokenizer_(tokenizer), pool_(pool) {}

  void answer(std::vector<Answering>& all) {
    for (size_t begin = 0; begin < all.size(); begin += 32) {
      run(std::span(all).subspan(begin, std::min<size_t>(32, all.size() - begin)));
    }
  }

 private:
  void add(Rows& rows, std::vector<model::Sequence>& sequences, Answering& a, std::span<const int32_t> ids) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (a.position % model::kPagePositions == 0) {
        a.memory.emplace_back(static_cast<size_t>(model::page_floats(model_.config)));
        a.pages.push_back(a.memory.back().data());
      }
      rows.push_back({ids[i], a.position++, static_cast<int32_t>(sequences.size()), i + 1 == ids.size()});
    }
    sequences.push_back({a.pages});
  }

  void run(std::span<Answering> batch) {
    const auto vocabulary = static_cast<size_t>(model_.config.vocabulary);
    std::vector<float> logits(batch.size() * vocabulary);
    for (int step = 0; step < 64; ++step) {
      Rows rows;
      std::vector<model::Sequence> sequences;
      std::vector<Answering*> live;
      for (Answering& a : batch) {
        if (a.ended) continue;
        live.push_back(&a);
        if (step > 0) {
          add(rows, sequences, a, std::span(&a.out.back(), 1));
          continue;
        }
        const model::ChatTurn turn{"user", a.example->prompt};
        const auto ids = render_prompt(tokenizer_, model::ChatFormat::holdfast, {&turn, 1});
        add(rows, sequences, a, *ids);
      }
      if (live.empty()) return;
      forward_tokens(model_, pool_, rows, sequences, workspace_, logits);
      for (size_t i = 0; i < live.size(); ++i) {
        const float* row = logits.data() + i * vocabulary;
        const auto best = static_cast<int32_t>(std::max_element(row, row + vocabulary) - row);
        live[i]->ended = tokenizer_.special(best);
        if (!live[i]->ended) live[i]->out.push_back(best);
      }
    }
  }

  const model::LlamaModel& model_;
  const model::Tokenizer& tokenizer_;
  tensor::Pool& pool_;
  model::Workspace workspace_;
};

Result<std::unique_ptr<model::LlamaModel>> load(const std::string& folder, const tensor::Kernels& kernels) {
  os::Fs& fs = os::real_fs();
  const auto config = TRY(model::read_config(TRY(fs.read_file(folder + "/config.json", 1 << 20))));
  const std::string bytes = TRY(fs.read_file(folder + "/model.safetensors", 1 << 30));
  const auto header = TRY(format::parse_safetensors_header(bytes, bytes.size()));
  const auto source = [&](const std::string& name) -> Result<tensor::View> {
    const auto at = header.tensors.find(name);
    if (at == header.tensors.end()) return fail(Code::not_found, name);
    return tensor::View{TRY(tensor::dtype_of(format::dtype_name(at->second.dtype))), at->second.shape,
                        bytes.data() + header.data_offset + at->second.begin};
  };
  return model::LlamaModel::load(config.llama, source, false, kernels);
}

Status score(const std::string& folder, const app::Dataset& data, const tensor::Kernels& kernels, tensor::Pool& pool,
             int show) {
  const auto model = TRY(load(folder, kernels));
  const auto tokenizer = TRY(model::Tokenizer::make(
      TRY(format::parse_tokenizer(TRY(os::real_fs().read_file(folder + "/tokenizer.json", 1 << 26))))));
  std::vector<Answering> all;
  for (const app::Example& e : data.held_out) all.push_back({&e, {}, {}, {}, 0, false});
  const int64_t start = os::real_clock().monotonic_us();
  Answerer(*model, tokenizer, pool).answer(all);
  const double seconds = static_cast<double>(os::real_clock().monotonic_us() - start) * 1e-6;
  app::Scorer scorer(data);
  for (const Answering& a : all) {
    const std::string text = TRY(tokenizer.decode(a.out));
    scorer.add(text, a.example->completion);
    if (text == a.example->completion || show-- <= 0) continue;
    std::fprintf(stderr, "%s\n  want %s\n  got  %s\n", a.example->prompt.c_str(), a.example->completion.c_str(),
                 text.c_str());
  }
  const app::Score& s = scorer.score();
  std::printf("decided %.3f whole %.3f invalid %zu |", s.decided_rate(), s.whole_rate(), s.invalid);
  for (size_t i = 0; i < data.fields.size(); ++i)
    std::printf(" %s %.3f", data.fields[i].c_str(), s.rate(s.by_field[i]));
  std::printf(" | eval %.1f s\n", seconds);
  return {};
}

Status run(int argc, char** argv) {
  rpc::TrainTask task;
  uint64_t train = 20000, held_out = 1000;
  int threads = 2, show = 0;
  bool known = false;
  task.seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::atoll(argv[++i]) : 0; };
    if (arg == "--train") {
      train = static_cast<uint64_t>(value());
    } else if (arg == "--eval") {
      held_out = static_cast<uint64_t>(value());
    } else if (arg == "--seed") {
      task.seed = static_cast<uint64_t>(value());
    } else if (arg == "--known") {
      known = true;
    } else if (arg == "--show") {
      show = static_cast<int>(value());
    } else if (arg == "--threads") {
      threads = static_cast<int>(value());
    } else {
      const size_t at = arg.find('=');
      if (at == std::string::npos) return fail(Code::invalid, "expected name=value, found " + arg);
      task.hyperparameters[arg.substr(0, at)] = arg.substr(at + 1);
    }
  }
  const char* forced = std::getenv("HOLDFAST_ISA");
  const tensor::Kernels& kernels = *TRY(tensor::choose_kernels(forced != nullptr ? forced : "", os::cpu_info()));
  tensor::Pool pool(threads);
  app::Dataset data = app::ticket_dataset(1, train, held_out);
  if (known) data.held_out = app::ticket_dataset(2, held_out, 0).train;
  os::Fs& fs = os::real_fs();
  const std::string folder = "/tmp/train_quick." + std::to_string(os::real_clock().monotonic_us());
  TRY(fs.make_dirs(folder));
  TRY(fs.write_file_atomic(folder + "/train.jsonl", to_lines(data.train)));
  TRY(fs.write_file_atomic(folder + "/held_out.jsonl", to_lines(data.held_out)));
  engine::TrainFiles files;
  files.train.push_back(TRY(fs.open(folder + "/train.jsonl", os::Open::read)));
  files.validation.push_back(TRY(fs.open(folder + "/held_out.jsonl", os::Open::read)));
  for (const std::string& name : engine::training_outputs()) {
    files.outputs.emplace_back(name, TRY(fs.open(folder + "/" + name, os::Open::create)));
  }
  engine::TrainHooks hooks;
  int64_t next = 0;
  hooks.progress = [&](const rpc::TrainProgress& p) {
    if (p.step < next) return;
    next = p.step + std::max<int64_t>(1, p.steps / 10);
    std::fprintf(stderr, "%-9s step %ld/%ld loss %.4f lr %.2e %.0f tok/s %.0f s left\n", p.phase.c_str(), p.step,
                 p.steps, p.loss, p.learning_rate, p.tokens_per_second, p.seconds_left);
  };
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const auto done = TRY(run_training(task, std::move(files), hooks, {kernels, pool, os::real_clock(), "bench"}));
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  const double cpu = static_cast<double>(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
                     static_cast<double>(after.ru_utime.tv_usec - before.ru_utime.tv_usec) * 1e-6;
  for (int i = 1; i < argc; ++i) std::printf("%s ", argv[i]);
  std::printf(
      "\n%s %ld parameters, %ld steps, %ld tokens, %.1f s (cpu %.1f), %.0f tok/s, loss %.4f, validation %.4f, %ld "
      "MiB\n",
      kernels.isa, done.parameters, done.steps, done.tokens, done.seconds, cpu, done.tokens_per_second, done.loss,
      done.validation_loss, after.ru_maxrss / 1024);
  TRY(score(folder, data, kernels, pool, show));
  return fs.remove_tree(folder);
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) {
  const hf::Status status = hf::run(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "train_quick: %s\n", status.error().message.c_str());
  return status.ok() ? 0 : 1;
}
