#include "app/quickstart/tickets.h"

#include <boost/json.hpp>
#include <utility>

#include "app/quickstart/ticket_tables.h"
#include "base/check.h"
#include "base/text.h"

namespace hf::app {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): any seed is good, and a ticket's index can be its seed.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t n) { return next() % n; }  // n is tiny beside 2^64: no bias to speak of
  bool chance(uint64_t percent) { return below(100) < percent; }

 private:
  uint64_t state_;
};

constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};

class Writer {
 public:
  Writer(Dice& dice, Split split) : dice_(dice), split_(split) {}

  Ticket write();

 private:
  // One of the rows that belong to this split.
  std::string_view pick(Rows rows) {
    uint64_t groups = rows.size() / 6;
    check(groups > 0 && rows.size() % 6 == 0, "tables have rows in groups of six");
    uint64_t group = dice_.below(groups);
    rows_.push_back(rows[group * 6 + (split_ == Split::held_out ? 5 : dice_.below(5))]);
    return rows_.back();
  }
  // In [from, to), of this split.
  uint64_t number(uint64_t from, uint64_t to) {
    uint64_t groups = (to - from) / 6;
    uint64_t first = from + (6 - from % 6) % 6;
    return first + dice_.below(groups - 1) * 6 + (split_ == Split::held_out ? 5 : dice_.below(5));
  }
  std::string noun(const Product& product, bool with_brand);
  std::string noun_phrase(const Product& product);
  std::string value(std::string_view slot);
  std::string expand(std::string_view pattern, bool product_as_it = false);
  std::string sentence(std::string_view pattern, bool product_as_it = false);
  std::string body();

  Dice& dice_;
  Split split_;
  const Product* product_ = nullptr;
  const Product* other_ = nullptr;
  Category category_ = kRepair;
  std::string order_, name_;
  std::vector<std::string_view> rows_;
};

std::string Writer::noun(const Product& product, bool with_brand) {
  uint64_t count = product.nouns[2].empty() ? 2 : 3;
  // The label itself half of the time, so that each of the rarer nouns is still seen hundreds of times.
  std::string text(dice_.chance(50) ? product.nouns[0] : product.nouns[dice_.below(count)]);
  if (with_brand) text = std::string(pick(brands())) + " " + text;
  return text;
}

std::string Writer::noun_phrase(const Product& product) {
  static constexpr std::string_view kDeterminers[] = {"my",     "my",      "the",     "the", "our",
                                                      "my new", "the new", "our old", "this"};
  return std::string(kDeterminers[dice_.below(std::size(kDeterminers))]) + " " + noun(product, dice_.chance(30));
}

std::string Writer::value(std::string_view slot) {
  if (slot == "p") return noun_phrase(*product_);
  if (slot == "d") return noun_phrase(*other_);
  if (slot == "o") return order_;
  if (slot == "n") return std::to_string(number(100000, 1000000));
  if (slot == "sn") {
    std::string letters;
    for (int i = 0; i < 2; i++) letters += static_cast<char>('A' + dice_.below(26));
    return letters + std::to_string(number(100, 100000));
  }
  if (slot == "ph") return "0" + std::to_string(number(10, 100)) + " " + std::to_string(number(1000, 10000));
  if (slot == "amt") return std::to_string(number(10, 1500)) + (dice_.chance(50) ? " euros" : " dollars");
  if (slot == "date") {
    uint64_t month = dice_.below(12);
    return std::to_string(number(0, 31) % 28 + 1) + " " + std::string(kMonths[month]);
  }
  if (slot == "time") return std::to_string(1 + dice_.below(11)) + (dice_.chance(70) ? " pm" : " o'clock");
  if (slot == "name") return name_;
  if (slot == "city") return std::string(pick(cities()));
  check(false, "a slot that is known");
  return {};
}

// Slots and wordings replaced; no nesting.
std::string Writer::expand(std::string_view pattern, bool product_as_it) {
  std::string chosen;
  for (size_t i = 0; i < pattern.size();) {
    if (pattern[i] != '[') {
      chosen += pattern[i++];
      continue;
    }
    size_t end = pattern.find(']', i);
    check(end != std::string_view::npos, "a wording list ends");
    auto wordings = split(pattern.substr(i + 1, end - i - 1), '|');
    chosen += wordings[dice_.below(wordings.size())];
    i = end + 1;
  }
  std::string out;
  for (size_t i = 0; i < chosen.size();) {
    if (chosen[i] != '{') {
      out += chosen[i++];
      continue;
    }
    size_t end = chosen.find('}', i);
    check(end != std::string::npos, "a slot ends");
    std::string slot = chosen.substr(i + 1, end - i - 1);
    out += slot == "p" && product_as_it ? "it" : value(slot);
    i = end + 1;
  }
  return out;
}

