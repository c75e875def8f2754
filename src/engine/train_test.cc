#include "engine/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "engine/train_data.h"
#include "engine/train_settings.h"
#include "format/safetensors.h"
#include "format/tokenizer.h"
#include "model/arch/arch.h"
#include "model/tokenizer/trainer.h"
#include "os/fake.h"

namespace hf::engine {
namespace {

std::string lines(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    const std::string word = i % 2 == 0 ? "red" : "blue";
    out += "{\"prompt\":\"the " + word + " door number " + std::to_string(i) + "\",\"completion\":\"" + word + "\"}\n";
  }
  return out;
}

struct Bench {
  os::FakeFs fs;
  os::FakeClock clock;
  rpc::TrainTask task;
  std::vector<rpc::TrainProgress> seen;
  TrainHooks hooks;
  int threads = 1;
  const char* isa = "";

  Bench() {
    task.seed = 5;
    task.hyperparameters = {{"layers", "1"},   {"width", "32"},         {"heads", "2"},  {"vocabulary", "320"},
                            {"context", "64"}, {"batch_tokens", "300"}, {"steps", "12"}, {"learning_rate", "0.01"}};
    hooks.progress = [this](const rpc::TrainProgress& p) { seen.push_back(p); };
  }
  std::unique_ptr<os::File> file(const std::string& name, const std::string& content) {
    auto f = std::move(*fs.open(name, os::Open::create));
    EXPECT_TRUE(f->truncate(0).ok());
    EXPECT_TRUE(f->write_at(0, content).ok());
    return f;
  }
  Result<rpc::TrainDone> run(const std::string& train, const std::string& validation = "",
                             std::vector<std::string> outputs = training_outputs()) {
    TrainFiles files;
    files.train.push_back(file("train", train));
    if (!validation.empty()) files.validation.push_back(file("validation", validation));
    for (const std::string& name : outputs) files.outputs.emplace_back(name, file(name, ""));
    if (task.hyperparameters.contains("checkpoint_every")) {
      for (const char* name : {"checkpoint-0", "checkpoint-1"})
        files.checkpoints.push_back(std::move(*fs.open(name, os::Open::create)));
    }
    tensor::Pool pool(threads);
    const tensor::Kernels& kernels = **tensor::choose_kernels(isa, os::cpu_info());
    return run_training(task, std::move(files), hooks, {kernels, pool, clock, "abc"});
  }
  bool training() const { return !seen.empty() && seen.back().phase == "training"; }
  std::string content(const std::string& name) { return *fs.read_file(name, 1 << 26); }
};

TEST(Training, WritesAFolderThatReadsBack) {
  Bench b;
  const std::string data = lines(60);
  const auto done = b.run(data, lines(6));
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->steps, 12);
  EXPECT_EQ(done->examples, 60);
  EXPECT_EQ(done->data_digest, crypto::sha256_hex(data));
  EXPECT_GE(done->validation_loss, 0);
  EXPECT_EQ(done->files_written.size(), training_outputs().size());

  const auto config = model::read_config(b.content("config.json"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->llama.parameters(), done->parameters);
  const auto tokenizer = format::parse_tokenizer(b.content("tokenizer.json"));
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(static_cast<int64_t>(tokenizer->vocabulary.size()), config->llama.vocabulary);
  const std::string weights = b.content("model.safetensors");
  const auto header = format::parse_safetensors_header(weights, weights.size());
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->tensors.size(), tensor_specs(config->llama).size());
  EXPECT_NE(b.content("holdfast.json").find(done->data_digest), std::string::npos);
}

TEST(Training, LossFalls) {
  Bench b;
  ASSERT_TRUE(b.run(lines(60)).ok());
  double first = 0, last = 0;
  for (const auto& p : b.seen) {
    if (p.phase == "training" && first == 0 && p.step > 0) first = p.loss;
    if (p.phase == "training") last = p.loss;
  }
  EXPECT_GT(last, 0);
  EXPECT_LT(last, 3);
  EXPECT_EQ(b.seen.front().phase, "reading");
  EXPECT_EQ(b.seen.back().phase, "writing");
}

