#include "fleet/training_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hf::fleet {
namespace {

using Kind = JobEvent::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

TrainingJob job() {
  JobSpec spec;
  spec.account = "111111111111";
  spec.name = "triage";
  spec.hyperparameters = {{"steps", "10"}};
  spec.seed = ~uint64_t{0};
  spec.channels = {{"train", "data", "tickets/"}};
  spec.max_runtime_s = 60;
  return TrainingJob(spec, 1000);
}

std::vector<std::string> statuses(const TrainingJob& j) {
  std::vector<std::string> out;
  for (const auto& t : j.transitions()) out.push_back(t.status);
  return out;
}

TEST(TrainingJobTest, RunsToItsEnd) {
  TrainingJob j = job();
  EXPECT_TRUE(j.queued());
  EXPECT_THAT(j.step(1001, {Kind::no_slot}), IsEmpty());
  EXPECT_THAT(j.step(1002, {Kind::no_slot}), IsEmpty());
  EXPECT_THAT(j.step(1003, {Kind::slot}), ElementsAre(JobAction::download));
  EXPECT_THAT(j.step(1004, {Kind::data_ready}), ElementsAre(JobAction::train));
  EXPECT_EQ(j.status(), "InProgress");
  rpc::TrainDone done;
  done.loss = 1.5;
  done.tokens = 300;
  EXPECT_THAT(j.step(1005, {.kind = Kind::trained, .done = done}), ElementsAre(JobAction::upload));
  EXPECT_THAT(j.step(1006, {.kind = Kind::uploaded, .text = "s3://b/k"}), IsEmpty());
  EXPECT_EQ(j.status(), "Completed");
  EXPECT_EQ(j.artifact(), "s3://b/k");
  EXPECT_EQ(j.metrics().at("train:loss"), 1.5);
  EXPECT_EQ(j.metrics().count("validation:loss"), 0u);
  EXPECT_THAT(statuses(j), ElementsAre("Starting", "Pending", "Downloading", "Training", "Uploading", "Completed"));
  for (const auto& t : j.transitions()) EXPECT_GT(t.end, 0);
  EXPECT_EQ(j.transitions()[1].end, 1003);
  EXPECT_EQ(j.training_start(), 1003);
  EXPECT_EQ(j.training_end(), 1006);
  EXPECT_THAT(j.step(1007, {.kind = Kind::failed, .text = "late"}), IsEmpty());
  EXPECT_EQ(j.status(), "Completed");
}

TEST(TrainingJobTest, ReasonsAreTextOfABoundedLength) {
  const std::string odd = "line 7: found '\xff\xc3' " + std::string(5000, 'x');
  for (const bool stopping : {false, true}) {
    TrainingJob j = job();
    j.step(1, {Kind::slot});
    j.step(2, {Kind::data_ready});
    if (stopping) j.step(3, {Kind::stop_requested});
    j.step(4, {.kind = Kind::failed, .text = odd});
    EXPECT_TRUE(j.over());
    EXPECT_LE(j.transitions().back().message.size(), 1024u);
    EXPECT_TRUE(valid_utf8(j.transitions().back().message));
    auto back = TrainingJob::from_json(j.to_json());
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(back->to_json(), j.to_json());
  }
}

TEST(TrainingJobTest, StopsAfterWritingWhatWasLearnt) {
  TrainingJob j = job();
  j.step(1, {Kind::slot});
  j.step(2, {Kind::data_ready});
  EXPECT_THAT(j.step(3, {Kind::stop_requested}), ElementsAre(JobAction::stop_training));
  EXPECT_EQ(j.status(), "Stopping");
  EXPECT_THAT(j.step(4, {Kind::stop_requested}), IsEmpty());
  EXPECT_THAT(j.step(5, {.kind = Kind::trained}), ElementsAre(JobAction::upload));
  j.step(6, {.kind = Kind::uploaded, .text = "s3://b/k"});
  EXPECT_EQ(j.status(), "Stopped");
  EXPECT_EQ(j.secondary(), "Stopped");
  EXPECT_EQ(j.artifact(), "s3://b/k");
}

TEST(TrainingJobTest, AWorkerThatDoesNotStopIsKilledAfterTheGrace) {
  TrainingJob j = job();
  j.step(1, {Kind::slot});
  j.step(2, {Kind::data_ready});
  j.step(3, {Kind::stop_requested});
  EXPECT_THAT(j.step(4, {.kind = Kind::tick, .elapsed_us = 10}), IsEmpty());
  EXPECT_THAT(j.step(5, {.kind = Kind::tick, .elapsed_us = 9 + TrainingJob::kStopGraceUs}), IsEmpty());
  EXPECT_THAT(j.step(6, {.kind = Kind::tick, .elapsed_us = 10 + TrainingJob::kStopGraceUs}),
              ElementsAre(JobAction::kill_training));
  EXPECT_THAT(j.step(7, {.kind = Kind::tick, .elapsed_us = 2 * TrainingJob::kStopGraceUs}), IsEmpty());
  j.step(8, {.kind = Kind::failed, .text = "the worker ended"});
  EXPECT_EQ(j.status(), "Stopped");
  EXPECT_EQ(j.failure_reason(), "");
}

TEST(TrainingJobTest, MaxRuntimeStopsIt) {
  TrainingJob j = job();
  j.step(1, {Kind::slot});
  j.step(2, {Kind::data_ready});
  EXPECT_THAT(j.step(3, {.kind = Kind::tick, .elapsed_us = 59'999'999}), IsEmpty());
  EXPECT_THAT(j.step(4, {.kind = Kind::tick, .elapsed_us = 60'000'000}), ElementsAre(JobAction::stop_training));
  j.step(5, {.kind = Kind::trained});
  j.step(6, {.kind = Kind::uploaded, .text = "s3://b/k"});
  EXPECT_EQ(j.status(), "Stopped");
  EXPECT_EQ(j.secondary(), "MaxRuntimeExceeded");
}

TEST(TrainingJobTest, StoppedWhileQueuedOrDownloading) {
  TrainingJob queued = job();
  EXPECT_THAT(queued.step(1, {Kind::stop_requested}), IsEmpty());
  EXPECT_EQ(queued.status(), "Stopped");
  EXPECT_THAT(queued.step(2, {Kind::slot}), IsEmpty());
  TrainingJob reading = job();
  reading.step(1, {Kind::slot});
  EXPECT_THAT(reading.step(2, {Kind::stop_requested}), IsEmpty());
  EXPECT_THAT(reading.step(3, {Kind::data_ready}), IsEmpty());
  EXPECT_EQ(reading.status(), "Stopped");
}

TEST(TrainingJobTest, ARestartFailsWhatRanAndLeavesWhatWaited) {
  TrainingJob waiting = job();
  waiting.step(1, {Kind::site_restarted});
  EXPECT_TRUE(waiting.queued());
  TrainingJob running = job();
  running.step(1, {Kind::slot});
  running.step(2, {Kind::site_restarted});
  EXPECT_EQ(running.status(), "Failed");
  EXPECT_THAT(running.failure_reason(), testing::HasSubstr("restarted"));
}

TrainingJob training_with_checkpoints() {
  JobSpec spec = job().spec();
  spec.hyperparameters["checkpoint_every"] = "100";
  TrainingJob j(spec, 1000);
  j.step(1, {Kind::slot});
  j.step(2, {Kind::data_ready});
  return j;
}
JobEvent died(int64_t step) { return {.kind = Kind::interrupted, .text = "the worker ended", .step = step}; }

TEST(TrainingJobTest, WithCheckpointsADeadWorkerIsReplaced) {
  TrainingJob j = training_with_checkpoints();
  for (int i = 0; i < 10; ++i) {  // as long as it gets further
    EXPECT_THAT(j.step(3, died(100 * (i + 1))), ElementsAre(JobAction::train));
    EXPECT_EQ(j.secondary(), "Training");
  }
  EXPECT_THAT(statuses(j), testing::Contains("Restarting"));
  EXPECT_THAT(j.step(4, {.kind = Kind::trained}), ElementsAre(JobAction::upload));

  TrainingJob stuck = training_with_checkpoints();
  for (int i = 0; i < TrainingJob::kRestarts; ++i) EXPECT_THAT(stuck.step(3, died(250)), ElementsAre(JobAction::train));
  EXPECT_THAT(stuck.step(4, died(200)), IsEmpty());
  EXPECT_EQ(stuck.status(), "Failed");
  EXPECT_THAT(stuck.failure_reason(), testing::HasSubstr("the worker ended (3 restarts"));

  TrainingJob stopping = training_with_checkpoints();
  stopping.step(3, {Kind::stop_requested});
  EXPECT_THAT(stopping.step(4, died(5)), IsEmpty());
  EXPECT_EQ(stopping.status(), "Stopped");

  TrainingJob without = job();
  without.step(1, {Kind::slot});
  without.step(2, {Kind::data_ready});
  EXPECT_THAT(without.step(3, died(5)), IsEmpty());
  EXPECT_EQ(without.failure_reason(), "the worker ended");
}

TEST(TrainingJobTest, WithCheckpointsARestartOfTheSiteQueuesItAgain) {
  TrainingJob j = training_with_checkpoints();
  j.step(3, {.kind = Kind::tick, .elapsed_us = 10'000'000});  // not yet noted
  EXPECT_THAT(j.step(4, {Kind::site_restarted}), IsEmpty());
  EXPECT_TRUE(j.queued());
  EXPECT_EQ(j.secondary(), "Pending");
  EXPECT_THAT(j.step(5, {Kind::slot}), ElementsAre(JobAction::download));
  EXPECT_EQ(j.training_start(), 1);  // the first one's
  TrainingJob stopping = training_with_checkpoints();
  stopping.step(3, {Kind::stop_requested});
  stopping.step(4, {Kind::site_restarted});
  EXPECT_EQ(stopping.status(), "Stopped");
  for (int i = 0; i < 200; ++i) {
    j.step(6, {Kind::site_restarted});
    j.step(7, {Kind::slot});
  }
  EXPECT_LE(j.transitions().size(), TrainingJob::kTransitions);
  EXPECT_EQ(j.transitions().front().status, "Starting");
}

TEST(TrainingJobTest, TheTimeBeforeARestartCounts) {
  JobSpec spec = training_with_checkpoints().spec();
  spec.max_runtime_s = 300;
  TrainingJob j(spec, 0);
  j.step(1, {Kind::slot});
  j.step(2, {Kind::data_ready});
  j.step(3, {.kind = Kind::tick, .elapsed_us = 200'000'000});
  j.step(4, {Kind::site_restarted});
  j = *TrainingJob::from_json(j.to_json());
  j.step(5, {Kind::slot});
  j.step(6, {Kind::data_ready});
  EXPECT_THAT(j.step(7, {.kind = Kind::tick, .elapsed_us = 99'000'000}), IsEmpty());
  EXPECT_THAT(j.step(8, {.kind = Kind::tick, .elapsed_us = 100'000'000}), ElementsAre(JobAction::stop_training));
}

TEST(TrainingJobTest, ANoteIsTheMessageOfTheState) {
  TrainingJob j = training_with_checkpoints();
  j.step(3, {.kind = Kind::note, .text = "goes on from the checkpoint of step 40"});
  EXPECT_EQ(j.transitions().back().message, "Training; goes on from the checkpoint of step 40");
  j.step(4, {.kind = Kind::trained});
  j.step(5, {.kind = Kind::note, .text = "late"});
  EXPECT_EQ(j.transitions().back().message, "Writing the artifacts");
}

TEST(TrainingJobTest, TheReasonFitsItsField) {
  TrainingJob j = job();
  j.step(1, {Kind::slot});
  std::string why(1023, 'x');
  why += "\xc3\xa9 and more";  // the two bytes of one letter lie across the limit
  j.step(2, {.kind = Kind::failed, .text = why});
  EXPECT_EQ(j.failure_reason().size(), 1023u);
}

TEST(TrainingJobTest, TheRecordKeepsAll) {
  TrainingJob j = job();
  j.step(1, {Kind::slot});
  j.step(2, {Kind::data_ready});
  j.step(3, {Kind::stop_requested});
  j.step(4, {.kind = Kind::tick, .elapsed_us = 10});
  auto again = TrainingJob::from_json(j.to_json());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->to_json(), j.to_json());
  EXPECT_EQ(again->spec().seed, ~uint64_t{0});
  EXPECT_THAT(again->step(6, {.kind = Kind::tick, .elapsed_us = 10 + TrainingJob::kStopGraceUs}),
              ElementsAre(JobAction::kill_training));
  EXPECT_EQ(TrainingJob::from_json("[]").error().code, Code::corrupt);
}

}  // namespace
}  // namespace hf::fleet
