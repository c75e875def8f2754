// If the ledger cannot be written, the act does not happen: each kind of act of each service, with a ledger that takes
// nothing while all else of the database can be written. (Our own API's: holdfast/holdfast_test; doors:
// fleet/doors_test.)
#include <set>

#include "api/factory_testing.h"
#include "base/bytes.h"
#include "crypto/crypto.h"

namespace hf::api {
namespace {

using testing::Factory;
using testing::MemoryExchange;
using testing::Request;

std::string md5_of(const std::string& bytes) {
  crypto::Hasher hasher(crypto::Hash::md5);
  hasher.update(bytes);
  return hasher.finish();
}

class Unwritable : public Factory {
 protected:
  struct Act {
    std::string name, answer;  // answer: what must not be in the body
    std::function<std::shared_ptr<MemoryExchange>()> send;
  };

  std::shared_ptr<MemoryExchange> s3(const std::string& method, const std::string& path, const std::string& query = "",
                                     const std::string& body = "") {
    Request r;
    r.method = method;
    r.path = path;
    r.query = query;
    r.body = body;
    if (query == "delete=") r.headers = {{"content-md5", base64(md5_of(body))}};
    memory_.sign(r, "s3", "AKIAADMIN", "secret-admin");
    auto e = memory_.send(*gate_, r);
    while (!e->finished) std::this_thread::yield();
    return e;
  }
  Act bucket(const std::string& name, const std::string& method, const std::string& path, const std::string& query = "",
             const std::string& body = "") {
    return {name, "", [=, this] { return s3(method, path, query, body); }};
  }
  Act sage(const std::string& name, const std::string& body) {
    return {name, "", [=, this] { return sagemaker_call(name, body); }};
  }
  Act ask(const std::string& name, const std::string& path, const std::string& body,
          const std::string& service = "bedrock") {
    return {name, "secret words", [=, this] { return send("POST", path, body, service); }};
  }

  Act bearer(const std::string& name, const std::string& body) {
    return {name, "secret words", [=, this] {
              Request r;
              r.method = "POST";
              r.path = "/v1/chat/completions";
              r.body = body;
              r.headers = {{"content-type", "application/json"}, {"authorization", "Bearer hf-admin"}};
              auto e = memory_.send(*gate_, r);
              while (!e->finished) std::this_thread::yield();
              return e;
            }};
  }

  // What is there to be acted upon.
  void prepare() {
    train("m");
    endpoint("m");
    for (const char* bucket_name : {"empty"}) ASSERT_EQ(s3("PUT", "/" + std::string(bucket_name))->status, 200);
    sm("CreateModelPackageGroup", R"({"ModelPackageGroupName":"g"})");
    sm("CreateModel",
       R"({"ModelName":"spare","PrimaryContainer":{"ModelDataUrl":"s3://out/models/m/output/model.tar.gz"}})");
    sm("CreateEndpointConfig",
       R"({"EndpointConfigName":"spare","ProductionVariants":[{"VariantName":"all","ModelName":"m"}]})");
    arn_ = text(object(send("GET", "/custom-models/m", "", "bedrock")->body), "modelArn");
    auto deployed = send("POST", "/model-customization/custom-model-deployments",
                         R"({"modelDeploymentName":"d","modelArn":")" + arn_ + "\"}", "bedrock");
    ASSERT_EQ(deployed->status, 202) << deployed->body;
    deployment_ = percent_encode(text(object(deployed->body), "customModelDeploymentArn"));
    std::string status;
    while (status != "Active")
      status =
          text(object(send("GET", "/model-customization/custom-model-deployments/d", "", "bedrock")->body), "status");
    sm("CreateTrainingJob", training_job("waits", "wait"));
    (void)job_until("waits", [](const std::string& s) { return s.ends_with("/Training"); });
  }

