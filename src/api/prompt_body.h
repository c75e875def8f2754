// Bodies that are the model's own and no AWS shape (docs/inference.md):
//   InvokeModel     {"prompt": raw text, "max_gen_len", "temperature", "top_p"}         as Meta's Llama on Bedrock
//                   {"messages": [...], "system", "max_tokens", "temperature", ...}     rendered with the chat format
//   InvokeEndpoint  {"inputs": raw text, "parameters": {"max_new_tokens", ...}}         as Hugging Face TGI
//                   {"prompt": one user turn, "parameters"}, {"messages": [...], "parameters"}
// All take top_k, min_p, seed and stop besides. What is not known is refused by name.
#pragma once

#include <string>
#include <string_view>

#include "api/call.h"
#include "rpc/messages.h"

namespace hf::api {

enum class BodyForm { llama, messages, tgi };

struct PromptBody {
  BodyForm form = BodyForm::llama;
  rpc::Prompt prompt;
  rpc::Sampling sampling;
  bool seed_given = false;
  bool full_text = false;  // tgi: the answer begins with the input
};

Result<PromptBody> parse_invoke_model_body(std::string_view body);
Result<PromptBody> parse_invoke_endpoint_body(std::string_view body);

}  // namespace hf::api
