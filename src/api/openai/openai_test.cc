#include "api/openai/openai.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/testing.h"
#include "fleet/registry.h"
#include "wire/json.h"
#include "wire/sse.h"

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::MemorySite;
using testing::Request;

// A fleet that says what it is told to, and keeps what it was asked.
class ScriptedFleet : public fleet::Fleet {
 public:
  std::vector<std::string> pieces = {"Hel", "lo"};
  std::string stop_reason = "end_turn";
  std::optional<Error> failure;
  size_t fail_after = 0;  // pieces
  fleet::GenerateRequest asked;
  int cancels = 0, resumes = 0, paused = 0;

  Result<fleet::ModelCard> load(const std::string&) override { return fleet::ModelCard{}; }
  Status unload(const std::string&) override { return {}; }
  Result<fleet::ModelCard> inspect(const std::string&) override { return fleet::ModelCard{}; }
  Result<int64_t> count(const std::string&, const rpc::Prompt&) override { return int64_t{1}; }
  Result<uint64_t> generate(const fleet::GenerateRequest& request, std::shared_ptr<fleet::Sink> sink) override {
    asked = request;
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (failure && i == fail_after) return sink->failed(*failure), uint64_t{1};
      if (!sink->text(pieces[i])) ++paused;
    }
    fleet::Finished f;
    f.input_tokens = 7;
    f.output_tokens = 2;
    f.stop_reason = stop_reason;
    f.build = "0123456789abcdef";
    f.isa = "scalar";
    sink->done(f);
    return uint64_t{1};
  }
  void cancel(uint64_t) override { ++cancels; }
  void resume(uint64_t) override { ++resumes; }
  Result<uint64_t> train(Training, std::shared_ptr<fleet::TrainSink>) override { return uint64_t{0}; }
  void stop_training(uint64_t) override {}
  void kill_training(uint64_t) override {}
  Result<rpc::ProbeReport> probe() override { return rpc::ProbeReport{}; }
  Status_ status() override { return {}; }
};

class OpenAi : public ::testing::Test {
 protected:
  OpenAi() {
    site.fleet = &fleet;
    for (const char* name : {"triage", "shared-one"}) {
      fleet::Model m;
      m.account = "111122223333";
      m.name = name;
      m.shared = m.name == "shared-one";
      m.id = m.shared ? "bbbbbbbbbbbb" : "aaaaaaaaaaaa";
      m.digest = std::string(64, 'd');
      m.source = "trained";
      m.created = 1'790'000'000'000'000;
      m.arn = fleet::model_arn(m, "site-1");
      check(site.db->write([&](store::Txn& txn) { return fleet::register_model(txn, m); }).ok(), "registered");
    }
    gate = std::make_unique<Gate>(site.site(), std::vector<Service>{openai()});
  }
  std::shared_ptr<testing::MemoryExchange> send(const std::string& method, const std::string& path,
                                                std::string body = "", const std::string& key = "hf-admin") {
    Request r{method, path, "", std::move(body), {{"authorization", "Bearer " + key}}, "127.0.0.1:8480"};
    return site.send(*gate, r);
  }
  std::shared_ptr<testing::MemoryExchange> chat(const std::string& more, const std::string& model = "triage") {
    return send("POST", "/v1/chat/completions",
                R"({"model":")" + model + R"(","messages":[{"role":"user","content":"hi"}])" + more + "}");
  }
  json::object answer(const testing::MemoryExchange& e) {
    auto v = wire::parse_json(e.body);
    check(v.ok() && v->is_object(), "a JSON answer");
    return v->get_object();
  }
  MemorySite site;
  ScriptedFleet fleet;
  std::unique_ptr<Gate> gate;
};

