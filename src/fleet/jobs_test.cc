// Training jobs on the fake disk, with a fleet that trains at once: what a job leaves behind when the power is cut at
// any call to the disk, when the disk is full, and when a worker's words are no text.
#include "fleet/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "os/fake.h"

namespace hf::fleet {
namespace {

using os::FakeFs;
using testing::HasSubstr;

class StubFleet final : public Fleet {
 public:
  explicit StubFleet(Models& models) : models_(models) {}
  Result<ModelCard> load(const std::string& digest) override { return inspect(digest); }
  Status unload(const std::string&) override { return {}; }
  Result<ModelCard> inspect(const std::string& digest) override {
    if (inspecting) inspecting(digest);
    TRY(models_.verify(digest));
    ModelCard card;
    card.digest = digest;
    card.architecture = "stub";
    return card;
  }
  Result<int64_t> count(const std::string&, const rpc::Prompt&) override { return int64_t{0}; }
  Result<uint64_t> generate(const GenerateRequest&, std::shared_ptr<Sink>) override {
    return fail(Code::internal, "no");
  }
  void cancel(uint64_t) override {}
  void resume(uint64_t) override {}
  Result<uint64_t> train(Training training, std::shared_ptr<TrainSink> sink) override {
    if (!training.checkpoints.empty()) {  // how often it was begun, in the first one
      char seen = '0';
      (void)TRY(training.checkpoints.at(0)->read_at(0, {&seen, 1}));
      begun_from.push_back(seen - '0');
      ++seen;
      TRY(training.checkpoints.at(0)->write_at(0, {&seen, 1}));
      TRY(training.checkpoints.at(0)->sync());
      if (deaths-- > 0) {
        sink->failed(fail(Code::unavailable, "the worker ended"));
        return uint64_t{1};
      }
    }
    if (training_fails) {
      sink->failed(*training_fails);
      if (failing) failing();
      return uint64_t{1};
    }
    rpc::TrainDone done;
    for (const std::string& name : training.task.outputs) {
      auto file = TRY(training.output->create(name));
      if (name == "tokenizer_config.json") continue;  // one that stays unwritten
      TRY(file->write_at(0, "content of " + name));
      done.files_written.push_back(name);
    }
    done.loss = 1.5;
    sink->done(done);
    return uint64_t{1};
  }
  void stop_training(uint64_t) override {}
  void kill_training(uint64_t) override {}
  Result<rpc::ProbeReport> probe() override { return rpc::ProbeReport{}; }
  Status_ status() override { return {}; }

  int deaths = 0;               // of workers, of a training with checkpoints
  std::vector<int> begun_from;  // what each of them found
  std::optional<Error> training_fails;
  std::function<void()> failing;
  std::function<void(const std::string&)> inspecting;

 private:
  Models& models_;
};

struct World {
  World() {
    EXPECT_TRUE(fs.make_dirs("/site").ok());
    EXPECT_TRUE(fs.sync_dir("/").ok());
  }
  ~World() { close(); }
  Status open() {
    db = TRY(store::Db::open(fs, random, "/site/meta.db"));
    ledger = TRY(security::Ledger::open(*db, clock, key, "0123456789abcdef"));
    objects = TRY(store::Objects::open(fs, clock, random, *db, "/site/objects", 0));
    models = TRY(Models::open(fs, random, "/site/models"));
    fleet = std::make_unique<StubFleet>(*models);
    return open_jobs();
  }
  Status open_jobs() {
    JobsOptions options;
    options.scratch = "/site/scratch";
    jobs = TRY(Jobs::open({fs, clock, random, *db, *objects, *ledger, *fleet, *models}, options));
    return {};
  }
  void close() {
    jobs.reset();
    fleet.reset();
    models.reset();
    objects.reset();
    ledger.reset();
    db.reset();
  }
  Status prepare() {
    TRY(db->write([&](store::Txn& txn) { return objects->create_bucket(txn, {"b", kAccount, 1}); }));
    auto up = TRY(objects->upload());
    TRY(up->write("{\"prompt\":\"a\",\"completion\":\"b\"}\n"));
    TRY(up->seal());
    store::ObjectInfo info;
    info.bucket = "b";
    info.key = "in/data.jsonl";
    return db->write([&](store::Txn& txn) { return objects->commit(txn, *up, info); });
  }
  Status create(bool checkpoints = false) {
    JobSpec spec;
    if (checkpoints) spec.hyperparameters["checkpoint_every"] = "10";
    spec.account = kAccount;
    spec.name = "job";
    spec.arn = "arn:aws:sagemaker:site-1:" + spec.account + ":training-job/job";
    spec.channels = {{"train", "b", "in/"}};
    spec.output_bucket = "b";
    spec.output_prefix = "out";
    spec.compressed = false;
    TRY(db->write([&](store::Txn& txn) { return jobs->create(txn, spec); }));
    jobs->wake(spec.account, spec.name);
    return {};
  }
  Result<std::optional<TrainingJob>> job() {
    std::optional<TrainingJob> out;
    TRY(db->read([&](store::Txn& txn) -> Status {
      out = TRY(jobs->find(txn, kAccount, "job"));
      return {};
    }));
    return out;
  }
  // Until the job is over, or the power is off.
  void settle() {
    for (;;) {
      auto now = job();
      if (!now.ok() || !*now || (*now)->over() || fs.fault_fired()) return;
      os::real_clock().sleep_us(200);
    }
  }
  std::vector<store::ObjectInfo> written() {
    std::vector<store::ObjectInfo> out;
    EXPECT_TRUE(db->read([&](store::Txn& txn) -> Status {
                    out = TRY(objects->list(txn, "b", "out/", "", "", 100)).objects;
                    return {};
                  }).ok());
    return out;
  }
  std::optional<Model> model() {
    std::optional<Model> out;
    EXPECT_TRUE(db->read([&](store::Txn& txn) -> Status {
                    out = TRY(find_model(txn, kAccount, "job"));
                    return {};
                  }).ok());
    return out;
  }

