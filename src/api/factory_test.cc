// From data in a bucket to an answer (factory_testing.h); this very program is the worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <zlib.h>

#include <boost/json.hpp>
#include <cstring>
#include <thread>

#include "api/factory_testing.h"
#include "fleet/deployments.h"
#include "fleet/jobs.h"
#include "fleet/test_worker.h"
#include "security/receipt.h"
#include "store/objects.h"
#include "wire/eventstream.h"
#include "wire/json.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "worker") == 0) return hf::fleet::test_worker(argc, argv);
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::Factory;
using ::testing::HasSubstr;
using testing::kAccount;
using testing::kRole;
using testing::MemoryExchange;
using testing::Request;

std::string gunzip(const std::string& bytes) {
  z_stream z{};
  EXPECT_EQ(inflateInit2(&z, 15 + 16), Z_OK);
  std::string out(1 << 20, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  inflateEnd(&z);
  return out;
}

TEST_F(Factory, TrainsUploadsRegistersDeploysAndAnswers) {
  const json::object made = sm("CreateTrainingJob", training_job("triage", "learn"));
  EXPECT_EQ(text(made, "TrainingJobArn"), "arn:aws:sagemaker:site-1:111122223333:training-job/triage");
  const json::object job = job_over("triage");
  ASSERT_EQ(text(job, "TrainingJobStatus"), "Completed") << json::serialize(job);
  EXPECT_EQ(text(job.at("ModelArtifacts").as_object(), "S3ModelArtifacts"),
            "s3://out/models/triage/output/model.tar.gz");
  std::vector<std::string> states;
  for (const auto& t : job.at("SecondaryStatusTransitions").as_array()) states.push_back(text(t.as_object(), "Status"));
  EXPECT_THAT(states, ::testing::ElementsAre("Starting", "Downloading", "Training", "Uploading", "Completed"));
  EXPECT_GE(job.at("FinalMetricDataList").as_array().size(), 5u);
  EXPECT_EQ(text(job.at("HyperParameters").as_object(), "seed"), "18446744073709551615");
  EXPECT_EQ(jobs_->progress(kAccount, "triage")->points.size(), 3u);

  auto reader = objects_->get("out", "models/triage/output/model.tar.gz");
  ASSERT_TRUE(reader.ok());
  std::string archive((*reader)->info().size, '\0');
  ASSERT_EQ(*(*reader)->read_at(0, archive), archive.size());
  const std::string tar = gunzip(archive);
  EXPECT_EQ(tar.size() % 512, 0u);
  EXPECT_STREQ(tar.c_str(), "config.json");
  EXPECT_EQ(tar.substr(257, 5), "ustar");
  EXPECT_EQ(tar.substr(512, 7), "trained");

  auto custom = send("GET", "/custom-models/triage", "", "bedrock");
  ASSERT_EQ(custom->status, 200) << custom->body;
  EXPECT_EQ(text(object(custom->body), "jobName"), "triage");
  const std::string arn = text(object(custom->body), "modelArn");

  endpoint("triage");
  EXPECT_EQ(text(sm("DescribeEndpoint", R"({"EndpointName":"triage"})"), "EndpointStatus"), "InService");
  auto answer = send("POST", "/endpoints/triage/invocations", R"({"inputs":"say hello there"})", "sagemaker");
  ASSERT_EQ(answer->status, 200) << answer->body;
  EXPECT_EQ(answer->body, R"([{"generated_text":"hello there"}])");
  EXPECT_EQ(answer->headers.get("x-amzn-invoked-production-variant"), "all");
  EXPECT_TRUE(record("receipt", std::string(answer->headers.get("x-holdfast-receipt"))));

  auto deployed =
      send("POST", "/model-customization/custom-model-deployments",
           R"({"modelDeploymentName":"d1","modelArn":")" + arn + R"(","clientRequestToken":"t1"})", "bedrock");
  ASSERT_EQ(deployed->status, 202) << deployed->body;
  auto again = send("POST", "/model-customization/custom-model-deployments",
                    R"({"modelDeploymentName":"d1","modelArn":")" + arn + R"(","clientRequestToken":"t1"})", "bedrock");
  EXPECT_EQ(again->body, deployed->body);
  EXPECT_EQ(send("POST", "/model-customization/custom-model-deployments",
                 R"({"modelDeploymentName":"d1","modelArn":")" + arn + R"(","clientRequestToken":"t2"})", "bedrock")
                ->status,
            400);
  std::string status;
  while (status != "Active")
    status =
        text(object(send("GET", "/model-customization/custom-model-deployments/d1", "", "bedrock")->body), "status");
  EXPECT_EQ(send("DELETE", "/custom-models/triage", "", "bedrock")->status, 400);  // deployed
  const std::string deployment = percent_encode(text(object(deployed->body), "customModelDeploymentArn"));
  auto converse = send("POST", "/model/" + deployment + "/converse",
                       R"({"messages":[{"role":"user","content":[{"text":"say one two"}]}]})", "bedrock");
  ASSERT_EQ(converse->status, 200) << converse->body;
  EXPECT_THAT(converse->body, HasSubstr(R"("content":[{"text":"one two"}])"));
  EXPECT_EQ(send("DELETE", "/model-customization/custom-model-deployments/d1", "", "bedrock")->status, 200);
  EXPECT_EQ(send("POST", "/model/" + deployment + "/converse",
                 R"({"messages":[{"role":"user","content":[{"text":"say one two"}]}]})", "bedrock")
                ->status,
            404);
}

TEST_F(Factory, ConverseHonoursOrRefusesEachField) {
  train("m");
  auto converse = [&](const std::string& more, const std::string& content = R"({"text":"say hi"})") {
    return send("POST", "/model/m/converse",
                R"({"messages":[{"role":"user","content":[)" + content + "]}]" + more + "}", "bedrock");
  };
  auto good = converse(
      R"(,"system":[{"text":"be brief"}],"inferenceConfig":{"maxTokens":9,"temperature":0.5,"topP":0.5,)"
      R"("stopSequences":["x"]},"additionalModelRequestFields":{"top_k":3,"min_p":0.1,"seed":7,"prefill":"{"},)"
      R"("performanceConfig":{"latency":"standard"},"serviceTier":{"type":"default"})");
  ASSERT_EQ(good->status, 200) << good->body;
  const json::object o = object(good->body);
  EXPECT_EQ(o.at("usage").at("totalTokens"), 4);
  EXPECT_EQ(text(o, "stopReason"), "end_turn");
  EXPECT_TRUE(o.at("metrics").as_object().contains("latencyMs"));
  const std::string id(good->headers.get("x-holdfast-receipt"));
  auto stored = record("receipt", id);
  ASSERT_TRUE(stored);
  auto receipt = security::receipt_from_json(stored->body);
  ASSERT_TRUE(receipt.ok());
  EXPECT_TRUE(security::verify_receipt(*receipt, memory_.key.public_raw()));
  EXPECT_EQ(receipt->sampler, R"({"max_tokens":9,"min_p":0.1,"seed":7,"stop_digests":[")" +
                                  crypto::sha256_hex(receipt->salt + "x") +
                                  R"("],"temperature":0.5,"top_k":3,"top_p":0.5})");  // never a word of the caller's
  EXPECT_EQ(receipt->model, "m");
  EXPECT_EQ(receipt->salt.size(), 16u);
  EXPECT_THAT(memory_.ledger.all[receipt->ledger_index].detail, HasSubstr(id));
  EXPECT_EQ(memory_.ledger.all[receipt->ledger_index].detail.find("hi"), std::string::npos);

  for (const char* bad :
       {R"(,"toolConfig":{"tools":[{"x":1}]})", R"(,"guardrailConfig":{"guardrailIdentifier":"a"})",
        R"(,"outputConfig":{"effort":"x"})", R"(,"performanceConfig":{"latency":"optimized"})",
        R"(,"serviceTier":{"type":"flex"})", R"(,"wrong":1)", R"(,"inferenceConfig":{"temperature":2})",
        R"(,"inferenceConfig":{"maxTokens":0})", R"(,"inferenceConfig":{"maxTokens":"x"})",
        R"(,"additionalModelRequestFields":{"other":1})", R"(,"additionalModelRequestFields":{"top_k":-1})",
        R"(,"inferenceConfig":{"stopSequences":[""]})", R"(,"additionalModelResponseFieldPaths":["stop_sequence"])",
        R"(,"additionalModelResponseFieldPaths":[""])"}) {
    auto e = converse(bad);
    EXPECT_EQ(e->status, 400) << bad << e->body;
    EXPECT_THAT(std::string(e->headers.get("x-amzn-errortype")), HasSubstr("ValidationException")) << bad;
  }
  auto image = converse("", R"({"image":{"format":"png","source":{"bytes":"AAAA"}}})");
  EXPECT_EQ(image->status, 400);
  EXPECT_THAT(image->body, HasSubstr("image"));
  EXPECT_EQ(
      send("POST", "/model/m/converse", R"({"messages":[{"role":"assistant","content":[{"text":"a"}]}]})", "bedrock")
          ->status,
      400);
  EXPECT_EQ(send("POST", "/model/m/converse", "{}", "bedrock")->status, 400);
  EXPECT_EQ(
      send("POST", "/model/nobody/converse", R"({"messages":[{"role":"user","content":[{"text":"a"}]}]})", "bedrock")
          ->status,
      404);
  EXPECT_EQ(
      send("POST", "/model/m/converse", R"({"messages":[{"role":"user","content":[{"text":"a"}]}]})", "bedrock", "poor")
          ->status,
      403);
}

