#include "app/quickstart/tickets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "app/quickstart/ticket_tables.h"

namespace hf::app {
namespace {

// The words of a pattern without its slots, in lower case.
std::set<std::string> words_of(std::string_view pattern) {
  std::set<std::string> words;
  std::string word;
  bool slot = false;
  for (char c : std::string(pattern) + " ") {
    if (c == '{') slot = true;
    if (c == '}') slot = false;
    char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (!slot && ((low >= 'a' && low <= 'z') || low == '\'')) {
      word += low;
    } else {
      if (!word.empty()) words.insert(word);
      word.clear();
    }
  }
  return words;
}

size_t count_words(std::string_view text) { return static_cast<size_t>(std::count(text.begin(), text.end(), ' ')) + 1; }

TEST(Tickets, TablesAreLargeAndInGroupsOfSix) {
  size_t patterns = 0;
  std::set<std::string_view> seen;
  for (const auto& table : pattern_tables()) {
    EXPECT_EQ(table.rows.size() % 6, 0u) << table.name;
    patterns += table.rows.size();
    for (auto row : table.rows) EXPECT_TRUE(seen.insert(row).second) << row;
  }
  for (const auto& table : value_tables()) EXPECT_EQ(table.rows.size() % 6, 0u) << table.name;
  EXPECT_GE(patterns, 250u);
}

TEST(Tickets, HeldOutPatternsUseOnlyWordsThatTrainingHas) {
  std::set<std::string> known;
  for (const auto& table : pattern_tables()) {
    for (size_t i = 0; i < table.rows.size(); i++) {
      if (!held_out_row(i)) known.merge(words_of(table.rows[i]));
    }
  }
  for (const auto& table : pattern_tables()) {
    for (size_t i = 5; i < table.rows.size(); i += 6) {
      for (const auto& word : words_of(table.rows[i])) EXPECT_TRUE(known.count(word)) << word << ": " << table.rows[i];
    }
  }
}

TEST(Tickets, SameSeedSameTicketAndOthersDiffer) {
  for (uint64_t i = 0; i < 50; i++) {
    EXPECT_EQ(training_line(make_ticket(7, Split::train, i)), training_line(make_ticket(7, Split::train, i)));
    EXPECT_NE(make_ticket(7, Split::train, i).text, make_ticket(8, Split::train, i).text);
    EXPECT_NE(make_ticket(7, Split::train, i).text, make_ticket(7, Split::held_out, i).text);
  }
  // Pins the generator: published figures name a seed.
  EXPECT_EQ(make_ticket(1, Split::train, 2).labels[5], "819561");
}

TEST(Tickets, TheSplitsShareNoPatternAndNoValue) {
  std::set<std::string_view> held_rows, train_rows;
  for (auto tables : {pattern_tables(), value_tables()}) {
    for (const auto& table : tables) {
      for (size_t i = 0; i < table.rows.size(); i++) (held_out_row(i) ? held_rows : train_rows).insert(table.rows[i]);
    }
  }
  std::set<std::string_view> used_in_train, used_in_held;
  for (uint64_t i = 0; i < 20000; i++) {
    auto train = make_ticket(1, Split::train, i);
    used_in_train.insert(train.rows.begin(), train.rows.end());
    EXPECT_NE(std::stoul(train.labels[5]) % 6, 5u);
  }
  for (uint64_t i = 0; i < 1000; i++) {
    auto held = make_ticket(1, Split::held_out, i);
    used_in_held.insert(held.rows.begin(), held.rows.end());
    EXPECT_EQ(std::stoul(held.labels[5]) % 6, 5u);
  }
  EXPECT_EQ(used_in_train, train_rows);  // all of them, and nothing else
  EXPECT_EQ(used_in_held, held_rows);
}

// A ticket's rows are what its text is made of: values appear as they are.
TEST(Tickets, ValuesOfTheOtherSplitAppearInNoText) {
  for (uint64_t i = 0; i < 2000; i++) {
    auto train = make_ticket(1, Split::train, i), held = make_ticket(1, Split::held_out, i);
    for (const auto& table : value_tables()) {
      for (size_t row = 0; row < table.rows.size(); row++) {
        const std::string& text = held_out_row(row) ? train.text : held.text;
        EXPECT_EQ((text + " ").find(" " + std::string(table.rows[row]) + " "), std::string::npos) << text;
      }
    }
  }
}

TEST(Tickets, LabelsAreConsistentAndSpread) {
  std::map<std::string, std::map<std::string, int>> counts;
  size_t words = 0, bystanders = 0;
  constexpr int kCount = 3000;
  for (uint64_t i = 0; i < kCount; i++) {
    auto ticket = make_ticket(3, Split::train, i);
    for (size_t f = 0; f < kDecidedFields; f++) counts[std::string(kFieldNames[f])][ticket.labels[f]]++;
    EXPECT_EQ(ticket.labels[3], team_for(ticket.labels[0], ticket.labels[1]));
    EXPECT_EQ(ticket.labels[5].size(), 6u);
    EXPECT_NE(ticket.text.find(ticket.labels[5]), std::string::npos);
    EXPECT_EQ(ticket.text.find_first_of("[]{}|"), std::string::npos) << ticket.text;
    words += count_words(ticket.text);
    EXPECT_LE(count_words(ticket.text), 110u);
    for (const auto& product : products()) {
      if (product.label == ticket.labels[1]) continue;
      for (auto noun : product.nouns) {
        if (!noun.empty() && ticket.text.find(" " + std::string(noun)) != std::string::npos) {
          bystanders++;
          break;
        }
      }
    }
  }
  EXPECT_EQ(counts["category"].size(), 6u);
  EXPECT_EQ(counts["product"].size(), 16u);
  EXPECT_EQ(counts["priority"].size(), 3u);
  EXPECT_EQ(counts["team"].size(), 7u);
  EXPECT_EQ(counts["callback"].size(), 2u);
  for (const auto& [label, n] : counts["category"]) EXPECT_GT(n, kCount / 10) << label;
  EXPECT_GT(words / kCount, 30u);
  EXPECT_LT(words / kCount, 60u);
  EXPECT_GT(bystanders, kCount * 2 / 5);  // another product is named in about half
}

TEST(Tickets, LinesAreJsonWithACanonicalCompletion) {
  auto ticket = make_ticket(1, Split::held_out, 0);
  auto line = boost::json::parse(training_line(ticket)).as_object();
  EXPECT_EQ(line.at("prompt").as_string(), ticket.text);
  std::string text(line.at("completion").as_string());
  auto object = boost::json::parse(text).as_object();
  EXPECT_EQ(boost::json::serialize(object), text);  // no blanks
  ASSERT_EQ(object.size(), kFields);
  size_t i = 0;
  for (const auto& member : object) {
    EXPECT_EQ(member.key(), kFieldNames[i]);
    EXPECT_EQ(member.value().as_string(), ticket.labels[i++]);
  }
}

}  // namespace
}  // namespace hf::app
