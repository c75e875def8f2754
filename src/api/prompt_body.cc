#include "api/prompt_body.h"

#include <algorithm>

#include "api/json_args.h"
#include "wire/json.h"

namespace hf::api {
namespace json = boost::json;
namespace {

constexpr double kLeastTopP = 1e-9;  // 0 stands for "the likeliest token alone"

Result<json::object> parse_object(std::string_view body) {
  auto v = wire::parse_json(body);  // the body is the model's own, not the protocol's: no SerializationException
  if (!v.ok()) return invalid("body: " + v.error().message);
  if (!v->is_object()) return invalid("body: expected a JSON object");
  return std::move(v->get_object());
}

// {"role": ..., "content": text or [{"type": "text", "text": ...}]}
Result<rpc::Turn> parse_turn(const json::value& v, size_t i) {
  const std::string where = "body.messages[" + std::to_string(i) + "]";
  if (!v.is_object()) return invalid(where + ": expected an object");
  JsonArgs args(v.get_object(), where);
  rpc::Turn turn;
  turn.role = args.text("role").value_or("");
  if (turn.role != "system" && turn.role != "user" && turn.role != "assistant")
    args.refuse(".role: expected system, user or assistant");
  const json::value* content = v.get_object().if_contains("content");
  if (content && content->is_string()) {
    turn.text = *args.text("content");
  } else if (const json::array* blocks = args.array("content")) {
    for (const json::value& b : *blocks) {
      if (!b.is_object()) return invalid(where + ".content: expected objects with a text");
      JsonArgs block(b.get_object(), where + ".content");
      if (block.text("type").value_or("text") != "text") block.refuse(".type: only text is offered");
      turn.text += (turn.text.empty() ? "" : "\n") + block.text("text").value_or("");
      TRY(block.finish());
    }
  } else {
    args.refuse(".content: expected a string");
  }
  TRY(args.finish());
  return turn;
}

Status parse_turns(const json::array& messages, rpc::Prompt& prompt) {
  if (messages.empty() || messages.size() > 10'000) return invalid("body.messages: expected 1 to 10000 messages");
  for (size_t i = 0; i < messages.size(); ++i) prompt.turns.push_back(TRY(parse_turn(messages[i], i)));
  if (prompt.turns.back().role == "assistant") {  // the answer goes on where this ends
    prompt.prefill = std::move(prompt.turns.back().text);
    prompt.turns.pop_back();
  }
  if (prompt.turns.empty() || prompt.turns.back().role != "user")
    return invalid("body.messages: expected the last message, or the one before the assistant's beginning, from user");
  return {};
}

void common_sampling(JsonArgs& args, PromptBody& out) {
  rpc::Sampling& s = out.sampling;
  s.temperature = args.number("temperature", 0, 2).value_or(s.temperature);
  s.top_p = std::max(args.number("top_p", 0, 1).value_or(s.top_p), kLeastTopP);
  s.min_p = args.number("min_p", 0, 0.999999).value_or(s.min_p);
  s.top_k = static_cast<int32_t>(args.integer("top_k", 0, kMaxTokens).value_or(s.top_k));
  if (auto seed = args.seed("seed")) {
    s.seed = *seed;
    out.seed_given = true;
  }
  s.stop = args.texts("stop", kMaxStops, kMaxStopBytes);
}

void max_tokens(JsonArgs& args, const char* name, rpc::Sampling& s) {
  s.max_tokens = static_cast<int32_t>(args.integer(name, 1, kMaxTokens).value_or(s.max_tokens));
}

}  // namespace

Result<PromptBody> parse_invoke_model_body(std::string_view body) {
  const json::object object = TRY(parse_object(body));
  JsonArgs args(object, "body");
  PromptBody out;
  if (args.has("messages")) {
    out.form = BodyForm::messages;
    if (auto system = args.text("system"); system && !system->empty()) out.prompt.turns.push_back({"system", *system});
    if (const json::array* messages = args.array("messages")) {
      TRY(parse_turns(*messages, out.prompt));
    } else {
      args.refuse(".messages: expected 1 to 10000 messages");
    }
    max_tokens(args, "max_tokens", out.sampling);
    common_sampling(args, out);
    TRY(args.finish());
    return out;
  }
  auto prompt = args.text("prompt");
  if (!prompt || prompt->empty()) args.refuse(": expected a prompt (text for the model as it is) or messages");
  out.prompt.raw = prompt.value_or("");
  out.sampling.temperature = 0.5;  // what Bedrock documents for this family
  out.sampling.top_p = 0.9;
  max_tokens(args, "max_gen_len", out.sampling);
  common_sampling(args, out);
  TRY(args.finish());
  return out;
}

Result<PromptBody> parse_invoke_endpoint_body(std::string_view body) {
  const json::object object = TRY(parse_object(body));
  JsonArgs args(object, "body");
  PromptBody out;
  out.form = BodyForm::tgi;
  const int given = int{args.has("inputs")} + int{args.has("prompt")} + int{args.has("messages")};
  if (given != 1) return invalid("body: expected one of inputs, prompt and messages, found " + std::to_string(given));
  if (auto inputs = args.text("inputs")) {
    out.prompt.raw = std::move(*inputs);
  } else if (auto prompt = args.text("prompt")) {
    out.prompt.turns.push_back({"user", std::move(*prompt)});
  } else if (const json::array* messages = args.array("messages")) {
    TRY(parse_turns(*messages, out.prompt));
  }
  static const json::object kNone;
  const json::object* given_parameters = args.object("parameters");
  JsonArgs parameters(given_parameters ? *given_parameters : kNone, "body.parameters");
  max_tokens(parameters, "max_new_tokens", out.sampling);
  common_sampling(parameters, out);
  const bool sample = parameters.boolean("do_sample").value_or(out.sampling.temperature > 0);
  if (!sample) {
    out.sampling.temperature = 0;
  } else if (out.sampling.temperature == 0) {
    out.sampling.temperature = 1;  // TGI's own, where sampling is asked for and no temperature
  }
  out.full_text = parameters.boolean("return_full_text").value_or(false);
  if (out.full_text && out.prompt.raw.empty()) parameters.refuse(".return_full_text: goes with inputs");
  TRY(parameters.finish());
  TRY(args.finish());
  if (out.prompt.raw.empty() && out.prompt.turns.empty()) return invalid("body.inputs: expected text, found none");
  return out;
}

}  // namespace hf::api
