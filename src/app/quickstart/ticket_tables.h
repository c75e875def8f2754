// The words of the help desk: sentence patterns and values. In a pattern, [a|b|c] is one of several wordings (it may be
// empty), and {x} is a slot:
//   {p}  the product in question ("my laptop"), or "it" where it has just been named     {d}  another product
//   {o} the order number  {n} another number of the same length
//   {sn} a serial number  {ph} a phone number  {amt} an amount  {date} {time} {name} {city}
// Every sixth row of every table (row % 6 == 5) is held out: training never sees it (tickets.h: held_out_row).
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace hf::app {

using Rows = std::span<const std::string_view>;

enum Category { kRepair, kBilling, kDelivery, kReturn, kAccount, kSetup, kCategories };
inline constexpr std::array<std::string_view, kCategories> kCategoryNames = {"repair", "billing", "delivery",
                                                                             "return", "account", "setup"};
Rows problem_patterns(Category category);  // contain {p} once

Rows opening_patterns();
Rows intro_patterns();      // name {p}, then a problem pattern follows with "it"
Rows contrast_patterns();   // likewise, naming {d} as not meant
Rows bystander_patterns();  // name {d}: a product that is fine
Rows number_patterns();     // name a number that is not the order's
Rows order_patterns();      // name {o}
Rows high_priority_patterns();
Rows low_priority_patterns();
Rows neutral_patterns();      // say nothing of priority
Rows callback_patterns();     // ask for a call
Rows no_callback_patterns();  // refuse one
Rows closing_patterns();

struct Product {
  std::string_view label;
  std::string_view team;                  // who repairs it and sets it up
  bool large;                             // goes by freight, not as a parcel
  std::array<std::string_view, 3> nouns;  // "" where there are fewer
};
std::span<const Product> products();
Rows brands();
Rows names();
Rows cities();

struct NamedTable {
  std::string_view name;
  Rows rows;
};
std::span<const NamedTable> pattern_tables();  // all of the above that are patterns
std::span<const NamedTable> value_tables();    // brands, names, cities

}  // namespace hf::app