TEST_F(Factory, StreamsAndAWorkerKilledMidStreamIsACleanErrorFrame) {
  train("m");
  auto stream = [&](const std::string& prompt) {
    return send("POST", "/model/m/converse-stream",
                R"({"messages":[{"role":"user","content":[{"text":")" + prompt + R"("}]}]})", "bedrock");
  };
  auto good = stream("say one two");
  ASSERT_EQ(good->status, 200);
  std::vector<std::string> types;
  for (const auto& f : frames(*good)) types.emplace_back(f.header(":event-type"));
  EXPECT_THAT(types, ::testing::ElementsAre("messageStart", "contentBlockDelta", "contentBlockDelta",
                                            "contentBlockStop", "messageStop", "metadata"));
  EXPECT_TRUE(record("receipt", std::string(good->headers.get("x-holdfast-receipt"))));

  auto dead = stream("die");
  ASSERT_EQ(dead->status, 200);
  const auto end = frames(*dead);
  ASSERT_EQ(end.size(), 3u);
  EXPECT_EQ(end.back().header(":message-type"), "exception");
  EXPECT_EQ(end.back().header(":exception-type"), "modelStreamErrorException");
  EXPECT_THAT(end.back().payload, HasSubstr("the worker ended"));
  auto receipt = record("receipt", std::string(dead->headers.get("x-holdfast-receipt")));
  ASSERT_TRUE(receipt);
  EXPECT_THAT(receipt->body, HasSubstr(R"("stop_reason":"error")"));

  auto refused = stream("refuse");  // before the first token: a plain error
  EXPECT_EQ(refused->status, 400);
  EXPECT_EQ(stream("say again")->status, 200);

  auto invoke =
      send("POST", "/model/m/invoke-with-response-stream", R"({"prompt":"say a b","max_gen_len":5})", "bedrock");
  ASSERT_EQ(invoke->status, 200) << invoke->body;
  const auto chunks = frames(*invoke);
  ASSERT_EQ(chunks.size(), 3u);
  const std::string last = *unbase64(text(object(chunks.back().payload), "bytes"));
  EXPECT_THAT(last, HasSubstr("amazon-bedrock-invocationMetrics"));
  EXPECT_THAT(last, HasSubstr(R"("generation_token_count":2)"));
}

