#include "store/objects.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "os/fake.h"

namespace hf::store {
namespace {

using os::FakeFs;

struct Site {
  explicit Site(uint64_t seed = 1) : random(seed) {
    EXPECT_TRUE(fs.make_dirs("/site").ok());
    EXPECT_TRUE(fs.sync_dir("/").ok());
  }
  Status open() {
    objects.reset();
    db.reset();
    db = TRY(Db::open(fs, random, "/site/meta.db"));
    objects = TRY(Objects::open(fs, clock, random, *db, "/site/objects", reserved));
    return {};
  }
  void close() {
    objects.reset();
    db.reset();
  }
  Status make_bucket(const std::string& name, const std::string& account = "1") {
    return db->write([&](Txn& t) { return objects->create_bucket(t, {name, account, 0}); });
  }
  Status put(const std::string& key, const std::string& bytes, const std::string& bucket = "b") {
    auto up = TRY(objects->upload());
    for (size_t at = 0; at < bytes.size(); at += 100'000) TRY(up->write(std::string_view(bytes).substr(at, 100'000)));
    TRY(up->seal());
    ObjectInfo info;
    info.bucket = bucket;
    info.key = key;
    info.metadata = {{"who", "me \xff"}};
    info.system = {{"content-type", "text/plain"}};
    info.checksums = {{"crc32", "AAAAAA=="}};
    return db->write([&](Txn& t) { return objects->commit(t, *up, info); });
  }
  Result<std::string> get(const std::string& key, const std::string& bucket = "b") {
    auto reader = TRY(objects->get(bucket, key));
    std::string out(reader->info().size, '\0');
    const size_t n = TRY(reader->read_at(0, {out.data(), out.size()}));
    EXPECT_EQ(n, out.size());
    EXPECT_EQ(reader->info().etag, hex(crypto::digest(crypto::Hash::md5, out)));
    return out;
  }
  Status remove(const std::string& key) {
    return db->write([&](Txn& t) -> Status {
      TRY(objects->remove(t, "b", key));
      return {};
    });
  }
  std::vector<std::string> files() {
    std::vector<std::string> out;
    auto dirs = fs.list("/site/objects");
    for (const auto& d : *dirs) {
      auto names = fs.list("/site/objects/" + d);
      for (const auto& n : *names) out.push_back("/site/objects/" + d + "/" + n);
    }
    return out;
  }
  FakeFs fs;
  os::FakeClock clock;
  os::FakeRandom random;
  uint64_t reserved = 0;
  std::unique_ptr<Db> db;
  std::unique_ptr<Objects> objects;
};

std::string pattern(uint64_t seed, size_t n) { return os::FakeRandom(seed).bytes(n); }

TEST(Buckets, AreMadeListedAndDeleted) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  for (const char* name : {"alpha", "beta", "beta2", "gamma"}) ASSERT_TRUE(s.make_bucket(name).ok());
  ASSERT_TRUE(s.make_bucket("other", "2").ok());
  EXPECT_EQ(s.make_bucket("alpha").error().name, "BucketAlreadyOwnedByYou");
  EXPECT_EQ(s.make_bucket("alpha", "2").error().name, "BucketAlreadyExists");
  ASSERT_TRUE(s.put("k", "v", "beta").ok());
  EXPECT_EQ(s.put("k", "v", "none").error().name, "NoSuchBucket");
  auto names = [&](const std::string& prefix, const std::string& after, int64_t limit) {
    std::string out;
    EXPECT_TRUE(s.db->read([&](Txn& t) -> Status {
                      for (const auto& b : TRY(s.objects->buckets(t, "1", prefix, after, limit))) out += b.name + " ";
                      return {};
                    })
                    .ok());
    return out;
  };
  EXPECT_EQ(names("", "", 100), "alpha beta beta2 gamma ");
  EXPECT_EQ(names("b", "", 100), "beta beta2 ");
  EXPECT_EQ(names("", "beta", 1), "beta2 ");
  auto drop = [&](const std::string& name) {
    return s.db->write([&](Txn& t) { return s.objects->delete_bucket(t, name); });
  };
  EXPECT_EQ(drop("beta").error().name, "BucketNotEmpty");
  EXPECT_EQ(drop("none").error().name, "NoSuchBucket");
  EXPECT_TRUE(drop("gamma").ok());
  EXPECT_EQ(names("", "", 100), "alpha beta beta2 ");
}

