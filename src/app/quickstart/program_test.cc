#include "app/quickstart/program.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace hf::app {
namespace {

class Program : public testing::Test {
 protected:
  Context context_{os::real_fs(), os::real_clock(), os::real_random()};
  std::string scratch_ = testing::TempDir() + "/program-" + std::to_string(getpid());
  void TearDown() override { (void)context_.fs.remove_tree(scratch_); }
  Result<ProgramOutput> shell(const std::string& script, int timeout_s = 20, uint64_t limit = 1 << 20) {
    return run_program(context_, scratch_, "/bin/sh", {"-c", script}, timeout_s, limit);
  }
};

TEST_F(Program, GivesOutputsAndStatus) {
  auto ran = shell("echo out; echo err >&2; exit 3");
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(ran->status, 3);
  EXPECT_EQ(ran->out, "out\n");
  EXPECT_EQ(ran->err, "err\n");
  auto again = shell("true");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->status, 0);
  EXPECT_EQ(again->out + again->err, "");  // nothing is left of the one before
}

TEST_F(Program, ASignalIsToldByItsNumber) { EXPECT_EQ(shell("kill -9 $$")->status, 128 + 9); }

TEST_F(Program, HasLimits) {
  EXPECT_EQ(shell("sleep 60", 1).error().code, Code::unavailable);
  EXPECT_EQ(shell("head -c 5000 /dev/zero", 20, 1000).error().code, Code::too_large);
  EXPECT_FALSE(run_program(context_, scratch_, "/no/such/program", {}).ok());
}

}  // namespace
}  // namespace hf::app