TEST(Training, TheSameSeedGivesTheSameBytesWhateverTheThreads) {
  Bench b;
  ASSERT_TRUE(b.run(lines(60)).ok());
  const std::string want = b.content("model.safetensors");
  b.threads = 3;
  ASSERT_TRUE(b.run(lines(60)).ok());
  EXPECT_EQ(b.content("model.safetensors"), want);
  b.isa = "scalar";
  ASSERT_TRUE(b.run(lines(60)).ok());
  EXPECT_EQ(b.content("model.safetensors"), want);
  b.task.seed = 6;
  b.isa = "";
  ASSERT_TRUE(b.run(lines(60)).ok());
  EXPECT_NE(b.content("model.safetensors"), want);
}

TEST(Training, ABrokenLineIsNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {lines(4) + "{\"prompt\":\n" + lines(1), "train file 1, line 5: not JSON"},
      {lines(2) + "\n[1]\n", "train file 1, line 4: expected an object"},
      {"{\"prompt\":\"a\"}\n", "train file 1, line 1: expected a member \"completion\", found none"},
      {lines(1) + "{\"prompt\":1,\"completion\":\"b\"}", "train file 1, line 2: \"prompt\" must be a string"},
      {"{\"prompt\":\"a\",\"completion\":\"b\",\"weight\":2}", "train file 1, line 1: unknown member \"weight\""},
      {"{\"prompt\":\"a\",\"completion\":\"\"}", "train file 1, line 1: \"completion\" is empty"},
      {"{\"prompt\":\"\xff\",\"completion\":\"b\"}", "train file 1, line 1: not JSON"},
      {std::string(100000, '['), "train file 1, line 1: not JSON"},
      {lines(3) + std::string(kMaxLineBytes + 1, ' '), "train file 1, line 4: longer than"},
      {"\n \n", "the training files hold no example"},
  };
  for (const auto& [data, message] : cases) {
    Bench b;
    const auto done = b.run(data);
    ASSERT_FALSE(done.ok()) << message;
    EXPECT_EQ(done.error().message.substr(0, message.size()), message);
    EXPECT_EQ(b.content("model.safetensors"), "");
  }
  Bench b;
  const auto done = b.run(lines(5), lines(2) + "{}\n");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message.substr(0, 25), "validation file 1, line 3");
}

TEST(Training, AnExampleLongerThanTheContextIsNamed) {
  Bench b;
  b.task.hyperparameters["context"] = "16";
  const auto done = b.run(lines(3) + "{\"prompt\":\"" + std::string("7 3 9 1 4 0 2 8 5 6 7 1 3 9 2 0 4") +
                          "\",\"completion\":\"b\"}\n");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message.find("train file 1, line"), 0u) << done.error().message;
}

TEST(Training, HyperparametersAreCheckedByName) {
  const std::pair<std::map<std::string, std::string>, std::string> cases[] = {
      {{{"layer", "2"}}, "unknown hyperparameter 'layer'"},
      {{{"layers", "0"}}, "hyperparameter 'layers' must be 1 to 64, found '0'"},
      {{{"layers", "two"}}, "hyperparameter 'layers' must be 1 to 64, found 'two'"},
      {{{"learning_rate", "nan"}}, "hyperparameter 'learning_rate' must be 1e-7 to 1, found 'nan'"},
      {{{"precision", "f16"}}, "hyperparameter 'precision' must be 'f32' or 'bf16', found 'f16'"},
      {{{"compute", "fp8"}}, "hyperparameter 'compute' must be 'f32', 'bf16' or 'auto', found 'fp8'"},
      {{{"width", "100"}, {"heads", "3"}}, "hyperparameter 'width' (100) must be an even multiple of 'heads' (3)"},
      {{{"heads", "4"}, {"kv_heads", "3"}}, "hyperparameter 'kv_heads' (3) must divide 'heads' (4)"},
      {{{"learning_rate", "0.001"}, {"min_learning_rate", "0.01"}},
       "hyperparameter 'min_learning_rate' must be at most"},
  };
  for (const auto& [given, message] : cases) {
    const auto settings = parse_settings(given);
    ASSERT_FALSE(settings.ok()) << message;
    EXPECT_EQ(settings.error().message.substr(0, message.size()), message);
  }
}