// Whole answers: Converse, InvokeModel, InvokeEndpoint and chat/completions alike.
TEST_F(Factory, AClientThatGoesAwayCancelsItsAnswerAndPaysForWhatWasComputed) {
  train("m");
  endpoint("m");
  struct Case {
    const char *path, *body, *service;
  };
  const Case cases[] = {
      {"/model/m/converse", R"({"messages":[{"role":"user","content":[{"text":"hang"}]}]})", "bedrock"},
      {"/model/m/invoke", R"({"prompt":"hang","max_gen_len":5})", "bedrock"},
      {"/endpoints/m/invocations", R"({"inputs":"hang"})", "sagemaker"},
      {"/v1/chat/completions", R"({"model":"m","messages":[{"role":"user","content":"hang"}]})", ""},
  };
  int64_t asked = 0;
  int64_t tokens = 0;
  for (const Case& c : cases) {
    Request r;
    r.method = "POST";
    r.path = c.path;
    r.body = c.body;
    r.headers = {{"content-type", "application/json"}};
    if (*c.service) {
      memory_.sign(r, c.service);
    } else {
      r.headers.emplace_back("authorization", "Bearer hf-admin");
    }
    auto exchange = memory_.exchange(r);
    std::thread handler([&] { gate_->handle(exchange); });
    while (fleet_->status().counters.requests <= asked) std::this_thread::yield();
    ++asked;
    ASSERT_TRUE(exchange->room) << c.path << ": nobody would hear of the client's end";
    exchange->gone = true;
    exchange->room();
    handler.join();  // "hang" ends by a cancel alone
    EXPECT_EQ(exchange->status, 503) << exchange->body;
    const std::string& detail = memory_.ledger.all.back().detail;
    EXPECT_THAT(detail, HasSubstr(R"("stop_reason":"cancelled")")) << c.path;
    EXPECT_THAT(detail, HasSubstr(R"("output_tokens":1)")) << c.path;
    const std::string receipt = text(object(detail), "receipt");
    ASSERT_TRUE(record("receipt", receipt)) << c.path;
    EXPECT_THAT(record("receipt", receipt)->body, HasSubstr(R"("stop_reason":"cancelled")"));
    tokens += 1;
  }
  auto usage = [&] {
    std::string body;
    check(memory_.db
              ->read([&](store::Txn& txn) -> Status {
                for (const auto& row : TRY(store::list_records(txn, "usage", kAccount, "", 100))) body += row.body;
                return {};
              })
              .ok(),
          "read");
    return body;
  };
  EXPECT_THAT(usage(), HasSubstr(R"("output_tokens":)" + std::to_string(tokens)));
  EXPECT_THAT(usage(), HasSubstr(R"("errors":0)"));

  // Gone while the model was loaded or the request waited: nothing is computed at all.
  Request r;
  r.method = "POST";
  r.path = cases[0].path;
  r.body = cases[0].body;
  r.headers = {{"content-type", "application/json"}};
  memory_.sign(r, "bedrock");
  auto exchange = memory_.exchange(r);
  exchange->gone = true;
  gate_->handle(exchange);
  EXPECT_EQ(exchange->status, 503);
  EXPECT_EQ(fleet_->status().counters.requests, asked);
}

