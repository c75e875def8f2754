// /holdfast/v1 and STS through the real gate, with real keys, ledger and files; the fleet is scripted.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "api/holdfast/replay.h"
#include "api/testing.h"
#include "base/bytes.h"
#include "fleet/fleet.h"
#include "fleet/jobs.h"
#include "fleet/registry.h"
#include "security/evidence.h"
#include "wire/json.h"

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::MemorySite;
using testing::Request;

constexpr const char* kAccount = "111122223333";

// Answers with text that depends on the prompt, as an engine does; digests as the worker makes them.
class EchoFleet : public fleet::Fleet {
 public:
  std::string build = "build-1";
  bool accepts = true;
  rpc::ProbeReport report;
  rpc::Sampling sampling;

  static std::string input_of(const rpc::Prompt& p) {
    std::string all = p.raw + "|" + p.prefill;
    for (const auto& t : p.turns) all += "|" + t.role + ":" + t.text;
    return all;
  }
  Result<fleet::ModelCard> load(const std::string&) override { return fleet::ModelCard{}; }
  Status unload(const std::string&) override { return {}; }
  Result<fleet::ModelCard> inspect(const std::string& digest) override {
    if (!accepts) return fail(Code::invalid, "config.json: expected hidden_size");
    fleet::ModelCard card;
    card.digest = digest;
    card.architecture = "llama";
    card.parameters = 7;
    return card;
  }
  Result<int64_t> count(const std::string&, const rpc::Prompt&) override { return int64_t{1}; }
  Result<uint64_t> generate(const fleet::GenerateRequest& request, std::shared_ptr<fleet::Sink> sink) override {
    sampling = request.sampling;
    std::string input = input_of(request.prompt), text = "echo " + input;
    fleet::Finished f;
    f.input_tokens = static_cast<int64_t>(input.size());
    f.output_tokens = 2;
    f.stop_reason = "end_turn";
    f.build = build;
    f.isa = "scalar";
    f.input_digest = crypto::sha256(request.salt + input);
    f.output_digest = crypto::sha256(request.salt + "ids of " + text);
    f.text_digest = crypto::sha256(request.salt + text);
    sink->text(text);
    sink->done(f);
    return uint64_t{1};
  }
  void cancel(uint64_t) override {}
  void resume(uint64_t) override {}
  Result<uint64_t> train(Training, std::shared_ptr<fleet::TrainSink>) override { return uint64_t{0}; }
  void stop_training(uint64_t) override {}
  void kill_training(uint64_t) override {}
  Result<rpc::ProbeReport> probe() override { return report; }
  Status_ status() override {
    Status_ s;
    s.build = build;
    s.isolation = "a test";
    return s;
  }
};

class Holdfast : public ::testing::Test {
 protected:
  Holdfast() {
    keys = *security::Keys::open(*memory.db, memory.clock, memory.random, crypto::Secret(std::string(32, 'k')));
    ledger = std::make_unique<testing::BreakableLedger>(
        *security::Ledger::open(*memory.db, memory.clock, memory.key, "0123456789abcdef"));
    models = *fleet::Models::open(memory.fs, memory.random, "/state/models");
    auto made = memory.db->write([&](store::Txn& txn) -> Status {
      TRY(keys->create_account(txn, kAccount, "main"));
      security::KeyInfo spec;
      spec.account = kAccount;
      spec.name = "administrator";
      spec.kind = "access";
      spec.administrator = true;
      auto [info, secret] = TRY(keys->create(txn, spec));
      admin = {info.id, std::string(secret.reveal())};
      return {};
    });
    check(made.ok(), "an administrator");
    memory.sessions =
        std::make_unique<security::Sessions>(*memory.db, memory.clock, memory.random, *keys, crypto::Secret("root"));
    site.reset(new Site{.id = "0123456789abcdef",
                        .region = "site-1",
                        .version = "program-1",
                        .clock = memory.clock,
                        .random = memory.random,
                        .db = *memory.db,
                        .objects = *memory.objects,
                        .keys = *keys,
                        .sessions = *memory.sessions,
                        .people = memory.people,
                        .denial_texts = memory.denial_texts,
                        .ledger = *ledger,
                        .signing_key = memory.key,
                        .fleet = fleet,
                        .models = *models,
                        .jobs = *memory.jobs,
                        .status_json = [] { return R"({"site":"0123456789abcdef","worker_pid":5})"; },
                        .log = [](const std::string&) {},
                        .fs = &memory.fs,
                        .state = "/state"});
    gate = std::make_unique<Gate>(*site, std::vector<Service>{sts(), holdfast(), openai()});
  }