TEST(Training, SettingsSurviveDescription) {
  const auto settings = parse_settings({{"layers", "3"}, {"width", "96"}, {"precision", "bf16"}, {"epochs", "1.25"}});
  ASSERT_TRUE(settings.ok());
  const auto text = describe_settings(*settings);
  const auto again = parse_settings(text);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(describe_settings(*again), text);
  const auto standard = describe_settings(*parse_settings({}));
  for (const SettingRow& row : setting_rows()) {
    if (std::string(row.name) == "kv_heads" || std::string(row.name) == "ffn") continue;  // 0 stands for another value
    EXPECT_EQ(standard.at(row.name), row.standard) << row.name;
  }
}

TEST(Training, TheManualListsEachHyperparameter) {
  std::ifstream in(std::string(HF_SOURCE_DIR) + "/docs/training.md");
  std::stringstream text;
  text << in.rdbuf();
  for (const SettingRow& row : setting_rows()) {
    const std::string line =
        std::string("| `") + row.name + "` | " + row.standard + " | " + row.range + " | " + row.meaning + " |\n";
    EXPECT_NE(text.str().find(line), std::string::npos) << line;
  }
}

TEST(Training, StopsEarlyAndWritesWhatWasLearnt) {
  Bench b;
  int asked = 0;
  b.hooks.stop = [&] { return b.training() && ++asked > 5; };
  const auto done = b.run(lines(60));
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(done->stopped);
  EXPECT_LT(done->steps, 12);
  EXPECT_GT(b.content("model.safetensors").size(), 1000u);
}

TEST(Training, StopsWhileItReadsAndWhileItTokenizes) {
  const std::string expected = "stopped before training began: there is nothing to write";
  for (int at : {1, 30, 61, 100, 120, 123}) {  // 60 lines read, 60 and 3 tokenized; once more at the end
    Bench b;
    int asked = 0;
    b.hooks.stop = [&] { return ++asked >= at; };
    const auto done = b.run(lines(60), lines(3));
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, Code::unavailable);
    EXPECT_EQ(done.error().message, expected);
    EXPECT_EQ(asked, at) << "it went on after it was told to stop";
    EXPECT_FALSE(b.training());
    EXPECT_EQ(b.content("model.safetensors"), "");
  }
}

TEST(Training, MaxSecondsEndsTheScheduleInTime) {
  Bench b;
  b.task.hyperparameters["steps"] = "1000";
  b.task.hyperparameters["max_seconds"] = "10";
  b.clock.advance(1);  // zero is "not begun"
  b.hooks.stop = [&] {
    if (b.training()) b.clock.advance(1'000'000);  // a step takes a second
    return false;
  };
  const auto done = b.run(lines(60));
  ASSERT_TRUE(done.ok());
  EXPECT_GE(done->steps, 8);
  EXPECT_LE(done->steps, 11);
  EXPECT_LT(b.seen.back().learning_rate, 0.002);
}

struct Killed {};

// A run that is killed when its n-th step is told of; the checkpoints lie on the disk.
void run_and_kill(Bench& b, int64_t step) {
  b.clock.advance(1'000'000);
  b.hooks.progress = [&b, step](const rpc::TrainProgress& p) {
    b.clock.advance(1'000'000);  // each step is told of
    b.seen.push_back(p);
    if (p.phase == "training" && p.step == step) throw Killed{};
  };
  EXPECT_THROW((void)b.run(lines(60)), Killed);
  b.hooks.progress = [&b](const rpc::TrainProgress& p) { b.seen.push_back(p); };
}

