// Makes an answer once more, with the sampler, seed and salt of its receipt, and compares what came out.
#pragma once

#include "api/holdfast/operations.h"
#include "rpc/messages.h"
#include "security/receipt.h"

namespace hf::api::holdfast_api {

struct Replay {
  std::vector<std::string> differences;  // none: the same tokens, bit for bit
  std::string receipt_id;                // of the replay: it is an inference like any other
};
Result<Replay> replay(Call& call, const security::Receipt& receipt, const wire::Document& request);

// What a body may have meant to the model, in the order in which it is tried: a Converse body, an OpenAI one, one of
// InvokeModel's or InvokeEndpoint's. A body of {"prompt": text} means the text as it is to one API and a user's turn
// to another; the receipt's input digest tells which it was. invalid: no prompt in it.
Result<std::vector<rpc::Prompt>> prompts_of(const wire::Document& request);
// As the receipt says; the stop sequences, of which it holds digests only, are the request's.
Result<rpc::Sampling> sampling_of(const security::Receipt& receipt, const wire::Document& request);

}  // namespace hf::api::holdfast_api
