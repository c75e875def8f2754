// The job role with real containers; fleet_test is the program that is its own job-init.
#include "fleet/sandbox_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <mutex>

namespace hf::fleet {
namespace {

using ::testing::HasSubstr;

class Collected final : public os::RefusalSink {
 public:
  void refused(const os::Refusal& r) override {
    std::lock_guard lock(mutex_);
    rows_.push_back(r.call + " " + r.what);
  }
  std::vector<std::string> rows() {
    std::lock_guard lock(mutex_);
    return rows_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> rows_;
};

class SandboxJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (bubblewrap_path(os::real_fs()).empty()) GTEST_SKIP() << "bubblewrap is not installed";
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "no sandbox beside the sanitizer's own thread";
#endif
    char name[] = "/tmp/hf-job-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    job_.folder = name;
    ASSERT_TRUE(prepare_job_folder(os::real_fs(), job_.folder).ok());
    job_.refusals = refusals_;
    job_.seconds = 60;
  }
  void TearDown() override {
    if (job_.folder.empty()) return;
    EXPECT_TRUE(os::remove_job_folder(job_.folder).ok());
    EXPECT_FALSE(os::real_fs().exists(job_.folder));
  }
  Result<SandboxJobEnd> sh(const std::string& script, const std::function<bool()>& stopped = nullptr) {
    job_.command = {"/bin/sh", "-c", script};
    return run_sandbox_job(os::real_fs(), os::real_clock(), job_, stopped);
  }

  SandboxJob job_;
  std::shared_ptr<Collected> refusals_ = std::make_shared<Collected>();
};

TEST_F(SandboxJobTest, RunsInItsFoldersAndTellsItsEnd) {
  ASSERT_TRUE(os::real_fs().write_file_atomic(job_.folder + "/input/data/a", "hello").ok());
  auto end = sh("cat input/data/a; echo made > /opt/ml/model/m; pwd; exit 7");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->status, 7);
  EXPECT_EQ(end->output, "hello/opt/ml\n");
  EXPECT_EQ(*os::real_fs().read_file(job_.folder + "/model/m", 100), "made\n");
  EXPECT_THAT(end->isolation, HasSubstr("network namespace"));
  EXPECT_THAT(end->isolation, HasSubstr("seccomp lets it make"));
}

TEST_F(SandboxJobTest, SeesNothingOfTheMachine) {
  auto end =
      sh("for p in /root /home /var /boot /etc/passwd /etc/shadow /sys /opt/other /run/dbus; do test -e $p && echo $p; "
         "done;"
         "ls -d /proc/[0-9]* | wc -l; hostname; env | sort | cut -d= -f1 | tr '\\n' ' '; ls /proc/self/fd | wc -l");
  ASSERT_TRUE(end.ok()) << end.error().message;
  // Processes: 1, sh, ls, wc at most; descriptors: 0, 1, 2 and the one that ls reads with.
  EXPECT_THAT(end->output, ::testing::MatchesRegex("[2-5]\njob\nHOME LANG (OLDPWD )?PATH PWD TMPDIR (_ )?4\n"));
}

// Its variables are the program's alone: an LD_PRELOAD for bubblewrap would be code of the user's outside.
TEST_F(SandboxJobTest, ItsEnvironmentReachesTheProgramAndNothingBefore) {
  job_.environment = {"A=b c", "EMPTY=", "LD_PRELOAD=/opt/ml/model/no-such.so", "PATH=/usr/bin", "MORE=1\n2"};
  auto end = sh("echo \"$A|$EMPTY|$PATH|$MORE\"; tr '\\0' '\\n' </proc/1/environ | grep -c -e LD_PRELOAD -e '^A='");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_THAT(end->output, HasSubstr("b c||/usr/bin|1\n2\n"));
  // The dynamic linker complains of the file that is not there, to each program of the user's.
  EXPECT_THAT(end->output, HasSubstr("no-such.so"));
  EXPECT_THAT(end->output, ::testing::EndsWith("0\n"));
  EXPECT_EQ(end->output.find("bwrap"), std::string::npos);
  EXPECT_EQ(end->output.find("holdfast"), std::string::npos);
}

TEST_F(SandboxJobTest, SetsNothingOfTheKernels) {
  auto end =
      sh("find /proc/sys -type f -perm -200 2>/dev/null | head -2000 | while read f; do"
         " (: >>$f) 2>/dev/null && echo $f; done; (: >>/proc/sysrq-trigger) 2>/dev/null && echo sysrq; true");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->output, "");
}