TEST_F(Factory, InvokeModelAndCountTokens) {
  train("m");
  auto llama =
      send("POST", "/model/m/invoke", R"({"prompt":"say x y","temperature":0,"top_p":0.9,"max_gen_len":5})", "bedrock");
  ASSERT_EQ(llama->status, 200) << llama->body;
  EXPECT_EQ(llama->body,
            R"({"generation":"x y","prompt_token_count":3,"generation_token_count":2,"stop_reason":"stop"})");
  EXPECT_EQ(llama->headers.get("x-amzn-bedrock-input-token-count"), "3");
  EXPECT_EQ(llama->headers.get("x-amzn-bedrock-output-token-count"), "2");
  EXPECT_EQ(llama->headers.get("content-type"), "application/json");
  auto messages =
      send("POST", "/model/m/invoke", R"({"messages":[{"role":"user","content":"say z"}],"max_tokens":5})", "bedrock");
  EXPECT_THAT(messages->body, HasSubstr(R"("text":"z")"));
  for (const char* bad :
       {R"({"messages":null})", R"({"messages":null,"prompt":"a"})", R"({"prompt":"a","images":[]})", R"({"prompt":1})",
        R"({})", R"([])", "not json", R"({"prompt":"a","temperature":"hot"})", R"({"messages":[]})"})
    EXPECT_EQ(send("POST", "/model/m/invoke", bad, "bedrock")->status, 400) << bad;
  auto count = send("POST", "/model/m/count-tokens",
                    R"({"input":{"converse":{"messages":[{"role":"user","content":[{"text":"a"}]}]}}})", "bedrock");
  EXPECT_EQ(count->body, R"({"inputTokens":42})");
  const std::string day = iso8601(memory_.clock.now()).substr(0, 10);
  auto usage = record("usage", day + "/arn:aws:iam::111122223333:user/admin/m");
  ASSERT_TRUE(usage);
  EXPECT_THAT(usage->body, HasSubstr(R"("requests":2)"));
  EXPECT_THAT(usage->body, HasSubstr(R"("output_tokens":3)"));
}

