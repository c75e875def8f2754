#include "app/quickstart/quickstart.h"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "app/quickstart/program.h"
#include "app/quickstart/run.h"
#include "base/text.h"

namespace hf::app {

Status QuickstartRun::steps() {
  TRY(load_data());
  TRY(start_site());
  TRY(place_data());
  TRY(show_data());
  TRY(train());
  TRY(evaluate_both());
  TRY(deploy());
  TRY(ask());
  TRY(attack());
  TRY(replay());
  TRY(keep_head());
  TRY(export_evidence());
  TRY(alter_evidence());
  return {};
}

Result<int> QuickstartRun::run() {
  Status done = steps();
  if (memory_) {
    memory_->stop();
    memory_->look();
    report_.peak_memory_bytes = memory_->peak();
  }
  if (done.ok()) summary();
  client_.reset();
  if (site_) {
    Status stopped = stop_site();
    if (done.ok()) done = std::move(stopped);
  }
  TRY(std::move(done));
  const boost::json::value report = to_json(report_);
  TRY(context_.fs.write_file_atomic(context_.state + "/quickstart.json", boost::json::serialize(report) + "\n"));
  if (context_.json) print_json(report);
  return report_.goal_met() ? kDone : kFailed;
}

void QuickstartRun::tell(const std::string& text) { context_.json ? say(text) : print(text); }

void QuickstartRun::heading(const std::string& text) { tell("\n== " + std::to_string(++step_) + ". " + text); }

void QuickstartRun::summary() {
  heading("What is there now");
  for (const auto& [what, name] : report_.made)
    tell("  " + what + std::string(18 - std::min<size_t>(what.size(), 17), ' ') + name);
  tell("  memory            " + human_bytes(report_.peak_memory_bytes) + " at most, all processes together");
  const std::string state = context_.state == "var" ? "" : " --state " + context_.state;
  const std::string call = "  " + context_.program + " ";
  if (!site_) {
    tell("\nGo on with:");
    tell("  eval \"$(" + context_.program + " env" + state + ")\"");
    tell(call + "chat" + state + " " + name_ + " " + shell_quoted(data_.held_out[0].prompt));
    tell("  aws --endpoint-url \"$AWS_ENDPOINT_URL\" sagemaker describe-training-job --training-job-name " + name_);
    tell(call + "ledger" + state + " verify --head " + folder_ + "/head.json");
    if (const std::string script = evidence_verifier(context_.fs); !script.empty())
      tell("  " + script + " " + evidence_);
    tell(call + "models" + state + " export " + name_ + " --to ./" + name_);
  } else {
    tell("\nThe site that this command started is stopped now. Go on with:");
    tell(call + "up" + state);
    tell(call + "chat" + state + " " + name_ + " \"...\"");
  }
  if (!report_.everything_verified()) tell("\nNOT everything was as it must be: see above.");
  if (report_.data == "tickets" && report_.after) {
    tell(report_.goal_met() ? "\nThe goal is met."
                            : "\nThe goal (85 % of the decided fields, above every baseline) is NOT met.");
  }
}

Result<int> run_quickstart(const Context& context, const QuickstartOptions& options) {
  if (options.real && !options.data.empty()) {
    return fail(Code::invalid, "--real and --data exclude each other: expected one source of data");
  }
  if (!options.validation.empty() && options.data.empty()) {
    return fail(Code::invalid, "--validation belongs to --data");
  }
  return QuickstartRun(context, options).run();
}

void add_quickstart_command(CLI::App& app, Context& context, Work& work) {
  auto* command = app.add_subcommand(
      "quickstart", "make data, train a model from scratch, measure, deploy, attack and prove it: minutes");
  auto options = std::make_shared<QuickstartOptions>();
  auto set = std::make_shared<std::vector<std::string>>();
  command->add_flag("--real", options->real, "train on Debian's package index instead of made tickets");
  command->add_option("--data", options->data, "train on your own lines of {\"prompt\", \"completion\"}");
  command->add_option("--validation", options->validation, "lines to hold out (default: the last tenth of --data)");
  command->add_option("--seed", options->seed, "of the tickets and of the training")->capture_default_str();
  command->add_option("--tickets", options->tickets, "how many to train on (default: as the recipe says)")
      ->check(CLI::Range(20, 2'000'000));
  command->add_option("--held-out", options->held_out, "how many to measure on")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command->add_option("--set", *set, "a hyperparameter, NAME=VALUE (docs/training.md)");
  command->footer("example: holdfast quickstart --state /tmp/site --json");
  command->callback([&context, &work, options, set] {
    work = [&context, options, set]() -> Result<int> {
      for (const auto& pair : *set) {
        size_t equals = pair.find('=');
        if (equals == std::string::npos) return fail(Code::invalid, "--set: expected NAME=VALUE, found '" + pair + "'");
        options->hyperparameters[pair.substr(0, equals)] = pair.substr(equals + 1);
      }
      return run_quickstart(context, *options);
    };
  });
}

}  // namespace hf::app
