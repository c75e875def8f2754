#include "app/quickstart/report.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace hf::app {
namespace {

Score score(size_t decided, size_t whole, size_t total) {
  Score s;
  s.total = total;
  s.decided = decided;
  s.whole = whole;
  s.by_field = {decided, whole};
  return s;
}

Report good() {
  Report r;
  r.data = "tickets";
  r.fields = {"category", "order"};
  r.baselines = {{"bag_of_words", score(45, 44, 100)}, {"keyword_rule", score(13, 12, 100)}};
  r.before = score(0, 0, 100);
  r.after = score(90, 80, 100);
  r.attacks = {{"dns", "getaddrinfo", "EAI_AGAIN", true}};
  r.same_answers = r.ledger_verified = r.evidence_verified = r.receipt_replayed = r.altered_evidence_rejected = true;
  return r;
}

TEST(Report, TheGoalNeedsEveryPart) {
  EXPECT_TRUE(good().goal_met());
  auto with = [](auto change) {
    Report r = good();
    change(r);
    return r.goal_met();
  };
  EXPECT_FALSE(with([](Report& r) { r.after = score(84, 80, 100); }));
  EXPECT_FALSE(with([](Report& r) { r.baselines[0].score = score(90, 1, 100); }));  // above, not as good as
  EXPECT_FALSE(with([](Report& r) { r.after.reset(); }));
  EXPECT_FALSE(with([](Report& r) { r.before.reset(); }));
  EXPECT_FALSE(with([](Report& r) { r.attacks[0].refused = false; }));
  EXPECT_FALSE(with([](Report& r) { r.attacks.clear(); }));
  EXPECT_FALSE(with([](Report& r) { r.same_answers = false; }));
  EXPECT_FALSE(with([](Report& r) { r.ledger_verified = false; }));
  EXPECT_FALSE(with([](Report& r) { r.evidence_verified = false; }));
  EXPECT_FALSE(with([](Report& r) { r.altered_evidence_rejected = false; }));
  EXPECT_FALSE(with([](Report& r) { r.receipt_replayed = false; }));
}

TEST(Report, OtherDataHasNoThreshold) {
  Report r = good();
  r.data = "packages";
  r.after = score(20, 20, 100);
  EXPECT_TRUE(r.goal_met());
  r.ledger_verified = false;
  EXPECT_FALSE(r.goal_met());
}

TEST(Report, JsonHasTheMembersThatScriptsRead) {
  auto object = to_json(good()).as_object();
  EXPECT_EQ(object.at("exact_match_before").to_number<double>(), 0);
  EXPECT_EQ(object.at("exact_match_after").to_number<double>(), 0.9);
  EXPECT_EQ(object.at("exact_match_whole").to_number<double>(), 0.8);
  EXPECT_EQ(object.at("by_field").at("order").to_number<double>(), 0.8);
  EXPECT_EQ(object.at("baselines").at("bag_of_words").to_number<double>(), 0.45);
  for (const char* name :
       {"instruction_set", "training_seconds", "tokens_per_second", "peak_memory_bytes", "ledger_verified",
        "evidence_verified", "receipt_replayed", "made", "attacks", "signed_head"}) {
    EXPECT_TRUE(object.contains(name)) << name;
  }
  Report early;
  early.data = "tickets";
  EXPECT_TRUE(to_json(early).at("exact_match_after").is_null());
}

TEST(Report, TableHasARowForEachMethod) {
  auto rows = score_table(good());
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"", "decided", "whole", "category", "order"}));
  EXPECT_EQ(rows[4], (std::vector<std::string>{"trained model", "90.0 %", "80.0 %", "90.0 %", "80.0 %"}));
}

}  // namespace
}  // namespace hf::app
