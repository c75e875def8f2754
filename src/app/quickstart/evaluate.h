// Asks a model for the completion of every held-out prompt, through Converse, and scores the answers.
#pragma once

#include <string>

#include "app/client.h"
#include "app/quickstart/scoring.h"
#include "app/term.h"

namespace hf::app {

struct ConverseAnswer {
  std::string text, stop_reason;
  std::string receipt;  // id, from the answer's header
  int64_t input_tokens = 0, output_tokens = 0;
  std::string request;  // the body that was sent: what a replay needs
};
// Greedy. model: name, ARN of a model or of a deployment.
Result<ConverseAnswer> converse(ApiClient& client, const std::string& model, const std::string& prompt, int max_tokens);

struct EvaluateOptions {
  std::string model, label;  // label: of the progress bar
  int max_tokens = 64;       // of an answer
  int clients = 32;          // requests at once, each on a thread ("hf-evaluate") and a connection of its own
};
Result<Score> evaluate(const Connection& connection, os::Clock& clock, Terminal& terminal, const Dataset& data,
                       const EvaluateOptions& options);

}  // namespace hf::app