TEST_F(OpenAi, AnswersWhole) {
  auto e = chat("");
  ASSERT_EQ(e->status, 200) << e->body;
  auto o = answer(*e);
  EXPECT_EQ(o.at("object"), "chat.completion");
  EXPECT_TRUE(std::string(o.at("id").as_string()).starts_with("chatcmpl-"));
  EXPECT_EQ(o.at("model"), "triage");
  EXPECT_EQ(o.at("created"), 1'790'000'000);
  EXPECT_EQ(o.at("system_fingerprint"), "fp_0123456789");
  auto& choice = o.at("choices").at(0).as_object();
  EXPECT_EQ(choice.at("message").at("content"), "Hello");
  EXPECT_TRUE(choice.at("message").at("refusal").is_null());
  EXPECT_TRUE(choice.at("logprobs").is_null());
  EXPECT_EQ(choice.at("finish_reason"), "stop");
  EXPECT_EQ(o.at("usage").at("total_tokens"), 9);
  EXPECT_TRUE(e->headers.get("x-holdfast-receipt").starts_with("rcpt-"));
  EXPECT_EQ(site.ledger.all.back().action, "bedrock:InvokeModel");
  EXPECT_EQ(fleet.asked.sampling.temperature, 1);
}

TEST_F(OpenAi, EachFieldReachesTheEngine) {
  auto e =
      chat(R"(,"temperature":0.5,"top_p":0.9,"max_completion_tokens":5,"stop":["a","b"],"seed":-1,"n":1,"user":"u",)"
           R"("presence_penalty":0,"frequency_penalty":0,"response_format":{"type":"text"},"logprobs":false,)"
           R"("tools":[],"metadata":{},"store":false,"service_tier":"auto","modalities":["text"])");
  ASSERT_EQ(e->status, 200) << e->body;
  const auto& s = fleet.asked.sampling;
  EXPECT_EQ(s.temperature, 0.5);
  EXPECT_EQ(s.top_p, 0.9);
  EXPECT_EQ(s.max_tokens, 5);
  EXPECT_EQ(s.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(s.seed, UINT64_MAX);
  fleet.stop_reason = "max_tokens";
  EXPECT_EQ(answer(*chat(R"(,"max_tokens":3,"top_p":0,"stop":"x")")).at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(fleet.asked.sampling.max_tokens, 3);
  EXPECT_EQ(fleet.asked.sampling.top_k, 1);
}

TEST_F(OpenAi, TurnsAndParts) {
  auto e = send("POST", "/v1/chat/completions",
                R"({"model":"triage","messages":[{"role":"developer","content":"s"},{"role":"user","content":[)"
                R"({"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c"}]})");
  ASSERT_EQ(e->status, 200) << e->body;
  ASSERT_EQ(fleet.asked.prompt.turns.size(), 3u);
  EXPECT_EQ(fleet.asked.prompt.turns[0].role, "system");
  EXPECT_EQ(fleet.asked.prompt.turns[1].text, "ab");
}

TEST_F(OpenAi, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("temperature":2.1)", "temperature"},
      {R"("temperature":"hot")", "temperature"},
      {R"("temperature":-0.1)", "temperature"},
      {R"("top_p":1.5)", "top_p"},
      {R"("presence_penalty":0.5)", "presence_penalty"},
      {R"("frequency_penalty":-1)", "frequency_penalty"},
      {R"("max_tokens":0)", "max_tokens"},
      {R"("max_tokens":1e308)", "max_tokens"},
      {R"("max_tokens":5,"max_completion_tokens":5)", "max_tokens"},
      {R"("n":2)", "n"},
      {R"("stop":[""])", "stop"},
      {R"("stop":["a","b","c","d","e"])", "stop"},
      {R"("stop":7)", "stop"},
      {R"("seed":1.5)", "seed"},
      {R"("stream":"yes")", "stream"},
      {R"("stream_options":{"include_usage":true})", "stream_options"},
      {R"("response_format":{"type":"json_object"})", "response_format.type"},
      {R"("logprobs":true)", "logprobs"},
      {R"("top_logprobs":3)", "top_logprobs"},
      {R"("logit_bias":{"1":2})", "logit_bias"},
      {R"("tools":[{"type":"function"}])", "tools"},
      {R"("tool_choice":"auto")", "tool_choice"},
      {R"("store":true)", "store"},
      {R"("metadata":{"a":"b"})", "metadata"},
      {R"("reasoning_effort":"low")", "reasoning_effort"},
      {R"("modalities":["audio"])", "modalities[0]"},
      {R"("temprature":1)", "temprature"},
  };
  for (const auto& [more, param] : cases) {
    auto e = chat("," + std::string(more));
    EXPECT_EQ(e->status, 400) << more << e->body;
    auto error = answer(*e).at("error").as_object();
    EXPECT_EQ(error.at("type"), "invalid_request_error");
    EXPECT_EQ(error.at("param"), param) << e->body;
  }
  const std::pair<const char*, const char*> messages[] = {
      {R"([])", "messages"},
      {R"([{"role":"tool","content":"x"}])", "messages[0].role"},
      {R"([{"role":"user"}])", "messages[0].content"},
      {R"([{"role":"user","content":5}])", "messages[0].content"},
      {R"([{"role":"user","content":"x","name":"bob"}])", "messages[0].name"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}])",
       "messages[0].content[0].type"},
      {R"([{"role":"user","content":[{"text":"a"}]}])", "messages[0].content[0]"},
  };
  for (const auto& [list, param] : messages) {
    auto e = send("POST", "/v1/chat/completions", R"({"model":"triage","messages":)" + std::string(list) + "}");
    EXPECT_EQ(e->status, 400) << list;
    EXPECT_EQ(answer(*e).at("error").at("param"), param) << e->body;
  }
  EXPECT_EQ(send("POST", "/v1/chat/completions", "{")->status, 400);
  EXPECT_EQ(answer(*send("POST", "/v1/chat/completions", "{"))["error"].at("code"), "invalid_json");
}

