// Every operation of the store that changes something, with every call that it makes to the disk failing in turn (N = 1
// to the end) in every way that the fake disk knows, the power cut included. What holds for each:
//   - acknowledged: its effect is there, now and after a power cut;
//   - an error: all of its effect or none, never a part, now and after a power cut;
//   - what was there before is there in any case, reading goes on, nothing crashes, and no file is left behind.
// A new operation gets one row in operations().
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>

#include "base/bytes.h"
#include "os/fake.h"
#include "store/objects.h"

namespace hf::store {
namespace {

using os::FakeFs;
using Fault = FakeFs::Fault;
using State = std::map<std::string, std::string>;  // all that can be read, as text

std::string pattern(uint64_t seed, size_t n) { return os::FakeRandom(seed).bytes(n); }

struct Site {
  explicit Site(uint64_t seed) : random(seed) {
    EXPECT_TRUE(fs.make_dirs("/site").ok());
    EXPECT_TRUE(fs.sync_dir("/").ok());
  }
  Status open() {
    db = TRY(Db::open(fs, random, "/site/meta.db"));
    objects = TRY(Objects::open(fs, clock, random, *db, "/site/objects", 0));
    return {};
  }
  void close() {
    objects.reset();
    db.reset();
  }
  Status put(const std::string& key, const std::string& bytes) {
    auto up = TRY(objects->upload());
    for (size_t at = 0; at < bytes.size(); at += 1 << 19) TRY(up->write(std::string_view(bytes).substr(at, 1 << 19)));
    TRY(up->seal());
    ObjectInfo info;
    info.bucket = "b";
    info.key = key;
    return db->write([&](Txn& t) { return objects->commit(t, *up, info); });
  }

  Result<State> state() {
    State out;
    std::vector<std::string> keys;
    TRY(db->read([&](Txn& t) -> Status {
      out.clear();
      keys.clear();
      for (const auto& b : TRY(objects->buckets(t, "1", "", "", 100))) {
        out["bucket " + b.name] = b.account;
        for (const auto& o : TRY(objects->list(t, b.name, "", "", "", 100)).objects) keys.push_back(o.key);
      }
      for (const auto& r : TRY(list_records(t, "n", "", "", 100)))
        out["record " + r.name + " " + r.account] = std::to_string(r.created) + " " + r.body;
      return {};
    }));
    for (const auto& key : keys) {
      auto reader = TRY(objects->get("b", key));
      std::string bytes(reader->info().size, '\0');
      (void)TRY(reader->read_at(0, {bytes.data(), bytes.size()}));
      out["object " + key] = reader->info().etag + " " + hex(bytes.substr(0, 32));
    }
    return out;
  }
  size_t files() {
    size_t n = 0;
    for (int i = 0; i < 256; ++i)
      n += fs.list("/site/objects/" + hex(std::string(1, static_cast<char>(i)))).value().size();
    return n;
  }

