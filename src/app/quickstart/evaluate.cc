#include "app/quickstart/evaluate.h"

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <deque>
#include <mutex>

#include "app/json_path.h"
#include "base/text.h"
#include "os/thread.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr int kMostTries = 50;  // of one prompt, while the site says that its queue is full
constexpr int64_t kRetryUs = 100'000;

bool is_busy(const Error& error) { return error.code == Code::exhausted || error.name == "ThrottlingException"; }

// What the threads share. Every prompt is taken by one thread only, so answers need no lock.
struct Work {
  const Dataset& data;
  const EvaluateOptions& options;
  std::vector<std::string> answers;
  std::atomic<size_t> next = 0, done = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  Error error;  // the first one; guarded by mutex

  Work(const Dataset& d, const EvaluateOptions& o) : data(d), options(o), answers(d.held_out.size()) {}
};

Result<std::string> ask(ApiClient& client, os::Clock& clock, const EvaluateOptions& options,
                        const std::string& prompt) {
  for (int tries = 1;; tries++) {
    auto answer = converse(client, options.model, prompt, options.max_tokens);
    if (answer.ok()) return std::move(answer->text);
    if (!is_busy(answer.error()) || tries == kMostTries) return std::move(answer).error();
    clock.sleep_us(kRetryUs);
  }
}

Status run_client(const Connection& connection, os::Clock& clock, Work& work) {
  auto client = TRY(ApiClient::make(connection, clock));
  while (!work.failed) {
    size_t i = work.next++;
    if (i >= work.data.held_out.size()) break;
    work.answers[i] = TRY(ask(*client, clock, work.options, work.data.held_out[i].prompt));
    work.done++;
  }
  return {};
}

}  // namespace

Result<ConverseAnswer> converse(ApiClient& client, const std::string& model, const std::string& prompt,
                                int max_tokens) {
  json::value body = json::object{
      {"messages",
       json::array{json::object{{"role", "user"}, {"content", json::array{json::object{{"text", prompt}}}}}}},
      {"inferenceConfig", json::object{{"maxTokens", max_tokens}, {"temperature", 0}}}};
  ApiClient::Request request;
  request.method = "POST";
  request.path = "/model/" + percent_encode(model) + "/converse";
  request.service = "bedrock";
  request.headers.set("content-type", "application/json");
  request.body = json::serialize(body);
  http::Response response = TRY(client.expect(request));
  json::error_code error;
  json::value answer = json::parse(response.body, error);
  if (error) return fail(Code::internal, "Converse: the answer is not JSON: " + error.message());
  ConverseAnswer out;
  const json::value* content = at_path(answer, {"output", "message", "content"});
  if (!content || !content->is_array())
    return fail(Code::internal, "Converse: the answer has no output.message.content");
  for (const auto& block : content->get_array()) out.text += text_at(block, {"text"});
  out.stop_reason = text_at(answer, {"stopReason"});
  out.input_tokens = integer_at(answer, {"usage", "inputTokens"});
  out.output_tokens = integer_at(answer, {"usage", "outputTokens"});
  out.receipt = response.headers.get("x-holdfast-receipt");
  out.request = std::move(request.body);
  return out;
}

Result<Score> evaluate(const Connection& connection, os::Clock& clock, Terminal& terminal, const Dataset& data,
                       const EvaluateOptions& options) {
  Work work(data, options);
  auto threads_wanted = std::min(static_cast<size_t>(std::max(options.clients, 1)), data.held_out.size());
  ProgressBar bar(terminal, clock, options.label, data.held_out.size());
  std::atomic<size_t> running = threads_wanted;
  {
    std::deque<os::Thread> threads;
    for (size_t t = 0; t < threads_wanted; t++) {
      threads.emplace_back("hf-evaluate", [&] {
        auto status = run_client(connection, clock, work);
        if (!status.ok()) {
          std::lock_guard lock(work.mutex);
          if (!work.failed.exchange(true)) work.error = status.error();
        }
        running--;
      });
    }
    while (running > 0) {
      bar.update(work.done);
      clock.sleep_us(50'000);
    }
  }
  if (work.failed) {
    bar.finish("failed");
    std::lock_guard lock(work.mutex);
    return work.error;
  }
  Scorer scorer(data);
  for (size_t i = 0; i < work.answers.size(); i++) scorer.add(work.answers[i], data.held_out[i].completion);
  bar.update(work.done);
  bar.finish("");
  return scorer.score();
}

}  // namespace hf::app
