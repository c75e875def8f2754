#include "os/fs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "os/fake.h"

namespace hf::os {
namespace {

// One contract for the real disk and the fake one.
class FsContract : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "hf_fs_" + std::to_string(getpid());
    ASSERT_TRUE(fs().remove_tree(root_).ok());
    ASSERT_TRUE(fs().make_dirs(root_ + "/a/b").ok());
  }
  void TearDown() override { ASSERT_TRUE(fs().remove_tree(root_).ok()); }
  Fs& fs() { return GetParam() ? static_cast<Fs&>(fake_) : real_fs(); }
  std::string at(const char* name) { return root_ + "/" + name; }
  FakeFs fake_;
  std::string root_;
};

TEST_P(FsContract, OpensWritesReadsAndTruncates) {
  EXPECT_EQ(fs().open(at("x"), Open::read).error().code, Code::not_found);
  EXPECT_EQ(fs().open(at("x"), Open::write).error().code, Code::not_found);
  auto file = fs().open(at("x"), Open::create_new);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(fs().open(at("x"), Open::create_new).error().code, Code::conflict);
  ASSERT_TRUE((*file)->write_at(3, "abc").ok());
  EXPECT_EQ(*(*file)->size(), 6u);
  char out[16] = {};
  EXPECT_EQ(*(*file)->read_at(0, out), 6u);
  EXPECT_EQ(std::string(out, 6), std::string("\0\0\0abc", 6));
  EXPECT_EQ(*(*file)->read_at(6, out), 0u);
  EXPECT_EQ(*(*file)->read_at(100, out), 0u);
  ASSERT_TRUE((*file)->truncate(4).ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(*fs().read_file(at("x"), 4), std::string("\0\0\0a", 4));
  EXPECT_EQ(fs().read_file(at("x"), 3).error().code, Code::too_large);
  auto reader = fs().open(at("x"), Open::read);
  EXPECT_FALSE((*reader)->write_at(0, "no").ok());
}

TEST_P(FsContract, NamesListRenameRemoveAndStat) {
  ASSERT_TRUE(fs().write_file_atomic(at("a/one"), "1").ok());
  ASSERT_TRUE(fs().write_file_atomic(at("a/two"), "22").ok());
  ASSERT_TRUE(fs().write_file_atomic(at("a/two"), "222").ok());
  EXPECT_EQ(*fs().list(at("a")), (std::vector<std::string>{"b", "one", "two"}));
  EXPECT_EQ(fs().stat(at("a/two"))->size, 3u);
  EXPECT_EQ(fs().stat(at("a/b"))->kind, Stat::Kind::directory);
  EXPECT_EQ(fs().stat(at("a/none")).error().code, Code::not_found);
  ASSERT_TRUE(fs().rename(at("a/one"), at("a/two")).ok());
  EXPECT_EQ(*fs().read_file(at("a/two"), 10), "1");
  EXPECT_FALSE(fs().exists(at("a/one")));
  EXPECT_EQ(fs().remove(at("a")).error().code, Code::conflict);  // not empty
  ASSERT_TRUE(fs().rename(at("a"), at("c")).ok());               // a whole folder
  EXPECT_EQ(*fs().read_file(at("c/two"), 10), "1");
  EXPECT_EQ(fs().list(at("a")).error().code, Code::not_found);
  EXPECT_EQ(fs().open(at("c/two/three"), Open::create).error().code, Code::not_found);
  EXPECT_FALSE(fs().make_dirs(at("c/two/three")).ok());
  EXPECT_TRUE(fs().make_dirs(at("c/b")).ok());
  EXPECT_TRUE(fs().remove(at("c/two")).ok());
  EXPECT_EQ(fs().remove(at("c/two")).error().code, Code::not_found);
  EXPECT_TRUE(fs().remove_tree(at("c")).ok());
  EXPECT_TRUE(fs().remove_tree(at("c")).ok());  // gone already: no error
  EXPECT_TRUE(fs().sync_dir(root_).ok());
  EXPECT_GT(*fs().free_bytes(root_), 0u);
}

TEST_P(FsContract, ALockIsExclusiveUntilItGoes) {
  auto first = fs().lock(at("lock"));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(fs().lock(at("lock")).error().code, Code::conflict);
  first->reset();
  EXPECT_TRUE(fs().lock(at("lock")).ok());
}

INSTANTIATE_TEST_SUITE_P(All, FsContract, testing::Bool(),
                         [](const auto& p) { return std::string(p.param ? "Fake" : "Real"); });

TEST(RealFs, ModesAreAsAsked) {
  const std::string path = testing::TempDir() + "hf_mode_" + std::to_string(getpid());
  ASSERT_TRUE(real_fs().write_file_atomic(path, "secret").ok());
  struct stat s {};
  ASSERT_EQ(::stat(path.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);
  auto file = real_fs().open(path, Open::read);
  EXPECT_GE((*file)->fd(), 0);
  ASSERT_TRUE(real_fs().remove(path).ok());
}

std::string content(FakeFs& fs, const std::string& path) {
  auto text = fs.read_file(path, 1 << 20);
  return text.ok() ? *text : "(" + text.error().message + ")";
}

TEST(FakeFs, WhatWasSyncedSurvivesEveryCrash) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    FakeFs fs;
    ASSERT_TRUE(fs.make_dirs("/s").ok());
    ASSERT_TRUE(fs.sync_dir("/").ok());
    ASSERT_TRUE(fs.write_file_atomic("/s/f", "old").ok());
    auto file = fs.open("/s/f", Open::write);
    ASSERT_TRUE((*file)->write_at(0, "new").ok());
    fs.crash(seed);
    const std::string after = content(fs, "/s/f");
    EXPECT_TRUE(after == "old" || after == "new") << seed << after;
    EXPECT_FALSE((*file)->write_at(0, "dead").ok());
  }
}

