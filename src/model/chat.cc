#include "model/chat.h"

#include "base/text.h"

namespace hf::model {
namespace {

bool has_all(const Tokenizer& tokenizer, std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts)
    if (tokenizer.special_id(text) < 0) return false;
  return true;
}

class Renderer {
 public:
  Renderer(const Tokenizer& tokenizer, ChatFormat format) : tokenizer_(tokenizer), format_(format) {}

  void begin() {
    if (const auto& id = tokenizer_.file().begin_token) push(*id, false);
  }

  // Up to where the text of the turn starts. `text` is what follows, so that the two are encoded as one piece where no
  // token stands between them.
  Status turn(std::string_view role, std::string_view text, bool closed) {
    if (role != "system" && role != "user" && role != "assistant")
      return fail(Code::invalid,
                  "a turn's role: expected system, user or assistant, found '" + std::string(role.substr(0, 40)) + "'");
    const bool learn = role == "assistant";
    switch (format_) {
      case ChatFormat::holdfast:
        TRY(special("<|" + std::string(role) + "|>", false));
        TRY(plain(text, learn));
        return closed ? special("<|end|>", learn) : Status();
      case ChatFormat::llama3:
        TRY(special("<|start_header_id|>", false));
        TRY(plain(role, false));
        TRY(special("<|end_header_id|>", false));
        TRY(plain("\n\n", false));
        TRY(plain(trim(text), learn));
        return closed ? special("<|eot_id|>", learn) : Status();
      case ChatFormat::chatml:
        TRY(special("<|im_start|>", false));
        TRY(plain(std::string(role) + "\n", false));
        TRY(plain(text, learn));
        if (!closed) return {};
        TRY(special("<|im_end|>", learn));
        return plain("\n", false);
      case ChatFormat::plain:
        if (role == "system") return plain(std::string(text) + "\n\n", false);
        TRY(plain(role == "user" ? "User:" : "Assistant:", false));
        return plain(text.empty() ? "" : " " + std::string(text) + (closed ? "\n" : ""), learn);
    }
    return {};
  }

  Example take() { return std::move(out_); }

 private:
  void push(int32_t id, bool learn) {
    out_.ids.push_back(id);
    out_.learn.push_back(learn);
  }
  Status special(std::string_view text, bool learn) {
    const int32_t id = tokenizer_.special_id(text);
    if (id < 0) return fail(Code::invalid, "the tokenizer has no token " + std::string(text));
    push(id, learn);
    return {};
  }
  Status plain(std::string_view text, bool learn) {
    for (const int32_t id : TRY(tokenizer_.encode(text))) push(id, learn);
    return {};
  }

  const Tokenizer& tokenizer_;
  ChatFormat format_;
  Example out_;
};

}  // namespace

std::string_view chat_format_name(ChatFormat format) {
  switch (format) {
    case ChatFormat::holdfast:
      return "holdfast";
    case ChatFormat::llama3:
      return "llama3";
    case ChatFormat::chatml:
      return "chatml";
    case ChatFormat::plain:
      break;
  }
  return "plain";
}

ChatFormat chat_format_of(const Tokenizer& tokenizer) {
  if (has_all(tokenizer, {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"})) return ChatFormat::holdfast;
  if (has_all(tokenizer, {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"})) return ChatFormat::llama3;
  if (has_all(tokenizer, {"<|im_start|>", "<|im_end|>"})) return ChatFormat::chatml;
  return ChatFormat::plain;
}

std::vector<std::string> holdfast_special_tokens() { return {"<|end|>", "<|system|>", "<|user|>", "<|assistant|>"}; }

Result<std::vector<int32_t>> render_prompt(const Tokenizer& tokenizer, ChatFormat format,
                                           std::span<const ChatTurn> turns, std::string_view prefill) {
  if (turns.empty()) return fail(Code::invalid, "a prompt needs a turn");
  Renderer renderer(tokenizer, format);
  renderer.begin();
  for (const ChatTurn& turn : turns) TRY(renderer.turn(turn.role, turn.text, true));
  TRY(renderer.turn("assistant", prefill, false));
  return renderer.take().ids;
}

Result<Example> render_example(const Tokenizer& tokenizer, ChatFormat format, std::span<const ChatTurn> turns) {
  if (turns.empty()) return fail(Code::invalid, "an example needs a turn");
  Renderer renderer(tokenizer, format);
  renderer.begin();
  for (const ChatTurn& turn : turns) TRY(renderer.turn(turn.role, turn.text, true));
  return renderer.take();
}

Result<std::vector<int32_t>> render_raw(const Tokenizer& tokenizer, std::string_view text) {
  auto ids = TRY(tokenizer.encode_with_special(text));
  const auto& begin = tokenizer.file().begin_token;
  if (begin && (ids.empty() || ids.front() != *begin)) ids.insert(ids.begin(), *begin);
  return ids;
}

std::vector<int32_t> end_tokens(const Tokenizer& tokenizer, ChatFormat format) {
  std::vector<int32_t> out;
  const auto add = [&](std::string_view text) {
    if (const int32_t id = tokenizer.special_id(text); id >= 0) out.push_back(id);
  };
  if (format == ChatFormat::holdfast) add("<|end|>");
  if (format == ChatFormat::llama3) add("<|eot_id|>"), add("<|end_of_text|>"), add("<|eom_id|>");
  if (format == ChatFormat::chatml) add("<|im_end|>"), add("<|endoftext|>");
  if (format == ChatFormat::plain) add("<|endoftext|>"), add("</s>");
  return out;
}

}  // namespace hf::model