TEST(Objects, ComeBackAsTheyWereAtEverySizeAndRange) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  const uint64_t block = kObjectBlockBytes;
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{999}, block - 1, block, block + 1, 2 * block + 77}) {
    const std::string bytes = pattern(size, size);
    ASSERT_TRUE(s.put("k", bytes).ok());
    auto back = s.get("k");
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_TRUE(*back == bytes) << size;
    auto reader = s.objects->get("b", "k");
    for (uint64_t from : {uint64_t{0}, uint64_t{5}, block - 3, block, block + 3, 2 * block, size}) {
      for (uint64_t n : {uint64_t{0}, uint64_t{1}, uint64_t{6}, block, 2 * block + 1}) {
        std::string out(n, '\0');
        auto got = (*reader)->read_at(from, {out.data(), out.size()});
        ASSERT_TRUE(got.ok());
        const std::string wanted = from < size ? bytes.substr(from, n) : "";
        EXPECT_TRUE(out.substr(0, *got) == wanted) << size << " " << from << " " << n;
      }
    }
  }
  EXPECT_EQ(s.get("none").error().name, "NoSuchKey");
  EXPECT_EQ(s.get("k", "none").error().name, "NoSuchBucket");
  ASSERT_TRUE(s.db->read([&](Txn& t) -> Status {
                    auto info = TRY(s.objects->head(t, "b", "k"));
                    EXPECT_EQ(info->metadata.at("who"), "me \xff");
                    EXPECT_EQ(info->system.at("content-type"), "text/plain");
                    EXPECT_EQ(info->checksums.at("crc32"), "AAAAAA==");
                    EXPECT_EQ(info->modified, s.clock.now());
                    EXPECT_EQ(info->version_id, "null");
                    EXPECT_FALSE(TRY(s.objects->head(t, "b", "none")).has_value());
                    return {};
                  })
                  .ok());
}

TEST(Objects, ReplacedAndRemovedFilesGoButOpenReadersKeepTheirBytes) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  ASSERT_TRUE(s.put("k", "first").ok());
  auto reader = s.objects->get("b", "k");
  ASSERT_TRUE(s.put("k", "second").ok());
  EXPECT_EQ(s.files().size(), 2u);
  s.objects->collect();
  EXPECT_EQ(s.files().size(), 1u);
  std::string out(5, '\0');
  ASSERT_TRUE((*reader)->read_at(0, {out.data(), out.size()}).ok());
  EXPECT_EQ(out, "first");
  EXPECT_EQ(*s.get("k"), "second");
  ASSERT_TRUE(s.remove("k").ok());
  ASSERT_TRUE(s.remove("k").ok());  // again: not there, no error
  s.objects->collect();
  EXPECT_TRUE(s.files().empty());
  // An upload that is given up, one whose transaction fails, and one that holds.
  { ASSERT_TRUE((*s.objects->upload())->write("half").ok()); }
  EXPECT_TRUE(s.files().empty());
  {
    auto up = s.objects->upload();
    ASSERT_TRUE((*up)->write("x").ok() && (*up)->seal().ok());
    ObjectInfo info;
    info.bucket = "b";
    info.key = "k";
    EXPECT_FALSE(s.db->write([&](Txn& t) -> Status {
                       TRY(s.objects->commit(t, **up, info));
                       return fail(Code::conflict, "changed my mind");
                     })
                     .ok());
    EXPECT_EQ(s.files().size(), 1u);
  }
  EXPECT_TRUE(s.files().empty());
  EXPECT_FALSE(s.objects->collect_due());
  for (int i = 0; i < 70; ++i) ASSERT_TRUE(s.put("k", std::to_string(i)).ok());
  EXPECT_TRUE(s.objects->collect_due());
  s.objects->collect();
  EXPECT_FALSE(s.objects->collect_due());
  EXPECT_EQ(s.files().size(), 1u);
  ASSERT_TRUE(s.put("large", std::string(17 << 20, 'x')).ok() && s.remove("large").ok());
  EXPECT_TRUE(s.objects->collect_due());  // one large one is enough
}