TEST(FakeFs, WhatWasNotSyncedIsLostKeptTornOrGrownWithZeros) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    FakeFs fs;
    auto file = fs.open("/f", Open::create);
    ASSERT_TRUE(fs.sync_dir("/").ok());
    ASSERT_TRUE((*file)->write_at(0, std::string(512, 'a') + std::string(512, 'b')).ok());
    fs.crash(seed);
    std::string text = content(fs, "/f"), shape;
    for (size_t at = 0; at < text.size(); at += 512) shape += text[at] == 0 ? '0' : text[at];
    seen.insert(shape);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"", "a", "ab", "0b", "00"}));
}

TEST(FakeFs, ANameNeedsItsFolderSynced) {
  int lost = 0, kept = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    FakeFs fs;
    auto file = fs.open("/f", Open::create);
    ASSERT_TRUE((*file)->write_at(0, "x").ok());
    ASSERT_TRUE((*file)->sync().ok());
    fs.crash(seed);
    if (fs.exists("/f")) {
      ++kept;
      EXPECT_EQ(content(fs, "/f"), "x");
    } else {
      ++lost;
    }
  }
  EXPECT_GT(lost, 0);
  EXPECT_GT(kept, 0);
}

TEST(FakeFs, WhatASyncLostDoesNotComeBackOverWhatWasWrittenSince) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    FakeFs fs;
    auto file = fs.open("/f", Open::create);
    ASSERT_TRUE(fs.sync_dir("/").ok());
    ASSERT_TRUE((*file)->write_at(0, std::string(3000, 'a')).ok());
    fs.fail_sync_at(1, FakeFs::Fault::eio);
    EXPECT_FALSE((*file)->sync().ok());
    ASSERT_TRUE((*file)->write_at(1000, std::string(1000, 'b')).ok());
    ASSERT_TRUE((*file)->sync().ok());
    fs.crash(seed);
    const std::string after = content(fs, "/f");
    ASSERT_GE(after.size(), 2000u);
    EXPECT_EQ(after.substr(1000, 1000), std::string(1000, 'b')) << seed;
  }
}

TEST(FakeFs, ANameWhoseSyncFailedIsNotSavedByALaterOne) {
  int lost = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    FakeFs fs;
    ASSERT_TRUE(fs.open("/f", Open::create).ok());
    fs.fail_sync_at(1, FakeFs::Fault::eio);
    EXPECT_FALSE(fs.sync_dir("/").ok());
    EXPECT_TRUE(fs.sync_dir("/").ok());  // a lie, as the kernel's
    fs.crash(seed);
    lost += !fs.exists("/f");
  }
  EXPECT_GT(lost, 0);
}

