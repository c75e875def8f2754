// Quotas and showback through the services, over a real fleet.
#include "api/quotas.h"

#include <set>

#include "api/factory_testing.h"

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::Factory;
using testing::MemoryExchange;
using testing::Request;

class Quotas : public Factory {
 protected:
  void prepare() {
    train("m");
    endpoint("m");
    rights_of_poor(R"({"Effect":"Allow","Action":"sagemaker:InvokeEndpoint*","Resource":"*"})");
    memory_.keys.access["AKIAPOOR"].identity.arn = std::string("arn:aws:iam::") + testing::kAccount + ":user/poor";
    poor_ = memory_.keys.access["AKIAPOOR"].identity.arn;
  }
  std::shared_ptr<MemoryExchange> set(const std::string& body, const std::string& key = "admin") {
    return send("PUT", "/holdfast/v1/quotas", body, "holdfast", key);
  }
  std::shared_ptr<MemoryExchange> ask(int64_t most, const std::string& key = "poor", bool stream = false) {
    return send("POST", std::string("/endpoints/m/invocations") + (stream ? "-response-stream" : ""),
                R"({"inputs":"say some words","parameters":{"max_new_tokens":)" + std::to_string(most) + "}}",
                "sagemaker", key);
  }
  json::array usage() { return object(send("GET", "/holdfast/v1/usage", "", "holdfast")->body).at("usage").as_array(); }
  std::string poor_;
};

TEST_F(Quotas, ATokenRateIsHeldAndToldWhenToComeBack) {
  prepare();
  EXPECT_EQ(ask(50)->status, 200);
  EXPECT_EQ(set(R"({"principal":")" + poor_ + R"(","tokens_per_minute":60})")->status, 200);
  EXPECT_EQ(ask(60)->status, 200);  // a minute's
  auto over = ask(60);
  while (over->status == 200) over = ask(60);
  EXPECT_EQ(over->status, 429) << over->body;
  EXPECT_NE(over->body.find("60 tokens a minute"), std::string::npos) << over->body;
  const int64_t wait = *parse_int(over->headers.get("retry-after"));
  EXPECT_GE(wait, 1);
  EXPECT_EQ(ask(60, "admin")->status, 200);  // another identity
  memory_.clock.advance(wait * 1'000'000);
  EXPECT_EQ(ask(60)->status, 200);
  // Of the whole account.
  EXPECT_EQ(set(R"({"principal":")" + poor_ + R"("})")->status, 200);  // no quota any more
  EXPECT_EQ(set(R"({"principal":"account","requests_at_once":1000,"tokens_per_minute":1})")->status, 200);
  memory_.clock.advance(600'000'000);
  EXPECT_EQ(ask(60)->status, 200);
  EXPECT_EQ(ask(60, "admin")->status, 429);
  EXPECT_EQ(ask(60, "poor", true)->status, 429);
  const auto listed = object(send("GET", "/holdfast/v1/quotas", "", "holdfast")->body).at("quotas").as_array();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(text(listed[0].as_object(), "principal"), std::string("arn:aws:iam::") + testing::kAccount + ":root");
}

TEST_F(Quotas, AreTheAdministratorsToSet) {
  prepare();
  EXPECT_EQ(set(R"({"principal":"account","tokens_per_minute":1})", "poor")->status, 403);
  for (const char* bad : {R"({"principal":"somebody","tokens_per_minute":1})",
                          R"({"principal":"arn:aws:iam::999999999999:user/x","tokens_per_minute":1})",
                          R"({"principal":"account","tokens_per_minute":0})",
                          R"({"principal":"account","requests_at_once":-1})", R"({"tokens_per_minute":5})"})
    EXPECT_EQ(set(bad)->status, 400) << bad;
  memory_.ledger.broken = true;
  const std::string before = testing::everything(*memory_.db);
  EXPECT_EQ(set(R"({"principal":"account","tokens_per_minute":1})")->status, 503);
  EXPECT_EQ(testing::everything(*memory_.db), before);
  memory_.ledger.broken = false;
}

// What showback sums is what the receipts say, each token once; and jobs are the one's who ran them.
TEST_F(Quotas, ShowbackSumsWhatWasComputed) {
  prepare();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ask(10 + i)->status, 200);
    EXPECT_EQ(ask(20, "admin", true)->status, 200);
  }
  int64_t in = 0, out = 0, requests = 0;
  auto read = memory_.db->read([&](store::Txn& txn) -> Status {
    in = out = requests = 0;
    for (const auto& r : TRY(store::list_records(txn, "receipt", testing::kAccount, "", 1000))) {
      const json::object receipt = object(r.body);
      in += receipt.at("input_tokens").as_int64();
      out += receipt.at("output_tokens").as_int64();
      ++requests;
    }
    return {};
  });
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(requests, 10);
  int64_t in_rows = 0, out_rows = 0, jobs = 0;
  std::set<std::string> principals;
  for (const json::value& row : usage()) {
    in_rows += row.at("input_tokens").as_int64();
    out_rows += row.at("output_tokens").as_int64();
    jobs += row.at("jobs").as_int64();
    principals.insert(text(row.as_object(), "principal"));
  }
  EXPECT_GT(out, 0);
  EXPECT_EQ(in_rows, in);
  EXPECT_EQ(out_rows, out);
  EXPECT_EQ(jobs, 1);  // the training
  EXPECT_EQ(principals,
            (std::set<std::string>{poor_, std::string("arn:aws:iam::") + testing::kAccount + ":user/admin"}));
  const json::object all = object(send("GET", "/holdfast/v1/usage", "", "holdfast")->body);
  EXPECT_GT(all.at("storage").at("bytes").as_int64(), 0);
}

}  // namespace
}  // namespace hf::api