TEST(Objects, EveryFlippedBitIsFoundAndNoWrongByteLeaves) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  const std::string bytes = pattern(5, 100);
  ASSERT_TRUE(s.put("k", bytes).ok());
  const std::string path = s.files().at(0);
  const uint64_t bits = s.fs.stat(path)->size * 8;
  for (uint64_t bit = 0; bit < bits; ++bit) {
    ASSERT_TRUE(s.fs.flip_bit(path, bit).ok());
    auto reader = s.objects->get("b", "k");
    std::string out(10, '\0');
    auto got = reader.ok() ? (*reader)->read_at(40, {out.data(), out.size()}) : Result<size_t>(reader.error());
    ASSERT_FALSE(got.ok()) << "bit " << bit;
    EXPECT_EQ(got.error().code, Code::corrupt) << got.error().message;
    ASSERT_TRUE(s.fs.flip_bit(path, bit).ok());
  }
  EXPECT_TRUE(*s.get("k") == bytes);
  // A bit of another block does not stand in the way of this one.
  const std::string large = pattern(6, 3 * kObjectBlockBytes);
  ASSERT_TRUE(s.put("large", large).ok());
  for (const auto& f : s.files()) {
    if (f != path) {
      ASSERT_TRUE(s.fs.flip_bit(f, (kObjectBlockBytes + 5) * 8).ok());
    }
  }
  auto reader = s.objects->get("b", "large");
  std::string out(100, '\0');
  EXPECT_TRUE((*reader)->read_at(0, {out.data(), out.size()}).ok());
  EXPECT_TRUE((*reader)->read_at(2 * kObjectBlockBytes, {out.data(), out.size()}).ok());
  EXPECT_EQ((*reader)->read_at(kObjectBlockBytes + 500, {out.data(), out.size()}).error().code, Code::corrupt);
}

TEST(Objects, SwappedAndMissingFilesAreFound) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  ASSERT_TRUE(s.put("one", "aaaa").ok());
  ASSERT_TRUE(s.put("two", "bbbb").ok());
  auto files = s.files();
  ASSERT_TRUE(s.fs.rename(files[0], "/site/x").ok() && s.fs.rename(files[1], files[0]).ok() &&
              s.fs.rename("/site/x", files[1]).ok());
  EXPECT_EQ(s.get("one").error().code, Code::corrupt);
  EXPECT_EQ(s.get("two").error().code, Code::corrupt);
  ASSERT_TRUE(s.fs.remove(files[0]).ok() && s.fs.remove(files[1]).ok());
  EXPECT_EQ(s.get("one").error().code, Code::corrupt);
}

TEST(Objects, LostMetadataAreNoReasonToDeleteWhatTheyNamed) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  ASSERT_TRUE(s.put("k", "worth keeping").ok());
  s.close();
  const auto files = s.files();
  ASSERT_EQ(files.size(), 1u);
  const std::string saved = *s.fs.read_file("/site/meta.db", 1 << 24);
  ASSERT_TRUE(s.fs.remove("/site/meta.db").ok());
  for (int start = 0; start < 2; ++start) {  // the first of them makes metadata anew
    auto opened = s.open();
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, Code::corrupt);
    EXPECT_NE(opened.error().message.find("/site/objects: holds 1 object files"), std::string::npos)
        << opened.error().message;
    s.close();
    EXPECT_EQ(s.files(), files);
  }
  ASSERT_TRUE(s.fs.write_file_atomic("/site/meta.db", saved).ok());
  ASSERT_TRUE(s.open().ok());
  EXPECT_EQ(*s.get("k"), "worth keeping");
}

