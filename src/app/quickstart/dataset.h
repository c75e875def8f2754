// What the quickstart trains on: prompts and completions, some of them held out. Three sources, one form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::app {

struct Example {
  std::string prompt, completion;
};

struct Dataset {
  std::string name;                 // "tickets", "packages", or the user's file
  std::vector<std::string> fields;  // members of each completion, in order; empty: completions are text, scored whole
  size_t decided = 0;               // the first so many fields are decided from the text, the rest copied out of it
  std::vector<Example> train, held_out;
};

// Our own tickets (tickets.h).
Dataset ticket_dataset(uint64_t seed, uint64_t train, uint64_t held_out);

// The text that `apt-cache dumpavail` prints: short description -> {"section","role","interface"}, the first tag of
// each kind or "none". Split by a hash of the source package's name, so that the packages of one source are on one
// side. Without a description or a section: left out. invalid: no usable record, or over 256 MiB or 1 M records.
Result<Dataset> package_dataset(std::string_view dumpavail, size_t max_train, size_t max_held_out);

// A user's JSON lines: each an object of "prompt" and "completion", both text that is not empty; blank lines are passed
// over. `validation` (may be empty): lines to hold out; without it the last tenth of `lines` is. Where every completion
// is a JSON object with the same members, each member is a field; else completions are scored as text. invalid: "NAME
// line 7: ..." -- which line, what was expected. Limits: 64 KiB a line, 4 M lines.
Result<Dataset> user_dataset(const std::string& name, std::string_view lines, const std::string& validation_name,
                             std::string_view validation);

std::string to_lines(const std::vector<Example>& examples);  // JSON lines, as training reads them

// The values of a completion's fields as text; nothing if it is not a JSON object of exactly these members.
bool read_fields(std::string_view completion, const std::vector<std::string>& fields, std::vector<std::string>& values);

}  // namespace hf::app
