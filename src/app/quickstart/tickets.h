// The seeded generator of help-desk tickets: plain English, each with the JSON that triage should give.
//
// A ticket is a handful of sentences from the pattern tables (ticket_tables.h) in a shuffled order: the problem, the
// order number, and by chance another product that is fine, other numbers, how urgent it is, whether to call back.
// Five fields are decided from the text, one is copied out of it:
//   category  what the problem sentence is about
//   product   the one that has the problem, not the bystander
//   priority  high | low as a sentence says or implies; normal where none does
//   team      from category and product: repair and set-up go to the product's team (desk, imaging, comms), delivery
//   and
//             return to freight or parcel by its size, billing to finance, account to access
//   callback  yes only where a call is asked for (a refused call and silence are no)
//   order     the six digits of the order, not the invoice's, customer's, article's or phone's
// The held-out split uses only rows of patterns and values that training never uses: row % 6 == 5 of each table,
// numbers with n % 6 == 5. Products are the labels and therefore shared.
//
// Deterministic: ticket (seed, split, index) is always the same text; no state, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hf::app {

enum class Split { train, held_out };

inline constexpr size_t kDecidedFields = 5;
inline constexpr size_t kFields = 6;
inline constexpr std::array<std::string_view, kFields> kFieldNames = {"category", "product",  "priority",
                                                                      "team",     "callback", "order"};
using Labels = std::array<std::string, kFields>;  // in the order of kFieldNames

struct Ticket {
  std::string text;  // about 25 to 75 words
  Labels labels;
  std::vector<std::string_view> rows;  // of the pattern and value tables it was made of: into the static tables
};

constexpr bool held_out_row(uint64_t row) { return row % 6 == 5; }

Ticket make_ticket(uint64_t seed, Split split, uint64_t index);
std::vector<Ticket> make_tickets(uint64_t seed, Split split, uint64_t count);

std::string team_for(std::string_view category, std::string_view product);  // "" for an unknown product
std::string completion(const Labels& labels);     // {"category":"..",..,"order":".."}: this order, no blanks
std::string training_line(const Ticket& ticket);  // {"prompt":"..","completion":".."} without a line end

}  // namespace hf::app
