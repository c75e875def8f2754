// The fleet against real processes that speak the real protocol (test_worker.h); this program is also the worker.
#include "fleet/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "fleet/backoff.h"
#include "fleet/sandbox_job.h"
#include "fleet/test_worker.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "worker") == 0) return hf::fleet::test_worker(argc, argv);
  if (argc > 1 && std::strcmp(argv[1], "job-init") == 0) return hf::fleet::job_init_entry(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

namespace hf::fleet {
namespace {

class Collect final : public Sink {
 public:
  bool text(std::string piece) override {
    std::lock_guard lock(mutex_);
    text_ += piece;
    ++pieces_;
    changed_.notify_all();
    return !pausing;
  }
  void done(const Finished& f) override { end(f); }
  void failed(const Error& e) override { end(e); }

  Result<Finished> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return result_.has_value(); });
    return *result_;
  }
  void wait_pieces(int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return pieces_ >= n; });
  }
  std::string all() {
    std::lock_guard lock(mutex_);
    return text_;
  }
  int ends() {
    std::lock_guard lock(mutex_);
    return ends_;
  }
  bool pausing = false;

 private:
  void end(Result<Finished> r) {
    std::lock_guard lock(mutex_);
    result_.emplace(std::move(r));
    ++ends_;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  int pieces_ = 0, ends_ = 0;
  std::optional<Result<Finished>> result_;
};

class CollectTraining final : public TrainSink {
 public:
  void progress(const rpc::TrainProgress& p) override {
    std::lock_guard lock(mutex_);
    steps_.push_back(p.step);
    changed_.notify_all();
  }
  void done(const rpc::TrainDone& d) override { end(d); }
  void failed(const Error& e) override { end(e); }
  Result<rpc::TrainDone> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return result_.has_value(); });
    return *result_;
  }
  std::vector<int64_t> steps(size_t at_least) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return steps_.size() >= at_least; });
    return steps_;
  }

 private:
  void end(Result<rpc::TrainDone> r) {
    std::lock_guard lock(mutex_);
    result_.emplace(std::move(r));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int64_t> steps_;
  std::optional<Result<rpc::TrainDone>> result_;
};

class FleetTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "fleet-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    (void)os::real_fs().remove_tree(folder_);
    auto models = Models::open(os::real_fs(), os::real_random(), folder_);
    ASSERT_TRUE(models.ok()) << models.error().message;
    models_ = std::move(*models);
    start();
  }
  void TearDown() override {
    fleet_.reset();
    (void)os::real_fs().remove_tree(folder_);
  }
  void start(size_t queue_limit = 1024) {
    fleet_.reset();
    FleetOptions options;
    options.queue_limit = queue_limit;
    auto fleet = Fleet::start(os::real_clock(), *models_, options);
    ASSERT_TRUE(fleet.ok()) << fleet.error().message;
    fleet_ = std::move(*fleet);
  }
  std::string model(const std::string& config) {
    auto draft = models_->draft();
    EXPECT_TRUE(draft.ok());
    EXPECT_TRUE((*(*draft)->create("config.json"))->write_at(0, config).ok());
    EXPECT_TRUE((*(*draft)->create("model.safetensors"))->write_at(0, "weights").ok());
    auto digest = (*draft)->seal();
    EXPECT_TRUE(digest.ok());
    return digest.ok() ? *digest : "";
  }
  std::shared_ptr<Collect> generate(const std::string& prompt, uint64_t* id = nullptr, bool pausing = false) {
    GenerateRequest request;
    request.prompt.raw = prompt;
    auto sink = std::make_shared<Collect>();
    sink->pausing = pausing;
    auto started = fleet_->generate(request, sink);
    EXPECT_TRUE(started.ok()) << started.error().message;
    if (id && started.ok()) *id = *started;
    return sink;
  }

  std::string folder_;
  std::unique_ptr<Models> models_;
  std::unique_ptr<Fleet> fleet_;
};

TEST(BackoffTest, WaitsLongerWhileLivesAreShort) {
  Backoff b;
  EXPECT_EQ(b.after(0), 0);
  EXPECT_EQ(b.after(0), Backoff::kFirstUs);
  EXPECT_EQ(b.after(0), 2 * Backoff::kFirstUs);
  for (int i = 0; i < 100; ++i) EXPECT_LE(b.after(0), Backoff::kLongestUs);
  EXPECT_EQ(b.after(0), Backoff::kLongestUs);
  EXPECT_EQ(b.after(Backoff::kHealthyUs), 0);
}

TEST_F(FleetTest, TextsComeInOrderAndThenTheEnd) {
  auto sink = generate("say one two three");
  auto finished = sink->wait();
  ASSERT_TRUE(finished.ok()) << finished.error().message;
  EXPECT_EQ(sink->all(), "one two three");
  EXPECT_EQ(finished->output_tokens, 3);
  EXPECT_EQ(finished->stop_reason, "end_turn");
}