std::string notes(const Bench& b) {
  std::string out;
  for (const auto& p : b.seen) out += p.note;
  return out;
}

// What was trained, without what tells how long it took.
std::string whole_run(std::map<std::string, std::string> more, rpc::TrainDone* done = nullptr) {
  Bench b;
  b.task.hyperparameters.insert(more.begin(), more.end());
  auto result = b.run(lines(60));
  EXPECT_TRUE(result.ok());
  if (done) *done = *result;
  return b.content("model.safetensors");
}

TEST(Checkpoints, ARunThatWasKilledGoesOnToTheSameBits) {
  for (const char* compute : {"f32", "bf16"}) {
    const std::map<std::string, std::string> more = {{"compute", compute}, {"prompt_drop", "0.2"}};
    rpc::TrainDone want_done;
    const std::string want = whole_run(more, &want_done);
    for (int64_t killed = 1; killed <= 12; ++killed) {
      Bench b;
      b.task.hyperparameters.insert(more.begin(), more.end());
      b.task.hyperparameters["checkpoint_every"] = "3";
      run_and_kill(b, killed);
      b.seen.clear();
      const auto done = b.run(lines(60));
      ASSERT_TRUE(done.ok()) << done.error().message;
      EXPECT_EQ(b.content("model.safetensors"), want) << killed;
      EXPECT_EQ(done->loss, want_done.loss);
      EXPECT_EQ(done->steps, 12);
      EXPECT_EQ(done->tokens, want_done.tokens);
      const int64_t from = (killed - 1) / 3 * 3;  // step 3 is told of before its checkpoint is written
      EXPECT_EQ(notes(b), from == 0 ? "" : "goes on from the checkpoint of step " + std::to_string(from));
    }
  }
}

TEST(Checkpoints, ABrokenOneIsPassedOverAndSoIsAnotherRuns) {
  const std::string want = whole_run({});
  const std::map<int, std::string> cases = {{1, "SHA-256 is another); goes on from the checkpoint of step 6"},
                                            {2, "SHA-256 is another); goes on from the checkpoint of step 9"},
                                            {3, "training begins anew"}};
  for (const auto& [broken, note] : cases) {
    Bench b;
    b.task.hyperparameters["checkpoint_every"] = "3";
    run_and_kill(b, 11);           // checkpoints of 9 and 6
    for (int i = 0; i < 2; ++i) {  // the first file holds step 9
      const uint64_t bits = b.content("checkpoint-" + std::to_string(i)).size() * 8;
      for (uint64_t at : {bits / 2 + 7, bits - 3})
        EXPECT_TRUE((broken >> i & 1) == 0 || b.fs.flip_bit("checkpoint-" + std::to_string(i), at).ok());
    }
    b.seen.clear();
    ASSERT_TRUE(b.run(lines(60)).ok());
    EXPECT_EQ(b.content("model.safetensors"), want) << broken;
    EXPECT_NE(notes(b).find(note), std::string::npos) << broken << ": " << notes(b);
  }
  Bench b;
  b.task.hyperparameters["checkpoint_every"] = "3";
  run_and_kill(b, 11);
  b.task.seed = 77;
  b.seen.clear();
  ASSERT_TRUE(b.run(lines(60)).ok());
  EXPECT_NE(notes(b).find("another program or run"), std::string::npos) << notes(b);
  Bench other;
  other.task.seed = 77;
  ASSERT_TRUE(other.run(lines(60)).ok());
  EXPECT_EQ(b.content("model.safetensors"), other.content("model.safetensors"));
}

