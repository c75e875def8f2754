#include "app/quickstart/report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

namespace hf::app {
namespace json = boost::json;
namespace {

json::object fields_json(const std::vector<std::string>& fields, const Score& score) {
  json::object out;
  for (size_t i = 0; i < fields.size(); i++) out[fields[i]] = score.rate(score.by_field[i]);
  return out;
}

json::object score_json(const std::vector<std::string>& fields, const Score& score) {
  return json::object{{"decided", score.decided_rate()},
                      {"whole", score.whole_rate()},
                      {"invalid", score.invalid},
                      {"total", score.total},
                      {"by_field", fields_json(fields, score)}};
}

std::string percent(double rate) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", rate * 100);
  return text;
}

}  // namespace

bool Report::attacks_refused() const {
  return !attacks.empty() && std::all_of(attacks.begin(), attacks.end(), [](const Attack& a) { return a.refused; });
}

bool Report::above_baselines() const {
  return after && std::all_of(baselines.begin(), baselines.end(), [&](const Baseline& baseline) {
           return after->decided_rate() > baseline.score.decided_rate();
         });
}

bool Report::everything_verified() const {
  return before && after && same_answers && attacks_refused() && ledger_verified && evidence_verified &&
         altered_evidence_rejected && receipt_replayed;
}

bool Report::goal_met() const {
  if (!everything_verified()) return false;
  return data != "tickets" || (after->decided_rate() >= kGoal && above_baselines());
}

json::value to_json(const Report& report) {
  json::object out{{"data", report.data},
                   {"train_examples", report.train_examples},
                   {"held_out_examples", report.held_out_examples}};
  out["exact_match_before"] = report.before ? json::value(report.before->decided_rate()) : json::value(nullptr);
  out["exact_match_after"] = report.after ? json::value(report.after->decided_rate()) : json::value(nullptr);
  out["exact_match_whole"] = report.after ? json::value(report.after->whole_rate()) : json::value(nullptr);
  out["by_field"] = report.after ? fields_json(report.fields, *report.after) : json::object();
  json::object baselines, details;
  for (const auto& baseline : report.baselines) {
    baselines[baseline.name] = baseline.score.decided_rate();
    details[baseline.name] = score_json(report.fields, baseline.score);
  }
  if (report.before) details["untrained"] = score_json(report.fields, *report.before);
  if (report.after) details["trained"] = score_json(report.fields, *report.after);
  out["baselines"] = baselines;
  out["scores"] = details;
  out["instruction_set"] = report.instruction_set;
  out["training_seconds"] = report.training_seconds;
  out["tokens_per_second"] = report.tokens_per_second;
  out["training_steps"] = report.training_steps;
  out["training_tokens"] = report.training_tokens;
  out["parameters"] = report.parameters;
  out["final_loss"] = report.final_loss;
  out["peak_memory_bytes"] = report.peak_memory_bytes;
  json::array attacks;
  for (const auto& attack : report.attacks) {
    attacks.push_back(json::object{
        {"name", attack.name}, {"tried", attack.tried}, {"outcome", attack.outcome}, {"refused", attack.refused}});
  }
  json::object counters;
  for (const auto& [name, value] : report.counters) counters[name] = value;
  out["attacks"] = attacks;
  out["kernel_counters"] = counters;
  out["attacks_refused"] = report.attacks_refused();
  out["same_answers"] = report.same_answers;
  out["ledger_verified"] = report.ledger_verified;
  out["evidence_verified"] = report.evidence_verified;
  out["altered_evidence_rejected"] = report.altered_evidence_rejected;
  out["receipt_replayed"] = report.receipt_replayed;
  out["signed_head"] = report.head;
  json::object made;
  for (const auto& [what, name] : report.made) made[what] = name;
  out["made"] = made;
  out["goal_met"] = report.goal_met();
  return out;
}

std::vector<std::vector<std::string>> score_table(const Report& report) {
  std::vector<std::vector<std::string>> rows = {{"", "decided", "whole"}};
  rows[0].insert(rows[0].end(), report.fields.begin(), report.fields.end());
  auto add = [&](const std::string& name, const Score& score) {
    std::vector<std::string> row = {name, percent(score.decided_rate()), percent(score.whole_rate())};
    for (size_t n : score.by_field) row.push_back(percent(score.rate(n)));
    rows.push_back(std::move(row));
  };
  for (const auto& baseline : report.baselines) add(baseline.name, baseline.score);
  if (report.before) add("untrained model", *report.before);
  if (report.after) add("trained model", *report.after);
  return rows;
}

}  // namespace hf::app