  struct Who {
    std::string id, secret;
  };
  struct Reply {
    int status;
    json::object body;
    std::string text, error;
  };
  Reply send(const std::string& method, const std::string& path, const std::string& query = "",
             const std::string& body = "", const Who* who = nullptr) {
    Request r{method, path, query, body, {}, "127.0.0.1:8480"};
    if (!who) who = &admin;
    memory.sign(r, "holdfast", who->id, who->secret);
    auto e = memory.send(*gate, r);
    Reply reply{e->status, {}, e->body, std::string(e->headers.get("x-amzn-errortype"))};
    if (auto v = wire::parse_json(e->body); v.ok() && v->is_object()) reply.body = v->get_object();
    return reply;
  }
  Who create_key(const std::string& more) {
    auto reply = send("POST", "/holdfast/v1/keys", "", R"({"name":"ada",)" + more + "}");
    check(reply.status == 200, "a key");
    return {std::string(reply.body["key"].at("id").as_string()), std::string(reply.body["secret"].as_string())};
  }
  json::object last_entry() {
    uint64_t size = ledger->head()->size;
    return wire::parse_json(*ledger->entry_json(size - 1))->get_object();
  }
  void register_triage() {
    fleet::Model m;
    m.account = kAccount;
    m.name = "triage";
    m.id = "aaaaaaaaaaaa";
    m.digest = std::string(64, 'd');
    m.source = "trained";
    m.arn = fleet::model_arn(m, "site-1");
    check(memory.db->write([&](store::Txn& txn) { return fleet::register_model(txn, m); }).ok(), "registered");
  }
  // An answer over the OpenAI API; its receipt.
  std::string ask(const std::string& body) {
    auto made = send("POST", "/holdfast/v1/keys", "", R"({"name":"asker","kind":"api","actions":["bedrock:*"]})");
    Request r{"POST", "/v1/chat/completions", "", body, {}, "127.0.0.1:8480"};
    r.headers.emplace_back("authorization", "Bearer " + std::string(made.body["secret"].as_string()));
    auto e = memory.send(*gate, r);
    check(e->status == 200, e->body.c_str());
    return std::string(e->headers.get("x-holdfast-receipt"));
  }

  MemorySite memory;
  EchoFleet fleet;
  std::unique_ptr<security::Keys> keys;
  std::unique_ptr<testing::BreakableLedger> ledger;
  std::unique_ptr<fleet::Models> models;
  std::unique_ptr<Site> site;
  std::unique_ptr<Gate> gate;
  Who admin;
};

TEST_F(Holdfast, GetCallerIdentityAsFormAndAsQuery) {
  auto nobody = create_key(R"("actions":["s3:GetObject"])");
  for (const Who& who : {admin, nobody}) {
    for (bool form : {true, false}) {
      Request r{form ? "POST" : "GET",
                "/",
                form ? "" : "Action=GetCallerIdentity&Version=2011-06-15",
                form ? "Action=GetCallerIdentity&Version=2011-06-15" : "",
                {},
                "127.0.0.1:8480"};
      if (form) r.headers.emplace_back("content-type", "application/x-www-form-urlencoded; charset=utf-8");
      memory.sign(r, "sts", who.id, who.secret);
      auto e = memory.send(*gate, r);
      EXPECT_EQ(e->status, 200) << e->body;
      EXPECT_NE(e->body.find("<GetCallerIdentityResult>"), std::string::npos) << e->body;
      EXPECT_NE(e->body.find("<Account>111122223333</Account>"), std::string::npos);
      EXPECT_NE(e->body.find("<Arn>arn:aws:iam::111122223333:user/"), std::string::npos);
    }
  }
  Request r{"POST", "/", "", "Action=AssumeRoot&Version=2011-06-15", {}, "127.0.0.1:8480"};
  r.headers.emplace_back("content-type", "application/x-www-form-urlencoded");
  memory.sign(r, "sts", admin.id, admin.secret);
  auto e = memory.send(*gate, r);
  EXPECT_EQ(e->status, 400) << e->body;
  EXPECT_NE(e->body.find("AssumeRoot is not implemented"), std::string::npos) << e->body;
}