  FakeFs fs;
  os::FakeClock clock;
  os::FakeRandom random;
  std::unique_ptr<Db> db;
  std::unique_ptr<Objects> objects;
};

struct Operation {
  const char* name;
  std::function<Status(Site&)> run;
  bool fresh = false;  // on an empty folder that no site has opened yet
};

std::vector<Operation> operations() {
  return {
      {"open a new site", [](Site& s) { return s.open(); }, true},
      {"open again",
       [](Site& s) {
         s.close();  // moves the log into the main file
         return s.open();
       }},
      {"create a bucket",
       [](Site& s) { return s.db->write([&](Txn& t) {
                       return s.objects->create_bucket(t, {"new", "1", 5});
                     }); }},
      {"delete a bucket",
       [](Site& s) { return s.db->write([&](Txn& t) { return s.objects->delete_bucket(t, "empty"); }); }},
      {"put an object", [](Site& s) { return s.put("new", pattern(1, 5000)); }},
      {"put an object of several blocks", [](Site& s) { return s.put("new", pattern(2, kObjectBlockBytes + 777)); }},
      {"replace an object", [](Site& s) { return s.put("k", pattern(3, 3000)); }},
      {"remove an object",
       [](Site& s) {
         return s.db->write([&](Txn& t) -> Status {
           (void)TRY(s.objects->remove(t, "b", "k"));
           return {};
         });
       }},
      {"give an upload up",
       [](Site& s) -> Status {
         auto up = TRY(s.objects->upload());
         TRY(up->write(pattern(4, 4000)));
         return up->seal();
       }},
      {"collect what was removed",
       [](Site& s) -> Status {
         s.objects->collect();
         return {};
       }},
      {"put a record",
       [](Site& s) { return s.db->write([](Txn& t) {
                       return put_record(t, {"n", "1", "kept", 7, 7, "replaced"});
                     }); }},
      {"insert a record",
       [](Site& s) { return s.db->write([](Txn& t) {
                       return insert_record(t, {"n", "2", "new", 8, 8, "{}"});
                     }); }},
      {"delete a record",
       [](Site& s) {
         return s.db->write([](Txn& t) -> Status {
           EXPECT_TRUE(TRY(delete_record(t, "n", "1", "kept")));
           return {};
         });
       }},
      {"several changes in one transaction",
       [](Site& s) {
         return s.db->write([&](Txn& t) -> Status {
           TRY(s.objects->create_bucket(t, {"new", "1", 5}));
           TRY(put_record(t, {"n", "1", "with it", 9, 9, std::string(9000, 'x')}));
           (void)TRY(s.objects->remove(t, "b", "other"));
           return {};
         });
       }},
  };
}

// What every site of this test holds before.
void furnish(Site& s) {
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.db->write([&](Txn& t) -> Status {
                    TRY(s.objects->create_bucket(t, {"b", "1", 1}));
                    TRY(s.objects->create_bucket(t, {"empty", "1", 2}));
                    return insert_record(t, {"n", "1", "kept", 3, 3, "{}"});
                  })
                  .ok());
  ASSERT_TRUE(s.put("k", "first").ok() && s.put("k", "value").ok() && s.put("other", "another").ok());
}

class EveryCall : public testing::TestWithParam<size_t> {};

TEST_P(EveryCall, FailsInEveryWay) {
  const Operation op = operations()[GetParam()];
  auto prepared = [&](uint64_t seed) {
    auto s = std::make_unique<Site>(seed);
    if (!op.fresh) furnish(*s);
    return s;
  };
  const char* wish = std::getenv("HOLDFAST_FULL");
  const bool full = wish && std::strcmp(wish, "yes") == 0;
  State before, after;
  uint64_t calls = 0;
  {
    auto s = prepared(1);
    if (!op.fresh) before = *s->state();
    const uint64_t from = s->fs.calls();
    ASSERT_TRUE(op.run(*s).ok());
    calls = s->fs.calls() - from;
    after = *s->state();
  }
  ASSERT_GT(calls, 0u);
  for (const Fault fault : {Fault::eio, Fault::enospc, Fault::short_write, Fault::power_off}) {
    // A new site makes its 256 folders one after the other: of those in the middle some will do.
    auto next = [&](uint64_t n) { return n + (!full && n > 60 && n + 300 < calls ? 17 : 1); };
    for (uint64_t n = 1; n <= calls; n = next(n)) {
      const std::string where = std::string(op.name) + ", fault " + std::to_string(static_cast<int>(fault)) +
                                " at call " + std::to_string(n) + " of " + std::to_string(calls);
      auto s = prepared(1);
      s->fs.fail_at(n, fault);
      const bool acknowledged = op.run(*s).ok();
      EXPECT_TRUE(s->fs.fault_fired()) << where;
      auto good = [&](const State& state) { return state == after || (!acknowledged && state == before); };
      if (fault != Fault::power_off && s->objects) {
        auto now = s->state();
        ASSERT_TRUE(now.ok()) << where << ": " << now.error().message;
        EXPECT_TRUE(good(*now)) << where;
      }
      s->close();
      s->fs.crash(n * 7 + static_cast<uint64_t>(fault));
      Status opened = s->open();
      ASSERT_TRUE(opened.ok()) << where << ": " << opened.error().message;
      auto then = s->state();
      ASSERT_TRUE(then.ok()) << where << ": " << then.error().message;
      EXPECT_TRUE(good(*then)) << where << ", after the power cut";
      EXPECT_TRUE(s->db->verify().ok()) << where;
      size_t objects = 0;
      for (const auto& [name, value] : *then) objects += name.rfind("object ", 0) == 0;
      EXPECT_EQ(s->files(), objects) << where << ": files left behind";
      if (testing::Test::HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Store, EveryCall, testing::Range(size_t{0}, operations().size()), [](const auto& p) {
  std::string name = operations()[p.param].name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

}  // namespace
}  // namespace hf::store