TEST(Objects, AFailedSyncStopsAllUploadsUntilARestart) {
  for (uint64_t sync : {uint64_t{1}, uint64_t{2}}) {  // of the file, of its folder
    Site s;
    ASSERT_TRUE(s.open().ok());
    ASSERT_TRUE(s.make_bucket("b").ok());
    ASSERT_TRUE(s.put("k", "before").ok());
    s.fs.fail_sync_at(sync, FakeFs::Fault::eio);
    EXPECT_EQ(s.put("k", "after").error().code, Code::unavailable);
    ASSERT_TRUE(s.fs.fault_fired());
    auto again = s.put("k", "after");
    EXPECT_EQ(again.error().code, Code::unavailable);
    EXPECT_NE(again.error().message.find("until a restart"), std::string::npos);
    EXPECT_EQ(*s.get("k"), "before");
    EXPECT_TRUE(s.remove("k").ok());  // metadata have a judgement of their own
    ASSERT_TRUE(s.open().ok());
    EXPECT_TRUE(s.put("k", "after").ok());
    // A full disk that only the sync tells of passes by itself.
    s.fs.fail_sync_at(1, FakeFs::Fault::enospc);
    EXPECT_EQ(s.put("k", "more").error().code, Code::exhausted);
    EXPECT_TRUE(s.put("k", "more").ok());
  }
}

TEST(Objects, AFullDiskIsSaidAndDeletingWorks) {
  Site s;
  s.reserved = 4 << 20;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  s.fs.set_capacity(s.fs.used_bytes() + (30 << 20));
  const std::string bytes = pattern(1, 1 << 20);
  int n = 0;
  Status ok;
  for (; n < 100 && ok.ok(); ++n) ok = s.put("k" + std::to_string(n), bytes);
  EXPECT_EQ(ok.error().code, Code::exhausted) << ok.error().message;
  EXPECT_GT(n, 5);
  const uint64_t used = s.fs.used_bytes();
  EXPECT_EQ(s.put("again", bytes).error().code, Code::exhausted);
  EXPECT_EQ(s.fs.used_bytes(), used);  // nothing half stays
  EXPECT_TRUE(*s.get("k0") == bytes);
  for (int i = 0; i + 1 < n; ++i) ASSERT_TRUE(s.remove("k" + std::to_string(i)).ok());
  EXPECT_TRUE(s.put("after", bytes).ok());  // collects on its own what was removed
  // The disk that others fill to the last byte: an error of the write itself.
  s.fs.set_capacity(s.fs.used_bytes() + (13 << 20));
  auto up = s.objects->upload();
  ASSERT_TRUE((*up)->write(bytes).ok());
  s.fs.set_capacity(s.fs.used_bytes());
  EXPECT_EQ((*up)->write(bytes).error().code, Code::exhausted);
  up->reset();
  EXPECT_TRUE(s.remove("after").ok());
}

TEST(Objects, AReadOnlyFolderIsAClearError) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  ASSERT_TRUE(s.put("k", "v").ok());
  s.fs.set_read_only(true);
  auto ok = s.put("k", "w");
  EXPECT_EQ(ok.error().code, Code::denied);
  EXPECT_NE(ok.error().message.find("Read-only"), std::string::npos);
  EXPECT_EQ(*s.get("k"), "v");
  s.close();
  ok = s.open();
  EXPECT_EQ(ok.error().code, Code::denied);
  EXPECT_NE(ok.error().message.find("/site/meta.db"), std::string::npos) << ok.error().message;
}

// ---- Listing against the obvious way of doing it.

