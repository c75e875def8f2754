// Training jobs' structures. docs/training.md lists the hyperparameters of holdfast-decoder.
#pragma once

#include "api/sagemaker/common.h"

namespace hf::api::sagemaker_api {

struct AlgorithmSpecification {
  OptText image, name;
  std::string input_mode;
  static void fields(wire::Fields<AlgorithmSpecification>& f) {
    f("TrainingImage", &AlgorithmSpecification::image).one_of({"holdfast/decoder"});
    f("AlgorithmName", &AlgorithmSpecification::name).one_of({"holdfast-decoder"});
    f("TrainingInputMode", &AlgorithmSpecification::input_mode).required().one_of({"File"});
    f.refused("MetricDefinitions", "the algorithm's metrics are fixed: they are read from the worker, not from a log");
    f.refused("EnableSageMakerMetricsTimeSeries", "GET /holdfast/v1/training-jobs/NAME/progress has the series");
    f.refused("ContainerEntrypoint", "containers are not offered: the algorithm is built in");
    f.refused("ContainerArguments", "containers are not offered: the algorithm is built in");
    f.refused("TrainingImageConfig", "containers are not offered: the algorithm is built in");
  }
};

struct S3DataSource {
  std::string type, uri;
  OptText distribution;
  static void fields(wire::Fields<S3DataSource>& f) {
    f("S3DataType", &S3DataSource::type).required().one_of({"S3Prefix"});
    f("S3Uri", &S3DataSource::uri).required().length(6, 1024);
    f("S3DataDistributionType", &S3DataSource::distribution).one_of({"FullyReplicated"});
    f.refused("AttributeNames", "augmented manifests are not offered");
    f.refused("InstanceGroupNames", "a job runs on this one machine");
    f.refused("ModelAccessConfig", "model hubs are not offered");
    f.refused("HubAccessConfig", "model hubs are not offered");
  }
};
struct DataSource {
  S3DataSource s3;
  static void fields(wire::Fields<DataSource>& f) {
    f("S3DataSource", &DataSource::s3).required();
    f.refused("FileSystemDataSource", "file systems are not offered: put the data into a bucket");
    f.refused("DatasetSource", "model hubs are not offered");
  }
};
struct Channel {
  std::string name;
  DataSource source;
  OptText content_type, compression, wrapper, mode;
  static void fields(wire::Fields<Channel>& f) {
    f("ChannelName", &Channel::name).required().one_of({"train", "validation"});
    f("DataSource", &Channel::source).required();
    f("ContentType", &Channel::content_type)
        .one_of({"application/jsonlines", "application/x-jsonlines", "application/x-ndjson", "application/json"});
    f("CompressionType", &Channel::compression).one_of({"None"});
    f("RecordWrapperType", &Channel::wrapper).one_of({"None"});
    f("InputMode", &Channel::mode).one_of({"File"});
    f.refused("ShuffleConfig", "the hyperparameter seed decides the order");
  }
};
struct OutputDataConfig {
  std::string path;
  OptText compression;
  static void fields(wire::Fields<OutputDataConfig>& f) {
    f("S3OutputPath", &OutputDataConfig::path).required().length(6, 1024);
    f("CompressionType", &OutputDataConfig::compression).one_of({"GZIP", "NONE"});
    f.refused("KmsKeyId", "encryption with KMS keys is not offered");
  }
};
struct ResourceConfig {
  OptText type;
  std::optional<int32_t> count, volume_gb;
  static void fields(wire::Fields<ResourceConfig>& f) {
    f("InstanceType", &ResourceConfig::type).pattern(kInstanceType);
    f("InstanceCount", &ResourceConfig::count).range(1, 1);
    f("VolumeSizeInGB", &ResourceConfig::volume_gb).range(1, 16384);
    f.refused("VolumeKmsKeyId", "encryption with KMS keys is not offered");
    f.refused("KeepAlivePeriodInSeconds", "warm pools are not offered");
    f.refused("InstanceGroups", "a job runs on this one machine");
    f.refused("TrainingPlanArn", "training plans are not offered");
    f.refused("InstancePlacementConfig", "a job runs on this one machine");
  }
};
struct StoppingCondition {
  std::optional<int32_t> max_runtime;
  static void fields(wire::Fields<StoppingCondition>& f) {
    f("MaxRuntimeInSeconds", &StoppingCondition::max_runtime).range(1, 2'419'200);
    f.refused("MaxWaitTimeInSeconds", "spot training is not offered");
    f.refused("MaxPendingTimeInSeconds", "training plans are not offered");
  }
};
struct ProfilerConfig {
  bool disabled = false;
  static void fields(wire::Fields<ProfilerConfig>& f) {
    f("DisableProfiler", &ProfilerConfig::disabled).required();
    f.refused("S3OutputPath", "the profiler is not offered");
    f.refused("ProfilingIntervalInMilliseconds", "the profiler is not offered");
    f.refused("ProfilingParameters", "the profiler is not offered");
  }
};

struct CreateTrainingJobRequest {
  std::string name, role;
  std::map<std::string, std::string> hyperparameters;
  AlgorithmSpecification algorithm;
  std::vector<Channel> input;
  OutputDataConfig output;
  std::optional<ResourceConfig> resources;
  std::optional<StoppingCondition> stopping;
  std::vector<Tag> tags;
  std::optional<bool> isolation;
  std::optional<ProfilerConfig> profiler;
  static void fields(wire::Fields<CreateTrainingJobRequest>& f) {
    using R = CreateTrainingJobRequest;
    f("TrainingJobName", &R::name).required().length(1, 63).pattern(kEntityName);
    f("HyperParameters", &R::hyperparameters).length(0, 100);
    f("AlgorithmSpecification", &R::algorithm).required();
    f("RoleArn", &R::role).required().length(20, 2048).pattern(kRoleArn);
    f("InputDataConfig", &R::input).required().length(1, 2);
    f("OutputDataConfig", &R::output).required();
    f("ResourceConfig", &R::resources);
    f("StoppingCondition", &R::stopping);
    f("Tags", &R::tags).length(0, 50);
    f("EnableNetworkIsolation", &R::isolation);  // always so, whatever is asked
    f("ProfilerConfig", &R::profiler);
    f.refused("VpcConfig", "a training worker has no network at all");
    f.refused("EnableInterContainerTrafficEncryption", "a job runs on this one machine");
    f.refused("EnableManagedSpotTraining", "spot training is not offered");
    f.refused("CheckpointConfig", "checkpoints in S3 are not offered");
    f.refused("DebugHookConfig", "the debugger is not offered");
    f.refused("DebugRuleConfigurations", "the debugger is not offered");
    f.refused("TensorBoardOutputConfig", "TensorBoard is not offered");
    f.refused("ExperimentConfig", "experiments are not offered");
    f.refused("ProfilerRuleConfigurations", "the profiler is not offered");
    f.refused("Environment", "containers are not offered: the algorithm is built in");
    f.refused("RetryStrategy", "a failed job is not retried");
    f.refused("RemoteDebugConfig", "remote debugging is not offered");
    f.refused("InfraCheckConfig", "a job runs on this one machine");
    f.refused("SessionChainingConfig", "session tags are not offered");
    f.refused("ServerlessJobConfig", "serverless jobs are not offered");
    f.refused("MlflowConfig", "MLflow is not offered");
    f.refused("ModelPackageConfig", "register the model with CreateModelPackage when the job is done");
  }
};
struct CreateTrainingJobResponse {
  std::string arn;
  static void fields(wire::Fields<CreateTrainingJobResponse>& f) {
    f("TrainingJobArn", &CreateTrainingJobResponse::arn);
  }
};

struct JobNameRequest {  // of DescribeTrainingJob and StopTrainingJob
  std::string name;
  static void fields(wire::Fields<JobNameRequest>& f) {
    f("TrainingJobName", &JobNameRequest::name).required().length(1, 63).pattern(kEntityName);
  }
};
struct ModelArtifacts {
  std::string uri;
  static void fields(wire::Fields<ModelArtifacts>& f) { f("S3ModelArtifacts", &ModelArtifacts::uri); }
};
struct SecondaryStatusTransition {
  std::string status;
  Timestamp start;
  std::optional<Timestamp> end;
  std::string message;
  static void fields(wire::Fields<SecondaryStatusTransition>& f) {
    f("Status", &SecondaryStatusTransition::status);
    f("StartTime", &SecondaryStatusTransition::start);
    f("EndTime", &SecondaryStatusTransition::end);
    f("StatusMessage", &SecondaryStatusTransition::message);
  }
};
struct MetricData {
  std::string name;
  double value = 0;
  Timestamp time;
  static void fields(wire::Fields<MetricData>& f) {
    f("MetricName", &MetricData::name);
    f("Value", &MetricData::value);
    f("Timestamp", &MetricData::time);
  }
};
struct DescribeTrainingJobResponse {
  std::string arn, status, secondary;
  ModelArtifacts artifacts;
  OptText failure;
  ResourceConfig resources;
  StoppingCondition stopping;
  Timestamp created, modified;
  std::optional<Timestamp> start, end;
  std::vector<SecondaryStatusTransition> transitions;
  std::optional<std::vector<MetricData>> metrics;
  std::optional<int32_t> seconds, billable;
  std::string name, role;
  std::map<std::string, std::string> hyperparameters;
  AlgorithmSpecification algorithm;
  std::vector<Channel> input;
  OutputDataConfig output;
  bool isolation = true, encryption = false, spot = false;
  static void fields(wire::Fields<DescribeTrainingJobResponse>& f) {
    using R = DescribeTrainingJobResponse;
    f("TrainingJobName", &R::name);
    f("TrainingJobArn", &R::arn);
    f("ModelArtifacts", &R::artifacts);
    f("TrainingJobStatus", &R::status);
    f("SecondaryStatus", &R::secondary);
    f("FailureReason", &R::failure);
    f("HyperParameters", &R::hyperparameters);
    f("AlgorithmSpecification", &R::algorithm);
    f("RoleArn", &R::role);
    f("InputDataConfig", &R::input);
    f("OutputDataConfig", &R::output);
    f("ResourceConfig", &R::resources);
    f("StoppingCondition", &R::stopping);
    f("CreationTime", &R::created);
    f("TrainingStartTime", &R::start);
    f("TrainingEndTime", &R::end);
    f("LastModifiedTime", &R::modified);
    f("SecondaryStatusTransitions", &R::transitions);
    f("FinalMetricDataList", &R::metrics);
    f("EnableNetworkIsolation", &R::isolation);
    f("EnableInterContainerTrafficEncryption", &R::encryption);
    f("EnableManagedSpotTraining", &R::spot);
    f("TrainingTimeInSeconds", &R::seconds);
    f("BillableTimeInSeconds", &R::billable);
  }
};

struct ListTrainingJobsRequest {
  OptText token, name, status, sort_by, order;
  std::optional<int32_t> most;
  std::optional<Timestamp> after, before, modified_after, modified_before;
  static void fields(wire::Fields<ListTrainingJobsRequest>& f) {
    using R = ListTrainingJobsRequest;
    f("NextToken", &R::token).length(0, 8192);
    f("MaxResults", &R::most).range(1, 100);
    f("CreationTimeAfter", &R::after);
    f("CreationTimeBefore", &R::before);
    f("LastModifiedTimeAfter", &R::modified_after);
    f("LastModifiedTimeBefore", &R::modified_before);
    f("NameContains", &R::name).length(0, 63);
    f("StatusEquals", &R::status).one_of({"InProgress", "Completed", "Failed", "Stopping", "Stopped", "Deleting"});
    f("SortBy", &R::sort_by).one_of({"Name", "CreationTime", "Status"});
    f("SortOrder", &R::order).one_of({"Ascending", "Descending"});
    f.refused("WarmPoolStatusEquals", "warm pools are not offered");
    f.refused("TrainingPlanArnEquals", "training plans are not offered");
  }
};
struct TrainingJobSummary {
  std::string name, arn, status, secondary;
  Timestamp created, modified;
  std::optional<Timestamp> end;
  static void fields(wire::Fields<TrainingJobSummary>& f) {
    f("TrainingJobName", &TrainingJobSummary::name);
    f("TrainingJobArn", &TrainingJobSummary::arn);
    f("CreationTime", &TrainingJobSummary::created);
    f("TrainingEndTime", &TrainingJobSummary::end);
    f("LastModifiedTime", &TrainingJobSummary::modified);
    f("TrainingJobStatus", &TrainingJobSummary::status);
    f("SecondaryStatus", &TrainingJobSummary::secondary);
  }
};
struct ListTrainingJobsResponse {
  std::vector<TrainingJobSummary> jobs;
  OptText token;
  static void fields(wire::Fields<ListTrainingJobsResponse>& f) {
    f("TrainingJobSummaries", &ListTrainingJobsResponse::jobs);
    f("NextToken", &ListTrainingJobsResponse::token);
  }
};

}  // namespace hf::api::sagemaker_api