TEST(FakeFs, MakeDirsSyncedSurvivesEveryPowerCut) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    FakeFs fs;
    ASSERT_TRUE(fs.make_dirs("/a/b").ok());  // by somebody who was cut off
    ASSERT_TRUE(fs.sync_dir("/").ok());
    ASSERT_TRUE(fs.make_dirs_synced("/a/b").ok());
    ASSERT_TRUE(fs.make_dirs_synced("/x/y/z").ok());
    fs.crash(seed);
    EXPECT_TRUE(fs.exists("/a/b") && fs.exists("/x/y/z")) << seed;
  }
}

TEST(FakeFs, AtomicWriteShowsTheOldOrTheNewAtEveryPowerCut) {
  const std::string before(3000, 'o'), after(5000, 'n');
  for (uint64_t call = 1;; ++call) {
    bool fired = false;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      FakeFs fs;
      ASSERT_TRUE(fs.write_file_atomic("/f", before).ok());
      fs.fail_at(call, FakeFs::Fault::power_off);
      const bool acknowledged = fs.write_file_atomic("/f", after).ok();
      fired = fs.fault_fired();
      EXPECT_EQ(acknowledged, !fired);
      fs.crash(seed);
      const std::string now = content(fs, "/f");
      EXPECT_TRUE(now == after || (!acknowledged && now == before)) << "call " << call << " seed " << seed;
    }
    if (!fired) break;
    ASSERT_LT(call, 100u);
  }
}

TEST(FakeFs, FaultsHitTheCallAskedForAndSyncFailureLosesForGood) {
  FakeFs fs;
  auto file = fs.open("/f", Open::create);
  ASSERT_TRUE(fs.sync_dir("/").ok());
  fs.fail_at(2, FakeFs::Fault::short_write);
  ASSERT_TRUE((*file)->write_at(0, "1234").ok());
  EXPECT_EQ((*file)->write_at(4, "5678").error().code, Code::exhausted);
  EXPECT_EQ(content(fs, "/f"), "123456");
  fs.fail_sync_at(1, FakeFs::Fault::eio);
  EXPECT_FALSE((*file)->sync().ok());
  EXPECT_TRUE((*file)->sync().ok());  // a lie, as the kernel's: the pages count as clean
  bool lost = false;
  fs.crash(5);
  lost = content(fs, "/f") != "123456";
  EXPECT_TRUE(lost);
  fs.set_capacity(fs.used_bytes() + 2);
  auto again = fs.open("/f", Open::write);
  ASSERT_TRUE((*again)->truncate(0).ok());
  fs.set_capacity(2);
  EXPECT_TRUE((*again)->write_at(0, "12").ok());
  EXPECT_EQ((*again)->write_at(2, "3").error().code, Code::exhausted);
  EXPECT_EQ(*fs.free_bytes("/"), 0u);
  fs.set_read_only(true);
  EXPECT_EQ((*again)->write_at(0, "1").error().code, Code::denied);
  EXPECT_EQ(fs.open("/g", Open::create).error().code, Code::denied);
  EXPECT_EQ(fs.open("/none", Open::read).error().code, Code::not_found);
}

TEST(FakeClockAndRandom, AreWhatTheTestSays) {
  FakeClock clock(1000);
  clock.sleep_us(5);
  EXPECT_EQ(clock.now(), 1005);
  clock.set(7);
  EXPECT_EQ(clock.monotonic_us(), 5);
  FakeRandom a(1), b(1), c(2);
  EXPECT_EQ(a.bytes(13), b.bytes(13));
  EXPECT_NE(a.bytes(13), c.bytes(13));
  EXPECT_NE(real_random().bytes(16), real_random().bytes(16));
  const int64_t then = real_clock().monotonic_us();
  real_clock().sleep_us(1);
  EXPECT_GT(real_clock().monotonic_us(), then);
}

}  // namespace
}  // namespace hf::os
