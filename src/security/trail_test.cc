#include "security/trail.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

#include "os/fake.h"

namespace hf::security {
namespace {

constexpr const char* kOne = "111122223333";
constexpr const char* kTwo = "444455556666";
constexpr Micros kSecond = 1'000'000;

struct TrailTest : ::testing::Test {
  os::FakeClock clock;
  os::FakeRandom random;
  os::FakeFs fs;
  std::unique_ptr<store::Db> db;
  crypto::SigningKey key = std::move(*crypto::SigningKey::generate());
  std::unique_ptr<Ledger> ledger;
  std::optional<TrailIndex> index;

  TrailTest() {
    check(fs.make_dirs("/state").ok() && fs.sync_dir("/").ok(), "a folder");
    db = std::move(*store::Db::open(fs, random, "/state/meta.db"));
    ledger = std::move(*Ledger::open(*db, clock, key, "0123456789abcdef"));
    index.emplace(std::move(*TrailIndex::open(*db, *ledger)));
  }
  Entry entry(const std::string& action, const std::string& resource = "", const std::string& account = kOne) {
    Entry e;
    e.time = clock.now();
    e.account = account;
    e.principal = "arn:aws:iam::" + account + ":user/eng/ada";
    e.action = action;
    e.resource = resource;
    e.decision = "allow";
    e.reason = "allow:p/0";
    e.request_id = "r-1";
    e.source = "[::1]:40000";
    e.credential = "AKIAONE";
    return e;
  }
  void append(const Entry& e) { ASSERT_TRUE(ledger->append(e).ok()); }
  void catch_up() {
    for (;;) {
      auto more = index->step(3);
      ASSERT_TRUE(more.ok()) << more.error().message;
      if (!*more) return;
    }
  }
  std::vector<std::string> names(TrailIndex::Question q) {
    std::vector<std::string> out;
    for (;;) {
      auto page = index->lookup(q);
      EXPECT_TRUE(page.ok());
      if (!page.ok()) return out;
      for (const auto& e : page->events) out.push_back(e.name + "@" + std::to_string(e.index));
      if (!page->next) return out;
      q.before = page->next;
    }
  }
};

TEST_F(TrailTest, EventsAreFoundByEachOfTheirAttributes) {
  append(entry("s3:PutObject", "arn:aws:s3:::data/a/b"));
  append(entry("iam:CreateUser", "arn:aws:iam::111122223333:user/bob"));
  append(entry("iam:CreateUser", "arn:aws:iam::444455556666:user/bob", kTwo));
  Entry denied = entry("bedrock:InvokeModel", "arn:aws:bedrock:site-1::foundation-model/x");
  denied.principal = "arn:aws:sts::111122223333:assumed-role/train/morning";
  denied.decision = "deny";
  denied.reason = "implicit deny";
  denied.credential = "ASIAONE";
  append(denied);
  catch_up();
  using K = TrailKey;
  using V = std::vector<std::string>;
  const auto find = [&](K k, const std::string& v, const char* account = kOne) {
    return names({.account = account, .key = k, .value = v, .before = {}, .limit = 1});
  };
  EXPECT_EQ(find(K::all, ""), (V{"InvokeModel@3", "CreateUser@1", "PutObject@0"}));
  EXPECT_EQ(find(K::all, "", kTwo), (V{"CreateUser@2"}));
  EXPECT_EQ(find(K::name, "CreateUser"), (V{"CreateUser@1"}));
  EXPECT_EQ(find(K::source, "s3.amazonaws.com"), (V{"PutObject@0"}));
  EXPECT_EQ(find(K::user, "ada"), (V{"CreateUser@1", "PutObject@0"}));
  EXPECT_EQ(find(K::user, "morning"), (V{"InvokeModel@3"}));
  EXPECT_EQ(find(K::read_only, "true"), (V{"InvokeModel@3"}));
  EXPECT_EQ(find(K::read_only, "false"), (V{"CreateUser@1", "PutObject@0"}));
  EXPECT_EQ(find(K::access_key, "ASIAONE"), (V{"InvokeModel@3"}));
  EXPECT_EQ(find(K::resource, "arn:aws:s3:::data/a/b"), (V{"PutObject@0"}));
  EXPECT_EQ(find(K::resource_type, "AWS::IAM::User"), (V{"CreateUser@1"}));
  EXPECT_EQ(find(K::resource_type, "AWS::S3::Object"), (V{"PutObject@0"}));
  EXPECT_EQ(find(K::name, "Nothing"), V{});
}

TEST_F(TrailTest, AnEventTellsWhoWhatWhereAndWhy) {
  Entry e = entry("s3:DeleteObject", "arn:aws:s3:::data/k");
  e.decision = "deny";
  e.reason = "deny:policy/Never";
  e.detail = R"({"size":5})";
  append(e);
  const auto event = *parse_event(*ledger->entry_json(0));
  const auto v = boost::json::parse(event_json(event, "site-1")).as_object();
  const auto text = [&](const char* name) { return std::string(v.at(name).as_string()); };
  EXPECT_EQ(text("eventName"), "DeleteObject");
  EXPECT_EQ(text("eventSource"), "s3.amazonaws.com");
  EXPECT_EQ(text("eventTime"), iso8601(clock.now()));
  EXPECT_EQ(text("sourceIPAddress"), "[::1]");
  EXPECT_EQ(text("errorCode"), "AccessDenied");
  EXPECT_EQ(text("errorMessage"), "deny:policy/Never");
  EXPECT_EQ(text("eventCategory"), "Data");
  EXPECT_EQ(text("eventID"), event_id(0));
  EXPECT_EQ(v.at("readOnly").as_bool(), false);
  EXPECT_EQ(v.at("requestParameters").at("size").as_int64(), 5);
  EXPECT_EQ(v.at("userIdentity").at("userName").as_string(), "ada");
  EXPECT_EQ(v.at("userIdentity").at("accessKeyId").as_string(), "AKIAONE");
  EXPECT_EQ(v.at("resources").at(0).at("type").as_string(), "AWS::S3::Object");
  EXPECT_EQ(v.at("additionalEventData").at("reason").as_string(), "deny:policy/Never");
}

TEST(TrailEvents, AnIdSaysWhereItIs) {
  for (uint64_t i : {uint64_t{0}, uint64_t{1}, uint64_t{123456789}, uint64_t{1} << 50}) {
    EXPECT_EQ(event_id(i).size(), 36u);
    EXPECT_EQ(index_of_event_id(event_id(i)), i);
  }
  for (const char* bad : {"", "x", "686f6c64-6661-8374-8000-00000000000g", "686f6c64-6661-8374-9000-000000000001"})
    EXPECT_FALSE(index_of_event_id(bad)) << bad;
  EXPECT_FALSE(parse_event("{").ok());
  EXPECT_FALSE(parse_event("[]").ok());
}

// Against a plain list: random events of two accounts and times that jump, any attribute, any range, pages of any size;
// the index taken up in pieces between.
TEST_F(TrailTest, FindsWhatAScanFinds) {
  std::mt19937 rng(7);
  const std::vector<std::string> actions = {"s3:GetObject",   "s3:PutObject",        "iam:GetUser",
                                            "iam:DeleteUser", "bedrock:InvokeModel", "kms:Decrypt"};
  std::vector<TrailEvent> all;
  for (int i = 0; i < 400; ++i) {
    if (rng() % 3 == 0) clock.advance(static_cast<int64_t>(rng() % 3) * kSecond);
    Entry e =
        entry(actions[rng() % actions.size()], "arn:aws:s3:::b/" + std::to_string(rng() % 5), rng() % 4 ? kOne : kTwo);
    e.time = clock.now() + (rng() % 10 == 0 ? -5 * kSecond : 0);
    e.credential = rng() % 2 ? "AKIAONE" : "";
    append(e);
    if (rng() % 50 == 0) catch_up();
  }
  catch_up();
  for (uint64_t i = 0; i < 400; ++i) all.push_back(*parse_event(*ledger->entry_json(i)));
  for (int round = 0; round < 300; ++round) {
    const auto kind = static_cast<TrailKey>(rng() % 8);
    const TrailEvent& like = all[rng() % all.size()];
    TrailIndex::Question q{.account = rng() % 4 ? kOne : kTwo,
                           .key = kind,
                           .value = value_of(like, kind),
                           .before = {},
                           .limit = 1 + rng() % 20};
    if (kind != TrailKey::all && q.value.empty()) continue;
    if (rng() % 2) q.from = all[rng() % all.size()].entry.time;
    if (rng() % 2) q.to = all[rng() % all.size()].entry.time;
    std::vector<std::pair<std::pair<int64_t, uint64_t>, std::string>> expected;
    for (const TrailEvent& e : all) {
      const int64_t second = e.entry.time / kSecond;
      if (e.entry.account != q.account || value_of(e, kind) != (kind == TrailKey::all ? "*" : q.value)) continue;
      if (second < q.from / kSecond || second > q.to / kSecond) continue;
      expected.push_back({{second, e.index}, e.name + "@" + std::to_string(e.index)});
    }
    std::sort(expected.rbegin(), expected.rend());
    std::vector<std::string> wanted;
    for (const auto& [at, name] : expected) wanted.push_back(name);
    ASSERT_EQ(names(q), wanted) << round;
  }
}

}  // namespace
}  // namespace hf::security