  std::vector<Act> acts() {
    const std::string say = R"({"messages":[{"role":"user","content":[{"text":"say secret words"}]}]})";
    const std::string chat = R"({"model":"m","messages":[{"role":"user","content":"say secret words"}])";
    const std::string raw = R"({"prompt":"say secret words"})";
    const std::string artifact = R"({"ModelDataUrl":"s3://out/models/m/output/model.tar.gz"})";
    std::vector<Act> out = {
        bucket("CreateBucket", "PUT", "/new"),
        bucket("PutObject", "PUT", "/data/new", "", "bytes"),
        bucket("PutObject over one", "PUT", "/data/tickets/train.jsonl", "", "bytes"),
        bucket("DeleteObject", "DELETE", "/data/tickets/train.jsonl"),
        bucket("DeleteObjects", "POST", "/data",
               "delete=", "<Delete><Object><Key>tickets/train.jsonl</Key></Object></Delete>"),
        bucket("DeleteBucket", "DELETE", "/empty"),
        {"GetObject", "prompt", [this] { return s3("GET", "/data/tickets/train.jsonl"); }},
        sage("CreateTrainingJob", training_job("new", "learn")),
        sage("StopTrainingJob", R"({"TrainingJobName":"waits"})"),
        sage("CreateModel", R"({"ModelName":"new","PrimaryContainer":)" + artifact + "}"),
        sage("DeleteModel", R"({"ModelName":"spare"})"),
        sage("CreateEndpointConfig",
             R"({"EndpointConfigName":"new","ProductionVariants":[{"VariantName":"all","ModelName":"m"}]})"),
        sage("DeleteEndpointConfig", R"({"EndpointConfigName":"spare"})"),
        sage("CreateEndpoint", R"({"EndpointName":"new","EndpointConfigName":"m"})"),
        sage("DeleteEndpoint", R"({"EndpointName":"m"})"),
        sage("CreateModelPackageGroup", R"({"ModelPackageGroupName":"new"})"),
        sage(
            "CreateModelPackage",
            R"({"ModelPackageGroupName":"g","InferenceSpecification":{"Containers":[)" + artifact +
                R"(],"SupportedContentTypes":["application/json"],"SupportedResponseMIMETypes":["application/json"]}})"),
        {"CreateCustomModelDeployment", "",
         [this] {
           return send("POST", "/model-customization/custom-model-deployments",
                       R"({"modelDeploymentName":"new","modelArn":")" + arn_ + "\"}", "bedrock");
         }},
        ask("Converse", "/model/" + deployment_ + "/converse", say),
        ask("ConverseStream", "/model/" + deployment_ + "/converse-stream", say),
        ask("InvokeModel", "/model/" + deployment_ + "/invoke", raw),
        ask("InvokeModelWithResponseStream", "/model/" + deployment_ + "/invoke-with-response-stream", raw),
        ask("InvokeEndpoint", "/endpoints/m/invocations", R"({"inputs":"say secret words"})", "sagemaker"),
        ask("InvokeEndpointWithResponseStream", "/endpoints/m/invocations-response-stream",
            R"({"inputs":"say secret words"})", "sagemaker"),
        bearer("CreateChatCompletion", chat + "}"),
        bearer("CreateChatCompletion, streamed", chat + R"(,"stream":true})"),
        {"DeleteCustomModelDeployment", "",
         [this] { return send("DELETE", "/model-customization/custom-model-deployments/d", "", "bedrock"); }},
    };
    return out;
  }

  std::string arn_, deployment_;
};

TEST_F(Unwritable, NothingHappensWithoutItsEntry) {
  prepare();
  const std::string before = testing::everything(*memory_.db);
  memory_.ledger.broken = true;
  for (const Act& act : acts()) {
    const auto e = act.send();
    EXPECT_GE(e->status, 500) << act.name << ": " << e->status << " " << e->body;
    EXPECT_NE(e->body.find("ledger"), std::string::npos) << act.name << ": " << e->body;
    if (!act.answer.empty()) {
      EXPECT_EQ(e->body.find(act.answer), std::string::npos) << act.name << ": " << e->body;
    }
    EXPECT_EQ(testing::everything(*memory_.db), before) << act.name;
  }
  // A refusal stands, whether or not it can be told.
  const auto refused = send("POST", "/model/" + deployment_ + "/converse", "{}", "bedrock", "poor");
  EXPECT_GE(refused->status, 400);
  EXPECT_EQ(testing::everything(*memory_.db), before);
  // And all of them work once it can be written: what was refused before was refused for that alone.
  memory_.ledger.broken = false;
  for (const Act& act : acts()) {
    const auto e = act.send();
    EXPECT_LT(e->status, 300) << act.name << ": " << e->status << " " << e->body;
    if (act.name == "DeleteObject" || act.name == "DeleteObjects")
      put("tickets/train.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
    if (act.name == "DeleteEndpoint") {
      sm("CreateEndpoint", R"({"EndpointName":"m","EndpointConfigName":"m"})");
      while (text(sm("DescribeEndpoint", R"({"EndpointName":"m"})"), "EndpointStatus") == "Creating")
        std::this_thread::yield();
    }
  }
}

// Each operation that changes something or lets something out is among the acts, here or in the tests that are named
// above; one that is new has to be added.
TEST_F(Unwritable, EveryOperationIsAmongTheActs) {
  std::set<std::string> tried;
  for (const Act& act : acts()) tried.insert(act.name);
  // Tried in holdfast/holdfast_test, holdfast/log_in_test, sts/web_identity_test, quotas_test, s3/policy_test,
  // fleet/doors_test, or by their like: HeadObject's and a part's acts are GetObject's and PutObject's.
  for (const char* name : {"CreateKey",
                           "LogIn",
                           "SetOidcKeys",
                           "SetQuota",
                           "PutBucketPolicy",
                           "DeleteBucketPolicy",
                           "DeleteKey",
                           "CreateAccount",
                           "ImportModel",
                           "GetModelFile",
                           "GetLedgerEntries",
                           "ExportEvidence",
                           "GetEvidenceFile",
                           "Probe",
                           "TryJob",
                           "AllowEgressDoor",
                           "RemoveEgressDoor",
                           "ReplayReceipt",
                           "HeadObject",
                           "CopyObject",
                           "CreateMultipartUpload",
                           "UploadPart",
                           "CompleteMultipartUpload",
                           "AbortMultipartUpload",
                           "DeleteCustomModel",
                           "CountTokens"})
    tried.insert(name);
  for (const Service& service : all_services())
    for (const Operation& o : service.operations) {
      if (service.name == "iam" || service.name == "sts" || service.name == "cloudtrail" || service.name == "kms")
        continue;  // their own tests ask the same
      if (o.input && o.effect != Effect::read) {
        EXPECT_TRUE(tried.contains(o.name)) << service.name << " " << o.name;
      }
    }
}

}  // namespace
}  // namespace hf::api