TEST_F(FleetTest, AWorkerThatDiesFailsItsRequestsAndTheNextOneWorks) {
  auto other = generate("hang");
  other->wait_pieces(1);
  auto sink = generate("die");
  auto finished = sink->wait();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().code, Code::unavailable);
  EXPECT_THAT(finished.error().message, testing::HasSubstr("the worker ended"));
  EXPECT_FALSE(other->wait().ok());
  EXPECT_EQ(generate("say again")->wait()->output_tokens, 1);
  EXPECT_EQ(fleet_->status().restarts, 1u);
  EXPECT_EQ(sink->ends(), 1);
}

TEST_F(FleetTest, KilledFromOutsideItLoadsItsModelsAgain) {
  const std::string digest = model("small");
  auto card = fleet_->load(digest);
  ASSERT_TRUE(card.ok()) << card.error().message;
  EXPECT_EQ(card->architecture, "small");
  const pid_t before = fleet_->status().serving_pid;
  auto hanging = generate("hang");
  hanging->wait_pieces(1);
  ASSERT_EQ(::kill(before, SIGKILL), 0);
  EXPECT_EQ(hanging->wait().error().code, Code::unavailable);
  EXPECT_TRUE(generate("say hello")->wait().ok());
  const auto status = fleet_->status();
  EXPECT_NE(status.serving_pid, before);
  EXPECT_THAT(status.loaded, testing::ElementsAre(digest));
  EXPECT_TRUE(fleet_->unload(digest).ok());
  EXPECT_THAT(fleet_->status().loaded, testing::IsEmpty());
}

TEST_F(FleetTest, CancelEndsARequest) {
  uint64_t id = 0;
  auto sink = generate("hang", &id);
  sink->wait_pieces(1);
  fleet_->cancel(id);
  EXPECT_EQ(sink->wait()->stop_reason, "cancelled");
  fleet_->cancel(id);  // over: nothing happens
  EXPECT_TRUE(generate("say ok")->wait().ok());
}

TEST_F(FleetTest, ASinkWithoutRoomPausesTheWorker) {
  uint64_t id = 0;
  auto sink = generate("step 5", &id, true);
  for (int i = 1; i <= 5; ++i) {
    sink->wait_pieces(i);
    while (fleet_->status().counters.preemptions < i) std::this_thread::yield();  // the test worker's count of pauses
    fleet_->resume(id);
  }
  auto finished = sink->wait();
  ASSERT_TRUE(finished.ok()) << finished.error().message;
  EXPECT_EQ(sink->all(), "xxxxx");
}

TEST_F(FleetTest, AResumeThatIsQuickerThanThePauseIsNotLost) {
  struct Quick final : Sink {
    Fleet* fleet = nullptr;
    Collect collect;
    bool text(std::string piece) override {
      (void)collect.text(std::move(piece));
      fleet->resume(1);  // room came while text() ran
      return false;
    }
    void done(const Finished& f) override { collect.done(f); }
    void failed(const Error& e) override { collect.failed(e); }
  };
  auto sink = std::make_shared<Quick>();
  sink->fleet = fleet_.get();
  GenerateRequest request;
  request.prompt.raw = "say one two";
  auto id = fleet_->generate(request, sink);
  ASSERT_TRUE(id.ok());
  ASSERT_EQ(*id, 1u);
  EXPECT_TRUE(sink->collect.wait().ok());
  EXPECT_EQ(sink->collect.all(), "one two");
  EXPECT_EQ(fleet_->status().counters.preemptions, 0);
}

TEST_F(FleetTest, TheQueueHasALimit) {
  start(2);
  uint64_t first = 0;
  auto a = generate("hang", &first), b = generate("hang");
  auto refused = fleet_->generate(GenerateRequest{}, std::make_shared<Collect>());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::exhausted);
  EXPECT_EQ(refused.error().name, "ThrottlingException");
  fleet_->cancel(first);
  EXPECT_TRUE(a->wait().ok());
  EXPECT_TRUE(generate("say room")->wait().ok());
}

TEST_F(FleetTest, AModelThatIsNoneIsRefusedAndACorruptOneNamed) {
  EXPECT_EQ(fleet_->load(std::string(64, 'a')).error().code, Code::not_found);
  const std::string bad = model("bad");
  EXPECT_THAT(fleet_->load(bad).error().message, testing::HasSubstr("not a model"));
  EXPECT_THAT(fleet_->inspect(bad).error().message, testing::HasSubstr("not a model"));
  const std::string good = model("good");
  EXPECT_EQ(fleet_->inspect(good)->architecture, "good");
  ASSERT_TRUE(
      (*os::real_fs().open(folder_ + "/" + good + "/model.safetensors", os::Open::write))->write_at(0, "W").ok());
  auto corrupt = fleet_->load(good);
  EXPECT_EQ(corrupt.error().code, Code::corrupt);
  EXPECT_THAT(corrupt.error().message, testing::HasSubstr("model.safetensors"));
}

