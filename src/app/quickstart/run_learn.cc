// The quickstart's first half: a site, data, training, and how well the model does.
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <cstdio>

#include "app/json_path.h"
#include "app/quickstart/program.h"
#include "app/quickstart/run.h"
#include "app/training.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

// As many as three minutes can see once on two quick cores: no ticket comes twice, so nothing is learnt by rote.
constexpr uint64_t kTickets = 140'000;
constexpr double kMostEpochs = 40;  // of other people's data, where there is less of it

// The recipe for all three kinds of data (docs/training.md): a small decoder, and a schedule that fits into its time.
std::map<std::string, std::string> recipe(size_t examples) {
  double epochs = std::clamp(static_cast<double>(kTickets) / static_cast<double>(examples), 1.0, kMostEpochs);
  return {{"layers", "3"},          {"width", "96"},           {"heads", "6"},
          {"vocabulary", "4096"},   {"init_deviation", "0.1"}, {"learning_rate", "0.0015"},
          {"batch_tokens", "1024"}, {"max_seconds", "175"},    {"epochs", std::to_string(epochs)},
          {"compute", "auto"}};
}
constexpr int kStartTimeoutMs = 60'000, kStopTimeoutMs = 30'000;
constexpr uint64_t kMaxDataBytes = 4ull << 30;
constexpr size_t kShownPrompt = 400;

std::string percent(double rate) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", rate * 100);
  return text;
}

// A name for jobs and models: letters, digits and hyphens.
std::string plain_name(std::string_view text) {
  std::string out;
  for (char c : lower(text.substr(0, 40))) {
    bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (ok) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "mine" : out;
}

std::string stem_of(const std::string& path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  return name.substr(0, name.find('.'));
}

double metric(const json::value& job, std::string_view name) {
  const auto* list = at_path(job, {"FinalMetricDataList"});
  if (!list || !list->is_array()) return 0;
  for (const auto& row : list->get_array()) {
    if (text_at(row, {"MetricName"}) == name) return number_at(row, {"Value"});
  }
  return 0;
}

}  // namespace

// ---- the site

// A site as our own child: it ends with this command, however that ends.
Status QuickstartRun::launch_site() {
  TRY(context_.fs.make_dirs(context_.state + "/log"));
  const std::string log_path = context_.state + "/log/site.log";
  auto log = TRY(context_.fs.open(log_path, os::Open::create));
  const uint64_t before = TRY(log->size());
  os::Spawn spec;
  spec.arguments = {"up", "--foreground", "--state", context_.state};
  spec.environment = passed_environment();
  spec.descriptors = {{log->fd(), 1}, {log->fd(), 2}};
  spec.append_outputs = true;
  spec.new_session = true;  // an interrupt from the keyboard ends this command first
  site_ = TRY(os::spawn(spec));
  for (int waited_ms = 0; waited_ms < kStartTimeoutMs; waited_ms += 50) {
    if (site_->wait(50).ok()) {
      site_.reset();
      std::string text = TRY(context_.fs.read_file(log_path, 1 << 30));
      return fail(Code::unavailable,
                  "the site did not start: " + std::string(trim(text.substr(std::min<size_t>(before, text.size())))));
    }
    auto client = connect(context_);
    if (!client.ok()) continue;
    auto status = (*client)->holdfast("GET", "/status");  // of this site, not of one that left its address here
    if (status.ok() && integer_at(*status, {"pid"}) == site_->pid()) return {};
  }
  return fail(Code::unavailable, "the site did not answer within a minute: see " + log_path);
}

Status QuickstartRun::start_site() {
  heading("A site");
  auto running = connect(context_);
  if (!running.ok()) {
    TRY(launch_site());
    running = connect(context_);
  }
  client_ = TRY(std::move(running));
  json::value status = TRY(client_->holdfast("GET", "/status"));
  tell((site_ ? "  started: " : "  it runs already: ") + client_->connection().endpoint + ", account " +
       client_->connection().account);
  report_.instruction_set = text_at(status, {"instruction_set"});
  tell("  instruction set: " + report_.instruction_set);
  if (auto isolation = text_at(status, {"isolation"}); !isolation.empty()) {
    tell("  a worker's walls:");
    const Walls walls = walls_of(isolation);
    for (const auto& wall : walls.hold) tell("    " + wall);
    for (const auto& wall : walls.missing) tell("    NOT here: " + wall);
  }
  memory_ = std::make_unique<MemoryWatch>(context_.fs, context_.clock,
                                          std::vector<int>{getpid(), static_cast<int>(integer_at(status, {"pid"}))});
  return {};
}

