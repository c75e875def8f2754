// Turns of a conversation to token ids, for training and serving alike. The tokens that mark turns are put in as ids;
// what people wrote is encoded without recognising special tokens, so no text can forge the end of a turn.
//
//   holdfast  <|system|>text<|end|> <|user|>text<|end|> <|assistant|>text<|end|>     (no blanks; what we train)
//   llama3    <|start_header_id|>role<|end_header_id|>\n\ntext<|eot_id|>             (text trimmed, as Llama 3's own)
//   chatml    <|im_start|>role\ntext<|im_end|>\n
//   plain     text\n\n for system, then "User: text\n" and "Assistant: text\n"       (models without such tokens)
//
// Each begins with the tokenizer's begin token where there is one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/tokenizer.h"

namespace hf::model {

enum class ChatFormat { holdfast, llama3, chatml, plain };
std::string_view chat_format_name(ChatFormat format);  // "holdfast", ...

// By the special tokens that the tokenizer has.
ChatFormat chat_format_of(const Tokenizer& tokenizer);
// The special tokens of the format "holdfast", for a tokenizer that is to be trained.
std::vector<std::string> holdfast_special_tokens();

struct ChatTurn {
  std::string_view role, text;  // role: "system" | "user" | "assistant"; text: UTF-8
};

// What the model is to go on from: all turns, the start of the assistant's turn, and `prefill` as the start of its
// text. invalid: another role, or no turn.
Result<std::vector<int32_t>> render_prompt(const Tokenizer& tokenizer, ChatFormat format,
                                           std::span<const ChatTurn> turns, std::string_view prefill = {});

// A whole conversation to learn from. The prompt part of it is bit for bit what render_prompt gives when serving.
struct Example {
  std::vector<int32_t> ids;
  std::vector<bool> learn;  // for each id: it is of an assistant's text, or ends it
};
Result<Example> render_example(const Tokenizer& tokenizer, ChatFormat format, std::span<const ChatTurn> turns);

// A text as it stands, its special tokens recognised, with the begin token before it unless it is there.
Result<std::vector<int32_t>> render_raw(const Tokenizer& tokenizer, std::string_view text);

// Tokens that end an assistant's turn in this format; to be joined with config.json's.
std::vector<int32_t> end_tokens(const Tokenizer& tokenizer, ChatFormat format);

}  // namespace hf::model
