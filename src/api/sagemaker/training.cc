// CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob. The work is fleet::Jobs'.
#include <algorithm>

#include "api/inference.h"
#include "api/listing.h"
#include "api/sagemaker/training_shapes.h"
#include "fleet/jobs.h"
#include "fleet/json_fields.h"

namespace hf::api::sagemaker_api {
namespace {

constexpr int32_t kDefaultRuntime = 86'400;

Error no_job(const std::string& name) {
  return fail(Code::not_found, "ValidationException", "Requested resource not found: no training job " + name);
}

Result<fleet::TrainingJob> find_job(Call& call, const std::string& name) {
  std::optional<fleet::TrainingJob> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(call.site().jobs.find(txn, call.account(), name));
    return {};
  }));
  if (found) return std::move(*found);
  return no_job(name);
}

// The caller's right to the data is checked now; the job itself then reads and writes as the site.
Result<std::vector<fleet::JobChannel>> channels_of(Call& call, const std::vector<Channel>& input) {
  std::vector<fleet::JobChannel> out;
  for (const Channel& channel : input) {
    const char* member = "InputDataConfig.DataSource.S3DataSource.S3Uri";
    const S3Uri at = TRY(parse_s3_uri(channel.source.s3.uri, member));
    TRY(call.may_all("s3:GetObject", at.arn()));
    TRY(check_bucket(call, at, member));
    for (const fleet::JobChannel& before : out)
      if (before.name == channel.name) return invalid("InputDataConfig: two channels are called " + channel.name);
    out.push_back({channel.name, at.bucket, at.key});
  }
  for (const fleet::JobChannel& channel : out)
    if (channel.name == "train") return out;
  return invalid("InputDataConfig: expected a channel called train, found none");
}

Result<uint64_t> seed_of(Call& call, const std::map<std::string, std::string>& hyperparameters) {
  auto at = hyperparameters.find("seed");
  if (at == hyperparameters.end()) return fresh_seed(call);
  const uint64_t seed = fleet::parse_u64(at->second);
  if (std::to_string(seed) == at->second) return seed;
  return invalid("HyperParameters.seed: expected a whole number from 0 to 18446744073709551615, found " +
                 at->second.substr(0, 100));
}

Result<CreateTrainingJobResponse> create(Call& call, const CreateTrainingJobRequest& in) {
  if (!in.algorithm.name && !in.algorithm.image)
    return invalid("AlgorithmSpecification: expected AlgorithmName holdfast-decoder, found none");
  if (in.algorithm.name && in.algorithm.image)
    return invalid("AlgorithmSpecification: expected AlgorithmName or TrainingImage, found both");
  if (in.profiler && !in.profiler->disabled)
    return invalid("ProfilerConfig.DisableProfiler: expected true (the profiler is not offered), found false");
  fleet::JobSpec spec;
  spec.account = call.account();
  spec.name = in.name;
  spec.arn = call.arn("sagemaker", "training-job/" + in.name);
  spec.principal = call.who().arn;
  spec.request = to_text(in);
  TRY(may_pass(call, in.role));
  spec.hyperparameters = in.hyperparameters;
  spec.seed = TRY(seed_of(call, in.hyperparameters));
  spec.channels = TRY(channels_of(call, in.input));
  const S3Uri output = TRY(parse_s3_uri(in.output.path, "OutputDataConfig.S3OutputPath"));
  TRY(check_bucket(call, output, "OutputDataConfig.S3OutputPath"));
  spec.output_bucket = output.bucket;
  spec.output_prefix = output.key;
  while (!spec.output_prefix.empty() && spec.output_prefix.back() == '/') spec.output_prefix.pop_back();
  const std::string folder = spec.output_prefix + (spec.output_prefix.empty() ? "" : "/") + spec.name + "/";
  TRY(call.may_all("s3:PutObject", S3Uri{spec.output_bucket, folder}.arn()));
  spec.compressed = in.output.compression.value_or("GZIP") == "GZIP";
  if (in.stopping) spec.max_runtime_s = in.stopping->max_runtime.value_or(kDefaultRuntime);
  if (in.resources && in.resources->volume_gb)
    spec.volume_bytes = static_cast<uint64_t>(*in.resources->volume_gb) << 30;
  TRY(call.commit([&](store::Txn& txn) { return call.site().jobs.create(txn, spec); }));
  call.site().jobs.wake(spec.account, spec.name);
  return CreateTrainingJobResponse{spec.arn};
}

