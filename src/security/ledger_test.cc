#include "security/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <thread>

#include "security/site_testing.h"

namespace hf::security {
namespace {

using testing::kSiteId;
using testing::TestSite;

// Changes the closed log as one could who has this very program's storage code (it has checksums of its own, so that
// the ledger's are what is left to find it).
void tamper(TestSite& site, const std::string& sql) {
  site.close();
  auto db = store::Db::open(os::real_fs(), site.random, site.path());
  ASSERT_TRUE(db.ok());
  auto s = (*db)->write([&](store::Txn& txn) -> Status {
    int64_t changes = 0;
    for (size_t at = 0; at < sql.size();) {
      size_t end = std::min(sql.find("; ", at), sql.size());
      TRY(txn.run(sql.substr(at, end - at)));
      changes += txn.changes();
      at = end + 2;
    }
    return changes ? Status() : fail(Code::internal, "nothing was changed");
  });
  ASSERT_TRUE(s.ok()) << sql << ": " << s.error().message;
}

void fill(TestSite& site, int entries) {
  ASSERT_TRUE(site.open().ok());
  for (int i = 0; i < entries; ++i) ASSERT_TRUE(site.append("s3:Put" + std::to_string(i)).ok());
}

TEST(Ledger, EntriesAreCanonicalLinesAndTheHeadIsSigned) {
  TestSite site("canonical");
  ASSERT_TRUE(site.open().ok());
  EXPECT_EQ(site.ledger->head()->size, 0u);
  ASSERT_TRUE(site.append("s3:PutObject", R"({"size": 3, "etag":"x"})").ok());
  EXPECT_EQ(
      *site.ledger->entry_json(0),
      R"({"account":"000000000001","action":"s3:PutObject","decision":"allow","detail":{"etag":"x","size":3},"index":0,)"
      R"("principal":"arn:aws:iam::000000000001:user/a","reason":"administrator","request_id":"r-1",)"
      R"("resource":"arn:aws:s3:::b/k","source":"127.0.0.1:9","time":)" +
          std::to_string(site.clock.now()) + "}");
  Head head = *site.ledger->head();
  EXPECT_EQ(head.size, 1u);
  EXPECT_EQ(head.root, leaf_hash(*site.ledger->entry_json(0)));
  EXPECT_TRUE(crypto::verify_ed25519(site.key.public_raw(), head_message(kSiteId, head), head.signature));
  EXPECT_EQ(site.ledger->entry_json(1).error().code, Code::not_found);
}

TEST(Ledger, ForeignBytesAndLongFieldsStayValidJson) {
  Entry e;
  e.resource = std::string("arn:aws:s3:::b/\xff\x01\"") + std::string(10'000, 'k');
  e.detail = R"({"b":1,"a":2})";
  auto line = entry_line(e, 7);
  ASSERT_TRUE(line.ok());
  EXPECT_LT(line->size(), 5000u);
  auto parsed = boost::json::parse(*line);
  EXPECT_EQ(parsed.at("index").as_int64(), 7);
  EXPECT_EQ(std::string(parsed.at("resource").as_string().c_str()).rfind("arn:aws:s3:::b/%FF\x01\"k", 0), 0u);
  for (const char* bad : {"1", "[]", "{", "{\"a\":1,\"a\":2}"}) {
    e.detail = bad;
    EXPECT_FALSE(entry_line(e, 0).ok()) << bad;
  }
}

TEST(Ledger, ProofsVerifyAgainstTheHeadAndSurviveAReopen) {
  TestSite site("proofs");
  fill(site, 37);
  Head old = *site.ledger->head();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(site.append("more").ok());
  site.close();
  ASSERT_TRUE(site.open().ok());
  Head head = *site.ledger->head();
  ASSERT_EQ(head.size, 67u);
  for (uint64_t i = 0; i < head.size; ++i) {
    auto proof = site.ledger->inclusion_proof(i, head.size);
    ASSERT_TRUE(proof.ok());
    EXPECT_TRUE(verify_inclusion(leaf_hash(*site.ledger->entry_json(i)), i, head.size, *proof, head.root));
  }
  EXPECT_TRUE(verify_consistency(old.size, old.root, head.size, head.root, *site.ledger->consistency_proof(37, 67)));
  EXPECT_FALSE(site.ledger->inclusion_proof(67, 67).ok());
  EXPECT_FALSE(site.ledger->inclusion_proof(0, 68).ok());
  EXPECT_FALSE(site.ledger->consistency_proof(1, 68).ok());
  EXPECT_EQ(site.ledger->entries(60, 100)->size(), 7u);
  EXPECT_EQ(site.ledger->entries(5, 3)->size(), 3u);
  EXPECT_EQ(site.ledger->entries(UINT64_MAX, 3)->size(), 0u);
  auto report = site.ledger->verify();
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->ok) << report->problem;
  EXPECT_EQ(report->entries, 67u);
  EXPECT_EQ(report->head.signature, head.signature);
}

TEST(Ledger, ATransactionThatFailsLeavesNothing) {
  TestSite site("rollback");
  fill(site, 3);
  auto s = site.db->write([&](store::Txn& txn) -> Status {
    TRY(site.ledger->append(txn, Entry{}));
    TRY(site.ledger->append(txn, Entry{}));
    return fail(Code::conflict, "the act did not happen");
  });
  EXPECT_FALSE(s.ok());
  EXPECT_EQ(site.ledger->head()->size, 3u);
  uint64_t first = 0, second = 0;
  ASSERT_TRUE(site.db
                  ->write([&](store::Txn& txn) -> Status {
                    first = TRY(site.ledger->append(txn, Entry{}));
                    second = TRY(site.ledger->append(txn, Entry{}));
                    return {};
                  })
                  .ok());
  EXPECT_EQ(first, 3u);
  EXPECT_EQ(second, 4u);
  EXPECT_EQ(site.ledger->head()->size, 5u);
  EXPECT_TRUE(site.ledger->verify()->ok);
}

TEST(Ledger, ManyThreadsAppend) {
  TestSite site("threads");
  ASSERT_TRUE(site.open().ok());
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 25; ++i) EXPECT_TRUE(site.ledger->append(Entry{}).ok());
      });
  }
  auto report = *site.ledger->verify();
  EXPECT_TRUE(report.ok) << report.problem;
  EXPECT_EQ(report.entries, 100u);
}