TEST_F(Holdfast, KeysAreMadeListedUsedAndDeleted) {
  auto reply = send("POST", "/holdfast/v1/keys", "",
                    R"({"name":"ada","kind":"access","actions":["holdfast:GetStatus"],"resources":["*"]})");
  ASSERT_EQ(reply.status, 200) << reply.text;
  EXPECT_EQ(last_entry().at("action"), "holdfast:CreateKey");
  EXPECT_EQ(last_entry().at("detail").at("name"), "ada");
  EXPECT_EQ(reply.text.find("policy_sha256"), std::string::npos);
  Who ada{std::string(reply.body["key"].at("id").as_string()), std::string(reply.body["secret"].as_string())};
  EXPECT_EQ(ledger->entry_json(ledger->head()->size - 1)->find(ada.secret), std::string::npos);
  EXPECT_EQ(send("GET", "/holdfast/v1/status", "", "", &ada).status, 200);
  EXPECT_EQ(send("GET", "/holdfast/v1/ledger/head", "", "", &ada).status, 403);
  EXPECT_EQ(send("GET", "/holdfast/v1/keys").body["keys"].as_array().size(), 2u);
  EXPECT_EQ(send("DELETE", "/holdfast/v1/keys/" + ada.id).status, 200);
  EXPECT_EQ(send("GET", "/holdfast/v1/status", "", "", &ada).status, 403);
  EXPECT_EQ(send("DELETE", "/holdfast/v1/keys/" + ada.id).status, 404);
  EXPECT_EQ(send("DELETE", "/holdfast/v1/keys/" + admin.id).status, 409);
  EXPECT_EQ(send("GET", "/holdfast/v1/keys").body["keys"].as_array().size(), 1u);
}