Result<DescribeTrainingJobResponse> describe(Call& call, const JobNameRequest& in) {
  const fleet::TrainingJob job = TRY(find_job(call, in.name));
  CreateTrainingJobRequest request = TRY(from_text<CreateTrainingJobRequest>(job.spec().request));
  DescribeTrainingJobResponse out;
  out.name = job.spec().name;
  out.arn = job.spec().arn;
  out.artifacts.uri = job.artifact();
  out.status = job.status();
  out.secondary = job.secondary();
  if (!job.failure_reason().empty()) out.failure = job.failure_reason();
  out.hyperparameters = std::move(request.hyperparameters);
  out.algorithm = std::move(request.algorithm);
  out.role = std::move(request.role);
  out.input = std::move(request.input);
  out.output = std::move(request.output);
  if (request.resources) out.resources = *request.resources;
  out.resources.type = out.resources.type.value_or("holdfast.local");
  out.resources.count = 1;
  out.stopping.max_runtime = static_cast<int32_t>(job.spec().max_runtime_s);
  out.created.us = job.created();
  out.modified.us = job.modified();
  if (job.training_start() > 0) out.start = Timestamp{job.training_start()};
  if (job.training_end() > 0) out.end = Timestamp{job.training_end()};
  for (const fleet::JobTransition& t : job.transitions())
    out.transitions.push_back({t.status, Timestamp{t.start},
                               t.end > 0 ? std::optional<Timestamp>(Timestamp{t.end}) : std::nullopt, t.message});
  if (!job.metrics().empty()) {
    out.metrics.emplace();
    for (const auto& [name, value] : job.metrics()) out.metrics->push_back({name, value, Timestamp{job.modified()}});
  }
  if (job.training_start() > 0 && job.training_end() > 0) {
    const int64_t seconds = (job.training_end() - job.training_start() + 999'999) / 1'000'000;
    out.seconds = out.billable = static_cast<int32_t>(std::clamp<int64_t>(seconds, 1, INT32_MAX));
  }
  return out;
}

Result<ListTrainingJobsResponse> list(Call& call, const ListTrainingJobsRequest& in) {
  std::vector<fleet::TrainingJob> jobs;
  TRY(call.read([&](store::Txn& txn) -> Status {
    jobs = TRY(call.site().jobs.list(txn, call.account()));
    return {};
  }));
  std::erase_if(jobs, [&](const fleet::TrainingJob& j) {
    return !within(j.created(), micros(in.after), micros(in.before)) ||
           !within(j.modified(), micros(in.modified_after), micros(in.modified_before)) ||
           (in.name && j.spec().name.find(*in.name) == std::string::npos) || (in.status && j.status() != *in.status);
  });
  const std::string by = in.sort_by.value_or("CreationTime");
  auto key = [&](const fleet::TrainingJob& j) {
    if (by == "Name") return j.spec().name;
    if (by == "Status") return j.status() + " " + j.spec().name;
    return time_key(j.created()) + j.spec().name;
  };
  ListTrainingJobsResponse out;
  out.token =
      TRY(take_page(jobs, key, in.order.value_or("Descending") == "Descending", in.most.value_or(10), in.token));
  for (const fleet::TrainingJob& j : jobs)
    out.jobs.push_back({j.spec().name, j.spec().arn, j.status(), j.secondary(), Timestamp{j.created()},
                        Timestamp{j.modified()},
                        j.training_end() > 0 ? std::optional<Timestamp>(Timestamp{j.training_end()}) : std::nullopt});
  return out;
}

Result<Empty> stop(Call& call, const JobNameRequest& in) {
  (void)TRY(find_job(call, in.name));
  TRY(call.commit([&](store::Txn& txn) { return call.site().jobs.request_stop(txn, call.account(), in.name); }));
  call.site().jobs.wake(call.account(), in.name);
  return Empty{};
}

template <class In>
std::string job_arn(const Call& call, const In& in) {
  return call.arn("sagemaker", "training-job/" + in.name);
}
std::string everything(const Call&, const ListTrainingJobsRequest&) { return "*"; }

}  // namespace

void add_training(Service& s) {
  s.add<CreateTrainingJobRequest, CreateTrainingJobResponse>("CreateTrainingJob", {}, Effect::write, create, job_arn);
  s.add<JobNameRequest, DescribeTrainingJobResponse>("DescribeTrainingJob", {}, Effect::read, describe, job_arn);
  s.add<ListTrainingJobsRequest, ListTrainingJobsResponse>("ListTrainingJobs", {}, Effect::read, list, everything);
  s.add<JobNameRequest, Empty>("StopTrainingJob", {}, Effect::write, stop, job_arn);
}

}  // namespace hf::api::sagemaker_api
