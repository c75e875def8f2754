#include "engine/engine.h"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"
#include "engine/test_device.h"
#include "engine/test_model.h"
#include "os/thread.h"

namespace hf::engine {
namespace {

const tensor::Kernels& kernels() {
  auto chosen = tensor::choose_kernels("", os::cpu_info());
  check(chosen.ok(), "kernels");
  return **chosen;
}

std::unique_ptr<Engine> make_engine(EngineOptions options = {}, const tensor::Kernels& set = kernels(),
                                    const TestModelOptions& model = {}) {
  options.build = "build";
  auto engine = std::make_unique<Engine>(os::real_clock(), set, options);
  check(engine->load("m", test_model(model)).ok(), "load");
  return engine;
}

rpc::GenerateRequest request(const std::string& text, int32_t max_tokens = 20) {
  rpc::GenerateRequest r;
  r.digest = "m";
  r.tenant = "t";
  r.prompt.turns = {{"user", text}};
  r.sampling.max_tokens = max_tokens;
  r.salt = std::string(16, 's');
  return r;
}

struct Answer {
  std::string text;
  rpc::Finished finished;
  std::string error;
  bool ended = false;
};

void take(Engine& engine, std::map<uint64_t, Answer>& answers) {
  for (Event& event : engine.take_events()) {
    Answer& answer = answers[event.id];
    EXPECT_FALSE(answer.ended) << "an event after the last";
    if (auto* text = std::get_if<rpc::Text>(&event.what)) answer.text += text->piece;
    if (auto* finished = std::get_if<rpc::Finished>(&event.what)) answer.finished = *finished, answer.ended = true;
    if (auto* error = std::get_if<Error>(&event.what)) answer.error = error->message, answer.ended = true;
  }
}

Answer run_alone(Engine& engine, const rpc::GenerateRequest& r) {
  std::map<uint64_t, Answer> answers;
  engine.submit(7, r);
  for (int i = 0; i < 100'000 && engine.step(); ++i) take(engine, answers);
  take(engine, answers);
  return answers[7];
}

std::string ids_digest(const std::string& salt, const std::vector<int32_t>& ids) {
  std::string bytes = salt;
  for (const int32_t id : ids)
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(static_cast<uint32_t>(id) >> (8 * i)));
  return crypto::sha256(bytes);
}

TEST(Engine, AnswersAndCounts) {
  auto engine = make_engine();
  const Answer answer = run_alone(*engine, request("hello", 12));
  ASSERT_EQ(answer.error, "");
  EXPECT_EQ(answer.finished.input_tokens, 8);  // user, 5 letters, end, assistant
  EXPECT_EQ(*engine->count("m", request("hello").prompt), 8);
  EXPECT_GE(answer.finished.output_tokens, 1);
  EXPECT_LE(answer.finished.output_tokens, 12);
  EXPECT_EQ(answer.finished.input_digest, ids_digest(std::string(16, 's'), {258, 'h', 'e', 'l', 'l', 'o', 256, 259}));
  EXPECT_EQ(answer.finished.text_digest, crypto::sha256(std::string(16, 's') + answer.text));
  EXPECT_EQ(answer.finished.build, "build");
  EXPECT_EQ(answer.finished.isa, kernels().isa);
  EXPECT_TRUE(valid_utf8(answer.text));
  const rpc::EngineCounters counters = engine->counters();
  EXPECT_EQ(counters.requests, 1);
  EXPECT_EQ(counters.input_tokens, 8);
  EXPECT_EQ(counters.output_tokens, answer.finished.output_tokens);
  EXPECT_EQ(counters.kv_pages_used, 0);
  EXPECT_EQ(counters.running + counters.queued, 0);
}

// The same by hand: one forward_tokens for each token, over the whole text each time, and the largest logit.
TEST(Engine, GreedyIsTheModelsArgmax) {
  auto loaded = load_model("m", test_model(), kernels());
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const model::LlamaModel& weights = *(*loaded)->weights;
  std::vector<int32_t> ids = {258, 'h', 'e', 'l', 'l', 'o', 256, 259}, expected;
  tensor::Pool pool(1);
  model::Workspace workspace;
  for (int n = 0; n < 12; ++n) {
    std::vector<tensor::Floats> pages;
    std::vector<float*> pointers;
    for (size_t i = 0; i <= ids.size() / 16; ++i)
      pointers.push_back(pages.emplace_back(static_cast<size_t>(model::page_floats(weights.config))).data());
    std::vector<model::TokenRow> rows;
    for (size_t i = 0; i < ids.size(); ++i) rows.push_back({ids[i], static_cast<int32_t>(i), 0, i + 1 == ids.size()});
    const model::Sequence sequence{pointers};
    std::vector<float> logits(static_cast<size_t>(weights.config.vocabulary));
    model::forward_tokens(weights, pool, rows, {&sequence, 1}, workspace, logits);
    const auto best = static_cast<int32_t>(std::max_element(logits.begin(), logits.begin() + 260) - logits.begin());
    ids.push_back(best);
    expected.push_back(best);
    if ((*loaded)->is_end(best)) break;
  }
  auto engine = make_engine();
  const Answer answer = run_alone(*engine, request("hello", 12));
  EXPECT_EQ(answer.finished.output_tokens, static_cast<int64_t>(expected.size()));
  EXPECT_EQ(answer.finished.output_digest, ids_digest(std::string(16, 's'), expected));
}

std::vector<rpc::GenerateRequest> random_requests(size_t n) {
  std::mt19937 random(99);
  std::vector<rpc::GenerateRequest> out;
  for (size_t i = 0; i < n; ++i) {
    rpc::GenerateRequest r = request(std::string(random() % 90 + 1, static_cast<char>('a' + random() % 26)),
                                     static_cast<int32_t>(random() % 60 + 1));
    r.tenant = std::string(1, static_cast<char>('A' + random() % 3));
    r.prompt.prefill = random() % 3 == 0 ? "{\"a\":" : "";
    r.sampling.seed = random();
    r.sampling.temperature = random() % 3 == 0 ? 0 : 0.3 + 0.1 * static_cast<double>(random() % 10);
    if (random() % 2) r.sampling.top_k = static_cast<int32_t>(random() % 50 + 1);
    if (random() % 2) r.sampling.top_p = 0.8;
    if (random() % 4 == 0) r.sampling.min_p = 0.05;
    if (random() % 2) r.sampling.stop = {"q", "zz"};
    out.push_back(std::move(r));
  }
  return out;
}

// Under load, with preemption, pauses, small chunks, several threads and any order of arrival: every answer is bit for
// bit the one that the request gets alone.
void neighbours_change_nothing(const tensor::Kernels& set, const TestModelOptions& model) {
  const auto requests = random_requests(48);
  std::vector<Answer> alone;
  {
    auto engine = make_engine({}, set, model);
    for (const auto& r : requests) alone.push_back(run_alone(*engine, r));
  }
  std::set<std::string> reasons;
  for (const Answer& answer : alone) reasons.insert(answer.finished.stop_reason);
  EXPECT_GE(reasons.size(), 2u);  // the requests are not all of one kind

  const int64_t page = 2 * 2 * 2 * 8 * 16 * 4;  // layers, keys and values, heads, width, positions, floats
  int64_t preemptions = 0;
  for (uint32_t round = 0; round < 6; ++round) {
    std::mt19937 random(round);
    EngineOptions options;
    options.threads = 1 + static_cast<int>(round % 3);
    options.scheduler.chunk = round % 2 ? 7 : 128;
    options.scheduler.rows = round % 2 ? 40 : 256;
    options.scheduler.running = 4 + round * 4;
    options.scheduler.cache_bytes = page * (12 + 20 * static_cast<int64_t>(round));
    auto engine = make_engine(options, set, model);
    std::vector<size_t> order(requests.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    std::map<uint64_t, Answer> answers;
    std::set<uint64_t> paused;
    size_t next = 0;
    for (int i = 0; i < 100'000; ++i) {
      for (int k = 0; k < 3 && next < order.size() && random() % 2; ++k, ++next)
        engine->submit(order[next] + 1, requests[order[next]]);
      const uint64_t who = random() % requests.size() + 1;
      if (random() % 8 == 0 && paused.insert(who).second) {
        engine->pause(who);
      } else if (paused.erase(who)) {
        engine->resume(who);
      }
      const bool worked = engine->step();
      take(*engine, answers);
      if (!worked && next == order.size()) {
        if (paused.empty()) break;
        for (const uint64_t id : std::exchange(paused, {})) engine->resume(id);
      }
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      const Answer& answer = answers[i + 1];
      ASSERT_TRUE(answer.ended) << "round " << round << " request " << i;
      EXPECT_EQ(answer.error, "");
      EXPECT_EQ(answer.text, alone[i].text) << "round " << round << " request " << i;
      EXPECT_EQ(hex(answer.finished.output_digest), hex(alone[i].finished.output_digest));
      EXPECT_EQ(answer.finished.stop_reason, alone[i].finished.stop_reason);
      EXPECT_EQ(answer.finished.stop_sequence, alone[i].finished.stop_sequence);
      EXPECT_EQ(answer.finished.output_tokens, alone[i].finished.output_tokens);
    }
    preemptions += engine->counters().preemptions;
    EXPECT_EQ(engine->counters().kv_pages_used, 0);
  }
  EXPECT_GT(preemptions, 0);
}

TEST(Engine, NeighboursDoNotChangeAnAnswer) { neighbours_change_nothing(kernels(), {}); }

TEST(Engine, NeighboursDoNotChangeAnAnswerOfADevice) {
  if (!device_kernels()) GTEST_SKIP() << tensor::open_cuda().error().message;
  TestModelOptions model;
  neighbours_change_nothing(*device_kernels(), model);
  model.bf16 = true;
  neighbours_change_nothing(*device_kernels(), model);
}

TEST(Engine, EveryKernelSetGivesTheSameAnswer) {
  std::set<std::string> digests;
  int sets = 0;
  for (const char* isa : {"scalar", "avx2", "avx512"}) {
    auto chosen = tensor::choose_kernels(isa, os::cpu_info());
    if (!chosen.ok()) continue;  // this machine cannot run it
    ++sets;
    Engine engine(os::real_clock(), **chosen, {});
    ASSERT_TRUE(engine.load("m", test_model()).ok());
    rpc::GenerateRequest r = request("compare", 40);
    r.sampling.temperature = 0.8;
    const Answer answer = run_alone(engine, r);
    EXPECT_EQ(answer.finished.isa, isa);
    digests.insert(answer.finished.output_digest);
  }
  EXPECT_GE(sets, 1);
  EXPECT_EQ(digests.size(), 1u);
}

TEST(Engine, StopStringsEndAnAnswer) {
  auto engine = make_engine();
  const Answer whole = run_alone(*engine, request("tell", 60));
  ASSERT_GT(whole.text.size(), 4u);
  rpc::GenerateRequest r = request("tell", 60);
  // A stop string of whole characters from the middle.
  size_t from = 1;
  while (from + 1 < whole.text.size() && (static_cast<unsigned char>(whole.text[from]) & 0xc0) == 0x80) ++from;
  size_t end = from + 1;
  while (end < whole.text.size() && (static_cast<unsigned char>(whole.text[end]) & 0xc0) == 0x80) ++end;
  r.sampling.stop = {whole.text.substr(from, end - from)};
  const Answer cut = run_alone(*engine, r);
  EXPECT_EQ(cut.finished.stop_reason, "stop_sequence");
  EXPECT_EQ(cut.finished.stop_sequence, r.sampling.stop[0]);
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(r.sampling.stop[0])));
  EXPECT_EQ(cut.finished.text_digest, crypto::sha256(r.salt + cut.text));
}

TEST(Engine, CancelledRequestsSayWhatTheyHad) {
  auto engine = make_engine();
  rpc::GenerateRequest r = request("go", 200);
  r.sampling.temperature = 1.5;
  while (run_alone(*engine, r).finished.output_tokens < 10) ASSERT_LT(++r.sampling.seed, 1000u);
  engine->submit(1, r);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(engine->step());
  engine->cancel(1);
  engine->cancel(1);
  engine->cancel(99);
  std::map<uint64_t, Answer> answers;
  take(*engine, answers);
  EXPECT_EQ(answers[1].finished.stop_reason, "cancelled");
  EXPECT_EQ(answers[1].finished.output_tokens, 4);
  EXPECT_FALSE(engine->step());
  EXPECT_EQ(engine->counters().kv_pages_used, 0);
}

TEST(Engine, TheContextIsTheEnd) {
  auto engine = make_engine();
  rpc::GenerateRequest r = request(std::string(240, 'x'), 1000);
  r.sampling.temperature = 2;
  const Answer answer = run_alone(*engine, r);
  EXPECT_EQ(answer.finished.input_tokens, 243);
  EXPECT_EQ(answer.error, "");
  if (answer.finished.stop_reason == "max_tokens") {
    EXPECT_EQ(answer.finished.output_tokens, 13);
  }
  EXPECT_NE(run_alone(*engine, request(std::string(253, 'x'))).error.find("at most 255"), std::string::npos);
  EXPECT_NE(run_alone(*engine, request(std::string(5'000'000, 'x'))).error.find("at most 255"), std::string::npos);
}

TEST(Engine, WrongRequestsAreRefusedByName) {
  auto engine = make_engine();
  const auto error = [&](auto change) {
    rpc::GenerateRequest r = request("x");
    change(r);
    return run_alone(*engine, r).error;
  };
  EXPECT_NE(error([](auto& r) { r.digest = "other"; }).find("not loaded"), std::string::npos);
  EXPECT_NE(error([](auto& r) { r.sampling.top_p = 2; }).find("top_p"), std::string::npos);
  EXPECT_NE(error([](auto& r) { r.sampling.max_tokens = 0; }).find("max_tokens"), std::string::npos);
  EXPECT_NE(error([](auto& r) { r.prompt.turns[0].role = "tool"; }).find("role"), std::string::npos);
  EXPECT_NE(error([](auto& r) { r.prompt.turns[0].text = "\xff"; }).find("UTF-8"), std::string::npos);
  EXPECT_NE(error([](auto& r) { r.prompt = {}; }).find("empty"), std::string::npos);
}

TEST(Engine, LoadsAndUnloads) {
  auto engine = make_engine();
  EXPECT_TRUE(engine->load("m", {}).ok());  // it is there already
  engine->submit(1, request("x"));
  EXPECT_EQ(engine->unload("m").error().code, Code::conflict);
  engine->cancel(1);
  EXPECT_TRUE(engine->unload("m").ok());
  EXPECT_EQ(engine->unload("m").error().code, Code::not_found);
  EXPECT_EQ(engine->count("m", request("x").prompt).error().code, Code::not_found);
}

TEST(LoadModel, SaysWhatItIs) {
  TestModelOptions options;
  options.bf16 = true;
  auto model = load_model("d", test_model(options), kernels());
  ASSERT_TRUE(model.ok()) << model.error().message;
  const rpc::ModelCard& card = (*model)->card;
  EXPECT_EQ(card.digest, "d");
  EXPECT_EQ(card.architecture, "LlamaForCausalLM");
  EXPECT_EQ(card.chat_format, "holdfast");
  EXPECT_EQ(card.dtype, "BF16");
  EXPECT_EQ(card.layers, 2);
  // 272 * 32 + 2 * (32 * 64 + 32 * 32 + 3 * 32 * 48 + 64) + 32
  EXPECT_EQ(card.parameters, 8704 + 2 * (2048 + 1024 + 4608 + 64) + 32);
  EXPECT_EQ((*model)->ends, std::vector<int32_t>{256});
  EXPECT_NE((*model)->weights->head.bf16, nullptr);
}

TEST(LoadModel, WhatIsWrongIsNamed) {
  const auto error = [](std::vector<ModelFile> files) {
    auto model = load_model("d", std::move(files), kernels());
    return model.ok() ? std::string("loaded") : model.error().message;
  };
  const auto without = [](const std::string& name) {
    auto files = test_model();
    std::erase_if(files, [&](const ModelFile& f) { return f.name == name; });
    return files;
  };
  const auto with = [](const std::string& name, const std::string& bytes) {
    auto files = test_model();
    for (ModelFile& f : files)
      if (f.name == name) f.bytes = os::Mapping::of_bytes(bytes);
    return files;
  };
  for (const char* name : {"config.json", "tokenizer.json"})
    EXPECT_NE(error(without(name)).find(name), std::string::npos);
  EXPECT_NE(error(without("model.safetensors")).find(".safetensors"), std::string::npos);
  EXPECT_NE(error(with("config.json", "{")).find("config.json"), std::string::npos);
  EXPECT_NE(error(with("tokenizer.json", "[]")).find("tokenizer.json"), std::string::npos);
  EXPECT_NE(error(with("model.safetensors", "short")).find("model.safetensors"), std::string::npos);
  TestModelOptions options;
  options.leave_out = "model.layers.1.mlp.up_proj.weight";
  EXPECT_NE(error(test_model(options)).find(options.leave_out), std::string::npos);
  options = {};
  options.extra = "model.layers.0.self_attn.q_proj.bias";
  EXPECT_NE(error(test_model(options)).find(options.extra), std::string::npos);
  options = {};
  options.vocabulary = 100;
  EXPECT_NE(error(test_model(options)).find("vocab_size"), std::string::npos);
  // Weights of another shape than config.json's.
  TestModelOptions wider;
  wider.vocabulary = 300;
  auto files = test_model();
  files[2] = std::move(test_model(wider)[2]);
  EXPECT_NE(error(std::move(files)).find("shape"), std::string::npos);
}

}  // namespace
}  // namespace hf::engine
