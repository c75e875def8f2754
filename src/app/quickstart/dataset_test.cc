#include "app/quickstart/dataset.h"

#include <gtest/gtest.h>

#include <set>

#include "app/quickstart/baselines.h"
#include "app/quickstart/scoring.h"
#include "app/quickstart/tickets.h"

namespace hf::app {
namespace {

std::string lines(int count) {
  std::string out;
  for (int i = 0; i < count; i++) {
    out +=
        R"({"prompt":"p)" + std::to_string(i) + R"(","completion":"{\"a\":\"x\",\"b\":)" + std::to_string(i) + "}\"}\n";
  }
  return out;
}

std::string error_of(const std::string& text) {
  auto data = user_dataset("mine.jsonl", text, "", "");
  return data.ok() ? "" : data.error().message;
}

TEST(UserData, LastTenthIsHeldOutAndFieldsAreFound) {
  auto data = user_dataset("mine.jsonl", lines(40), "", "");
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(data->train.size(), 36u);
  ASSERT_EQ(data->held_out.size(), 4u);
  EXPECT_EQ(data->held_out[0].prompt, "p36");
  EXPECT_EQ(data->fields, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(data->decided, 2u);
}

TEST(UserData, OwnValidationFile) {
  auto data = user_dataset("mine.jsonl", lines(3), "check.jsonl", lines(2));
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->train.size(), 3u);
  EXPECT_EQ(data->held_out.size(), 2u);
}

TEST(UserData, CompletionsThatAreTextAreScoredWhole) {
  std::string text = lines(19) + "\n" + R"({"prompt":"last","completion":"just text"})";
  auto data = user_dataset("mine.jsonl", text, "", "");
  ASSERT_TRUE(data.ok());
  EXPECT_TRUE(data->fields.empty());
  Scorer scorer(*data);
  scorer.add(" just text\n", "just text");
  scorer.add("other", "just text");
  EXPECT_EQ(scorer.score().whole, 1u);
  EXPECT_EQ(scorer.score().total, 2u);
}

TEST(UserData, ABrokenLineIsNamed) {
  EXPECT_EQ(error_of(lines(4) + "\n{\"prompt\":\"x\",\n").find("mine.jsonl line 6: not JSON"), 0u);
  EXPECT_NE(error_of("[]\n").find("line 1: expected an object"), std::string::npos);
  EXPECT_NE(error_of(R"({"prompt":"a"})").find("line 1: \"completion\" is missing"), std::string::npos);
  EXPECT_NE(error_of(R"({"completion":"a"})").find("line 1: \"prompt\" is missing"), std::string::npos);
  EXPECT_NE(error_of(R"({"prompt":3,"completion":"a"})").find("\"prompt\": expected text"), std::string::npos);
  EXPECT_NE(error_of(R"({"prompt":"","completion":"a"})").find("not empty"), std::string::npos);
  EXPECT_NE(error_of(R"({"prompt":"a","completion":"b","extra":1})").find("unknown member \"extra\""),
            std::string::npos);
  EXPECT_NE(error_of(std::string(100000, '[')).find("line 1: 100000 bytes"), std::string::npos);
  EXPECT_NE(error_of(std::string(60000, '[')).find("line 1: not JSON"), std::string::npos);
  EXPECT_NE(error_of(lines(3)).find("expected at least 10 lines, found 3"), std::string::npos);
  EXPECT_NE(error_of("").find("found 0"), std::string::npos);
}

TEST(UserData, LinesComeBackThroughToLines) {
  auto data = user_dataset("mine.jsonl", lines(20), "", "");
  ASSERT_TRUE(data.ok());
  auto again = user_dataset("again", to_lines(data->train), "v", to_lines(data->held_out));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(to_lines(again->train), to_lines(data->train));
}

std::string records(int count) {
  std::string out;
  for (int i = 0; i < count; i++) {
    std::string n = std::to_string(i);
    out += "Package: tool" + n + "-data\nSource: tool" + n +
           " (1.0)\nSection: contrib/utils\nDescription: helps with task " + n +
           "\n more text that is passed over\nTag: uitoolkit::gtk, interface::commandline,\n role::program, "
           "role::data\n\n";
  }
  return out;
}

TEST(Packages, FieldsComeFromSectionAndFirstTags) {
  auto data = package_dataset(records(400), 1000, 1000);
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(data->train.size() + data->held_out.size(), 400u);
  EXPECT_GT(data->held_out.size(), 0u);
  EXPECT_EQ(data->train[0].completion, R"({"section":"utils","role":"program","interface":"commandline"})");
  EXPECT_EQ(data->train[0].prompt.find("helps with task "), 0u);
  std::set<std::string> seen;
  for (const auto& e : data->train) seen.insert(e.prompt);
  for (const auto& e : data->held_out) EXPECT_TRUE(seen.insert(e.prompt).second) << e.prompt;
  auto limited = package_dataset(records(400), 50, 2);
  EXPECT_EQ(limited->train.size(), 50u);
  EXPECT_EQ(limited->held_out.size(), 2u);
}

TEST(Packages, PackagesOfOneSourceAreOnOneSide) {
  std::string text;
  for (int i = 0; i < 400; i++) {
    text += "Package: part" + std::to_string(i) + "\nSource: big\nSection: libs\nDescription: part " +
            std::to_string(i) + "\n\n";
  }
  auto data = package_dataset(text, 1000, 1000);  // all of them on one side: too few
  EXPECT_FALSE(data.ok());
}

TEST(Packages, JunkIsAnErrorNotACrash) {
  EXPECT_FALSE(package_dataset("", 10, 10).ok());
  EXPECT_FALSE(package_dataset("\n\n\n", 10, 10).ok());
  EXPECT_FALSE(package_dataset("Description:\nTag:\n x\nSection:\n:::", 10, 10).ok());
  std::string untagged = "Package: a\nSection: x\nDescription: \xff\xfe\n";
  EXPECT_FALSE(package_dataset(untagged, 10, 10).ok());
}

TEST(Scoring, InvalidAnswersAreWrongInEveryField) {
  auto data = ticket_dataset(1, 1, 1);
  Scorer scorer(data);
  const std::string& right = data.held_out[0].completion;
  scorer.add(right, right);
  scorer.add(right.substr(0, right.size() - 1), right);
  scorer.add("", right);
  scorer.add("{}", right);
  scorer.add(std::string(100000, '['), right);
  std::string other_order = right;
  other_order[other_order.size() - 3] = other_order[other_order.size() - 3] == '1' ? '2' : '1';
  scorer.add(other_order, right);
  EXPECT_EQ(scorer.score().total, 6u);
  EXPECT_EQ(scorer.score().invalid, 4u);
  EXPECT_EQ(scorer.score().decided, 2u);
  EXPECT_EQ(scorer.score().whole, 1u);
  EXPECT_EQ(scorer.score().by_field, (std::vector<size_t>{2, 2, 2, 2, 2, 1}));
}

TEST(Baselines, TheOrderRuleTakesTheOrdersNumber) {
  EXPECT_EQ(order_by_rule("Invoice 111111. My order number is 483920. Call 0123 456789."), "483920");
  EXPECT_EQ(order_by_rule("I ordered it on 3 May, 12345 then 1234567"), "");
  EXPECT_EQ(order_by_rule("(order 483920)"), "483920");
  EXPECT_EQ(order_by_rule(""), "");
  EXPECT_EQ(order_by_rule("order"), "");
}

TEST(Baselines, KeywordsReadAPlainTicketAndMissATrap) {
  EXPECT_EQ(keyword_answer("My printer is broken. This is urgent. Please call me. Order 483920."),
            completion({"repair", "printer", "high", "imaging", "yes", "483920"}));
  EXPECT_NE(keyword_answer("My laptop is fine. The printer is broken. Order 483920.").find("\"laptop\""),
            std::string::npos);
}

// Tickets must need more than words: the goal of the quickstart is 85 % of the decided fields together.
TEST(Baselines, StayFarBelowTheGoalOnTickets) {
  auto data = ticket_dataset(1, 6000, 400);
  auto baselines = score_baselines(data);
  ASSERT_EQ(baselines.size(), 3u);
  for (const auto& baseline : baselines) {
    EXPECT_EQ(baseline.score.total, 400u);
    EXPECT_LT(baseline.score.decided_rate(), 0.6) << baseline.name;
    EXPECT_GT(baseline.score.by_field[0], 400u / 4) << baseline.name;  // and none of them is a straw man
  }
  EXPECT_EQ(baselines[2].name, "bag_of_words");
  EXPECT_GT(baselines[2].score.rate(baselines[2].score.by_field[0]), 0.9);  // the words are known: the category is told
}

TEST(Baselines, WorkOnTextCompletions) {
  std::string text;
  for (int i = 0; i < 60; i++) {
    text += i % 2 ? R"({"prompt":"a red apple )" + std::to_string(i) + R"(","completion":"fruit"})" + "\n"
                  : R"({"prompt":"a fast car )" + std::to_string(i) + R"(","completion":"thing"})" + "\n";
  }
  auto data = user_dataset("mine", text, "", "");
  ASSERT_TRUE(data.ok());
  auto baselines = score_baselines(*data);
  ASSERT_EQ(baselines.size(), 2u);
  for (const auto& baseline : baselines) EXPECT_EQ(baseline.score.whole, 6u) << baseline.name;
}

}  // namespace
}  // namespace hf::app
