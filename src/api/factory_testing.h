// The services' tables through the gate, over a real fleet whose workers are the test program itself
// (fleet/test_worker.h speaks the real protocol), a real store and real files; the ledger is the fake of testing.h.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <thread>

#include "api/testing.h"
#include "fleet/deployments.h"
#include "fleet/fleet.h"
#include "fleet/jobs.h"
#include "store/objects.h"
#include "wire/eventstream.h"
#include "wire/json.h"

namespace hf::api::testing {

namespace json = boost::json;

inline constexpr const char* kAccount = "111122223333";
inline constexpr const char* kRole = "arn:aws:iam::111122223333:role/train";

class Factory : public ::testing::Test {
 protected:
  Factory() {
    folder_ = ::testing::TempDir() + "factory-" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    (void)os::real_fs().remove_tree(folder_);
    check(os::real_fs().make_dirs(folder_).ok(), "a folder for the test");
    objects_ =
        std::move(*store::Objects::open(memory_.fs, memory_.clock, memory_.random, *memory_.db, "/state/objects"));
    models_ = std::move(*fleet::Models::open(os::real_fs(), os::real_random(), folder_ + "/models"));
    fleet_ = std::move(*fleet::Fleet::start(os::real_clock(), *models_, {}));
    open_jobs();
    memory_.objects = objects_.get();
    memory_.models = models_.get();
    memory_.fleet = fleet_.get();
    memory_.jobs = jobs_.get();
    gate_ = std::make_unique<Gate>(memory_.site(), all_services());
    for (const char* bucket : {"data", "out"})
      check(memory_.db->write([&](store::Txn& txn) {
                        return objects_->create_bucket(txn, {bucket, kAccount, 1});
                      })
                .ok(),
            "a bucket");
    put("tickets/train.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
  }
  ~Factory() override {
    jobs_.reset();
    fleet_.reset();
    (void)os::real_fs().remove_tree(folder_);
  }

  void open_jobs() {
    fleet::JobsOptions options;
    options.scratch = folder_ + "/jobs";
    options.code_version = "test-version";
    jobs_ = std::move(*fleet::Jobs::open(
        {os::real_fs(), memory_.clock, memory_.random, *memory_.db, *objects_, memory_.ledger, *fleet_, *models_},
        options));
  }
  void put(const std::string& key, const std::string& bytes) {
    auto upload = std::move(*objects_->upload());
    check(upload->write(bytes).ok() && upload->seal().ok(), "an upload");
    store::ObjectInfo info;
    info.bucket = "data";
    info.key = key;
    info.size = bytes.size();
    info.etag = "e";
    check(memory_.db->write([&](store::Txn& txn) { return objects_->commit(txn, *upload, info); }).ok(), "an object");
  }

  std::shared_ptr<MemoryExchange> send(const std::string& method, const std::string& path, const std::string& body,
                                       const std::string& service, const std::string& key = "admin") {
    Request r;
    r.method = method;
    r.path = path;
    r.body = body;
    if (!body.empty()) r.headers = {{"content-type", "application/json"}};
    memory_.sign(r, service, key == "admin" ? "AKIAADMIN" : "AKIAPOOR", "secret-" + key);
    auto e = memory_.send(*gate_, r);
    while (!e->finished) std::this_thread::yield();  // a stream ends on the fleet's threads
    return e;
  }
  std::shared_ptr<MemoryExchange> sagemaker_call(const std::string& operation, const std::string& body,
                                                 const std::string& key = "admin") {
    Request r;
    r.method = "POST";
    r.body = body;
    r.headers = {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "SageMaker." + operation}};
    memory_.sign(r, "sagemaker", key == "admin" ? "AKIAADMIN" : "AKIAPOOR", "secret-" + key);
    return memory_.send(*gate_, r);
  }
  // What the account's other user may do from now on.
  void rights_of_poor(const std::string& statements) {
    auto& found = memory_.keys.access["AKIAPOOR"];
    found.identity.account = kAccount;
    found.identity.policies = {
        *security::parse_policy(R"({"Version":"2012-10-17","Statement":[)" + statements + "]}", "p")};
  }
  json::object sm(const std::string& operation, const std::string& body) {
    auto e = sagemaker_call(operation, body);
    EXPECT_EQ(e->status, 200) << operation << ": " << e->body;
    return object(e->body);
  }
  static json::object object(const std::string& body) {
    auto v = wire::parse_json(body);
    return v.ok() && v->is_object() ? v->get_object() : json::object();
  }
  static std::string text(const json::object& o, const char* member) {
    const json::value* v = o.if_contains(member);
    return v && v->is_string() ? std::string(v->get_string()) : "";
  }
  std::string training_job(const std::string& name, const std::string& what, const std::string& more = "") {
    return R"({"TrainingJobName":")" + name + R"(","RoleArn":")" + kRole +
           R"(","AlgorithmSpecification":{"AlgorithmName":"holdfast-decoder","TrainingInputMode":"File"},)"
           R"("HyperParameters":{"do":")" +
           what +
           R"(","seed":"18446744073709551615"},"InputDataConfig":[{"ChannelName":"train",)"
           R"("DataSource":{"S3DataSource":{"S3DataType":"S3Prefix","S3Uri":"s3://data/tickets/"}}}],)"
           R"("OutputDataConfig":{"S3OutputPath":"s3://out/models/"},"ResourceConfig":{"InstanceType":"holdfast.local",)"
           R"("InstanceCount":1,"VolumeSizeInGB":1},"StoppingCondition":{"MaxRuntimeInSeconds":60})" +
           more + "}";
  }
  json::object job_until(const std::string& name, const std::function<bool(const std::string&)>& enough) {
    for (;;) {
      json::object job = sm("DescribeTrainingJob", R"({"TrainingJobName":")" + name + R"("})");
      if (enough(text(job, "TrainingJobStatus") + "/" + text(job, "SecondaryStatus"))) return job;
      std::this_thread::yield();
    }
  }
  json::object job_over(const std::string& name) {
    return job_until(name, [](const std::string& s) {
      return s.starts_with("Completed") || s.starts_with("Failed") || s.starts_with("Stopped");
    });
  }
  void train(const std::string& name) {
    sm("CreateTrainingJob", training_job(name, "learn"));
    ASSERT_EQ(text(job_over(name), "TrainingJobStatus"), "Completed");
  }
  void endpoint(const std::string& name) {
    sm("CreateModel", R"({"ModelName":")" + name + R"(","PrimaryContainer":{"ModelDataUrl":"s3://out/models/)" + name +
                          R"(/output/model.tar.gz"}})");
    sm("CreateEndpointConfig", R"({"EndpointConfigName":")" + name +
                                   R"(","ProductionVariants":[{"VariantName":"all","ModelName":")" + name + R"("}]})");
    sm("CreateEndpoint", R"({"EndpointName":")" + name + R"(","EndpointConfigName":")" + name + R"("})");
    while (text(sm("DescribeEndpoint", R"({"EndpointName":")" + name + R"("})"), "EndpointStatus") == "Creating")
      std::this_thread::yield();
  }
  std::vector<wire::EventFrame> frames(const MemoryExchange& e) {
    wire::EventDecoder decoder;
    std::vector<wire::EventFrame> out;
    EXPECT_TRUE(decoder.feed(e.body).ok());
    for (;;) {
      auto frame = decoder.next();
      EXPECT_TRUE(frame.ok());
      if (!frame.ok() || !*frame) return out;
      out.push_back(std::move(**frame));
    }
  }
  std::optional<store::Record> record(const char* kind, const std::string& name) {
    std::optional<store::Record> found;
    (void)memory_.db->read([&](store::Txn& txn) -> Status {
      found = TRY(store::get_record(txn, kind, kAccount, name));
      return {};
    });
    return found;
  }

  std::string folder_;
  MemorySite memory_;
  std::unique_ptr<store::Objects> objects_;
  std::unique_ptr<fleet::Models> models_;
  std::unique_ptr<fleet::Fleet> fleet_;
  std::unique_ptr<fleet::Jobs> jobs_;
  std::unique_ptr<Gate> gate_;
};

}  // namespace hf::api::testing