Status QuickstartRun::stop_site() {
  site_->kill(SIGTERM);
  auto ended = site_->wait(kStopTimeoutMs);
  if (!ended.ok()) return fail(Code::unavailable, "the site did not stop within 30 s");
  return {};
}

// ---- the data

Result<Dataset> QuickstartRun::read_packages() {
  const std::string program = "/usr/bin/apt-cache";
  if (!context_.fs.exists(program)) return fail(Code::not_found, program + " is not there: --real needs Debian's apt");
  auto dump = TRY(run_program(context_, context_.state + "/quickstart", program, {"dumpavail"}));
  if (dump.status != 0) return fail(Code::unavailable, "apt-cache dumpavail: " + std::string(trim(dump.err)));
  return package_dataset(dump.out, SIZE_MAX, options_.held_out);
}

Result<Dataset> QuickstartRun::read_user_data() {
  std::string lines = TRY(context_.fs.read_file(options_.data, kMaxDataBytes)), validation;
  if (!options_.validation.empty()) validation = TRY(context_.fs.read_file(options_.validation, kMaxDataBytes));
  // By its whole path: a file that is called "tickets" is no made data.
  return user_dataset(TRY(absolute_path(options_.data)), lines, options_.validation, validation);
}

// Before the site: a broken line is told at once.
Status QuickstartRun::load_data() {
  wish_ = "tickets";
  if (options_.real) {
    data_ = TRY(read_packages());
    wish_ = "packages";
  } else if (!options_.data.empty()) {
    data_ = TRY(read_user_data());
    wish_ = plain_name(stem_of(options_.data));
  } else {
    data_ = ticket_dataset(options_.seed, options_.tickets ? options_.tickets : kTickets, options_.held_out);
  }
  report_.data = data_.name;
  report_.fields = data_.fields;
  report_.train_examples = data_.train.size();
  report_.held_out_examples = data_.held_out.size();
  return {};
}

Status QuickstartRun::place_data() {
  heading("The data");
  name_ = TRY(free_name(wish_));
  untrained_name_ = name_ + "-untrained";
  folder_ = TRY(absolute_path(context_.state + "/quickstart/" + name_));
  TRY(context_.fs.make_dirs(folder_));
  TRY(context_.fs.write_file_atomic(folder_ + "/train.jsonl", to_lines(data_.train)));
  TRY(context_.fs.write_file_atomic(folder_ + "/held-out.jsonl", to_lines(data_.held_out)));
  report_.made.emplace_back("data", folder_ + "/train.jsonl");
  return {};
}

// The first of NAME, NAME-2, NAME-3 ... that no training job has.
Result<std::string> QuickstartRun::free_name(const std::string& wish) {
  for (int n = 1; n <= 1000; n++) {
    std::string name = n == 1 ? wish : wish + "-" + std::to_string(n);
    bool free = true;
    for (const auto& job : {name, name + "-untrained"}) {
      auto found =
          client_->aws_json("sagemaker", "SageMaker.DescribeTrainingJob", json::object{{"TrainingJobName", job}});
      if (found.ok()) {
        free = false;
      } else if (found.error().name != "ResourceNotFound" && found.error().code != Code::not_found &&
                 found.error().code != Code::invalid) {
        return std::move(found).error();
      }
    }
    if (free) return name;
  }
  return fail(Code::conflict, "a thousand training jobs are called " + wish + "-N already");
}

Status QuickstartRun::show_data() {
  tell("  " + std::to_string(data_.train.size()) + " examples to learn from, " + std::to_string(data_.held_out.size()) +
       " held out" + (data_.name == "tickets" ? ", made of sentences and values that training never sees" : ""));
  const auto& example = data_.held_out[0];
  tell("  one of those held out:\n    " + clip(example.prompt, kShownPrompt) + "\n    -> " +
       clip(example.completion, kShownPrompt));
  report_.baselines = score_baselines(data_);
  tell("  what needs no model:");
  tell(table(score_table(report_)));
  return {};
}