TEST_F(Factory, JobsThatFailStopAndWait) {
  sm("CreateTrainingJob", training_job("bad", "refuse"));
  const json::object failed = job_over("bad");
  EXPECT_EQ(text(failed, "TrainingJobStatus"), "Failed");
  EXPECT_EQ(text(failed, "FailureReason"), "s3://data/tickets/train.jsonl, line 7: expected a JSON object");
  sm("CreateTrainingJob", training_job("crash", "die"));
  EXPECT_THAT(text(job_over("crash"), "FailureReason"), HasSubstr("the worker ended"));

  sm("CreateTrainingJob", training_job("long", "wait"));
  job_until("long", [](const std::string& s) { return s == "InProgress/Training"; });
  sm("CreateTrainingJob", training_job("next", "learn"));
  EXPECT_EQ(text(sm("DescribeTrainingJob", R"({"TrainingJobName":"next"})"), "SecondaryStatus"), "Pending");
  sm("StopTrainingJob", R"({"TrainingJobName":"long"})");
  const json::object stopped = job_over("long");
  EXPECT_EQ(text(stopped, "TrainingJobStatus"), "Stopped");
  EXPECT_NE(text(stopped.at("ModelArtifacts").as_object(), "S3ModelArtifacts"), "");
  EXPECT_EQ(text(job_over("next"), "TrainingJobStatus"), "Completed");

  sm("CreateTrainingJob", training_job("slow", "wait"));
  job_until("slow", [](const std::string& s) { return s == "InProgress/Training"; });
  memory_.clock.advance(61'000'000);
  EXPECT_EQ(text(job_over("slow"), "SecondaryStatus"), "MaxRuntimeExceeded");

  sm("CreateTrainingJob", training_job("cut", "wait"));
  job_until("cut", [](const std::string& s) { return s == "InProgress/Training"; });
  jobs_.reset();  // the site stops
  open_jobs();
  std::optional<fleet::TrainingJob> cut;
  (void)memory_.db->read([&](store::Txn& txn) -> Status {
    cut = TRY(jobs_->find(txn, kAccount, "cut"));
    return {};
  });
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->status(), "Failed");
  EXPECT_THAT(cut->failure_reason(), HasSubstr("restarted"));
}

TEST_F(Factory, SageMakerSaysNoByName) {
  auto refused = [&](const std::string& operation, const std::string& body, const std::string& what) {
    auto e = sagemaker_call(operation, body);
    EXPECT_EQ(e->status, 400) << operation << e->body;
    EXPECT_THAT(e->body, HasSubstr(what)) << operation;
  };
  refused("DescribeTrainingJob", R"({"TrainingJobName":"none"})", "ValidationException");
  refused("DescribeEndpoint", R"({"EndpointName":"none"})", "Could not find");
  refused("DeleteEndpoint", R"({"EndpointName":"none"})", "Could not find");
  refused("CreateTrainingJob", training_job("a", "learn", R"(,"VpcConfig":{"SecurityGroupIds":["x"],"Subnets":["y"]})"),
          "VpcConfig");
  refused("CreateTrainingJob", training_job("a", "learn", R"(,"Nonsense":1)"), "Nonsense");
  refused("CreateTrainingJob", "{}", "TrainingJobName");
  refused("CreateModel", R"({"ModelName":"x","PrimaryContainer":{"ModelDataUrl":"s3://data/tickets/train.jsonl"}})",
          "holdfast models import");
  refused("CreateEndpointConfig",
          R"({"EndpointConfigName":"c","ProductionVariants":[{"VariantName":"v","ModelName":"none"}]})",
          "Could not find model");
  train("m");
  refused("CreateTrainingJob", training_job("m", "learn"), "ResourceInUse");
  put("tickets/other", "x");
  const json::object page = sm("ListTrainingJobs", R"({"MaxResults":1,"SortBy":"Name","SortOrder":"Ascending"})");
  EXPECT_EQ(page.at("TrainingJobSummaries").as_array().size(), 1u);
  EXPECT_FALSE(page.contains("NextToken"));
  EXPECT_EQ(sagemaker_call("CreateNotebookInstance", "{}")->status, 501);
}