TEST_F(OpenAi, AnUnknownModelIs404) {
  auto e = chat("", "nobody");
  EXPECT_EQ(e->status, 404);
  EXPECT_EQ(answer(*e).at("error").at("code"), "model_not_found");
  EXPECT_EQ(send("GET", "/v1/models/nobody")->status, 404);
}

TEST_F(OpenAi, StreamsChunksUsageAndTheEnd) {
  auto e = chat(R"(,"stream":true,"stream_options":{"include_usage":true})");
  ASSERT_EQ(e->status, 200) << e->body;
  EXPECT_EQ(e->headers.get("content-type"), "text/event-stream");
  EXPECT_TRUE(e->headers.get("x-holdfast-receipt").starts_with("rcpt-"));
  wire::SseDecoder d;
  ASSERT_TRUE(d.feed(e->body).ok());
  std::vector<std::string> events;
  while (auto event = d.next()) events.push_back(event->data);
  ASSERT_EQ(events.size(), 5u);
  auto first = wire::parse_json(events[0]);
  ASSERT_TRUE(first.ok()) << events[0];
  EXPECT_EQ(first->at("object"), "chat.completion.chunk");
  EXPECT_EQ(first->at("choices").at(0).at("delta").at("role"), "assistant");
  EXPECT_EQ(first->at("choices").at(0).at("delta").at("content"), "Hel");
  EXPECT_TRUE(first->at("usage").is_null());
  auto last = wire::parse_json(events[2]);
  EXPECT_EQ(last->at("choices").at(0).at("finish_reason"), "stop");
  auto usage = wire::parse_json(events[3]);
  EXPECT_TRUE(usage->at("choices").as_array().empty());
  EXPECT_EQ(usage->at("usage").at("completion_tokens"), 2);
  EXPECT_EQ(events[4], "[DONE]");
  EXPECT_EQ(chat(R"(,"stream":true)")->body.find("usage"), std::string::npos);
}

TEST_F(OpenAi, AFailureBeforeTheFirstTokenIsPlainAndLaterOneEndsTheStream) {
  fleet.failure = fail(Code::exhausted, "the queue is full");
  auto early = chat(R"(,"stream":true)");
  EXPECT_EQ(early->status, 429);
  EXPECT_EQ(answer(*early).at("error").at("code"), "rate_limit_exceeded");
  fleet.fail_after = 1;
  fleet.failure = fail(Code::unavailable, "ModelErrorException", "the worker died");
  auto late = chat(R"(,"stream":true)");
  EXPECT_EQ(late->status, 200);
  EXPECT_NE(late->body.find("\"error\":{\"message\":\"the worker died\""), std::string::npos);
  EXPECT_EQ(late->body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(late->finished);
  EXPECT_EQ(chat("")->status, 424);
}

TEST_F(OpenAi, ASlowReaderPausesAndAGoneOneCancels) {
  Request r{"POST",
            "/v1/chat/completions",
            "",
            R"({"model":"triage","messages":[{"role":"user","content":"hi"}],"stream":true})",
            {{"authorization", "Bearer hf-admin"}},
            "127.0.0.1:8480"};
  auto e = site.exchange(r);
  e->full = true;
  gate->handle(e);
  EXPECT_EQ(fleet.paused, 2);
  ASSERT_TRUE(e->room);
  e->gone = true;
  e->room();
  EXPECT_EQ(fleet.cancels, 1);
}

TEST_F(OpenAi, ModelsOfTheAccountAndTheSite) {
  auto list = answer(*send("GET", "/v1/models"));
  EXPECT_EQ(list.at("object"), "list");
  ASSERT_EQ(list.at("data").as_array().size(), 2u);
  auto one = answer(*send("GET", "/v1/models/triage"));
  EXPECT_EQ(one.at("id"), "triage");
  EXPECT_EQ(one.at("owned_by"), "111122223333");
  EXPECT_EQ(one.at("created"), 1'790'000'000);
}

TEST_F(OpenAi, AnotherTenantSeesOnlyWhatIsShared) {
  auto policy = security::parse_policy(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})", "p");
  ASSERT_TRUE(policy.ok());
  site.keys.bearer["hf-poor"].policies = {*policy};
  auto list = answer(*send("GET", "/v1/models", "", "hf-poor"));
  ASSERT_EQ(list.at("data").as_array().size(), 1u);
  EXPECT_EQ(list.at("data").at(0).at("id"), "shared-one");
  EXPECT_EQ(send("GET", "/v1/models/triage", "", "hf-poor")->status, 404);
}

TEST_F(OpenAi, WrongKeysAreTold) {
  EXPECT_EQ(send("GET", "/v1/models", "", "hf-nobody")->status, 401);
  EXPECT_EQ(send("GET", "/v1/models", "", "hf-poor")->status, 403);
  EXPECT_EQ(send("POST", "/v1/embeddings", "{}")->status, 501);
  EXPECT_EQ(send("GET", "/v1/nothing")->status, 404);
}

}  // namespace
}  // namespace hf::api