TEST_F(FleetTest, AModelThatEndsItsWorkerAtLoadIsAnErrorAndNoMore) {
  const std::string deadly = model("deadly");
  EXPECT_EQ(fleet_->load(deadly).error().code, Code::unavailable);
  EXPECT_EQ(fleet_->inspect(deadly).error().code, Code::unavailable);
  EXPECT_TRUE(generate("say alive")->wait().ok());
}

// What a worker that parsed a foreign file says goes into records and receipts.
TEST_F(FleetTest, WordsThatAreNoneAreAnErrorAtOnceAndGoNowhere) {
  const std::string odd = model("no \xff text");
  auto card = fleet_->inspect(odd);
  ASSERT_FALSE(card.ok());
  EXPECT_THAT(card.error().message, testing::HasSubstr("architecture is no text"));
  // The serving worker that says so is given up; its load() does not wait for an answer that was thrown away.
  EXPECT_EQ(fleet_->load(odd).error().code, Code::unavailable);
  EXPECT_TRUE(generate("say alive")->wait().ok());
  EXPECT_THAT(fleet_->status().loaded, testing::IsEmpty());
}

TEST_F(FleetTest, CountsAndProbes) {
  const std::string digest = model("small");
  rpc::Prompt prompt;
  prompt.raw = "x";
  EXPECT_EQ(*fleet_->count(digest, prompt), 42);
  auto report = fleet_->probe();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->attempts.at(0).name, "dns");
}

TEST_F(FleetTest, TrainsInAWorkerOfItsOwn) {
  auto run = [&](const std::string& what, std::shared_ptr<Models::Draft> draft, uint64_t* id) {
    Fleet::Training training;
    training.task.hyperparameters["do"] = what;
    training.task.outputs = {"config.json", "model.safetensors"};
    training.output = draft;
    auto file = os::real_fs().open(folder_ + "/data-" + what, os::Open::create);
    EXPECT_TRUE((*file)->write_at(0, "{}\n").ok());
    training.train_files.push_back(std::move(*file));
    auto sink = std::make_shared<CollectTraining>();
    auto started = fleet_->train(std::move(training), sink);
    EXPECT_TRUE(started.ok());
    *id = *started;
    return sink;
  };
  uint64_t id = 0;
  std::shared_ptr<Models::Draft> draft = std::move(*models_->draft());
  auto sink = run("learn", draft, &id);
  auto done = sink->wait();
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_THAT(sink->steps(3), testing::ElementsAre(1, 2, 3));
  EXPECT_FALSE(done->stopped);
  auto digest = draft->seal();
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(fleet_->inspect(*digest)->architecture, "trained");

  const pid_t serving = fleet_->status().serving_pid;
  auto nan = run("nan", std::move(*models_->draft()), &id);
  EXPECT_THAT(nan->wait().error().message, testing::HasSubstr("loss is not a finite number"));
  auto dying = run("die", std::move(*models_->draft()), &id);
  EXPECT_EQ(dying->wait().error().code, Code::unavailable);
  auto waiting = run("wait", std::move(*models_->draft()), &id);
  waiting->steps(3);
  fleet_->stop_training(id);
  EXPECT_TRUE(waiting->wait()->stopped);
  auto killed = run("wait", std::move(*models_->draft()), &id);
  killed->steps(3);
  fleet_->kill_training(id);
  EXPECT_EQ(killed->wait().error().code, Code::unavailable);
  EXPECT_EQ(fleet_->status().serving_pid, serving);
}

TEST_F(FleetTest, ATrainingsCheckpointsAreHandedToTheNextWorker) {
  auto open = [&](const char* name) -> std::shared_ptr<os::File> {
    return std::move(*os::real_fs().open(folder_ + "/" + name, os::Open::create));
  };
  const std::vector<std::shared_ptr<os::File>> checkpoints = {open("checkpoint-0"), open("checkpoint-1")};
  auto run = [&] {
    Fleet::Training training;
    training.task.hyperparameters["do"] = "die once";
    training.task.outputs = {"config.json"};
    training.output = std::move(*models_->draft());
    training.train_files = {open("data")};
    training.checkpoints = checkpoints;
    auto sink = std::make_shared<CollectTraining>();
    EXPECT_TRUE(fleet_->train(std::move(training), sink).ok());
    return sink->wait();
  };
  EXPECT_EQ(run().error().code, Code::unavailable);
  const auto done = run();
  EXPECT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(*checkpoints[0]->size(), 1u);
}

TEST_F(FleetTest, WhatRunsWhenTheFleetEndsFails) {
  auto sink = generate("hang");
  sink->wait_pieces(1);
  fleet_.reset();
  EXPECT_FALSE(sink->wait().ok());
}

TEST_F(FleetTest, ProgramsThatAreNoWorkerAreAClearError) {
  FleetOptions options;
  options.program = "/bin/true";
  auto fleet = Fleet::start(os::real_clock(), *models_, options);
  ASSERT_FALSE(fleet.ok());
  EXPECT_THAT(fleet.error().message, testing::HasSubstr("did not start"));
}

}  // namespace
}  // namespace hf::fleet
