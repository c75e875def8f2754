// What a quickstart found, as the JSON object that `--json` prints and the summary that people read.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/quickstart/baselines.h"
#include "app/quickstart/scoring.h"

namespace hf::app {

inline constexpr double kGoal = 0.85;  // of the decided fields together, for tickets

struct Attack {
  std::string name, tried, outcome;
  bool refused = false;  // or found
};

struct Report {
  std::string data;             // "tickets", "packages", or the user's file
  std::string instruction_set;  // that the site's workers run with
  std::vector<std::string> fields;
  size_t train_examples = 0, held_out_examples = 0;
  std::vector<Baseline> baselines;
  std::optional<Score> before, after;
  double training_seconds = 0, tokens_per_second = 0, final_loss = 0;
  int64_t training_steps = 0, training_tokens = 0, parameters = 0;
  uint64_t peak_memory_bytes = 0;
  std::vector<Attack> attacks;
  std::vector<std::pair<std::string, int64_t>> counters;  // the kernel's
  bool same_answers = false;                              // of the three APIs
  bool ledger_verified = false, evidence_verified = false, receipt_replayed = false;
  bool altered_evidence_rejected = false;
  boost::json::value head;                                // the signed head
  std::vector<std::pair<std::string, std::string>> made;  // what, and its name, ARN or path

  bool attacks_refused() const;
  bool above_baselines() const;
  bool everything_verified() const;
  // For tickets the threshold and the baselines too; else there is no threshold.
  bool goal_met() const;
};

boost::json::value to_json(const Report& report);
// "decided 97.2 %  whole 91.0 %  category 99.1 % ...", one row a method.
std::vector<std::vector<std::string>> score_table(const Report& report);

}  // namespace hf::app