  static constexpr const char* kAccount = "111111111111";
  FakeFs fs;
  os::FakeClock clock;
  os::FakeRandom random{3};
  crypto::SigningKey key = *crypto::SigningKey::generate();
  std::unique_ptr<store::Db> db;
  std::unique_ptr<security::Ledger> ledger;
  std::unique_ptr<store::Objects> objects;
  std::unique_ptr<Models> models;
  std::unique_ptr<StubFleet> fleet;
  std::unique_ptr<Jobs> jobs;
};

// Of a job that is over: all of what it made, or nothing.
void expect_whole(World& w, const std::string& where) {
  auto job = w.job();
  ASSERT_TRUE(job.ok() && job->has_value()) << where;
  const auto model = w.model();
  const auto written = w.written();
  if ((*job)->status() == "Completed") {
    ASSERT_TRUE(model.has_value()) << where;
    EXPECT_TRUE(w.models->verify(model->digest).ok()) << where;
    EXPECT_EQ(written.size(), 5u) << where;
    for (const auto& info : written) {
      auto reader = w.objects->get("b", info.key);
      ASSERT_TRUE(reader.ok()) << where << ": " << reader.error().message;
      std::string bytes(info.size, '\0');
      EXPECT_TRUE((*reader)->read_at(0, {bytes.data(), bytes.size()}).ok()) << where;
      EXPECT_THAT(bytes, HasSubstr("content of ")) << where;
    }
  } else {
    EXPECT_EQ((*job)->status(), "Failed") << where;
    EXPECT_FALSE((*job)->failure_reason().empty()) << where;
    EXPECT_FALSE(model.has_value()) << where;
    EXPECT_TRUE(written.empty()) << where;
  }
  EXPECT_TRUE(w.fs.list("/site/scratch")->empty()) << where;
  const auto folders = w.fs.list("/site/models").value();
  for (const auto& name : folders) EXPECT_TRUE(w.models->verify(name).ok()) << where << ": " << name;
  auto report = w.ledger->verify();
  EXPECT_TRUE(report.ok() && report->ok) << where;
}

TEST(JobsTest, RunsToItsEndOnTheFakeDisk) {
  World w;
  ASSERT_TRUE(w.open().ok());
  ASSERT_TRUE(w.prepare().ok());
  ASSERT_TRUE(w.create().ok());
  w.settle();
  EXPECT_EQ((*w.job())->status(), "Completed") << (*w.job())->failure_reason();
  expect_whole(w, "undisturbed");
}

TEST(JobsTest, APowerCutInAnyPhaseLeavesAllOfAJobOrNothing) {
  const char* full = std::getenv("HOLDFAST_FULL");
  const uint64_t step = full && std::strcmp(full, "yes") == 0 ? 1 : 7;
  int completed = 0, failed = 0;
  for (uint64_t call = 1;; call += step) {
    World w;
    ASSERT_TRUE(w.open().ok() && w.prepare().ok());
    w.fs.fail_at(call, FakeFs::Fault::power_off);
    const bool acknowledged = w.create().ok();
    if (acknowledged) w.settle();
    const bool fired = w.fs.fault_fired();
    w.close();
    w.fs.crash(call);
    const std::string where = "call " + std::to_string(call);
    Status opened = w.open();
    ASSERT_TRUE(opened.ok()) << where << ": " << opened.error().message;
    auto job = w.job();
    ASSERT_TRUE(job.ok()) << where;
    EXPECT_TRUE(!acknowledged || *job) << where << ": an acknowledged job is gone";
    if (*job) {
      w.settle();  // one that waited runs now
      expect_whole(w, where);
      ((*w.job())->status() == "Completed" ? completed : failed) += 1;
    }
    if (testing::Test::HasFailure() || !fired) break;
    ASSERT_LT(call, 20'000u);
  }
  EXPECT_GT(completed, 1);  // both ends are met: how often depends on where the calls fall
  EXPECT_GT(failed, 1);
}

TEST(JobsTest, WithCheckpointsAJobOutlivesItsWorkers) {
  World w;
  ASSERT_TRUE(w.open().ok() && w.prepare().ok());
  w.fleet->deaths = 3;
  ASSERT_TRUE(w.create(true).ok());
  w.settle();
  EXPECT_EQ((*w.job())->status(), "Completed") << (*w.job())->failure_reason();
  EXPECT_THAT(w.fleet->begun_from, testing::ElementsAre(0, 1, 2, 3));
  w.jobs.reset();  // its thread has tidied up
  EXPECT_TRUE(w.fs.list("/site/scratch")->empty());
  ASSERT_TRUE(w.open_jobs().ok());
  expect_whole(w, "three deaths");
  World stuck;
  ASSERT_TRUE(stuck.open().ok() && stuck.prepare().ok());
  stuck.fleet->deaths = 99;
  ASSERT_TRUE(stuck.create(true).ok());
  stuck.settle();
  EXPECT_THAT((*stuck.job())->failure_reason(), HasSubstr("the worker ended (3 restarts"));
  stuck.jobs.reset();
  EXPECT_TRUE(stuck.fs.list("/site/scratch")->empty());
  ASSERT_TRUE(stuck.open_jobs().ok());
  expect_whole(stuck, "stuck");
}

TEST(JobsTest, WithCheckpointsAJobOutlivesAPowerCut) {
  const char* full = std::getenv("HOLDFAST_FULL");
  const uint64_t step = full && std::strcmp(full, "yes") == 0 ? 1 : 7;
  int gone_on = 0;
  for (uint64_t call = 1;; call += step) {
    World w;
    ASSERT_TRUE(w.open().ok() && w.prepare().ok());
    w.fs.fail_at(call, FakeFs::Fault::power_off);
    const bool acknowledged = w.create(true).ok();
    if (acknowledged) w.settle();
    const bool fired = w.fs.fault_fired();
    w.close();
    w.fs.crash(call);
    ASSERT_TRUE(w.open().ok());
    auto job = w.job();
    const std::string where = "call " + std::to_string(call);
    ASSERT_TRUE(job.ok() && (!acknowledged || *job)) << where;
    if (*job) {
      w.settle();
      EXPECT_EQ((*w.job())->status(), "Completed") << where << ": " << (*w.job())->failure_reason();
      if (!w.fleet->begun_from.empty() && w.fleet->begun_from[0] > 0) ++gone_on;
      w.jobs.reset();
      ASSERT_TRUE(w.open_jobs().ok()) << where;
      expect_whole(w, where);
    }
    if (testing::Test::HasFailure() || !fired) break;
    ASSERT_LT(call, 20'000u);
  }
  EXPECT_GT(gone_on, 1);
}

TEST(JobsTest, AFullDiskDoesNotLeaveAJobThatSeemsToRun) {
  World w;
  ASSERT_TRUE(w.open().ok() && w.prepare().ok());
  w.fleet->training_fails = fail(Code::exhausted, "no space");
  w.fleet->failing = [&] { w.fs.fail_at(1, FakeFs::Fault::enospc, true); };
  ASSERT_TRUE(w.create().ok());
  while (!w.fs.fault_fired()) os::real_clock().sleep_us(200);
  const uint64_t calls = w.fs.calls();
  while (w.fs.calls() < calls + 40) os::real_clock().sleep_us(200);
  w.fs.fail_at(0, FakeFs::Fault::enospc);  // there is room again
  w.settle();
  EXPECT_EQ((*w.job())->status(), "Failed");
  EXPECT_THAT((*w.job())->failure_reason(), HasSubstr("no space"));
}

TEST(JobsTest, AFullDiskDoesNotLeaveADeploymentThatIsMadeForEver) {
  World w;
  ASSERT_TRUE(w.open().ok() && w.prepare().ok());
  Deployment d;
  d.kind = kEndpoint;
  d.account = World::kAccount;
  d.name = d.id = "e";
  d.digest = std::string(64, 'a');  // not there: it fails
  ASSERT_TRUE(w.db->write([&](store::Txn& txn) { return insert_deployment(txn, d); }).ok());
  bool filled = false;
  w.fleet->inspecting = [&](const std::string&) {
    if (!std::exchange(filled, true)) w.fs.fail_at(1, FakeFs::Fault::enospc, true);
  };
  w.jobs->deployments().wake();
  while (!w.fs.fault_fired()) os::real_clock().sleep_us(200);
  const uint64_t calls = w.fs.calls();
  while (w.fs.calls() < calls + 40) os::real_clock().sleep_us(200);
  w.fs.fail_at(0, FakeFs::Fault::enospc);
  for (;;) {
    std::optional<Deployment> now;
    ASSERT_TRUE(w.db->read([&](store::Txn& txn) -> Status {
                      now = TRY(find_deployment(txn, d.kind, d.account, d.id));
                      return {};
                    })
                    .ok());
    if (now->state == Deployment::State::failed) break;
    os::real_clock().sleep_us(200);
  }
}

TEST(JobsTest, WordsOfAWorkerThatAreNoTextDoNotSpoilTheRecord) {
  World w;
  ASSERT_TRUE(w.open().ok() && w.prepare().ok());
  w.fleet->training_fails = fail(Code::invalid, "train file 1, line 7: found '\xff\xc3'");
  ASSERT_TRUE(w.create().ok());
  w.settle();
  w.jobs.reset();
  ASSERT_TRUE(w.open_jobs().ok());
  auto job = w.job();
  ASSERT_TRUE(job.ok()) << job.error().message;
  EXPECT_THAT((*job)->failure_reason(), HasSubstr("line 7: found '?"));
}

TEST(JobsTest, ARecordThatCannotBeReadDoesNotKeepTheSiteFromStarting) {
  World w;
  ASSERT_TRUE(w.open().ok());
  ASSERT_TRUE(w.db->write([](store::Txn& txn) {
                    return store::put_record(txn, {"training-job", World::kAccount, "odd", 1, 1, "no JSON"});
                  })
                  .ok());
  w.jobs.reset();
  EXPECT_TRUE(w.open_jobs().ok());
  ASSERT_TRUE(w.db->read([&](store::Txn& txn) -> Status {
                    EXPECT_EQ(w.jobs->find(txn, World::kAccount, "odd").error().code, Code::corrupt);
                    return {};
                  })
                  .ok());
}

TEST(JobsTest, AModelThatIsBeingRegisteredCannotBeRemoved) {
  World w;
  ASSERT_TRUE(w.open().ok() && w.prepare().ok());
  Status removed;
  w.fleet->inspecting = [&](const std::string& digest) { removed = w.models->remove(digest); };
  ASSERT_TRUE(w.create().ok());
  w.settle();
  EXPECT_EQ((*w.job())->status(), "Completed") << (*w.job())->failure_reason();
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code, Code::conflict);
  const std::string digest = w.model()->digest;
  w.jobs.reset();  // its thread is over, and so is its hold on the folder
  EXPECT_TRUE(w.models->remove(digest).ok());
}

TEST(ModelsTest, TheirFolderSurvivesAPowerCutOnceAModelIsNamed) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    FakeFs fs;
    os::FakeRandom random(seed);
    ASSERT_TRUE(fs.make_dirs("/site").ok());
    ASSERT_TRUE(fs.sync_dir("/").ok());
    auto models = Models::open(fs, random, "/site/models");
    ASSERT_TRUE(models.ok());
    std::string digest;
    {
      auto draft = (*models)->draft();
      ASSERT_TRUE((*(*draft)->create("config.json"))->write_at(0, "{}").ok());
      digest = (*draft)->seal().value();
    }
    fs.crash(seed);
    auto again = Models::open(fs, random, "/site/models");
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE((*again)->verify(digest).ok()) << seed;
  }
}

TEST(ModelsTest, AFailedSyncOfTheFolderNamesNothingMore) {
  FakeFs fs;
  os::FakeRandom random(1);
  auto models = *Models::open(fs, random, "/models");
  auto seal = [&](const std::string& content) {
    auto draft = *models->draft();
    EXPECT_TRUE((*draft->create("config.json"))->write_at(0, content).ok());
    return draft->seal();
  };
  ASSERT_TRUE(seal("one").ok());
  bool stopped = false;
  for (uint64_t sync = 1; sync <= 5; ++sync) {
    fs.fail_sync_at(sync, FakeFs::Fault::eio);
    EXPECT_FALSE(seal("two").ok());
    auto next = seal("two");
    stopped = stopped || !next.ok();
    if (stopped) {
      EXPECT_THAT(next.error().message, HasSubstr("until a restart"));
      break;
    }
    ASSERT_TRUE(models->remove(*next).ok());
  }
  EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace hf::fleet