TEST(Checkpoints, APowerCutWhileOneIsWrittenLeavesTheOneBefore) {
  const std::string want = whole_run({});
  int fired = 0;
  for (uint64_t call = 1; call < 60; call += 3) {
    Bench b;
    b.task.hyperparameters["checkpoint_every"] = "2";
    for (const char* name : {"checkpoint-0", "checkpoint-1"}) (void)b.file(name, "");
    ASSERT_TRUE(b.fs.sync_dir(".").ok());
    b.hooks.progress = [&](const rpc::TrainProgress& p) {
      if (p.phase == "training" && p.step == 0) b.fs.fail_at(call, os::FakeFs::Fault::power_off);
      b.seen.push_back(p);
    };
    (void)b.run(lines(60));
    fired += b.fs.fault_fired() ? 1 : 0;
    b.fs.crash(call);
    b.hooks.progress = nullptr;
    ASSERT_TRUE(b.run(lines(60)).ok());
    EXPECT_EQ(b.content("model.safetensors"), want) << call;
  }
  EXPECT_GT(fired, 5);
}

TEST(Checkpoints, AFullDiskIsToldAndTrainingGoesOn) {
  const std::string want = whole_run({});
  Bench b;
  b.task.hyperparameters["checkpoint_every"] = "3";
  b.hooks.progress = [&](const rpc::TrainProgress& p) {
    if (p.phase == "training" && p.step == 0) b.fs.fail_at(1, os::FakeFs::Fault::enospc, true);
    if (p.phase == "writing") b.fs.fail_at(0, os::FakeFs::Fault::enospc);
    b.seen.push_back(p);
  };
  const auto done = b.run(lines(60));
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(b.content("model.safetensors"), want);
  for (const char* step : {"3", "6", "9", "12"})
    EXPECT_NE(notes(b).find(std::string("the checkpoint of step ") + step + " could not be written: "),
              std::string::npos);
}

TEST(Training, AFileThatCannotBeWrittenIsNamed) {
  Bench b;
  b.task.hyperparameters["steps"] = "1";
  const auto done = b.run(lines(5), "", {"config.json", "other.bin"});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message, "a training job writes no file 'other.bin'");
}

TEST(Training, DivergenceEndsTheRun) {
  Bench b;
  b.task.hyperparameters["learning_rate"] = "1";
  b.task.hyperparameters["clip"] = "0";
  b.task.hyperparameters["steps"] = "300";
  b.task.hyperparameters["warmup"] = "0";
  const auto done = b.run(lines(60));
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message.find("training diverged: at step "), 0u) << done.error().message;
  EXPECT_EQ(b.content("model.safetensors"), "");
}

TEST(Batcher, EachEpochHasEachExampleOnceInAnotherOrder) {
  model::TrainerOptions options;
  options.vocabulary = 300;
  options.special = model::holdfast_special_tokens();
  auto trainer = *model::TokenizerTrainer::make(options);
  ASSERT_TRUE(trainer.add("abc").ok());
  const auto tokenizer = *model::Tokenizer::make(*trainer.train());
  TokenData data;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(data.add(tokenizer, {std::string(1, static_cast<char>('a' + i)), "x"}, 64).ok());
  }
  const int64_t rows = data.rows_of(0);
  Batcher batches(data, rows * 5, 0, 0, 1);
  std::vector<std::string> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::string letters;
    for (int half = 0; half < 2; ++half) {
      const model::Batch batch = batches.next();
      ASSERT_EQ(batch.ends.size(), 5u);
      int64_t begin = 0;
      for (int64_t end : batch.ends) {
        letters += static_cast<char>(batch.tokens[static_cast<size_t>(begin) + 1]);
        EXPECT_EQ(batch.targets[static_cast<size_t>(begin)], -1);
        EXPECT_EQ(batch.targets[static_cast<size_t>(end) - 2], 'x');
        begin = end;
      }
    }
    epochs.push_back(letters);
    std::sort(letters.begin(), letters.end());
    EXPECT_EQ(letters, "abcdefghij");
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_EQ(batches.steps_for(3), 7);  // 150 rows by batches of 25 less half an example
}

}  // namespace
}  // namespace hf::engine