struct Page {
  std::vector<std::string> entries;  // keys and common prefixes, in order
  bool truncated = false;
  std::string next;
};

Page naive(const std::set<std::string>& keys, const std::string& prefix, const std::string& delimiter,
           const std::string& after, int64_t limit) {
  Page page;
  std::string last_common;
  for (const auto& key : keys) {
    if (key.compare(0, prefix.size(), prefix) != 0) continue;
    std::string entry = key;
    size_t at = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
    if (at != std::string::npos) entry = key.substr(0, at + delimiter.size());
    if (key <= after || entry <= after) continue;
    if (!page.entries.empty() && page.entries.back() == entry) continue;
    if (static_cast<int64_t>(page.entries.size()) == limit) {
      page.truncated = true;
      break;
    }
    page.entries.push_back(entry);
    page.next = entry;
  }
  return page;
}

TEST(Listing, AgreesWithTheObviousWay) {
  Site s;
  ASSERT_TRUE(s.open().ok());
  ASSERT_TRUE(s.make_bucket("b").ok());
  ASSERT_TRUE(s.make_bucket("c").ok());
  std::set<std::string> keys;
  const char* parts[] = {"a", "b", "/", "//", "\xff", "\xc3\xa9", " ", "%2F", "z"};
  os::FakeRandom random(11);
  for (int i = 0; i < 120; ++i) {
    std::string key;
    for (uint64_t n = 1 + random.below(5); n > 0; --n) key += parts[random.below(std::size(parts))];
    keys.insert(key);
    ASSERT_TRUE(s.put(key, "").ok());
    ASSERT_TRUE(s.put(key + "other bucket", "", "c").ok());
  }
  for (const std::string prefix : {"", "a", "a/", "\xff", "\xff\xff", "none", "/"}) {
    for (const std::string delimiter : {"", "/", "a", "//", "\xff"}) {
      for (int64_t limit : {1, 2, 7, 1000}) {
        std::string after;
        for (int pages = 0; pages < 300; ++pages) {
          Objects::Listing l;
          ASSERT_TRUE(s.db->read([&](Txn& t) -> Status {
                            l = TRY(s.objects->list(t, "b", prefix, delimiter, after, limit));
                            return {};
                          })
                          .ok());
          Page wanted = naive(keys, prefix, delimiter, after, limit);
          std::vector<std::string> got = l.common_prefixes;
          for (const auto& o : l.objects) got.push_back(o.key);
          std::sort(got.begin(), got.end());
          ASSERT_EQ(got, wanted.entries) << "prefix '" << prefix << "' delimiter '" << delimiter << "' after '" << after
                                         << "' limit " << limit;
          ASSERT_EQ(l.truncated, wanted.truncated);
          if (!l.truncated) break;
          ASSERT_EQ(l.next, wanted.next);
          after = l.next;
        }
      }
    }
  }
  ASSERT_TRUE(s.db->read([&](Txn& t) -> Status {
                    EXPECT_EQ(s.objects->list(t, "none", "", "", "", 10).error().name, "NoSuchBucket");
                    EXPECT_TRUE(TRY(s.objects->list(t, "b", "", "", "", 0)).objects.empty());
                    return {};
                  })
                  .ok());
}

// ---- Faults.