// A job reads as the site: what its creator may not read must not get into a model through it.
TEST_F(Factory, AJobReadsAndWritesOnlyWhatItsCreatorMay) {
  put("private/x.jsonl", "{}\n");
  const std::string job =
      R"({"Effect":"Allow","Action":"sagemaker:*","Resource":"*"},)"
      R"({"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::data/*","arn:aws:s3:::out/*"]},)"
      R"({"Effect":"Allow","Action":"iam:PassRole","Resource":"*"})";
  rights_of_poor(job + R"(,{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/private/*"})");
  auto create = [&](const std::string& name, const std::string& from) {
    std::string body = training_job(name, "learn");
    body.replace(body.find("s3://data/tickets/"), 18, from);
    return sagemaker_call("CreateTrainingJob", body, "poor");
  };
  for (const char* from : {"s3://data/", "s3://data", "s3://data/private/", "s3://data/priv"}) {
    auto e = create("j1", from);
    EXPECT_EQ(e->status, 403) << from << e->body;
    EXPECT_EQ(memory_.ledger.all.back().decision, "deny");
    EXPECT_EQ(memory_.ledger.all.back().action, "s3:GetObject");
  }
  EXPECT_EQ(create("j2", "s3://data/tickets/")->status, 200);
  rights_of_poor(job +
                 R"(,{"Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::out/models/j3/output/m*"})");
  EXPECT_EQ(create("j3", "s3://data/tickets/")->status, 403);
  EXPECT_EQ(create("j4", "s3://data/tickets/")->status, 200);
  (void)job_over("j2");
  (void)job_over("j4");
}

// A role is named by whom it may be passed by, and for that service.
TEST_F(Factory, ARoleIsPassedByRight) {
  auto rights = [&](const std::string& service) {
    rights_of_poor(R"({"Effect":"Allow","Action":["sagemaker:*","s3:*"],"Resource":"*"},)"
                   R"({"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::111122223333:role/train",)"
                   R"("Condition":{"StringEquals":{"iam:PassedToService":")" +
                   service + R"("}}})");
  };
  const std::string container = R"("PrimaryContainer":{"ModelDataUrl":"s3://out/models/none/output/model.tar.gz"})";
  const std::vector<std::pair<std::string, std::string>> acts = {
      {"CreateTrainingJob", training_job("j1", "learn")},
      {"CreateModel", R"({"ModelName":"m1","ExecutionRoleArn":")" + std::string(kRole) + "\"," + container + "}"},
      {"CreateEndpointConfig", R"({"EndpointConfigName":"c1","ExecutionRoleArn":")" + std::string(kRole) +
                                   R"(","ProductionVariants":[{"VariantName":"v","ModelName":"m1"}]})"}};
  rights("ec2.amazonaws.com");
  for (const auto& [operation, body] : acts) {
    auto e = sagemaker_call(operation, body, "poor");
    EXPECT_EQ(e->status, 403) << operation << e->body;
    EXPECT_EQ(memory_.ledger.all.back().action, "iam:PassRole") << operation;
    EXPECT_EQ(memory_.ledger.all.back().resource, kRole) << operation;
  }
  rights("sagemaker.amazonaws.com");
  for (const auto& [operation, body] : acts) {
    auto e = sagemaker_call(operation, body, "poor");
    EXPECT_EQ(e->status, operation == "CreateTrainingJob" ? 200 : 400) << operation << e->body;  // past the check
  }
  (void)job_over("j1");
}

// What is authorised is what is looked up: an ARN with a package's name inside of it is not that package.
TEST_F(Factory, APackageIsReachedByItsOwnArnOnly) {
  train("m");
  sm("CreateModelPackage", R"({"ModelPackageName":"secret","InferenceSpecification":{"Containers":[{"ModelDataUrl":)"
                           R"("s3://out/models/m/output/model.tar.gz"}]}})");
  rights_of_poor(R"({"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::bkt/*","arn:aws:sagemaker:*:public/*"]})");
  auto describe = [&](const std::string& name, const std::string& key) {
    return sagemaker_call("DescribeModelPackage", R"({"ModelPackageName":")" + name + R"("})", key);
  };
  EXPECT_EQ(describe("secret", "poor")->status, 403);
  const std::string account = std::string(":") + kAccount + ":";
  for (const std::string& name : {std::string("arn:aws:s3:::bkt/:model-package/secret"),
                                  "arn:aws:sagemaker:site-1" + account + "public/:model-package/secret"}) {
    auto e = describe(name, "poor");
    EXPECT_EQ(e->status, 400) << name << e->body;
    EXPECT_EQ(e->body.find("holdfast:model-digest"), std::string::npos) << name << e->body;
  }
  EXPECT_EQ(describe("arn:aws:sagemaker:site-1" + account + "model-package/secret", "admin")->status, 200);
  EXPECT_EQ(describe("arn:aws:sagemaker:site-1:999999999999:model-package/secret", "admin")->status, 400);
  EXPECT_EQ(describe("arn:aws:sagemaker:site-1:999999999999:model-package/secret", "poor")->status, 403);
}

TEST_F(Factory, PackagesHaveVersionsAndLineage) {
  train("m");
  sm("CreateModelPackageGroup", R"({"ModelPackageGroupName":"g"})");
  const std::string package =
      R"({"ModelPackageGroupName":"g","ModelApprovalStatus":"Approved","CustomerMetadataProperties":{"team":"desk"},)"
      R"("InferenceSpecification":{"Containers":[{"ModelDataUrl":"s3://out/models/m/output/model.tar.gz"}],)"
      R"("SupportedContentTypes":["application/json"],"SupportedResponseMIMETypes":["application/json"]},"ClientToken":")";
  const std::string first = text(sm("CreateModelPackage", package + "t1\"}"), "ModelPackageArn");
  EXPECT_EQ(first, "arn:aws:sagemaker:site-1:111122223333:model-package/g/1");
  EXPECT_EQ(text(sm("CreateModelPackage", package + "t1\"}"), "ModelPackageArn"), first);
  EXPECT_THAT(text(sm("CreateModelPackage", package + "t2\"}"), "ModelPackageArn"), ::testing::EndsWith("/g/2"));
  const json::object described = sm("DescribeModelPackage", R"({"ModelPackageName":")" + first + R"("})");
  EXPECT_EQ(described.at("ModelPackageVersion"), 1);
  EXPECT_EQ(text(described, "ModelApprovalStatus"), "Approved");
  const json::object& properties = described.at("CustomerMetadataProperties").as_object();
  EXPECT_EQ(text(properties, "team"), "desk");
  EXPECT_EQ(text(properties, "holdfast:data-digest"), crypto::sha256_hex("{\"prompt\":\"a\",\"completion\":\"b\"}\n"));
  EXPECT_EQ(text(properties, "holdfast:seed"), "18446744073709551615");
  EXPECT_EQ(text(properties, "holdfast:code-version"), "test-version");
  sm("CreateModel", R"({"ModelName":"from-package","PrimaryContainer":{"ModelPackageName":")" + first + R"("}})");
  EXPECT_EQ(text(sm("DescribeModel", R"({"ModelName":"from-package"})"), "ModelName"), "from-package");
}

}  // namespace
}  // namespace hf::api