TEST_F(Holdfast, KeyRequestsAreChecked) {
  for (
      const char* bad :
      {R"({"name":"a"})", R"({"name":"a","actions":["s3:*"],"administrator":true})",
       R"({"name":"a b","actions":["s3:*"]})", R"({"name":"a","actions":["GetObject"]})",
       R"({"name":"a","actions":["s3:*"],"resources":["b/*"]})", R"({"name":"a","kind":"root","actions":["s3:*"]})",
       R"({"name":"a","actions":["s3:*"],"more":1})",
       R"({"name":"a","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Principal":"*","Resource":"*"}]}})",
       R"({"name":"a","resources":["*"]})", R"({"actions":["s3:*"]})", R"([])", R"({)"})
    EXPECT_EQ(send("POST", "/holdfast/v1/keys", "", bad).status, 400) << bad;
  EXPECT_EQ(send("POST", "/holdfast/v1/keys", "", R"({"account":"999999999999","name":"a","actions":["s3:*"]})").status,
            404);
  EXPECT_EQ(keys->list("")->size(), 1u);
}

// A key whose policy allows everything is still no administrator: what is the site's own stays closed to it, and each
// refusal is in the ledger.
TEST_F(Holdfast, WhatIsTheSitesIsTheAdministratorsAlone) {
  auto all =
      create_key(R"("policy":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})");
  for (auto [method, path, body] : {std::tuple{"POST", "/holdfast/v1/keys", R"({"name":"x","administrator":true})"},
                                    {"GET", "/holdfast/v1/keys", ""},
                                    {"DELETE", "/holdfast/v1/keys/AKIA", ""},
                                    {"POST", "/holdfast/v1/accounts", R"({"name":"x"})"},
                                    {"GET", "/holdfast/v1/accounts", ""},
                                    {"GET", "/holdfast/v1/ledger/entries", ""},
                                    {"POST", "/holdfast/v1/evidence", ""},
                                    {"GET", "/holdfast/v1/evidence/head.json", ""},
                                    {"POST", "/holdfast/v1/probe", ""},
                                    {"POST", "/holdfast/v1/models/import", R"({"path":"/etc","name":"x"})"}}) {
    auto reply = send(method, path, "", body, &all);
    EXPECT_EQ(reply.status, 403) << path << reply.text;
    EXPECT_EQ(reply.error, "AccessDeniedException") << path;
    EXPECT_EQ(last_entry().at("decision"), "deny") << path;
  }
  for (const char* path : {"/holdfast/v1/status", "/holdfast/v1/ledger/head", "/holdfast/v1/receipts",
                           "/holdfast/v1/usage", "/holdfast/v1/models"})
    EXPECT_EQ(send("GET", path, "", "", &all).status, 200) << path;
  for (const char* path : {"/holdfast/v1/receipts", "/holdfast/v1/usage"})
    EXPECT_EQ(send("GET", path, "account=444455556666", "", &all).status, 403) << path;
}

TEST_F(Holdfast, Accounts) {
  auto made = send("POST", "/holdfast/v1/accounts", "", R"({"name":"second"})");
  ASSERT_EQ(made.status, 200) << made.text;
  std::string id(made.body["account"].at("id").as_string());
  EXPECT_EQ(id.size(), 12u);
  EXPECT_EQ(send("POST", "/holdfast/v1/accounts", "", R"({"name":"third","id":")" + id + "\"}").status, 409);
  EXPECT_EQ(send("POST", "/holdfast/v1/accounts", "", R"({"name":"third","id":"12"})").status, 400);
  EXPECT_EQ(send("GET", "/holdfast/v1/accounts").body["accounts"].as_array().size(), 2u);
  EXPECT_EQ(send("POST", "/holdfast/v1/keys", "", R"({"account":")" + id + R"(","name":"b","actions":["*"]})").status,
            200);
  EXPECT_EQ(send("GET", "/holdfast/v1/keys", "account=" + id).body["keys"].as_array().size(), 1u);
}

TEST_F(Holdfast, TheLedgerIsReadProvedAndVerified) {
  for (int i = 0; i < 5; ++i) create_key(R"("actions":["s3:*"])");
  auto head = send("GET", "/holdfast/v1/ledger/head");
  ASSERT_EQ(head.status, 200) << head.text;
  EXPECT_NE(head.text.find("BEGIN PUBLIC KEY"), std::string::npos);
  auto entries = send("GET", "/holdfast/v1/ledger/entries", "from=1&limit=2");
  ASSERT_EQ(entries.status, 200) << entries.text;
  ASSERT_EQ(entries.body["lines"].as_array().size(), 2u);
  EXPECT_EQ(std::string(entries.body["lines"].at(0).as_string()), *ledger->entry_json(1));
  EXPECT_EQ(last_entry().at("action"), "holdfast:GetLedgerEntries");
  auto proof = send("GET", "/holdfast/v1/ledger/proof", "index=2&size=5");
  ASSERT_EQ(proof.status, 200) << proof.text;
  std::vector<std::string> steps;
  for (const auto& s : proof.body["proof"].as_array()) steps.push_back(*unhex(std::string(s.as_string())));
  auto heads = ledger->heads(4, 1);
  ASSERT_EQ(heads->at(0).size, 5u);
  EXPECT_TRUE(security::verify_inclusion(security::leaf_hash(*ledger->entry_json(2)), 2, 5, steps, heads->at(0).root));
  EXPECT_EQ(send("GET", "/holdfast/v1/ledger/proof", "index=900").status, 400);
  auto consistency = send("GET", "/holdfast/v1/ledger/consistency", "from=3&to=5");
  ASSERT_EQ(consistency.status, 200) << consistency.text;
  EXPECT_EQ(send("GET", "/holdfast/v1/ledger/consistency", "from=6&to=5").status, 400);
  auto verified = send("POST", "/holdfast/v1/ledger/verify");
  EXPECT_TRUE(verified.body["ok"].as_bool()) << verified.text;
  std::string kept = security::head_json("0123456789abcdef", *ledger->head());
  EXPECT_TRUE(send("POST", "/holdfast/v1/ledger/verify", "", "{\"head\":" + kept + "}").body["ok"].as_bool());
  size_t at = kept.find("\"root\":\"") + 8;
  kept[at] = kept[at] == '0' ? '1' : '0';
  auto other = send("POST", "/holdfast/v1/ledger/verify", "", "{\"head\":" + kept + "}");
  EXPECT_FALSE(other.body["ok"].as_bool()) << other.text;
}

TEST_F(Holdfast, OneFlippedByteIsFound) {
  for (int i = 0; i < 3; ++i) create_key(R"("actions":["s3:*"])");
  ASSERT_TRUE(memory.db
                  ->write([](store::Txn& txn) {
                    return txn.run(
                        "UPDATE ledger_entries SET line = replace(line, 'CreateKey', 'CreateKex') WHERE idx = 1");
                  })
                  .ok());
  auto verified = send("POST", "/holdfast/v1/ledger/verify");
  EXPECT_EQ(verified.status, 200);
  EXPECT_FALSE(verified.body["ok"].as_bool());
  EXPECT_NE(verified.text.find("entry 1"), std::string::npos) << verified.text;
}

TEST_F(Holdfast, ReceiptsAreReadAndReplayed) {
  register_triage();
  const std::string request =
      R"({"model":"triage","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},)"
      R"({"type":"text","text":"b"}]}],"temperature":0.7,"seed":42,"stop":["x"]})";
  std::string id = ask(request);
  auto receipt = send("GET", "/holdfast/v1/receipts/" + id);
  ASSERT_EQ(receipt.status, 200) << receipt.text;
  EXPECT_EQ(receipt.body["receipt"].at("model"), "triage");
  EXPECT_EQ(send("GET", "/holdfast/v1/receipts").body["receipts"].as_array().size(), 1u);
  EXPECT_EQ(send("GET", "/holdfast/v1/receipts/rcpt-" + std::string(32, '0')).status, 404);
  EXPECT_EQ(send("GET", "/holdfast/v1/receipts/x").status, 400);

  auto replay = [&](const std::string& body) {
    return send("POST", "/holdfast/v1/receipts/" + id + "/replay", "", "{\"request\":" + body + "}");
  };
  auto again = replay(request);
  ASSERT_EQ(again.status, 200) << again.text;
  EXPECT_TRUE(again.body["replayed"].as_bool()) << again.text;
  EXPECT_EQ(fleet.sampling.seed, 42u);
  EXPECT_EQ(fleet.sampling.temperature, 0.7);
  EXPECT_EQ(fleet.sampling.stop, std::vector<std::string>{"x"});
  EXPECT_NE(std::string(again.body["receipt"].as_string()), id);

  std::string stops = request;
  stops.replace(stops.find(R"(["x"])"), 5, R"(["y"])");
  auto another = replay(stops);
  EXPECT_FALSE(another.body["replayed"].as_bool());
  EXPECT_NE(another.text.find("stop_digests"), std::string::npos) << another.text;
  EXPECT_EQ(receipt.text.find("\"x\""), std::string::npos) << receipt.text;

  auto other = replay(R"({"messages":[{"role":"user","content":"something else"}]})");
  EXPECT_FALSE(other.body["replayed"].as_bool());
  EXPECT_NE(other.text.find("input_digest"), std::string::npos) << other.text;
  fleet.build = "build-2";
  auto newer = replay(request);
  EXPECT_FALSE(newer.body["replayed"].as_bool());
  EXPECT_NE(newer.text.find("engine_build"), std::string::npos) << newer.text;
  EXPECT_EQ(newer.body["differences"].as_array().size(), 1u);
  for (const char* bad :
       {"[]", "{}", R"({"messages":[]})", R"({"messages":[{"role":"user","content":[{"image":1}]}]})"})
    EXPECT_EQ(replay(bad).status, 400) << bad;
  auto usage = send("GET", "/holdfast/v1/usage");
  ASSERT_EQ(usage.status, 200) << usage.text;
  EXPECT_FALSE(usage.body["usage"].as_array().empty());
  EXPECT_EQ(usage.body["usage"].at(0).at("model"), "triage");
}

TEST_F(Holdfast, PromptsOfEveryProtocol) {
  auto prompts = [](const char* body) { return *holdfast_api::prompts_of(*wire::parse_json(body)); };
  auto converse = prompts(
      R"({"system":[{"text":"s"},{"text":"t"}],"messages":[{"role":"user","content":[{"text":"a"},{"text":"b"}]},)"
      R"({"role":"assistant","content":[{"text":"{"}]}],"inferenceConfig":{"maxTokens":5}})");
  ASSERT_EQ(converse.size(), 2u);
  EXPECT_EQ(EchoFleet::input_of(converse[0]), "|{|system:s\nt|user:a\nb");
  EXPECT_EQ(EchoFleet::input_of(converse[1]), "||system:st|user:ab|assistant:{");
  auto raw = prompts(R"({"prompt":"p","max_gen_len":5})");
  ASSERT_EQ(raw.size(), 2u);
  EXPECT_EQ(EchoFleet::input_of(raw[0]), "p|");
  EXPECT_EQ(EchoFleet::input_of(raw[1]), "||user:p");
  EXPECT_EQ(prompts(R"({"inputs":"p"})").size(), 1u);
  EXPECT_EQ(prompts(R"({"messages":[{"role":"user","content":"a"}]})").size(), 1u);
}

TEST_F(Holdfast, EvidenceIsWrittenAndGivenOut) {
  register_triage();
  ask(R"({"model":"triage","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(send("GET", "/holdfast/v1/evidence/head.json").status, 404);
  auto made = send("POST", "/holdfast/v1/evidence");
  ASSERT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.body["folder"], "/state/evidence");
  EXPECT_EQ(made.body["receipts"], 1);
  for (const auto& file : made.body["files"].as_array()) {
    auto got = send("GET", "/holdfast/v1/evidence/" + std::string(file.as_string()));
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.text, *memory.fs.read_file("/state/evidence/" + std::string(file.as_string()), 1 << 20));
  }
  auto entries = *memory.fs.read_file("/state/evidence/entries.jsonl", 1 << 20);
  EXPECT_NE(entries.find("holdfast:ExportEvidence"), std::string::npos);
  EXPECT_EQ(entries.find("echo"), std::string::npos);
  auto software = wire::parse_json(*memory.fs.read_file("/state/evidence/software.json", 1 << 20));
  EXPECT_EQ(software->at("program"), "program-1");
  EXPECT_EQ(software->at("models").at(0).at("name"), "triage");
  for (const char* bad : {"../admin.json", "..%2fadmin.json", "x", "a.sh"})
    EXPECT_GE(send("GET", std::string("/holdfast/v1/evidence/") + bad).status, 400) << bad;
}

TEST_F(Holdfast, TheProbeIsTold) {
  fleet.report.attempts = {{"dns", "a lookup", "EPERM", true}, {"site file", "open", "ENOENT", true}};
  fleet.report.counters["packets"] = 0;
  auto reply = send("POST", "/holdfast/v1/probe");
  ASSERT_EQ(reply.status, 200) << reply.text;
  EXPECT_TRUE(reply.body["all_refused"].as_bool());
  EXPECT_EQ(last_entry().at("detail").at("refused"), 2);
  fleet.report.attempts[1].refused = false;
  EXPECT_FALSE(send("POST", "/holdfast/v1/probe").body["all_refused"].as_bool());
}

// What runs is in fleet/sandbox_job_test and scripts/egress-ways-out; here, what is refused before.
TEST_F(Holdfast, AJobThatCannotBeIsRefused) {
  const uint64_t before = ledger->head()->size;
  for (const char* bad :
       {R"({})", R"({"command":[]})", R"({"command":["a"],"seconds":0})", R"({"command":["a"],"seconds":601})",
        R"({"command":["a"],"files":{"../x":""}})", R"({"command":["a"],"files":{".x":""}})",
        R"({"command":["a"],"files":{"":""}})", R"({"command":["a"],"environment":{"A=B":""}})",
        R"({"command":["a"],"environment":{"":""}})", R"({"command":["a\u0000b"]})", R"({"command":["a"],"more":1})"}) {
    auto reply = send("POST", "/holdfast/v1/try-job", "", bad);
    EXPECT_EQ(reply.status, 400) << bad << reply.text;
  }
  EXPECT_EQ(ledger->head()->size, before);
  site->jobs_tried = 4;
  EXPECT_EQ(send("POST", "/holdfast/v1/try-job", "", R"({"command":["a"]})").status, 429);
  EXPECT_EQ(site->jobs_tried, 4);
  site->jobs_tried = 0;
  auto reader = create_key(R"("actions":["holdfast:Get*"])");
  EXPECT_EQ(send("POST", "/holdfast/v1/try-job", "", R"({"command":["a"]})", &reader).status, 403);
  EXPECT_EQ(last_entry().at("action"), "holdfast:TryJob");
}

// If the ledger cannot be written, the act does not happen: nothing in the database changes, and nothing is given out.
TEST_F(Holdfast, NothingHappensWithoutItsEntry) {
  ASSERT_TRUE(memory.fs.make_dirs("/import/llama").ok());
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
    ASSERT_TRUE(memory.fs.write_file_atomic("/import/llama/" + std::string(name), "precious").ok());
  ASSERT_EQ(send("POST", "/holdfast/v1/models/import", "", R"({"path":"/import/llama","name":"there"})").status, 200);
  ASSERT_EQ(send("POST", "/holdfast/v1/evidence").status, 200);
  const Who key = create_key(R"("actions":["holdfast:GetStatus"])");
  const std::string before = testing::everything(*memory.db);
  fleet.report.attempts = {{"dns", "a lookup", "EPERM", true}};
  ledger->broken = true;
  for (auto [method, path, body] :
       {std::tuple{"POST", std::string("/holdfast/v1/keys"), R"({"name":"new","actions":["s3:*"]})"},
        {"DELETE", "/holdfast/v1/keys/" + key.id, ""},
        {"POST", "/holdfast/v1/accounts", R"({"name":"new"})"},
        {"POST", "/holdfast/v1/models/import", R"({"path":"/import/llama","name":"new"})"},
        {"GET", "/holdfast/v1/models/there/files/config.json", ""},
        {"GET", "/holdfast/v1/ledger/entries", ""},
        {"POST", "/holdfast/v1/evidence", ""},
        {"GET", "/holdfast/v1/evidence/head.json", ""},
        {"POST", "/holdfast/v1/probe", ""},
        {"POST", "/holdfast/v1/try-job", R"({"command":["true"]})"}}) {
    auto reply = send(method, path, "", body);
    EXPECT_GE(reply.status, 500) << method << " " << path << reply.text;
    EXPECT_NE(reply.text.find("ledger"), std::string::npos) << path << reply.text;
    EXPECT_EQ(reply.text.find("precious"), std::string::npos) << path;
    EXPECT_EQ(testing::everything(*memory.db), before) << path;
  }
  // A refusal stands, whether or not it can be told.
  EXPECT_GE(send("GET", "/holdfast/v1/keys", "", "", &key).status, 400);
  EXPECT_EQ(testing::everything(*memory.db), before);
  ledger->broken = false;
  EXPECT_EQ(send("GET", "/holdfast/v1/models/there/files/config.json").status, 200);
  EXPECT_EQ(send("POST", "/holdfast/v1/keys", "", R"({"name":"new","actions":["s3:*"]})").status, 200);
}

TEST_F(Holdfast, ModelsAreImportedListedAndTakenOut) {
  ASSERT_TRUE(memory.fs.make_dirs("/import/llama").ok());
  for (auto [name, text] : {std::pair{"config.json", "{}"},
                            {"model.safetensors", "weights"},
                            {"tokenizer.json", "{}"},
                            {"README.md", "not taken"},
                            {"pytorch_model.bin", "not taken"}})
    ASSERT_TRUE(memory.fs.write_file_atomic(std::string("/import/llama/") + name, text).ok());
  auto made = send("POST", "/holdfast/v1/models/import", "", R"({"path":"/import/llama","name":"llama-1"})");
  ASSERT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.body["source"], "imported");
  EXPECT_EQ(last_entry().at("action"), "holdfast:ImportModel");
  auto files = send("GET", "/holdfast/v1/models/llama-1/files");
  EXPECT_EQ(files.body["files"].as_array().size(), 3u) << files.text;
  EXPECT_EQ(send("GET", "/holdfast/v1/models/llama-1/files/model.safetensors").text, "weights");
  EXPECT_EQ(send("GET", "/holdfast/v1/models/llama-1/files/MANIFEST").status, 404);
  EXPECT_EQ(send("GET", "/holdfast/v1/models/llama-1").body["architecture"], "llama");
  EXPECT_EQ(send("GET", "/holdfast/v1/models").body["models"].as_array().size(), 1u);
  EXPECT_EQ(send("GET", "/holdfast/v1/models/other").status, 404);
  EXPECT_EQ(send("POST", "/holdfast/v1/models/import", "", R"({"path":"/import/llama","name":"llama-1"})").status, 409);
  EXPECT_EQ(send("POST", "/holdfast/v1/models/import", "", R"({"path":"/import","name":"m"})").status, 400);
  EXPECT_EQ(send("POST", "/holdfast/v1/models/import", "", R"({"path":"import","name":"m"})").status, 400);
  fleet.accepts = false;
  ASSERT_TRUE(memory.fs.write_file_atomic("/import/llama/config.json", "{\"a\":1}").ok());
  auto refused = send("POST", "/holdfast/v1/models/import", "", R"({"path":"/import/llama","name":"llama-2"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.text.find("hidden_size"), std::string::npos) << refused.text;
  EXPECT_EQ(send("GET", "/holdfast/v1/models").body["models"].as_array().size(), 1u);
}

TEST_F(Holdfast, ASharedModelIsThereToBeAskedNotToBeTaken) {
  ASSERT_TRUE(memory.fs.make_dirs("/import/llama").ok());
  for (auto [name, text] : {std::pair{"config.json", "{}"}, {"model.safetensors", "weights"}, {"tokenizer.json", "{}"}})
    ASSERT_TRUE(memory.fs.write_file_atomic(std::string("/import/llama/") + name, text).ok());
  ASSERT_EQ(
      send("POST", "/holdfast/v1/models/import", "", R"({"path":"/import/llama","name":"big","shared":true})").status,
      200);
  ASSERT_EQ(send("POST", "/holdfast/v1/accounts", "", R"({"id":"444455556666","name":"other"})").status, 200);
  const Who other = create_key(R"("account":"444455556666","actions":["holdfast:*"])");
  auto seen = send("GET", "/holdfast/v1/models/big", "", "", &other);
  EXPECT_EQ(seen.status, 200) << seen.text;
  EXPECT_EQ(seen.text.find("/import/llama"), std::string::npos) << seen.text;
  EXPECT_NE(send("GET", "/holdfast/v1/models/big").text.find("/import/llama"), std::string::npos);
  auto taken = send("GET", "/holdfast/v1/models/big/files/model.safetensors", "", "", &other);
  EXPECT_EQ(taken.status, 403) << taken.text;
  EXPECT_EQ(last_entry().at("decision"), "deny");
  EXPECT_EQ(last_entry().at("account"), "444455556666");
  EXPECT_EQ(send("GET", "/holdfast/v1/models/big/files/model.safetensors").text, "weights");
}

TEST_F(Holdfast, StatusIsTheSitesOwn) { EXPECT_EQ(send("GET", "/holdfast/v1/status").body["worker_pid"], 5); }

}  // namespace
}  // namespace hf::api
