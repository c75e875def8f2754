#include "app/training.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "app/term.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

Status upload(const Context& context, ApiClient& client, const std::string& path, const std::string& bucket,
              const std::string& key) {
  Waiting waiting(stderr_terminal(), context.clock, "storing " + path);
  std::string body = TRY(context.fs.read_file(path, 4ull << 30));
  http::Headers headers;
  headers.set("content-type", "application/jsonl");
  TRY(client.s3("PUT", bucket, key, "", std::move(body), headers));
  return {};
}

json::object channel(const char* name, const std::string& uri) {
  return json::object{{"ChannelName", name},
                      {"DataSource", {{"S3DataSource", {{"S3DataType", "S3Prefix"}, {"S3Uri", uri}}}}}};
}

double number(const json::object& o, std::string_view name) {
  const json::value* v = o.if_contains({name.data(), name.size()});
  return v && v->is_number() ? v->to_number<double>() : 0;
}

}  // namespace

TrainingView view_of(const json::value& job, const json::value& progress) {
  TrainingView view;
  view.status = member(job, "TrainingJobStatus");
  const json::object* p = progress.if_object();
  if (!p) return view;
  view.phase = member(progress, "phase");
  view.step = static_cast<int64_t>(number(*p, "step"));
  view.steps = static_cast<int64_t>(number(*p, "steps"));
  view.tokens = static_cast<int64_t>(number(*p, "tokens"));
  view.loss = number(*p, "loss");
  view.tokens_per_second = number(*p, "tokens_per_second");
  view.seconds_left = number(*p, "seconds_left");
  view.peak_bytes = static_cast<uint64_t>(number(*p, "peak_bytes"));
  if (const json::value* points = p->if_contains("points"); points && points->is_array())
    for (const json::value& point : points->as_array())
      if (const json::object* o = point.if_object()) {
        if (number(*o, "step") < 1) continue;  // before the first step there is no loss
        view.curve.emplace_back(static_cast<int64_t>(number(*o, "step")), number(*o, "loss"));
        view.seconds = number(*o, "seconds");
      }
  return view;
}

double TrainingView::fraction() const {
  if (status == "Completed") return 1;
  const double by_steps = steps > 0 ? static_cast<double>(step) / static_cast<double>(steps) : 0;
  const double by_time = seconds > 0 ? seconds / (seconds + std::max(seconds_left, 0.0)) : 0;
  return std::min(std::max(by_steps, by_time), 1.0);
}

Result<std::string> absolute_path(const std::string& path) {
  if (path.starts_with('/')) return path;
  char folder[4096];
  if (!getcwd(folder, sizeof folder)) return fail(Code::internal, "the working directory has no path");
  return std::string(folder) + "/" + path;
}

Result<std::string> start_training(const Context& context, ApiClient& client, const TrainingRequest& request) {
  const Connection& c = client.connection();
  const std::string bucket = "training-" + c.account, prefix = request.name + "/";
  auto made = client.s3("PUT", bucket);
  if (!made.ok() && made.error().name != "BucketAlreadyOwnedByYou") return std::move(made).error();
  TRY(upload(context, client, request.train_path, bucket, prefix + "train.jsonl"));
  json::array channels = {channel("train", "s3://" + bucket + "/" + prefix + "train.jsonl")};
  if (!request.validation_path.empty()) {
    TRY(upload(context, client, request.validation_path, bucket, prefix + "validation.jsonl"));
    channels.push_back(channel("validation", "s3://" + bucket + "/" + prefix + "validation.jsonl"));
  }
  json::object hyperparameters;
  for (const auto& [name, value] : request.hyperparameters) hyperparameters[name] = value;
  json::value job = json::object{
      {"TrainingJobName", request.name},
      {"RoleArn", "arn:aws:iam::" + c.account + ":role/holdfast"},
      {"AlgorithmSpecification", {{"AlgorithmName", "holdfast-decoder"}, {"TrainingInputMode", "File"}}},
      {"HyperParameters", hyperparameters},
      {"InputDataConfig", channels},
      {"OutputDataConfig", {{"S3OutputPath", "s3://" + bucket + "/output"}}},
      {"ResourceConfig", {{"InstanceType", "holdfast.local"}, {"InstanceCount", 1}, {"VolumeSizeInGB", 1}}},
      {"StoppingCondition", {{"MaxRuntimeInSeconds", request.max_runtime_s}}}};
  return member(TRY(client.aws_json("sagemaker", "SageMaker.CreateTrainingJob", job)), "TrainingJobArn");
}

Result<json::value> follow_training(const Context& context, ApiClient& client, const std::string& name,
                                    const std::function<void(const TrainingView&)>& draw) {
  for (;;) {
    json::value job =
        TRY(client.aws_json("sagemaker", "SageMaker.DescribeTrainingJob", json::object{{"TrainingJobName", name}}));
    json::value progress = TRY(client.holdfast("GET", "/training-jobs/" + percent_encode(name) + "/progress"));
    TrainingView view = view_of(job, progress);
    draw(view);
    if (view.status != "InProgress" && view.status != "Stopping") return job;
    context.clock.sleep_us(500'000);
  }
}

Result<json::value> follow_training(const Context& context, ApiClient& client, const std::string& name) {
  Terminal& terminal = stderr_terminal();
  LiveBlock block(terminal, context.clock);
  return follow_training(context, client, name, [&](const TrainingView& view) {
    const double fraction = view.fraction();
    const bool training = view.phase == "training" || view.phase == "writing";
    char note[80];
    std::snprintf(note, sizeof note, "loss %.4f  %.0f tokens/s", view.loss, view.tokens_per_second);
    const int columns = terminal.columns();
    std::vector<std::string> lines;
    if (training && view.curve.size() > 1) {
      std::vector<std::pair<double, double>> points;
      for (const auto& [step, loss] : view.curve) points.emplace_back(static_cast<double>(step), loss);
      lines = draw_curve(points, static_cast<double>(view.step) / std::max(fraction, 1e-6), columns, 8);
    }
    const std::string label = training ? "training" : view.phase.empty() ? view.status : view.phase;
    lines.push_back(progress_line(label, fraction, training ? view.seconds_left : -1, training ? note : "", columns));
    const bool over = view.status != "InProgress" && view.status != "Stopping";
    block.draw(lines, lines.back(), over);
  });
}

}  // namespace hf::app
