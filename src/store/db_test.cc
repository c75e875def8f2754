#include "store/db.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "os/fake.h"

namespace hf::store {
namespace {

using os::FakeFs;

constexpr const char* kPath = "/site/meta.db";

void make_site(FakeFs& fs) {
  ASSERT_TRUE(fs.make_dirs("/site").ok());
  ASSERT_TRUE(fs.sync_dir("/").ok());
}

Status add(Db& db, int64_t n) {
  return db.write([n](Txn& txn) {
    return put_record(txn, {"n", "a", std::to_string(n), n, n, std::to_string(n * n)});
  });
}

// All records of kind "n", each checked against what add() writes.
Result<std::set<int64_t>> numbers(Db& db) {
  std::set<int64_t> out;
  TRY(db.read([&](Txn& txn) -> Status {
    for (const auto& r : TRY(list_records(txn, "n", "a", "", 100000))) {
      const int64_t n = TRY(parse_int(r.name));
      EXPECT_EQ(r.body, std::to_string(n * n));
      out.insert(n);
    }
    return {};
  }));
  return out;
}

struct Fixture {
  Fixture() { make_site(fs); }
  std::unique_ptr<Db> open() {
    auto db = Db::open(fs, random, kPath);
    EXPECT_TRUE(db.ok()) << db.error().message;
    return db.ok() ? std::move(*db) : nullptr;
  }
  FakeFs fs;
  os::FakeRandom random{7};
};

TEST(Records, ArePutListedAndDeleted) {
  Fixture f;
  auto db = f.open();
  ASSERT_TRUE(db->write([](Txn& t) -> Status {
                  TRY(insert_record(t, {"job", "1", "b", 10, 10, "{}"}));
                  TRY(insert_record(t, {"job", "1", "a", 11, 11, "{\"x\":1}"}));
                  TRY(insert_record(t, {"job", "2", "a", 12, 12, ""}));
                  TRY(insert_record(t, {"job", "3", "a", 12, 12, ""}));
                  TRY(insert_record(t, {"model", "1", "a", 13, 13, "{}"}));
                  EXPECT_EQ(insert_record(t, {"job", "1", "a", 9, 9, ""}).error().code, Code::conflict);
                  return put_record(t, {"job", "1", "a", 99, 20, "new"});
                }).ok());
  ASSERT_TRUE(db->read([](Txn& t) -> Status {
                  auto a = TRY(get_record(t, "job", "1", "a"));
                  EXPECT_EQ(a->created, 11);  // kept
                  EXPECT_EQ(a->updated, 20);
                  EXPECT_EQ(a->body, "new");
                  EXPECT_FALSE(TRY(get_record(t, "job", "1", "zz")).has_value());
                  auto own = TRY(list_records(t, "job", "1", "", 10));
                  EXPECT_EQ(own.size(), 2u);
                  EXPECT_EQ(own[0].name, "a");
                  EXPECT_EQ(TRY(list_records(t, "job", "1", "a", 10)).size(), 1u);
                  EXPECT_EQ(TRY(list_records(t, "job", "1", "", 1)).size(), 1u);
                  EXPECT_EQ(TRY(list_records(t, "job", "1", "", 0)).size(), 0u);
                  // All accounts: the three that are called "a" come together, though the limit is 2.
                  EXPECT_EQ(TRY(list_records(t, "job", "", "", 2)).size(), 3u);
                  EXPECT_EQ(TRY(list_records(t, "job", "", "a", 2)).size(), 1u);
                  return {};
                }).ok());
  ASSERT_TRUE(db->write([](Txn& t) -> Status {
                  EXPECT_TRUE(TRY(delete_record(t, "job", "1", "a")));
                  EXPECT_FALSE(TRY(delete_record(t, "job", "1", "a")));
                  return {};
                }).ok());
}

TEST(Statements, BindEveryKindOfValueAndKeepTheirBytes) {
  Fixture f;
  auto db = f.open();
  const std::string bytes("a\0b\xff'\";--", 9);
  ASSERT_TRUE(db->write([&](Txn& t) -> Status {
                  TRY(t.run("CREATE TABLE t(i INTEGER, s TEXT, b BLOB, n INTEGER)"));
                  auto q = TRY(t.query("INSERT INTO t VALUES(?,?,?,?)"));
                  TRY(q.bind(INT64_MIN).bind(bytes).blob(bytes).null().run());
                  auto e = TRY(t.query("INSERT INTO t VALUES(?,?,?,?)"));
                  TRY(e.bind(int64_t{0}).bind(std::string_view()).blob(std::string_view()).null().run());
                  EXPECT_EQ(t.changes(), 1);
                  auto extra = TRY(t.query("SELECT 1"));
                  EXPECT_FALSE(extra.bind("too many").step().ok());
                  EXPECT_EQ(t.query("SELECT 1; SELECT 2").error().code, Code::internal);
                  EXPECT_FALSE(t.query("SELEC").ok());
                  return {};
                }).ok());
  ASSERT_TRUE(db->read([&](Txn& t) -> Status {
                  auto q = TRY(t.query("SELECT * FROM t ORDER BY i"));
                  EXPECT_TRUE(TRY(q.step()));
                  EXPECT_EQ(q.integer(0), INT64_MIN);
                  EXPECT_EQ(q.text(1), bytes);
                  EXPECT_EQ(q.text(2), bytes);
                  EXPECT_TRUE(q.is_null(3));
                  // The same text while the first is in use: another statement.
                  auto again = TRY(t.query("SELECT * FROM t ORDER BY i"));
                  EXPECT_TRUE(TRY(again.step()));
                  EXPECT_TRUE(TRY(q.step()));
                  EXPECT_FALSE(q.is_null(1));
                  EXPECT_EQ(q.text(2), "");
                  EXPECT_FALSE(TRY(q.step()));
                  return {};
                }).ok());
  // Writing in a read is refused.
  EXPECT_FALSE(db->read([](Txn& t) { return t.run("DELETE FROM t"); }).ok());
  // Many different texts do not pile up, and none breaks.
  for (int i = 0; i < 600; ++i) {
    ASSERT_TRUE(db->read([&](Txn& t) { return t.run("SELECT " + std::to_string(i)); }).ok());
  }
}

TEST(Writing, OneThatFailsTakesBackOnlyItself) {
  Fixture f;
  auto db = f.open();
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const int n = t * 50 + i;
        auto ok = db->write([&](Txn& txn) -> Status {
          TRY(put_record(txn, {"n", "a", std::to_string(n), n, n, std::to_string(n * n)}));
          if (n % 3 == 0) return fail(Code::invalid, "Mine", "as wished");
          return {};
        });
        EXPECT_EQ(ok.ok(), n % 3 != 0);
        if (!ok.ok()) {
          ++failed;
          EXPECT_EQ(ok.error().name, "Mine");
        }
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(failed, 134);
  auto seen = numbers(*db);
  EXPECT_EQ(seen->size(), 400u - 134u);
  for (int64_t n : *seen) EXPECT_NE(n % 3, 0);
}

TEST(Writing, WritersThatArriveTogetherShareASync) {
  Fixture f;
  auto db = f.open();
  // One writer blocks the thread until the others are queued.
  std::atomic<int> queued = 0;
  std::atomic<bool> entered = false;
  const uint64_t before = db->commits();
  std::thread first([&] {
    ASSERT_TRUE(db->write([&](Txn& t) -> Status {
                    entered = true;
                    while (queued < 20) std::this_thread::yield();
                    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
                    return t.run("CREATE TABLE IF NOT EXISTS x(i)");
                  }).ok());
  });
  while (!entered) std::this_thread::yield();
  std::vector<std::thread> others;
  for (int i = 0; i < 20; ++i) {
    others.emplace_back([&, i] {
      ++queued;
      ASSERT_TRUE(add(*db, i).ok());
    });
  }
  for (auto& t : others) t.join();
  first.join();
  EXPECT_LT(db->commits() - before, 21u);
  EXPECT_EQ(numbers(*db)->size(), 20u);
}

TEST(Writing, HooksRunOnceAGroupInsideItsTransaction) {
  Fixture f;
  auto db = f.open();
  int runs = 0;
  bool refuse = false;
  db->before_commit([&](Txn& t) -> Status {
    ++runs;
    if (refuse) return fail(Code::internal, "the hook refuses");
    return put_record(t, {"hook", "a", "runs", 0, 0, std::to_string(runs)});
  });
  ASSERT_TRUE(add(*db, 1).ok());
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(db->write([](Txn&) { return Status(fail(Code::conflict, "nothing")); }).ok());
  EXPECT_EQ(runs, 1);  // nothing to commit: no hook
  refuse = true;
  EXPECT_EQ(add(*db, 2).error().message, "the hook refuses");
  refuse = false;
  EXPECT_EQ(*numbers(*db), (std::set<int64_t>{1}));
  ASSERT_TRUE(db->write([](Txn&) -> Status { throw std::runtime_error("thrown"); }).error().code == Code::internal);
  ASSERT_TRUE(add(*db, 3).ok());
}

TEST(Reading, SeesOneSnapshotWhileOthersWrite) {
  Fixture f;
  auto db = f.open();
  ASSERT_TRUE(add(*db, 1).ok());
  ASSERT_TRUE(db->read([&](Txn& t) -> Status {
                  EXPECT_EQ(TRY(list_records(t, "n", "a", "", 10)).size(), 1u);
                  std::thread([&] { EXPECT_TRUE(add(*db, 2).ok()); }).join();
                  EXPECT_EQ(TRY(list_records(t, "n", "a", "", 10)).size(), 1u);
                  return {};
                }).ok());
  EXPECT_EQ(numbers(*db)->size(), 2u);
  // More readers at once than connections: they wait, none fails.
  std::vector<std::thread> readers;
  for (int i = 0; i < 40; ++i) readers.emplace_back([&] { EXPECT_EQ(numbers(*db)->size(), 2u); });
  for (auto& t : readers) t.join();
}

TEST(Opening, KeepsWhatIsThereAndRefusesTheNewerAndTheForeign) {
  Fixture f;
  { ASSERT_TRUE(add(*f.open(), 5).ok()); }
  {
    auto db = f.open();
    EXPECT_EQ(*numbers(*db), (std::set<int64_t>{5}));
    EXPECT_TRUE(db->verify().ok());
    ASSERT_TRUE(db->write([](Txn& t) { return t.run("PRAGMA user_version=999"); }).ok());
  }
  auto newer = Db::open(f.fs, f.random, kPath);
  ASSERT_FALSE(newer.ok());
  EXPECT_NE(newer.error().message.find("newer version"), std::string::npos) << newer.error().message;
  ASSERT_TRUE(f.fs.write_file_atomic("/site/other.db", std::string(5000, 'x')).ok());
  EXPECT_EQ(Db::open(f.fs, f.random, "/site/other.db").error().code, Code::corrupt);
  EXPECT_EQ(Db::open(f.fs, f.random, "/nowhere/x.db").error().code, Code::not_found);
  f.fs.set_read_only(true);
  auto read_only = Db::open(f.fs, f.random, "/site/fresh.db");
  EXPECT_EQ(read_only.error().code, Code::denied) << read_only.error().message;
  EXPECT_NE(read_only.error().message.find("Read-only file system"), std::string::npos) << read_only.error().message;
}

TEST(Opening, OnTheRealDisk) {
  const std::string folder = testing::TempDir() + "hf_db_" + std::to_string(reinterpret_cast<uintptr_t>(&kPath));
  ASSERT_TRUE(os::real_fs().remove_tree(folder).ok());
  ASSERT_TRUE(os::real_fs().make_dirs(folder).ok());
  for (int round = 0; round < 2; ++round) {
    auto db = Db::open(os::real_fs(), os::real_random(), folder + "/meta.db");
    ASSERT_TRUE(db.ok()) << db.error().message;
    ASSERT_TRUE(add(**db, round).ok());
    EXPECT_EQ(numbers(**db)->size(), static_cast<size_t>(round + 1));
  }
  ASSERT_TRUE(os::real_fs().remove_tree(folder).ok());
}

// ---- Faults. Each test fails every call in turn, N = 1 to the end.

TEST(Faults, EveryFailedCallIsAnErrorAndNothingAcknowledgedIsLost) {
  for (auto fault : {FakeFs::Fault::eio, FakeFs::Fault::enospc, FakeFs::Fault::short_write}) {
    for (uint64_t call = 1;; ++call) {
      Fixture f;
      { ASSERT_TRUE(add(*f.open(), 1).ok()); }
      std::set<int64_t> acknowledged{1}, tried{1};
      f.fs.fail_at(call, fault);
      if (auto db = Db::open(f.fs, f.random, kPath); db.ok()) {
        for (int64_t n = 2; n <= 5; ++n) {
          tried.insert(n);
          if (add(**db, n).ok()) acknowledged.insert(n);
          auto seen = numbers(**db);
          if (seen.ok()) {
            for (int64_t a : acknowledged) EXPECT_TRUE(seen->count(a)) << "call " << call << " lost " << a;
          }
        }
        EXPECT_TRUE(acknowledged.size() >= 4 || (*db)->failed()) << "call " << call;
      } else {
        EXPECT_FALSE(db.error().message.empty());
      }
      const bool fired = f.fs.fault_fired();
      f.fs.crash(call);
      auto db = f.open();
      ASSERT_TRUE(db) << "call " << call;
      auto seen = numbers(*db);
      ASSERT_TRUE(seen.ok()) << seen.error().message;
      for (int64_t a : acknowledged) EXPECT_TRUE(seen->count(a)) << "call " << call << " lost " << a;
      for (int64_t s : *seen) EXPECT_TRUE(tried.count(s));
      EXPECT_TRUE(db->verify().ok());
      if (!fired) break;
      ASSERT_LT(call, 2000u);
    }
  }
}

TEST(Faults, AFailedSyncStopsAllWritingUntilARestart) {
  int stopped = 0;
  for (uint64_t sync = 1;; ++sync) {
    Fixture f;
    std::set<int64_t> acknowledged;
    {
      auto db = f.open();
      f.fs.fail_sync_at(sync, FakeFs::Fault::eio);
      for (int64_t n = 1; n <= 5; ++n) {
        const bool was_failed = db->failed();
        auto ok = add(*db, n);
        if (ok.ok()) acknowledged.insert(n);
        EXPECT_FALSE(was_failed && ok.ok());
        if (!ok.ok()) {
          EXPECT_EQ(ok.error().code, Code::unavailable);
          EXPECT_NE(ok.error().message.find("until a restart"), std::string::npos) << ok.error().message;
        }
      }
      stopped += db->failed();
      EXPECT_TRUE(numbers(*db).ok());  // reading goes on
    }                                  // closing must not move frames that may be lost
    const bool fired = f.fs.fault_fired();
    f.fs.crash(sync);
    auto db = f.open();
    ASSERT_TRUE(db);
    auto seen = numbers(*db);
    ASSERT_TRUE(seen.ok());
    for (int64_t a : acknowledged) EXPECT_TRUE(seen->count(a)) << "sync " << sync << " lost " << a;
    ASSERT_TRUE(add(*db, 9).ok());
    if (!fired) break;
    ASSERT_LT(sync, 200u);
  }
  EXPECT_GE(stopped, 5);
}

TEST(Faults, APowerCutAtEveryCallKeepsWhatWasAcknowledged) {
  uint64_t cuts = 0;
  for (uint64_t call = 1;; ++call) {
    bool fired = false;
    for (uint64_t seed = 0; seed < 3; ++seed) {
      Fixture f;
      std::set<int64_t> acknowledged;
      int64_t tried = 0;
      f.fs.fail_at(call, FakeFs::Fault::power_off);
      for (int round = 0; round < 3; ++round) {  // closing moves the WAL into the file: that is cut too
        auto db = Db::open(f.fs, f.random, kPath);
        for (int i = 0; db.ok() && i < 3; ++i) {
          if (add(**db, ++tried).ok()) acknowledged.insert(tried);
        }
      }
      fired = f.fs.fault_fired();
      f.fs.crash(call * 1000 + seed);
      auto db = f.open();
      ASSERT_TRUE(db) << "call " << call << " seed " << seed;
      auto seen = numbers(*db);
      ASSERT_TRUE(seen.ok()) << "call " << call << " seed " << seed << ": " << seen.error().message;
      for (int64_t a : acknowledged)
        EXPECT_TRUE(seen->count(a)) << "call " << call << " seed " << seed << " lost " << a;
      EXPECT_LE(seen->size(), acknowledged.size() + 1);  // the one in flight may be there
      EXPECT_TRUE(db->verify().ok());
      cuts += fired;
    }
    if (!fired) break;
    ASSERT_LT(call, 5000u);
  }
  EXPECT_GT(cuts, 200u);
}

// A disk that is found full only when the data has to be on it is a server in need (503), not a client who asks too
// much.
TEST(Faults, AFullDiskAtASyncIsNoThrottling) {
  for (uint64_t sync = 1; sync <= 3; ++sync) {
    Fixture f;
    auto db = f.open();
    f.fs.fail_sync_at(sync, FakeFs::Fault::enospc);
    for (int64_t n = 0; n < 5; ++n) {
      if (auto ok = add(*db, n); !ok.ok()) {
        EXPECT_TRUE(ok.error().name == kDiskFull || ok.error().code == Code::unavailable) << ok.error().message;
      }
    }
    EXPECT_TRUE(f.fs.fault_fired());
  }
}

TEST(Faults, AFullDiskIsSaidAndPassesWithoutARestart) {
  Fixture f;
  auto db = f.open();
  int64_t n = 0;
  for (; n < 20; ++n) ASSERT_TRUE(add(*db, n).ok());
  f.fs.set_capacity(f.fs.used_bytes());
  Status full;
  const std::string big(20000, 'b');
  for (int i = 0; i < 200 && full.ok(); ++i) {
    full = db->write([&](Txn& t) { return put_record(t, {"big", "a", std::to_string(i), 0, 0, big}); });
  }
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, Code::exhausted) << full.error().message;
  EXPECT_EQ(full.error().name, kDiskFull);
  EXPECT_FALSE(db->failed());
  EXPECT_EQ(numbers(*db)->size(), 20u);
  // Deleting works: the WAL's own room is used again.
  for (int64_t d = 0; d < 20; ++d) {
    auto ok = db->write([&](Txn& t) -> Status {
      EXPECT_TRUE(TRY(delete_record(t, "n", "a", std::to_string(d))));
      return {};
    });
    EXPECT_TRUE(ok.ok()) << ok.error().message;
  }
  f.fs.set_capacity(UINT64_MAX);
  ASSERT_TRUE(add(*db, 77).ok());
  EXPECT_EQ(numbers(*db)->size(), 1u);
}

TEST(Faults, AFlippedBitInTheMainFileIsNeverAWrongRow) {
  Fixture f;
  {
    auto db = f.open();
    for (int64_t n = 0; n < 40; ++n) ASSERT_TRUE(add(*db, n).ok());
  }
  const uint64_t bits = f.fs.stat(kPath)->size * 8;
  os::FakeRandom random(3);
  int found = 0;
  for (int i = 0; i < 1500; ++i) {
    const uint64_t bit = i < 800 ? static_cast<uint64_t>(i) : random.below(bits);
    ASSERT_TRUE(f.fs.flip_bit(kPath, bit).ok());
    auto db = Db::open(f.fs, f.random, kPath);
    auto seen = db.ok() ? numbers(**db) : Result<std::set<int64_t>>(db.error());
    if (seen.ok()) {
      EXPECT_EQ(seen->size(), 40u) << "bit " << bit;
    } else {
      ++found;
    }
    if (db.ok()) db->reset();
    ASSERT_TRUE(f.fs.flip_bit(kPath, bit).ok());
  }
  EXPECT_GT(found, 200);
  EXPECT_EQ(numbers(*f.open())->size(), 40u);
}

// The two files of a site whose power was cut while its log held ten transactions.
struct Cut {
  std::string main, wal;
};

Cut cut_site() {
  Fixture f;
  auto db = f.open();
  for (int64_t n = 1; n <= 10; ++n) EXPECT_TRUE(add(*db, n).ok());
  f.fs.fail_at(1, FakeFs::Fault::power_off, true);
  db.reset();
  f.fs.crash(1);
  return {*f.fs.read_file(kPath, 1 << 24), *f.fs.read_file(std::string(kPath) + "-wal", 1 << 24)};
}

// What a start makes of the two files: the rows that it finds.
Result<std::set<int64_t>> start_on(const Cut& cut) {
  Fixture f;
  EXPECT_TRUE(f.fs.write_file_atomic(kPath, cut.main).ok());
  EXPECT_TRUE(f.fs.write_file_atomic(std::string(kPath) + "-wal", cut.wal).ok());
  auto db = TRY(Db::open(f.fs, f.random, kPath));
  return numbers(*db);
}

std::string flipped(std::string bytes, uint64_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

TEST(Faults, AnyFlippedBitInTheLogIsFoundBeforeSqliteDropsWhatFollows) {
  const Cut cut = cut_site();
  const uint64_t used = cut.wal.find_last_not_of('\0') + 1;
  ASSERT_GT(used, 10u * 4096);
  EXPECT_EQ(start_on(cut)->size(), 10u);
  os::FakeRandom random(5);
  for (uint64_t i = 0; i < 600; ++i) {  // the header's, the first frame's, and others
    const uint64_t bit = i < 300 ? i : random.below(used * 8);
    auto seen = start_on({cut.main, flipped(cut.wal, bit)});
    ASSERT_FALSE(seen.ok()) << "bit " << bit << ": " << seen->size() << " of 10 rows";
    EXPECT_EQ(seen.error().code, Code::corrupt) << seen.error().message;
    if (bit >= 32 * 8) {
      EXPECT_NE(seen.error().message.find("flipped bit"), std::string::npos) << seen.error().message;
    }
  }
}

TEST(Faults, LargerDamageInTheLogNeverTakesAwayWhatFollowsIt) {
  const Cut cut = cut_site();
  const uint64_t used = cut.wal.find_last_not_of('\0') + 1;
  os::FakeRandom random(6);
  int found = 0;
  for (int i = 0; i < 300; ++i) {
    const uint64_t at = random.below(used), n = 2 + random.below(600);
    Cut bad = cut;
    for (uint64_t k = at; k < std::min<uint64_t>(used, at + n); ++k) bad.wal[k] = random.bytes(1)[0];
    auto seen = start_on(bad);
    if (seen.ok()) {
      // The last transaction alone cannot be told from one that was torn; nor the last two, where the damage reaches
      // over both.
      for (int64_t row = 1; row <= 8; ++row) EXPECT_TRUE(seen->count(row)) << "at " << at << " lost " << row;
    } else {
      EXPECT_EQ(seen.error().code, Code::corrupt) << seen.error().message;
      EXPECT_NE(seen.error().message.find("-wal"), std::string::npos) << seen.error().message;
      ++found;
    }
  }
  EXPECT_GT(found, 200);
}

TEST(Faults, AFlippedBitInTheLogIsNeverAWrongRowWhileTheSiteRuns) {
  Fixture f;
  auto db = f.open();
  const std::string wal = std::string(kPath) + "-wal";
  os::FakeRandom random(9);
  int found = 0;
  for (int64_t n = 1; n <= 150; ++n) {
    ASSERT_TRUE(add(*db, n).ok());
    const std::string log = *f.fs.read_file(wal, 1 << 24);
    // In a page of the last transaction (its table's or its index's): what the next reader has not in its memory.
    const uint64_t frame = (log.find_last_not_of('\0') - 32) / (24 + 4096) + 1 - random.below(2);
    const uint64_t bit = (32 + frame * (24 + 4096) - random.below(4000) - 1) * 8 + random.below(8);
    ASSERT_TRUE(f.fs.flip_bit(wal, bit).ok());
    auto seen = numbers(*db);  // checks every row's content
    if (seen.ok()) {
      EXPECT_EQ(seen->size(), static_cast<size_t>(n)) << "bit " << bit;
    } else {
      ++found;
      EXPECT_EQ(seen.error().code, Code::corrupt) << seen.error().message;
    }
    ASSERT_TRUE(f.fs.flip_bit(wal, bit).ok());
  }
  EXPECT_GT(found, 20);
  EXPECT_EQ(numbers(*db)->size(), 150u);
}

}  // namespace
}  // namespace hf::store