// ---- training

Result<json::value> QuickstartRun::run_job(const std::string& name,
                                           const std::map<std::string, std::string>& hyperparameters, bool draw) {
  TrainingRequest request;
  request.name = name;
  request.train_path = folder_ + "/train.jsonl";
  request.hyperparameters = hyperparameters;
  TRY(start_training(context_, *client_, request));
  json::value job = draw ? TRY(follow_training(context_, *client_, name))
                         : TRY(follow_training(context_, *client_, name, [](const TrainingView&) {}));
  if (text_at(job, {"TrainingJobStatus"}) != "Completed") {
    return fail(Code::internal, "the training job " + name + " is " + text_at(job, {"TrainingJobStatus"}) + ": " +
                                    text_at(job, {"FailureReason"}));
  }
  return job;
}

Status QuickstartRun::train() {
  heading("Training, from scratch: the tokenizer first, then the decoder");
  auto hyperparameters = recipe(data_.train.size());
  hyperparameters["seed"] = std::to_string(options_.seed);
  for (const auto& [name, value] : options_.hyperparameters) hyperparameters[name] = value;
  // Untrained: one step at a rate that changes nothing worth the name.
  auto untrained = hyperparameters;
  untrained["steps"] = "1";
  untrained["learning_rate"] = "1e-7";
  untrained["min_learning_rate"] = "0";
  TRY(run_job(untrained_name_, untrained, false));
  job_ = TRY(run_job(name_, hyperparameters, true));
  report_.training_seconds = metric(job_, "train:seconds");
  if (report_.training_seconds <= 0) {
    report_.training_seconds = number_at(job_, {"TrainingEndTime"}) - number_at(job_, {"TrainingStartTime"});
  }
  report_.tokens_per_second = metric(job_, "train:tokens_per_second");
  report_.final_loss = metric(job_, "train:loss");
  report_.training_steps = static_cast<int64_t>(metric(job_, "train:steps"));
  report_.training_tokens = static_cast<int64_t>(metric(job_, "train:tokens"));
  report_.parameters = static_cast<int64_t>(metric(job_, "train:parameters"));
  report_.made.emplace_back("training job", text_at(job_, {"TrainingJobArn"}));
  report_.made.emplace_back("model artifact", text_at(job_, {"ModelArtifacts", "S3ModelArtifacts"}));
  char line[160];
  std::snprintf(line, sizeof line, "  %.0f s, %.0f tokens/s, loss %.4f", report_.training_seconds,
                report_.tokens_per_second, report_.final_loss);
  tell(line);
  return {};
}

// ---- evaluation

Status QuickstartRun::evaluate_both() {
  heading("Held-out examples, through Converse: before and after");
  // Room for the longest completion, and a little for a model that is wrong.
  size_t longest = 0;
  for (size_t i = 1; i < data_.held_out.size(); i++) {
    if (data_.held_out[i].completion.size() > data_.held_out[longest].completion.size()) longest = i;
  }
  json::value body = json::object{
      {"input",
       {{"converse",
         {{"messages", json::array{json::object{
                           {"role", "user"},
                           {"content", json::array{json::object{{"text", data_.held_out[longest].completion}}}}}}}}}}}};
  auto counted = TRY(client_->rest("bedrock", "POST", "/model/" + percent_encode(name_) + "/count-tokens", &body));
  max_tokens_ = std::max(static_cast<int>(integer_at(counted, {"inputTokens"})) + 8, 16);
  EvaluateOptions options;
  options.max_tokens = max_tokens_;
  options.model = untrained_name_;
  options.label = "untrained";
  report_.before = TRY(evaluate(client_->connection(), context_.clock, terminal_, data_, options));
  options.model = name_;
  options.label = "trained  ";
  report_.after = TRY(evaluate(client_->connection(), context_.clock, terminal_, data_, options));
  tell(table(score_table(report_)));
  if (report_.after->invalid)
    tell("  answers that were not the JSON asked for: " + std::to_string(report_.after->invalid));
  if (report_.data == "tickets") {
    tell("  decided fields together: " + percent(report_.after->decided_rate()) + " (goal " + percent(kGoal) +
         ", and above every baseline)");
  }
  return {};
}

}  // namespace hf::app