// Every way to alter the stored log is found by verify() or already when the log is opened.
TEST(Ledger, EveryAlterationIsFound) {
  const char* const alterations[] = {
      "UPDATE ledger_entries SET line = replace(line, 's3:Put5', 's3:Get5') WHERE idx = 5",
      "UPDATE ledger_entries SET line = line || ' ' WHERE idx = 11",
      "DELETE FROM ledger_entries WHERE idx = 0",
      "DELETE FROM ledger_entries WHERE idx = 6",
      "DELETE FROM ledger_entries WHERE idx = 12",
      "DELETE FROM ledger_entries WHERE idx >= 8",
      "DELETE FROM ledger_entries",
      ("UPDATE ledger_entries SET idx = CASE idx WHEN 3 THEN -4 ELSE -3 END WHERE idx IN (3, 4); "
       "UPDATE ledger_entries SET idx = -idx WHERE idx < 0"),
      "INSERT INTO ledger_entries (idx, line) VALUES (13, '{}')",
      "UPDATE ledger_nodes SET hash = zeroblob(32) WHERE level = 0 AND idx = 4",
      "UPDATE ledger_nodes SET hash = zeroblob(32) WHERE level = 1 AND idx = 2",
      "UPDATE ledger_nodes SET hash = zeroblob(31) WHERE level = 3 AND idx = 0",
      "DELETE FROM ledger_nodes WHERE level = 2 AND idx = 1",
      "INSERT INTO ledger_nodes (level, idx, hash) VALUES (9, 0, zeroblob(32))",
      "UPDATE ledger_heads SET root = zeroblob(32) WHERE size = 4",
      "UPDATE ledger_heads SET time = time + 1 WHERE size = 7",
      "UPDATE ledger_heads SET signature = zeroblob(64) WHERE size = 13",
      "DELETE FROM ledger_heads WHERE size = 13",
      "DELETE FROM ledger_heads",
      "INSERT INTO ledger_heads SELECT 14, root, time, signature FROM ledger_heads WHERE size = 13",
      "UPDATE ledger_heads SET size = 99 WHERE size = 5",
  };
  int at_open = 0;
  for (const char* sql : alterations) {
    TestSite site("altered");
    fill(site, 13);
    tamper(site, sql);
    auto opened = site.open();
    if (!opened.ok()) {
      EXPECT_EQ(opened.error().message.rfind("ledger: ", 0), 0u) << sql << ": " << opened.error().message;
      EXPECT_EQ(opened.error().code, Code::corrupt) << sql;
      ++at_open;
      continue;
    }
    auto report = site.ledger->verify();
    ASSERT_TRUE(report.ok()) << sql << ": " << report.error().message;
    EXPECT_FALSE(report->ok) << sql;
    EXPECT_FALSE(report->problem.empty());
  }
  EXPECT_GE(at_open, 6);
}