std::string Writer::sentence(std::string_view pattern, bool product_as_it) {
  std::string text = expand(pattern, product_as_it);
  // People write both ways; the order's own digits and brackets stay as they are.
  if (text[0] >= 'a' && text[0] <= 'z' && dice_.chance(90)) text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string Writer::body() {
  Rows problems = problem_patterns(category_);
  if (dice_.chance(10)) return sentence(pick(contrast_patterns())) + " " + sentence(pick(problems), true);
  if (dice_.chance(20)) return sentence(pick(intro_patterns())) + " " + sentence(pick(problems), true);
  return sentence(pick(problems));
}

Ticket Writer::write() {
  auto all = products();
  product_ = &all[dice_.below(all.size())];
  do {
    other_ = &all[dice_.below(all.size())];
  } while (other_ == product_);
  category_ = static_cast<Category>(dice_.below(kCategories));
  uint64_t priority = dice_.below(100), callback = dice_.below(100);
  order_ = std::to_string(number(100000, 1000000));
  name_ = pick(names());

  std::vector<std::string> parts = {body(), sentence(pick(order_patterns()))};
  if (dice_.chance(48)) parts.push_back(sentence(pick(bystander_patterns())));
  if (dice_.chance(35)) parts.push_back(sentence(pick(number_patterns())));
  if (priority < 36) {
    parts.push_back(sentence(pick(high_priority_patterns())));
  } else if (priority < 72) {
    parts.push_back(sentence(pick(low_priority_patterns())));
  } else if (priority < 82) {
    parts.push_back(sentence(pick(neutral_patterns())));
  }
  if (callback < 45) {
    parts.push_back(sentence(pick(callback_patterns())));
  } else if (callback < 82) {
    parts.push_back(sentence(pick(no_callback_patterns())));
  }
  for (size_t i = parts.size() - 1; i > 0; i--) std::swap(parts[i], parts[dice_.below(i + 1)]);

  Ticket ticket;
  if (dice_.chance(30)) ticket.text = sentence(pick(opening_patterns()));
  for (const auto& part : parts) {
    if (!ticket.text.empty()) ticket.text += ' ';
    ticket.text += part;
  }
  if (dice_.chance(30)) ticket.text += ' ' + sentence(pick(closing_patterns()));
  std::string category(kCategoryNames[category_]), product(product_->label);
  ticket.labels = {category,
                   product,
                   priority < 36   ? "high"
                   : priority < 72 ? "low"
                                   : "normal",
                   team_for(category, product),
                   callback < 45 ? "yes" : "no",
                   order_};
  ticket.rows = std::move(rows_);
  return ticket;
}

}  // namespace

std::string team_for(std::string_view category, std::string_view product) {
  for (const auto& row : products()) {
    if (row.label != product) continue;
    if (category == "billing") return "finance";
    if (category == "account") return "access";
    if (category == "delivery" || category == "return") return row.large ? "freight" : "parcel";
    return std::string(row.team);
  }
  return {};
}

Ticket make_ticket(uint64_t seed, Split split, uint64_t index) {
  Dice mix(seed * 2 + (split == Split::held_out));
  Dice dice(mix.next() ^ (index * 0xd1342543de82ef95u));
  dice.next();
  return Writer(dice, split).write();
}

std::vector<Ticket> make_tickets(uint64_t seed, Split split, uint64_t count) {
  std::vector<Ticket> tickets;
  tickets.reserve(count);
  for (uint64_t i = 0; i < count; i++) tickets.push_back(make_ticket(seed, split, i));
  return tickets;
}

std::string completion(const Labels& labels) {
  std::string out = "{";
  for (size_t i = 0; i < kFields; i++) {
    if (i) out += ',';
    out += '"' + std::string(kFieldNames[i]) + "\":" + boost::json::serialize(boost::json::string(labels[i]));
  }
  return out + "}";
}

std::string training_line(const Ticket& ticket) {
  return "{\"prompt\":" + boost::json::serialize(boost::json::string(ticket.text)) +
         ",\"completion\":" + boost::json::serialize(boost::json::string(completion(ticket.labels))) + "}";
}

}  // namespace hf::app