TEST(ObjectFaults, EveryFailedCallIsAnErrorAndNothingHalfIsSeen) {
  const std::string old_bytes = pattern(1, 5000), new_bytes = pattern(2, 7000);
  for (auto fault : {FakeFs::Fault::eio, FakeFs::Fault::enospc, FakeFs::Fault::short_write}) {
    for (uint64_t call = 1;; ++call) {
      Site s(call);
      ASSERT_TRUE(s.open().ok() && s.make_bucket("b").ok() && s.put("k", old_bytes).ok() && s.put("gone", "x").ok());
      s.fs.fail_at(call, fault);
      const bool put = s.put("k", new_bytes).ok();
      const bool removed = s.remove("gone").ok();
      s.objects->collect();
      auto during = s.get("k");
      if (during.ok()) {
        EXPECT_TRUE(*during == new_bytes || (!put && *during == old_bytes)) << call;
      }
      const bool fired = s.fs.fault_fired();
      s.close();
      s.fs.crash(call);
      ASSERT_TRUE(s.open().ok()) << call;
      auto after = s.get("k");
      ASSERT_TRUE(after.ok()) << "call " << call << ": " << after.error().message;
      EXPECT_TRUE(*after == new_bytes || (!put && *after == old_bytes)) << call;
      if (removed) {
        EXPECT_EQ(s.get("gone").error().name, "NoSuchKey") << call;
      }
      const size_t objects = 1 + (s.get("gone").ok() ? 1 : 0);
      EXPECT_EQ(s.files().size(), objects) << "orphans after call " << call;
      if (!fired) break;
      ASSERT_LT(call, 1000u);
    }
  }
}

// The reference: a map. Random operations, a power cut at a random call, recovery, comparison.
TEST(ObjectFaults, AgreeWithAMapThroughPowerCuts) {
  const char* full = std::getenv("HOLDFAST_FULL");
  const uint64_t scripts = full && std::strcmp(full, "yes") == 0 ? 500 : 60;
  for (uint64_t seed = 1; seed <= scripts; ++seed) {
    os::FakeRandom dice(seed);
    Site s(seed);
    ASSERT_TRUE(s.open().ok());
    ASSERT_TRUE(s.make_bucket("b").ok());
    std::map<std::string, std::string> model;
    for (int life = 0; life < 4; ++life) {
      std::string doubtful;          // the key whose last operation was not acknowledged
      std::set<std::string> states;  // what it may hold; "-" for absent
      s.fs.fail_at(1 + dice.below(300), FakeFs::Fault::power_off);
      for (int step = 0; step < 25 && !s.fs.fault_fired(); ++step) {
        const std::string key = "k" + std::to_string(dice.below(6));
        const std::string before = model.count(key) ? model[key] : "-";
        if (dice.below(3) > 0) {
          const std::string bytes = pattern(dice.next(), dice.below(9000));
          if (s.put(key, bytes).ok()) {
            model[key] = bytes;
          } else {
            doubtful = key;
            states = {before, bytes};
          }
        } else if (dice.below(2)) {
          if (s.remove(key).ok()) {
            model.erase(key);
          } else {
            doubtful = key;
            states = {before, "-"};
          }
        } else if (dice.below(2)) {
          s.objects->collect();
        } else {
          auto got = s.get(key);
          if (got.ok()) {
            EXPECT_TRUE(*got == before) << "seed " << seed;
          }
          if (!got.ok() && got.error().name == "NoSuchKey") {
            EXPECT_EQ(before, "-") << "seed " << seed;
          }
        }
      }
      s.close();
      s.fs.crash(seed * 100 + static_cast<uint64_t>(life));
      auto opened = s.open();
      ASSERT_TRUE(opened.ok()) << "seed " << seed << ": " << opened.error().message;
      for (int k = 0; k < 6; ++k) {
        const std::string key = "k" + std::to_string(k);
        auto got = s.get(key);
        ASSERT_TRUE(got.ok() || got.error().name == "NoSuchKey") << "seed " << seed << ": " << got.error().message;
        const std::string now = got.ok() ? *got : "-";
        if (key == doubtful) {
          EXPECT_TRUE(states.count(now)) << "seed " << seed << " " << key;
          if (got.ok()) {
            model[key] = now;
          } else {
            model.erase(key);
          }
        } else {
          EXPECT_TRUE(now == (model.count(key) ? model[key] : "-"))
              << "seed " << seed << " life " << life << " " << key;
        }
      }
      EXPECT_EQ(s.files().size(), model.size()) << "orphans, seed " << seed;
    }
  }
}

}  // namespace
}  // namespace hf::store