TEST(Ledger, AnyFlippedBitOfAnEntryIsFound) {
  TestSite site("bits");
  fill(site, 6);
  const std::string line = *site.ledger->entry_json(2);
  for (size_t i = 0; i < line.size(); i += 7) {
    std::string changed = line;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 7)));
    ASSERT_TRUE(site.db
                    ->write([&](store::Txn& txn) -> Status {
                      auto q = TRY(txn.query("UPDATE ledger_entries SET line = ? WHERE idx = 2"));
                      q.bind(std::string_view(changed));
                      return q.run();
                    })
                    .ok());
    auto report = *site.ledger->verify();
    EXPECT_FALSE(report.ok) << "byte " << i;
    EXPECT_NE(report.problem.find("entry 2"), std::string::npos) << report.problem;
  }
}

// Bytes of the file itself, as they lie on the disk: found before anything is told from them.
TEST(Ledger, AnyFlippedByteOfTheFileIsFound) {
  TestSite site("bytes");
  fill(site, 13);
  site.close();
  const std::string file = testing::read_text(site.path());
  std::vector<size_t> places;
  for (const char* what : {"s3:Put5", "s3:Put12", "\"index\":0"}) {
    size_t at = file.find(what);
    ASSERT_NE(at, std::string::npos) << what;
    places.push_back(at);
  }
  for (size_t at : places) {
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    std::ofstream(site.path(), std::ios::binary) << changed;
    auto opened = site.open();
    if (opened.ok()) {
      auto report = site.ledger->verify();
      EXPECT_FALSE(report.ok() && report->ok) << at;
    } else {
      EXPECT_EQ(opened.error().code, Code::corrupt) << opened.error().message;
    }
    site.close();
  }
  std::ofstream(site.path(), std::ios::binary) << file;
  ASSERT_TRUE(site.open().ok());
  EXPECT_TRUE(site.ledger->verify()->ok);
}

// A consistent cut (entries, nodes and heads together) is what the machine's owner could do: only a head that was seen
// or kept elsewhere shows it.
TEST(Ledger, ACutLogIsShownByAHeadThatWasKept) {
  TestSite site("cut");
  fill(site, 8);
  Head kept = *site.ledger->head();
  EXPECT_TRUE(site.ledger->verify(&kept)->ok);
  const char* cut =
      "DELETE FROM ledger_entries WHERE idx >= 4; DELETE FROM ledger_heads WHERE size > 4; "
      "DELETE FROM ledger_nodes WHERE (level = 0 AND idx >= 4) OR (level = 1 AND idx >= 2) OR (level = 2 AND idx >= 1) "
      "OR level = 3";
  tamper(site, cut);
  auto opened = site.open();
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_TRUE(site.ledger->verify()->ok);
  auto report = *site.ledger->verify(&kept);
  EXPECT_FALSE(report.ok);
  EXPECT_NE(report.problem.find("seen before is over 8"), std::string::npos) << report.problem;
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(site.append("written anew").ok());
  EXPECT_TRUE(site.ledger->verify()->ok);
  EXPECT_FALSE(site.ledger->verify(&kept)->ok);
}

TEST(Ledger, AnotherKeyOrSiteDoesNotOpenIt) {
  TestSite site("key");
  fill(site, 2);
  site.ledger.reset();
  auto other = *crypto::SigningKey::generate();
  EXPECT_EQ(Ledger::open(*site.db, site.clock, other, kSiteId).error().code, Code::corrupt);
  EXPECT_EQ(Ledger::open(*site.db, site.clock, site.key, "another").error().code, Code::corrupt);
  EXPECT_TRUE(Ledger::open(*site.db, site.clock, site.key, kSiteId).ok());
}

}  // namespace
}  // namespace hf::security