TEST_F(SandboxJobTest, WritesNowhereElse) {
  auto end = sh(
      "for p in /opt/ml/input /opt/ml/code /opt/ml/doors /usr /etc / /run /dev /proc/sys/kernel; do"
      " touch $p/x 2>/dev/null && echo $p; done; (echo 1 > /proc/sys/kernel/core_pattern) 2>/dev/null && echo core;"
      "for p in /opt/ml /opt/ml/model /opt/ml/output /opt/ml/checkpoints /tmp /dev/shm; do touch $p/x || echo not $p;"
      " done");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->output, "");
}

TEST_F(SandboxJobTest, RefusedCallsAreToldWithTheirChildrensOnes) {
  auto end = sh("unshare -r true; (nsenter -t 1 -n true; mount -t tmpfs x /tmp) 2>&1 | tail -2; exit 0");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_THAT(refusals_->rows(), ::testing::IsSupersetOf({std::string("unshare "), std::string("mount ")}));
}

TEST_F(SandboxJobTest, EndsAtItsTimeWithAllThatItStarted) {
  job_.seconds = 1;
  auto end = sh("sleep 1000 & echo started; sleep 1000");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_TRUE(end->timed_out);
  EXPECT_EQ(end->status, 128 + SIGKILL);
  EXPECT_EQ(end->output, "started\n");
}

TEST_F(SandboxJobTest, WhatItLeavesBehindEndsWithIt) {
  auto end = sh("sleep 1000 & exit 3");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->status, 3);
  EXPECT_FALSE(end->timed_out);
}

// What a job can leave behind to keep its folder from being removed; TearDown() sees that it is.
TEST_F(SandboxJobTest, ItsFolderCanBeRemovedWhateverItDidThere) {
  ASSERT_TRUE(os::real_fs().make_dirs(job_.folder + "-other").ok());
  ASSERT_TRUE(os::real_fs().write_file_atomic(job_.folder + "-other/kept", "x").ok());
  auto end = sh("cd model; ln -s " + job_.folder +
                "-other link; ln -s / root; mkdir closed; touch closed/x; chmod 0 closed; mkfifo pipe;"
                "i=0; while [ $i -lt 200 ]; do mkdir d && cd -P d || break; i=$((i+1)); done; touch bottom; echo $i");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->output, "200\n");
  EXPECT_TRUE(os::remove_job_folder(job_.folder).ok());
  EXPECT_TRUE(os::real_fs().exists(job_.folder + "-other/kept"));
  EXPECT_TRUE(os::real_fs().remove_tree(job_.folder + "-other").ok());
}

TEST_F(SandboxJobTest, IsTheFirstToGoWhereMemoryRunsOut) {
  auto end =
      sh("cat /proc/self/oom_score_adj; (echo 0 >/proc/self/oom_score_adj) 2>/dev/null; cat /proc/self/oom_score_adj");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->output, "1000\n1000\n");
}

TEST_F(SandboxJobTest, IsStopped) {
  auto end = sh("sleep 1000", [] { return true; });
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_TRUE(end->stopped);
}

TEST_F(SandboxJobTest, OutputAndMemoryAreBounded) {
  job_.output_bytes = 1000;
  job_.limits.memory_bytes = 64 << 20;
  auto end = sh("head -c 100000 /dev/zero | tr '\\0' x; head -c 200000000 /dev/zero | tail -c 190000000 | wc -c");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->output.size(), 1000U);
  EXPECT_TRUE(end->output_cut);
}

TEST_F(SandboxJobTest, AForkBombIsBounded) {
  if (geteuid() == 0) GTEST_SKIP() << "the kernel does not bound root's number of processes";
  job_.limits.processes = 20;
  auto end = sh("for i in $(seq 100); do sleep 5 & done 2>/dev/null; echo no");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_NE(end->status, 0);  // the shell gives up: Resource temporarily unavailable
}

TEST_F(SandboxJobTest, AProgramThatIsNotThereIsNamed) {
  job_.command = {"no-such-program"};
  auto end = run_sandbox_job(os::real_fs(), os::real_clock(), job_, nullptr);
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().code, Code::invalid) << end.error().message;
  EXPECT_THAT(end.error().message, HasSubstr("no-such-program: No such file"));
}

TEST_F(SandboxJobTest, AFolderThatIsNotThereIsAnError) {
  job_.folder += "/gone";
  auto end = sh("true");
  job_.folder.resize(job_.folder.size() - 5);
  ASSERT_FALSE(end.ok());
  EXPECT_THAT(end.error().message, HasSubstr("/gone"));
}

TEST_F(SandboxJobTest, ASignalsEndIsTold) {
  auto end = sh("kill -SEGV $$");
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(end->status, 128 + SIGSEGV);
}

}  // namespace
}  // namespace hf::fleet
